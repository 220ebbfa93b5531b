"""What a chain tries again in place, how long it pauses, and when its time is over."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from sophiactl.errors import ExitCode
from sophiactl.llm.chain import Chain
from sophiactl.llm.events import FellBack
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
from sophiactl.llm.hops import ChainConfig
from sophiactl.llm.retries import RetryConfig
from sophiactl.llm.scripted import Reply, ScriptedModel
from tests.chains import PARIS, TWO, World, chain, complete, fail, kinds, stream

# -- retries in place --


def test_what_may_pass_is_tried_again_in_place_with_growing_pauses() -> None:
    world = World()
    one = world.model("one", Overloaded("down", status=503), Broken("cut"), PARIS)
    answered, told = complete(chain(world, one))
    assert kinds(told) == ["Attempted", "Retrying", "Attempted", "Retrying", "Attempted", "Answered"]
    assert world.slept == [0.25, 0.5]  # half of 0.5 and of 1, as chance has it
    assert [call.error for call in answered.calls] == ["upstream", "broken_answer", None]
    assert answered.fallbacks == 0
    assert answered.reason == "fast was chosen"


@pytest.mark.parametrize(
    "failure", [Refused("bad key"), OutOfCredit("empty"), TooSlow("late"), BadRequest("no"), ContextTooLong("long")]
)
def test_what_would_fail_again_goes_elsewhere_at_once(failure: CallFailed) -> None:
    world = World()
    one, two = world.model("one", failure), world.model("two", PARIS)
    answered, told = complete(chain(world, one, two))
    assert kinds(told) == ["Attempted", "FellBack", "Attempted", "Answered"]
    assert world.slept == []
    fell = told[1]
    assert isinstance(fell, FellBack)
    assert (fell.from_.provider, fell.to.provider, fell.reason) == ("one", "two", failure.message)
    assert answered.hop.provider == "two"
    assert answered.fallbacks == 1
    assert answered.reason == f"fallback: fast via one: {failure.message}"
    assert [(call.provider, call.reason, call.error) for call in answered.calls] == [
        ("one", "chosen", failure.code),
        ("two", "fallback", None),
    ]


def test_what_the_filter_refused_is_asked_of_nobody_else() -> None:
    world = World()
    one, two = world.model("one", Filtered("not that")), world.model("two", PARIS)
    error, _ = fail(chain(world, one, two))
    assert isinstance(error, Filtered)
    assert two.requests == []


def test_the_pause_asked_for_is_kept_and_never_undercut() -> None:
    world = World(chance=0.0)
    one = world.model("one", Throttled("later", status=429, retry_after=7.0), PARIS)
    complete(chain(world, one))
    assert world.slept == [7.0]
    world = World(chance=0.999)
    complete(chain(world, world.model("one", Throttled("later", status=429, retry_after=7.0), PARIS)))
    assert 7.0 < world.slept[0] < 7.6


@pytest.mark.parametrize("changes", [{"total": 5.0}, {"retry": RetryConfig(longest_wait=5.0)}])
def test_a_pause_that_is_too_long_is_not_slept_through(changes: dict[str, Any]) -> None:
    world = World()
    one = world.model("one", Throttled("later", status=429, retry_after=7.0))
    answered, _ = complete(chain(world, one, world.model("two", PARIS), **changes))
    assert world.slept == []
    assert answered.hop.provider == "two"


def test_alone_it_says_when_to_come_back() -> None:
    world = World()
    error, _ = fail(chain(world, world.model("one", Throttled("later", status=429, retry_after=70.0))))
    assert isinstance(error, Throttled)
    assert error.exit_code == ExitCode.RATE_LIMITED
    assert error.retry_after == 70.0
    assert error.hint


def test_retries_are_limited_for_one_call() -> None:
    world = World()
    one = world.model("one", Broken("cut"), repeat=True)
    error, told = fail(chain(world, one, retry=RetryConfig(most=1)))
    assert len(one.requests) == 2
    assert isinstance(error, Broken)
    assert kinds(told)[-1] == "GaveUp"


def test_retries_are_a_share_of_all_calls() -> None:
    world = World()
    one = world.model("one", Overloaded("down"), repeat=True)
    made = chain(
        world,
        one,
        retry=RetryConfig(most=3, share=0.1, reserve=2.0),
        cooldown=msgspec.structs.replace(ChainConfig().cooldown, failures=10_000),
    )
    for _ in range(40):
        fail(made)
    # 40 calls, 2 in reserve and a tenth of 40 retries.
    assert 40 + 2 <= len(one.requests) <= 40 + 2 + 4


def test_no_retry_while_others_have_found_it_down() -> None:
    world = World()
    one = world.model("one", Overloaded("down"), repeat=True)
    made = chain(world, one, cooldown=msgspec.structs.replace(ChainConfig().cooldown, failures=1))
    fail(made)
    assert len(one.requests) == 1
    _, told = fail(made)
    assert kinds(told) == ["Skipped", "GaveUp"]
    world.now += 15
    fail(made)
    assert len(one.requests) == 2


# -- time --


def test_the_total_time_covers_retries_and_fallbacks() -> None:
    world = World()
    slow = Reply(delay=6.0, failure=TooSlow("one was slow"))
    error, told = fail(chain(world, world.model("one", slow), world.model("two", PARIS), total=5.0))
    assert kinds(told) == ["Attempted", "GaveUp"]
    assert isinstance(error, TooSlow)
    assert error.exit_code == ExitCode.TIMEOUT
    assert "in time" in error.message


@pytest.mark.parametrize("streaming", [False, True])
def test_a_provider_that_hangs_is_left_when_the_time_is_over(streaming: bool) -> None:
    async def hang(_: float) -> None:
        await asyncio.Event().wait()

    one = ScriptedModel("one", [Reply("x", delay=1.0)], sleep=hang)
    made = Chain({"one": one}, TWO, config=ChainConfig(total=0.02))
    if streaming:
        events, error = stream(made)
        assert kinds(events) == ["Attempted", "GaveUp"]
    else:
        error, _ = fail(made)
    assert isinstance(error, TooSlow)
    assert made.tools.cooldowns.cooling("one", "fast") is None
