"""What a sync remembers between two runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from sophiactl.connectors.state import ItemRow, ServiceRow, SyncState
from sophiactl.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = "2026-11-22T12:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs" / "main.sync.db"


@pytest.fixture
def state(path: Path) -> Iterator[SyncState]:
    with SyncState(path) as state:
        yield state


def test_a_service_that_was_never_read_has_an_empty_row(state: SyncState) -> None:
    assert state.service("slack") == ServiceRow("slack")
    assert (list(state.ids("slack")), dict(state.counts())) == ([], {})


def test_everything_is_there_after_the_file_was_closed(path: Path) -> None:
    row = ServiceRow("slack", '{"v":1}', True, NOW, NOW)
    with SyncState(path) as state:
        state.put(row)
        state.stored("slack", [ItemRow("a", "d1", 2), ItemRow("b", "d2", 0)], NOW)
        state.stored("slack", [ItemRow("a", "d3", 5)], NOW)
    with SyncState(path) as state:
        assert state.service("slack") == row
        assert state.items("slack", ["a", "b", "z"]) == {"a": ItemRow("a", "d3", 5), "b": ItemRow("b", "d2", 0)}
        assert state.counts() == {"slack": (2, 5)}


def test_one_id_in_two_services_is_two_items(state: SyncState) -> None:
    state.stored("slack", [ItemRow("1", "x", 1)], NOW)
    state.stored("gong", [ItemRow("1", "y", 3)], NOW)
    state.removed("slack", ["1", "unknown"])
    assert state.items("slack", ["1"]) == {}
    assert state.items("gong", ["1"]) == {"1": ItemRow("1", "y", 3)}


@pytest.mark.parametrize("count", [0, 1, 999, 1_000, 1_001, 2_500])
def test_ids_come_whole_whatever_the_pages(state: SyncState, count: int) -> None:
    names = sorted(f"id {number}" for number in range(count))
    state.stored("notion", [ItemRow(name, "x", 1) for name in names], NOW)
    state.stored("slack", [ItemRow("other", "x", 1)], NOW)
    assert list(state.ids("notion")) == names


def test_reset_forgets_items_and_cursors(state: SyncState) -> None:
    state.put(ServiceRow("slack", "c", done=True))
    state.stored("slack", [ItemRow("a", "x", 1)], NOW)
    state.reset()
    assert state.service("slack") == ServiceRow("slack")
    assert state.counts() == {}


def test_a_batch_is_written_whole_or_not_at_all(state: SyncState) -> None:
    def rows() -> Iterator[ItemRow]:
        yield ItemRow("a", "x", 1)
        yield ItemRow("b", None, 1)  # type: ignore[arg-type]

    with pytest.raises(StoreError):
        state.stored("slack", rows(), NOW)
    assert state.counts() == {}


def test_threads_take_turns(state: SyncState) -> None:
    """One service keeps its cursor while a batch of another is written."""

    def write(service: str) -> None:
        for number in range(50):
            state.stored(service, [ItemRow(f"{number}", "x", 1)], NOW)
            state.put(ServiceRow(service, f"{number}"))

    workers = [threading.Thread(target=write, args=(name,)) for name in ("slack", "gong", "notion")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert state.counts() == dict.fromkeys(("slack", "gong", "notion"), (50, 50))
    assert {state.service(name).cursor for name in ("slack", "gong", "notion")} == {"49"}


def test_a_file_that_is_none_of_ours_is_named_with_what_to_do(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 200)
    with pytest.raises(StoreError, match="the sync state") as caught:
        SyncState(path)
    assert "connectors sync" in (caught.value.hint or "")
