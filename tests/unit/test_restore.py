from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.errors import DiskFull, NotFound, UsageError
from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.durable import AppendFile
from sophiactl.memory.expire import expire_archives
from sophiactl.memory.journal import Restored, Start, Undone, read_events
from sophiactl.memory.restore_choice import Offsets, Wanted
from sophiactl.memory.tombstones import Erased, Tombstone, bury, read_tombstones, short_hash
from sophiactl.model import MemoryState
from tests.prune_stores import NOW, Place, a_mixed_memory, line, point

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def pruned(place: Place) -> Place:
    """Ten memories, of which m0 to m4 are archived by p1 and m5 to m6 by p2; m7 went cold with p2."""
    place.fill([point(f"m{n}", n) for n in range(10)])
    place.apply(place.plan([line(f"m{n}") for n in range(5)], "p1"))
    place.apply(place.plan([line("m5"), line("m6"), line("m7", action="cool")], "p2"))
    return place


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), batch=st.integers(1, 50))
def test_all_that_a_plan_did_is_undone_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, batch: int
) -> None:
    place = Place(tmp_path_factory.mktemp("place"))
    points, lines = a_mixed_memory(30, seed)
    place.fill(points)
    before = place.facts()
    report = place.apply(place.plan(lines), batch=batch)
    undone = place.restore("p1")
    assert (undone.restored, undone.cooled_back) == (report.archived, report.cooled)
    assert (undone.existing, undone.missing, undone.damaged) == (0, 0, ())
    assert place.facts() == before


def test_a_plan_is_undone_and_the_journal_says_when(pruned: Place) -> None:
    told: list[int] = []
    report = pruned.restore("p2", progress=told.append)
    assert (report.restored, report.cooled_back, report.plans) == (2, 1, ("p2",))
    assert sum(told) == 3
    assert sorted(pruned.records()) == ["m5", "m6", "m7", "m8", "m9"]
    events = list(read_events(pruned.folder.journal("p2")))
    assert [event.ids for event in events if isinstance(event, Restored)] == [("m5", "m6"), ("m7",)]
    assert isinstance(events[-1], Undone)
    assert pruned.folder.archive("p2").exists()


def test_single_memories_come_back_wherever_they_are(pruned: Place) -> None:
    report = pruned.restore(ids=iter(["m6", "m1", "m7", "m9", "nowhere", "m1"]))
    assert (report.restored, report.cooled_back, report.existing) == (2, 1, 1)
    assert (report.missing, report.missing_ids) == (1, ("nowhere",))
    assert sorted(pruned.records()) == ["m1", "m6", "m7", "m8", "m9"]
    assert not any(isinstance(event, Undone) for event in read_events(pruned.folder.journal("p1")))


def test_ids_of_one_plan_only(pruned: Place) -> None:
    report = pruned.restore("p1", ids=["m1", "m6"])
    assert (report.restored, report.missing_ids) == (1, ("m6",))


def test_all_since_a_time(pruned: Place) -> None:
    (begun,) = [event for event in read_events(pruned.folder.journal("p2")) if isinstance(event, Start)]
    report = pruned.restore(since=begun.at)
    assert (report.restored, report.cooled_back) == (2, 1)
    assert pruned.restore(since="2026-01-01").restored == 5
    assert pruned.restore(since="2027-01-01").restored == 0


def test_what_is_there_is_left_as_it_is(pruned: Place) -> None:
    pruned.fill([point("m1", 77, text="newer", rev=5)])
    report = pruned.restore("p1")
    assert (report.restored, report.existing) == (4, 1)
    assert pruned.records()["m1"].text == "newer"


def test_of_two_archived_forms_the_later_comes_back(place: Place) -> None:
    place.fill([point("a", text="first"), point("z")])
    place.apply(place.plan([line("a")], "p9"))
    place.fill([point("a", text="second", rev=2)])
    place.apply(place.plan([line("a", rev=2)], "p1"))
    report = place.restore(ids=["a"])
    assert (report.restored, report.existing) == (1, 0)
    assert place.records()["a"].text == "second"


def test_what_the_plan_skipped_does_not_come_back(place: Place) -> None:
    """It stands in the archive, since it changed only after it had been written there."""
    from sophiactl.memory.journal import Done, Journal, Skipped

    place.fill([point("a"), point("b")])
    made = place.plan([line("a"), line("b")])
    place.apply(made)
    with Journal(place.folder.journal("p1")) as journal:
        journal.append(Done(2, 2, "t", skipped=(Skipped("a", "changed meanwhile"), Skipped("b", "gone already"))))
    report = place.restore("p1")
    assert report.restored == 1
    assert sorted(place.records()) == ["b"]


