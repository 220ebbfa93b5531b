"""What both stores share: names and point ids, checks before a write, the comparison of schemas."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import msgspec

from sophiactl.errors import InvalidVector, NotFound, StoreError, StoreMismatch, UsageError
from sophiactl.memory.base import SCHEMA_VERSION, CollectionSchema
from sophiactl.memory.payload import EXACT, WHOLE, facet_value, row, user_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from sophiactl.memory.base import Point, SparseVector

T = TypeVar("T")

DENSE = "dense"
LEXICAL = "lexical"
KEYWORDS = ("class", "state", "thread", "source", "tags")
TIMES = ("created_at", "updated_at", "last_accessed", "cooled_at")
"""Fields that filters and facets ask for, by the kind of index they need."""

BATCH = 500
"""Points in one write, ids in one delete."""

UNIT_TOLERANCE = 4e-7
"""How far the length of a vector may be from 1 to be taken for it. Rounding to 32 bits moves the length of a unit
vector by 6e-8 at most; the engine normalises again where the square of the length is off by more than 1e-6."""

_NAMESPACE = UUID("b1d1f0c4-6a35-5f0e-9c57-2f5f0d6f7e11")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FLOAT32_MAX = 3.4028234663852886e38


def check_name(collection: str) -> str:
    """The collection's name, if it may be one: it is a folder name and part of a URL. Raises `UsageError`."""
    if not _NAME.fullmatch(collection):
        raise UsageError(
            f"{collection!r} cannot be the name of a collection",
            hint="letters, digits, dot, underscore and hyphen, at most 100, beginning with a letter or digit",
        )
    return collection


class PointIds:
    """Engine ids of a collection: uuid5 (RFC 9562) of the user's id in a namespace made from the collection's name."""

    def __init__(self, collection: str) -> None:
        self._seed = UUID(_uuid5(_NAMESPACE.bytes, collection)).bytes

    def __call__(self, user_id: str) -> str:
        """The engine's id of one record."""
        return _uuid5(self._seed, user_id)

    def many(self, ids: Iterable[str]) -> list[str]:
        """Engine ids in the order of `ids`, each once."""
        return [self(user_id) for user_id in dict.fromkeys(ids)]


def _uuid5(seed: bytes, name: str) -> str:
    # Not uuid.uuid5: it refuses lone surrogates, which file names that are no UTF-8 have, and is slower.
    text = hashlib.sha1(seed + name.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    """The items in slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def tallied(payloads: Iterable[dict[str, Any]], field: str) -> dict[int, int]:
    """Counts of the whole numbers in a field: a histogram without an index."""
    counts = Counter(payload.get(field) for payload in payloads)
    return {value: count for value, count in counts.items() if type(value) is int}


def whole_field(field: str) -> str:
    """The field, if it holds whole numbers. Raises `UsageError`."""
    if field not in WHOLE:
        raise UsageError(f"{field!r} is no field of whole numbers", hint=f"one of: {', '.join(WHOLE)}")
    return field


def rows_of(payloads: Iterable[dict[str, Any] | None], fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What `Store.rows` gives, from parts of payloads. Raises `StoreError` for a point without an id of ours."""
    helpers, named = {EXACT + field for field in fields}, "id" in fields
    for payload in payloads:
        # Hardly any row has a helper or a null: a million of them are read for a plan.
        plain = payload is not None and helpers.isdisjoint(payload) and None not in payload.values()
        found = payload if payload is not None and plain else row(payload)
        if named and type(found.get("id")) is not str:
            user_id(payload)
        yield found


def counted(payloads: Iterable[dict[str, Any] | None], field: str, limit: int) -> dict[str, int]:
    """Counts of the texts in a field, most frequent first: a facet without an index."""
    counts: Counter[str] = Counter()
    for payload in payloads:
        value = facet_value(payload, field)
        values = value if isinstance(value, list) else [value]
        counts.update({item for item in values if isinstance(item, str)})
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:limit])


def unique(points: Sequence[Point], *, keep_first: bool) -> list[Point]:
    """One point an id: the last given, or with `keep_first` the first."""
    ordered = reversed(points) if keep_first else points
    return list({point.record.id: point for point in ordered}.values())


