from __future__ import annotations

import random
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.memory import durable
from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.base import Point, SparseVector
from sophiactl.memory.durable import AppendFile
from sophiactl.memory.erase import erase
from sophiactl.memory.frames import text_hash
from sophiactl.memory.index import searchable_text
from sophiactl.memory.journal import Intent, read_events
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.memory.tombstones import read_tombstones
from tests.prune_stores import SCHEMA, Place, line, point

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sophiactl.memory.erase import EraseReport

_LINE = "renewal contract budget invoice pipeline forecast meeting quarter Berlin pricing audit vendor"
WORDS = _LINE.split()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def erased(place: Place, ids: Iterable[str]) -> EraseReport:
    return erase(ids, place.store, place.folder, clock=place.clock, reason="asked for", wait=place.waited.append)


def traces(place: Place, *words: str) -> list[str]:
    """Files of pruning that hold any of these words."""
    paths = [path for path in place.folder.place.rglob("*") if path.is_file()]
    return [path.name for path in paths if any(word.encode() in path.read_bytes() for word in words)]


def talk(names: Iterable[str], texts: dict[str, str]) -> list[Point]:
    """The turns of one thread, with the sparse vectors that `index.write` gives them."""
    lexicon = Lexicon.of(SCHEMA)
    records = [
        point(name, place, text=texts[name], thread="t", position=place).record for place, name in enumerate(names)
    ]
    vectors = lexicon.thread([searchable_text(record) for record in records])
    return [Point(one, point(one.id, n).dense, vectors[n]) for n, one in enumerate(records)]


def terms(text: str) -> set[int]:
    return set(Lexicon.of(SCHEMA).document(text).indices)


def test_a_memory_is_gone_from_the_collection_pinned_or_not(place: Place) -> None:
    place.fill([point("a", text="my secret", pinned=True), point("b", 1)])
    report = erased(place, ["a", "none", "a"])
    assert (report.ids, report.from_collection, report.from_archives) == (("a", "none"), 1, 0)
    assert (report.missing, report.copies, report.alike) == (("none",), (), ())
    assert sorted(place.records()) == ["b"]
    (stone,) = read_tombstones(place.folder.tombstones)
    assert (stone.id, stone.reason, stone.sha256) == ("a", "asked for", text_hash("my secret").hex())
    assert traces(place, "secret") == []


def test_a_memory_is_gone_from_every_archive_plan_and_journal(place: Place) -> None:
    place.fill([point(f"m{n}", n, text=f"zebra{n} walks") for n in range(6)])
    place.apply(place.plan([line("m0"), line("m1"), line("m2")], "p1"))
    place.fill([point("m1", 1, text="giraffe sleeps", rev=2)])
    place.apply(place.plan([line("m1", rev=2), line("m3"), line("m4", action="cool")], "p2"))
    place.plan([line("m1", rev=2)], "p3")
    place.plan([line("m5", reason="duplicate", near_dup_of="m1")], "p4")
    place.plan([line("m5")], "p5")
    before = {one.point.record.id: one for one in ArchiveReader(place.folder.archive("p1")).memories()}
    report = erased(place, ["m1"])
    assert (report.from_collection, report.from_archives, report.missing) == (0, 2, ())
    assert report.plans == ("p1", "p2", "p3", "p4")
    assert place.folder.all_plans() == ["p5"]
    assert report.journals == 2
    assert traces(place, "zebra1", "giraffe") == []
    assert traces(place, "zebra0") == ["p1.bin"]
    left = {one.point.record.id: one for one in ArchiveReader(place.folder.archive("p1")).memories()}
    assert sorted(left) == ["m0", "m2"]
    assert all(left[name].point.dense.tobytes() == before[name].point.dense.tobytes() for name in left)
    for plan in ("p1", "p2"):
        intents = [event for event in read_events(place.folder.journal(plan)) if isinstance(event, Intent)]
        names = [name for event in intents for name in event.archive]
        assert "m1" not in names
        assert any(name.startswith("sha256:") for name in names)
    assert place.restore("p1").restored == 2
    assert place.restore(ids=["m1"]).restored == 0
    assert {stone.sha256 for stone in read_tombstones(place.folder.tombstones)} == {
        text_hash("zebra1 walks").hex(),
        text_hash("giraffe sleeps").hex(),
    }


