"""BM25 term weights as sparse vectors, with a share of the neighbours' terms.

A turn of a conversation or a passage of a document is often only understood beside the one before it. So the sparse
vector of a record holds its own weights, plus a share of its neighbours' in the same thread: one sparse query then
sees the context, while the dense vectors stay pure (a new record changes no old dense vector). The shares were chosen
on conversations; `scripts/bench/retrieval.py` shows what they are worth.

Terms come from Qdrant's own BM25 model (Snowball stemming, stop words), so that a Qdrant server reads the same ids.
The inverse document frequency is not part of the weights: the engine applies it at query time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.errors import ConfigError
from sophiactl.memory.base import SparseVector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.memory.base import CollectionSchema

PREVIOUS_SHARE = 0.35
NEXT_SHARE = 0.2


class Lexicon:
    """Term weights in one language; `average_length` is the length in terms that BM25 normalises by."""

    def __init__(self, language: str, average_length: float) -> None:
        from qdrant_edge import Bm25, Bm25Config

        try:
            self._model = Bm25(Bm25Config(language=language, avg_len=average_length, ascii_folding=True))
        except ValueError as error:
            raise ConfigError(
                f"memory.language: {error}", hint="use the English name of a Snowball language, such as 'german'"
            ) from None

    @classmethod
    def of(cls, schema: CollectionSchema) -> Lexicon:
        """The lexicon a collection was written with."""
        return cls(schema.language, schema.average_length)

    def document(self, text: str) -> SparseVector:
        """Saturated, length-normalised term frequencies of a stored text."""
        found = self._model.embed_document(text)
        return _ordered(dict(zip(found.indices, found.values, strict=True)))

    def query(self, text: str) -> SparseVector:
        """Each distinct term of a question, weight 1."""
        found = self._model.embed_query(text)
        return _ordered(dict(zip(found.indices, found.values, strict=True)))

    def thread(self, texts: Sequence[str]) -> list[SparseVector]:
        """Vectors of the consecutive texts of one thread, each with its neighbours' shares."""
        own = [self.document(text) for text in texts]
        return [
            with_neighbours(
                vector,
                own[place - 1] if place else None,
                own[place + 1] if place + 1 < len(own) else None,
            )
            for place, vector in enumerate(own)
        ]


def with_neighbours(own: SparseVector, before: SparseVector | None, after: SparseVector | None) -> SparseVector:
    """`own` plus the neighbours' shares, term by term."""
    weights = dict(zip(own.indices, own.values, strict=True))
    for neighbour, share in ((before, PREVIOUS_SHARE), (after, NEXT_SHARE)):
        if neighbour is None:
            continue
        for index, value in zip(neighbour.indices, neighbour.values, strict=True):
            weights[index] = weights.get(index, 0.0) + share * value
    return _ordered(weights)


def _ordered(weights: dict[int, float]) -> SparseVector:
    items = sorted(weights.items())
    return SparseVector(tuple(index for index, _ in items), tuple(value for _, value in items))
