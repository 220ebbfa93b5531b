"""Notion that fails, makes no sense, shifts and forgets while it is read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.connectors.base import Checkpoint
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import KeyRefused, Malformed, NoService, ServiceError, TooFast
from sophiactl.testing.vendors.notion_blocks import block
from sophiactl.testing.vendors.notion_errors import NOTION_FAULTS
from sophiactl.testing.vendors.notion_paging import PAGINGS
from sophiactl.testing.web_server import Reply
from tests.notion_workspaces import (
    Direct,
    applied,
    by_id,
    collected,
    connector,
    cursor,
    failing,
    items,
    made,
    over_http,
    skipped,
    synced,
    workspace,
)

if TYPE_CHECKING:
    from sophiactl.connectors.base import Change
    from sophiactl.testing.web_server import Seen


# Failures meanwhile


@pytest.mark.parametrize("fault", ["500", "529", "200-html", "truncated-json"])
def test_a_page_that_fails_is_never_given_by_half_and_is_read_next_time(fault: str) -> None:
    vendor, _ = workspace(20)
    page = vendor.add_page("Long", [f"line {number}" for number in range(150)], at="2026-01-01T09:01")
    bad = vendor.add_page("Bad", [block("toggle", "open", "inside")], at="2026-01-01T09:02")
    toggle = vendor.things[bad].blocks[0].id
    serve = vendor.serve
    failing(vendor, fault, f"/blocks/{toggle}/children")

    first = synced(vendor, retries=0)
    vendor.serve = serve  # type: ignore[method-assign]
    second = synced(vendor, cursor(first))

    assert "Bad" not in items(first)
    assert [one.ref for one in skipped(first)] == [bad]
    assert items(first)["Long"].id == page
    assert "inside" in items(second)["Bad"].text
    assert "failed" not in cursor(second)


def test_a_second_page_of_blocks_that_fails_is_the_page_s_failure() -> None:
    vendor, _ = workspace(1)
    vendor.add_page("Long", [f"line {number}" for number in range(150)])
    serve = vendor.serve

    def broken(seen: Seen) -> Reply:
        return NOTION_FAULTS["500"] if "start_cursor" in seen.raw_query else serve(seen)

    vendor.serve = broken  # type: ignore[method-assign]

    found = synced(vendor, retries=0)

    assert set(items(found)) == {"Page 0"}
    assert [one.code for one in skipped(found)] == ["service_down"]


def test_a_service_that_is_down_ends_the_stream_and_nothing_is_lost() -> None:
    vendor, _ = workspace(40)
    broken = Direct(vendor)
    serve = vendor.serve

    first: list[Change] = []

    async def run() -> None:
        async for change in connector(vendor, broken, retries=0).changes(None):
            first.append(change)
            if isinstance(change, Checkpoint):
                failing(vendor, "500", "/children")

    with pytest.raises(ServiceError):
        asyncio.run(run())
    vendor.serve = serve  # type: ignore[method-assign]
    last = [change.cursor for change in first if isinstance(change, Checkpoint)][-1]

    state = applied(applied({}, first), synced(vendor, last))

    assert {item.title for item in state.values()} == {f"Page {number}" for number in range(40)}


@pytest.mark.parametrize(("fault", "kind"), [("401", KeyRefused), ("429-workspace", TooFast), ("reset", NoService)])
def test_what_concerns_the_whole_service_ends_the_stream(fault: str, kind: type[ServiceError]) -> None:
    vendor, _ = workspace(3)
    with vendor:
        failing(vendor, fault, "/children")
        with pytest.raises(kind):
            over_http(vendor, lambda one: collected(one.changes(None)), retries=0)


def test_listings_that_make_no_sense() -> None:
    vendor, _ = workspace(1)
    page = {"object": "page", "id": "p", "last_edited_time": "2026-01-01T09:00:00.000Z", "properties": {}}
    circle = Reply.json({"object": "list", "results": [page], "has_more": True, "next_cursor": "c"})
    failing(vendor, circle, "/search")
    with pytest.raises(Malformed, match="same cursor twice"):
        synced(vendor)

    failing(vendor, Reply.json({"object": "list"}), "/search")
    with pytest.raises(Malformed, match="no list"):
        synced(vendor)

    count = [0]

    def endless(_seen: Seen) -> Reply:
        count[0] += 1
        return Reply.json({"object": "list", "results": [page], "has_more": True, "next_cursor": f"c{count[0]}"})

    vendor.serve = endless  # type: ignore[method-assign, assignment]
    with pytest.raises(Malformed, match="no end"):
        synced(vendor)


def test_a_listing_that_is_cut_short_is_said_and_read_again() -> None:
    vendor, _ = workspace(30)
    serve = vendor.serve

    def cut(seen: Seen) -> Reply:
        reply = serve(seen)
        if seen.path != "/v1/search":
            return reply
        return Reply.json(msgspec.json.decode(reply.body) | {"has_more": True, "next_cursor": None})

    vendor.serve = cut  # type: ignore[method-assign]
    first = synced(vendor, page_size=10)
    vendor.serve = serve  # type: ignore[method-assign]
    second = synced(vendor, cursor(first), page_size=10)

    assert len(items(first)) == 10
    assert [one.code for one in skipped(first)] == ["malformed"]
    assert set(items(first)) | set(items(second)) == {f"Page {number}" for number in range(30)}


def test_records_that_make_no_sense_are_named_and_the_others_read() -> None:
    vendor, _ = workspace(2)
    serve = vendor.serve
    strange: list[Any] = [
        None,
        7,
        {},
        {"object": "page"},
        {"object": "page", "id": None},
        {"object": "comment", "id": "c"},
        {"object": "page", "id": "1234567890123456789", "properties": None, "parent": 3, "created_by": "Ada"},
    ]

    def odd(seen: Seen) -> Reply:
        if seen.path.startswith("/v1/blocks/1234567890123456789"):
            return Reply.json({"results": [None, {"type": "paragraph", "paragraph": {"rich_text": None}}]})
        reply = serve(seen)
        if seen.path != "/v1/search":
            return reply
        found = msgspec.json.decode(reply.body)
        return Reply.json(found | {"results": [*strange, *found["results"]]})

    vendor.serve = odd  # type: ignore[method-assign]

    found = synced(vendor)

    assert set(items(found)) == {"Page 0", "Page 1", ""}
    assert items(found)[""].id == "1234567890123456789"
    assert {one.code for one in skipped(found)} == {"malformed"}


def test_a_page_of_thirty_megabytes() -> None:
    vendor, _ = workspace(1)
    huge = "x" * (30 << 20)
    page = vendor.add_page("Huge", [block("paragraph", rich_text=[{"plain_text": huge}])])

    item = asyncio.run(made(vendor).fetch(page, Deadline(60)))

    assert len(item.text) == len(huge)


def test_an_object_with_nothing_in_it_is_no_page() -> None:
    vendor, _ = workspace(1)
    page = next(iter(vendor.things))
    failing(vendor, Reply.json({}), f"/pages/{page}")

    with pytest.raises(Malformed, match="nothing"):
        asyncio.run(made(vendor).fetch(page, Deadline(20)))


# Listings that shift, and cursors that expire


@pytest.mark.parametrize("paging", PAGINGS)
@settings(max_examples=40)
@given(data=st.data())
def test_nothing_is_lost_while_the_listing_shifts(paging: str, data: st.DataObject) -> None:
    """Edits, new pages and the trash, at any moment of a first sync: everything else is there at its end."""
    vendor, clock = workspace(25)
    vendor.cursors.paging = paging
    names = list(vendor.things)
    trashed: set[str] = set()
    moments = data.draw(st.dictionaries(st.integers(0, 40), st.sampled_from(("edit", "add", "trash")), max_size=8))

    def before(count: int) -> None:
        if count not in moments:
            return
        clock.on(1)
        name = data.draw(st.sampled_from(names))
        if moments[count] == "edit":
            vendor.edit_page(name, markdown=f"edited {count}")
        elif moments[count] == "add":
            names.append(vendor.add_page(f"Added {count}", ["new"]))
        else:
            vendor.trash(name)
            trashed.add(name)

    first = asyncio.run(collected(made(vendor, before, page_size=4).changes(None)))
    state = applied({}, first)
    after_one = set(state)

    async def second() -> list[Change]:
        notion = made(vendor)
        found = await collected(notion.changes(cursor(first)))
        return [*found, *await collected(notion.reconcile(list(applied(dict(state), found))))]

    state = applied(state, asyncio.run(second()))

    # By offset, each thing deleted may hide one other; a pass of the listing in which nothing is deleted finds it.
    if paging != "offset" or len(trashed) <= 1:
        old = {name for name, thing in vendor.things.items() if thing.created < "2026-01-01T11:55"}
        assert old - trashed <= after_one
    assert state == by_id(vendor)


@pytest.mark.parametrize("every", [1, 2, 5])
def test_cursors_that_expire_are_no_end(every: int) -> None:
    vendor, _ = workspace(40)

    def before(count: int) -> None:
        if count % (every + 1) == every:
            vendor.cursors.forget()

    found = asyncio.run(collected(made(vendor, before, page_size=10).changes(None)))

    assert set(items(found)) >= {f"Page {number}" for number in (0, 1, 38, 39)}
    missing = 40 - len(items(found))
    assert bool(missing) <= any(one.code == "listing_incomplete" for one in skipped(found))


def test_a_listing_is_read_from_both_ends_where_its_cursors_expire() -> None:
    vendor, _ = workspace(40)
    expired = [0]
    serve = vendor.serve

    def third_page(seen: Seen) -> Reply:
        if seen.path == "/v1/search":
            expired[0] = expired[0] + 1 if "start_cursor" in seen.json() else 0
            if expired[0] == 2:
                vendor.cursors.forget()
        return serve(seen)

    vendor.serve = third_page  # type: ignore[method-assign]

    found = synced(vendor, page_size=10)

    assert len(items(found)) == 40
    assert [one.code for one in skipped(found)] == ["listing_incomplete"]
    assert '"after"' in cursor(found)