def test_an_archive_left_empty_is_removed(place: Place) -> None:
    place.fill([point("a"), point("b")])
    place.apply(place.plan([line("a")]))
    erased(place, ["a"])
    assert place.folder.all_archives() == []


def test_an_archive_keeps_the_time_by_which_it_expires(place: Place) -> None:
    import os

    place.fill([point("a"), point("b"), point("c")])
    place.apply(place.plan([line("a"), line("b")]))
    path = place.folder.archive("p1")
    os.utime(path, (1_000_000, 2_000_000))
    erased(place, ["a"])
    assert path.stat().st_mtime == 2_000_000
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_part_of_an_archive_goes_too(place: Place) -> None:
    place.fill([point(f"m{n}", n, text=f"zebra{n} walks") for n in range(4)])
    place.apply(place.plan([line(f"m{n}") for n in range(3)]))
    path = place.folder.archive("p1")
    offsets = [offset for offset, _ in ArchiveReader(path).heads()]
    content = bytearray(path.read_bytes())
    content[offsets[1] + 5] ^= 1
    path.write_bytes(content)
    report = erased(place, ["m1"])
    assert report.damaged == {"p1": offsets[2] - offsets[1]}
    assert traces(place, "zebra1") == []
    assert place.restore("p1").restored == 2


def test_what_a_killed_process_left_beside_goes_too(place: Place) -> None:
    place.fill([point("a", text="my secret")])
    place.folder.prepare()
    (place.folder.archives / ".p1.bin.4242").write_bytes(b"my secret")
    erased(place, ["a"])
    assert traces(place, "secret") == []


# Copies


def test_copies_in_archives_go_with_the_one_that_stood_for_them(place: Place) -> None:
    same: dict[str, Any] = {"likeness": "x", "text": "my secret"}
    place.fill([point("k", **same), point("a", 1, **same), point("b", 2, **same), point("z", 3)])
    place.apply(place.plan([line(name, reason="duplicate", near_dup_of="k") for name in ("a", "b")]))
    place.fill([point("b", 2, text="new words")])
    report = erased(place, ["k"])
    assert (report.ids, report.copies) == (("k", "a"), ("a",))
    assert sorted(place.records()) == ["b", "z"]
    erased(place, ["b"])
    assert traces(place, "secret") == []


def test_the_one_that_stands_for_an_erased_copy_is_told_of(place: Place) -> None:
    same: dict[str, Any] = {"likeness": "x", "text": "my secret"}
    odd = "odd \udce9"
    place.fill([point("k", merged_from=("old",), **same), point(odd, 1, **same), point("other", 2, **same)])
    place.apply(place.plan([line(odd, reason="duplicate", near_dup_of="k")]))
    assert place.records()["k"].merged_from == ("old", odd)
    report = erased(place, [odd])
    assert report.keepers == 1
    assert sorted(report.alike) == ["k", "other"]
    assert place.records()["k"].merged_from == ("old",)


def test_archived_keepers_forget_too(place: Place) -> None:
    place.fill([point("k", merged_from=("a", "b")), point("z", 1)])
    place.apply(place.plan([line("k")]))
    erased(place, ["a"])
    place.restore("p1")
    assert place.records()["k"].merged_from == ("b",)


