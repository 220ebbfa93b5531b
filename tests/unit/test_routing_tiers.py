from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import ConfigError
from sophiactl.routing.base import Thresholds
from sophiactl.routing.config import HintConfig, RoutingConfig
from sophiactl.routing.tiers import HINTS, Scale, checked, complexity_of, lift, quantile_of, rank, score_at, tier_of

EVEN = Scale.of([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
SKEWED = Scale.of([0.3, 0.31, 0.32, 0.33, 0.33, 0.33, 0.4, 0.6, 0.61])
PARTS = {"simple": range(1, 4), "balanced": range(4, 8), "premium": range(8, 11)}
scores = st.floats(0, 1)
contexts = st.dictionaries(st.sampled_from([*HINTS, "other"]), st.sampled_from(["true", "false", "YES", "1", "0", ""]))


@st.composite
def scales(draw: st.DrawFn) -> Scale:
    deciles = sorted(draw(st.lists(scores, min_size=9, max_size=9)))
    low, high = sorted((draw(scores), draw(scores)))
    return Scale.of(deciles, draw(st.sampled_from([None, Thresholds(low, high)])))


def test_thresholds_default_to_the_third_and_seventh_decile() -> None:
    assert SKEWED.thresholds == Thresholds(0.32, 0.4)
    assert [tier_of(score, SKEWED.thresholds) for score in (0.319, 0.32, 0.399, 0.4)] == [
        "simple",
        "balanced",
        "balanced",
        "premium",
    ]


def test_complexity_is_the_decile() -> None:
    assert [complexity_of(score, EVEN) for score in (0, 0.05, 0.15, 0.3, 0.35, 0.65, 0.7, 0.95, 1)] == [
        1, 1, 2, 4, 4, 7, 8, 10, 10,
    ]  # fmt: skip


@given(scales(), scores, scores)
def test_complexity_keeps_within_its_tier_and_grows_with_the_score(scale: Scale, one: float, two: float) -> None:
    low, high = sorted((one, two))
    assert complexity_of(low, scale) in PARTS[tier_of(low, scale.thresholds)]
    assert complexity_of(low, scale) <= complexity_of(high, scale)


@given(scores)
def test_quantile_and_score_are_inverse_where_scores_differ(score: float) -> None:
    assert score_at(quantile_of(score, EVEN), EVEN) == pytest.approx(score, abs=1e-9)
    assert 0 <= quantile_of(score, SKEWED) <= 1


@given(scales(), scores, contexts)
def test_hints_never_lower_a_score_and_are_bounded(scale: Scale, score: float, context: dict[str, str]) -> None:
    lifted, reasons = lift(score, context, scale)
    assert score <= lifted <= 1
    assert sum(reason.weight for reason in reasons) == pytest.approx(lifted - score, abs=1e-9)
    if "business_critical" not in {reason.name.removeprefix("hint ") for reason in reasons}:
        assert lifted <= max(score, score_at(quantile_of(score, scale) + HintConfig().most, scale)) + 1e-9


def test_each_hint_overtakes_its_share_of_prompts() -> None:
    assert lift(0.3, {"requires_reasoning": "true"}, EVEN)[0] == pytest.approx(0.5)
    assert lift(0.3, {"multi_step": "yes"}, EVEN)[0] == pytest.approx(0.45)
    assert lift(0.5, dict.fromkeys(HINTS, "true"), EVEN)[0] == pytest.approx(0.9)
    assert lift(0.3, {"requires_reasoning": "false", "colour": "true"}, EVEN) == (0.3, ())


def test_business_critical_is_never_simple() -> None:
    scale = Scale.of(EVEN.deciles, Thresholds(0.8, 0.9))
    assert tier_of(lift(0.0, {"business_critical": "true"}, scale)[0], scale.thresholds) == "balanced"


@pytest.mark.parametrize("deciles", [[], [0.5] * 8, [0.9, *[0.5] * 8], [0.1] * 8 + [1.5], [float("nan")] * 9])
def test_broken_deciles_are_refused(deciles: list[float]) -> None:
    with pytest.raises(ConfigError):
        Scale.of(deciles)


@pytest.mark.parametrize("limits", [(0.7, 0.3), (-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_broken_thresholds_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ConfigError):
        Scale.of(EVEN.deciles, Thresholds(*limits))


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError):
        checked(float("nan"))
    assert (checked(-3), checked(7), rank("premium")) == (0.0, 1.0, 2)


def test_settings_replace_the_artifacts_thresholds() -> None:
    calibrated = Thresholds(0.4, 0.7)
    assert RoutingConfig().thresholds(calibrated) == calibrated
    assert RoutingConfig(balanced_from=0.8).thresholds(calibrated) == Thresholds(0.8, 0.8)
    assert RoutingConfig(premium_from=0.3).thresholds(calibrated) == Thresholds(0.3, 0.3)
    with pytest.raises(ConfigError):
        Scale.of(EVEN.deciles, RoutingConfig(balanced_from=0.8, premium_from=0.3).thresholds(calibrated))
