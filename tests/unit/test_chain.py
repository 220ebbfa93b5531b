"""The chain of providers: a plain answer, fallbacks to other hops, and what is configured."""

from __future__ import annotations

import asyncio

import msgspec

from sophiactl.errors import ConfigError, ExitCode
from sophiactl.llm.base import ChatRequest, Message
from sophiactl.llm.chain import Chain
from sophiactl.llm.classify import NoConnection
from sophiactl.llm.events import Answered, GaveUp, Piece, Retrying, Skipped
from sophiactl.llm.failures import BadRequest, OutOfCredit, Overloaded, Refused
from sophiactl.llm.hops import Hop, Routes, estimate_tokens, routes
from sophiactl.llm.scripted import Reply
from sophiactl.model import Money, Usage
from tests.chains import ASK, PARIS, TWO, World, chain, complete, fail, kinds, stream

# -- the straight way --


def test_the_chosen_model_answers_under_the_providers_own_name() -> None:
    world = World()
    one = world.model("one", msgspec.structs.replace(PARIS, delay=1.5))
    answered, told = complete(chain(world, one, world.model("two")))
    assert kinds(told) == ["Attempted", "Answered"]
    assert [request.model for request in one.requests] == ["vendor-fast"]
    assert answered.completion.text == "It is Paris."
    assert answered.completion.cost == answered.cost == Money(2.0)
    assert answered.reason == "fast was chosen"
    assert answered.fallbacks == 0
    (call,) = answered.calls
    assert (call.model, call.provider, call.reason, call.at) == ("fast", "one", "chosen", "2026-11-22T14:00:00Z")
    assert (call.input_tokens, call.output_tokens, call.latency, call.error) == (1_000_000, 500_000, 1.5, None)


def test_a_stream_is_the_same_answer_in_pieces() -> None:
    world = World()
    events, error = stream(chain(world, world.model("one", PARIS)))
    assert error is None
    assert "".join(event.text for event in events if isinstance(event, Piece)) == "It is Paris."
    last = events[-1]
    assert isinstance(last, Answered)
    assert last.completion.text == "It is Paris."
    assert last.cost == Money(2.0)


def test_tool_calls_pass_through() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    world = World()
    events, _ = stream(chain(world, world.model("one", Reply(tool_calls=calls, finish_reason="tool_calls"))))
    assert [event.tool_calls for event in events if isinstance(event, Piece)] == [calls]


# -- fallbacks --


def test_providers_of_the_chosen_model_come_before_its_fallback_models() -> None:
    world = World()
    where = routes(
        [Hop("one", "fast", "f1"), Hop("one", "deep", "d1"), Hop("two", "fast", "f2"), Hop("two", "deep", "d2")],
        {"fast": ("deep",), "deep": ("other",), "router": ("nonsense",)},
    )
    assert [hop.name for hop in where.plan("fast")] == ["f1", "f2", "d1", "d2"]
    assert [hop.name for hop in where.plan("deep")] == ["d1", "d2"]
    one = world.model("one", BadRequest("no"), Reply("deep one", usage=Usage(1_000_000, 0)))
    answered, _ = complete(chain(world, one, world.model("two", BadRequest("no")), where=where))
    assert answered.completion.text == "deep one"
    assert answered.hop == Hop("one", "deep", "d1")
    assert answered.fallbacks == 2
    assert [call.model for call in answered.calls] == ["fast", "fast", "deep"]


def test_a_chain_that_names_a_hop_twice_tries_it_once() -> None:
    where = routes([Hop("one", "a", "x"), Hop("one", "b", "y")], {"a": ("b", "a", "b")})
    assert [hop.name for hop in where.plan("a")] == ["x", "y"]


def test_a_cooled_provider_is_passed_over_for_all_its_models() -> None:
    world = World()
    one = world.model("one", OutOfCredit("empty", status=402))
    made = chain(world, one, world.model("two", PARIS, PARIS))
    complete(made)
    answered, told = complete(made)
    assert kinds(told) == ["Skipped", "FellBack", "Attempted", "Answered"]
    skipped = told[0]
    assert isinstance(skipped, Skipped)
    assert "out of credit (status 402)" in skipped.reason
    assert "14:15:00" in skipped.reason
    assert len(one.requests) == 1
    assert answered.fallbacks == 1


