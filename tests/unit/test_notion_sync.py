"""Notion in step: first and later syncs, and what search does not tell."""

from __future__ import annotations

import asyncio

import pytest

from sophiactl.connectors.base import Checkpoint, Upsert
from sophiactl.connectors.errors import BadQuery
from sophiactl.testing.vendors.notion import NotionVendor
from tests.notion_workspaces import (
    children_read,
    collected,
    cursor,
    items,
    made,
    skipped,
    synced,
    workspace,
)

# First and later syncs


def test_an_empty_workspace() -> None:
    vendor = NotionVendor()

    found = synced(vendor)

    assert found == [Checkpoint('{"v":1}', done=True)]
    vendor.add_page("First", at="2020-01-01")
    assert set(items(synced(vendor, cursor(found)))) == {"First"}


def test_everything_comes_oldest_first_and_checkpoints_in_between() -> None:
    vendor, _ = workspace(60)

    found = synced(vendor)

    given_items = [change.item for change in found if isinstance(change, Upsert)]
    assert [item.title for item in given_items] == [f"Page {number}" for number in range(60)]
    points = [change for change in found if isinstance(change, Checkpoint)]
    assert len(points) == 5
    assert [point.done for point in points] == [False] * 4 + [True]


def test_a_second_sync_reads_the_overlap_only() -> None:
    vendor, _ = workspace(30)
    first = synced(vendor)
    vendor.requests.clear()

    second = synced(vendor, cursor(first))

    assert set(items(second)) == {"Page 28", "Page 29"}  # ten minutes, of pages seven minutes apart
    assert len(children_read(vendor)) == 2
    assert sum(seen.path == "/v1/search" for seen in vendor.requests) == 1
    assert cursor(second) == cursor(first)


@pytest.mark.parametrize("page_size", [3, 0])
def test_a_second_sync_of_many_pages_of_a_listing(page_size: int) -> None:
    vendor, clock = workspace(50)
    first = synced(vendor)
    clock.on(60)
    for title in ("Page 3", "Page 30"):
        vendor.edit_page(next(name for name, thing in vendor.things.items() if thing.title == title), markdown="new")
    vendor.requests.clear()

    second = synced(vendor, cursor(first), page_size=page_size)

    assert set(items(second)) == {"Page 3", "Page 30", "Page 48", "Page 49"}
    assert sum(seen.path == "/v1/search" for seen in vendor.requests) <= 4


def test_edits_new_pages_and_moves_are_followed() -> None:
    vendor, clock = workspace(3)
    home, page, other = list(vendor.things)
    first = synced(vendor)
    clock.on(60)
    vendor.edit_page(page, title="Renamed", markdown="new words", author="Bo")
    vendor.move(other, home)
    vendor.add_page("New", ["fresh"], parent=home)

    found = items(synced(vendor, cursor(first)))

    assert found["Renamed"].text == "new words"
    assert found["Renamed"].fields == {"edited_by": "Bo"}
    assert found["Page 2"].container == found["New"].container == "Page 0"


def test_edits_of_the_same_minute_are_not_lost() -> None:
    vendor, _ = workspace(0)
    vendor.add_page("First", ["one"])
    first = synced(vendor, overlap_minutes=0.0)
    vendor.add_page("Second", ["two"])  # in the minute that the first sync has seen already
    vendor.edit_page(next(iter(vendor.things)), markdown="edited")

    found = items(synced(vendor, cursor(first), overlap_minutes=0.0))

    assert {title: item.text for title, item in found.items()} == {"First": "edited", "Second": "two"}


@pytest.mark.parametrize("days", [-4_000, 4_000])
def test_the_vendors_clock_is_the_only_one(days: int) -> None:
    vendor, clock = workspace(5)
    clock.on(days * 1_440)
    vendor.things.clear()
    vendor.index.clear()
    vendor.add_page("Old", ["one"])
    first = synced(vendor)
    clock.on(600)
    vendor.add_page("Young", ["two"])
    second = synced(vendor, cursor(first))

    assert set(items(second)) == {"Old", "Young"}
    assert set(items(synced(vendor, cursor(second)))) == {"Young"}


