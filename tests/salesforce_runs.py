"""A connector to a loopback Salesforce, and what a sync makes of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sophiactl.connectors.base import Change, Checkpoint, Removed, Skipped, Upsert
from sophiactl.connectors.config import ConnectorsConfig, Limit, SalesforceConfig
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.salesforce import SalesforceConnector
from sophiactl.connectors.session import Tools
from sophiactl.redaction import Secret
from sophiactl.web import WebSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sophiactl.connectors.base import Cost, Found, Identity, Item
    from sophiactl.testing.vendors.salesforce import SalesforceVendor

FAST = {"all": Limit(100_000.0, 1.0, 1000.0)}
START = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)


class Clock:
    """An organisation's clock: it moves only when told to."""

    def __init__(self, start: datetime = START) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, **spans: float) -> None:
        self.time += timedelta(**spans)


def use(
    vendor: SalesforceVendor,
    work: Callable[[SalesforceConnector], Awaitable[Any]],
    *,
    common: ConnectorsConfig | None = None,
    tools: Tools | None = None,
    secrets: dict[str, str] | None = None,
    **config: Any,
) -> Any:
    """What `work` makes of a connector to the vendor; no task is left behind."""

    async def main() -> Any:
        settings = SalesforceConfig(**{"limits": FAST, **config})
        values = vendor.secrets if secrets is None else secrets
        known = {name: Secret(value) for name, value in values.items()}
        async with WebSession(proxies={}) as web:
            connector = SalesforceConnector(settings, common or ConnectorsConfig(), known, web, tools=tools or quick())
            answer = await work(connector)
            await connector.close()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"
            return answer

    return asyncio.run(main())


def quick(**more: Any) -> Tools:
    """Retries without their pauses; what a Retry-After says still holds."""
    return Tools(chance=lambda: 0.0, **more)


def session_only(vendor: SalesforceVendor) -> dict[str, str]:
    """Secrets of someone who has a session, and no app."""
    return {"SALESFORCE_INSTANCE_URL": vendor.base_url, "SALESFORCE_OAUTH_TOKEN": vendor.oauth_token}


def changes(
    vendor: SalesforceVendor, cursor: str | None = None, *, since: str | None = None, **options: Any
) -> list[Change]:
    async def work(connector: SalesforceConnector) -> list[Change]:
        return [change async for change in connector.changes(cursor, since=since)]

    found: list[Change] = use(vendor, work, **options)
    return found


def reconciled(vendor: SalesforceVendor, known: Sequence[str], **options: Any) -> list[Change]:
    async def work(connector: SalesforceConnector) -> list[Change]:
        return [change async for change in connector.reconcile(known)]

    found: list[Change] = use(vendor, work, **options)
    return found


def search(vendor: SalesforceVendor, query: str, limit: int = 20, **options: Any) -> Found:
    found: Found = use(vendor, lambda connector: connector.search(query, limit, Deadline(20)), **options)
    return found


def ping(vendor: SalesforceVendor, **options: Any) -> Identity:
    identity: Identity = use(vendor, lambda connector: connector.ping(Deadline(20)), **options)
    return identity


def fetch(vendor: SalesforceVendor, item_id: str, **options: Any) -> Item:
    found: Item = use(vendor, lambda connector: connector.fetch(item_id, Deadline(20)), **options)
    return found


def cost(vendor: SalesforceVendor, since: str | None = None, **options: Any) -> Cost:
    found: Cost = use(vendor, lambda connector: connector.cost(since, Deadline(20)), **options)
    return found


def given(changes: Iterable[Change]) -> list[Item]:
    return [change.item for change in changes if isinstance(change, Upsert)]


def removed(changes: Iterable[Change]) -> list[str]:
    return [change.id for change in changes if isinstance(change, Removed)]


def skipped(changes: Iterable[Change]) -> list[Skipped]:
    return [change for change in changes if isinstance(change, Skipped)]


def last(changes: Sequence[Change]) -> str:
    """The cursor that a stream ends with."""
    end = changes[-1]
    assert isinstance(end, Checkpoint)
    assert end.done
    return end.cursor


def applied(changes: Iterable[Change], held: dict[str, str] | None = None) -> dict[str, str]:
    """What a memory holds after these changes: the text of each record."""
    held = {} if held is None else held
    for change in changes:
        if isinstance(change, Upsert):
            held[change.item.id] = change.item.text
        elif isinstance(change, Removed):
            held.pop(change.id, None)
    return held


def queries(vendor: SalesforceVendor) -> list[str]:
    """The queries that arrived."""
    return [seen.query["q"] for seen in vendor.requests if "q" in seen.query]


def names(vendor: SalesforceVendor, name: str = "Account") -> set[str]:
    """What is there, as a memory should hold it: its names."""
    return {row["Name"] for row in vendor.rows[name].values() if not row["IsDeleted"]}
