"""Notion after a kill, what is gone, and how much it takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.connectors.base import Checkpoint, Removed, Skipped, Upsert
from sophiactl.connectors.errors import KeyRefused
from sophiactl.connectors.notion_listing import SPOOL_BYTES, Listing
from sophiactl.connectors.session import Tools
from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.vendors.notion_errors import NOTION_FAULTS
from sophiactl.testing.web_server import Reply
from tests.notion_workspaces import (
    Clock,
    Direct,
    applied,
    by_id,
    children_read,
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
    import random
    from collections.abc import Sequence

    from sophiactl.connectors.base import Change, Item
    from sophiactl.testing.web_server import Seen


# Kills


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.booleans())
def test_a_kill_at_any_moment_changes_nothing(chance: random.Random, ties: bool) -> None:
    vendor = NotionVendor()
    clock = Clock(vendor)
    home = vendor.add_page("Home", ["x"])
    deals = vendor.add_database("Deals", {"Name": "title"}, parent=home)
    for number in range(30):
        vendor.add_row(deals, {"Name": f"Row {number}"}, [f"body {number}"])
        clock.on(0 if ties else 3)
    whole = synced(vendor)
    expected = applied({}, whole)

    state: dict[str, Item] = {}
    where: str | None = None
    for _ in range(4):  # killed four times, each time later
        stream = synced(vendor, where)
        cut = stream[: chance.randrange(len(stream) + 1)]
        state = applied(state, cut)
        points = [change.cursor for change in cut if isinstance(change, Checkpoint)]
        where = points[-1] if points else where
    state = applied(state, synced(vendor, where))

    assert state == expected


def test_every_prefix_of_a_stream_can_be_resumed() -> None:
    vendor, clock = workspace(34)
    first = applied({}, synced(vendor))
    for change_set in (None, cursor(synced(vendor))):
        if change_set:
            clock.on(60)
            for name in list(vendor.things)[::2]:
                vendor.edit_page(name, markdown="edited")
        stream = synced(vendor, change_set)
        expected = by_id(vendor)
        for length in range(len(stream) + 1):
            state = applied(dict(first), stream[:length])
            points = [change.cursor for change in stream[:length] if isinstance(change, Checkpoint)]
            state = applied(state, synced(vendor, points[-1] if points else change_set))
            assert state == expected


def test_a_resumed_sync_reads_what_is_left_and_what_was_edited_meanwhile() -> None:
    vendor, clock = workspace(60)
    stream = synced(vendor)
    third = [change.cursor for change in stream if isinstance(change, Checkpoint)][2]
    clock.on(60)
    vendor.edit_page(next(iter(vendor.things)), markdown="edited")
    vendor.requests.clear()

    found = synced(vendor, third)

    assert items(found)["Page 0"].text == "edited"
    assert len(items(found)) == 13  # twelve were left
    assert len(children_read(vendor)) == 13


def test_nobody_who_stops_to_listen_leaves_tasks_behind() -> None:
    vendor, _ = workspace(40)

    async def run() -> int:
        stream = made(vendor).changes(None)
        async for change in stream:
            if isinstance(change, Upsert):
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


# What is gone


def test_reconcile_follows_the_trash_deletions_and_lost_access() -> None:
    vendor, _ = workspace(8)
    deals = vendor.add_database("Deals", {"Name": "title"})
    row = vendor.add_row(deals, {"Name": "Row"})
    known = list(by_id(vendor))
    trashed, deleted, unshared, unlisted = list(vendor.things)[:4]
    vendor.trash(trashed)
    vendor.delete(deleted)
    vendor.unshare(unshared)
    vendor.leave_out(unlisted, deals)

    found = asyncio.run(collected(made(vendor).reconcile([*known, "never-was"])))

    assert {change.id for change in found if isinstance(change, Removed)} == {trashed, deleted, unshared, "never-was"}
    assert found[-1] == Checkpoint("", done=True)
    assert row in known


def test_reconcile_leaves_alone_what_it_cannot_tell() -> None:
    vendor, _ = workspace(3)
    known = list(by_id(vendor))
    vendor.leave_out(*known)
    failing(vendor, "403", f"/pages/{known[0]}")
    serve = vendor.serve

    def worse(seen: Seen) -> Reply:
        if seen.path.endswith((f"/pages/{known[1]}", f"/data_sources/{known[1]}")):
            return NOTION_FAULTS["400"]
        return Reply.html(404) if known[2] in seen.path else serve(seen)

    vendor.serve = worse  # type: ignore[method-assign]

    found = asyncio.run(collected(made(vendor).reconcile(known)))

    assert not [change for change in found if isinstance(change, Removed)]
    assert {one.ref for one in skipped(found)} == set(known)


def test_reconcile_does_not_take_an_outage_for_deletions() -> None:
    vendor, _ = workspace(3)
    known = list(by_id(vendor))
    with vendor:
        vendor.queue(*["401"] * 9)
        with pytest.raises(KeyRefused):
            over_http(vendor, lambda one: collected(one.reconcile(known)))


def test_an_old_page_that_is_shared_later_is_read_by_the_next_reconcile() -> None:
    vendor, clock = workspace(5)
    old = list(vendor.things)[1]
    vendor.unshare(old)
    first = synced(vendor)
    known = list(applied({}, first))
    clock.on(600)
    vendor.share(old)  # its edit time stays

    async def run() -> tuple[list[Change], list[Change], list[Change]]:
        one = made(vendor)
        alone = await collected(one.reconcile(known))
        second = await collected(one.changes(cursor(first)))
        return alone, second, await collected(one.reconcile(known))

    alone, second, third = asyncio.run(run())

    assert not items(alone)
    assert "Page 1" not in items(second)
    assert set(items(third)) == {"Page 1"}


# Size


def test_what_does_not_fit_in_memory_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor, _ = workspace(20)
    monkeypatch.setattr("sophiactl.connectors.notion_listing.SPOOL_BYTES", 2_000)
    assert Listing()._room == 2_000 < SPOOL_BYTES

    found = synced(vendor)

    assert len(items(found)) == 20
    assert any(seen.path.startswith("/v1/pages/") for seen in vendor.requests)


def test_what_is_listed_takes_little_memory() -> None:
    vendor, _ = workspace(0)
    deals = vendor.add_database("Deals", {"Name": "title", "Stage": "select", "Notes": "rich_text"})
    for number in range(200):
        vendor.add_row(deals, {"Name": f"Row {number}", "Stage": "Won", "Notes": f"note {number} " * 20})
    listing = Listing()
    from sophiactl.testing.vendors.notion_state import object_of

    sizes = []
    for thing in list(vendor.things.values())[2:]:
        found = object_of(thing, vendor.things, "2025-09-03", trashed=False)
        sizes.append(len(msgspec.json.encode(found)))
        listing.add(found)

    assert sum(len(ref.packed) for ref in listing.refs.values()) < sum(sizes) / 2
    assert next(iter(listing.refs.values())).found()


def titles(changes: Sequence[Change]) -> list[str]:
    return [change.item.title for change in changes if isinstance(change, Upsert)]


def test_calls_keep_to_the_limit_and_to_what_is_said() -> None:
    vendor, _ = workspace(30)
    now = [0.0]

    async def sleep(seconds: float) -> None:
        now[0] += seconds

    async def run() -> list[Change]:
        tools = Tools(clock=lambda: now[0], sleep=sleep)
        return await collected(connector(vendor, Direct(vendor), tools, limits={}).changes(None))

    found = asyncio.run(run())

    assert len(titles(found)) == 30
    assert now[0] >= (len(vendor.requests) - 6) / 3 - 0.01
    assert not [change for change in found if isinstance(change, Skipped)]
