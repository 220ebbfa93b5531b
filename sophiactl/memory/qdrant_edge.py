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
from sophiactl.memory import edge_folder, edge_shard
from sophiactl.memory.base import EVERYTHING, Hit, Point, SparseVector, StoreInfo
from sophiactl.memory.edge_filters import engine_filter
from sophiactl.memory.filters import is_everything
from sophiactl.memory.payload import ID_FIELDS, TERMS, encode, encode_fields, facet_keys, row_keys, user_id
from sophiactl.memory.points import (
    DENSE,
    LEXICAL,
    PointIds,
    batches,
    check_name,
    check_schema,
    checked_rows,
    checked_sparse,
    counted,
    missing,
    rows_of,
    tallied,
    unique,
    whole_field,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import numpy as np
    import qdrant_edge
    from numpy.typing import NDArray

    from sophiactl.memory.base import CollectionSchema, Vector, Where

T = TypeVar("T")

INDEXED_LATER = ("class", "tags", TERMS, "created_at")
"""What `optimize` indexes, besides what a new shard does."""

READ_AHEAD = 5000
"""Points that a long read may pass before it gives their memory back."""


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
        self._read = 0
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
                edge_folder.prepare(place, schema, lambda path: edge_shard.make(path, schema))
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
        self._seal(len(chosen))

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """The points that exist, in the order of `ids`."""
        found: dict[str, Point] = {}
        for batch in batches(self._ids.many(ids)):
            for record in self._retrieve(batch, with_payload=True, with_vector=vectors):
                point = edge_shard.point_of(record)
                found[point.record.id] = point
        return [found[user] for user in ids if user in found]

    def delete(self, ids: Sequence[str], *, only: Where = EVERYTHING) -> None:
        """Delete those of these points that match `only`."""
        for batch in self._matching(ids, only):
            self._miscounted = True
            self._update("delete_points", batch)
        self._seal(len(ids))

    def set_fields(self, ids: Sequence[str], fields: dict[str, Any], *, only: Where = EVERYTHING) -> None:
        """Set fields of those of these records that match `only`; vectors stay as they are."""
        payload = encode_fields(fields)
        for batch in self._matching(ids, only) if payload else ():
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
            self._reload()
        return self._search(wanted, LEXICAL, limit, where)

    def scroll(self, where: Where = EVERYTHING, *, vectors: bool = False, page: int = 1000) -> Iterator[Point]:
        """All matching points in the engine's id order, page by page."""
        yield from map(edge_shard.point_of, self._records(where, page, with_payload=True, with_vector=vectors))

    def rows(self, fields: Sequence[str], where: Where = EVERYTHING, *, page: int = 1000) -> Iterator[dict[str, Any]]:
        """These fields of all matching points, in the engine's id order."""
        records = self._records(where, page, with_payload=row_keys(fields))
        yield from rows_of((record.payload for record in records), fields)

    def histogram(self, field: str, where: Where = EVERYTHING) -> dict[int, int]:
        """How many matching points hold each value of a field of whole numbers."""
        # Never by facet: on this engine that takes half as long again as reading the field of every point.
        return tallied(self.rows([whole_field(field)], where), field)

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
            self._update("create_field_index", field, edge_shard.kind(field))
        if self._seals:
            self._reload(edge_shard.config(self.schema, graph=True))
        self._call(lambda shard: shard.optimize())
        self._reload()
        self._indexed = self._call(lambda shard: set(shard.info().payload_schema))

    def scrub(self) -> bool:
        """Write what is there into fresh files, so that nothing that was deleted is left in any; needs the room."""
        shard, sealed = self._shard, self._seals
        edge_folder.require_room(self._place, edge_folder.allocated_bytes(self._place) + edge_folder.ROOM_TO_WRITE)
        fresh = edge_folder.fresh_shard(self._place)
        self._call(lambda old: edge_shard.copy(old, fresh, self.schema))
        self._shard = None
        if shard is not None:
            self._guard(shard.close)
        edge_folder.swap(self._place)
        self._load()
        self._written = self._miscounted = False
        if not sealed:
            self.optimize()
        self._indexed = self._call(lambda new: set(new.info().payload_schema))
        return True

    def busy(self) -> None:
        """Never: this engine works only while it is called."""

    def lease(self, purpose: str, seconds: float) -> None:
        """None: the file lock that came with opening is enough."""

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

    def _load(self, config: qdrant_edge.EdgeConfig | None = None) -> None:
        self._path = edge_folder.shard_path(self._place)
        self._shard = self._guard(lambda: self._engine.EdgeShard.load(str(self._path), config))
        self._seals, self._fresh = edge_shard.seals(self._path), edge_shard.unsealed(self._path)

    def _reload(self, config: qdrant_edge.EdgeConfig | None = None) -> None:
        """Load the shard anew, which also makes inverse document frequencies right.

        The engine counts the documents of a term as it goes and never takes a replaced or deleted one back.
        """
        shard, enough = self._shard, edge_folder.free_bytes(self._place) >= edge_folder.ROOM_TO_OPEN
        if shard is None or not enough:
            return
        self._shard = None
        self._guard(lambda: self._leave(shard))
        self._load(config)
        self._written = self._miscounted = False

    def _seal(self, changed: int) -> None:
        """Seal what was written and sweep out what was deleted, when it is much and the disk has room for a copy."""
        self._fresh += changed
        if self._fresh < edge_shard.SEAL_AT or not self._seals or self.count() < edge_shard.SEAL_AT:
            return
        needed = edge_folder.allocated_bytes(self._place) + edge_folder.ROOM_TO_WRITE
        if edge_folder.free_bytes(self._place) >= needed:
            self._call(lambda shard: shard.optimize())
            self._reload()

    def _leave(self, shard: qdrant_edge.EdgeShard) -> None:
        if self._written and edge_folder.free_bytes(self._place) > edge_folder.ROOM_TO_OPEN:
            # The engine replays the last entry of its log at every open, flushed or not. A deletion of nothing is
            # replayed in no time, a batch of points is not (20 ms of 65 at 10,000 points).
            shard.update(self._engine.UpdateOperation.delete_points([edge_shard.NO_POINT]))
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
            records, offset = self._call(partial(edge_shard.scrolled, request))
            self._pass(len(records), vectors=with_vector)
            yield from records
            if offset is None:
                return

    def _pass(self, points: int, *, vectors: bool) -> None:
        """Count points that were read, and give memory back after many."""
        self._read += points
        if self._read >= READ_AHEAD:
            self._read = 0
            edge_shard.release(self._path, "" if vectors else "payload_storage")

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
        found = self._call(lambda shard: shard.retrieve([*points], with_payload, with_vector))
        self._pass(len(found), vectors=with_vector)
        return found

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

    def _matching(self, ids: Sequence[str], only: Where) -> Iterator[Sequence[str]]:
        """Engine ids of those that match, in batches. They are found before the write and never by it.

        After a crash the engine replays its log on segments of which some were flushed, where a filter may choose
        others than it did: payloads and their indexes would differ ever after.
        """
        guard = None if is_everything(only) else self._filter(only)
        for batch in batches(self._ids.many(ids)):
            if guard is None:
                yield batch
                continue
            chosen = self._engine.Filter(must=[self._engine.HasIdCondition(set(batch)), guard])
            request = self._engine.ScrollRequest(None, len(batch), chosen, with_payload=False)
            found, _ = self._call(partial(edge_shard.scrolled, request))
            if found:
                yield [str(record.id) for record in found]

    def _filter(self, where: Where) -> qdrant_edge.Filter:
        return self._guard(lambda: engine_filter(where, self._ids))

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
