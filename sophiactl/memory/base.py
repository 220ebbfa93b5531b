"""What every memory store promises, and the data it takes and gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import msgspec

from sophiactl.memory.policy import PruneConfig
from sophiactl.model import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from sophiactl.memory.lease import Lease

    Vector = NDArray[np.float32]


SCHEMA_VERSION = 1
"""Layout of a stored point; a collection of a newer version is refused."""


class SparseVector(msgspec.Struct, frozen=True):
    """Weights of terms by 32-bit term id; `indices` are unique and ascending, `values` finite and aligned with them."""

    indices: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


class Point(msgspec.Struct, frozen=True):
    """A record with its vectors, as stored. `dense` is a float32 array (dimension,); None when not asked for."""

    record: Record
    dense: Any = None
    sparse: SparseVector | None = None


class Hit(msgspec.Struct, frozen=True):
    """A record's id and its score in one search; higher is better."""

    id: str
    score: float


class Equals(msgspec.Struct, frozen=True, tag="eq"):
    """The field holds this value (for a list field: contains it)."""

    field: str
    value: str | int | bool


class AnyOf(msgspec.Struct, frozen=True, tag="in"):
    """The field holds one of these values."""

    field: str
    values: tuple[str, ...]


class TimeRange(msgspec.Struct, frozen=True, tag="time"):
    """The field is an ISO 8601 time with `since <= field < until`; a missing bound is open."""

    field: str
    since: str | None = None
    until: str | None = None


class NumberRange(msgspec.Struct, frozen=True, tag="number"):
    """The field is a number with `least <= field <= most`; a missing bound is open. No field, no match."""

    field: str
    least: float | None = None
    most: float | None = None


class HasId(msgspec.Struct, frozen=True, tag="id"):
    """The record's id is one of these."""

    ids: tuple[str, ...]


Condition = Equals | AnyOf | TimeRange | NumberRange | HasId


class Where(msgspec.Struct, frozen=True):
    """A filter: every condition of `all` holds and none of `none`. Fields are names of `Record`, or `metadata.KEY`."""

    all: tuple[Condition, ...] = ()
    none: tuple[Condition, ...] = ()


EVERYTHING = Where()


class CollectionSchema(msgspec.Struct, frozen=True):
    """What a collection was made with. Recorded at creation and compared at every open.

    `revision` is the sha256 of the model's weights; `average_length` the length in terms that BM25 normalises by.
    """

    model: str
    revision: str
    dimension: int
    language: str = "english"
    average_length: float = 40.0
    version: int = SCHEMA_VERSION


class StoreInfo(msgspec.Struct, frozen=True):
    """Facts about an open collection. `bytes_on_disk` is None where the engine does not say."""

    engine: str
    collection: str
    points: int
    schema: CollectionSchema
    location: str
    bytes_on_disk: int | None = None


class RetrievalConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How passages are found and ranked (see `memory.retrieval`)."""

    candidates: int = 300
    dense_weight: float = 0.5
    diversity: float = 0.0


class MemoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The memory store: where it is and how long to wait for it.

    `url` empty means the embedded engine under the state folder; else a Qdrant server (`https://...`, or `http://` on
    loopback). `lock_timeout` is in seconds. `remember_queries` keeps the vector, the term ids and the hits of each
    question in the ledger of runs, for `prune verify`; its words only where the ledger keeps words.
    """

    collection: str = "main"
    url: str = ""
    api_key_name: str = "QDRANT_API_KEY"
    lock_timeout: float = 30.0
    language: str = "english"
    thread_gap_minutes: float = 60.0
    remember_queries: bool = True
    retrieval: RetrievalConfig = RetrievalConfig()
    prune: PruneConfig = PruneConfig()


@runtime_checkable
class Store(Protocol):
    """A collection of points, open for reading and writing. Not for use by several threads at once.

    All methods raise `StoreError` (or a subclass), `UsageError` for an unknown field or a bad time in a filter,
    `DiskFull`, and on a server `AuthError`, `Unreachable`, `DeadlineExceeded`, `RateLimited` and `UpstreamError`;
    nothing of the engine's own. A write has reached the engine's
    write-ahead log when the method returns. Ids are the user's strings; the engine's own point id is uuid5 of the
    collection and that string.
    """

    schema: CollectionSchema

    def upsert(self, points: Sequence[Point], *, insert_only: bool = False) -> None:
        """Insert or replace points; with `insert_only` existing ids stay as they are. Vectors are required.

        Raises `InvalidVector` for NaN, infinity or a wrong dimension, before anything is written.
        """

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """The points that exist, in the order of `ids`; unknown ids are left out."""

    def delete(self, ids: Sequence[str], *, only: Where = EVERYTHING) -> None:
        """Delete those of these points that match `only` at that moment; unknown ids are no error."""

    def set_fields(self, ids: Sequence[str], fields: dict[str, Any], *, only: Where = EVERYTHING) -> None:
        """Set fields of the record (names as in `Record`'s JSON form) on those of these points that match `only`.

        Vectors stay as they are; unknown ids are no error.
        """

    def set_sparse(self, vectors: Sequence[tuple[str, SparseVector]]) -> None:
        """Replace the sparse vector of existing points; unknown ids are no error."""

    def search_dense(self, vector: Vector, limit: int, where: Where = EVERYTHING) -> list[Hit]:
        """Nearest points by cosine similarity, exact below the engine's index threshold, best first."""

    def search_sparse(self, vector: SparseVector, limit: int, where: Where = EVERYTHING) -> list[Hit]:
        """Points by inner product with the engine's own inverse document frequency applied, best first."""

    def scroll(self, where: Where = EVERYTHING, *, vectors: bool = False, page: int = 1000) -> Iterator[Point]:
        """All matching points in the engine's id order, read page by page in bounded memory."""

    def rows(self, fields: Sequence[str], where: Where = EVERYTHING, *, page: int = 5000) -> Iterator[dict[str, Any]]:
        """These fields of all matching points, in the engine's id order: far cheaper than `scroll`.

        Names are those of `Record`'s JSON form; a field that a record does not hold is left out. Values are as in JSON.
        """

    def histogram(self, field: str, where: Where = EVERYTHING) -> dict[int, int]:
        """How many matching points hold each value of a field of whole numbers; those without it are not counted."""

    def count(self, where: Where = EVERYTHING) -> int:
        """How many points match, exactly."""

    def facet(self, field: str, where: Where = EVERYTHING, limit: int = 100) -> dict[str, int]:
        """Values of a keyword field with their exact counts, most frequent first."""

    def optimize(self) -> None:
        """Build or rebuild the engine's indexes; may take minutes on a large collection."""

    def scrub(self) -> bool:
        """Leave nothing of deleted points in the engine's files; False where the engine sees to that in its own time.

        May take as long as writing everything did. Raises `DiskFull` where there is no room for a copy.
        """

    def busy(self) -> str | None:
        """What the engine is at work on in the background, such as rebuilding segments; None when it is at rest."""

    def lease(self, purpose: str, seconds: float) -> Lease | None:
        """A lease, not yet acquired, that keeps other hosts from pruning this collection; `purpose` names us to them.

        None where the store is this process's alone while it is open.
        """

    def info(self) -> StoreInfo:
        """Facts about the collection."""

    def close(self) -> None:
        """Flush and release; safe to call twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
