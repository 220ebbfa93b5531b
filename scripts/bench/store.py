"""How fast the embedded store is: ours, the bare engine beneath it, and qdrant-client's local mode, in one run.

    python scripts/bench/store.py [--points 10000] [--rounds 3] [--output bench-results/store.json]

All three get the same points: 384-d unit vectors in 100 clusters, a sparse vector of 20 terms, a payload of about 300
bytes, in rounds one after the other. Upsert, open and delete are wall time (CPU time beside it), queries CPU time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sophiactl.memory import edge_shard
from sophiactl.memory.base import CollectionSchema, Equals, Point, SparseVector, Where
from sophiactl.memory.payload import encode
from sophiactl.memory.points import PointIds
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.model import MemoryClass, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DIMENSION = 384
LIMIT = 10
BATCH = 500
OPENINGS = 5
Figures = dict[str, float]
SCHEMA = CollectionSchema(model="benchmark", revision="0" * 64, dimension=DIMENSION)
TARGETS = {"upsert": 15.0, "open": 10.0, "query": 10.0}


class _Rival(Protocol):
    """What is measured of each store."""

    def open(self) -> None: ...
    def upsert(self, points: Sequence[Point]) -> None: ...
    def query(self, vector: Any, thread: str | None) -> list[str]: ...
    def delete(self, ids: Sequence[str]) -> None: ...
    def close(self) -> None: ...


class _Ours:
    """The store as the program uses it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self) -> None:
        self._store = EdgeStore.open(self._folder, "b", SCHEMA, create=True, lock_timeout=0, purpose="benchmark")

    def upsert(self, points: Sequence[Point]) -> None:
        self._store.upsert(points)

    def query(self, vector: Any, thread: str | None) -> list[str]:
        where = Where((Equals("thread", thread),)) if thread else Where()
        return [hit.id for hit in self._store.search_dense(vector, LIMIT, where)]

    def delete(self, ids: Sequence[str]) -> None:
        self._store.delete(ids)

    def close(self) -> None:
        self._store.close()


class _RawEdge:
    """The engine alone: same configuration and indexes, payloads ready made, nothing checked."""

    def __init__(self, folder: Path, payloads: dict[str, dict[str, Any]]) -> None:
        import qdrant_edge

        self._engine, self._path, self._payloads, self._ids = qdrant_edge, folder / "shard", payloads, PointIds("b")

    def open(self) -> None:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            edge_shard.make(self._path, SCHEMA)
        self._shard = self._engine.EdgeShard.load(str(self._path))

    def upsert(self, points: Sequence[Point]) -> None:
        made = [
            self._engine.Point(
                self._ids(point.record.id),
                {"dense": point.dense.tolist(), "lexical": self._engine.SparseVector(*_lists(point))},
                self._payloads[point.record.id],
            )
            for point in points
        ]
        self._shard.update(self._engine.UpdateOperation.upsert_points(made))

    def query(self, vector: Any, thread: str | None) -> list[str]:
        engine = self._engine
        match = engine.FieldCondition("thread", match=engine.MatchValue(thread)) if thread else None
        request = engine.QueryRequest(
            query=engine.Query.Nearest(vector.tolist(), using="dense"),
            filter=engine.Filter(must=[match]) if match else None,
            limit=LIMIT,
            with_payload=["id"],
        )
        return [str((hit.payload or {})["id"]) for hit in self._shard.query(request)]

    def delete(self, ids: Sequence[str]) -> None:
        self._shard.update(self._engine.UpdateOperation.delete_points([*self._ids.many(ids)]))

    def close(self) -> None:
        self._shard.flush()
        self._shard.close()


