"""HubSpot's stream of changes loses nothing, wherever it is cut, and whatever changes or goes wrong meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.connectors import errors
from sophiactl.connectors.base import Checkpoint, Skipped
from sophiactl.testing.vendors.hubspot import HubSpotVendor
from sophiactl.testing.vendors.hubspot_portal import iso
from sophiactl.testing.web_server import Reply
from tests.hubspot_reading import (
    NOON,
    PEOPLE,
    agrees,
    applied,
    changes,
    cursor_of,
    ids,
    opened,
    people,
    searches,
    upserts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sophiactl.connectors.base import Change
    from sophiactl.testing.web_server import Seen


@pytest.fixture
def hub() -> Iterator[HubSpotVendor]:
    with HubSpotVendor() as vendor:
        yield vendor


# What changes while it is read


def meanwhile(hub: HubSpotVendor, page: int, work: Callable[[], None]) -> None:
    """Do something behind the back of the connector, before its search number `page` is answered."""
    count = 0

    def answered(seen: Seen) -> Reply:
        nonlocal count
        if seen.path.endswith("/search"):
            count += 1
            if count == page:
                work()
        return hub.answer(seen)

    hub.queue(*[answered] * 200)


def called(hub: HubSpotVendor, numbers: list[str]) -> None:
    """Somebody calls people, and notes their phones."""
    for number in numbers:
        hub.edit("contacts", number, phone="9")


@pytest.mark.parametrize("page", [2, 3, 4, 5])
def test_records_that_change_while_they_are_paged_push_none_out(hub: HubSpotVendor, page: int) -> None:
    added = people(hub, 40)
    meanwhile(hub, page, lambda: called(hub, added[:9]))
    stream = changes(hub, page_size=5, **PEOPLE)
    assert agrees(hub, applied(stream))


def test_records_of_a_tie_that_change_while_it_is_read_push_none_out(hub: HubSpotVendor) -> None:
    added = [hub.add_contact("T", at=NOON) for _ in range(40)]
    meanwhile(hub, 5, lambda: called(hub, added[:12]))
    stream = changes(hub, page_size=5, **PEOPLE)
    assert agrees(hub, applied(stream))


def test_what_the_index_learns_late_is_in_the_next_run(hub: HubSpotVendor) -> None:
    added = people(hub, 5)
    hub.lagging = True
    late = hub.add_contact("Late", at=hub.now() - 5_000)
    hub.edit("contacts", added[0], phone="5", at=hub.now() - 4_000)
    hub.lagging = False
    now = hub.add_contact("Now")
    first = changes(hub, **PEOPLE)
    assert f"contacts/{late}" not in ids(first)
    assert f"contacts/{now}" in ids(first)
    hub.catch_up()
    second = changes(hub, cursor_of(first), **PEOPLE)
    assert agrees(hub, applied(second, applied(first)))


def test_what_the_index_learns_late_is_not_lost_to_a_run_that_was_cut(hub: HubSpotVendor) -> None:
    """The cut is behind a record that is young enough for older ones to be missing before it."""
    hub.lagging = True
    late = hub.add_contact("Late", at=hub.now() - 5_000)
    hub.lagging = False
    for _ in range(3):
        hub.add_contact("Now")
    stream = changes(hub, page_size=2, **PEOPLE)
    cut = next(change for change in stream if isinstance(change, Checkpoint))
    hub.catch_up()
    assert f"contacts/{late}" in ids(changes(hub, cut.cursor, page_size=2, **PEOPLE))


@pytest.mark.parametrize("skew", [-86_400.0, 86_400.0, 3e8])
def test_a_clock_that_is_wrong_loses_nothing(hub: HubSpotVendor, skew: float) -> None:
    hub.skew = skew
    added = [hub.add_contact(f"P{number}") for number in range(5)]
    first = changes(hub, page_size=2, **PEOPLE)
    state = applied(first)
    for round_ in range(3):
        hub.edit("contacts", added[round_], phone=f"{round_}")
        hub.archive("contacts", added[4]) if round_ == 1 else None
        hub.add_contact("More")
        first = changes(hub, cursor_of(first), page_size=2, **PEOPLE)
        state = applied(first, state)
        assert agrees(hub, state)


def test_what_is_archived_while_the_bin_is_listed_is_in_the_next_run(hub: HubSpotVendor) -> None:
    """Behind the back of the listing, and before something that was archived later and is listed in it."""
    added = people(hub, 250)
    hub.archive("contacts", added[0], at=NOON)
    for number in added[100:]:
        hub.archive("contacts", number, at=NOON)
    pages = 0

    def answered(seen: Seen) -> Reply:
        nonlocal pages
        if seen.query.get("archived") == "true" and "objects" in seen.path:
            pages += 1
            if pages == 2:
                hub.archive("contacts", added[1], at=hub.now() + 3_600_000)
                hub.archive("contacts", added[240], at=hub.now() + 7_200_000)
        return hub.answer(seen)

    hub.queue(*[answered] * 50)
    first = changes(hub, overlap_minutes=0.0, **PEOPLE)
    assert f"contacts/{added[1]}" in applied(first)
    second = changes(hub, cursor_of(first), overlap_minutes=0.0, **PEOPLE)
    assert agrees(hub, applied(second, applied(first)))


# Cut anywhere

ACTS = st.lists(
    st.tuples(st.sampled_from(["add", "edit", "archive", "restore", "merge", "delete"]), st.integers(0, 30)), max_size=6
)


def act(hub: HubSpotVendor, acts: list[tuple[str, int]]) -> None:
    for what, at in acts:
        kind = ("contacts", "companies")[at % 2]
        rows = hub.rows[kind]
        alive = [str(row.number) for row in rows.values() if row.archived is None]
        binned = [str(row.number) for row in rows.values() if row.archived is not None]
        if what == "add":
            hub.add(kind, {"phone": f"{at}"})
        elif what == "restore" and binned:
            hub.restore(kind, binned[at % len(binned)])
        elif what == "edit" and alive:
            hub.edit(kind, alive[at % len(alive)], phone=f"{at}")
        elif what == "archive" and alive:
            hub.archive(kind, alive[at % len(alive)])
        elif what == "delete" and alive:
            hub.delete(kind, alive[at % len(alive)])
        elif what == "merge" and len(alive) > 1:
            hub.merge(kind, alive[at % len(alive)], alive[(at + 1) % len(alive)])


def until(stream: list[Change], cut: int) -> tuple[list[Change], str | None]:
    """A stream that was killed after so many changes, and the last cursor it gave."""
    seen = stream[:cut]
    cursors = [change.cursor for change in seen if isinstance(change, Checkpoint)]
    return seen, cursors[-1] if cursors else None


@settings(max_examples=25)
@given(st.lists(st.integers(0, 5), max_size=10), st.integers(1, 4), st.data())
def test_a_stream_that_is_cut_anywhere_goes_on_without_loss(times: list[int], size: int, data: st.DataObject) -> None:
    both: dict[str, Any] = {"objects": ("contacts", "companies"), "page_size": size}
    with HubSpotVendor() as hub:
        for number, time in enumerate(times):
            hub.add(("contacts", "companies")[number % 2], {"phone": "0"}, NOON + time)
        act(hub, data.draw(ACTS))
        stream = changes(hub, **both)
        for cut in range(len(stream) + 1):
            seen, cursor = until(stream, cut)
            rest = changes(hub, cursor, **both)
            assert agrees(hub, applied(rest, applied(seen)))
        seen, cursor = until(stream, data.draw(st.integers(0, len(stream))))
        state = applied(seen)
        act(hub, [entry for entry in data.draw(ACTS) if entry[0] != "delete"])
        rest = changes(hub, cursor, **both)
        state = applied(rest, state)
        state = applied(changes(hub, cursor_of(rest), **both), state)
        assert agrees(hub, state)


def test_a_cut_stream_does_not_start_anew(hub: HubSpotVendor) -> None:
    people(hub, 100)
    [hub.add_contact("T", at=NOON + 9_000_000) for _ in range(100)]
    stream = changes(hub, page_size=10, **PEOPLE)
    points = [change for change in stream if isinstance(change, Checkpoint)]
    for at, point in enumerate(points[:-2]):
        rest = ids(changes(hub, point.cursor, page_size=10, **PEOPLE))
        assert len(rest) <= 200 - 10 * at + 20


def test_memory_holds_one_page(hub: HubSpotVendor) -> None:
    people(hub, 50)

    async def work() -> int:
        most = waiting = 0
        async with opened(hub, page_size=5, **PEOPLE) as connector:
            async for change in connector.changes(None):
                waiting = 0 if isinstance(change, Checkpoint) else waiting + 1
                most = max(most, waiting)
        return most

    assert asyncio.run(work()) <= 5


# Services that do not do as they are told


class Unmoved(HubSpotVendor):
    """One that gives the same page and cursor whatever is asked, as a mock does."""

    def serve(self, seen: Seen) -> Reply:
        if not seen.path.endswith("/search"):
            return super().serve(seen)
        record = {"id": "1", "properties": {"lastmodifieddate": iso(NOON)}}
        return Reply.json({"total": 22, "results": [record], "paging": {"next": {"after": "10"}}})


class ByOffsets(HubSpotVendor):
    """One that knows neither filters nor order, and pages by offsets alone."""

    def serve(self, seen: Seen) -> Reply:
        if seen.path.endswith("/search"):
            body = {key: value for key, value in seen.json().items() if key in ("limit", "after")}
            seen = type(seen)(seen.method, seen.path, seen.query, seen.headers, msgspec.json.encode(body))
        return super().serve(seen)


def test_a_cursor_that_leads_nowhere_ends() -> None:
    with Unmoved() as hub, pytest.raises(errors.Malformed, match="same cursor"):
        changes(hub, **PEOPLE)
    assert len(searches(hub)) <= 5


def test_a_service_without_filters_is_followed_by_its_offsets() -> None:
    with ByOffsets() as hub:
        for number in range(23):
            hub.add_contact(f"P{number}", at=NOON + (number * 7) % 23)
        stream = changes(hub, page_size=4, **PEOPLE)
        assert agrees(hub, applied(stream))
        again = changes(hub, cursor_of(stream), page_size=4, **PEOPLE)
        assert agrees(hub, applied(again, applied(stream)))


def test_owners_without_end_cost_their_names_and_not_the_records(hub: HubSpotVendor) -> None:
    people(hub, 3)
    ada = {"id": "7", "firstName": "Ada", "lastName": None}
    note = hub.add_note("x", owner="7", at=NOON, hs_created_by_user_id=None)
    page = Reply.json({"results": [ada], "paging": {"next": {"after": "7"}}})
    hub.queue("ok", page, page)
    stream = changes(hub)
    assert [change.ref for change in stream if isinstance(change, Skipped)] == ["names of owners"]
    assert len(ids(stream)) == 4
    assert next(item for item in upserts(stream) if item.id == f"notes/{note}").author == "Ada"


@pytest.mark.parametrize("page", [{}, {"results": None}, {"results": {}}, []])
def test_a_page_without_results_is_an_error_and_no_end(hub: HubSpotVendor, page: Any) -> None:
    people(hub, 3)
    hub.queue("ok", "ok", "ok", Reply.json(page))
    with pytest.raises(errors.Malformed):
        changes(hub, **PEOPLE)


@pytest.mark.parametrize("fault", ["500", "502-html", "429-bare", "truncated-json", "cut", "reset", "200-html"])
def test_a_passing_fault_costs_nothing(hub: HubSpotVendor, fault: str) -> None:
    people(hub, 30)
    hub.queue(*["ok"] * 4, fault)
    assert agrees(hub, applied(changes(hub, page_size=10, **PEOPLE)))
