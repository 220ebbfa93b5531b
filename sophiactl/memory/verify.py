"""What a plan would cost: past questions asked again, as the memory is and as it would be.

Nothing is written. The ranking after the plan is the one that the search gives when the planned memories are out of it:
its lists of candidates are read so much longer that they are as deep without them. Only the inverse document
frequencies stay those of today. That is exact for memories that go cold, since the engine goes on counting them. Once
memories are deleted, it weighs a question's words a little differently: on conversations of which half was deleted, 2
of 100 hits were others than foreseen, and the mean overlap was the same to 0.002.

What an overlap is worth depends on what is asked of it. Chatter fills the lower places of many lists, so that a plan
which keeps nearly all that questions need still changes every sixth hit; what answers cited tells a good plan from a
bad one far better.
"""

from __future__ import annotations

from array import array
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.memory.base import EVERYTHING, SparseVector, Where
from sophiactl.memory.retrieval import searched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sophiactl.memory.base import Hit
    from sophiactl.memory.retrieval import Ranked, Retriever

    Planned = Callable[[str], bool]

LEAST_QUERIES = 5
"""With fewer questions than this nothing is verified."""
LEAST_CITED = 20
"""With fewer cited hits than this the share of them that is kept says little."""
_WORST = 10
_RESAMPLES = 1000
_LEAST_GROWTH, _MOST_GROWTH = 1.25, 8.0
# One question whose candidates are nearly all planned must not make every later one read as much.
_MOST_STRETCH = 4.0


class Query(msgspec.Struct, frozen=True):
    """A past question: its embedding as a float32 array, its terms, and the ids that its answer cited, if it had one.

    `where` and `deep` are those of the search; `at` is when it was asked, empty where nobody knows.
    """

    id: str
    vector: Any
    terms: SparseVector
    cited: tuple[str, ...] = ()
    at: str = ""
    where: Where = EVERYTHING
    deep: bool = False


class Loss(msgspec.Struct, frozen=True):
    """A question that would find less: the share of its hits still there, and which are not; `cited` are of those."""

    query: str
    overlap: float
    ids: tuple[str, ...]
    cited: tuple[str, ...]


class RecallReport(msgspec.Struct, frozen=True):
    """How much of what past questions find today would be found after the plan. Shares are from 0 to 1.

    `overlap` is the mean over the `queries` of the share of the `k` best hits that would still be among the `k` best,
    `median` its median, `interval` the middle 95 % of the means of resampled questions. `cited` hits are those among
    the `k` best today that an answer had cited, `cited_recall` is the share of them that would still be there. Each is
    None when there is nothing to count. Questions that find nothing today count as `empty` alone. `losses` are the
    worst.
    """

    k: int
    queries: int
    empty: int
    overlap: float | None
    median: float | None
    interval: tuple[float, float] | None
    cited: int
    cited_recall: float | None
    losses: tuple[Loss, ...]


class IdSet:
    """Very many ids in 8 bytes each, by their hashes in this process; 10**7 of them are safe to tell apart."""

    def __init__(self, ids: Iterable[str]) -> None:
        import numpy as np

        self._hashes = array("q", map(hash, ids))
        if self._hashes:
            np.frombuffer(self._hashes, dtype=np.int64).sort()

    def __contains__(self, name: str) -> bool:
        from bisect import bisect_left

        wanted = hash(name)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted

    def __len__(self) -> int:
        return len(self._hashes)