class _LocalMode:
    """qdrant-client without a server, as its documentation shows it."""

    def __init__(self, folder: Path, payloads: dict[str, dict[str, Any]]) -> None:
        from qdrant_client import models

        self._models, self._folder, self._payloads, self._ids = models, folder, payloads, PointIds("b")

    def open(self) -> None:
        from qdrant_client import QdrantClient

        models = self._models
        with warnings.catch_warnings():
            # Past 20,000 points it recommends a server.
            warnings.simplefilter("ignore")
            self._client = QdrantClient(path=str(self._folder))
        if not self._client.collection_exists("b"):
            self._client.create_collection(
                "b",
                vectors_config={"dense": models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)},
                sparse_vectors_config={"lexical": models.SparseVectorParams(modifier=models.Modifier.IDF)},
            )

    def upsert(self, points: Sequence[Point]) -> None:
        models = self._models
        made = []
        for point in points:
            indices, values = _lists(point)
            sparse = models.SparseVector(indices=indices, values=values)
            vectors = {"dense": point.dense.tolist(), "lexical": sparse}
            payload = self._payloads[point.record.id]
            made.append(models.PointStruct(id=self._ids(point.record.id), vector=vectors, payload=payload))
        self._client.upsert("b", made)

    def query(self, vector: Any, thread: str | None) -> list[str]:
        models = self._models
        match = models.FieldCondition(key="thread", match=models.MatchValue(value=thread)) if thread else None
        found = self._client.query_points(
            "b",
            query=vector.tolist(),
            using="dense",
            query_filter=models.Filter(must=[match]) if match else None,
            limit=LIMIT,
            with_payload=["id"],
        )
        return [str((hit.payload or {})["id"]) for hit in found.points]

    def delete(self, ids: Sequence[str]) -> None:
        self._client.delete("b", points_selector=self._models.PointIdsList(points=[*self._ids.many(ids)]))

    def close(self) -> None:
        self._client.close()


def _lists(point: Point) -> tuple[list[int], list[float]]:
    sparse = point.sparse or SparseVector()
    return list(sparse.indices), list(sparse.values)


def make_points(count: int, rng: np.random.Generator) -> list[Point]:
    """Points in 100 clusters, with records like the passages of documents."""
    centres = rng.normal(size=(100, DIMENSION))
    vectors = centres[rng.integers(0, 100, count)] + 0.5 * rng.normal(size=(count, DIMENSION))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return [Point(_record(place), vectors[place], _sparse(rng)) for place in range(count)]


def _record(place: int) -> Record:
    return Record(
        id=f"passage-{place}",
        text=f"Passage {place} says what a paragraph of a handbook says. " * 2,
        class_=MemoryClass.SOURCE,
        created_at="2026-01-02T03:04:05Z",
        source=f"handbook/chapter-{place // 100}.md",
        thread=f"chapter-{place // 100}",
        position=place % 100,
    )


def _sparse(rng: np.random.Generator) -> SparseVector:
    indices = np.unique(rng.integers(0, 30_000, 20))
    return SparseVector(tuple(indices.tolist()), tuple(rng.random(len(indices)).tolist()))


def measure(store: _Rival, points: list[Point], queries: np.ndarray[Any, Any]) -> tuple[Figures, list[list[str]]]:
    """Figures of one store on a fresh folder, and what it found, which must be the same for all."""
    store.open()
    upsert = [_spent(partial(store.upsert, points[at : at + BATCH])) for at in range(0, len(points), BATCH)]
    store.close()
    opening = []
    for _ in range(OPENINGS):
        opening.append(_spent(store.open))
        store.close()
    store.open()
    found = [store.query(vector, None) for vector in queries]
    plain = [_spent(partial(store.query, vector, None)) for vector in queries]
    threads = [points[at * 37 % len(points)].record.thread for at in range(len(queries))]
    pairs = zip(queries, threads, strict=True)
    filtered = [_spent(partial(store.query, vector, thread)) for vector, thread in pairs]
    doomed = [point.record.id for point in points[::10]]
    delete = [_spent(partial(store.delete, doomed[at : at + BATCH])) for at in range(0, len(doomed), BATCH)]
    store.close()
    figures = {
        "upsert_per_second": len(points) / sum(wall for wall, _ in upsert),
        "upsert_per_cpu_second": len(points) / sum(cpu for _, cpu in upsert),
        "open_ms": statistics.median(wall for wall, _ in opening) * 1e3,
        "open_cpu_ms": statistics.median(cpu for _, cpu in opening) * 1e3,
        "query_cpu_ms": statistics.median(cpu for _, cpu in plain) * 1e3,
        "filtered_query_cpu_ms": statistics.median(cpu for _, cpu in filtered) * 1e3,
        "delete_ms": sum(wall for wall, _ in delete) * 1e3,
    }
    return figures, found


