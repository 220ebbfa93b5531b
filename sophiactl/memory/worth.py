"""What a memory is worth: a score of its content alone, known when the memory is written.

Access counts, age and likeness to other memories hardly tell what a later question will need; the content does
(`scripts/bench/prune.py` measures it). Two models share one set of features: `density` is a sum with weights set by
hand, `learned` one whose weights were fitted to what people asked about dialogues (`scripts/train_retention.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from math import exp
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from sophiactl.memory.worth_features import FEATURE_NAMES, features, read
from sophiactl.memory.worth_model import keep_model, lexicon
from sophiactl.memory.worth_reasons import wording

if TYPE_CHECKING:
    from sophiactl.memory.worth_model import Weights

    Model = Literal["learned", "density"]

MODEL_VERSION: Final = "friendsqa-3"
BUCKETS: Final = 256
REACH: Final = 4.0
"""Features are held within so many spreads of what is typical."""


class Reason(msgspec.Struct, frozen=True):
    """One thing that moved the worth: the feature's value, its effect on the logit of the score, and plain words."""

    feature: str
    value: float
    effect: float
    words: str


def keep_score(
    text: str,
    *,
    author: str | None = None,  # noqa: ARG001 - part of the contract: a model may come to tell people from bots
    previous: str | None = None,
    next_: str | None = None,  # noqa: ARG001 - part of the contract: unknown when a memory is first written
    model: Model = "learned",
) -> float:
    """Worth of a text from 0 to 1: about the share of typical texts that are worth less.

    `previous` is the text before it in the same thread. The same text gives the same score on every machine.
    """
    logit = _weights(model).bias + sum(effect for _, _, effect in _effects(text, previous, model))
    return _score(logit)


def keep_bucket(score: float) -> int:
    """The score as an integer 0-255 for an index: rising with it, and typical texts fill the buckets about evenly."""
    return bisect_right(keep_model().buckets, score)


def explain(
    text: str,
    *,
    author: str | None = None,  # noqa: ARG001
    previous: str | None = None,
    next_: str | None = None,  # noqa: ARG001
    model: Model = "learned",
) -> tuple[Reason, ...]:
    """What raised or lowered the worth, strongest first; the effects add up to the logit of the score."""
    mean = dict(zip(FEATURE_NAMES, keep_model().mean, strict=True))
    found = [
        Reason(name, value, effect, wording(name, value, above=value > mean[name]))
        for name, value, effect in _effects(text, previous, model)
        if effect
    ]
    bias = _weights(model).bias
    found.append(Reason("typical", 1.0, bias, "where a typical text starts"))
    return tuple(sorted(found, key=lambda reason: (-abs(reason.effect), reason.feature)))


def _weights(model: Model) -> Weights:
    held = keep_model()
    return held.density if model == "density" else held.learned


def _effects(text: str, previous: str | None, model: Model) -> list[tuple[str, float, float]]:
    held = keep_model()
    words = lexicon()
    values = features(read(text, words), None if previous is None else read(previous, words))
    weights = _weights(model).weights
    return [
        (name, value, weight * max(-REACH, min(REACH, (value - mean) / spread)))
        for name, value, weight, mean, spread in zip(
            FEATURE_NAMES, values, weights, held.mean, held.spread, strict=True
        )
    ]


def _score(logit: float) -> float:
    # Rounded: the last digits of exp and log differ between machines.
    return round(1 / (1 + exp(-logit)), 6)
