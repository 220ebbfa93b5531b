"""How the embedded engine keeps a collection: its settings, when it seals what was written, and its memory.

What is written goes into a mutable segment, of which the engine keeps ids, words and indexes in its own memory: 450 MB
at a million points, 3 s for every open. So each `SEAL_AT` points are sealed: rewritten, without a graph of neighbours,
as a segment that is only mapped (25 us a point; 79 MB and 0.6 s at a million points). Searches stay exact. A point that
is deleted from a sealed segment, or written again, still counts in the frequencies of its words until the segment is
rewritten, which the engine does at the next sealing once a fifth of it is gone. A shard of an older version, or one
that `optimize` has built the graph for, keeps its settings and is never sealed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from sophiactl.memory.base import Point, SparseVector
from sophiactl.memory.payload import decode
from sophiactl.memory.points import DENSE, LEXICAL, TIMES

if TYPE_CHECKING:
    from pathlib import Path

    import qdrant_edge

    from sophiactl.memory.base import CollectionSchema

SEAL_AT = 100_000
"""Points written or deleted that are worth it, in a collection no smaller."""

INDEXED = ("state", "thread", "source")
"""Each index adds 4 ms to every open, however few the points: only what every search or every file asks for has one
from the start, the rest from `optimize` on."""

NO_POINT = "00000000-0000-0000-0000-000000000000"
"""An engine id that no record can have: it is no uuid5."""

_COPIED = 1000
_EDGES = 16
"""Neighbours of a point in the graph that `optimize` builds; the engine's default."""

_LARGEST_SEGMENT = 512_000
_FEW_SEGMENTS = 4
"""Kilobytes, and how many segments are merged no further. Each one more makes reading by id dearer, each merge
writes its points again."""

_MAPPING_BYTES = 21
"""What the mutable segment's journal of ids takes for each point written or deleted."""


def config(schema: CollectionSchema, *, graph: bool) -> qdrant_edge.EdgeConfig:
    """Settings of a shard: all on disk, mapped when asked for; sealed segments have a graph of neighbours or none."""
    import qdrant_edge as engine

    cold = engine.Memory.Cold
    return engine.EdgeConfig(
        vectors={DENSE: engine.EdgeVectorParams(schema.dimension, engine.Distance.Cosine, memory=cold)},
        sparse_vectors={LEXICAL: engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf, memory=cold)},
        hnsw_config=engine.HnswIndexConfig(m=_EDGES if graph else 0, ef_construct=100, full_scan_threshold=10_000),
        optimizers=engine.EdgeOptimizersConfig(
            default_segment_number=_FEW_SEGMENTS,
            max_segment_size=_LARGEST_SEGMENT,
            indexing_threshold=10_000 if graph else 1,
        ),
        payload_memory=cold,
        id_tracker_memory=cold,
        wal_enabled=True,
    )


def make(path: Path, schema: CollectionSchema) -> None:
    """Make an empty, closed shard."""
    import qdrant_edge as engine

    path.mkdir()
    shard = engine.EdgeShard.create(str(path), config(schema, graph=False))
    for field in INDEXED:
        shard.update(engine.UpdateOperation.create_field_index(field, kind(field)))
    shard.flush()
    shard.close()


def copy(old: qdrant_edge.EdgeShard, path: Path, schema: CollectionSchema) -> None:
    """Make a shard that holds what an open one holds, payloads and vectors as they are."""
    import qdrant_edge as engine

    make(path, schema)
    new = engine.EdgeShard.load(str(path), None)
    offset: Any = None
    while True:
        request = engine.ScrollRequest(offset, _COPIED, None, with_payload=True, with_vector=True)
        records, offset = old.scroll(request)
        points = [engine.Point(str(each.id), _vectors(each), each.payload or {}) for each in records]
        if points:
            new.update(engine.UpdateOperation.upsert_points(points))
        if offset is None:
            break
    new.update(engine.UpdateOperation.delete_points([NO_POINT]))
    new.flush()
    new.close()


def _vectors(record: qdrant_edge.Record) -> Any:
    """Its vectors in the form that the engine takes."""
    found: Any = record.vector  # a union of every kind of vector; ours are always named
    return dict(found or {})


def kind(field: str) -> qdrant_edge.DatetimeIndexParams | qdrant_edge.KeywordIndexParams:
    """The index of a field; in sealed segments it is only mapped."""
    import qdrant_edge as engine

    made = engine.DatetimeIndexParams if field in TIMES else engine.KeywordIndexParams
    return made(memory=engine.Memory.Cold)


def seals(path: Path) -> bool:
    """Whether this shard is one that is sealed as it grows."""
    try:
        return bool(json.loads((path / "edge_config.json").read_bytes())["hnsw_config"]["m"] == 0)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def unsealed(path: Path) -> int:
    """About how many points the mutable segment held at the last flush; those deleted and written again count twice."""
    try:
        journals = list(path.glob("segments/*/mutable_id_tracker.mappings"))
        return sum(journal.stat().st_size for journal in journals) // _MAPPING_BYTES
    except OSError:
        return 0


def release(path: Path, part: str = "") -> None:
    """Give back the memory of mapped files of a shard (below `part`, such as `payload_storage`); Linux only.

    The pages stay in the system's cache and are mapped again when they are needed, so nothing is lost: this keeps what
    a long read has passed from counting as memory of this process.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    inside = os.path.realpath(path) + os.sep
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123 - no file of ours
            lines = [line for line in maps if inside in line and f"/{part}" in line]
    except OSError:
        return
    for line in lines:
        span, rights = line.split(maxsplit=2)[:2]
        if rights.endswith("s"):  # shared with the file: nothing is written into the mapping alone
            start, end = (int(bound, 16) for bound in span.split("-"))
            advise(start, end - start, _DONTNEED)


_DONTNEED = 4
"""MADV_DONTNEED of madvise(2): for a shared mapping of a file, what is read next comes from the file."""


def scrolled(request: qdrant_edge.ScrollRequest, shard: qdrant_edge.EdgeShard) -> tuple[list[qdrant_edge.Record], Any]:
    """One page."""
    return shard.scroll(request)


def point_of(record: qdrant_edge.Record) -> Point:
    """A stored record as ours, with its vectors where they were asked for."""
    vectors: Any = record.vector  # a union of every kind of vector; ours are always named
    if not vectors:
        return Point(decode(record.payload))
    import numpy as np

    sparse = vectors.get(LEXICAL)
    found = SparseVector() if sparse is None else SparseVector(tuple(sparse.indices), tuple(sparse.values))
    return Point(decode(record.payload), np.asarray(vectors[DENSE], dtype=np.float32), found)
