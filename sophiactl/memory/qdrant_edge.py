"""The embedded store: Qdrant's own engine in this process, one folder a collection (see `edge_folder`).

What qdrant-edge-py 0.9.0 leaves open is closed here, each with a test: vectors with NaN are stored silently, errors
have no types and may be panics, booleans cannot be matched, writing to an unknown id fails the whole batch, payloads
nested too deep make the folder unreadable, and a full disk kills the process.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sophiactl.errors import StoreError
from sophiactl.locks import FileLock
from sophiactl.memory import edge_folder
from sophiactl.memory.base import EVERYTHING, Hit, Point, SparseVector, StoreInfo
from sophiactl.memory.filters import Among, Between, MatchAny, clause, is_everything
from sophiactl.memory.payload import ID_FIELDS, TERMS, decode, encode, encode_fields, facet_keys, user_id
from sophiactl.memory.points import (
    DENSE,
    LEXICAL,
    TIMES,
    PointIds,
    batches,
    check_name,
    check_schema,
    checked_rows,
    checked_sparse,
    counted,
    missing,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import numpy as np
    import qdrant_edge
    from numpy.typing import NDArray

    from sophiactl.memory.base import CollectionSchema, Condition, Vector, Where

T = TypeVar("T")

INDEXED = ("state", "thread", "source")
INDEXED_LATER = ("class", "tags", TERMS, "created_at")
"""Each index adds 4 ms to every open, however few the points: only what every search or every file asks for has one
from the start, the rest from `optimize` on."""

NO_POINT = "00000000-0000-0000-0000-000000000000"
"""An engine id that no record can have: it is no uuid5."""


class EdgeStore:
    """A collection in a folder of this machine, open for this process alone. See `memory.base.Store`."""

    def __init__(self, place: Path, schema: CollectionSchema, lock: FileLock) -> None:
        """Take over a folder whose lock is held; use `EdgeStore.open`."""
        import qdrant_edge

        self.schema = schema
        self._engine = qdrant_edge
        self._place = place
        self._lock = lock
        self._ids = PointIds(place.name)
        self._shard: qdrant_edge.EdgeShard | None = None
        self._written = False
        self._miscounted = False
        edge_folder.require_room(place, edge_folder.ROOM_TO_OPEN)
        self._load()
        self._indexed = self._call(lambda shard: set(shard.info().payload_schema))

    @classmethod
    def open(
        cls,
        folder: Path,
        collection: str,
        schema: CollectionSchema | None,
        *,
        create: bool,
        lock_timeout: float,
        purpose: str,
    ) -> Self:
        """Open a collection, waiting up to `lock_timeout` seconds for whoever has it; `purpose` names us to others.

        Without `schema` the recorded one is taken. Raises `NotFound`, `StoreMismatch`, `Locked`, `DiskFull` or
        `StoreError`.
        """
        place = folder / check_name(collection)
        if not edge_folder.exists(folder, collection) and not (create and schema):
            raise missing(collection, str(folder))
        lock = FileLock(place / "lock", purpose=purpose, timeout=lock_timeout)
        lock.acquire()
        try:
            if schema is not None and not edge_folder.exists(folder, collection):
                edge_folder.prepare(place, schema, lambda path: _make_shard(path, schema))
            return cls(place, check_schema(collection, edge_folder.recorded(place), schema), lock)
        except BaseException:
            lock.release()
            raise

    def upsert(self, points: Sequence[Point], *, insert_only: bool = False) -> None:
        """Insert or replace points; with `insert_only` existing ids stay as they are."""
        mode = self._engine.UpdateMode
        chosen = unique(points, keep_first=insert_only)
        rows = checked_rows([point.dense for point in chosen], self.schema.dimension)
        sparse = [checked_sparse(point.sparse) for point in chosen]
        payloads = [encode(point.record) for point in chosen]
        before, miscounted = self.count(), self._miscounted
        self._miscounted = True  # also when only some batches get through
        for batch in batches(range(len(chosen))):
            made = self._guard(partial(self._made, payloads, rows, sparse, batch))
            self._update("upsert_points", made, update_mode=mode.InsertOnly if insert_only else mode.Upsert)
        # Fewer points more than were written: some replaced others.
        self._miscounted = miscounted or self.count() - before < len(chosen)

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """The points that exist, in the order of `ids`."""
        found: dict[str, Point] = {}
        for batch in batches(self._ids.many(ids)):
            for record in self._retrieve(batch, with_payload=True, with_vector=vectors):
                point = _read(record)
                found[point.record.id] = point
        return [found[user] for user in ids if user in found]

    def delete(self, ids: Sequence[str], *, unless: Where | None = None) -> None:
        """Delete these points, sparing those that match `unless`."""
        if unless is not None and is_everything(unless):
            return
        for batch in batches(self._ids.many(ids)):
            self._miscounted = True
            if unless is None:
                self._update("delete_points", batch)
            else:
                chosen = self._engine.HasIdCondition(set(batch))
                doomed = self._engine.Filter(must=[chosen], must_not=[self._filter(unless)])
                self._update("delete_points_by_filter", doomed)

    def set_fields(self, ids: Sequence[str], fields: dict[str, Any]) -> None:
        """Set fields of existing records; vectors stay as they are."""
        payload = encode_fields(fields)
        for batch in batches(self._ids.many(ids)) if payload else ():
            chosen = self._engine.Filter([self._engine.HasIdCondition(set(batch))])
            self._update("set_payload_by_filter", chosen, payload)

    def set_sparse(self, vectors: Sequence[tuple[str, SparseVector]]) -> None:
        """Replace the sparse vector of existing points."""
        chosen = [(self._ids(user), checked_sparse(vector)) for user, vector in dict(vectors).items()]
        for batch in batches(chosen):
            # One unknown id would fail the whole batch.
            known = {str(record.id) for record in self._retrieve([point for point, _ in batch])}
            made = [self._vectors(point, vector) for point, vector in batch if point in known and vector.indices]
            emptied = [point for point, vector in batch if point in known and not vector.indices]
            self._miscounted = True
            if made:
                self._update("update_vectors", made)
            if emptied:
                self._update("delete_vectors", emptied, [LEXICAL])

    def search_dense(self, vector: Vector, limit: int, where: Where = EVERYTHING) -> list[Hit]:
        """Nearest points by cosine similarity, best first."""
        row = checked_rows([vector], self.schema.dimension)[0]
        return self._search(row.tolist(), DENSE, limit, where)

    def search_sparse(self, vector: SparseVector, limit: int, where: Where = EVERYTHING) -> list[Hit]:
        """Points by inner product with inverse document frequency, best first."""
        wanted = self._sparse(checked_sparse(vector))
        if self._miscounted:
            self._recount()
        return self._search(wanted, LEXICAL, limit, where)

    def scroll(self, where: Where = EVERYTHING, *, vectors: bool = False, page: int = 1000) -> Iterator[Point]:
        """All matching points in the engine's id order, page by page."""
        yield from map(_read, self._records(where, page, with_payload=True, with_vector=vectors))

    def count(self, where: Where = EVERYTHING) -> int:
        """How many points match, exactly."""
        request = self._engine.CountRequest(filter=self._filter(where), exact=True)
        return self._call(lambda shard: shard.count(request))

    def facet(self, field: str, where: Where = EVERYTHING, limit: int = 100) -> dict[str, int]:
        """Values of a keyword field with their exact counts, most frequent first."""
        if limit <= 0:
            return {}
        if field not in self._indexed:
            wanted = facet_keys(field)
            return counted((record.payload for record in self._records(where, 1000, with_payload=wanted)), field, limit)
        request = self._engine.FacetRequest(field, limit, exact=True, filter=self._filter(where))
        hits = self._call(lambda shard: shard.facet(request)).hits
        return {str(hit.value): hit.count for hit in sorted(hits, key=lambda hit: (-hit.count, str(hit.value)))}

    def optimize(self) -> None:
        """Index the remaining fields and build the engine's vector index; may take minutes on a large collection."""
        for field in INDEXED_LATER:
            self._update("create_field_index", field, _kind(field))
        self._call(lambda shard: shard.optimize())
        self._indexed = self._call(lambda shard: set(shard.info().payload_schema))

    def info(self) -> StoreInfo:
        """Facts about the collection."""
        return StoreInfo(
            engine="qdrant-edge",
            collection=self._place.name,
            points=self.count(),
            schema=self.schema,
            location=str(self._place),
            bytes_on_disk=edge_folder.allocated_bytes(self._place),
        )

    def close(self) -> None:
        """Flush and release; safe to call twice."""
        shard, self._shard = self._shard, None
        try:
            if shard is not None:
                self._guard(lambda: self._leave(shard))
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self) -> None:
        path = edge_folder.shard_path(self._place)
        self._shard = self._guard(lambda: self._engine.EdgeShard.load(str(path)))

    def _recount(self) -> None:
        """Load the shard anew, so that inverse document frequencies are right.

        The engine counts the documents of a term as it goes and never takes a replaced or deleted one back.
        """
        shard, enough = self._shard, edge_folder.free_bytes(self._place) >= edge_folder.ROOM_TO_OPEN
        if shard is None or not enough:
            return
        self._shard = None
        self._guard(lambda: self._leave(shard))
        self._load()
        self._written = self._miscounted = False

    def _leave(self, shard: qdrant_edge.EdgeShard) -> None:
        if self._written and edge_folder.free_bytes(self._place) > edge_folder.ROOM_TO_OPEN:
            # The engine replays the last entry of its log at every open, flushed or not. A deletion of nothing is
            # replayed in no time, a batch of points is not (20 ms of 65 at 10,000 points).
            shard.update(self._engine.UpdateOperation.delete_points([NO_POINT]))
        shard.flush()
        shard.close()

    def _update(self, name: str, *arguments: Any, **named: Any) -> None:
        edge_folder.require_room(self._place, edge_folder.ROOM_TO_WRITE)
        make = getattr(self._engine.UpdateOperation, name)
        self._written = True
        self._call(lambda shard: shard.update(make(*arguments, **named)))

    def _records(
        self, where: Where, page: int, *, with_payload: bool | list[str], with_vector: bool = False
    ) -> Iterator[qdrant_edge.Record]:
        chosen = self._filter(where)
        offset: Any = None
        while True:
            request = self._engine.ScrollRequest(
                offset, max(page, 1), chosen, with_payload=with_payload, with_vector=with_vector
            )
            records, offset = self._call(partial(_scrolled, request))
            yield from records
            if offset is None:
                return

    def _search(self, vector: Any, using: str, limit: int, where: Where) -> list[Hit]:
        if limit <= 0:
            return []
        query = self._engine.Query.Nearest(vector, using=using)
        request = self._engine.QueryRequest(
            query=query, filter=self._filter(where), limit=limit, with_payload=ID_FIELDS
        )
        return [Hit(user_id(hit.payload), hit.score) for hit in self._call(lambda shard: shard.query(request))]

    def _retrieve(
        self, points: Sequence[str], *, with_payload: bool = False, with_vector: bool = False
    ) -> list[qdrant_edge.Record]:
        return self._call(lambda shard: shard.retrieve([*points], with_payload, with_vector))

    def _made(
        self,
        payloads: list[dict[str, Any]],
        rows: NDArray[np.float32],
        sparse: list[SparseVector],
        batch: Sequence[int],
    ) -> list[qdrant_edge.Point]:
        made = []
        for at in batch:
            vectors: dict[str, Any] = {DENSE: rows[at].tolist()}
            if sparse[at].indices:  # an empty one would be a document without words in the engine's count
                vectors[LEXICAL] = self._sparse(sparse[at])
            made.append(self._engine.Point(self._ids(user_id(payloads[at])), vectors, payloads[at]))
        return made

    def _vectors(self, point: str, sparse: SparseVector) -> qdrant_edge.PointVectors:
        return self._engine.PointVectors(point, {LEXICAL: self._sparse(sparse)})

    def _sparse(self, vector: SparseVector) -> qdrant_edge.SparseVector:
        return self._engine.SparseVector(list(vector.indices), list(vector.values))

    def _filter(self, where: Where) -> qdrant_edge.Filter:
        def made(conditions: tuple[Condition, ...]) -> list[Any]:
            return self._guard(lambda: [self._condition(condition) for condition in conditions])

        return self._engine.Filter(must=made(where.all), must_not=made(where.none))

    def _condition(self, condition: Condition) -> Any:
        engine, found = self._engine, clause(condition, self._ids, booleans=False)
        if isinstance(found, Among):
            return engine.HasIdCondition(set(found.ids))
        if isinstance(found, Between):
            return engine.FieldCondition(found.path, range=engine.RangeDateTime(gte=found.since, lt=found.until))
        match = engine.MatchAny(found.values) if isinstance(found, MatchAny) else engine.MatchValue(found.value)
        return engine.FieldCondition(found.path, match=match)

    def _call(self, operation: Callable[[qdrant_edge.EdgeShard], T]) -> T:
        shard = self._shard
        if shard is None:
            raise StoreError(f"collection {self._place.name!r} is closed")
        return self._guard(lambda: operation(shard))

    def _guard(self, operation: Callable[[], T]) -> T:
        return edge_folder.guarded(self._place, operation, self._abandon)

    def _abandon(self) -> None:
        # What a panic leaves behind is unknown: nothing more may be written through this shard.
        self._shard = None


