"""Files of the embedded store are rewritten so that nothing deleted is left, and no death in between loses a point."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sophiactl.errors import DiskFull
from sophiactl.memory import edge_folder
from sophiactl.memory.base import CollectionSchema, Point, SparseVector
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.model import Record

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = CollectionSchema(model="m", revision="r", dimension=4)
pytestmark = pytest.mark.fault


def opened(folder: Path) -> EdgeStore:
    return EdgeStore.open(folder, "main", SCHEMA, create=True, lock_timeout=0, purpose="test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection from which one memory was deleted."""
    with opened(tmp_path) as store:
        row = np.array([1, 2, 3, 4], dtype=np.float32)
        store.upsert([Point(Record(id=name, text=f"text of {name}"), row, SparseVector()) for name in ("kept", "gone")])
        store.delete(["gone"])
    return tmp_path


def holding(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


def kept(folder: Path) -> list[str]:
    with opened(folder) as store:
        return [point.record.id for point in store.scroll()]


def test_no_word_is_left(folder: Path) -> None:
    assert holding(folder, b"text of gone")
    with opened(folder) as store:
        store.scrub()
        assert [point.record.id for point in store.scroll()] == ["kept"]
    assert not holding(folder, b"text of gone")
    assert kept(folder) == ["kept"]


def test_what_an_attempt_left_half_made_is_no_shard(folder: Path) -> None:
    half = folder / "main" / "shard.new"
    half.mkdir()
    (half / "edge_config.json").write_text("{")
    assert kept(folder) == ["kept"]
    with opened(folder) as store:
        store.scrub()
    assert kept(folder) == ["kept"]
    assert not holding(folder, b"text of gone")


@pytest.mark.parametrize("renamed", [1, 2])
def test_a_death_between_the_renames_is_finished_at_the_next_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    def half(place: Path) -> None:
        (place / "shard").rename(place / "shard.old")
        if renamed == 2:
            (place / "shard.new").rename(place / "shard")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(edge_folder, "swap", half)
        store = opened(folder)
        with pytest.raises(KeyboardInterrupt):
            store.scrub()
        store.close()
    assert kept(folder) == ["kept"]
    assert not (folder / "main" / "shard.old").exists()
    assert not holding(folder, b"text of gone")


def test_without_room_for_a_copy_nothing_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(folder) as store:
        monkeypatch.setattr(edge_folder, "free_bytes", lambda _: edge_folder.ROOM_TO_WRITE)
        with pytest.raises(DiskFull):
            store.scrub()
        assert store.count() == 1
    shutil.rmtree(folder)
