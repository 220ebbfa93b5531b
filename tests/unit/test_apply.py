from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import Locked, UsageError
from sophiactl.memory.apply_guard import (
    CHANGED,
    COPY_GONE,
    GONE,
    LAST_COPY,
    MEANWHILE,
    MOVED,
    PINNED,
    UNPACKABLE,
    USED,
    copy_refusal,
    refusal,
)
from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.base import Point
from sophiactl.memory.journal import Intent, Skipped, read_events
from sophiactl.memory.plan_file import read_header
from sophiactl.memory.store_hold import GAP
from sophiactl.model import MemoryState, Record
from tests.prune_stores import CREATED, Place, line, point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sophiactl.memory.base import Store


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def archived(place: Place, name: str = "p1") -> list[str]:
    return [memory.point.record.id for memory in ArchiveReader(place.folder.archive(name)).memories()]


# What may go


def record(**fields: Any) -> Record:
    return point("a", **fields).record


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"pinned": True}, PINNED),
        ({"rev": 2}, CHANGED),
        ({"updated_at": "2026-03-01T09:00:00Z"}, CHANGED),
        ({"updated_at": "2026-03-01T08:59:59Z"}, None),
        ({"updated_at": "2026-03-01T10:00:00+02:00"}, None),
        ({"updated_at": "yesterday"}, CHANGED),
        ({"last_accessed": "2026-03-01T09:00:00Z"}, USED),
        ({"last_accessed": "2026-03-01T10:30:00+01:00"}, USED),
        ({"last_accessed": "2026-03-01T08:59:59"}, None),
        ({"last_accessed": "2031-01-01"}, USED),
        ({"class_": "semantic"}, MOVED),
        ({"state": MemoryState.ARCHIVED}, MOVED),
        ({"state": MemoryState.COLD}, None),
    ],
)
def test_only_what_is_as_it_was_may_go(fields: dict[str, Any], reason: str | None) -> None:
    assert refusal(line("a"), record(**fields), CREATED, lambda _: None) == reason


def test_a_plan_to_the_part_of_a_second(place: Place) -> None:
    used = record(last_accessed="2026-03-01T09:00:00Z")
    assert refusal(line("a"), used, "2026-03-01T09:00:00.7Z", lambda _: None) == USED


def test_the_state_that_each_action_expects() -> None:
    cold, active = record(state=MemoryState.COLD), record()
    assert refusal(line("a", action="cool"), cold, CREATED, lambda _: None) == MOVED
    assert refusal(line("a", reason="cold"), cold, CREATED, lambda _: None) is None
    assert refusal(line("a", reason="cold"), active, CREATED, lambda _: None) == MOVED
    assert refusal(line("a"), active, CREATED, lambda found: f"kept: {found.id}") == "kept: a"


@pytest.mark.parametrize(
    ("keeper", "reason"),
    [
        (None, COPY_GONE),
        (point("k").record, COPY_GONE),
        (point("k", likeness="other").record, COPY_GONE),
        (point("a", likeness="x").record, COPY_GONE),
        (point("k", likeness="x", state=MemoryState.COLD).record, COPY_GONE),
        (point("k", likeness="x").record, None),
    ],
)
def test_a_copy_goes_only_while_the_other_is_there(keeper: Record | None, reason: str | None) -> None:
    assert copy_refusal(record(likeness="x"), keeper) == reason
    assert copy_refusal(record(likeness=None), point("k", likeness=None).record) == COPY_GONE


# Carrying out


def test_exactly_the_plan_is_carried_out(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(10)])
    told: list[int] = []
    made = place.plan([*(line(f"m{n}") for n in range(7)), line("m8", action="cool", reason="worth")])
    report = place.apply(made, progress=told.append)
    assert (report.archived, report.cooled, report.merged, report.left) == (7, 1, 0, 0)
    assert report.finished
    assert report.skipped == {}
    assert report.archive_bytes == place.folder.archive("p1").stat().st_size
    assert told == [3, 3, 2]
    after = place.records()
    assert sorted(after) == ["m7", "m8", "m9"]
    assert after["m8"].state == MemoryState.COLD
    assert after["m8"].cooled_at is not None
    assert after["m8"].rev == 1
    assert archived(place) == [f"m{n}" for n in range(7)]


def test_a_finished_plan_is_done_once(place: Place) -> None:
    place.fill([point("a"), point("b")])
    made = place.plan([line("a")])
    first = place.apply(made)
    before = place.folder.journal("p1").read_bytes()
    assert place.apply(made).archived == first.archived == 1
    assert place.folder.journal("p1").read_bytes() == before
    assert sorted(place.records()) == ["b"]


