"""After the cheap answer: whether the strong model is worth asking.

Two cheap models that agree are mostly right. Where they disagree the strong model helps, and the more so the nearer the
two were: short answers with much in common can be mended, two long answers that share nothing are mostly beyond the
strong model too. Where they agree, long work on a long prompt leaves the most doubt.

The constants are a ridge fit of the gain (strong minus cheap quality) over all pairs of five cheap models and two
strong ones on two benchmarks, rounded; `scripts/bench/escalation.py` shows what they are worth, and what a fit on one
benchmark alone is worth on the other.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec

from sophiactl.routing.answers import Agreement, agreement, overlap
from sophiactl.routing.finding import find_answer, is_cut

if TYPE_CHECKING:
    from collections.abc import Sequence

# Centre and spread of the signals, as natural logarithms of characters and as shares.
_OUTPUT, _PROMPT, _SHARED, _NEAR = (6.6, 0.65), (5.5, 0.7), (0.4, 0.2), (0.4, 0.4)
# Small next to the disagreement itself: any disagreement ranks above any agreement, whatever the other signals say.
_DISAGREE, _LONG, _COMMON, _CLOSE, _ASKED = 0.32, -0.08, 0.05, 0.03, -0.03
_AGREE_LONG, _AGREE_ASKED = 0.02, 0.02
# One output: what is known without a second opinion, and what each warning sign adds.
_ALONE, _MISSING, _CUT, _HEDGED, _CONTRADICTED = 0.0, 0.25, 0.1, 0.02, 0.1
_PRIOR = 0.04
_EVEN, _STEEP = 0.085, 8.0

_HEDGE = re.compile(
    r"\b(?:i am not sure|i'm not sure|not certain|cannot determine|can't determine|unable to|i don't know|unclear|wait|"
    r"mistake|not (?:the )?correct|re-?(?:check|evaluate|examine|consider)|let's try|possibly|perhaps|might be|maybe|"
    r"i apologi[sz]e|as an ai|contradict\w*|not enough information|assuming)\b",
    re.IGNORECASE,
)


class Signals(msgspec.Struct, frozen=True):
    """What speaks for the strong model. `score` is in [0, 1]; `agreements` compare the first output with each other."""

    score: float
    agreements: tuple[Agreement, ...]
    missing: bool
    cut: bool
    hedges: int


def escalation_score(prompt: str, outputs: Sequence[str], prior: float | None = None) -> float:
    """How much the strong model is worth asking after these cheap outputs, in [0, 1]; higher is more.

    The first output is the answer that would be given, the others are second opinions. `prior` is the router's own
    score of the prompt and only breaks ties. Without any output the score is 1.
    """
    return examine(prompt, outputs, prior).score


def examine(prompt: str, outputs: Sequence[str], prior: float | None = None) -> Signals:
    """The escalation score with what it rests on."""
    if not outputs:
        return Signals(1.0, (), missing=True, cut=False, hedges=0)
    first = outputs[0]
    found = find_answer(first)
    missing, cut, hedges = found is None, is_cut(first), min(len(_HEDGE.findall(first)), 5)
    compared = tuple(agreement(prompt, first, other) for other in outputs[1:])
    if compared:
        pairs = zip(compared, outputs[1:], strict=True)
        value = sum(_worth(prompt, first, other, how) for how, other in pairs) / len(compared)
    else:
        value = _ALONE + _MISSING * missing + _CUT * cut + _HEDGED * hedges
        value += _CONTRADICTED * contradicts(first) + _AGREE_LONG * _place(math.log1p(len(first)), _OUTPUT)
    if prior is not None and math.isfinite(prior):
        value += _PRIOR * (min(max(prior, 0.0), 1.0) - 0.5)
    score = 1.0 if not first.strip() else 1 / (1 + math.exp(-_STEEP * (value - _EVEN)))
    return Signals(score, compared, missing, cut, hedges)


def comparable(prompt: str, outputs: Sequence[str]) -> bool:
    """Whether agreement can decide: two outputs at least, and answers of a kind that can be compared."""
    return len(outputs) > 1 and all(agreement(prompt, outputs[0], other).comparable for other in outputs[1:])


def contradicts(output: str) -> bool:
    """Whether an output ends on another answer than it names before: its last two answers differ."""
    at = max(output.rfind("\n\n"), 0)
    before = find_answer(output[:at]) if at else None
    last = find_answer(output)
    if before is None or last is None or before.marker not in _SURE or last.marker not in _SURE:
        return False
    found = agreement("", f"#### {before.text}", f"#### {last.text}")
    return found.comparable and found.equal < 0.5


_SURE = frozenset({"json", "marked", "boxed", "said"})


def _worth(prompt: str, first: str, other: str, how: Agreement) -> float:
    """Expected gain of the strong model, from one comparison."""
    asked = _place(math.log1p(len(prompt)), _PROMPT)
    long = _place((math.log1p(len(first)) + math.log1p(len(other))) / 2, _OUTPUT)
    shared = overlap(first, other)
    # Prose has no verdict: what two texts have in common is the only sign, and a weak one.
    equal = how.equal if how.comparable or how.kind != "prose" or how.near == 0 else min(1.0, 1.2 * shared)
    near = how.near if equal < 0.5 else 0.0
    apart = _DISAGREE + _LONG * long + _COMMON * _place(shared, _SHARED) + _CLOSE * _place(near, _NEAR) + _ASKED * asked
    return (1 - equal) * apart + equal * (_AGREE_LONG * long + _AGREE_ASKED * asked)


def _place(value: float, typical: tuple[float, float]) -> float:
    centre, spread = typical
    return math.tanh((value - centre) / (1.5 * spread))
