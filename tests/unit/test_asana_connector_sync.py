"""Asana, synced: what changed, what is gone, what it costs, and kills anywhere."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.connectors.base import Checkpoint, Item, Upsert
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import (
    BadQuery,
    QuotaSpent,
)
from sophiactl.testing.vendors.asana import AsanaVendor
from sophiactl.testing.web_server import Reply
from tests.asana_office import (
    Direct,
    applied,
    collected,
    connector,
    cursor,
    items,
    over_http,
    reconciled,
    removed,
    skipped,
    synced,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.connectors.base import Change
    from sophiactl.testing.web_server import Seen

SOON = 20.0
EARLY, LATER, LATEST = "2026-01-02T08:00:00Z", "2026-02-03T09:00:00Z", "2026-03-04T10:00:00Z"


@pytest.fixture
def asana() -> Iterator[AsanaVendor]:
    with AsanaVendor() as vendor:
        yield vendor


@pytest.fixture
def quiet() -> AsanaVendor:
    """One without sockets."""
    return AsanaVendor()


# What changed


def test_a_task_in_two_projects_is_given_once(quiet: AsanaVendor) -> None:
    one, two = quiet.add_project("One"), quiet.add_project("Two")
    quiet.add_task([one, two], "Both", at=EARLY)
    quiet.add_task(two, "Alone", at=EARLY)

    stream = synced(quiet)

    assert [change.item.title for change in stream if isinstance(change, Upsert)] == ["Both", "Alone"]
    assert items(stream)["Both"].container == "One, Two"


def test_an_empty_workspace(quiet: AsanaVendor) -> None:
    stream = synced(quiet)

    assert [type(change) for change in stream] == [Checkpoint]
    assert synced(quiet, cursor(stream)) == stream


def test_archived_projects_and_those_of_no_team_are_read(quiet: AsanaVendor) -> None:
    quiet.add_task(quiet.add_project("Old", archived=True), "Archived", at=EARLY)
    quiet.add_task(quiet.add_project("Team", team=quiet.add_team("Sales")), "Teamed", at=EARLY)

    assert items(synced(quiet)).keys() == {"Archived", "Teamed"}


def test_only_the_workspaces_of_the_configuration_are_read(quiet: AsanaVendor) -> None:
    other = quiet.add_workspace("Globex")
    quiet.add_task(quiet.add_project("A"), "Acme's", at=EARLY)
    quiet.add_task(quiet.add_project("G", workspace=other), "Globex's", at=EARLY)

    assert items(synced(quiet, workspaces=(other,))).keys() == {"Globex's"}
    assert len(items(synced(quiet))) == 2


def test_the_second_sync_gives_the_overlap_and_follows_what_happened(quiet: AsanaVendor) -> None:
    one, two = quiet.add_project("One"), quiet.add_project("Two")
    for number in range(5):
        quiet.add_task(one, f"Old {number}", at=EARLY)
    edited = quiet.add_task(one, "Edited", at=EARLY)
    spoken = quiet.add_task(one, "Spoken of", at=EARLY)
    moved = quiet.add_task(one, "Moved", at=EARLY)
    quiet.add_task(one, "Tie", at=LATER)
    first = synced(quiet)

    quiet.add_task(one, "Same second", at=LATER)
    quiet.edit_task(edited, notes="new words", at=LATEST)
    quiet.mute = True  # a comment need not show in modified_at
    quiet.comment(spoken, "Ada", "late words", at=LATEST)
    quiet.move_task(moved, two, at=LATEST)
    second = synced(quiet, cursor(first))

    assert items(second).keys() == {"Tie", "Same second", "Edited", "Spoken of", "Moved"}
    assert items(second)["Moved"].container == "Two"
    assert "late words" in items(second)["Spoken of"].text
    state = applied(applied({}, first), second)
    assert state == applied({}, synced(quiet))


def test_what_changes_while_a_project_is_read_is_not_lost(quiet: AsanaVendor) -> None:
    """Neither in the project that is read, nor in one that was read before: the last task is the youngest of all."""
    before, long = quiet.add_project("Before"), quiet.add_project("Long")
    other = quiet.add_task(before, "Elsewhere", at=EARLY)
    tasks = [quiet.add_task(long, f"Task {number:03}", at=EARLY) for number in range(250)]

    def edit(seen: Seen) -> None:
        if seen.query.get("project") == long and "offset" in seen.query and quiet.tasks[tasks[0]].notes == "":
            for gid in (tasks[0], other):
                quiet.edit_task(gid, notes="edited meanwhile", at="2026-02-01T00:00:00Z")
            quiet.edit_task(tasks[-1], notes="the youngest", at=LATEST)

    class Dated(Direct):
        async def send(self, request: Any, **limits: Any) -> Any:
            answer = await super().send(request, **limits)
            answer.headers["date"] = "Sat, 31 Jan 2026 00:00:00 GMT"
            return answer

    first = asyncio.run(collected(connector(quiet, Dated(quiet, edit), comments=False).changes(None)))
    second = synced(quiet, cursor(first), comments=False)

    assert {"Task 000", "Elsewhere"} <= items(second).keys()
    assert "Task 001" not in items(second)
    assert applied(applied({}, first), second) == applied({}, synced(quiet, comments=False))


def test_an_old_project_that_is_shared_later_is_read_whole(quiet: AsanaVendor) -> None:
    hidden = quiet.add_project("Hidden")
    quiet.add_task(hidden, "Old", at=EARLY)
    quiet.add_task(quiet.add_project("Open"), "New", at=LATEST)
    quiet.unlisted.add(hidden)
    first = synced(quiet)
    assert items(first).keys() == {"New"}

    quiet.unlisted.clear()

    assert "Old" in items(synced(quiet, cursor(first)))


def test_since_leaves_out_what_is_older(quiet: AsanaVendor) -> None:
    project = quiet.add_project("One")
    quiet.add_task(project, "Old", at=EARLY)
    quiet.add_task(project, "New", at=LATEST)

    assert items(synced(quiet, since="2026-02-01")).keys() == {"New"}
    with pytest.raises(BadQuery, match="no date"):
        synced(quiet, since="yesterday")


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", "null", '{"v":2}', '{"v":1,"since":"soon"}', '{"v":1,"marks":{"1":"x"}}', '{"v":1,"x":1}'],
)
def test_a_damaged_cursor(quiet: AsanaVendor, damaged: str) -> None:
    with pytest.raises(BadQuery, match="cannot be read") as caught:
        synced(quiet, damaged)
    assert "--since" in str(caught.value.hint)


def test_a_project_that_may_not_be_read_is_named_and_the_others_are_read(quiet: AsanaVendor) -> None:
    closed, open_ = quiet.add_project("Closed"), quiet.add_project("Open")
    quiet.add_task(closed, "Secret", at=EARLY)
    quiet.add_task(open_, "Known", at=EARLY)
    first = synced(quiet)
    quiet.restricted.add(closed)

    second = synced(quiet, cursor(first))

    assert [(one.ref, one.code) for one in skipped(second)] == [(closed, "missing_scope")]
    assert not removed(second)
    quiet.restricted.clear()
    quiet.edit_task(next(iter(quiet.projects[closed].tasks)), notes="more", at=LATEST)
    assert items(synced(quiet, cursor(second)))["Secret"].text.endswith("more")


def test_a_project_that_is_gone_is_named_once(quiet: AsanaVendor) -> None:
    gone = quiet.add_project("Gone")
    quiet.add_task(gone, "One", at=EARLY)
    first = synced(quiet)
    quiet.delete_project(gone)

    second = synced(quiet, cursor(first))

    assert [(one.ref, one.code) for one in skipped(second)] == [(gone, "item_gone")]
    assert skipped(synced(quiet, cursor(second))) == []


def test_comments_that_fail_are_told_and_read_the_next_time(asana: AsanaVendor) -> None:
    gid = asana.add_task(asana.add_project("One"), "Talked", at=EARLY)
    asana.add_task(next(iter(asana.projects)), "Newer", at=LATEST)
    asana.comment(gid, "Ada", "Hello", at=EARLY)
    asana.queue("ok", "ok", "ok", "500")
    first = over_http(asana, lambda made: collected(made.changes(None)), retries=0, concurrency=1)

    assert "Hello" not in items(first)["Talked"].text
    assert [(one.ref, one.code) for one in skipped(first)] == [(f"{gid}#comments", "service_down")]
    assert "without them" in skipped(first)[0].reason
    second = over_http(asana, lambda made: collected(made.changes(cursor(first))))
    assert "Ada: Hello" in items(second)["Talked"].text


def test_offsets_that_expire_cost_pages_and_no_tasks(quiet: AsanaVendor) -> None:
    project = quiet.add_project("Long")
    for number in range(350):
        quiet.add_task(project, f"Task {number}", at=EARLY)
    calls = 0

    def expire(seen: Seen) -> None:
        nonlocal calls
        if seen.path.endswith("/tasks"):
            calls += 1
            if calls == 3:
                quiet.offsets.forget()

    assert len(items(synced(quiet, comments=False, before=expire))) == 350
    assert calls == 3 + 4


def test_a_cursor_whose_offset_has_expired(quiet: AsanaVendor) -> None:
    project = quiet.add_project("Long")
    for number in range(250):
        quiet.add_task(project, f"Task {number}", at=EARLY)
    stream = synced(quiet, comments=False)
    points = [change.cursor for change in stream if isinstance(change, Checkpoint)]
    quiet.offsets.forget()

    assert len(items(synced(quiet, points[5], comments=False))) == 250


def test_the_same_offset_for_ever_ends(asana: AsanaVendor) -> None:
    gid = asana.add_project("One")
    page = Reply.json({"data": [{"gid": "1", "name": "T"}], "next_page": {"offset": "again"}})
    asana.queue("ok", "ok", page, page, page)

    stream = over_http(asana, lambda made: collected(made.changes(None)), comments=False)

    assert [(one.ref, one.code) for one in skipped(stream)] == [(gid, "malformed")]


@pytest.mark.parametrize("following", [{"uri": "https://elsewhere.example/x"}, {"offset": None, "path": "/x"}])
def test_a_listing_that_goes_on_without_saying_where(asana: AsanaVendor, following: Any) -> None:
    gid = asana.add_project("One")
    asana.queue("ok", "ok", Reply.json({"data": [{"gid": "1", "name": "T"}], "next_page": following}))

    stream = over_http(asana, lambda made: collected(made.changes(None)), comments=False)

    assert items(stream).keys() == {"T"}
    assert [(one.ref, one.code) for one in skipped(stream)] == [(gid, "malformed")]


def test_one_bad_record_is_not_the_end(asana: AsanaVendor) -> None:
    asana.add_project("One")
    rows = [{"gid": None, "name": "No id"}, None, 7, {"gid": 1234567890123456789, "name": "T", "memberships": [None]}]
    asana.queue("ok", "ok", Reply.json({"data": rows, "next_page": None}))

    stream = over_http(asana, lambda made: collected(made.changes(None)), comments=False)

    assert items(stream)["T"].id == "1234567890123456789"
    assert [one.code for one in skipped(stream)] == ["malformed"]


def test_a_spent_budget_ends_the_stream_and_the_next_run_goes_on(quiet: AsanaVendor) -> None:
    project = quiet.add_project("One")
    for number in range(100):
        quiet.add_task(project, f"Task {number}", at=EARLY)
    state: dict[str, Item] = {}
    place: str | None = None

    async def run() -> bool:
        nonlocal place
        changes = connector(quiet, Direct(quiet), requests=40).changes(place)
        try:
            async for change in changes:
                applied(state, [change])
                if isinstance(change, Checkpoint):
                    place = change.cursor
                    if change.done:
                        return True
        except QuotaSpent:
            pass
        return False

    runs = 1
    while not asyncio.run(run()):
        runs += 1
        assert runs < 8
    assert len(state) == 100


# What is gone


def test_reconcile_tells_what_was_deleted(quiet: AsanaVendor) -> None:
    one, closed = quiet.add_project("One"), quiet.add_project("Closed")
    tasks = [quiet.add_task(one, f"Task {number}", at=EARLY) for number in range(130)]
    alone, secret = quiet.add_task((), "In no project", at=EARLY), quiet.add_task(closed, "Secret", at=EARLY)
    quiet.delete_task(tasks[3])
    quiet.restricted.add(closed)
    quiet.requests.clear()

    stream = reconciled(quiet, [*tasks, alone, secret])

    assert removed(stream) == [tasks[3]]
    assert {found.ref for found in skipped(stream)} == {closed, secret}
    assert isinstance(stream[-1], Checkpoint)
    assert stream[-1].done
    single = [seen.path.rpartition("/")[2] for seen in quiet.requests if "/tasks/" in seen.path]
    assert single == [tasks[3], alone, secret]


# What it costs


def test_the_cost_of_a_few_projects_is_counted(quiet: AsanaVendor) -> None:
    project = quiet.add_project("One")
    for number in range(12):
        quiet.add_task(project, f"Task {number}", at=EARLY)

    cost = asyncio.run(connector(quiet, Direct(quiet)).cost(None, Deadline(SOON)))
    assert (cost.items, cost.requests) == (12, 3 + 12)
    for number in range(100):
        quiet.add_task(project, f"More {number}", at=EARLY)
    cost = asyncio.run(connector(quiet, Direct(quiet)).cost(None, Deadline(SOON)))
    assert (cost.items, cost.requests) == (None, None)
    assert "at least 100" in cost.basis


# Killed anywhere


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_kill_anywhere_loses_nothing(data: st.DataObject) -> None:
    quiet = AsanaVendor()
    projects = [quiet.add_project(f"P{number}") for number in range(4)]
    for number in range(70):
        some = data.draw(st.sets(st.sampled_from(projects), min_size=1, max_size=2))
        gid = quiet.add_task(sorted(some), f"Task {number}", at=f"2026-01-{1 + number % 28:02}")
        if number % 9 == 0:
            quiet.comment(gid, "Ada", f"words {number}", at=LATER)
    settings_of_run: dict[str, Any] = {"page_size": data.draw(st.integers(3, 40))}
    whole = applied({}, synced(quiet, **settings_of_run))

    state: dict[str, Item] = {}
    place: str | None = None
    for _ in range(3):
        stream = synced(quiet, place, **settings_of_run)
        cut: list[Change] = stream[: data.draw(st.integers(0, len(stream)))]
        applied(state, cut)
        place = next((one.cursor for one in reversed(cut) if isinstance(one, Checkpoint)), place)
        if data.draw(st.booleans()):
            quiet.offsets.forget()
    applied(state, synced(quiet, place, **settings_of_run))

    assert state == whole
    assert len(state) == 70


def test_many_tasks_in_bounded_memory(quiet: AsanaVendor) -> None:
    for number in range(5):
        project = quiet.add_project(f"P{number}")
        for task in range(2_000):
            quiet.add_task(project, f"Task {number} {task}", "x" * 1_000, at=EARLY)

    async def run() -> int:
        count = 0
        async for change in connector(quiet, _Forgetful(quiet), comments=False).changes(None):
            count += isinstance(change, Upsert)
        return count

    tracemalloc.start()
    count = asyncio.run(run())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 20e6


class _Forgetful(Direct):
    async def send(self, request: Any, **limits: Any) -> Any:
        answer = await super().send(request, **limits)
        self._vendor.requests.clear()
        return answer