def test_what_changed_is_skipped_and_named(place: Place) -> None:
    place.fill(
        [
            point("ok"),
            point("pinned", pinned=True),
            point("rev", rev=2),
            point("used", last_accessed="2026-03-01T09:30:00Z"),
            point("class", class_="semantic"),
            point("held", tags=("legal-hold",)),
        ]
    )
    made = place.plan([line(name) for name in ("ok", "pinned", "rev", "used", "class", "held", "gone")])
    report = place.apply(made, spared=lambda found: "legal hold" if "legal-hold" in found.tags else None)
    assert (report.archived, report.left, report.finished) == (1, 0, True)
    assert report.named == tuple(
        Skipped(*pair)
        for pair in [
            ("pinned", PINNED),
            ("rev", CHANGED),
            ("used", USED),
            ("class", MOVED),
            ("held", "legal hold"),
            ("gone", GONE),
        ]
    )
    assert report.skipped == dict.fromkeys(sorted([PINNED, CHANGED, USED, MOVED, GONE, "legal hold"]), 1)
    assert archived(place) == ["ok"]
    assert sorted(place.records()) == ["class", "held", "pinned", "rev", "used"]


class Meddling:
    """A store in which somebody else changes memories just before they are deleted."""

    def __init__(self, store: Store, change: Callable[[Store], None]) -> None:
        self._store = store
        self._change = change

    def delete(self, ids: Any, **options: Any) -> None:
        self._change(self._store)
        self._store.delete(ids, **options)

    def set_fields(self, ids: Any, fields: Any, **options: Any) -> None:
        if "state" in fields:
            self._change(self._store)
        self._store.set_fields(ids, fields, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def meddled(place: Place, change: Callable[[Store], None]) -> Callable[[], AbstractContextManager[Store]]:
    from contextlib import contextmanager

    @contextmanager
    def opened() -> Iterator[Any]:
        with place.store() as store:
            yield Meddling(store, change)

    return opened


@pytest.mark.parametrize(
    "fields",
    [{"pinned": True}, {"rev": 2}, {"last_accessed": "2026-03-01T10:00:00Z"}, {"updated_at": "2026-03-01T09:00:01Z"}],
)
@pytest.mark.parametrize("action", ["archive", "cool"])
def test_what_changes_in_the_last_instant_stays(place: Place, fields: dict[str, Any], action: str) -> None:
    from sophiactl.memory.apply import apply

    place.fill([point("a"), point("b")])
    made = place.plan([line("a", action=action), line("b", action=action)])
    store = meddled(place, lambda found: found.set_fields(["a"], fields))
    options: dict[str, Any] = {"progress": lambda _: None, "stop": lambda: False, "wait": lambda _: None}
    report = apply(place.folder.plan("p1"), made, store, place.folder, clock=place.clock, **options)
    assert report.named == (Skipped("a", MEANWHILE),)
    assert report.archived + report.cooled == 1
    assert place.records()["a"].state == MemoryState.ACTIVE


# Copies


def test_a_copy_gives_way_and_the_other_is_told(place: Place) -> None:
    same: dict[str, Any] = {"likeness": "x"}
    place.fill([point("k", merged_from=("old",), **same), point("a", 1, **same), point("b", 2, **same), point("z", 3)])
    made = place.plan([line(name, reason="duplicate", near_dup_of="k") for name in ("a", "b")])
    report = place.apply(made, batch=1)
    assert (report.archived, report.merged) == (2, 2)
    keeper = place.records()["k"]
    assert keeper.merged_from == ("old", "a", "b")
    assert (keeper.rev, keeper.updated_at) == (1, None)


@pytest.mark.parametrize("case", ["gone", "another likeness", "going too", "itself"])
def test_never_both_copies(place: Place, case: str) -> None:
    likeness = "y" if case == "another likeness" else "x"
    place.fill([point("a", likeness="x"), *([point("k", 1, likeness=likeness)] if case != "gone" else [])])
    lines = [line("a", reason="duplicate", near_dup_of="a" if case == "itself" else "k")]
    if case == "going too":
        lines.insert(0, line("k"))
    report = place.apply(place.plan(lines), batch=500)
    assert Skipped("a", COPY_GONE) in report.named
    assert "a" in place.records()


def test_who_stands_for_copies_stays_for_the_rest_of_the_plan(place: Place) -> None:
    place.fill([point("a", likeness="x"), point("k", 1, likeness="x")])
    made = place.plan([line("a", reason="duplicate", near_dup_of="k"), line("k")])
    stops = iter([False, True])
    place.apply(made, batch=1, stop=lambda: next(stops))
    report = place.apply(made, batch=1)
    assert report.named == (Skipped("k", LAST_COPY),)
    assert sorted(place.records()) == ["k"]


def test_a_copy_whose_other_vanishes_in_the_last_instant_comes_back(place: Place) -> None:
    from sophiactl.memory.apply import apply

    place.fill([point("a", likeness="x"), point("k", 1, likeness="x")])
    before = place.facts()
    made = place.plan([line("a", reason="duplicate", near_dup_of="k")])
    store = meddled(place, lambda found: found.delete(["k"]))
    options: dict[str, Any] = {"progress": lambda _: None, "stop": lambda: False, "wait": lambda _: None}
    report = apply(place.folder.plan("p1"), made, store, place.folder, clock=place.clock, **options)
    assert (report.archived, report.named) == (0, (Skipped("a", COPY_GONE),))
    assert place.facts() == {"a": before["a"]}


# Who may


def test_a_plan_that_was_changed_since_it_was_read_is_refused(place: Place) -> None:
    place.fill([point("a"), point("b")])
    made = place.plan([line("a")])
    path = place.folder.plan("p1")
    path.write_bytes(path.read_bytes().replace(b'"id":"a"', b'"id":"b"'))
    with pytest.raises(UsageError):
        place.apply(made)
    place.plan([line("b")])
    with pytest.raises(UsageError, match="p1"):
        place.apply(made)
    assert len(place.records()) == 2


def test_another_plan_of_the_same_id_is_refused(place: Place) -> None:
    place.fill([point("a"), point("b")])
    place.apply(place.plan([line("a")]))
    with pytest.raises(UsageError, match="another plan"):
        place.apply(place.plan([line("b")]))
    assert sorted(place.records()) == ["b"]


def test_a_plan_that_was_undone_is_not_taken_up_again(place: Place) -> None:
    place.fill([point("a"), point("b")])
    made = place.plan([line("a"), line("b")])
    stops = iter([False, True])
    place.apply(made, batch=1, stop=lambda: next(stops))
    place.restore("p1")
    with pytest.raises(UsageError, match="undone"):
        place.apply(made)
    assert sorted(place.records()) == ["a", "b"]


def test_a_lost_lease_stops_before_anything_more_is_deleted(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(9)])
    made = place.plan([line(f"m{n}") for n in range(9)])
    calls: list[int] = []

    def fence() -> int:
        calls.append(1)
        if len(calls) > 3:
            raise Locked("another host has the lease")
        return 7

    with pytest.raises(Locked):
        place.apply(made, fence=fence)
    assert len(place.records()) == 3
    tokens = {event.token for event in read_events(place.folder.journal("p1")) if isinstance(event, Intent)}
    assert tokens == {7}
    with pytest.raises(Locked, match="token 7, ours is 6"):
        place.apply(made, fence=lambda: 6)
    assert len(place.records()) == 3
    assert place.apply(made, fence=lambda: 8).finished