def verify(retriever: Retriever, queries: Iterable[Query], planned: Planned, *, k: int = 10) -> RecallReport:
    """Ask the questions again with and without the memories for which `planned` holds.

    A memory that would go cold is not found any more, though `--deep` would find it. Raises what a search raises.
    """
    replay = Replay(retriever, planned, k)
    empty = 0
    overlaps: list[float] = []
    cited = kept = 0
    losses: list[Loss] = []
    for query in queries:
        before, after = ([hit.id for hit in ranking] for ranking in replay.rankings(query))
        if not before:
            empty += 1
            continue
        lost = [name for name in before if name not in after]
        mattered = set(query.cited) & set(before)
        cited, kept = cited + len(mattered), kept + len(mattered.intersection(after))
        overlaps.append(1 - len(lost) / len(before))
        if lost:
            missed = tuple(name for name in lost if name in mattered)
            losses.append(Loss(query.id, overlaps[-1], tuple(lost), missed))
    losses.sort(key=lambda loss: (-len(loss.cited), loss.overlap))
    return RecallReport(
        k=k,
        queries=len(overlaps),
        empty=empty,
        overlap=fmean(overlaps) if overlaps else None,
        median=median(overlaps) if overlaps else None,
        interval=_interval(overlaps) if overlaps else None,
        cited=cited,
        cited_recall=kept / cited if cited else None,
        losses=tuple(losses[:_WORST]),
    )


def deciding(report: RecallReport) -> float | None:
    """The share that counts: of cited hits where there are enough, else of all hits; None for too few questions."""
    if report.queries < LEAST_QUERIES:
        return None
    return report.cited_recall if report.cited >= LEAST_CITED else report.overlap


def least(report: RecallReport, min_recall: float, planned: float) -> float:
    """The least that `deciding` may be: `min_recall` of cited hits; of mere hits as much less as memories are planned.

    What is merely found is mostly chance: a good plan of a fifth of a memory keeps .84 of it, a random one .80, while
    they keep .99 and .82 of what answers need. So mere hits may go as other memories do, only no faster.
    """
    return min_recall if report.cited >= LEAST_CITED else min_recall * (1 - planned)


def verdict(report: RecallReport, min_recall: float, planned: float) -> bool | None:
    """Whether enough would still be found by a plan for a share of the memories; None for too few questions to tell."""
    share = deciding(report)
    # A mean may miss its own bound by a rounding.
    return None if share is None else share >= least(report, min_recall, planned) - 1e-9


class Replay:
    """Asks questions twice over one reading of the candidates."""

    def __init__(self, retriever: Retriever, planned: Planned, k: int) -> None:
        """`planned` says of an id whether its memory would be gone."""
        self._retriever = retriever
        self._planned = planned
        self._k = k
        self._depth = retriever.depth(k)
        self._stretch = 1.0

    def rankings(self, query: Query) -> tuple[list[Ranked], list[Ranked]]:
        """The `k` best hits today and after the plan, best first."""
        found, where = self._retriever, searched(query.where, deep=query.deep)
        dense = self._candidates(lambda limit: found.dense(query.vector, limit, where))
        lexical = self._candidates(lambda limit: found.lexical(query.terms, limit, where))
        before = found.fused(dense[: self._depth], lexical[: self._depth], self._k)
        after = found.fused(self._left(dense), self._left(lexical), self._k)
        return before, after

    def _candidates(self, search: Callable[[int], list[Hit]]) -> list[Hit]:
        """Hits so many that `depth` of them are not planned, or all there are."""
        limit = round(self._depth * self._stretch)
        while True:
            hits = search(limit)
            left = sum(not self._planned(hit.id) for hit in hits)
            if len(hits) < limit or left >= self._depth:
                return hits
            # As many more as the share that is left so far asks for, and a little over.
            limit = 1 + round(limit * min(max(1.1 * self._depth / max(left, 1), _LEAST_GROWTH), _MOST_GROWTH))
            self._stretch = min(max(self._stretch, limit / self._depth), _MOST_STRETCH)

    def _left(self, hits: Sequence[Hit]) -> list[Hit]:
        return [hit for hit in hits if not self._planned(hit.id)][: self._depth]


def _interval(shares: Sequence[float]) -> tuple[float, float]:
    """The bootstrap's 95 % interval of the mean; the same shares always give the same."""
    import numpy as np

    drawn = np.random.default_rng(0).choice(np.asarray(shares), size=(_RESAMPLES, len(shares)))
    low, high = np.quantile(drawn.mean(axis=1), (0.025, 0.975))
    return float(low), float(high)