def test_what_the_index_learns_late_is_found_within_the_overlap() -> None:
    vendor, clock = workspace(3)
    vendor.index_lag = True
    vendor.add_page("Late", ["text"])
    vendor.index_lag = False
    clock.on(5)
    vendor.add_page("In time", ["text"])
    first = synced(vendor)
    vendor.catch_up()

    second = synced(vendor, cursor(first))

    assert "Late" not in items(first)
    assert "Late" in items(second)


def test_since() -> None:
    vendor, _ = workspace(10)

    found = synced(vendor, since="2026-01-01T09:28:45+00:00")

    assert set(items(found)) == {f"Page {number}" for number in range(4, 10)}
    with pytest.raises(BadQuery, match="no date"):
        synced(vendor, since="yesterday")


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"v":2}',
        '{"v":1,"after":"soon"}',
        '{"v":1,"channel":"C1"}',
        '{"v":1,"done":["x"]}',
        "null",
    ],
)
def test_a_cursor_that_is_damaged_or_anothers(broken: str) -> None:
    vendor, _ = workspace(1)

    with pytest.raises(BadQuery) as caught:
        synced(vendor, broken)

    assert "--since" in str(caught.value.hint)
    assert not vendor.requests


# What search does not tell


def test_rows_and_child_pages_that_search_leaves_out_are_found_all_the_same() -> None:
    vendor, _ = workspace(2)
    home = next(iter(vendor.things))
    deals = vendor.add_database("Deals", {"Name": "title"}, parent=home)
    hidden = vendor.add_database("Hidden deals", {"Name": "title"}, parent=home)
    child = vendor.add_page("Child", ["text"], parent=home)
    grandchild = vendor.add_page("Grandchild", ["text"], parent=child)
    rows = [vendor.add_row(deals, {"Name": f"Row {number}"}) for number in range(120)]
    hidden_row = vendor.add_row(hidden, {"Name": "Hidden row"})
    vendor.leave_out(child, grandchild, hidden, hidden_row, *rows[::2])

    found = synced(vendor)

    expected = {"Page 0", "Page 1", "Deals", "Hidden deals", "Hidden row", "Child", "Grandchild"}
    assert set(items(found)) == expected | {f"Row {number}" for number in range(120)}
    assert not skipped(found)
    ids = [change.item.id for change in found if isinstance(change, Upsert)]
    assert len(ids) == len(set(ids))


def test_a_young_child_page_is_found_although_the_index_does_not_know_it() -> None:
    vendor, clock = workspace(2)
    home = next(iter(vendor.things))
    first = synced(vendor)
    clock.on(60)
    vendor.edit_page(home, markdown="new")
    vendor.index_lag = True
    vendor.add_page("Young", ["text"], parent=home)

    assert set(items(synced(vendor, cursor(first)))) == {"Page 0", "Page 1", "Young"}


def test_pages_below_that_are_not_shared_are_counted_and_named() -> None:
    vendor, _ = workspace(1)
    home = next(iter(vendor.things))
    private = vendor.add_page("Private plans", ["text"], parent=home)
    tables = vendor.add_database("Private table", {"Name": "title"}, parent=home)
    vendor.unshare(private)
    vendor.unshare(vendor.things[tables].parent)

    found = synced(vendor)

    assert set(items(found)) == {"Page 0"}
    assert {one.ref for one in skipped(found)} == {private, vendor.things[tables].parent}
    assert {one.code for one in skipped(found)} == {"item_gone"}
    assert any("Private plans" in one.reason for one in skipped(found))
    assert "[Private plans](" in items(found)["Page 0"].text


def test_a_page_that_is_unshared_between_listing_and_reading_is_skipped() -> None:
    vendor, _ = workspace(3)
    page = list(vendor.things)[1]

    def before(count: int) -> None:
        if count == 1:
            vendor.unshare(page)

    found = asyncio.run(collected(made(vendor, before).changes(None)))

    assert set(items(found)) == {"Page 0", "Page 2"}
    assert [(one.ref, one.code) for one in skipped(found)] == [(page, "item_gone")]


def test_a_restricted_page_is_skipped_with_its_reason() -> None:
    vendor, _ = workspace(3)
    vendor.restricted = {list(vendor.things)[1]}

    found = synced(vendor)

    assert set(items(found)) == {"Page 0", "Page 2"}
    assert [one.code for one in skipped(found)] == ["missing_scope"]
    assert "restricted_resource" in skipped(found)[0].reason
