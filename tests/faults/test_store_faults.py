"""The embedded store when processes die, disks fill up and files are damaged."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sophiactl.errors import DiskFull, InvalidVector, Locked, NotFound, StoreError
from sophiactl.memory import edge_folder
from sophiactl.memory.base import CollectionSchema, Point, SparseVector, Where
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.model import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]
SCHEMA = CollectionSchema(model="mini", revision="a" * 64, dimension=4)

WRITER = """
import sys
from pathlib import Path
import numpy as np
from sophiactl.memory.base import CollectionSchema, Point, SparseVector
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.model import Record

schema = CollectionSchema(model="mini", revision="a" * 64, dimension=4)
store = EdgeStore.open(Path(sys.argv[1]), "main", schema, create=True, lock_timeout=30, purpose="sophiactl embed")
print("open", flush=True)
for batch in range(int(sys.argv[3])):
    names = [f"{sys.argv[2]}-{batch}-{place}" for place in range(40)]
    store.upsert([
        Point(Record(id=name, text=f"text of {name}", metadata={"batch": batch}),
              np.array([1, batch, place, 1], dtype=np.float32), SparseVector((place,), (batch + 1.0,)))
        for place, name in enumerate(names)
    ])
    print(batch, flush=True)
sys.stdin.read()
"""


def open_store(folder: Path, *, create: bool = True, name: str = "main", timeout: float = 0) -> EdgeStore:
    return EdgeStore.open(folder, name, SCHEMA, create=create, lock_timeout=timeout, purpose="a test")


def point(name: str, dense: Any = (1, 0, 0, 0), **fields: Any) -> Point:
    return Point(Record(id=name, text=name, **fields), np.array(dense, dtype=np.float32), SparseVector((1,), (1.0,)))


@contextmanager
def writer(folder: Path, label: str, batches: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, str(folder), label, str(batches)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "open\n"
            yield child
        finally:
            child.kill()


# Processes


def test_what_was_acknowledged_survives_kill(tmp_path: Path) -> None:
    rng = random.Random(5)
    acknowledged: list[str] = []
    for round_ in range(5):
        with writer(tmp_path, f"r{round_}", 10_000) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(rng.randint(1, 30))]
            child.kill()
            lines += child.stdout.readlines()
        batches = [int(line) for line in lines if line.endswith("\n")]
        acknowledged += [f"r{round_}-{batch}-{place}" for batch in batches for place in range(40)]
    with open_store(tmp_path, create=False) as store:
        found = store.get(acknowledged, vectors=True)
        assert [one.record.id for one in found] == acknowledged
        for one in found:
            _, batch, place = one.record.id.split("-")
            assert one.record.text == f"text of {one.record.id}"
            assert one.record.metadata == {"batch": int(batch)}
            expected = np.array([1, int(batch), int(place), 1], dtype=np.float32)
            np.testing.assert_allclose(one.dense, expected / np.linalg.norm(expected), atol=1e-5)
            assert one.sparse == SparseVector((int(place),), (int(batch) + 1.0,))
        # What was being written when the process died is there whole or not at all.
        assert store.count() % 40 == 0
        assert store.count() - len(acknowledged) <= 40 * 5
        assert {one.record.id for one in store.scroll()} >= set(acknowledged)


def test_a_second_process_is_told_who_has_the_store(tmp_path: Path) -> None:
    with writer(tmp_path, "a", 1) as child:
        with pytest.raises(Locked) as caught:
            open_store(tmp_path)
        assert f"the memory store is in use by `sophiactl embed` (pid {child.pid}, since " in caught.value.message
        with pytest.raises(Locked):
            open_store(tmp_path, create=False, timeout=0.1)
        open_store(tmp_path, name="other").close()
        child.kill()
        child.wait()
        open_store(tmp_path).close()


def test_another_program_that_uses_the_engine_directly(tmp_path: Path) -> None:
    import qdrant_edge

    open_store(tmp_path).close()
    shard = qdrant_edge.EdgeShard.load(str(tmp_path / "main" / "shard"))
    try:
        with pytest.raises(Locked, match="another program"):
            open_store(tmp_path)
    finally:
        shard.close()
    open_store(tmp_path).close()


def test_a_failed_open_gives_the_lock_back(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    record = tmp_path / "main" / "collection.json"
    content = record.read_bytes()
    record.write_bytes(b"")
    with pytest.raises(StoreError):
        open_store(tmp_path)
    record.write_bytes(content)
    open_store(tmp_path).close()


@pytest.mark.parametrize("died_after", ["nothing", "shard", "record"])
def test_a_process_that_died_while_making_the_collection(tmp_path: Path, died_after: str) -> None:
    open_store(tmp_path).close()
    place = tmp_path / "main"
    (place / "shard").rename(place / "shard.new")
    if died_after != "record":
        (place / "collection.json").unlink()
    if died_after == "nothing":
        for path in (place / "shard.new").rglob("*.json"):
            path.unlink()
    with open_store(tmp_path) as store:
        store.upsert([point("a")])
        assert store.count() == 1


@pytest.mark.parametrize("bad", [[float("nan"), 0, 0, 0], [float("-inf"), 0, 0, 0], [1, 0, 0]])
def test_a_bad_vector_changes_nothing(tmp_path: Path, bad: list[float]) -> None:
    with open_store(tmp_path) as store:
        store.upsert([point("a")])
        with pytest.raises(InvalidVector):
            store.upsert([point("a", (0, 1, 0, 0)), point("b", bad)])
        np.testing.assert_allclose(store.get(["a"], vectors=True)[0].dense, [1, 0, 0, 0])
        assert store.count() == 1


def test_nesting_that_would_make_the_folder_unreadable(tmp_path: Path) -> None:
    nested: Any = "bottom"
    for _ in range(200):
        nested = {"k": nested}
    with open_store(tmp_path) as store:
        store.upsert([point("a", metadata=nested)])
    with open_store(tmp_path) as store:
        assert store.get(["a"])[0].record.metadata == nested


def test_a_very_long_text(tmp_path: Path) -> None:
    text = "long \x00 ünd " * 4_000_000
    record = Record(id="a", text=text)
    with open_store(tmp_path) as store:
        store.upsert([Point(record, np.ones(4, dtype=np.float32), SparseVector())])
    with open_store(tmp_path) as store:
        assert store.get(["a"])[0].record.text == text


# Files


def damaged(folder: Path) -> StoreError:
    with pytest.raises(StoreError) as caught:
        open_store(folder)
    assert caught.value.hint is not None
    assert "sophiactl embed PATH" in caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b'{"schema": 5}', b'{"schema": {"version": 1}}', b"\xff"]
)
def test_a_damaged_record_of_the_collection(tmp_path: Path, content: bytes) -> None:
    open_store(tmp_path).close()
    (tmp_path / "main" / "collection.json").write_bytes(content)
    assert "main" in damaged(tmp_path).message


def test_every_cut_of_the_record_is_an_error_of_ours(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    record = tmp_path / "main" / "collection.json"
    content = record.read_bytes()
    for length in range(0, len(content), 7):
        record.write_bytes(content[:length])
        damaged(tmp_path)


def test_a_shard_without_its_record_is_not_thrown_away(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.upsert([point("a")])
    record = tmp_path / "main" / "collection.json"
    content = record.read_bytes()
    record.unlink()
    assert "no collection.json" in damaged(tmp_path).message
    record.write_bytes(content)
    with open_store(tmp_path) as store:
        assert store.count() == 1


def test_a_record_without_its_shard(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    (tmp_path / "main" / "shard").rename(tmp_path / "gone")
    assert "is missing" in damaged(tmp_path).message


# One process each: a file that a memory map reads may end it, and that must not end the tests.
OPENER = """
import sys
from pathlib import Path
from sophiactl.errors import StoreError
from sophiactl.memory.qdrant_edge import EdgeStore
try:
    with EdgeStore.open(Path(sys.argv[1]), "main", None, create=False, lock_timeout=0, purpose="t") as store:
        print("opened", store.count())
