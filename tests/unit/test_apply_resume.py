from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.errors import StoreError
from sophiactl.memory.apply_guard import GONE
from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.durable import AppendFile
from sophiactl.memory.journal import Intent, read_events, read_progress
from sophiactl.memory.qdrant_edge import EdgeStore
from tests.prune_stores import Place, a_mixed_memory, line, point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def archived(place: Place, name: str = "p1") -> list[str]:
    return [memory.point.record.id for memory in ArchiveReader(place.folder.archive(name)).memories()]


class PowerCutError(BaseException):
    """The machine is gone: nothing may catch this."""


@contextmanager
def power_cut(steps: int) -> Iterator[None]:
    """The machine goes off at the given step: within an append, or before something is asked of the engine."""
    left = steps

    def counted(real: Callable[..., Any], *, half: bool) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                if half:
                    piece = b"".join(args[1:])
                    args[0]._write(piece[: len(piece) // 2])
                raise PowerCutError
            return real(*args, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AppendFile, "append", counted(AppendFile.append, half=True))
        for name in ("delete", "set_fields", "upsert", "get"):
            patch.setattr(EdgeStore, name, counted(getattr(EdgeStore, name), half=False))
        yield


def test_a_stop_finishes_the_batch_and_the_next_run_goes_on(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(10)])
    made = place.plan([line(f"m{n}") for n in range(10)])
    stops = iter([False, False, True])
    report = place.apply(made, stop=lambda: next(stops))
    assert (report.archived, report.left, report.finished) == (6, 4, False)
    assert len(place.records()) == 4
    report = place.apply(made, batch=1)
    assert (report.archived, report.left, report.finished) == (10, 0, True)
    assert archived(place) == [f"m{n}" for n in range(10)]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), cuts=st.lists(st.floats(0, 1), max_size=4), sizes=st.lists(st.integers(1, 9)))
def test_a_run_cut_anywhere_goes_on_and_is_undone_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[float], sizes: list[int]
) -> None:
    """Power fails at any step; what a half written file then holds is cut off at any byte."""
    place = Place(tmp_path_factory.mktemp("place"))
    points, lines = a_mixed_memory(24, seed)
    place.fill(points)
    before = place.facts()
    made = place.plan(lines)
    for number, cut in enumerate(cuts):
        with suppress(PowerCutError), power_cut(int(cut * 40) + 1):
            place.apply(made, batch=[*sizes, 4][number % (len(sizes) + 1)])
        assert set(place.facts()) | set(archived(place)) >= set(before)
    report = place.apply(made)
    assert report.finished
    expected = sum(report.skipped.values()) + report.archived + report.cooled
    assert expected == len(lines)
    assert report.skipped == {}
    assert len(place.facts()) == len(before) - report.archived
    place.restore("p1")
    assert place.facts() == before
    assert place.restore("p1").restored == 0
    assert place.facts() == before


def test_a_batch_that_was_begun_keeps_its_lines_whatever_the_size_is_now(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(9)])
    before = place.facts()
    made = place.plan([line(f"m{n}", action="cool" if n % 2 else "archive") for n in range(9)])
    for steps in (7, 7, 6, 6, 7):
        with pytest.raises(PowerCutError), power_cut(steps):
            place.apply(made, batch=9)
    report = place.apply(made, batch=2)
    assert (report.archived, report.cooled, report.skipped) == (5, 4, {})
    intents = [event.upto for event in read_events(place.folder.journal("p1")) if isinstance(event, Intent)]
    assert set(intents) == {9}
    place.restore("p1")
    assert place.facts() == before


def test_a_lost_journal_loses_no_memory(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(6)])
    before = place.facts()
    made = place.plan([line(f"m{n}") for n in range(6)])
    stops = iter([False, True])
    place.apply(made, stop=lambda: next(stops))
    place.folder.journal("p1").unlink()
    report = place.apply(made, batch=2)
    assert (report.archived, report.skipped) == (6, {})
    place.restore("p1")
    assert place.facts() == before


def test_a_lost_archive_stops_the_plan(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(6)])
    made = place.plan([line(f"m{n}") for n in range(6)])
    stops = iter([False, True])
    place.apply(made, stop=lambda: next(stops))
    place.folder.archive("p1").unlink()
    with pytest.raises(StoreError, match="archive of plan p1 is gone"):
        place.apply(made)
    assert len(place.records()) == 3


def test_an_archive_removed_in_the_middle_stops_before_anything_is_deleted(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(6)])
    made = place.plan([line(f"m{n}") for n in range(6)])

    def remove(_: int) -> None:
        place.folder.archive("p1").rename(place.root / "elsewhere")

    with pytest.raises(StoreError, match="another program"):
        place.apply(made, progress=remove)
    assert len(place.records()) == 3
    assert read_progress(place.folder.journal("p1")).upto == 3


def test_a_store_that_was_emptied_in_between(place: Place) -> None:
    place.fill([point("a"), point("b")])
    made = place.plan([line("a"), line("b")])
    with place.store() as store:
        store.delete(["a", "b"])
    report = place.apply(made)
    assert (report.archived, report.skipped, report.finished) == (0, {GONE: 2}, True)
