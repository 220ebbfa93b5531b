"""Figures of runs: what is unknown is never counted as 0, and saving compares like with like."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.runs.base import Call, Run, RunsConfig, ServiceCall
from sophiactl.runs.keeping import expiry, keep, prompt_hash, redacted
from sophiactl.runs.stats import PREMIUM_ASSUMPTION, percentile, route_stats

if TYPE_CHECKING:
    import random

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def run(name: str = "a", *calls: Call, **fields: Any) -> Run:
    return Run(**{"id": name, "command": "route", "at": "2026-11-22T12:00:00Z", "calls": calls, **fields})


def call(**fields: Any) -> Call:
    return Call(**{"model": "m", "provider": "p", **fields})


def test_nothing_is_no_division_by_zero() -> None:
    found = route_stats([])
    assert (found.requests, found.cost, found.compared, found.saved, found.saved_share) == (0, 0.0, 0, None, None)
    assert (found.latency_p50, found.decision_p95) == (None, None)
    assert found.tiers == {"simple": 0, "balanced": 0, "premium": 0}
    assert set(found.tier_share.values()) == {0.0}


def test_saving_is_about_runs_of_which_both_costs_are_known() -> None:
    found = route_stats(
        [
            run("a", call(), cost=1.0, premium_cost=4.0),
            run("b", call(), cost=2.0, premium_cost=2.0),
            run("c", call(), cost=100.0),
            run("d", call(), premium_cost=1000.0),
        ]
    )
    assert (found.cost, found.cost_unknown) == (103.0, 1)
    assert (found.compared, found.compared_cost, found.premium_cost) == (2, 3.0, 6.0)
    assert (found.saved, found.saved_share) == (3.0, 0.5)
    assert found.assumption == PREMIUM_ASSUMPTION
    assert "same tokens" in PREMIUM_ASSUMPTION
    assert "list price" in PREMIUM_ASSUMPTION


def test_a_dearer_choice_is_a_loss_and_said_as_one() -> None:
    found = route_stats([run("a", call(), cost=3.0, premium_cost=2.0)])
    assert (found.saved, found.saved_share) == (-1.0, -0.5)


def test_free_tokens_give_no_share() -> None:
    found = route_stats([run("a", call(), cost=0.0, premium_cost=0.0)])
    assert (found.saved, found.saved_share, found.cost_unknown) == (0.0, None, 0)


def test_a_decision_alone_has_no_unknown_cost_but_an_unpriced_call_has() -> None:
    found = route_stats([run("a"), run("b", call(cost=0.5), call())])
    assert (found.requests, found.executed, found.cost, found.cost_unknown) == (2, 1, 0.5, 1)


@pytest.mark.parametrize("command", ["connectors check", "connectors search", "connectors sync", "prune", "embed"])
def test_a_run_that_routed_nothing_is_no_request(command: str) -> None:
    asked = (ServiceCall("slack", "ok", "GET", "auth.test", seconds=0.5),)
    routed = [run("a", call(latency=1.0), tier="simple", model="m"), run("b", error="timeout")]
    other = run("c", command=command, error="rate_limited", service_calls=asked)
    assert route_stats([*routed, other]) == route_stats(routed)
    assert route_stats([other]) == route_stats([])
    both = run("d", call(latency=1.0), command="ask", tier="simple", service_calls=asked)
    assert route_stats([both]).requests == 1


def test_counts() -> None:
    found = route_stats(
        [
            run("a", call(latency=1.0), tier="simple", model="m1", provider="p", feedback="good", decision_ms=0.5),
            run("b", call(error="timeout", latency=300.0), call(latency=2.0), tier="simple", model="m1", fallbacks=1),
            run("c", tier="premium", model="m2", provider="p", escalated=True, fallbacks=2, decision_ms=1.5),
            run("d", call(error="timeout"), call(error="rate_limited"), error="timeout", feedback="bad"),
        ]
    )
    assert found.tiers == {"simple": 2, "balanced": 0, "premium": 1}
    assert found.tier_share == pytest.approx({"simple": 2 / 3, "balanced": 0, "premium": 1 / 3})
    assert list(found.models.items()) == [("m1", 2), ("m2", 1)]
    assert (found.providers, found.escalated, found.fallbacks, found.calls) == ({"p": 2}, 1, 3, 5)
    assert (found.errors, list(found.call_errors.items())) == ({"timeout": 1}, [("timeout", 2), ("rate_limited", 1)])
    assert (found.feedback_good, found.feedback_bad) == (1, 1)
    assert (found.latency_p50, found.latency_p95) == (1.0, 2.0)
    assert (found.decision_p50, found.decision_p95) == (0.5, 1.5)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 100))
def test_percentile_is_the_nearest_rank(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert found is not None
    below = sum(value <= found for value in values)
    assert below * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


COSTS = st.none() | st.floats(0, 100)
RUNS = st.lists(
    st.builds(
        lambda cost, premium, calls: run("x", *calls, cost=cost, premium_cost=premium),
        COSTS,
        COSTS,
        st.lists(st.builds(lambda cost, latency: call(cost=cost, latency=latency), COSTS, COSTS), max_size=3),
    )
)


@given(RUNS, st.randoms(use_true_random=False))
def test_the_order_of_runs_changes_no_digit(runs: list[Run], chance: random.Random) -> None:
    mixed = chance.sample(runs, len(runs))
    assert route_stats(mixed) == route_stats(runs)


@given(RUNS)
def test_sums_are_those_of_the_runs(runs: list[Run]) -> None:
    found = route_stats(iter(runs))
    both = [(item.cost, item.premium_cost) for item in runs if item.cost is not None and item.premium_cost is not None]
    assert found.compared == len(both)
    assert found.premium_cost == math.fsum(premium for _, premium in both)
    assert found.compared_cost == math.fsum(cost for cost, _ in both)
    assert found.cost >= math.fsum(item.cost for item in runs if item.cost is not None)
    assert found.cost_unknown == sum(item.cost is None and bool(item.calls) for item in runs)


class TestKeeping:
    SECRET = run("a", prompt="who is leaving?", answer="Bob", session="s")

    def test_texts_go_unless_the_settings_keep_them_and_the_hash_stays(self) -> None:
        bare = redacted(self.SECRET, RunsConfig())
        assert (bare.prompt, bare.answer, bare.session) == (None, None, "s")
        assert bare.prompt_hash == prompt_hash("who is leaving?")
        kept = redacted(self.SECRET, RunsConfig(store_text=True))
        assert (kept.prompt, kept.answer, kept.prompt_hash) == ("who is leaving?", "Bob", bare.prompt_hash)

    def test_a_hash_that_is_there_is_not_replaced(self) -> None:
        assert redacted(run("a", prompt_hash="h"), RunsConfig()).prompt_hash == "h"
        assert redacted(run("a"), RunsConfig()).prompt_hash is None

    @given(st.text())
    def test_any_text_has_a_hash(self, text: str) -> None:
        assert len(prompt_hash(text)) == 64
        assert len(prompt_hash(text + "\ud800")) == 64

    def test_expiry(self) -> None:
        assert expiry(RunsConfig(keep_days=2), NOW) == "2026-11-20T12:00:00+00:00"
        assert expiry(RunsConfig(keep_days=0), NOW) is None
        # Longer than there are dates is for ever.
        assert expiry(RunsConfig(keep_days=10**9), NOW) is None

    def test_recording_clears_away_what_is_overdue_now_and_then(self, tmp_path: Any) -> None:
        from sophiactl.runs.base import RunFilter
        from sophiactl.runs.opening import open_ledger

        ledger = open_ledger(RunsConfig(), tmp_path, {})
        ledger.record(run("old", at="2025-01-01T00:00:00Z"))
        for number in range(1500):
            keep(run(f"{number}", prompt="words"), ledger, RunsConfig(keep_days=0), NOW)
        assert ledger.count(RunFilter(until="2026-01-01")) == 1
        for number in range(1500):
            keep(run(f"{number}", prompt="words"), ledger, RunsConfig(keep_days=30), NOW)
        assert ledger.count(RunFilter(until="2026-01-01")) == 0
        assert ledger.count(RunFilter()) == 1500
        assert ledger.runs(RunFilter(), limit=1)[0].prompt is None
        ledger.close()
