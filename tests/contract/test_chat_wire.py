"""The adapter for OpenAI's wire against a server on loopback; and that server against OpenAI's own client."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import ConfigError
from sophiactl.llm.base import ChatModel, ChatRequest, Deadlines, Delta, Message
from sophiactl.llm.config import ProviderConfig
from sophiactl.llm.failures import BadRequest, Broken, CallFailed
from sophiactl.llm.openai_wire import Limits, OpenAIWire
from sophiactl.llm.session import HttpSession, target
from sophiactl.model import Money, Usage
from sophiactl.testing.upstream import MockUpstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Body = Callable[[MockUpstream], Awaitable[None]]

KEYS = {"KEY": "sk-test-0123456789abcdef", "PORTKEY_API_KEY": "pk-1", "VK": "vk-1", "OPENROUTER_API_KEY": "or-1"}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def _model(
    upstream: MockUpstream, *, session: HttpSession | None = None, limits: Any = None, **fields: Any
) -> OpenAIWire:
    config = ProviderConfig(**{"base_url": upstream.base_url, "api_key_name": "KEY"} | fields)
    return OpenAIWire("mock", config, KEYS, session=session, limits=limits)


def _request(**fields: Any) -> ChatRequest:
    return ChatRequest(**{"model": "mock", "messages": (Message("user", "two words"),)} | fields)


async def _all(model: OpenAIWire, request: ChatRequest) -> list[Delta]:
    return [delta async for delta in model.stream(request)]


def _run(body: Body, **options: Any) -> None:
    async def main() -> None:
        async with MockUpstream(**options) as upstream:
            await body(upstream)

    asyncio.run(main())


def test_it_is_a_chat_model() -> None:
    assert isinstance(OpenAIWire("local", ProviderConfig(base_url="http://localhost:1/v1"), {}), ChatModel)


def test_a_whole_answer() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream)
        answer = await model.complete(_request(temperature=0.5, stop=("END",), max_tokens=9, extra={"top_k": 3}))
        await model.close()
        assert answer.text == "".join(upstream.answer())
        assert (answer.model, answer.provider, answer.finish_reason) == ("mock", "mock", "stop")
        assert (answer.usage, answer.cost) == (Usage(2, 12), Money(None))
        assert answer.latency > 0
        (seen,) = upstream.requests
        assert seen.path == "/v1/chat/completions"
        assert seen.body == {
            "model": "mock",
            "messages": [{"role": "user", "content": "two words"}],
            "temperature": 0.5,
            "stop": ["END"],
            "max_tokens": 9,
            "top_k": 3,
        }
        assert seen.headers["Authorization"] == f"Bearer {KEYS['KEY']}"
        assert seen.headers["Content-Type"] == "application/json"

    _run(body)


def test_a_streamed_answer() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream)
        *pieces, last = await _all(model, _request())
        await model.close()
        assert [piece.text for piece in pieces] == upstream.answer()
        assert all(piece.final is None for piece in pieces)
        assert last.final is not None
        assert last.final.text == "".join(upstream.answer())
        assert (last.final.usage, last.final.finish_reason) == (Usage(2, 12), "stop")
        assert last.final.first_token is not None
        assert 0 < last.final.first_token <= last.final.latency
        assert upstream.requests[0].body["stream_options"] == {"include_usage": True}
        assert upstream.requests[0].done
        assert upstream.tokens == 12

    _run(body)


def test_pieces_come_as_they_are_sent() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream)
        async with aclosing(model.stream(_request())) as stream:
            first = await anext(stream)
            assert first.text == "word0 "
            assert not upstream.requests[0].done
        await model.close()

    _run(body, words=200, interval=0.005)


def test_tool_calls() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream)
        answer = await model.complete(_request(tools=[TOOL]))
        deltas = await _all(model, _request(tools=[TOOL]))
        await model.close()
        final = deltas[-1].final
        assert final is not None
        assert answer.tool_calls == final.tool_calls
        assert final.tool_calls is not None
        assert final.tool_calls[0]["function"] == {"name": "weather", "arguments": '{"city": "Zürich"}'}
        assert answer.finish_reason == final.finish_reason == "tool_calls"
        assert len(deltas) > 3

    _run(body)


def test_portkey() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream, kind="portkey", api_key_name="", virtual_key_name="VK", metadata={"team": "ops"})
        await model.complete(_request(trace_id="run-1", metadata={"tier": "simple"}))
        await model.close()
        sent = {name.lower(): value for name, value in upstream.requests[0].headers.items()}
        assert sent["x-portkey-api-key"] == "pk-1"
        assert sent["x-portkey-virtual-key"] == "vk-1"
        assert sent["x-portkey-trace-id"] == "run-1"
        assert sent["x-portkey-metadata"] == '{"team": "ops", "tier": "simple"}'
        assert "authorization" not in sent
        assert upstream.requests[0].body.keys() == {"model", "messages"}

    _run(body)


def test_openrouter_reports_its_cost() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream, kind="openrouter", api_key_name="", title="sophiactl")
        request = _request(extra={"models": ["a", "b"], "provider": {"sort": "price"}})
        answer = await model.complete(request)
        final = (await _all(model, request))[-1].final
        await model.close()
        assert final is not None
        assert answer.cost == final.cost
        assert answer.cost.usd == pytest.approx(14e-6)
        for seen in upstream.requests:
            assert seen.body["usage"] == {"include": True}
            assert (seen.body["models"], seen.body["provider"]) == (["a", "b"], {"sort": "price"})
            assert seen.headers["X-Title"] == "sophiactl"

    _run(body)


def test_a_local_server_needs_no_key() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream, api_key_name="")
        assert (await model.complete(_request(model="mock!no-usage"))).usage == Usage()
        await model.close()
        assert "Authorization" not in upstream.requests[0].headers

    _run(body)


def test_many_requests_share_their_connections() -> None:
    async def body(upstream: MockUpstream) -> None:
        session = HttpSession(limit=4)
        first, second = _model(upstream, session=session), _model(upstream, session=session)
        answers = await asyncio.gather(*(model.complete(_request()) for model in (first, second) for _ in range(20)))
        assert {answer.text for answer in answers} == {"".join(upstream.answer())}
        await first.close()
        for _ in range(3):
            await _all(second, _request())
        assert len({seen.peer for seen in upstream.requests}) <= 4
        await session.close()
        await session.close()

    _run(body)


def test_one_model_in_one_event_loop_after_the_other(recwarn: pytest.WarningsRecorder) -> None:
    model = OpenAIWire("mock", ProviderConfig(base_url="http://127.0.0.1:9/v1"), {})

    async def body(upstream: MockUpstream) -> None:
        model._whole_at = target(f"{upstream.base_url}/chat/completions", {})
        await model.complete(_request())

    for _ in range(2):
        _run(body)
    asyncio.run(model.close())
    gc.collect()
    assert not [str(warning.message) for warning in recwarn if "aiohttp" in str(warning.message)]


def test_a_missing_key_is_said_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError, match="router needs OPENROUTER_API_KEY"):
        OpenAIWire("router", ProviderConfig(kind="openrouter"), {})


@pytest.mark.parametrize(
    "request_",
    [
        _request(extra={"x": object()}),
        _request(user="a\ud800b"),
        _request(messages=(Message("user", "a\ud800b"),)),
    ],
    ids=["object", "surrogate", "prompt"],
)
def test_a_request_that_is_no_json(request_: ChatRequest) -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream)
        with pytest.raises(BadRequest):
            await model.complete(request_)
        with pytest.raises(BadRequest):
            await _all(model, request_)
        assert upstream.requests == []
        await model.close()

    _run(body)


@pytest.mark.parametrize("text", ["", "x" * (1 << 20), "\0\x01\x02", "\u200b" * 1000])
def test_strange_prompts_arrive_as_they_are(text: str) -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream)
        await model.complete(_request(messages=(Message("user", text),)))
        await model.close()
        assert upstream.requests[0].body["messages"][0]["content"] == text

    _run(body)


# Leaving early


def _leaving(leave: Callable[[OpenAIWire], Awaitable[None]], **options: Any) -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream)
        await leave(model)
        left = time.monotonic()
        await asyncio.wait_for(upstream.requests[0].cut.wait(), 2)
        assert time.monotonic() - left < 0.1
        assert upstream.tokens < upstream.words
        await model.close()

    _run(body, **options)


def test_closing_the_iterator_cuts_the_upstream() -> None:
    async def leave(model: OpenAIWire) -> None:
        stream = model.stream(_request())
        await anext(stream)
        await stream.aclose()

    _leaving(leave, words=10_000, interval=0.005)


def test_breaking_out_of_the_loop_cuts_the_upstream() -> None:
    async def leave(model: OpenAIWire) -> None:
        async for _ in model.stream(_request()):
            break

    _leaving(leave, words=10_000, interval=0.005)


@pytest.mark.parametrize("fault", ["slow", "silent", "stall", "ok"])
@pytest.mark.parametrize("streaming", [True, False])
def test_cancelling_cuts_the_upstream(fault: str, streaming: bool) -> None:
    async def leave(model: OpenAIWire) -> None:
        request = _request(model=f"mock!{fault}")
        call: Any = _all(model, request) if streaming else model.complete(request)
        task = asyncio.create_task(call)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    if fault != "ok" or streaming:  # a whole answer that is good has come by then
        _leaving(leave, words=10_000, interval=0.005)


# Limits


def test_an_answer_larger_than_the_limit() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream, limits=Limits(answer=1000, event=1000))
        with pytest.raises(Broken, match="more than"):
            await model.complete(_request())
        with pytest.raises(Broken, match="more than") as caught:
            await _all(model, _request())
        assert caught.value.text.startswith("word0 word1 ")
        await model.close()

    _run(body, words=500)


def test_the_caller_may_take_its_time() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream, deadlines=Deadlines(first_byte=0.3, idle=0.1))
        async with aclosing(model.stream(_request())) as stream:
            text = ""
            async for delta in stream:
                text += delta.text
                if len(text) < 10:
                    await asyncio.sleep(0.2)
        assert text == "".join(upstream.answer())
        await model.close()

    _run(body)


# The server is no invention of ours: OpenAI's client gets the same from it.


def test_openais_own_client() -> None:
    openai = pytest.importorskip("openai", reason="the openai package is not installed")

    async def body(upstream: MockUpstream) -> None:
        async with openai.AsyncOpenAI(base_url=upstream.base_url, api_key="sk-test", max_retries=0) as client:
            ask = {"model": "mock", "messages": [{"role": "user", "content": "two words"}]}
            answer = await client.chat.completions.create(**ask)
            assert answer.choices[0].message.content == "".join(upstream.answer())
            assert answer.usage.completion_tokens == 12
            options = {"include_usage": True}
            chunks = [c async for c in await client.chat.completions.create(**ask, stream=True, stream_options=options)]
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            assert text == "".join(upstream.answer())
            assert chunks[-1].usage.completion_tokens == 12
            answer = await client.chat.completions.create(**ask, tools=[TOOL])
            assert answer.choices[0].message.tool_calls[0].function.arguments == '{"city": "Zürich"}'
            for fault, kind in {
                "401": openai.AuthenticationError,
                "403": openai.PermissionDeniedError,
                "404": openai.NotFoundError,
                "429-after": openai.RateLimitError,
                "500": openai.InternalServerError,
                "503-html": openai.InternalServerError,
                "reset": openai.APIConnectionError,
            }.items():
                with pytest.raises(kind):
                    await client.chat.completions.create(**ask | {"model": f"mock!{fault}"})
            with pytest.raises(openai.APIError, match="Provider returned error"):
                _ = [
                    c async for c in await client.chat.completions.create(**ask | {"model": "m!error-200"}, stream=True)
                ]

    _run(body)


def test_the_server_names_its_faults() -> None:
    with pytest.raises(ValueError, match="no such fault: 418"):
        MockUpstream().queue("418")


def test_the_server_checks_its_key() -> None:
    async def body(upstream: MockUpstream) -> None:
        model = _model(upstream)
        with pytest.raises(CallFailed) as caught:
            await model.complete(_request())
        assert caught.value.status == 401
        await model.close()

    _run(body, key="another")
