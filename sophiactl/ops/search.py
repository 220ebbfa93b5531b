"""`search`: find memories, without an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.memory.base import Where
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.retrieval import Retriever, searched
from sophiactl.model import Evidence
from sophiactl.ops.queries import Asked, checked_query, remember

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sophiactl.wiring import Wiring

_BATCH = 64


class SearchRequest(msgspec.Struct, frozen=True):
    """One query and how many results are wanted; `deep` looks among cold memories too."""

    query: str
    k: int = 10
    where: Where | None = None
    deep: bool = False


class SearchReport(msgspec.Struct, frozen=True):
    """What was found, best first, among `searched` memories.

    `run` is its name in the ledger of runs; `unrecorded` says why the ledger does not have it, None: it does, or the
    settings do not want it there.
    """

    query: str
    collection: str
    searched: int
    hits: tuple[Evidence, ...]
    run: str
    unrecorded: str | None = None


class BatchQuery(msgspec.Struct, frozen=True):
    """A line of a batch file."""

    id: str
    query: str


class BatchHit(msgspec.Struct, frozen=True):
    """A result of a batch query."""

    id: str
    score: float


class BatchResult(msgspec.Struct, frozen=True):
    """The results of one batch query, best first."""

    id: str
    hits: tuple[BatchHit, ...]


def search(request: SearchRequest, wiring: Wiring) -> SearchReport:
    """Find memories for one query. Raises `UsageError`, `NotFound` (no memory yet) and `StoreError`."""
    query = checked_query(request.query)
    run = wiring.new_id()
    embedder = wiring.embedder()
    scope = searched(request.where, deep=request.deep)
    with wiring.store(purpose="search") as store:
        vector = embedder.embed([query])[0]
        lexicon = Lexicon.of(store.schema)
        hits = Retriever(store, lexicon, wiring.settings.memory.retrieval).search(query, vector, request.k, scope)
        count = store.count(scope)
    ids = tuple(hit.record.id for hit in hits)
    asked = Asked(query, vector, lexicon.query(query), ids, where=request.where, deep=request.deep)
    return SearchReport(
        query=query,
        collection=wiring.collection,
        searched=count,
        hits=tuple(hits),
        run=run,
        unrecorded=remember(run, "search", asked, wiring),
    )


def search_batch(
    queries: Sequence[BatchQuery], wiring: Wiring, *, k: int, where: Where | None = None, deep: bool = False
) -> Iterator[BatchResult]:
    """Answer many queries over one open store, in their order. They are not remembered: a batch is no person asking."""
    embedder = wiring.embedder()
    with wiring.store(purpose="search --batch") as store:
        retriever = Retriever(store, Lexicon.of(store.schema), wiring.settings.memory.retrieval)
        for start in range(0, len(queries), _BATCH):
            part = queries[start : start + _BATCH]
            texts = [checked_query(item.query, f"query {item.id!r}") for item in part]
            for item, text, vector in zip(part, texts, embedder.embed(texts), strict=True):
                ranked = retriever.rank(text, vector, k, searched(where, deep=deep))
                yield BatchResult(item.id, tuple(BatchHit(hit.id, hit.score) for hit in ranked))