# Neighbours


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16))
def test_no_term_of_an_erased_text_is_left_in_its_neighbours(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Whether it and its neighbours are in the collection, in archives or both."""
    place, chance = Place(tmp_path_factory.mktemp("place")), random.Random(seed)
    names = [f"m{n}" for n in range(8)]
    texts = {name: " ".join(chance.sample(WORDS, 3)) + f" unique{name}" for name in names}
    place.fill(talk(names, texts))
    chosen = chance.sample(names, 5)
    place.apply(place.plan([line(name) for name in chosen[:3]], "p1"))
    if chance.random() < 0.5:
        place.restore(ids=chosen[:1])
    place.apply(place.plan([line(name) for name in chosen[3:]], "p2"))
    gone = chance.sample(names, chance.randint(1, 3))
    erased(place, gone)
    for plan in ("p1", "p2"):
        if plan in place.folder.all_archives():
            place.restore(plan)
    with place.store() as store:
        left = {one.record.id: one for one in store.scroll(vectors=True)}
    assert sorted(left) == sorted(set(names) - set(gone))
    order = [name for name in names if name in left]
    allowed = {name: set().union(*(terms(texts[near]) for near in order)) for name in order}
    for name, found in left.items():
        assert found.sparse is not None
        assert set(found.sparse.indices) >= terms(texts[name])
        for lost in gone:
            assert not set(found.sparse.indices) & terms(f"unique{lost}")
        assert set(found.sparse.indices) <= allowed[name]


def test_only_who_stood_beside_is_refreshed(place: Place) -> None:
    names = [f"m{n}" for n in range(7)]
    place.fill(talk(names, {name: f"word{name} {WORDS[n]}" for n, name in enumerate(names)}))
    before = place.facts()
    assert erased(place, ["m3"]).neighbours == 2
    after = place.facts()
    assert {name for name in after if after[name] != before[name]} == {"m2", "m4"}
    expected = {
        one.record.id: one.sparse
        for one in talk(["m2", "m4"], {"m2": f"wordm2 {WORDS[2]}", "m4": f"wordm4 {WORDS[4]}"})
    }
    with place.store() as store:
        found = {one.record.id: one.sparse for one in store.get(["m2", "m4"], vectors=True)}
    for name in ("m2", "m4"):
        wanted, got = expected[name], found[name]
        assert wanted is not None
        assert got is not None
        # `m1` and `m5` are still their neighbours on the other side.
        assert set(wanted.indices) < set(got.indices)


# Kills


class PowerCutError(BaseException):
    """The machine is gone: nothing may catch this."""


@contextmanager
def power_cut(steps: int) -> Iterator[None]:
    """The machine goes off before the given step: an append, a file replaced or removed, a call of the engine."""
    left = steps

    def counted(real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise PowerCutError
            return real(*args, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AppendFile, "append", counted(AppendFile.append))
        for name in ("delete", "set_fields", "set_sparse", "get", "scroll"):
            patch.setattr(EdgeStore, name, counted(getattr(EdgeStore, name)))
        for name in ("replaced", "removed"):
            patch.setattr(f"sophiactl.memory.erase_files.{name}", counted(getattr(durable, name)))
        patch.setattr("sophiactl.memory.erase.removed", counted(durable.removed))
        yield


def a_talk_half_archived(place: Place) -> None:
    names = [f"m{n}" for n in range(6)]
    place.fill(talk(names, {name: f"zebra{name} {WORDS[n]}" for n, name in enumerate(names)}))
    place.fill([point("k", merged_from=("m1",))])
    place.apply(place.plan([line("m1"), line("m4")], "p1"))
    place.plan([line("m2")], "p2")


def buried(place: Place) -> list[str]:
    return sorted(stone.id for stone in read_tombstones(place.folder.tombstones))


def test_a_kill_at_any_step_is_finished_by_the_same_call(tmp_path_factory: pytest.TempPathFactory) -> None:
    for steps in range(1, 60):
        place = Place(tmp_path_factory.mktemp("place"))
        a_talk_half_archived(place)
        killed = True
        with suppress(PowerCutError), power_cut(steps):
            erased(place, ["m1", "m2"])
            killed = False
        kept = {one.point.record.id for one in ArchiveReader(place.folder.archive("p1")).memories()}
        assert {"m1", "m2"} <= {*place.records(), *kept, *buried(place)}  # never gone without a tombstone
        assert erased(place, ["m1", "m2"]).missing == ()
        assert traces(place, "zebram1", "zebram2") == []
        assert sorted(place.records()) == ["k", "m0", "m3", "m5"]
        assert place.records()["k"].merged_from == ()
        assert place.folder.all_plans() == []
        assert buried(place) == ["m1", "m2"]
        place.restore("p1")
        with place.store() as store:
            held = {index for one in store.scroll(vectors=True) for index in (one.sparse or SparseVector()).indices}
        assert terms("zebram4") < held
        assert not held & (terms("zebram1") | terms("zebram2"))
        if not killed:
            assert steps > 10
            return
    pytest.fail("it never came to an end")
