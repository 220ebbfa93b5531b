from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.routing.base import TIERS, ModelCard, RouteRequest
from sophiactl.routing.stickiness import Previous, cache_key, may_repeat, normal_prompt, settle
from sophiactl.routing.tiers import rank

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WINDOW = timedelta(minutes=30)
CARDS = [ModelCard(f"{tier}-{number}", "p", tier) for tier in TIERS for number in (1, 2)]
cards = st.sampled_from(CARDS)


@given(cards, st.lists(cards), cards, st.integers(0, 60))
def test_a_session_never_goes_down_within_its_window(
    chosen: ModelCard, others: list[ModelCard], before: ModelCard, minutes: int
) -> None:
    kept = [chosen, *others]
    previous = Previous(before.name, (NOW - timedelta(minutes=minutes)).isoformat())
    found, reason = settle(chosen, kept, previous, NOW, WINDOW)
    assert found in kept
    assert rank(found.tier) >= rank(chosen.tier)
    if before in kept and minutes <= 30:
        assert rank(found.tier) >= rank(before.tier)
    assert (reason is None) == (found == chosen)


def test_another_providers_model_of_that_name_is_another_model() -> None:
    chosen, held = CARDS[0], CARDS[4]
    assert settle(chosen, CARDS, Previous(held.name, NOW.isoformat(), "p"), NOW, WINDOW)[0] == held
    assert settle(chosen, CARDS, Previous(held.name, NOW.isoformat(), "q"), NOW, WINDOW)[0] == chosen


@pytest.mark.parametrize("at", ["", "yesterday", "2026-11-22T11:00:00Z"])
def test_an_old_or_unreadable_time_does_not_hold(at: str) -> None:
    assert settle(CARDS[0], CARDS, Previous(CARDS[4].name, at), NOW, WINDOW) == (CARDS[0], None)


def test_a_time_without_a_zone_is_read_as_ours() -> None:
    assert settle(CARDS[0], CARDS, Previous(CARDS[4].name, "2026-11-22T11:59:00"), NOW, WINDOW)[0] == CARDS[4]


def test_the_cache_key_holds_what_shapes_the_decision() -> None:
    base = RouteRequest("Hello", context={"a": "1", "b": "2"}, needs=("json", "tools"), session="one")
    key = cache_key(base, "prior 1", {"x": 1})
    assert len(key) == 64
    same = RouteRequest(" Hello\r\n", context={"b": "2", "a": "1"}, needs=("tools", "json"), session="two")
    assert cache_key(same, "prior 1", {"x": 1}) == key
    others = {
        cache_key(RouteRequest("hello"), "prior 1", {"x": 1}),
        cache_key(base, "prior 2", {"x": 1}),
        cache_key(base, "prior 1", {"x": 2}),
        cache_key(base, "prior 1", {"x": 1}, {"temperature": 1}),
        key,
    }
    assert len(others) == 5


@given(st.text())
def test_prompts_are_normal_once_normalised(text: str) -> None:
    assert normal_prompt(normal_prompt(text)) == normal_prompt(text)
    assert len(cache_key(RouteRequest(text), "a", {})) == 64


def test_composition_and_half_pairs_are_taken() -> None:
    assert normal_prompt("e\u0301") == normal_prompt("\u00e9")
    assert len(cache_key(RouteRequest("\ud800"), "a", {})) == 64


def test_only_the_same_question_of_a_new_session_repeats() -> None:
    assert may_repeat(temperature=None, tools=False, previous=None)
    assert not may_repeat(temperature=0.7, tools=False, previous=None)
    assert not may_repeat(temperature=0, tools=True, previous=None)
    assert not may_repeat(temperature=0, tools=False, previous=Previous("m", NOW.isoformat()))
