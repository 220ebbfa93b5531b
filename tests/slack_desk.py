"""A desk at which tests read a loopback Slack: a connector without limits of its own, on a clock that never waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sophiactl.connectors.base import Change, Checkpoint, Item, Removed, Skipped, Upsert
from sophiactl.connectors.config import ConnectorsConfig, Limit, SlackConfig
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import ServiceError
from sophiactl.connectors.session import Tools
from sophiactl.connectors.slack import SlackConnector
from sophiactl.redaction import Redactor, Secret
from sophiactl.web import WebSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from sophiactl.testing.vendors.slack import SlackVendor

T = TypeVar("T")
FREE = {"all": Limit(1_000_000, 1, 1_000_000)}
BEGIN = 1_700_000_000


@dataclass
class Clock:
    """Goes on only when somebody waits, and notes how long."""

    now: float = 1_000.0
    waits: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class Read:
    """What a run of `changes` gave."""

    changes: list[Change]

    @property
    def items(self) -> dict[str, Item]:
        return {change.item.id: change.item for change in self.changes if isinstance(change, Upsert)}

    @property
    def texts(self) -> list[str]:
        return sorted(item.text for item in self.items.values())

    @property
    def removed(self) -> list[str]:
        return [change.id for change in self.changes if isinstance(change, Removed)]

    @property
    def skipped(self) -> list[Skipped]:
        return [change for change in self.changes if isinstance(change, Skipped)]

    @property
    def cursor(self) -> str:
        last = self.changes[-1]
        assert isinstance(last, Checkpoint)
        return last.cursor


def applied(changes: Sequence[Change], state: Mapping[str, Item] | None = None) -> dict[str, Item]:
    """What a store holds after the changes."""
    held = dict(state or {})
    for change in changes:
        if isinstance(change, Upsert):
            held[change.item.id] = change.item
        elif isinstance(change, Removed):
            held.pop(change.id, None)
    return held


class Desk:
    """Reads `slack` with a configuration; `user` gives the user's token too."""

    def __init__(self, slack: SlackVendor, *, user: bool = False, **config: Any) -> None:
        self.slack = slack
        self.config = SlackConfig(**({"base_url": slack.address, "limits": FREE} | config))
        self.common = ConnectorsConfig()
        self.clock = Clock()
        names = ("SLACK_BOT_TOKEN", "SLACK_USER_TOKEN") if user else ("SLACK_BOT_TOKEN",)
        self.secrets = {name: Secret(slack.secrets[name], redactor=Redactor()) for name in names}

    def run(self, work: Callable[[SlackConnector], Awaitable[T]]) -> T:
        """What comes of some work with a fresh connector."""

        async def main() -> T:
            tools = Tools(clock=lambda: self.clock.now, sleep=self.clock.sleep, chance=lambda: 0.0)
            async with WebSession(proxies={}) as web:
                connector = SlackConnector(self.config, self.common, self.secrets, web, tools=tools)
                found = await work(connector)
                await connector.close()
                return found

        return asyncio.run(main())

    def read(self, cursor: str | None = None, *, since: str | None = None) -> Read:
        """One whole run of `changes`."""

        async def work(connector: SlackConnector) -> Read:
            return Read([change async for change in connector.changes(cursor, since=since)])

        found = self.run(work)
        last = found.changes[-1]
        assert isinstance(last, Checkpoint)
        assert last.done
        return found

    def cut_short(self, cursor: str | None) -> list[Change]:
        """What a run of `changes` gave until it failed, or to its end."""

        async def work(connector: SlackConnector) -> list[Change]:
            changes: list[Change] = []
            with suppress(ServiceError):
                async for change in connector.changes(cursor):
                    changes.append(change)  # noqa: PERF401 - what came before the error counts
            return changes

        return self.run(work)

    def reconcile(self, known: Sequence[str]) -> list[Change]:
        """One whole run of `reconcile`."""

        async def work(connector: SlackConnector) -> list[Change]:
            return [change async for change in connector.reconcile(known)]

        return self.run(work)

    def search(self, query: str, limit: int = 10, seconds: float = 5.0) -> Any:
        """What a search finds."""
        return self.run(lambda connector: connector.search(query, limit, self.deadline(seconds)))

    def deadline(self, seconds: float = 5.0) -> Deadline:
        """One on the clock that never waits."""
        return Deadline(seconds, lambda: self.clock.now)

    def asked(self, method: str) -> int:
        """How often a method was called."""
        return sum(seen.path.endswith(f"/{method}") for seen in self.slack.requests)


def fill(slack: SlackVendor, count: int, *, channel: str = "general", step: float = 60.0) -> list[str]:
    """Messages a minute apart; their times."""
    return [slack.add_message(channel, "ada", f"message {n}", at=BEGIN + n * step) for n in range(count)]
