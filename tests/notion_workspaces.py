"""Notion in tests: a connector on a loopback workspace, over sockets or, where it has to be quick, without."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from sophiactl.connectors.base import Change, Checkpoint, Item, Removed, Skipped, Upsert
from sophiactl.connectors.config import ConnectorsConfig, Limit, NotionConfig
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.notion import NotionConnector
from sophiactl.redaction import Redactor, Secret
from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.vendors.notion_errors import NOTION_FAULTS
from sophiactl.testing.web_server import Reply, Seen
from sophiactl.web import WebAnswer, WebSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from sophiactl.connectors.session import Tools
    from sophiactl.web import WebRequest

SOON = 20.0
ANY_RATE = {"all": Limit(100_000.0, 1.0, 100_000.0)}


def connector(vendor: NotionVendor, web: Any, tools: Tools | None = None, **settings: Any) -> NotionConnector:
    """A connector that asks as often as it likes, unless `settings` say otherwise."""
    common = ConnectorsConfig(retries=settings.pop("retries", 4), longest_wait=settings.pop("longest_wait", 120.0))
    config = NotionConfig(**{"base_url": vendor.address or "http://127.0.0.1", "limits": ANY_RATE, **settings})
    secrets = {name: Secret(value, redactor=Redactor()) for name, value in vendor.secrets.items()}
    return NotionConnector(config, common, secrets, web, tools=tools)


def over_http(
    vendor: NotionVendor,
    work: Callable[[NotionConnector], Awaitable[Any]],
    tools: Tools | None = None,
    **settings: Any,
) -> Any:
    """What `work` makes of a connector on a running vendor."""

    async def run() -> Any:
        async with WebSession() as web:
            return await work(connector(vendor, web, tools, **settings))

    return asyncio.run(run())


class Direct(WebSession):
    """A web without sockets: every request is answered by the vendor at once. `before` is told the count first."""

    def __init__(self, vendor: NotionVendor, before: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(proxies={})
        self._vendor = vendor
        self._before = before
        self.count = 0

    async def send(self, request: WebRequest, **_limits: Any) -> WebAnswer:
        self._before(self.count)
        self.count += 1
        parts = urlsplit(request.url)
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = dict(parse_qsl(parts.query))
        seen = Seen(request.method, parts.path, query, headers, request.body or b"", parts.query)
        self._vendor.requests.append(seen)
        reply = self._vendor._reply(seen)
        return WebAnswer(reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.body)


async def collected(changes: AsyncIterator[Change]) -> list[Change]:
    """The whole stream."""
    return [change async for change in changes]


def items(changes: Iterable[Change]) -> dict[str, Item]:
    """The items of a stream, by title: those of a test have titles of their own."""
    return {change.item.title: change.item for change in changes if isinstance(change, Upsert)}


def skipped(changes: Iterable[Change]) -> list[Skipped]:
    """What was not read."""
    return [change for change in changes if isinstance(change, Skipped)]


def cursor(changes: Iterable[Change]) -> str:
    """The last cursor of a stream that has come to its end."""
    points = [change for change in changes if isinstance(change, Checkpoint)]
    assert points[-1].done
    return points[-1].cursor


def applied(state: dict[str, Item], changes: Iterable[Change]) -> dict[str, Item]:
    """A state after changes."""
    for change in changes:
        if isinstance(change, Upsert):
            state[change.item.id] = change.item
        elif isinstance(change, Removed):
            state.pop(change.id, None)
    return state


START = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)


class Clock:
    """The vendor's time, which passes when it is told to."""

    def __init__(self, vendor: NotionVendor) -> None:
        self.now = START
        vendor.clock = lambda: self.now

    def on(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)


def workspace(pages: int = 5) -> tuple[NotionVendor, Clock]:
    vendor = NotionVendor()
    clock = Clock(vendor)
    for number in range(pages):
        vendor.add_page(f"Page {number}", [f"body {number}"], author="Ada")
        clock.on(7)
    return vendor, clock


def made(
    vendor: NotionVendor, before: Callable[[int], None] = lambda _: None, **given_settings: Any
) -> NotionConnector:
    return connector(vendor, Direct(vendor, before), **given_settings)


def synced(vendor: NotionVendor, where: str | None = None, since: str | None = None, **more: Any) -> list[Change]:
    return asyncio.run(collected(made(vendor, **more).changes(where, since=since)))


def by_id(vendor: NotionVendor) -> dict[str, Item]:
    return applied({}, synced(vendor))


def children_read(vendor: NotionVendor) -> list[str]:
    return [seen.path for seen in vendor.requests if seen.path.endswith("/children")]


def failing(vendor: NotionVendor, fault: str | Reply, *paths: str) -> None:
    """Calls whose path ends so are answered by a fault."""
    reply = NOTION_FAULTS[fault] if isinstance(fault, str) else fault
    serve = vendor.serve

    def broken(seen: Seen) -> Reply:
        return reply if seen.path.endswith(paths) else serve(seen)

    vendor.serve = broken  # type: ignore[method-assign]


async def changed(notion: NotionConnector) -> list[Any]:
    """A first sync."""
    return await collected(notion.changes(None))


async def fetched(vendor: NotionVendor, item_id: str, **settings: Any) -> Item:
    """One item."""
    return await made(vendor, **settings).fetch(item_id, Deadline(SOON))