def checked_rows(vectors: Sequence[Any], dimension: int) -> NDArray[np.float32]:
    """Unit vectors of shape (len(vectors), dimension); a zero vector stays zero. Raises `InvalidVector`.

    A row that has the length of 1 already, as far as 32 bits can tell, stays as it is to the last bit: what is read
    from a store and written back is the same.
    """
    import numpy as np

    rows = np.empty((len(vectors), dimension), dtype=np.float64)
    for place, vector in enumerate(vectors):
        if vector is None:
            raise InvalidVector("a point has no vector", hint="every memory is stored with its embedding")
        row = np.asarray(vector)
        if row.shape != (dimension,):
            raise InvalidVector(f"a vector has shape {row.shape}, this collection has {dimension} dimensions")
        rows[place] = row
    if not np.isfinite(rows).all():
        raise InvalidVector("a vector holds NaN or infinity", hint="the embedding model is broken or misread")
    # Scaled first, so that the squares of very large or small numbers neither overflow nor vanish.
    peak = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    scaled = rows / np.where(peak > 0, peak, 1.0)
    norm = np.linalg.norm(scaled, axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        unit = np.abs(norm * peak - 1.0) <= UNIT_TOLERANCE
    scaled /= np.where(norm > 0, norm, 1.0)
    return np.where(unit, rows, scaled).astype(np.float32)


def checked_sparse(vector: SparseVector | None) -> SparseVector:
    """The sparse vector, if the engines can hold it. Raises `InvalidVector`."""
    if vector is None:
        raise InvalidVector("a point has no sparse vector", hint="an empty one stands for a text without words")
    if len(vector.indices) != len(vector.values):
        raise InvalidVector("a sparse vector has more indices than values, or fewer")
    if not vector.indices:
        return vector
    # A sum is NaN as soon as one of its terms is.
    in_range = max(vector.values) <= _FLOAT32_MAX and min(vector.values) >= -_FLOAT32_MAX
    if not (in_range and math.isfinite(sum(vector.values))):
        raise InvalidVector("a sparse vector holds NaN, infinity or a number beyond 32 bits")
    if sorted(set(vector.indices)) != list(vector.indices):
        raise InvalidVector("the indices of a sparse vector are not unique and ascending")
    if vector.indices[0] < 0 or vector.indices[-1] >= 2**32:
        raise InvalidVector("an index of a sparse vector is beyond 32 bits")
    return vector


def read_schema(raw: Any, collection: str) -> CollectionSchema:
    """The schema as recorded with a collection; `StoreMismatch` for a newer layout, `StoreError` for nonsense."""
    version = raw.get("version") if isinstance(raw, dict) else None
    if not isinstance(version, int):
        raise StoreError(f"collection {collection!r} does not say what it was made with", hint=damaged_hint(collection))
    if version > SCHEMA_VERSION:
        raise StoreMismatch(
            f"collection {collection!r} has layout {version}, this program knows {SCHEMA_VERSION}",
            hint="a newer sophiactl wrote it: upgrade, or use another collection with --collection NAME",
        )
    try:
        return msgspec.convert(raw, CollectionSchema)
    except msgspec.ValidationError as error:
        raise StoreError(f"collection {collection!r}: {error}", hint=damaged_hint(collection)) from error


def check_schema(collection: str, stored: CollectionSchema, wanted: CollectionSchema | None) -> CollectionSchema:
    """The stored schema, if this run may use it. Raises `StoreMismatch` naming both."""
    if wanted is None:
        return stored
    same = ("model", "revision", "dimension", "language")
    if all(getattr(stored, name) == getattr(wanted, name) for name in same):
        return stored
    raise StoreMismatch(
        f"collection {collection!r} was made with {_describe(stored)}, not with {_describe(wanted)}",
        hint="use another collection with --collection NAME and embed again: sophiactl embed PATH --collection NAME",
    )


def _describe(schema: CollectionSchema) -> str:
    return f"{schema.model} ({schema.dimension} dimensions, revision {schema.revision[:12]}, {schema.language})"


def missing(collection: str, place: str) -> NotFound:
    """The error for a collection that does not exist."""
    return NotFound(f"there is no collection {collection!r} in {place}", hint="make it: sophiactl embed PATH")


def damaged_hint(collection: str) -> str:
    """What to do with a collection that cannot be read."""
    return (
        f"bring collection {collection!r} back from a backup, or move it away and embed again: "
        f"sophiactl embed PATH --collection {collection}"
    )
