"""The store on a Qdrant server or cluster, through qdrant-client (extra `qdrant`).

What a collection was made with is kept in its own metadata (Qdrant 1.16 and later). The same points as in the embedded
store, so that a collection can move between them.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sophiactl.errors import NotFound, StoreError
from sophiactl.memory.base import EVERYTHING, Hit, Point, SparseVector, StoreInfo
from sophiactl.memory.filters import Among, Between, MatchAny, Span, clause, is_everything
from sophiactl.memory.lease import Lease
from sophiactl.memory.payload import ID_FIELDS, decode, encode, encode_fields, facet_keys, row_keys, user_id
from sophiactl.memory.points import (
    DENSE,
    KEYWORDS,
    LEXICAL,
    PointIds,
    batches,
    check_name,
    check_schema,
    checked_rows,
    checked_sparse,
    counted,
    rows_of,
    tallied,
    unique,
    whole_field,
)
from sophiactl.memory.server_errors import checked_url
from sophiactl.memory.server_setup import (
    NUMBERS,
    Connection,
    at_work,
    connect,
    make,
    make_indexes,
    recorded,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from qdrant_client import QdrantClient, models

    from sophiactl.memory.base import CollectionSchema, Condition, Vector, Where

T = TypeVar("T")

MOST_VALUES = 4096
"""Different numbers that one facet asks for; a field with more is read point by point."""


class ServerStore:
    """A collection on a Qdrant server, which may have many clients. See `memory.base.Store`."""

    def __init__(
        self, client: QdrantClient, collection: str, schema: CollectionSchema, call: Connection, *, own: bool
    ) -> None:
        """Take over a connected client; use `ServerStore.open`."""
        from qdrant_client import models

        self.schema = schema
        self._models = models
        self._client: QdrantClient | None = client
        self._own = own
        self._name = collection
        self._guarded = call
        self._ids = PointIds(collection)

    @classmethod
    def open(
        cls,
        url: str,
        collection: str,
        schema: CollectionSchema | None,
        *,
        create: bool,
        api_key: str | None,
        timeout: float,
        client: QdrantClient | None = None,
    ) -> Self:
        """Open a collection; without `schema` the recorded one is taken. `timeout` is in seconds, for each request.

        A `client` that is given is used and left open. Raises `NotFound`, `StoreMismatch`, `AuthError`, `Unreachable`,
        `DeadlineExceeded`, `UpstreamError`, `ConfigError` or `StoreError`.
        """
        check_name(collection)
        call = Connection(checked_url(url), api_key)
        connected = client if client is not None else connect(call, timeout)
        try:
            if create and schema is not None:
                make(call, connected, collection, schema)
            stored = recorded(call, connected, collection)
            return cls(connected, collection, check_schema(collection, stored, schema), call, own=client is None)
        except BaseException:
            if client is None:
                connected.close()
            raise

    def upsert(self, points: Sequence[Point], *, insert_only: bool = False) -> None:
        """Insert or replace points; with `insert_only` existing ids stay as they are."""
        chosen = unique(points, keep_first=insert_only)
        rows = checked_rows([point.dense for point in chosen], self.schema.dimension)
        sparse = [checked_sparse(point.sparse) for point in chosen]
        payloads = [encode(point.record) for point in chosen]
        mode = self._models.UpdateMode.INSERT_ONLY if insert_only else None
        for batch in batches(range(len(chosen))):
            made = [self._point(payloads[at], rows[at], sparse[at]) for at in batch]
            self._call(partial(_upsert, self._name, made, mode))

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """The points that exist, in the order of `ids`."""
        found: dict[str, Point] = {}
        for batch in batches(self._ids.many(ids)):
            for record in self._retrieve(batch, with_payload=True, with_vectors=vectors):
                point = _read(record)
                found[point.record.id] = point
        return [found[user] for user in ids if user in found]

    def delete(self, ids: Sequence[str], *, only: Where = EVERYTHING) -> None:
        """Delete those of these points that match `only`."""
        models, guard = self._models, None if is_everything(only) else self._filter(only)
        for batch in batches(self._ids.many(ids)):
            selector: Any = models.PointIdsList(points=[*batch])
            if guard is not None:
                selector = models.FilterSelector(filter=self._among(batch, guard))
            self._call(partial(_delete, self._name, selector))

    def set_fields(self, ids: Sequence[str], fields: dict[str, Any], *, only: Where = EVERYTHING) -> None:
        """Set fields of those of these records that match `only`; vectors stay as they are."""
        payload, guard = encode_fields(fields), self._filter(only)
        for batch in batches(self._ids.many(ids)) if payload else ():
            # By filter, not by id: an unknown id is no error then.
            self._call(partial(_set_payload, self._name, payload, self._among(batch, guard)))

    def set_sparse(self, vectors: Sequence[tuple[str, SparseVector]]) -> None:
        """Replace the sparse vector of existing points."""
        chosen = [(self._ids(user), checked_sparse(vector)) for user, vector in dict(vectors).items()]
        for batch in batches(chosen):
            known = {str(record.id) for record in self._retrieve([point for point, _ in batch])}
            made = [
                self._models.PointVectors(id=point, vector={LEXICAL: self._sparse(vector)})
                for point, vector in batch
                if point in known and vector.indices
            ]
            emptied = [point for point, vector in batch if point in known and not vector.indices]
            # Somebody else may delete a point meanwhile; the server writes the others all the same.
            with suppress(NotFound):
                if made:
                    self._call(partial(_update_vectors, self._name, made))
            with suppress(NotFound):
                if emptied:
                    self._call(partial(_delete_sparse, self._name, emptied))

    def search_dense(self, vector: Vector, limit: int, where: Where = EVERYTHING) -> list[Hit]:
        """Nearest points by cosine similarity, best first."""
        row = checked_rows([vector], self.schema.dimension)[0]
        return self._search(row.tolist(), DENSE, limit, where)

    def search_sparse(self, vector: SparseVector, limit: int, where: Where = EVERYTHING) -> list[Hit]:
        """Points by inner product with inverse document frequency, best first."""
        return self._search(self._sparse(checked_sparse(vector)), LEXICAL, limit, where)

    def scroll(self, where: Where = EVERYTHING, *, vectors: bool = False, page: int = 1000) -> Iterator[Point]:
        """All matching points in the engine's id order, page by page."""
        yield from map(_read, self._records(where, page, with_payload=True, with_vectors=vectors))

    def rows(self, fields: Sequence[str], where: Where = EVERYTHING, *, page: int = 5000) -> Iterator[dict[str, Any]]:
        """These fields of all matching points, in the engine's id order."""
        records = self._records(where, page, with_payload=row_keys(fields))
        yield from rows_of((record.payload for record in records), fields)

    def histogram(self, field: str, where: Where = EVERYTHING) -> dict[int, int]:
        """How many matching points hold each value of a field of whole numbers."""
        if whole_field(field) in NUMBERS:
            counts = self._tally(field, where)
            if counts is not None:
                return counts
        return tallied(self.rows([field], where), field)

    def count(self, where: Where = EVERYTHING) -> int:
        """How many points match, exactly."""
        chosen = self._filter(where)
        return self._call(lambda client: client.count(self._name, count_filter=chosen, exact=True).count)

    def facet(self, field: str, where: Where = EVERYTHING, limit: int = 100) -> dict[str, int]:
        """Values of a keyword field with their exact counts, most frequent first."""
        if limit <= 0:
            return {}
        if field not in KEYWORDS:
            wanted = facet_keys(field)
            return counted((record.payload for record in self._records(where, 1000, with_payload=wanted)), field, limit)
        chosen = self._filter(where)
        hits = self._call(
            lambda client: client.facet(self._name, key=field, facet_filter=chosen, limit=limit, exact=True).hits
        )
        return {str(hit.value): hit.count for hit in sorted(hits, key=lambda hit: (-hit.count, str(hit.value)))}

    def optimize(self) -> None:
        """Index what an older version of this program did not; the rest a server does by itself."""
        self._call(lambda client: make_indexes(self._guarded, client, self._name))

    def scrub(self) -> bool:
        """False: a server rebuilds its segments by itself, once enough of them was deleted."""
        return False

    def busy(self) -> str | None:
        """What the server is at work on in the background; None when it is at rest."""
        return self._call(lambda client: at_work(client.get_collection(self._name)))

    def lease(self, purpose: str, seconds: float) -> Lease:
        """A lease, not yet acquired, that keeps other hosts from pruning this collection."""
        return self._call(lambda client: Lease(self._guarded, client, self._name, owner=purpose, seconds=seconds))

    def info(self) -> StoreInfo:
        """Facts about the collection; a server does not say how much disk it takes."""
        return StoreInfo(
            engine="qdrant-server",
            collection=self._name,
            points=self.count(),
            schema=self.schema,
            location=self._guarded.place,
        )

    def close(self) -> None:
        """Close the connection, unless it was lent; safe to call twice."""
        client, self._client = self._client, None
        if client is not None and self._own:
            self._guarded(client.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _search(self, vector: Any, using: str, limit: int, where: Where) -> list[Hit]:
        if limit <= 0:
            return []
        chosen = self._filter(where)
        hits = self._call(
            lambda client: (
                client.query_points(
                    self._name, query=vector, using=using, query_filter=chosen, limit=limit, with_payload=ID_FIELDS
                ).points
            )
        )
        return [Hit(user_id(hit.payload), hit.score) for hit in hits]

    def _records(
        self, where: Where, page: int, *, with_payload: bool | list[str], with_vectors: bool = False
    ) -> Iterator[models.Record]:
        read = partial(_scrolled, self._name, self._filter(where), max(page, 1), with_payload, with_vectors)
        offset: Any = None
        while True:
            records, offset = self._call(partial(read, offset))
            yield from records
            if offset is None:
                return

    def _retrieve(
        self, points: Sequence[str], *, with_payload: bool = False, with_vectors: bool = False
    ) -> list[models.Record]:
        return self._call(
            lambda client: client.retrieve(self._name, [*points], with_payload=with_payload, with_vectors=with_vectors)
        )

    def _point(self, payload: dict[str, Any], row: Vector, sparse: SparseVector) -> models.PointStruct:
        vectors: dict[str, Any] = {DENSE: row.tolist()}
        if sparse.indices:  # an empty one would be a document without words in the engine's count
            vectors[LEXICAL] = self._sparse(sparse)
        return self._models.PointStruct(id=self._ids(user_id(payload)), vector=vectors, payload=payload)

    def _sparse(self, vector: SparseVector) -> models.SparseVector:
        return self._models.SparseVector(indices=list(vector.indices), values=list(vector.values))

    def _tally(self, field: str, where: Where) -> dict[int, int] | None:
        """The histogram from the server's index; None where there is none, or too many values."""
        chosen = self._filter(where)
        try:
            hits = self._call(
                lambda client: client.facet(self._name, field, facet_filter=chosen, limit=MOST_VALUES, exact=True).hits
            )
        except StoreError:
            return None  # a collection of an older version has no index for it
        return {hit.value: hit.count for hit in hits if type(hit.value) is int} if len(hits) < MOST_VALUES else None

    def _among(self, points: Sequence[str], guard: models.Filter) -> models.Filter:
        return self._models.Filter(must=[self._models.HasIdCondition(has_id=[*points]), guard])

    def _filter(self, where: Where) -> models.Filter:
        return self._models.Filter(
            must=[self._condition(condition) for condition in where.all],
            must_not=[self._condition(condition) for condition in where.none],
        )

    def _condition(self, condition: Condition) -> Any:
        models, found = self._models, clause(condition, self._ids, booleans=True)
        if isinstance(found, Among):
            return models.HasIdCondition(has_id=[*found.ids])
        if isinstance(found, Between):
            since, until = _moment(found.since), _moment(found.until)
            return models.FieldCondition(key=found.path, range=models.DatetimeRange(gte=since, lt=until))
        if isinstance(found, Span):
            return models.FieldCondition(key=found.path, range=models.Range(gte=found.least, lte=found.most))
        if isinstance(found, MatchAny):
            return models.FieldCondition(key=found.path, match=models.MatchAny(any=found.values))
        return models.FieldCondition(key=found.path, match=models.MatchValue(value=found.value))

    def _call(self, operation: Callable[[QdrantClient], T]) -> T:
        client = self._client
        if client is None:
            raise StoreError(f"collection {self._name!r} is closed")
        return self._guarded(lambda: operation(client))


def _ordered() -> models.WriteOrdering:
    """One leader puts the writes in order: else replicas could decide a guarded write differently."""
    from qdrant_client.models import WriteOrdering

    return WriteOrdering.MEDIUM


def _upsert(name: str, made: list[models.PointStruct], mode: models.UpdateMode | None, client: QdrantClient) -> None:
    client.upsert(name, made, wait=True, update_mode=mode, ordering=_ordered())


def _set_payload(name: str, payload: dict[str, Any], chosen: models.Filter, client: QdrantClient) -> None:
    client.set_payload(name, payload, points=chosen, wait=True, ordering=_ordered())


def _update_vectors(name: str, made: list[models.PointVectors], client: QdrantClient) -> None:
    client.update_vectors(name, made, wait=True, ordering=_ordered())


def _delete_sparse(name: str, points: list[str], client: QdrantClient) -> None:
    client.delete_vectors(name, vectors=[LEXICAL], points=[*points], wait=True, ordering=_ordered())


def _delete(name: str, selector: Any, client: QdrantClient) -> None:
    client.delete(name, points_selector=selector, wait=True, ordering=_ordered())


def _scrolled(
    name: str,
    chosen: models.Filter,
    limit: int,
    with_payload: bool | list[str],
    with_vectors: bool,
    offset: Any,
    client: QdrantClient,
) -> tuple[list[models.Record], Any]:
    return client.scroll(name, chosen, limit, offset=offset, with_payload=with_payload, with_vectors=with_vectors)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _read(record: models.Record) -> Point:
    vectors: Any = record.vector  # a union of every kind of vector; ours are always named
    if not vectors:
        return Point(decode(record.payload))
    import numpy as np

    sparse = vectors.get(LEXICAL)
    found = SparseVector() if sparse is None else SparseVector(tuple(sparse.indices), tuple(sparse.values))
    return Point(decode(record.payload), np.asarray(vectors[DENSE], dtype=np.float32), found)