def _spent(action: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def race(points: list[Point], queries: np.ndarray[Any, Any], rounds: int) -> tuple[dict[str, Figures], float]:
    """Every store in every round, each on a fresh folder; the medians, and the share of neighbours all agree on."""
    payloads = {point.record.id: encode(point.record) for point in points}
    runs: dict[str, list[Figures]] = {}
    agreements = []
    for _ in range(rounds):
        folder = Path(tempfile.mkdtemp(prefix="store-bench-"))
        rivals: dict[str, _Rival] = {
            "sophiactl": _Ours(folder / "ours"),
            "raw edge": _RawEdge(folder / "raw", payloads),
            "local mode": _LocalMode(folder / "local", payloads),
        }
        lists = []
        try:
            for name, rival in rivals.items():
                figures, found = measure(rival, points, queries)
                runs.setdefault(name, []).append(figures)
                lists.append(found)
        finally:
            shutil.rmtree(folder)
        shares = [len(set.intersection(*map(set, found))) / LIMIT for found in zip(*lists, strict=True)]
        agreements.append(statistics.mean(shares))
    medians = {
        name: {row: statistics.median(figures[row] for figures in many) for row in many[0]}
        for name, many in runs.items()
    }
    return medians, min(agreements)


def ratios(ours: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """How many times better ours is."""
    return {
        "upsert": ours["upsert_per_second"] / other["upsert_per_second"],
        "upsert_cpu": ours["upsert_per_cpu_second"] / other["upsert_per_cpu_second"],
        "open": other["open_ms"] / ours["open_ms"],
        "open_cpu": other["open_cpu_ms"] / ours["open_cpu_ms"],
        "query": other["query_cpu_ms"] / ours["query_cpu_ms"],
        "filtered_query": other["filtered_query_cpu_ms"] / ours["filtered_query_cpu_ms"],
        "delete": other["delete_ms"] / ours["delete_ms"],
    }


def main() -> None:
    """Run, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("bench-results/store.json"))
    arguments = parser.parse_args()
    rng = np.random.default_rng(7)
    points = make_points(arguments.points, rng)
    queries = np.stack([points[at].dense for at in rng.integers(0, len(points), 50)])
    size = statistics.mean(len(json.dumps(encode(point.record))) for point in points)
    figures, agreement = race(points, queries, arguments.rounds)
    report = {
        "points": len(points),
        "rounds": arguments.rounds,
        "payload_bytes": round(size),
        "figures": figures,
        "times_local_mode": ratios(figures["sophiactl"], figures["local mode"]),
        "times_raw_edge": ratios(figures["sophiactl"], figures["raw edge"]),
        "same_neighbours": agreement,
        "targets": TARGETS,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    _print(report)


def _print(report: dict[str, Any]) -> None:
    names = list(report["figures"])
    print(
        f"{report['points']} points, payload {report['payload_bytes']} bytes, {report['rounds']} rounds; "
        f"same neighbours {report['same_neighbours']:.3f}"
    )
    print(f"{'':24}" + "".join(f"{name:>14}" for name in names))
    for row in report["figures"][names[0]]:
        print(f"{row:24}" + "".join(f"{report['figures'][name][row]:14.2f}" for name in names))
    for row, ratio in report["times_local_mode"].items():
        target = TARGETS.get(row)
        verdict = "" if target is None else f"  target {target:.0f}x {'reached' if ratio >= target else 'MISSED'}"
        print(f"{row:16} {ratio:7.1f}x local mode  {report['times_raw_edge'][row]:5.2f}x raw edge{verdict}")


if __name__ == "__main__":
    main()
