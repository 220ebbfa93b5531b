"""From scores to thresholds: for a wanted share of strong calls, or for a floor under the quality.

Simple, balanced and premium are complexities 1-3, 4-7 and 8-10; of what does not go to the premium tier, three parts in
seven stay simple.
"""

from __future__ import annotations

from math import isfinite, nextafter, sqrt
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import UsageError
from sophiactl.routing.artifact import Artifact, Calibration
from sophiactl.routing.base import Thresholds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.routing.rows import Labelled

FEWEST = 20
CONFIDENCE = 1.96
"""Standard errors kept between the measured quality and the floor."""
FRESH = 2.0
"""Variance of the fresh prompts' mean beside that of these rows' mean: half as many prompts must keep the floor too."""
_SIMPLE_PART = 3 / 7
_GRID = 200


def deciles(scores: Sequence[float]) -> tuple[float, ...]:
    """The nine borders between the tenths of the scores."""
    ranked = _ranked(scores)
    return tuple(_quantile(ranked, part / 10) for part in range(1, 10))


def for_share(scores: Sequence[float], strong_share: float) -> Thresholds:
    """Thresholds that send the wanted share of such prompts to the premium tier, as near as equal scores allow."""
    if not 0 <= strong_share <= 1:
        raise UsageError(f"the strong share {strong_share:g} is not between 0 and 1", hint="--strong-share 0.3")
    ranked = _ranked(scores)
    premium = _border(ranked, 1 - strong_share)
    return Thresholds(min(premium, _border(ranked, (1 - strong_share) * _SIMPLE_PART)), premium)


def for_quality(rows: Sequence[Labelled], scores: Sequence[float], quality: float) -> Thresholds:
    """The thresholds with the fewest premium calls that keep a share of the strong model's quality on fresh prompts.

    Thresholds are tried from the safe end on, and the last is taken before the first whose lower confidence bound falls
    under the floor; the bound allows for chance in these rows and in half as many fresh ones. What is not premium
    counts as answered by the weak model, so that the floor holds whatever the balanced tier adds.
    """
    if not 0 < quality <= 1:
        raise UsageError(f"the quality {quality:g} is not above 0 and at most 1", hint="--quality 0.95")
    ranked = _ranked(scores)
    if len(rows) != len(scores):
        raise UsageError(f"{len(rows)} rows but {len(scores)} scores", hint="give one score for each row")
    premium = 0.0
    for step in range(_GRID + 1):
        border = _border(ranked, step / _GRID)
        if border > premium:
            if _margin(rows, scores, border, quality) < 0:
                break
            premium = border
    below = [score for score in ranked if score < premium]
    balanced = _border(below, _SIMPLE_PART) if below else premium
    return Thresholds(min(balanced, premium), premium)


def share_above(scores: Sequence[float], threshold: float) -> float:
    """The share of scores that reach a threshold."""
    return sum(1 for score in scores if score >= threshold) / len(scores)


def recalibrated(artifact: Artifact, scores: Sequence[float], thresholds: Thresholds, note: str) -> Artifact:
    """The same weights with the deciles and thresholds of other prompts."""
    calibration = Calibration(deciles(scores), thresholds, note)
    return msgspec.structs.replace(artifact, header=msgspec.structs.replace(artifact.header, calibration=calibration))


def _ranked(scores: Sequence[float]) -> list[float]:
    if len(scores) < FEWEST:
        raise UsageError(
            f"{len(scores)} rows are too few to calibrate on",
            hint=f"give at least {FEWEST}, better 500, of your prompts",
        )
    if not all(isfinite(score) and 0 <= score <= 1 for score in scores):
        raise UsageError("a score is not between 0 and 1", hint="score the rows again: sophiactl route score")
    return sorted(scores)


def _quantile(ranked: Sequence[float], part: float) -> float:
    place = part * (len(ranked) - 1)
    below = min(int(place), len(ranked) - 2)
    return ranked[below] + (ranked[below + 1] - ranked[below]) * (place - below)


def _border(ranked: Sequence[float], part: float) -> float:
    """The threshold that leaves about this part of the scores below it; never inside a group of equal scores."""
    count = len(ranked)
    cut = round(part * count)
    if cut <= 0:
        return 0.0
    if cut >= count:
        return min(1.0, nextafter(ranked[-1], 2.0))
    first, last = cut, cut
    while first > 0 and ranked[first - 1] == ranked[cut]:
        first -= 1
    while last < count and ranked[last] == ranked[cut]:
        last += 1
    if first == cut:
        return (ranked[cut - 1] + ranked[cut]) / 2 if ranked[cut - 1] < ranked[cut] else ranked[cut]
    if cut - first <= last - cut:
        return ranked[cut]
    return min(1.0, nextafter(ranked[cut], 2.0))


def _margin(rows: Sequence[Labelled], scores: Sequence[float], border: float, quality: float) -> float:
    """The lower confidence bound of routed quality less the floor."""
    kept = [
        (row.strong_score if score >= border else row.weak_score) - quality * row.strong_score
        for row, score in zip(rows, scores, strict=True)
    ]
    mean = sum(kept) / len(kept)
    variance = sum((value - mean) ** 2 for value in kept) / (len(kept) - 1)
    return mean - CONFIDENCE * sqrt((1 + FRESH) * variance / len(kept))
