"""The made-up company: every service tells its part of the story, and our connectors read all of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.base import Checkpoint, Item, Upsert
from sophiactl.connectors.config import ConnectorsConfig
from sophiactl.redaction import Secret
from sophiactl.registry import CONNECTORS, load
from sophiactl.testing.vendors.company import ACCOUNTS, VENDORS, Week, fill
from sophiactl.web import WebSession

if TYPE_CHECKING:
    from sophiactl.testing.vendors.base import Vendor

NOW = datetime.now(UTC)
EVIDENCE = {
    "slack": "Priya Raman has left",
    "gong": "I need 20 percent less",
    "hubspot": "export stops after 2 GB",
    "salesforce": "Escalated by Acme Robotics",
    "notion": "the champion has left",
    "asana": "it is due before this is done",
}


def started(service: str) -> Vendor:
    vendor: Vendor = load(VENDORS, service, "vendor")()
    return vendor


async def _read(service: str, vendor: Vendor) -> tuple[list[Item], list[Any]]:
    config = type(getattr(ConnectorsConfig(), service))(base_url=vendor.address)
    secrets = {name: Secret(value) for name, value in vendor.secrets.items()}
    items, others = [], []
    async with WebSession() as web:
        connector = load(CONNECTORS, service, "service")(config, ConnectorsConfig(), secrets, web)
        async for change in connector.changes(None):
            if isinstance(change, Upsert):
                items.append(change.item)
            elif not isinstance(change, Checkpoint):
                others.append(change)
        await connector.close()
    return items, others


def test_all_services_have_a_part() -> None:
    assert set(VENDORS) == set(CONNECTORS) == set(EVIDENCE)


@pytest.mark.parametrize("service", VENDORS)
def test_service_tells_its_part_of_the_story(service: str) -> None:
    with started(service) as vendor:
        fill(vendor, NOW)
        items, others = asyncio.run(_read(service, vendor))
        assert (others, vendor.violations) == ([], [])
    words = "\n".join(f"{item.title}\n{item.text}" for item in items)
    assert EVIDENCE[service] in words
    assert {"Acme Robotics", "Globex Foods"} <= {account.name for account in ACCOUNTS if account.name in words}
    assert [item.id for item in items if item.updated_at and item.updated_at > datetime.now(UTC).isoformat()] == []


@pytest.mark.parametrize("service", VENDORS)
def test_same_records_are_there_at_any_time(service: str) -> None:
    """A company that is started anew is the same one: ids do not move with the clock, but for Slack's."""
    ids = []
    for now in (NOW, NOW - timedelta(days=3, hours=5)):
        with started(service) as vendor:
            fill(vendor, now)
            ids.append(sorted(item.id for item in asyncio.run(_read(service, vendor))[0]))
    assert ids[0] == ids[1] or service == "slack"
    assert len(ids[0]) == len(ids[1]) > 0


def test_times_are_never_ahead() -> None:
    early = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
    assert Week(early).ago(0, 23) == datetime(2026, 3, 2, tzinfo=UTC)
    assert Week(early).ago(1, 23) == datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert Week(early).day(30) == "2026-04-01"


def test_two_renewals_are_at_risk_and_two_are_not() -> None:
    assert [account.name for account in ACCOUNTS if account.due <= 30] == ["Acme Robotics", "Globex Foods"]
