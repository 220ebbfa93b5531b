"""Thresholds from scores: shares on fresh prompts, ties, and a quality floor that holds."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import UsageError
from sophiactl.routing import calibration
from sophiactl.routing.base import Thresholds
from sophiactl.routing.prior import prior
from sophiactl.routing.rows import Labelled

if TYPE_CHECKING:
    from collections.abc import Sequence

SCORES = st.lists(st.floats(0, 1), min_size=calibration.FEWEST, max_size=120)
TIED = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.50001, 1.0]), min_size=calibration.FEWEST, max_size=120)


@given(SCORES | TIED, st.floats(0, 1))
def test_thresholds_are_ordered_and_within_reach_of_the_wanted_share(scores: list[float], share: float) -> None:
    found = calibration.for_share(scores, share)
    assert 0 <= found.balanced <= found.premium <= 1
    largest_tie = max(scores.count(score) for score in scores)
    got = calibration.share_above(scores, found.premium)
    top_is_full = scores.count(1.0) / len(scores)  # no threshold can leave a score of 1 out
    assert abs(got - share) <= largest_tie / len(scores) + 0.5 / len(scores) + top_is_full + 1e-9


@given(SCORES | TIED)
def test_deciles_ascend_within_the_scores(scores: list[float]) -> None:
    found = calibration.deciles(scores)
    assert list(found) == sorted(found)
    assert min(scores) <= found[0]
    assert found[-1] <= max(scores)


def test_the_share_asked_for_is_hit_on_fresh_prompts() -> None:
    random = Random(7)
    missed = []
    for _ in range(60):
        known, fresh = ([random.betavariate(2, 3) for _ in range(size)] for size in (500, 5_000))
        for share in (0.1, 0.3, 0.5, 0.8):
            threshold = calibration.for_share(known, share).premium
            missed.append(abs(calibration.share_above(fresh, threshold) - share))
    assert sum(missed) / len(missed) < 0.02
    assert sum(error <= 0.03 for error in missed) / len(missed) > 0.8


def test_tiers_split_by_default_as_three_four_three() -> None:
    scores = [index / 1_000 for index in range(1_000)]
    found = calibration.for_share(scores, 0.3)
    assert found.premium == pytest.approx(0.7, abs=0.002)
    assert found.balanced == pytest.approx(0.3, abs=0.002)


def test_a_share_of_nothing_or_all() -> None:
    scores = [index / 100 for index in range(100)]
    assert calibration.share_above(scores, calibration.for_share(scores, 0).premium) == 0
    assert calibration.share_above(scores, calibration.for_share(scores, 1).premium) == 1


# A floor under the quality


def _traffic(random: Random, count: int) -> tuple[list[Labelled], list[float]]:
    """The weak model fails more often the higher the score is; the strong one nearly never."""
    scores = [random.random() for _ in range(count)]
    rows = [Labelled("", float(random.random() > 0.6 * score), float(random.random() > 0.05)) for score in scores]
    return rows, scores


def _quality(rows: Sequence[Labelled], scores: Sequence[float], threshold: float) -> float:
    routed = sum(
        row.strong_score if score >= threshold else row.weak_score for row, score in zip(rows, scores, strict=True)
    )
    return routed / sum(row.strong_score for row in rows)


def test_a_promised_floor_holds_in_nine_of_ten_fresh_draws() -> None:
    random = Random(3)
    kept, spared = 0, []
    for _ in range(100):
        rows, scores = _traffic(random, 500)
        threshold = calibration.for_quality(rows, scores, 0.9).premium
        fresh, fresh_scores = _traffic(random, 500)
        kept += _quality(fresh, fresh_scores, threshold) >= 0.9
        spared.append(1 - calibration.share_above(fresh_scores, threshold))
    assert kept >= 90
    assert sum(spared) / len(spared) > 0.2, "the floor is kept by calling the strong model only"


def test_a_floor_that_only_the_strong_model_keeps_sends_everything_there() -> None:
    rows = [Labelled("", 0.0, 1.0)] * 100
    scores = [index / 100 for index in range(100)]
    assert calibration.for_quality(rows, scores, 1.0) == Thresholds(0.0, 0.0)


def test_a_floor_that_the_weak_model_keeps_sends_nothing_there() -> None:
    rows = [Labelled("", 1.0, 1.0)] * 100
    scores = [index / 100 for index in range(100)]
    assert calibration.share_above(scores, calibration.for_quality(rows, scores, 1.0).premium) == 0


def test_what_cannot_be_calibrated_on_is_said() -> None:
    good = [0.5] * 30
    with pytest.raises(UsageError, match="too few"):
        calibration.for_share([0.5] * 19, 0.5)
    with pytest.raises(UsageError, match="not between 0 and 1"):
        calibration.for_share([*good, float("nan")], 0.5)
    with pytest.raises(UsageError, match="strong share"):
        calibration.for_share(good, 1.5)
    with pytest.raises(UsageError, match="quality 0"):
        calibration.for_quality([Labelled("", 0, 1)] * 30, good, 0)
    with pytest.raises(UsageError, match="29 rows but 30 scores"):
        calibration.for_quality([Labelled("", 0, 1)] * 29, good, 0.9)


def test_a_recalibrated_artifact_keeps_its_weights() -> None:
    scores = [index / 100 for index in range(100)]
    found = calibration.recalibrated(prior(), scores, Thresholds(0.2, 0.9), "own prompts")
    assert found.weights == prior().weights
    assert found.header.calibration.thresholds == Thresholds(0.2, 0.9)
    assert found.header.calibration.note == "own prompts"
    assert found.header.calibration.deciles[4] == pytest.approx(0.495)