def _make_shard(path: Path, schema: CollectionSchema) -> None:
    import qdrant_edge as engine

    path.mkdir()
    dense = engine.EdgeVectorParams(size=schema.dimension, distance=engine.Distance.Cosine)
    sparse = engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf)
    config = engine.EdgeConfig(vectors={DENSE: dense}, sparse_vectors={LEXICAL: sparse}, wal_enabled=True)
    shard = engine.EdgeShard.create(str(path), config)
    for field in INDEXED:
        shard.update(engine.UpdateOperation.create_field_index(field, _kind(field)))
    shard.flush()
    shard.close()


def _kind(field: str) -> qdrant_edge.PayloadSchemaType:
    from qdrant_edge import PayloadSchemaType

    return PayloadSchemaType.Datetime if field in TIMES else PayloadSchemaType.Keyword


def _scrolled(request: qdrant_edge.ScrollRequest, shard: qdrant_edge.EdgeShard) -> tuple[list[qdrant_edge.Record], Any]:
    return shard.scroll(request)


def _read(record: qdrant_edge.Record) -> Point:
    vectors: Any = record.vector  # a union of every kind of vector; ours are always named
    if not vectors:
        return Point(decode(record.payload))
    import numpy as np

    sparse = vectors.get(LEXICAL)
    found = SparseVector() if sparse is None else SparseVector(tuple(sparse.indices), tuple(sparse.values))
    return Point(decode(record.payload), np.asarray(vectors[DENSE], dtype=np.float32), found)
