"""The embedded store while it seals what was written: nothing changes, whatever happens meanwhile."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from sophiactl.memory import edge_folder, edge_shard, qdrant_edge
from sophiactl.memory.base import CollectionSchema, Equals, HasId, Point, SparseVector, Where
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.model import MemoryState, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]
DIMENSION = 32
SCHEMA = CollectionSchema(model="mini", revision="a" * 64, dimension=DIMENSION)
COLD = Where((Equals("state", "cold"),))

WRITER = """
import sys
from pathlib import Path
import numpy as np
from sophiactl.memory import edge_shard
from sophiactl.memory.base import CollectionSchema, Point, SparseVector
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.model import Record

edge_shard.SEAL_AT = 200
schema = CollectionSchema(model="mini", revision="a" * 64, dimension=32)
store = EdgeStore.open(Path(sys.argv[1]), "main", schema, create=True, lock_timeout=30, purpose="a test")
print("open", flush=True)
for batch in range(10_000):
    names = [f"{sys.argv[2]}-{batch}-{place}" for place in range(100)]
    rows = np.random.default_rng(batch).normal(size=(100, 32)).astype(np.float32)
    store.upsert([Point(Record(id=name, text=f"text of {name}"), row, SparseVector((7,), (1.5,)))
                  for name, row in zip(names, rows)])
    store.delete([f"{sys.argv[2]}-{batch}-{place}" for place in range(0, 100, 10)])
    store.set_fields([f"{sys.argv[2]}-{batch - 3}-1"], {"state": "cold"})
    print(batch, flush=True)
