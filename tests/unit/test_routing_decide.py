from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import ConfigError, UsageError
from sophiactl.routing.base import TIERS, Decision, ModelCard, Reason, RouteRequest, Tier
from sophiactl.routing.config import RoutingConfig
from sophiactl.routing.constraints import QualityFloor
from sophiactl.routing.decide import choose, decide, ladder
from sophiactl.routing.stickiness import Previous
from sophiactl.routing.tiers import Scale

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCALE = Scale.of([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
CARDS = (
    ModelCard("s1", "p", "simple", 8_000, input_price=0.1, output_price=0.4),
    ModelCard("s2", "p", "simple", 200_000),
    ModelCard("b1", "p", "balanced", 200_000, vision=True, input_price=3, output_price=15),
    ModelCard("p1", "p", "premium", 200_000, vision=True, tools=True, input_price=3, output_price=15),
)


class Fixed:
    """A scorer that always says the same."""

    artifact = "fixed 1"

    def __init__(self, value: float) -> None:
        self.value = value

    def score(self, prompt: str) -> float:
        return self.value

    def explain(self, prompt: str) -> tuple[Reason, ...]:
        return (Reason("length", 0.1),)


def decided(score: float, *, prompt: str = "What is new?", **options: Any) -> Decision:
    asked = {name: options.pop(name) for name in list(options) if name in RouteRequest.__struct_fields__}
    return decide(RouteRequest(prompt, **asked), options.pop("cards", CARDS), Fixed(score), SCALE, **options)


@pytest.mark.parametrize(
    ("score", "tier", "model"), [(0.1, "simple", "s1"), (0.5, "balanced", "b1"), (0.9, "premium", "p1")]
)
def test_a_score_picks_the_first_model_of_its_tier(score: float, tier: Tier, model: str) -> None:
    found = decided(score)
    assert (found.tier, found.model, found.provider, found.score) == (tier, model, "p", score)
    assert found.reasons == (Reason("length", 0.1),)
    assert (found.candidates, found.dropped, found.artifact) == (("s1", "s2", "b1", "p1"), (), "fixed 1")


def test_costs_are_estimated_or_null_but_never_0() -> None:
    found = decided(0.1)
    assert found.estimated_cost_usd == pytest.approx((found.prompt_tokens * 0.1 + 800 * 0.4) / 1e6)
    assert decided(0.1, deny=("s1",)).estimated_cost_usd is None


def test_the_nearest_stronger_model_stands_in_then_the_nearest_weaker() -> None:
    stronger = decided(0.1, deny=("s*",))
    assert (stronger.tier, stronger.model) == ("simple", "b1")
    assert stronger.reasons[-1] == Reason("no simple model fits, the nearest stronger one is b1", 0.0)
    weaker = decided(0.9, deny=("p1",))
    assert (weaker.tier, weaker.model) == ("premium", "b1")
    assert "weaker" in weaker.reasons[-1].name


def test_constraints_come_before_the_score() -> None:
    found = decided(0.1, needs=("tools",))
    assert found.model == "p1"
    assert [item.model for item in found.dropped] == ["s1", "s2", "b1"]
    assert decided(0.1, prompt="word " * 9_000).model == "s2"


def test_hints_raise_score_tier_and_reasons() -> None:
    found = decided(0.25, context={"requires_reasoning": "true"})
    assert (found.tier, found.complexity) == ("balanced", 5)
    assert found.score == pytest.approx(0.45)
    assert found.reasons[-1].name == "hint requires_reasoning"


def test_a_quality_floor_drops_weak_models_by_the_score() -> None:
    found = decided(0.2, floor=QualityFloor(0.95, {"simple": 0.15}))
    assert found.model == "b1"
    assert len(found.dropped) == 2


def test_settings_hold_defaults_that_a_request_may_override_but_not_their_denials() -> None:
    config = RoutingConfig(allow=("b1",), deny=("p1",), max_cost=1.0)
    assert decided(0.1, config=config).model == "b1"
    assert decided(0.9, config=config, allow=("*",)).model == "b1"
    with pytest.raises(UsageError):
        decided(0.9, config=config, allow=("p1",))


class TestSessions:
    def settled(self, score: float, model: str, minutes: float, **options: Any) -> Decision:
        previous = Previous(model, (NOW - timedelta(minutes=minutes)).isoformat())
        return decided(score, previous=previous, clock=lambda: NOW, **options)

    def test_it_stays_up_within_the_window(self) -> None:
        found = self.settled(0.1, "p1", 29)
        assert (found.model, found.tier) == ("p1", "simple")
        assert found.reasons[-1] == Reason("session stays on p1", 0.0)

    def test_it_may_go_up_and_goes_down_after_the_window(self) -> None:
        assert self.settled(0.9, "s1", 1).model == "p1"
        assert self.settled(0.1, "p1", 31).model == "s1"

    def test_it_does_not_move_sideways(self) -> None:
        assert self.settled(0.1, "s2", 1).model == "s2"

    def test_constraints_force_it_off(self) -> None:
        assert self.settled(0.1, "p1", 1, deny=("p1",)).model == "s1"
        assert self.settled(0.1, "gone", 1).model == "s1"


@pytest.mark.parametrize("prompt", ["", "  \n\t", "\u200b\u200c\ufeff", "\x00\x01"])
def test_a_prompt_with_nothing_to_see_is_refused(prompt: str) -> None:
    with pytest.raises(UsageError, match="empty"):
        decided(0.5, prompt=prompt)


@pytest.mark.parametrize("prompt", ["\x00" * 5_000 + "a", "a" * 1_000_000, "\ud800x", "答"])
def test_strange_prompts_are_decided(prompt: str) -> None:
    assert decided(0.5, prompt=prompt, cards=(ModelCard("m", "p", "balanced"),)).model == "m"


def test_a_scorer_without_a_number_is_an_error() -> None:
    with pytest.raises(ConfigError):
        decided(float("nan"))


@given(st.floats(0, 1), st.sets(st.sampled_from(["s1", "s2", "b1", "p1"]), max_size=3))
def test_any_choice_is_a_candidate_and_no_nearer_tier_was_free(score: float, denied: set[str]) -> None:
    found = decided(score, deny=tuple(denied))
    assert found.model in found.candidates
    assert {item.model for item in found.dropped} == denied
    kept = [card for card in CARDS if card.name in found.candidates]
    if any(card.tier == found.tier for card in kept):
        assert next(card for card in kept if card.name == found.model).tier == found.tier


def test_the_ladder_is_a_fallback_chain() -> None:
    assert [card.name for card in ladder("balanced", CARDS)] == ["b1", "p1", "s1", "s2"]
    assert all(choose(tier, CARDS)[0] == ladder(tier, CARDS)[0] for tier in TIERS)
