"""Every call of the Notion connector fits Notion's published description, and none of them writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import BadQuery
from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.vendors.notion_blocks import block
from tests.api_descriptions import checker, writes
from tests.notion_workspaces import collected, cursor, over_http

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.connectors.notion import NotionConnector


async def everything(made: NotionConnector) -> dict[str, int]:
    """Each method of a connector, with listings of more than one page."""
    soon = Deadline(30)
    await made.ping(soon)
    await made.cost(None, soon)
    await made.search("row", 120, soon)
    first = await collected(made.changes(None))
    second = await collected(made.changes(cursor(first)))
    known = [change.item.id for change in first if hasattr(change, "item")]
    await made.fetch(known[0], soon)
    third = await collected(made.reconcile([*known, "35261e8c-e0a3-80f7-bec9-ff2aa86241e1"]))
    return {"first": len(first), "second": len(second), "third": len(third)}


def workspace() -> NotionVendor:
    vendor = NotionVendor()
    home = vendor.add_page("Home", ["line"] * 120, author="Ada", at="2026-01-01")
    vendor.add_page("Block child", [block("toggle", "open", "inside")], parent=home, at="2026-01-01")
    deals = vendor.add_database("Deals", {"Name": "title", "Stage": "select"}, parent=home, at="2026-01-01")
    hidden = vendor.add_database("Hidden", {"Name": "title"}, parent=home, at="2026-01-01")
    for number in range(110):
        vendor.add_row(deals, {"Name": f"Row {number}", "Stage": "Won"}, at="2026-01-02")
    for number in range(120):
        vendor.add_user(f"Person {number}")
    vendor.leave_out(hidden)
    vendor.unshare(vendor.add_page("Private", parent=home))
    return vendor


@pytest.mark.parametrize("version", ["2022-06-28", "2025-09-03", "2026-03-11"])
def test_every_call_is_described(shared: Path, version: str) -> None:
    with workspace() as vendor:
        vendor.check = checker(shared, "notion")

        found: Any = over_http(vendor, everything, version=version)

    assert not vendor.violations
    assert not [seen for seen in vendor.requests if writes(seen)]
    assert not [seen for seen in vendor.requests if vendor.token in seen.path + seen.raw_query]
    assert found["first"] > 112
    assert {seen.path.split("/")[2] for seen in vendor.requests} >= {"users", "search", "blocks", "pages", "databases"}


def test_the_check_finds_what_is_wrong(shared: Path) -> None:
    with workspace() as vendor:
        vendor.check = checker(shared, "notion")

        with pytest.raises(BadQuery, match="Notion-Version"):
            over_http(vendor, lambda made: made.ping(Deadline(30)), version="2025-01-01", retries=0)

    assert vendor.violations
