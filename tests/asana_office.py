"""Asana in tests: a connector on a loopback office, over sockets or, where it has to be quick, without."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from sophiactl.connectors.asana import AsanaConnector
from sophiactl.connectors.base import Change, Checkpoint, Item, Removed, Skipped, Upsert
from sophiactl.connectors.config import AsanaConfig, ConnectorsConfig, Limit
from sophiactl.redaction import Redactor, Secret
from sophiactl.testing.web_server import Seen
from sophiactl.web import WebAnswer, WebSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from sophiactl.testing.vendors.asana import AsanaVendor
    from sophiactl.web import WebRequest

FAST = Limit(100_000.0, 1.0, 100_000.0)
ANY_RATE = {"all": FAST, "search": FAST}


def connector(vendor: AsanaVendor, web: WebSession, **settings: Any) -> AsanaConnector:
    """A connector that asks as often as it likes, unless `settings` say otherwise."""
    common = ConnectorsConfig(
        retries=settings.pop("retries", 4),
        longest_wait=settings.pop("longest_wait", 120.0),
        requests=settings.pop("requests", 0),
    )
    config = AsanaConfig(**{"base_url": vendor.address or "http://127.0.0.1", "limits": ANY_RATE, **settings})
    secrets = {name: Secret(value, redactor=Redactor()) for name, value in vendor.secrets.items()}
    return AsanaConnector(config, common, secrets, web)


def over_http(vendor: AsanaVendor, work: Callable[[AsanaConnector], Awaitable[Any]], **settings: Any) -> Any:
    """What `work` makes of a connector on a running vendor."""

    async def run() -> Any:
        async with WebSession(proxies={}) as web:
            return await work(connector(vendor, web, **settings))

    return asyncio.run(run())


class Direct(WebSession):
    """A web without sockets: every request is answered by the vendor at once. `before` is told of it first."""

    def __init__(self, vendor: AsanaVendor, before: Callable[[Seen], None] = lambda _: None) -> None:
        super().__init__(proxies={})
        self._vendor = vendor
        self._before = before

    async def send(self, request: WebRequest, **_limits: Any) -> WebAnswer:
        parts = urlsplit(request.url)
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = dict(parse_qsl(parts.query))
        seen = Seen(request.method, parts.path, query, headers, request.body or b"", parts.query)
        self._before(seen)
        self._vendor.requests.append(seen)
        reply = self._vendor.answer(seen)
        return WebAnswer(reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.body)


async def collected(changes: AsyncIterator[Change]) -> list[Change]:
    """The whole stream."""
    return [change async for change in changes]


def synced(vendor: AsanaVendor, cursor: str | None = None, since: str | None = None, **settings: Any) -> list[Change]:
    """A stream of changes, without sockets."""
    before = settings.pop("before", lambda _: None)
    return asyncio.run(collected(connector(vendor, Direct(vendor, before), **settings).changes(cursor, since=since)))


def reconciled(vendor: AsanaVendor, known: Iterable[str], **settings: Any) -> list[Change]:
    """What became of what is known."""
    return asyncio.run(collected(connector(vendor, Direct(vendor), **settings).reconcile(list(known))))


def items(changes: Iterable[Change]) -> dict[str, Item]:
    """The items of a stream, by title: those of a test have titles of their own."""
    return {change.item.title: change.item for change in changes if isinstance(change, Upsert)}


def skipped(changes: Iterable[Change]) -> list[Skipped]:
    """What was not read."""
    return [change for change in changes if isinstance(change, Skipped)]


def removed(changes: Iterable[Change]) -> list[str]:
    """What is gone."""
    return [change.id for change in changes if isinstance(change, Removed)]


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