def test_what_went_cold_and_was_touched_since_stays_as_it_is(place: Place) -> None:
    place.fill([point("a"), point("b")])
    place.apply(place.plan([line("a", action="cool"), line("b", action="cool")]))
    with place.store() as store:
        store.set_fields(["a"], {"cooled_at": "2030-01-01T00:00:00Z"})
    assert place.restore("p1").cooled_back == 1
    found = place.records()
    assert (found["a"].state, found["b"].state) == (MemoryState.COLD, MemoryState.ACTIVE)


def test_the_copy_that_stayed_forgets_those_that_came_back(place: Place) -> None:
    same: dict[str, Any] = {"likeness": "x"}
    place.fill([point("k", merged_from=("old",), **same), point("a", 1, **same), point("b", 2, **same)])
    place.apply(place.plan([line(name, reason="duplicate", near_dup_of="k") for name in ("a", "b")]))
    place.restore(ids=["a"])
    assert place.records()["k"].merged_from == ("old", "b")
    place.restore("p1")
    assert place.records()["k"].merged_from == ("old",)


def test_a_copy_that_was_named_before_the_plan_is_still_named_after_its_undoing(place: Place) -> None:
    same: dict[str, Any] = {"likeness": "x"}
    place.fill([point("k", merged_from=("a",), **same), point("a", 1, **same)])
    before = place.facts()
    place.apply(place.plan([line("a", reason="duplicate", near_dup_of="k")]))
    place.restore("p1")
    assert place.facts() == before


# Bad archives


