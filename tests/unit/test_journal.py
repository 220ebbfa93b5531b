from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.errors import StoreError, UsageError
from sophiactl.memory.journal import (
    Done,
    Event,
    Finished,
    Intent,
    Journal,
    Restored,
    Skipped,
    Start,
    Undone,
    line_of,
    read_events,
    read_progress,
    resume_at,
)
from sophiactl.memory.prune_folder import PruneFolder

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.lists(st.text(max_size=8), max_size=3).map(tuple)
EVENTS = st.one_of(
    st.builds(
        Start, plan=st.text(max_size=5), sha=st.text(max_size=5), token=st.integers(0, 9), at=st.text(max_size=5)
    ),
    st.builds(
        Intent,
        batch=st.integers(1, 9),
        upto=st.integers(0, 99),
        token=st.integers(0, 9),
        at=st.just("t"),
        archive=NAMES,
        cool=NAMES,
        size=st.integers(0, 2**40),
    ),
    st.builds(
        Done,
        batch=st.integers(1, 9),
        upto=st.integers(0, 99),
        at=st.just("t"),
        archived=st.integers(0, 9),
        skipped=st.lists(st.builds(Skipped, id=st.text(max_size=5), reason=st.text(max_size=5))).map(tuple),
    ),
    st.builds(Finished, at=st.just("t")),
    st.builds(Restored, at=st.just("t"), ids=NAMES),
    st.builds(Undone, at=st.just("t")),
)

RUN: list[Event] = [
    Start("p", "sha", 3, "t"),
    Intent(1, 2, 3, "t", ("a", "odd \udce9\n"), (), 100),
    Done(1, 2, "t", archived=1, merged=1, skipped=(Skipped("odd \udce9\n", "pinned"),)),
    Intent(2, 4, 4, "t", ("c",), ("d",), 200),
]


def written(path: Path, events: list[Event]) -> bytes:
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        for event in events:
            journal.append(event)
    return path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENTS, max_size=6))
def test_any_event_comes_back(tmp_path: Path, events: list[Event]) -> None:
    content = written(tmp_path / "j", events)
    assert list(read_events(tmp_path / "j")) == events
    assert content == b"".join(map(line_of, events))
    assert content.isascii()


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert list(read_events(tmp_path / "none")) == []
    assert resume_at(tmp_path / "none") == 0
    assert read_progress(tmp_path / "none").sha is None


def test_how_far_a_plan_was_carried_out(tmp_path: Path) -> None:
    written(tmp_path / "j", RUN)
    found = read_progress(tmp_path / "j")
    assert (found.sha, found.token, found.batch, found.upto) == ("sha", 4, 1, 2)
    assert (found.archived, found.merged, found.cooled) == (1, 1, 0)
    assert found.skipped == {"pinned": 1}
    assert found.named == (Skipped("odd \udce9\n", "pinned"),)
    assert found.open == RUN[3]
    assert found.size == 200
    assert not found.finished
    written(tmp_path / "j", [*RUN, Done(2, 4, "t"), Finished("t")])
    found = read_progress(tmp_path / "j")
    assert (found.open, found.finished, found.undone, found.upto) == (None, True, False, 4)
    written(tmp_path / "j", [*RUN, Restored("t", ("a",)), Undone("t")])
    assert read_progress(tmp_path / "j").undone


def test_only_the_first_hundred_are_named(tmp_path: Path) -> None:
    many = tuple(Skipped(str(n), "pinned") for n in range(70))
    written(tmp_path / "j", [Done(1, 70, "t", skipped=many), Done(2, 140, "t", skipped=many)])
    found = read_progress(tmp_path / "j")
    assert found.skipped == {"pinned": 140}
    assert len(found.named) == 100


def test_every_cut_of_a_journal_is_a_shorter_journal(tmp_path: Path) -> None:
    content = written(tmp_path / "j", RUN)
    path = tmp_path / "j"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        whole = content[:length].count(b"\n") + (content[length : length + 1] == b"\n")
        assert list(read_events(path)) == RUN[:whole]
        with Journal(path) as journal:
            journal.append(Finished("t"))
        assert list(read_events(path)) == [*RUN[:whole], Finished("t")]


@pytest.mark.parametrize(
    "damage", [b"\0" * 40 + b"\n", b"{}\n", b"[]\n", b'{"event":"other"}\n', b"\xff\xfe\n", b"[" * 9999]
)
def test_a_line_that_is_no_event_is_left_out(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "j"
    lines = [line_of(event) for event in RUN]
    path.write_bytes(b"".join([*lines[:3], damage, b"\n", *lines[3:]]))
    assert list(read_events(path)) == RUN


def test_a_folder_in_its_place_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        list(read_events(tmp_path))
    with pytest.raises(StoreError):
        Journal(tmp_path)


# The folder


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    folder = PruneFolder(tmp_path / "state" / "prune", "main").prepare()
    for path in (folder.place, folder.plans, folder.archives, folder.journals):
        assert path.stat().st_mode & 0o777 == 0o700
    folder.prepare()
    (folder.plans / "b.jsonl").touch()
    (folder.plans / "a.jsonl").touch()
    (folder.plans / ".a.jsonl.77").touch()
    (folder.archives / "x.bin").touch()
    assert folder.all_plans() == ["a", "b"]
    assert folder.all_archives() == ["x"]
    assert folder.all_journals() == []
    assert folder.sweep() == 1
    assert folder.all_plans() == ["a", "b"]


def test_a_folder_that_was_never_made_is_empty(tmp_path: Path) -> None:
    folder = PruneFolder(tmp_path / "prune", "main")
    assert folder.all_plans() == folder.all_archives() == folder.all_journals() == []
    assert folder.sweep() == 0
    assert not folder.place.exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 101, "a\n"])
def test_a_plan_cannot_be_called_everything(tmp_path: Path, name: str) -> None:
    folder = PruneFolder(tmp_path, "main")
    for path in (folder.plan, folder.journal, folder.archive):
        with pytest.raises(UsageError):
            path(name)
    with pytest.raises(UsageError):
        PruneFolder(tmp_path, name)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "prune").write_text("in the way")
    with pytest.raises(StoreError) as caught:
        PruneFolder(tmp_path / "prune", "main").prepare()
    assert caught.value.hint
