"""Reaching a Qdrant server, and making a collection there."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from sophiactl.errors import ExtraMissing, StoreError
from sophiactl.memory.payload import TERMS
from sophiactl.memory.points import DENSE, KEYWORDS, LEXICAL, TIMES, missing, read_schema
from sophiactl.memory.server_errors import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client import QdrantClient, models

    from sophiactl.memory.base import CollectionSchema

T = TypeVar("T")

METADATA = "sophiactl"
"""Key of the collection's metadata that holds the schema."""

NUMBERS = ("accesses", "keep_bucket")
"""Fields whose index gives ranges and, for histograms, counts of single values."""


class Connection:
    """Calls of the client whose failures become ours; knows the key, so that no message shows it."""

    def __init__(self, place: str, api_key: str | None) -> None:
        self.place = place
        self.api_key = api_key

    def __call__(self, operation: Callable[[], T]) -> T:
        """Run one call of the client."""
        return guarded(self.place, operation, secret=self.api_key)


def connect(call: Connection, timeout: float) -> QdrantClient:
    """A client for the server; nothing is sent yet. `timeout` is in seconds, for each request."""
    try:
        from qdrant_client import QdrantClient
    except ImportError as error:
        raise ExtraMissing("a Qdrant server needs qdrant-client, which is not installed", extra="qdrant") from error
    with warnings.catch_warnings():
        # Plain http reaches only this machine (`checked_url`), where the key does not leave it.
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        return call(
            lambda: QdrantClient(
                url=call.place, api_key=call.api_key, timeout=max(math.ceil(timeout), 1), check_compatibility=False
            )
        )


def make(call: Connection, client: QdrantClient, collection: str, schema: CollectionSchema) -> None:
    """Make the collection and its payload indexes, as far as they are not there."""
    from qdrant_client import models

    if not call(lambda: client.collection_exists(collection)):
        dense = models.VectorParams(size=schema.dimension, distance=models.Distance.COSINE)
        sparse = models.SparseVectorParams(modifier=models.Modifier.IDF)
        metadata = {METADATA: msgspec.to_builtins(schema)}
        try:
            call(
                lambda: client.create_collection(
                    collection,
                    vectors_config={DENSE: dense},
                    sparse_vectors_config={LEXICAL: sparse},
                    metadata=metadata,
                )
            )
        except StoreError:
            # Another client may have been faster; then its collection is as good as ours.
            if not call(lambda: client.collection_exists(collection)):
                raise
    make_indexes(call, client, collection)


def make_indexes(call: Connection, client: QdrantClient, collection: str) -> None:
    """Make those payload indexes that the collection does not have."""
    indexed = call(lambda: client.get_collection(collection)).payload_schema
    for field, kind in _indexes().items():
        if field not in indexed:
            _index(call, client, collection, field, kind)


def at_work(info: models.CollectionInfo) -> str | None:
    """What a collection's status says in words; None for one at rest."""
    from qdrant_client.models import CollectionStatus, OptimizersStatusOneOf1

    if isinstance(info.optimizer_status, OptimizersStatusOneOf1):
        reason = "".join(letter for letter in info.optimizer_status.error if letter.isprintable())
        return f"an optimization of the server failed: {reason[:200]}"
    words = {
        CollectionStatus.YELLOW: "the server is rebuilding segments",
        CollectionStatus.GREY: "the server has segments to rebuild and waits for the next write",
        CollectionStatus.RED: "the server has failed to serve a part of the collection",
    }
    waiting = info.update_queue.length if info.update_queue else 0
    return words.get(info.status) or (f"the server has {waiting:,} writes to apply" if waiting else None)


def _indexes() -> dict[str, Any]:
    from qdrant_client.models import IntegerIndexParams, IntegerIndexType
    from qdrant_client.models import PayloadSchemaType as Kind

    number = IntegerIndexParams(type=IntegerIndexType.INTEGER, lookup=True, range=True)
    return {
        **dict.fromkeys((*KEYWORDS, TERMS, "likeness", "keep_model"), Kind.KEYWORD),
        **dict.fromkeys(TIMES, Kind.DATETIME),
        **dict.fromkeys(NUMBERS, number),
        "pinned": Kind.BOOL,
    }


def _index(call: Connection, client: QdrantClient, collection: str, field: str, kind: Any) -> None:
    with warnings.catch_warnings():
        # The client's local mode, our stand-in for a server in tests, scans instead.
        warnings.filterwarnings("ignore", message="Payload indexes have no effect in the local Qdrant")
        call(lambda: client.create_payload_index(collection, field, field_schema=kind, wait=True))


def recorded(call: Connection, client: QdrantClient, collection: str) -> CollectionSchema:
    """What the collection was made with. Raises `NotFound`, or `StoreError` if it is none of ours."""
    if not call(lambda: client.collection_exists(collection)):
        raise missing(collection, call.place)
    metadata = call(lambda: client.get_collection(collection)).config.metadata or {}
    if METADATA not in metadata:
        raise StoreError(
            f"collection {collection!r} on {call.place} was not made by this program",
            hint="use one of its own: --collection NAME",
        )
    return read_schema(metadata[METADATA], collection)
