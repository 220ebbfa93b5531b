"""What every chat model keeps, whoever is behind it: one line in `DOORS` each."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from sophiactl.llm.base import ChatModel, ChatRequest, Completion, Deadlines, Message
from sophiactl.llm.config import ProviderConfig
from sophiactl.llm.extractive import ExtractiveModel
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
from sophiactl.llm.litellm_model import LiteLLMModel
from sophiactl.llm.openai_wire import OpenAIWire
from sophiactl.llm.scripted import Reply, ScriptedModel
from sophiactl.model import Usage
from sophiactl.testing.upstream import MockUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

KEY = "sk-this-is-a-secret-of-this-test"
WORDS = 4
TEXT = "word0 word1 word2 word3 "
PATIENCE = Deadlines(first_byte=2.0, idle=2.0, total=30.0)
QUESTION = "How do I undo a prune?"
SOURCE = f"{QUESTION}\n\n```\nTo undo a prune, run restore. Parsley is green.\n```\n"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Zürich"}'}}

# A failure's class by the name of the mock's fault; scripted ones raise it as it is.
FAULTS: dict[str, type[CallFailed]] = {
    "401": Refused,
    "402": OutOfCredit,
    "403": Refused,
    "400-credit": OutOfCredit,
    "400-context": ContextTooLong,
    "400-filter": Filtered,
    "404": BadRequest,
    "429": Throttled,
    "429-after": Throttled,
    "429-quota": OutOfCredit,
    "500": Overloaded,
    "503-html": Overloaded,
    "reset": Broken,
    "slow": TooSlow,
}
LATER: dict[str, type[CallFailed]] = {"reset-later": Broken, "truncated": Broken, "stall": TooSlow, "bad-event": Broken}


class Door(NamedTuple):
    """A model, a way to say what its next requests meet, and one to see whether the upstream was cut."""

    model: ChatModel
    name: str
    meet: Callable[[str], None]
    cut: Callable[[], Awaitable[None]]


@asynccontextmanager
async def _scripted() -> AsyncIterator[Door]:
    model = ScriptedModel("mock", [])

    def meet(what: str) -> None:
        good = Reply(TEXT, usage=Usage(1, WORDS))
        kinds = FAULTS | LATER
        failure = kinds[what](what, retry_after=7.0 if what == "429-after" else None) if what in kinds else None
        if what == "tool":
            good = Reply(tool_calls=[TOOL_CALL], finish_reason="tool_calls", usage=Usage(1, WORDS))
        if failure is not None and what in LATER:
            good = Reply(pieces=("word0 ", "word1 "), failure=failure)
        elif failure is not None:
            good = Reply(failure=failure)
        model._script.append(Reply(TEXT) if what == "no-usage" else good)

    async def cut() -> None:
        assert model.cut == 1

    yield Door(model, "mock", meet, cut)


@asynccontextmanager
async def _upstream(make: Callable[[str], ChatModel], name: str) -> AsyncIterator[Door]:
    async with MockUpstream(words=WORDS, key=KEY) as upstream:
        model = make(upstream.base_url)

        def meet(what: str) -> None:
            upstream.queue("ok" if what == "tool" else what)
            upstream.interval = 0.02 if what == "ok" else 0.0

        async def cut() -> None:
            await asyncio.wait_for(upstream.requests[-1].cut.wait(), 5)

        try:
            yield Door(model, name, meet, cut)
        finally:
            await model.close()


def _wire(url: str) -> ChatModel:
    config = ProviderConfig(base_url=url, api_key_name="MOCK_KEY", deadlines=PATIENCE)
    return OpenAIWire("mock", config, {"MOCK_KEY": KEY})


def _litellm(url: str) -> ChatModel:
    return LiteLLMModel("mock", api_key=KEY, base_url=url, deadlines=PATIENCE)


DOORS: dict[str, Callable[[], Any]] = {
    "scripted": _scripted,
    "openai-wire": lambda: _upstream(_wire, "mock"),
    "litellm": lambda: _upstream(_litellm, "openai/mock"),
}


@pytest.fixture(params=sorted(DOORS))
def door(request: pytest.FixtureRequest) -> Callable[[], Any]:
    if request.param == "litellm" and find_spec("litellm") is None:
        pytest.skip("litellm is not installed: pip install 'sophiactl[llm]'")
    return DOORS[request.param]


def ask(door: Door, **changes: Any) -> ChatRequest:
    return ChatRequest(door.name, (Message("user", "hello"),), **changes)


async def whole(model: ChatModel, request: ChatRequest) -> tuple[str, list[Any], Completion]:
    """The joined text of a stream, its tool pieces, and its last word."""
    deltas = [delta async for delta in model.stream(request)]
    final = deltas[-1].final
    assert final is not None
    assert all(delta.final is None for delta in deltas[:-1])
    tools = [call for delta in deltas for call in delta.tool_calls or ()]
    return "".join(delta.text for delta in deltas), tools, final


def test_it_keeps_the_protocol(door: Callable[[], Any]) -> None:
    async def run() -> None:
        async with door() as given:
            assert isinstance(given.model, ChatModel)
            assert given.model.provider == "mock"

    asyncio.run(run())


def test_a_stream_joins_to_what_complete_answers(door: Callable[[], Any]) -> None:
    async def run() -> None:
        async with door() as given:
            given.meet("ok")
            given.meet("ok")
            answer = await given.model.complete(ask(given))
            text, _, final = await whole(given.model, ask(given))
            assert answer.text == text == final.text == TEXT
            for end in (answer, final):
                assert end.finish_reason == "stop"
                assert end.provider == "mock"
                assert end.model == "mock"
                assert (end.usage.input_tokens, end.usage.output_tokens) == (1, WORDS)
                assert end.cost.usd is None
                assert end.latency >= 0
                assert end.response_id
            assert final.first_token is not None
            assert 0 <= final.first_token <= final.latency

    asyncio.run(run())


def test_tool_calls_come_whole_at_the_end(door: Callable[[], Any]) -> None:
    async def run() -> None:
        async with door() as given:
            given.meet("tool")
            given.meet("tool")
            answer = await given.model.complete(ask(given, tools=[TOOL]))
            _, pieces, final = await whole(given.model, ask(given, tools=[TOOL]))
            assert pieces
            for end in (answer, final):
                assert end.finish_reason == "tool_calls"
                assert end.tool_calls is not None
                (call,) = end.tool_calls
                assert call["id"] == "call_1"
                assert call["function"] == TOOL_CALL["function"]

    asyncio.run(run())


def test_tokens_that_nobody_counted_are_unknown(door: Callable[[], Any]) -> None:
    async def run() -> None:
        async with door() as given:
            given.meet("no-usage")
            given.meet("no-usage")
            answer = await given.model.complete(ask(given))
            _, _, final = await whole(given.model, ask(given))
            assert answer.usage == final.usage == Usage()

    asyncio.run(run())


@pytest.mark.parametrize("streaming", [False, True], ids=["complete", "stream"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_failure_is_of_its_class_and_shows_no_key(door: Callable[[], Any], fault: str, streaming: bool) -> None:
    async def run() -> CallFailed:
        async with door() as given:
            given.meet(fault)
            with pytest.raises(CallFailed) as caught:
                await (whole(given.model, ask(given)) if streaming else given.model.complete(ask(given)))
            return caught.value

    failure = asyncio.run(run())
    assert type(failure) is FAULTS[fault]
    assert KEY not in f"{failure} {failure.hint}"
    assert failure.text == ""
    assert failure.retry_after == (7.0 if fault == "429-after" else None)


@pytest.mark.parametrize("fault", sorted(LATER))
def test_a_stream_that_breaks_tells_what_had_arrived(door: Callable[[], Any], fault: str) -> None:
    async def run() -> tuple[str, CallFailed | None]:
        text = ""
        async with door() as given:
            given.meet(fault)
            try:
                async for delta in given.model.stream(ask(given)):
                    text += delta.text
                    assert delta.final is None
            except CallFailed as failure:
                return text, failure
        return text, None

    text, failure = asyncio.run(run())
    assert type(failure) is LATER[fault]
    assert text == "word0 word1 "
    assert failure is not None
    assert failure.text in {text, ""}


def test_leaving_a_stream_cuts_the_upstream(door: Callable[[], Any]) -> None:
    async def run() -> None:
        async with door() as given:
            given.meet("ok")
            async with aclosing(given.model.stream(ask(given))) as deltas:
                async for delta in deltas:
                    if delta.text:
                        break
            await given.cut()

    asyncio.run(run())


def test_closing_twice_is_safe_and_ends_nothing_for_ever(door: Callable[[], Any]) -> None:
    async def run() -> None:
        async with door() as given:
            await given.model.close()
            given.meet("ok")
            await given.model.complete(ask(given))
            await given.model.close()
            await given.model.close()
            given.meet("ok")
            assert (await given.model.complete(ask(given))).text == TEXT

    asyncio.run(run())


def test_many_at_once_do_not_mix(door: Callable[[], Any]) -> None:
    async def run() -> None:
        async with door() as given:
            for _ in range(8):
                given.meet("ok")
            answers = await asyncio.gather(*[given.model.complete(ask(given)) for _ in range(8)])
            assert [answer.text for answer in answers] == [TEXT] * 8

    asyncio.run(run())


def test_without_a_model_it_quotes_and_says_so() -> None:
    async def run() -> None:
        model = ExtractiveModel()
        assert isinstance(model, ChatModel)
        request = ChatRequest("any", (Message("system", "Quote."), Message("user", SOURCE)))
        answer = await model.complete(request)
        text, _, final = await whole(model, request)
        assert answer.text == text == "To undo a prune, run restore."
        assert answer == final
        assert (answer.model, answer.provider, answer.usage) == ("extractive", "extractive", Usage())
        await model.close()
        await model.close()

    asyncio.run(run())


@pytest.mark.parametrize("text", ["", QUESTION, f"{QUESTION}\n```\nParsley is green.\n```\n", "```\nno end"])
def test_without_a_model_and_anything_to_quote_it_refuses(text: str) -> None:
    async def run() -> None:
        await ExtractiveModel().complete(ChatRequest("any", (Message("user", text),)))

    with pytest.raises(BadRequest, match="no model is configured") as caught:
        asyncio.run(run())
    assert caught.value.hint