except StoreError as error:
    print("StoreError", error.hint)
"""


@pytest.mark.parametrize("name", ["edge_config.json", "segment.json", "mutable_id_tracker.mappings", "version.info"])
@pytest.mark.parametrize("content", [b"", b"\x00garbage\xff"])
def test_a_damaged_file_of_the_engine(tmp_path: Path, name: str, content: bytes) -> None:
    with open_store(tmp_path) as store:
        store.upsert([point("a")])
    for path in (tmp_path / "main" / "shard").rglob(name):
        path.write_bytes(content)
    command = [sys.executable, "-c", OPENER, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0
    assert done.stdout.startswith(("opened", "StoreError"))


def test_a_panic_of_the_engine_closes_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # the name that pyo3 gives it
        pass

    class Shard:
        def count(self, _: object) -> int:
            raise PanicException("index out of bounds")

        def close(self) -> None: ...

    with open_store(tmp_path) as store:
        real = store._shard
        assert real is not None
        monkeypatch.setattr(store, "_shard", Shard())
        with pytest.raises(StoreError, match="index out of bounds"):
            store.count()
        with pytest.raises(StoreError, match="closed"):
            store.count()
        real.close()


def test_an_interrupt_is_not_swallowed(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edge_folder.guarded(tmp_path, interrupt)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("in the way")
    with pytest.raises(StoreError) as caught:
        open_store(tmp_path / "memory")
    assert caught.value.hint is not None
    with pytest.raises(NotFound):
        open_store(tmp_path / "memory", create=False)
    with pytest.raises(StoreError):
        edge_folder.collections(tmp_path / "memory")


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by its mode: root, who runs tests in containers, may read every folder.
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    open_store(tmp_path).close()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StoreError, match="Permission denied") as caught:
        open_store(tmp_path)
    assert caught.value.hint is not None
    assert "SOPHIACTL_HOME" in caught.value.hint


def test_collections_are_listed(tmp_path: Path) -> None:
    assert edge_folder.collections(tmp_path / "none") == []
    open_store(tmp_path, name="b").close()
    open_store(tmp_path, name="a").close()
    (tmp_path / "stray").mkdir()
    (tmp_path / "file").write_text("")
    assert edge_folder.collections(tmp_path) == ["a", "b"]
    assert edge_folder.exists(tmp_path, "a")
    assert not edge_folder.exists(tmp_path, "stray")


def test_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path) as store:
        store.upsert([point("a")])
        monkeypatch.setattr(edge_folder, "free_bytes", lambda _: edge_folder.ROOM_TO_WRITE - 1)
        writes: list[Callable[[], None]] = [
            lambda: store.upsert([point("b")]),
            lambda: store.delete(["a"]),
            lambda: store.set_fields(["a"], {"pinned": True}),
            lambda: store.set_sparse([("a", SparseVector((2,), (1.0,)))]),
            store.optimize,
        ]
        for write in writes:
            with pytest.raises(DiskFull):
                write()
        assert store.count() == 1
        monkeypatch.setattr(edge_folder, "free_bytes", lambda _: 0)
        assert store.search_sparse(SparseVector((1,), (1.0,)), 5)[0].id == "a"
    with pytest.raises(DiskFull) as caught:
        open_store(tmp_path)
    assert caught.value.hint is not None
    monkeypatch.undo()
    with open_store(tmp_path) as store:
        assert [one.record.pinned for one in store.scroll(Where())] == [False]


@pytest.mark.parametrize(
    "text", ["IO Error: No space left on device (os error 28)", "File too large (os error 27)", "Disk quota exceeded"]
)
def test_what_the_engine_says_about_a_full_disk(tmp_path: Path, text: str) -> None:
    def fail() -> None:
        raise Exception(text)  # noqa: TRY002 - what the engine does

    with pytest.raises(DiskFull):
        edge_folder.guarded(tmp_path, fail)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 130 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=130m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up(small_disk: Path) -> None:
    rng = np.random.default_rng(3)
    schema = CollectionSchema(model="mini", revision="a" * 64, dimension=384)
    acknowledged: list[str] = []

    def fill(store: EdgeStore) -> None:
        for batch in range(1000):
            names = [f"{batch}-{place}" for place in range(500)]
            rows = rng.normal(size=(500, 384)).astype(np.float32)
            records = [Record(id=name, text="word " * 50) for name in names]
            store.upsert([Point(*pair, SparseVector((1,), (1.0,))) for pair in zip(records, rows, strict=True)])
            acknowledged.extend(names)

    with EdgeStore.open(small_disk, "main", schema, create=True, lock_timeout=0, purpose="a test") as store:
        with pytest.raises(DiskFull):
            fill(store)
        assert len(acknowledged) >= 1000
        assert store.search_dense(rng.normal(size=384).astype(np.float32), 3) != []
    with EdgeStore.open(small_disk, "main", schema, create=False, lock_timeout=0, purpose="a test") as store:
        assert store.count() == len(acknowledged)
        assert len(store.get(acknowledged)) == len(acknowledged)
    (small_disk / "filler").write_bytes(bytes(edge_folder.free_bytes(small_disk)))
    with pytest.raises(DiskFull):
        EdgeStore.open(small_disk, "main", schema, create=False, lock_timeout=0, purpose="a test")