def test_when_all_fail_one_error_lists_every_hop_and_its_reason() -> None:
    world = World()
    one = world.model("one", Overloaded("one is down", status=503), repeat=True)
    two = world.model("two", Refused("two refused the key", status=401, hint="check TWO_API_KEY"))
    error, told = fail(chain(world, one, two))
    assert isinstance(error, Refused)
    assert error.exit_code == ExitCode.AUTH
    assert error.status == 401
    assert error.hint == "check TWO_API_KEY"
    assert "fast via one: one is down" in error.message
    assert "fast via two: two refused the key" in error.message
    last = told[-1]
    assert isinstance(last, GaveUp)
    assert [call.error for call in last.calls] == ["upstream"] * 3 + ["auth"]
    assert last.code == "auth"


def test_when_all_are_cooled_the_error_is_that_of_the_cause() -> None:
    world = World()
    made = chain(world, world.model("one", OutOfCredit("empty", status=402)))
    fail(made)
    error, told = fail(made)
    assert kinds(told) == ["Skipped", "GaveUp"]
    assert isinstance(error, OutOfCredit)
    assert error.retry_after == 900
    assert error.hint


def test_a_server_that_is_not_there_is_unreachable_and_cost_nothing() -> None:
    world = World()
    error, told = fail(chain(world, world.model("one", NoConnection("nobody listens"))))
    assert isinstance(error, NoConnection)
    assert error.exit_code == ExitCode.UNREACHABLE
    last = told[-1]
    assert isinstance(last, GaveUp)
    assert last.cost == Money(0.0)


# -- configuration --


def test_without_a_provider_it_says_how_to_configure_one() -> None:
    error, told = fail(chain(World()))
    assert isinstance(error, ConfigError)
    assert error.exit_code == ExitCode.NOT_CONFIGURED
    assert error.hint == "set one of: ONE_API_KEY, TWO_API_KEY"
    assert told == []
    error, _ = fail(Chain({}, Routes({}), key_names={"portkey": "PORTKEY_API_KEY"}))
    assert error.hint == "set one of: PORTKEY_API_KEY"
    error, _ = fail(Chain({}, Routes({})))
    assert "llm.providers" in error.hint


def test_an_unknown_model_is_named_with_the_nearest_known_one() -> None:
    error, _ = fail(chain(World(), World().model("one")), msgspec.structs.replace(ASK, model="fats"))
    assert isinstance(error, ConfigError)
    assert error.hint == "did you mean fast?"


def test_a_provider_without_a_key_is_no_fallback() -> None:
    world = World()
    answered, told = complete(chain(world, world.model("two", PARIS)))
    assert kinds(told) == ["Attempted", "Answered"]
    assert (answered.hop.provider, answered.fallbacks, answered.calls[0].reason) == ("two", 0, "chosen")


def test_a_fallback_model_for_want_of_a_key_is_told() -> None:
    world = World()
    where = routes([Hop("one", "fast", "f"), Hop("two", "deep", "d")], {"fast": ("deep",)})
    answered, told = complete(chain(world, world.model("two", "hello"), where=where))
    assert kinds(told) == ["Skipped", "FellBack", "Attempted", "Answered"]
    assert isinstance(told[0], Skipped)
    assert told[0].reason == "it is not configured (set ONE_API_KEY)"
    assert answered.calls[0].reason == "fallback"


def test_closing_closes_every_provider() -> None:
    world = World()
    one, two = world.model("one"), world.model("two")
    made = chain(world, one, two)
    asyncio.run(made.close())
    asyncio.run(made.close())
    assert (one.closed, two.closed) == (2, 2)


def test_events_and_calls_can_be_written_as_json() -> None:
    world = World()
    _, told = complete(chain(world, world.model("one", Refused("no")), world.model("two", PARIS)))
    written = [msgspec.json.decode(msgspec.json.encode(event)) for event in told]
    assert [event["event"] for event in written] == ["attempted", "fell_back", "attempted", "answered"]
    assert written[1]["from"]["provider"] == "one"


def test_the_estimate_of_tokens_counts_all_that_is_sent() -> None:
    plain = estimate_tokens(ASK)
    assert 8 <= plain <= 20
    picture = Message("user", [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "x"}}])
    assert estimate_tokens(ChatRequest("m", (picture,))) > 1000
    assert estimate_tokens(msgspec.structs.replace(ASK, tools=[{"name": "x" * 700}])) > plain + 150
    assert estimate_tokens(ChatRequest("m", ())) == 1


def test_waiting_is_told() -> None:
    world = World()
    _, told = complete(chain(world, world.model("one", Overloaded("down"), PARIS)))
    assert told[1] == Retrying(TWO.plan("fast")[0], 0.25, "down")