# Pace


def test_the_store_is_given_back_while_it_works(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(9)])
    made = place.plan([line(f"m{n}") for n in range(9)])
    now = iter(range(10_000))
    opened = place.opened
    place.apply(made, timer=lambda: float(next(now)), hold_seconds=1.0)
    assert place.opened - opened == 3
    assert place.waited == [GAP, GAP]


def test_a_rate_is_kept_without_holding_the_store(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(9)])
    made = place.plan([line(f"m{n}") for n in range(9)])
    seconds = 0.0
    free: list[bool] = []

    def wait(pause: float) -> None:
        nonlocal seconds
        seconds += pause
        with place.store():
            free.append(True)

    report = place.apply(made, rate=2.0, batch=500, wait=wait, timer=lambda: seconds)
    assert report.archived == 9
    assert seconds == pytest.approx(4.5)
    assert len(free) == 5


def test_a_memory_that_cannot_be_archived_exactly_stays(place: Place) -> None:
    from contextlib import contextmanager

    from sophiactl.memory.apply import apply

    place.fill([point("a"), point("b")])
    made = place.plan([line("a"), line("b")])

    class Blind:
        def __init__(self, store: Store) -> None:
            self._store = store

        def get(self, ids: Any, **options: Any) -> list[Point]:
            found = self._store.get(ids, **options)
            return [Point(one.record, None, one.sparse) if one.record.id == "a" else one for one in found]

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

    @contextmanager
    def opened() -> Iterator[Any]:
        with place.store() as store:
            yield Blind(store)

    options: dict[str, Any] = {"progress": lambda _: None, "stop": lambda: False, "wait": lambda _: None}
    report = apply(place.folder.plan("p1"), made, opened, place.folder, clock=place.clock, **options)
    assert report.named == (Skipped("a", UNPACKABLE),)
    assert sorted(place.records()) == ["a"]


def test_an_empty_plan(place: Place) -> None:
    place.fill([point("a")])
    report = place.apply(place.plan([]))
    assert (report.archived, report.left, report.finished) == (0, 0, True)
    assert read_header(place.folder.plan("p1")).counts == {}
