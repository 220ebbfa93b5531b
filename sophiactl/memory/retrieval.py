"""Hybrid retrieval: dense and lexical candidates, fused by z-score.

The two searches return scores of different scales. Each list's scores are standardised over the list itself; a record
that only one list holds gets the other list's minimum. On conversations this ranks far better than reciprocal rank
fusion, which throws the margins away (`scripts/bench/retrieval.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import TYPE_CHECKING

from sophiactl.memory.base import EVERYTHING, AnyOf, Equals, Where
from sophiactl.model import Evidence, MemoryState

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from sophiactl.memory.base import Hit, RetrievalConfig, SparseVector, Store, Vector
    from sophiactl.memory.lexical import Lexicon

ACTIVE = Equals("state", MemoryState.ACTIVE.value)
ACTIVE_OR_COLD = AnyOf("state", (MemoryState.ACTIVE.value, MemoryState.COLD.value))
_DIVERSITY_POOL = 4


def searched(where: Where | None = None, *, deep: bool = False) -> Where:
    """`where`, narrowed to memories that are searched: the active ones, and with `deep` the cold ones too."""
    where = where or EVERYTHING
    return Where(all=(ACTIVE_OR_COLD if deep else ACTIVE, *where.all), none=where.none)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One fused result: the record's id, its fused score, and its cosine and BM25 scores where that list held it."""

    id: str
    score: float
    dense: float | None
    lexical: float | None


class Retriever:
    """Searches one open store."""

    def __init__(self, store: Store, lexicon: Lexicon, config: RetrievalConfig) -> None:
        self._store = store
        self._lexicon = lexicon
        self._config = config

    def rank(self, query: str, vector: Vector, k: int, where: Where) -> list[Ranked]:
        """The `k` best records for `query`, whose embedding is `vector`, best first."""
        depth = self.depth(k)
        lexical = self.lexical(self._lexicon.query(query), depth, where)
        return self.fused(self.dense(vector, depth, where), lexical, k)

    def depth(self, k: int) -> int:
        """How many candidates each of the two searches brings to the `k` best."""
        return max(self._config.candidates, k)

    def dense(self, vector: Vector, limit: int, where: Where) -> list[Hit]:
        """Candidates by meaning."""
        return self._store.search_dense(vector, limit, where)

    def lexical(self, terms: SparseVector, limit: int, where: Where) -> list[Hit]:
        """Candidates by words; none where a question holds no word that counts."""
        return self._store.search_sparse(terms, limit, where) if terms.indices else []

    def fused(self, dense: Sequence[Hit], lexical: Sequence[Hit], k: int) -> list[Ranked]:
        """The `k` best of these candidates, best first."""
        ranked = fuse(dense, lexical, dense_weight=self._config.dense_weight)
        if self._config.diversity > 0:
            ranked = self._diversified(ranked[: k * _DIVERSITY_POOL], k)
        return ranked[:k]

    def search(self, query: str, vector: Vector, k: int, where: Where) -> list[Evidence]:
        """Like `rank`, with the records themselves."""
        ranked = self.rank(query, vector, k, where)
        records = {point.record.id: point.record for point in self._store.get([item.id for item in ranked])}
        return [
            Evidence(record=records[item.id], score=item.score, dense=item.dense, lexical=item.lexical)
            for item in ranked
            if item.id in records
        ]

    def _diversified(self, ranked: list[Ranked], k: int) -> list[Ranked]:
        import numpy as np

        points = {point.record.id: point.dense for point in self._store.get([r.id for r in ranked], vectors=True)}
        kept = [item for item in ranked if item.id in points]
        if not kept:
            return ranked
        vectors = np.stack([points[item.id] for item in kept])
        order = mmr([item.score for item in kept], vectors, k, self._config.diversity)
        return [kept[place] for place in order]


def fuse(dense: Sequence[Hit], lexical: Sequence[Hit], *, dense_weight: float = 0.5) -> list[Ranked]:
    """Both lists as one, by the weighted sum of their z-scores, best first; equal scores keep the order of ids."""
    cosine = {hit.id: hit.score for hit in dense}
    bm25 = {hit.id: hit.score for hit in lexical}
    dense_z, dense_floor = _standardised(cosine)
    lexical_z, lexical_floor = _standardised(bm25)
    fused = [
        Ranked(
            id=name,
            score=dense_weight * dense_z.get(name, dense_floor)
            + (1 - dense_weight) * lexical_z.get(name, lexical_floor),
            dense=cosine.get(name),
            lexical=bm25.get(name),
        )
        for name in cosine.keys() | bm25.keys()
    ]
    return sorted(fused, key=lambda item: (-item.score, item.id))


def _standardised(scores: dict[str, float]) -> tuple[dict[str, float], float]:
    if not scores:
        return {}, 0.0
    mean, spread = fmean(scores.values()), pstdev(scores.values())
    if spread == 0:
        return dict.fromkeys(scores, 0.0), 0.0
    standard = {name: (score - mean) / spread for name, score in scores.items()}
    return standard, min(standard.values())


def mmr(scores: Sequence[float], vectors: NDArray[np.float32], k: int, diversity: float) -> list[int]:
    """Maximal marginal relevance: places of `k` results, trading score against likeness to those already chosen.

    `vectors` are L2-normalised rows aligned with `scores`; `diversity` 0 keeps the order of scores, 1 looks at
    novelty alone. (Carbonell and Goldstein, 1998.) Scores are scaled to 0-1 so that they weigh like a cosine.
    """
    import numpy as np

    relevance = np.asarray(scores, dtype=np.float64)
    spread = float(np.ptp(relevance)) if len(relevance) else 0.0
    relevance = (relevance - relevance.min()) / spread if spread > 0 else np.ones_like(relevance)
    likeness = np.zeros(len(relevance))
    left = list(range(len(relevance)))
    chosen: list[int] = []
    while left and len(chosen) < k:
        gains = [(1 - diversity) * relevance[place] - diversity * likeness[place] for place in left]
        best = left.pop(int(np.argmax(gains)))
        chosen.append(best)
        likeness = np.maximum(likeness, vectors @ vectors[best])
    return chosen
