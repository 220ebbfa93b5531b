"""How good a router is, by the measures of RouteLLM (arXiv 2406.18665); prompts with equal scores count in expectation.

Q(c) is the mean quality when the share c of prompts with the highest scores goes to the strong model, PGR(c) the share
of the gap between the models that this recovers, APGR the area under PGR. Within a group of equal scores Q is linear:
that is its expected value when the order inside the group is random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sophiactl.routing.rows import Labelled

    Vector = NDArray[Any]

WEAK_COST, STRONG_COST = 0.1, 1.0
"""Relative cost of a call where rows do not give one."""
_GRID = 11


class Report(msgspec.Struct, frozen=True):
    """Measures of one set of rows; None where a measure cannot be taken.

    `apgr10` is the area on an eleven-point grid, `cpt50` and `cpt80` the least share of strong calls that recovers half
    and four fifths of the gap (on that grid), `calls95` and `saved95` the share of strong calls and the saving against
    calling only the strong model at 95 % of its quality. `low` and `high` bound the APGR with 95 % confidence.
    """

    rows: int
    weak: float
    strong: float
    apgr: float | None
    apgr10: float | None
    cpt50: float | None
    cpt80: float | None
    calls95: float | None
    saved95: float | None
    oracle: float | None
    low: float | None = None
    high: float | None = None


class _Curve(NamedTuple):
    share: Vector
    quality: Vector
    cost: Vector


def evaluate(rows: Sequence[Labelled], scores: Sequence[float], *, draws: int = 0, seed: int = 0) -> Report:
    """Measure scores against rows in the same order; UsageError when there is nothing to measure."""
    import numpy as np

    _check(rows, scores)
    table = np.array([_numbers(row) for row in rows], float)
    given = np.asarray(scores, float)
    curve = _curve(table, given)
    gap = float(curve.quality[-1] - curve.quality[0])
    low, high = _interval(table, given, draws, seed) if draws else (None, None)
    calls = _first(curve.share, curve.quality, 0.95 * float(curve.quality[-1]))
    spent = None if calls is None else float(np.interp(calls, curve.share, curve.cost))
    dearest = float(curve.cost[-1])
    grid = np.linspace(0, 1, _GRID)
    recovered = np.interp(grid, curve.share, (curve.quality - curve.quality[0]) / gap) if gap else None
    return Report(
        rows=len(rows),
        weak=float(curve.quality[0]),
        strong=float(curve.quality[-1]),
        apgr=_apgr(curve),
        apgr10=None if recovered is None else _area(recovered, grid),
        cpt50=None if recovered is None else _first(grid, recovered, 0.5),
        cpt80=None if recovered is None else _first(grid, recovered, 0.8),
        calls95=calls,
        saved95=None if spent is None or not dearest else 1 - spent / dearest,
        oracle=_apgr(_curve(table, table[:, 1] - table[:, 0])),
        low=low,
        high=high,
    )


def by_benchmark(rows: Sequence[Labelled], scores: Sequence[float], *, draws: int = 0) -> dict[str, Report]:
    """A report for each benchmark that the rows name, in order of name; rows without one are left out."""
    _check(rows, scores)
    found: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if row.benchmark is not None:
            found.setdefault(row.benchmark, []).append(index)
    return {
        name: evaluate([rows[i] for i in members], [scores[i] for i in members], draws=draws)
        for name, members in sorted(found.items())
    }


def macro(reports: Sequence[Report]) -> float | None:
    """Mean APGR over benchmarks, each counting alike; None when none has one."""
    values = [report.apgr for report in reports if report.apgr is not None]
    return sum(values) / len(values) if values else None


def _check(rows: Sequence[Labelled], scores: Sequence[float]) -> None:
    from math import isfinite

    if not rows:
        raise UsageError("there are no rows to evaluate on", hint="name a file with labelled rows: --data FILE")
    if len(rows) != len(scores):
        raise UsageError(f"{len(rows)} rows but {len(scores)} scores", hint="give one score for each row")
    if not all(map(isfinite, scores)):
        raise UsageError("a score is not a finite number", hint="score the rows again: sophiactl route score")


def _numbers(row: Labelled) -> tuple[float, float, float, float]:
    weak_cost = WEAK_COST if row.weak_cost is None else row.weak_cost
    strong_cost = STRONG_COST if row.strong_cost is None else row.strong_cost
    return row.weak_score, row.strong_score, weak_cost, strong_cost


def _curve(table: Vector, scores: Vector) -> _Curve:
    """Share, quality and cost at the end of each group of equal scores, highest first; starts with no strong call."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    count = len(ranked)
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), count - 1)
    gained = np.cumsum(table[order, 1] - table[order, 0])[ends] / count
    dearer = np.cumsum(table[order, 3] - table[order, 2])[ends] / count
    return _Curve(
        np.append(0.0, (ends + 1) / count),
        np.append(0.0, gained) + table[:, 0].mean(),
        np.append(0.0, dearer) + table[:, 2].mean(),
    )


def _apgr(curve: _Curve) -> float | None:
    gap = float(curve.quality[-1] - curve.quality[0])
    return _area((curve.quality - curve.quality[0]) / gap, curve.share) if gap else None


def _area(heights: Vector, places: Vector) -> float:
    return float(((heights[1:] + heights[:-1]) / 2 * (places[1:] - places[:-1])).sum())


def _first(places: Vector, heights: Vector, wanted: float) -> float | None:
    """The least place where the line through the points reaches a height."""
    reached = [index for index, height in enumerate(heights) if height >= wanted - 1e-12]
    if not reached:
        return None
    index = reached[0]
    if index == 0 or heights[index] == heights[index - 1]:
        return float(places[index])
    part = (wanted - heights[index - 1]) / (heights[index] - heights[index - 1])
    return float(places[index - 1] + part * (places[index] - places[index - 1]))


def _interval(table: Vector, scores: Vector, draws: int, seed: int) -> tuple[float | None, float | None]:
    import numpy as np

    random = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        drawn = random.integers(0, len(scores), len(scores))
        area = _apgr(_curve(table[drawn], scores[drawn]))
        if area is not None:
            found.append(area)
    if not found:
        return None, None
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
