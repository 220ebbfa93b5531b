"""Which providers are left alone, why, and until when; on a clock that only the test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.llm.classify import NoConnection
from sophiactl.llm.cooldown import CooldownConfig, Cooldowns
from sophiactl.llm.failures import (
    BadRequest,
    Broken,
    CallFailed,
    ContextTooLong,
    Filtered,
    OutOfCredit,
    Overloaded,
    Refused,
    Throttled,
    TooSlow,
)

CONFIG = CooldownConfig(failures=3, window=60, first=10, growth=2, longest=35, longest_retry_after=100)
START = datetime(2026, 11, 22, 14, 0, 0, tzinfo=UTC)


class Time:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def clock(self) -> datetime:
        return START + timedelta(seconds=self.now - 1000)


def cooldowns(config: CooldownConfig = CONFIG) -> tuple[Cooldowns, Time]:
    time = Time()
    return Cooldowns(config, timer=time, clock=time.clock), time


def left(state: Cooldowns, provider: str = "p", model: str = "m") -> float:
    found = state.cooling(provider, model)
    return 0.0 if found is None else found.left


@pytest.mark.parametrize(
    "failure", [Overloaded("down"), Broken("cut"), TooSlow("late"), Throttled("full"), NoConnection("nobody there")]
)
def test_a_model_is_cooled_after_so_many_failures_in_the_window(failure: CallFailed) -> None:
    state, time = cooldowns()
    for _ in range(2):
        state.failed("p", "m", failure)
        time.now += 1
    assert left(state) == 0
    state.failed("p", "m", failure)
    assert left(state) == 10
    assert left(state, model="other") == 0
    assert left(state, provider="other") == 0


def test_failures_outside_the_window_are_forgotten() -> None:
    state, time = cooldowns()
    for _ in range(10):
        state.failed("p", "m", Overloaded("down"))
        time.now += 31
    assert left(state) == 0


def test_success_forgives() -> None:
    state, _ = cooldowns()
    for _ in range(2):
        state.failed("p", "m", Overloaded("down"))
    state.succeeded("p", "m")
    state.failed("p", "m", Overloaded("down"))
    assert left(state) == 0


def test_after_the_pause_one_may_try_and_the_others_wait() -> None:
    state, time = cooldowns()
    for _ in range(3):
        state.failed("p", "m", Overloaded("down"))
    time.now += 10
    assert state.admit("p", "m") is None
    assert state.admit("p", "m") is not None
    state.succeeded("p", "m")
    assert state.admit("p", "m") is None
    assert state.admit("p", "m") is None


def test_a_trial_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    state, time = cooldowns()
    for _ in range(3):
        state.failed("p", "m", Overloaded("down"))
    pauses = []
    for _ in range(4):
        time.now += left(state)
        assert state.admit("p", "m") is None
        state.failed("p", "m", Overloaded("down"))
        pauses.append(left(state))
    assert pauses == [20, 35, 35, 35]


@pytest.mark.parametrize("failure", [BadRequest("no"), ContextTooLong("long"), Filtered("no")])
def test_the_requests_own_fault_gives_the_trial_back(failure: CallFailed) -> None:
    state, time = cooldowns()
    for _ in range(3):
        state.failed("p", "m", Overloaded("down"))
    time.now += 10
    assert state.admit("p", "m") is None
    state.failed("p", "m", failure)
    assert state.admit("p", "m") is None


def test_a_trial_that_is_cancelled_or_lost_does_not_block_for_ever() -> None:
    state, time = cooldowns()
    for _ in range(3):
        state.failed("p", "m", Overloaded("down"))
    time.now += 10
    assert state.admit("p", "m") is None
    state.released("p", "m")
    assert state.admit("p", "m") is None
    time.now += CONFIG.first
    assert state.admit("p", "m") is None


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (OutOfCredit("empty", status=402), 900),
        (OutOfCredit("empty", status=429, retry_after=5000), 900),
        (Refused("bad key", status=401), 900),
    ],
)
def test_a_matter_of_the_account_cools_the_whole_provider(failure: CallFailed, seconds: float) -> None:
    state, _ = cooldowns()
    found = state.failed("p", "m", failure)
    assert found is not None
    assert found.kind is type(failure)
    assert left(state, model="another") == seconds
    assert left(state, provider="q") == 0


@pytest.mark.parametrize(("asked", "kept"), [(0, 0), (-3, 0), (7, 7), (100, 100), (86_400, 100)])
def test_retry_after_is_kept_within_bounds(asked: float, kept: float) -> None:
    state, _ = cooldowns()
    state.failed("p", "m", Throttled("later", status=429, retry_after=asked))
    assert left(state) == kept
    assert left(state, model="another") == 0


def test_of_two_pauses_the_longer_holds() -> None:
    state, _ = cooldowns()
    state.failed("p", "m", Throttled("later", retry_after=50))
    state.failed("p", "m", Throttled("later", retry_after=5))
    assert left(state) == 50


def test_it_says_in_words_what_is_cooled_why_and_until_when() -> None:
    state, time = cooldowns()
    state.failed("portkey", "gpt", OutOfCredit("empty", status=402))
    assert str(state.cooling("portkey", "x")) == (
        "portkey is left alone until 14:15:00 UTC: out of credit (status 402)"
    )
    state.failed("other", "gpt", Throttled("later", status=429, retry_after=30))
    time.now += 10
    assert str(state.cooling("other", "gpt")) == (
        "gpt via other is left alone until 14:00:30 UTC: it asked for 30 s (status 429)"
    )
    for _ in range(3):
        state.failed("third", "gpt", Overloaded("third failed (503)", status=503))
    assert "it failed 3 times in 60 s, last with: third failed (503)" in str(state.cooling("third", "gpt"))


FAILURES = st.sampled_from([Overloaded, Broken, TooSlow, Throttled, OutOfCredit, Refused, BadRequest, Filtered])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fail"), FAILURES, st.one_of(st.none(), st.floats(-10, 1e6))),
        st.tuples(st.just("wait"), st.floats(0, 2000), st.none()),
        st.tuples(st.sampled_from(["succeed", "admit", "release"]), st.none(), st.none()),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_a_pause_is_bounded_and_ends(steps: list[tuple[str, object, float | None]]) -> None:
    state, time = cooldowns()
    for what, argument, after in steps:
        if what == "fail":
            assert isinstance(argument, type)
            state.failed("p", "m", argument("x", retry_after=after))
        elif what == "wait":
            assert isinstance(argument, float)
            time.now += argument
        elif what == "succeed":
            state.succeeded("p", "m")
        elif what == "admit":
            state.admit("p", "m")
        else:
            state.released("p", "m")
        assert 0 <= left(state) <= 900.001
        if what == "succeed":
            assert left(state) == 0
    time.now += 901
    assert state.cooling("p", "m") is None