"""


def open_store(folder: Path, *, create: bool = True) -> EdgeStore:
    return EdgeStore.open(folder, "main", SCHEMA, create=create, lock_timeout=0, purpose="a test")


def points(names: list[str], seed: int = 1) -> list[Point]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(len(names), DIMENSION)).astype(np.float32)
    return [
        Point(
            Record(
                id=name,
                text=f"text of {name}",
                thread=f"t{at % 7}",
                tags=("x",) if at % 3 else (),
                keep_bucket=at % 256,
            ),
            row,
            SparseVector((at % 11, 20 + at % 5), (1.0, 0.5)),
        )
        for at, (name, row) in enumerate(zip(names, rows, strict=True))
    ]


def contents(store: EdgeStore) -> dict[str, tuple[Record, bytes, SparseVector | None]]:
    found = store.scroll(vectors=True)
    return {one.record.id: (one.record, one.dense.tobytes(), one.sparse) for one in found}


def segments(folder: Path) -> list[str]:
    """The kind of sparse index of each segment: `MutableRam` for the one that is written to."""
    found = []
    for path in (folder / "main" / "shard" / "segments").glob("*/segment.json"):
        config = msgspec.json.decode(path.read_bytes())["config"]
        found.append(config["sparse_vector_data"]["lexical"]["index"]["index_type"])
    return sorted(found)


@pytest.fixture
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[EdgeStore, EdgeStore]]:
    """One store that has sealed its points and one that has not, with the same 650 points."""
    names = [f"n{place}" for place in range(650)]
    with open_store(tmp_path / "plain") as plain, open_store(tmp_path / "sealed") as sealed:
        plain.upsert(points(names))
        monkeypatch.setattr(edge_shard, "SEAL_AT", 200)
        for start in range(0, 650, 130):
            sealed.upsert(points(names)[start : start + 130])
        assert segments(tmp_path / "plain") == ["MutableRam"]
        assert "Mmap" in segments(tmp_path / "sealed")
        yield plain, sealed


def same(plain: EdgeStore, sealed: EdgeStore) -> None:
    assert contents(sealed) == contents(plain)
    assert sealed.count() == plain.count()
    for where in (Where(), Where((Equals("thread", "t3"),)), Where((Equals("tags", "x"),), COLD.all)):
        assert sealed.count(where) == plain.count(where)
        assert sealed.facet("thread", where) == plain.facet("thread", where)
        assert sealed.histogram("keep_bucket", where) == plain.histogram("keep_bucket", where)
        query = np.random.default_rng(9).normal(size=DIMENSION).astype(np.float32)
        mine, theirs = (store.search_dense(query, 40, where) for store in (sealed, plain))
        assert [hit.score for hit in mine] == pytest.approx([hit.score for hit in theirs], abs=1e-6)
        assert [hit.id for hit in mine] == [hit.id for hit in theirs]


def test_sealing_changes_nothing(twins: tuple[EdgeStore, EdgeStore]) -> None:
    plain, sealed = twins
    same(plain, sealed)
    for term in (3, 21):
        mine, theirs = (store.search_sparse(SparseVector((term,), (1.0,)), 650) for store in (sealed, plain))
        assert {hit.id: pytest.approx(hit.score, abs=1e-5) for hit in mine} == {hit.id: hit.score for hit in theirs}


def test_what_is_sealed_can_be_changed(twins: tuple[EdgeStore, EdgeStore]) -> None:
    for store in twins:
        store.delete([f"n{place}" for place in range(0, 300, 3)], only=Where(none=(Equals("thread", "t3"),)))
        store.set_fields([f"n{place}" for place in range(100, 200)], {"state": "cold", "rev": 2})
        store.set_fields(["n1", "n2"], {"title": "never"}, only=Where((Equals("rev", 2),)))
        store.set_sparse([("n5", SparseVector((99,), (2.0,))), ("n7", SparseVector()), ("unknown", SparseVector())])
        store.upsert(points(["n8", "n0", "new"], seed=4))
        store.upsert(points(["n10", "n3"], seed=5), insert_only=True)
    same(*twins)
    for store in twins:
        assert [hit.id for hit in store.search_sparse(SparseVector((99,), (1.0,)), 5)] == ["n5"]


def test_deleted_and_restored_it_is_the_same_to_the_last_bit(twins: tuple[EdgeStore, EdgeStore]) -> None:
    for store in twins:
        before = contents(store)
        doomed = [f"n{place}" for place in range(0, 650, 2)]
        archived = store.get(doomed, vectors=True)
        store.delete(doomed)
        assert store.count() == 325
        store.upsert(archived, insert_only=True)
        assert contents(store) == before


def test_what_was_deleted_is_swept_out_when_it_is_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_shard, "SEAL_AT", 500)
    names = [f"n{place}" for place in range(3000)]
    word = SparseVector((3,), (1.0,))
    with open_store(tmp_path / "sealed") as sealed, open_store(tmp_path / "fresh") as fresh:
        sealed.upsert(points(names))
        archived = sealed.get(names[:1000], vectors=True)
        sealed.delete(names[:1000])
        left = contents(sealed)
        fresh.upsert(sealed.get(names[1000:], vectors=True))
        assert contents(fresh) == left
        # The frequencies of words are those of what is left, which only a segment written anew has.
        assert sealed.search_sparse(word, 1)[0].score == pytest.approx(fresh.search_sparse(word, 1)[0].score, abs=1e-5)
        sealed.upsert(archived, insert_only=True)
        assert sealed.count() == 3000


def test_optimize_builds_the_graph_and_ends_the_sealing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_shard, "SEAL_AT", 200)
    shard = tmp_path / "main" / "shard"
    with open_store(tmp_path) as store:
        store.upsert(points([f"n{place}" for place in range(400)]))
        before = contents(store)
        assert edge_shard.seals(shard)
        store.optimize()
        assert not edge_shard.seals(shard)
        assert contents(store) == before
        kinds = segments(tmp_path)
        store.upsert(points([f"m{place}" for place in range(400)]))
        assert segments(tmp_path) == kinds
        store.optimize()
    with open_store(tmp_path) as store:
        assert store.count() == 800


def test_a_shard_of_an_older_version_keeps_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import qdrant_edge as engine

    def older(path: Path, schema: CollectionSchema) -> None:
        path.mkdir()
        dense = engine.EdgeVectorParams(size=schema.dimension, distance=engine.Distance.Cosine)
        sparse = engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf)
        shard = engine.EdgeShard.create(
            str(path), engine.EdgeConfig(vectors={"dense": dense}, sparse_vectors={"lexical": sparse}, wal_enabled=True)
        )
        shard.update(engine.UpdateOperation.create_field_index("thread", engine.PayloadSchemaType.Keyword))
        shard.close()

    monkeypatch.setattr(edge_shard, "SEAL_AT", 200)
    monkeypatch.setattr(edge_shard, "make", older)
    with open_store(tmp_path) as store:
        store.upsert(points([f"n{place}" for place in range(400)]))
        before = contents(store)
        assert segments(tmp_path) == ["MutableRam"]
        store.optimize()
        assert contents(store) == before
    with open_store(tmp_path) as store:
        assert contents(store) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"hnsw_config":null}', b'{"hnsw_config":{"m":16}}'])
def test_settings_that_say_nothing_of_sealing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "edge_config.json").write_bytes(content)
    assert not edge_shard.seals(tmp_path)
    assert not edge_shard.seals(tmp_path / "none")
    assert edge_shard.unsealed(tmp_path / "none") == 0


def test_nothing_is_sealed_where_the_disk_has_no_room_for_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_shard, "SEAL_AT", 200)
    with open_store(tmp_path) as store:
        room = edge_folder.allocated_bytes(tmp_path / "main") + edge_folder.ROOM_TO_WRITE
        monkeypatch.setattr(edge_folder, "free_bytes", lambda _: room - 1)
        store.upsert(points([f"n{place}" for place in range(400)]))
        assert segments(tmp_path) == ["MutableRam"]
        assert store.count() == 400


def test_killed_while_it_seals(tmp_path: Path) -> None:
    rng = random.Random(8)
    done: dict[str, int] = {}
    for round_ in range(8):
        command = [sys.executable, "-c", WRITER, str(tmp_path), f"r{round_}"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "open\n"
            lines = [child.stdout.readline() for _ in range(rng.randint(1, 12))]
            with pytest.raises(subprocess.TimeoutExpired):  # somewhere in what follows, sealing included
                child.wait(rng.random() * 0.08)
            child.kill()
            lines += child.stdout.readlines()
        done[f"r{round_}"] = max(int(line) for line in lines if line.endswith("\n"))
        check(tmp_path, done)
    assert "Mmap" in segments(tmp_path)


def check(folder: Path, done: dict[str, int]) -> None:
    """Everything that was acknowledged is there once, as it was written; nothing deleted came back."""
    with open_store(folder, create=False) as store:
        every = [one.record.id for one in store.scroll()]
        assert len(every) == len(set(every)) == store.count()
        for label, last in done.items():
            for batch in range(last + 1):
                expected = np.random.default_rng(batch).normal(size=(100, DIMENSION)).astype(np.float32)
                names = [f"{label}-{batch}-{place}" for place in range(100)]
                found = store.get(names, vectors=True)
                assert [one.record.id for one in found] == [name for at, name in enumerate(names) if at % 10]
                rows = expected[[at for at in range(100) if at % 10]]
                np.testing.assert_allclose(
                    np.stack([one.dense for one in found]),
                    rows / np.linalg.norm(rows, axis=1, keepdims=True),
                    atol=1e-6,
                )
                assert all(one.record.text == f"text of {one.record.id}" for one in found)
                if batch + 3 <= last:
                    assert found[0].record.state is MemoryState.COLD
        assert store.count(Where((HasId(tuple(every)),))) == len(every)


def test_memory_given_back_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    real = edge_shard.release

    def release(path: Path, part: str = "") -> None:
        given.append(part)
        real(path, part)

    monkeypatch.setattr(edge_shard, "release", release)
    monkeypatch.setattr(qdrant_edge, "READ_AHEAD", 100)
    monkeypatch.setattr(edge_shard, "SEAL_AT", 200)
    with open_store(tmp_path) as store:
        store.upsert(points([f"n{place}" for place in range(650)]))
        before = contents(store)
        assert given
        for _ in range(3):
            edge_shard.release(tmp_path / "main" / "shard")
            assert len(list(store.rows(["id", "keep_bucket"], page=50))) == 650
            assert contents(store) == before
            store.set_fields(["n1"], {"rev": 1})
        assert {"", "payload_storage"} <= set(given)
    with open_store(tmp_path) as store:
        assert contents(store) == before
