"""The router's brain: a prompt's form, and with own training its words, weighed in plain Python."""

from __future__ import annotations

import heapq
from math import exp
from typing import TYPE_CHECKING

from sophiactl.routing import features
from sophiactl.routing.base import Reason
from sophiactl.routing.lexicon import ranks

if TYPE_CHECKING:
    from sophiactl.routing.artifact import Artifact

REACH = 3.0
"""Spreads from the mean beyond which a feature counts no further: a 1 MB prompt is no surer than a 10 kB one."""
_SHOWN = 8
_SMALLEST = 0.005


class LearnedScorer:
    """Scores prompts with a trained artifact; satisfies `routing.base.Scorer`."""

    def __init__(self, artifact: Artifact) -> None:
        header = artifact.header
        self.artifact = artifact.label
        self.calibration = header.calibration
        self._ranks = ranks()
        self._terms = artifact.terms
        self._bias = header.bias
        self._scale = header.scale
        self._rows = tuple(zip(artifact.weights, artifact.mean, artifact.spread, strict=True))

    def score(self, prompt: str) -> float:
        """How much a strong model is worth here, in [0, 1]; pure, and the same on every machine."""
        return squash(self.value(prompt) / self._scale)

    def value(self, prompt: str) -> float:
        """The score before it is brought into [0, 1]: the gain the training would expect, on its own scale."""
        reading = features.read(prompt)
        return self._bias + sum(self._form(reading)) + self._words(reading)

    def explain(self, prompt: str) -> tuple[Reason, ...]:
        """The largest parts of the score, largest first: what each moves it by, in points of the score."""
        reading = features.read(prompt)
        parts = dict(zip(features.FEATURE_NAMES, self._form(reading), strict=True))
        if len(self._terms):
            parts["its own words"] = self._words(reading)
        middle = squash((self._bias + sum(parts.values())) / self._scale)
        slope = max(middle * (1 - middle), 0.05) / self._scale
        reasons = (Reason(name, round(part * slope, 4)) for name, part in parts.items())
        shown = (reason for reason in reasons if abs(reason.weight) >= _SMALLEST)
        return tuple(heapq.nlargest(_SHOWN, shown, key=lambda reason: abs(reason.weight)))

    def _form(self, reading: features.Reading) -> list[float]:
        found = features.structure(reading, self._ranks)
        return [
            weight * min(REACH, max(-REACH, (value - mean) / spread))
            for value, (weight, mean, spread) in zip(found, self._rows, strict=True)
        ]

    def _words(self, reading: features.Reading) -> float:
        if not len(self._terms):
            return 0.0
        weights = self._terms
        return sum(weights[bucket] * share for bucket, share in features.terms(reading).items())


def squash(value: float) -> float:
    """The logistic function, without overflow."""
    if value >= 0:
        return 1 / (1 + exp(-value))
    small = exp(value)
    return small / (1 + small)