def damage(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def test_the_rest_of_a_damaged_archive_comes_back(pruned: Place) -> None:
    path = pruned.folder.archive("p1")
    offsets = [offset for offset, _ in ArchiveReader(path).heads()]
    damage(path, offsets[2] + 40)
    report = pruned.restore("p1")
    assert report.restored == 4
    assert [(one.plan, one.damage.offset, one.damage.bytes) for one in report.damaged] == [
        ("p1", offsets[2], offsets[3] - offsets[2])
    ]
    assert "m2" not in pruned.records()


def test_a_folder_that_cannot_be_written_to_keeps_nobody_from_restoring(
    pruned: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise DiskFull("no room")

    monkeypatch.setattr(AppendFile, "append", refuse)
    report = pruned.restore("p1")
    assert (report.restored, report.noted) == (5, False)


def test_there_must_be_something_to_restore(pruned: Place) -> None:
    with pytest.raises(NotFound, match="of plan p3"):
        pruned.restore("p3")
    with pytest.raises(UsageError):
        pruned.restore()
    with pytest.raises(UsageError, match="no time"):
        pruned.restore(since="soon")
    with pytest.raises(UsageError):
        pruned.restore("../p1")
    pruned.folder.archive("p1").unlink()
    pruned.folder.archive("p2").unlink()
    assert pruned.restore("p2").cooled_back == 1
    for path in pruned.folder.journals.iterdir():
        path.unlink()
    with pytest.raises(NotFound):
        pruned.restore(ids=["m1"])


def test_an_archive_without_its_journal(pruned: Place) -> None:
    pruned.folder.journal("p1").unlink()
    assert pruned.restore("p1").restored == 5


# Many ids


def test_ten_million_ids_would_fit(place: Place) -> None:
    wanted = Wanted.of(None, (f"id-{n}" for n in range(50_000)), None)
    assert wanted.picks(short_hash(b"id-49999"), "t")
    assert not wanted.picks(short_hash(b"id-50000"), "t")
    wanted.mark(short_hash(b"id-7"))
    assert not wanted.picks(short_hash(b"id-7"), "t")
    assert wanted.not_found() == (49_999, [])
    held = wanted._hashes.nbytes + len(wanted._found or b"")
    assert held == 50_000 * 9


@given(st.lists(st.integers(0, 5), max_size=30), st.booleans())
def test_of_each_key_the_last_place_even_if_hashes_collide(keys: list[int], collide: bool) -> None:
    from array import array

    class Reader:
        def heads(self) -> Any:
            for place, key in enumerate(keys):
                yield place * 10, type("Head", (), {"key": bytes([key])})

    hashes = array("Q", [key % 2 if collide else key for key in keys])
    chosen = Offsets.last_of_each(Reader(), array("Q", range(0, 10 * len(keys), 10)), hashes)  # type: ignore[arg-type]
    expected = sorted({key: place * 10 for place, key in enumerate(keys)}.values())
    assert [place for place in range(0, 10 * len(keys), 5) if chosen.has(place)] == expected
    assert len(chosen) == len(expected)


# Tombstones and the end of archives


def test_an_erased_memory_never_comes_back(pruned: Place) -> None:
    late = (NOW + timedelta(days=1)).isoformat()
    bury(pruned.folder.tombstones, [Tombstone("m1", "00", "asked for", late)])
    report = pruned.restore("p1")
    assert (report.restored, report.erased) == (4, 1)
    assert "m1" not in pruned.records()
    assert pruned.restore(ids=["m1"]).missing == 0


def test_a_new_memory_under_an_erased_id_is_another_one(pruned: Place) -> None:
    bury(pruned.folder.tombstones, [Tombstone("m1", "00", "asked for", "2026-01-01T00:00:00Z")])
    assert pruned.restore("p1").restored == 5


def test_tombstones_survive_what_files_go_through(tmp_path: Path) -> None:
    path = tmp_path / "tombstones.jsonl"
    stones = [Tombstone(name, "00", "r", "2026-03-01T00:00:00Z") for name in ("a", "odd \udce9\n")]
    assert bury(path, stones) == 2
    with path.open("ab") as file:
        file.write(b'{"id":"torn')
    assert bury(path, [Tombstone("b", "00", "r", "never", "p")]) == 1
    assert list(read_tombstones(path)) == [*stones, Tombstone("b", "00", "r", "never", "p")]
    erased = Erased(read_tombstones(path))
    assert len(erased) == 3
    assert erased.covers(b"a", "2026-02-28T23:59:59Z")
    assert erased.covers(b"a", "no time")
    assert not erased.covers(b"a", "2026-03-01T00:00:01Z")
    assert erased.covers(b"b", "2030-01-01T00:00:00Z")
    assert not erased.covers(b"c", "2020-01-01T00:00:00Z")


def age(place: Place, name: str, days: float) -> None:
    """Let the file be older, as it would be by then."""
    import os

    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(place.folder.archive(name), (moment, moment))


def test_archives_become_tombstones_when_their_time_is_over(pruned: Place) -> None:
    pruned.restore(ids=["m1"])
    texts = {memory.point.record.id for memory in ArchiveReader(pruned.folder.archive("p1")).memories()}
    age(pruned, "p1", 0)
    size = pruned.folder.archive("p1").stat().st_size
    assert expire_archives(pruned.folder, NOW + timedelta(days=89), 90).plans == ()
    report = expire_archives(pruned.folder, NOW + timedelta(days=91), 90)
    assert (report.plans, report.erased, report.bytes) == (("p1",), 4, size)
    assert not pruned.folder.archive("p1").exists()
    assert pruned.folder.archive("p2").exists()
    stones = list(read_tombstones(pruned.folder.tombstones))
    assert {stone.id for stone in stones} == texts - {"m1"}
    assert {(stone.reason, stone.plan) for stone in stones} == {("archive expired", "p1")}
    assert b"text of" not in pruned.folder.tombstones.read_bytes()
    pruned.folder.journal("p1").unlink()
    with pytest.raises(NotFound):
        pruned.restore("p1")


def test_a_kill_between_tombstones_and_removal(pruned: Place) -> None:
    kept = pruned.folder.archive("p1").read_bytes()
    age(pruned, "p1", 0)
    later = NOW + timedelta(days=91)
    expire_archives(pruned.folder, later, 90)
    pruned.folder.archive("p1").write_bytes(kept)
    age(pruned, "p1", 0)
    assert expire_archives(pruned.folder, later, 90).erased == 0
    assert len(list(read_tombstones(pruned.folder.tombstones))) == 5


def test_the_times_inside_an_archive_count_should_its_own_be_wrong(pruned: Place) -> None:
    age(pruned, "p1", 10_000)
    assert expire_archives(pruned.folder, NOW + timedelta(days=89), 90).plans == ()


def test_neighbours_keep_their_vectors(place: Place) -> None:
    """A restored memory brings its own vectors back and leaves those of all others alone."""
    rng = random.Random(3)
    place.fill([point(f"m{n}", rng.randrange(1000), thread="t", position=n) for n in range(6)])
    with place.store() as store:
        before = {one.record.id: one for one in store.scroll(vectors=True)}
    place.apply(place.plan([line("m2"), line("m3")]))
    place.restore(ids=["m2"])
    with place.store() as store:
        for one in store.scroll(vectors=True):
            np.testing.assert_array_equal(one.dense, before[one.record.id].dense)
            assert one.sparse == before[one.record.id].sparse
