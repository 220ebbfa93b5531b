"""`search`: find memories, without an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import UsageError
from sophiactl.memory.base import Where
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.retrieval import Retriever, active
from sophiactl.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sophiactl.wiring import Wiring

MAX_QUERY_CHARACTERS = 20_000
"""Longer questions are refused: the model reads 256 tokens, and a whole document is no question."""
_BATCH = 64


class SearchRequest(msgspec.Struct, frozen=True):
    """One query and how many results are wanted."""

    query: str
    k: int = 10
    where: Where | None = None


class SearchReport(msgspec.Struct, frozen=True):
    """What was found, best first, among `searched` memories."""

    query: str
    collection: str
    searched: int
    hits: tuple[Evidence, ...]


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


def checked_query(text: str, what: str = "query") -> str:
    """`text` without surrounding white space. Raises `UsageError` when nothing is left or it is far too long."""
    query = text.strip()
    if not query:
        raise UsageError(f"the {what} is empty", hint=f"give the {what} as an argument or on standard input")
    if len(query) > MAX_QUERY_CHARACTERS:
        raise UsageError(
            f"the {what} has {len(query):,} characters; at most {MAX_QUERY_CHARACTERS:,} are read",
            hint="put long material into the memory with `sophiactl embed FILE` and ask a short question about it",
        )
    return query


def search(request: SearchRequest, wiring: Wiring) -> SearchReport:
    """Find memories for one query. Raises `UsageError`, `NotFound` (no memory yet) and `StoreError`."""
    query = checked_query(request.query)
    embedder = wiring.embedder()
    with wiring.store(purpose="search") as store:
        vector = embedder.embed([query])[0]
        retriever = Retriever(store, Lexicon.of(store.schema), wiring.settings.memory.retrieval)
        hits = retriever.search(query, vector, request.k, active(request.where))
        searched = store.count(active(request.where))
    return SearchReport(query=query, collection=wiring.collection, searched=searched, hits=tuple(hits))


def search_batch(
    queries: Sequence[BatchQuery], wiring: Wiring, *, k: int, where: Where | None = None
) -> Iterator[BatchResult]:
    """Answer many queries over one open store, in their order."""
    embedder = wiring.embedder()
    with wiring.store(purpose="search --batch") as store:
        retriever = Retriever(store, Lexicon.of(store.schema), wiring.settings.memory.retrieval)
        for start in range(0, len(queries), _BATCH):
            part = queries[start : start + _BATCH]
            texts = [checked_query(item.query, f"query {item.id!r}") for item in part]
            for item, text, vector in zip(part, texts, embedder.embed(texts), strict=True):
                ranked = retriever.rank(text, vector, k, active(where))
                yield BatchResult(item.id, tuple(BatchHit(hit.id, hit.score) for hit in ranked))
