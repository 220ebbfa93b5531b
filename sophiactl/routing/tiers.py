"""Scores, complexity and tiers: where a prompt stands among the prompts that the router was calibrated on."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ConfigError
from sophiactl.routing.base import TIERS, Reason, Thresholds, Tier
from sophiactl.routing.config import HintConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HINTS = ("requires_reasoning", "multi_step", "business_critical")
_YES = frozenset({"true", "yes", "on", "1", "high"})
_SPANS: dict[Tier, tuple[int, int]] = {"simple": (1, 3), "balanced": (4, 7), "premium": (8, 10)}


class Scale(msgspec.Struct, frozen=True):
    """Where calibrated scores lie: nine ascending deciles, and the thresholds of the tiers."""

    deciles: tuple[float, ...]
    thresholds: Thresholds

    @classmethod
    def of(cls, deciles: Sequence[float], thresholds: Thresholds | None = None) -> Scale:
        """A checked scale; without thresholds tiers lie at the third and seventh decile. Raises `ConfigError`."""
        points = tuple(map(float, deciles))
        ascending = all(low <= high for low, high in pairwise(points))
        if len(points) != 9 or not ascending or not all(0 <= point <= 1 for point in points):
            raise ConfigError(
                "the artifact's deciles are not nine ascending scores from 0 to 1",
                hint="make it again: route calibrate",
            )
        limits = thresholds or Thresholds(points[2], points[6])
        if not 0 <= limits.balanced <= limits.premium <= 1:
            raise ConfigError(
                f"thresholds {limits.balanced:g} and {limits.premium:g} do not rise from 0 to 1",
                hint="routing.balanced_from must not exceed routing.premium_from",
            )
        return cls(points, limits)


def tier_of(score: float, thresholds: Thresholds) -> Tier:
    """The tier that a score asks for; a threshold belongs to the tier above it."""
    if score >= thresholds.premium:
        return "premium"
    return "balanced" if score >= thresholds.balanced else "simple"


def rank(tier: Tier) -> int:
    """0 for the weakest tier."""
    return TIERS.index(tier)


def complexity_of(score: float, scale: Scale) -> int:
    """Calibrated decile of the score, 1-10, kept within its tier's part (1-3, 4-7, 8-10).

    The parts hold of themselves where thresholds are the third and seventh decile; own thresholds move them.
    """
    low, high = _SPANS[tier_of(score, scale.thresholds)]
    return min(max(1 + bisect_right(scale.deciles, score), low), high)


def quantile_of(score: float, scale: Scale) -> float:
    """Share of calibration prompts below the score, linear between deciles."""
    points = (0.0, *scale.deciles, 1.0)
    place = min(bisect_right(points, score), 10)
    low, high = points[place - 1], points[place]
    return (place - 1 + (min(1.0, (score - low) / (high - low)) if high > low else 0.0)) / 10


def score_at(quantile: float, scale: Scale) -> float:
    """The score below which that share of calibration prompts lies; the inverse of `quantile_of`."""
    points = (0.0, *scale.deciles, 1.0)
    place = min(max(quantile, 0.0), 1.0) * 10
    below = min(int(place), 9)
    return points[below] + (points[below + 1] - points[below]) * (place - below)


def lift(
    score: float, context: Mapping[str, str], scale: Scale, config: HintConfig | None = None
) -> tuple[float, tuple[Reason, ...]]:
    """The score after the context's hints, and what each added.

    A hint moves the prompt up by a fixed share of all prompts, together by no more than `config.most`; scores never
    fall. `business_critical` lifts to the balanced tier at least.
    """
    amounts = config or HintConfig()
    score = checked(score)
    place, lifted, reasons = quantile_of(score, scale), score, []
    left = amounts.most
    for name in HINTS:
        if not is_set(context, name):
            continue
        step = min(left, getattr(amounts, name))
        left, place = left - step, place + step
        above = max(lifted, score_at(place, scale))
        if name == "business_critical":
            above = max(above, scale.thresholds.balanced)
        reasons.append(Reason(f"hint {name}", above - lifted))
        lifted = above
    return min(lifted, 1.0), tuple(reasons)


def is_set(context: Mapping[str, str], name: str) -> bool:
    """Whether a hint of the context says yes."""
    return str(context.get(name, "")).strip().lower() in _YES


def checked(score: float) -> float:
    """The scorer's number within [0, 1]. Raises `ConfigError` when it is none."""
    if not math.isfinite(score):
        raise ConfigError("the router's artifact gives no number for this prompt", hint="make it again: route train")
    return min(max(score, 0.0), 1.0)
