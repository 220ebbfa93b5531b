"""HubSpot's connector beside its loopback vendor, for the tests of both."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Checkpoint, Removed, Upsert
from sophiactl.connectors.config import ConnectorsConfig, HubSpotConfig, Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.hubspot import HubSpotConnector
from sophiactl.connectors.session import Tools
from sophiactl.redaction import Redactor, Secret
from sophiactl.web import WebSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from typing import TypeVar

    from sophiactl.connectors.base import Change, Item
    from sophiactl.testing.vendors.hubspot import HubSpotVendor

    T = TypeVar("T")

NOON = 1_773_000_000_000
PEOPLE: dict[str, Any] = {"objects": ("contacts",)}
FAST = {"all": Limit(1e6, 1.0, 1e6), "search": Limit(1e6, 1.0, 1e6)}


class Pauses:
    """Waits that take no time; `slept` says how long they would have been."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)

    def tools(self) -> Tools:
        return Tools(clock=lambda: self.time, sleep=self.sleep, chance=lambda: 0.0)


@asynccontextmanager
async def opened(
    hub: HubSpotVendor, *, common: ConnectorsConfig | None = None, tools: Tools | None = None, **settings: Any
) -> AsyncIterator[HubSpotConnector]:
    """The connector of a vendor, without limits of its own unless they are given."""
    settings = {"base_url": hub.address, "limits": FAST} | settings
    secrets = {name: Secret(value, redactor=Redactor()) for name, value in hub.secrets.items()}
    async with WebSession() as web:
        common = common or ConnectorsConfig(retries=2)
        yield HubSpotConnector(HubSpotConfig(**settings), common, secrets, web, tools=tools)


def reading(hub: HubSpotVendor, work: Callable[[HubSpotConnector], Awaitable[T]], **settings: Any) -> T:
    """What comes of work with a connector."""

    async def run() -> T:
        async with opened(hub, **settings) as connector:
            return await work(connector)

    return asyncio.run(run())


def changes(
    hub: HubSpotVendor, cursor: str | None = None, *, since: str | None = None, **settings: Any
) -> list[Change]:
    """One whole stream of changes."""

    async def work(connector: HubSpotConnector) -> list[Change]:
        return [change async for change in connector.changes(cursor, since=since)]

    return reading(hub, work, **settings)


def reconciled(hub: HubSpotVendor, known: Sequence[str], **settings: Any) -> list[Change]:
    async def work(connector: HubSpotConnector) -> list[Change]:
        return [change async for change in connector.reconcile(known)]

    return reading(hub, work, **settings)


def search(hub: HubSpotVendor, query: str, limit: int = 10, **settings: Any) -> Any:
    return reading(hub, lambda connector: connector.search(query, limit, Deadline(20)), **settings)


def fetch(hub: HubSpotVendor, item_id: str, **settings: Any) -> Item:
    return reading(hub, lambda connector: connector.fetch(item_id, Deadline(20)), **settings)


def applied(stream: Sequence[Change], state: dict[str, Item] | None = None) -> dict[str, Item]:
    """The state of a store after a stream."""
    state = {} if state is None else dict(state)
    for change in stream:
        if isinstance(change, Upsert):
            state[change.item.id] = change.item
        elif isinstance(change, Removed):
            state.pop(change.id, None)
    return state


def cursor_of(stream: Sequence[Change]) -> str:
    """The last cursor of a stream."""
    return next(change.cursor for change in reversed(stream) if isinstance(change, Checkpoint))


def upserts(stream: Sequence[Change]) -> list[Item]:
    return [change.item for change in stream if isinstance(change, Upsert)]


def searches(hub: HubSpotVendor, kind: str = "") -> list[dict[str, Any]]:
    """The bodies of the searches that arrived."""
    ending = f"/{kind}/search" if kind else "/search"
    return [msgspec.json.decode(seen.body) for seen in hub.requests if seen.path.endswith(ending)]


def ids(stream: Sequence[Change]) -> list[str]:
    """Ids of what was given as new or changed, in order."""
    return [item.id for item in upserts(stream)]


def agrees(hub: HubSpotVendor, state: Mapping[str, Item]) -> bool:
    """Whether a store holds what is alive in the account, as it is now."""
    alive = {
        f"{kind}/{row.number}": row for kind, rows in hub.rows.items() for row in rows.values() if not row.archived
    }
    if set(state) != set(alive):
        return False
    return all(
        (row.properties.get("phone") or "") == state[name].fields.get("phone", "") for name, row in alive.items()
    )


def people(hub: HubSpotVendor, count: int, step: int = 1_000) -> list[str]:
    """Contacts, modified `step` milliseconds one after the other; their ids."""
    return [hub.add_contact(f"P{number}", at=NOON + step * number) for number in range(count)]
