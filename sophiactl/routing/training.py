"""Training on own labels, on top of the prior: ridge regression of the gain on a prompt's form and its words.

Form is the prior's features, words are hashed TF-IDF of words and of pairs. The strength of the ridge is the one
with the least leave-one-out error, which is exact from one decomposition; the prior stays in, with the weight of
PULL labels, so that a few labels do little harm. Rows are read once, in order; beyond KEPT an even sample of them
is learned from, so that memory stays bounded (about 2 kB a kept row) however long the file is. numpy is imported
when training starts: scoring never needs it.
"""

from __future__ import annotations

from array import array
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from sophiactl.errors import UsageError
from sophiactl.routing import features, solver
from sophiactl.routing.artifact import Artifact, Calibration, Header, Source
from sophiactl.routing.base import Thresholds
from sophiactl.routing.calibration import FEWEST, deciles
from sophiactl.routing.lexicon import ranks
from sophiactl.routing.rows import none_given
from sophiactl.routing.score import REACH, squash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from sophiactl.routing.rows import Labelled

    Vector = NDArray[Any]

KEPT = 40_000
PULL = 25.0
"""Labels that the prior is worth."""
WORDS_WEIGHT = 6.0
"""Weight of the words beside the form, whose rows have length 1 on average."""


class Seen(NamedTuple):
    """An even sample of the rows: form (unscaled), buckets and shares of words, gains; and how many rows there were."""

    rows: int
    form: Vector
    terms: list[tuple[Vector, Vector]]
    gains: Vector


def train(
    rows: Iterable[Labelled], prior: Artifact, *, name: str, created: str, sources: tuple[Source, ...] = ()
) -> Artifact:
    """Learn from labelled rows; UsageError when they are none, too few, or all alike. `created` is ISO 8601 in UTC."""
    import numpy as np

    seen = sample(rows)
    _check(seen)
    spread, mean = np.array(prior.spread), np.array(prior.mean)
    form = np.clip((seen.form - mean) / spread, -REACH, REACH)
    own_form, own_terms, ridge, left_out = _learn(form, seen)
    before = form @ np.array(prior.weights)
    pull = _pull(left_out, before, seen.gains)
    held_out = left_out + pull * before[: len(left_out)]
    weights = own_form + pull * np.array(prior.weights)
    settings = {"ridge": ridge, "prior_labels": PULL, "learned_from": len(seen.gains), "words_weight": WORDS_WEIGHT}
    centre = float(seen.gains.mean() - own_form @ form.mean(0) - own_terms @ _average(seen))
    scale = float(held_out.std())
    header = Header(
        name=name,
        version="1",
        created=created,
        feature_version=features.FEATURE_VERSION,
        features=features.FEATURE_NAMES,
        buckets=features.BUCKETS,
        bias=centre - float(held_out.mean()),
        scale=scale,
        sources=sources,
        settings={**settings, "prior": prior.label, "rows": seen.rows},
        calibration=_calibration(((held_out - held_out.mean()) / scale).tolist()),
    )
    return Artifact(header, prior.mean, prior.spread, array("f", weights.tolist()), array("f", own_terms.tolist()))


def sample(rows: Iterable[Labelled], most: int = KEPT) -> Seen:
    """Read all rows, keep an even sample of `most` as features; the same rows give the same sample."""
    import numpy as np

    random, rarity = Random(0), ranks()  # noqa: S311 - a fair sample, no secret
    form: list[array[float]] = []
    terms: list[tuple[Vector, Vector]] = []
    gains: list[float] = []
    count = 0
    for count, row in enumerate(rows, 1):
        place = len(gains) if len(gains) < most else random.randrange(count)
        if place >= most:
            continue
        reading = features.read(row.prompt)
        form[place : place + 1] = [array("f", features.structure(reading, rarity))]
        terms[place : place + 1] = [_packed(features.terms(reading))]
        gains[place : place + 1] = [row.gain]
    return Seen(count, np.array(form, float).reshape(len(form), len(features.FEATURE_NAMES)), terms, np.array(gains))


def _learn(form: Vector, seen: Seen) -> tuple[Vector, Vector, float, Vector]:
    """Weights of form and words in the scorer's units, the ridge, and left-out predictions for the rows looked at."""
    import numpy as np

    width = form.std(0) + 0.1
    scaled = (form - form.mean(0)) / width
    unit = float(np.sqrt((scaled**2).sum(1).mean())) or 1.0
    factors = _rarity_factors(seen)
    table = solver.table(seen.terms, factors, scaled / unit)
    ridge, left_out = solver.choose_ridge(table.head(solver.LOOKED_AT), seen.gains[: solver.LOOKED_AT])
    solution = solver.solve(table, seen.gains, ridge)
    return solution[features.BUCKETS :] / unit / width, solution[: features.BUCKETS] * factors, ridge, left_out


def _rarity_factors(seen: Seen) -> Vector:
    """Inverse document frequency of each bucket; with it the mean square of a row's words is WORDS_WEIGHT."""
    import numpy as np

    buckets = np.concatenate([row for row, _ in seen.terms]).astype(np.int64)
    values = np.concatenate([row for _, row in seen.terms])
    seen_in = np.bincount(buckets, minlength=features.BUCKETS)
    factors = np.log((1 + len(seen.terms)) / (1 + seen_in)) + 1
    length = float(((values * factors[buckets]) ** 2).sum()) / len(seen.terms)
    scaled: Vector = factors * (WORDS_WEIGHT / (length or 1.0)) ** 0.5
    return scaled


def _average(seen: Seen) -> Vector:
    """Mean share of each bucket over the rows."""
    import numpy as np

    buckets = np.concatenate([row for row, _ in seen.terms]).astype(np.int64)
    values = np.concatenate([row for _, row in seen.terms])
    return np.bincount(buckets, weights=values, minlength=features.BUCKETS) / len(seen.terms)


def _pull(left_out: Vector, before: Vector, gains: Vector) -> float:
    """The prior's factor: in standard deviations it counts as PULL labels beside these."""
    learned = max(float(left_out.std()), 0.05 * float(gains.std()))
    return PULL / len(gains) * learned / (float(before.std()) or 1.0)


def _calibration(values: list[float]) -> Calibration:
    borders = deciles([squash(value) for value in values])
    note = "deciles of left-out predictions on the training rows; route calibrate sets a share or a quality"
    return Calibration(borders, Thresholds(borders[2], borders[6]), note)


def _packed(terms: Mapping[int, float]) -> tuple[Vector, Vector]:
    import numpy as np

    return np.fromiter(terms, np.uint16, len(terms)), np.fromiter(terms.values(), np.float32, len(terms))


def _check(seen: Seen) -> None:
    if not seen.rows:
        raise none_given("the training file")
    if seen.rows < FEWEST:
        raise UsageError(f"{seen.rows} rows are too few to train on", hint=f"give at least {FEWEST}, better 500")
    if float(seen.gains.std()) < 1e-9:
        raise UsageError(
            "every row has the same gain, so there is nothing to learn",
            hint="label prompts on which the strong model is better and prompts on which it is not",
        )
