"""A connector to a loopback Gong, and what a sync makes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Change, Checkpoint, Removed, Skipped, Upsert
from sophiactl.connectors.config import ConnectorsConfig, GongConfig, Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.gong import GongConnector
from sophiactl.connectors.session import Tools
from sophiactl.redaction import Secret
from sophiactl.web import WebSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sophiactl.testing.vendors.gong import GongVendor

FAST = {"all": Limit(100_000.0, 1.0, 1000.0)}


def use(
    vendor: GongVendor,
    work: Callable[[GongConnector], Awaitable[Any]],
    *,
    common: ConnectorsConfig | None = None,
    tools: Tools | None = None,
    **config: Any,
) -> Any:
    """What `work` makes of a connector to the vendor; no task is left behind."""

    async def main() -> Any:
        settings = GongConfig(**{"base_url": vendor.address, "limits": FAST, **config})
        secrets = {name: Secret(value) for name, value in vendor.secrets.items()}
        async with WebSession(proxies={}) as web:
            gong = GongConnector(settings, common or ConnectorsConfig(), secrets, web, tools=tools or quick())
            answer = await work(gong)
            await gong.close()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"
            return answer

    return asyncio.run(main())


def quick(**more: Any) -> Tools:
    """Retries without their pauses; what a Retry-After says still holds."""
    return Tools(chance=lambda: 0.0, **more)


def changes(vendor: GongVendor, cursor: str | None = None, *, since: str | None = None, **options: Any) -> list[Change]:
    async def work(gong: GongConnector) -> list[Change]:
        return [change async for change in gong.changes(cursor, since=since)]

    found: list[Change] = use(vendor, work, **options)
    return found


def reconciled(vendor: GongVendor, known: list[str], **options: Any) -> list[Change]:
    async def work(gong: GongConnector) -> list[Change]:
        return [change async for change in gong.reconcile(known)]

    found: list[Change] = use(vendor, work, **options)
    return found


def search(vendor: GongVendor, query: str, limit: int = 10, seconds: float = 30.0, **options: Any) -> Any:
    return use(vendor, lambda gong: gong.search(query, limit, Deadline(seconds)), **options)


def fetch(vendor: GongVendor, call_id: str, **options: Any) -> Any:
    return use(vendor, lambda gong: gong.fetch(call_id, Deadline(30)), **options)


def ping(vendor: GongVendor, **options: Any) -> Any:
    return use(vendor, lambda gong: gong.ping(Deadline(30)), **options)


def applied(found: list[Change], state: dict[str, str] | None = None) -> dict[str, str]:
    """The texts that a store holds after these changes."""
    state = dict(state or {})
    for change in found:
        if isinstance(change, Upsert):
            state[change.item.id] = change.item.text
        elif isinstance(change, Removed):
            state.pop(change.id, None)
    return state


def given(found: list[Change]) -> list[str]:
    return [change.item.id for change in found if isinstance(change, Upsert)]


def skipped(found: list[Change]) -> list[Skipped]:
    return [change for change in found if isinstance(change, Skipped)]


def last(found: list[Change]) -> str:
    """The cursor of the end."""
    end = found[-1]
    assert isinstance(end, Checkpoint)
    assert end.done
    return end.cursor


def filters(vendor: GongVendor) -> list[dict[str, Any]]:
    """The filters that were asked for, in order."""
    return [msgspec.json.decode(seen.body)["filter"] for seen in vendor.requests if seen.method == "POST"]
