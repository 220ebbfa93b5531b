"""Portkey's own gateway between our client and an upstream: what it lets through, echoes and breaks."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from sophiactl.llm.base import ChatRequest, Deadlines, Delta, Message
from sophiactl.llm.chain import Chain
from sophiactl.llm.classify import NoConnection
from sophiactl.llm.config import ProviderConfig
from sophiactl.llm.events import Answered, FellBack, Piece
from sophiactl.llm.failures import (
    BadRequest,
    CallFailed,
    ContextTooLong,
    OutOfCredit,
    Overloaded,
    Refused,
    Throttled,
    TooSlow,
)
from sophiactl.llm.hops import Hop, routes
from sophiactl.llm.openai_wire import OpenAIWire
from sophiactl.model import Money, Usage
from sophiactl.testing.upstream import MockUpstream
from tests.chains import PRICES, World
from tests.portkey_gateway import Gateway, node_modules, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sophiactl.llm.events import ChainEvent

pytestmark = pytest.mark.reference

KEY = "sk-upstream-0123456789abcdef"
SECRETS = {"UPSTREAM_KEY": KEY, "PORTKEY_API_KEY": "pk-0123456789abcdef"}
ASK = ChatRequest("vendor-fast", (Message("user", "two words"),), trace_id="run-7", metadata={"tier": "simple"})
TEXT = "".join(MockUpstream().answer())
# Two tokens in and twelve out.
USAGE = Usage(2, 12)
COST = (2 * 1.0 + 12 * 2.0) / 1e6
TWO = routes([Hop("portkey", "fast", "vendor-fast"), Hop("direct", "fast", "vendor-fast")])
PATIENT = Deadlines(first_byte=60)


class Expected(NamedTuple):
    kind: type[CallFailed]
    status: int | None
    again: str
    retry_after: float | None = None


# What the gateway passes on, asked for a whole answer or for a stream.
PASSED_ON = {
    "401": Expected(Refused, 401, "elsewhere"),
    "402": Expected(OutOfCredit, 402, "elsewhere"),
    "403": Expected(Refused, 403, "elsewhere"),
    "400-context": Expected(ContextTooLong, 400, "elsewhere"),
    "403-html": Expected(NoConnection, 403, "elsewhere"),
    "404": Expected(BadRequest, 404, "elsewhere"),
    "429": Expected(Throttled, 429, "here"),
    "429-after": Expected(Throttled, 429, "here", 7.0),
    "429-quota": Expected(OutOfCredit, 429, "elsewhere"),
    "500": Expected(Overloaded, 500, "here"),
    "503-html": Expected(Overloaded, 503, "here"),
    "reset": Expected(Overloaded, 500, "here"),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    base = tmp_path_factory.getbasetemp()
    # Workers share one installation.
    modules = node_modules(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
    with running(modules, tmp_path_factory.mktemp("portkey")) as found:
        yield found


def portkey(gateway: Gateway, upstream: MockUpstream, **fields: Any) -> OpenAIWire:
    own = {"api_key_name": "UPSTREAM_KEY", "portkey_provider": "openai", "custom_host": upstream.base_url}
    settings: dict[str, Any] = {"metadata": {"team": "ops"}, "deadlines": PATIENT} | own | fields
    return OpenAIWire("portkey", ProviderConfig(kind="portkey", base_url=gateway.base_url, **settings), SECRETS)


def ask(gateway: Gateway, act: Callable[[OpenAIWire], Awaitable[Any]], *faults: str, **fields: Any) -> MockUpstream:
    """Let `act` use the gateway; what the upstream behind it has seen."""

    async def main() -> MockUpstream:
        async with MockUpstream() as upstream:
            upstream.queue(*faults)
            model = portkey(gateway, upstream, **fields)
            try:
                await act(model)
            finally:
                await model.close()
            return upstream

    return asyncio.run(main())


def fails(
    gateway: Gateway, *faults: str, stream: bool = False, **fields: Any
) -> tuple[CallFailed, list[Delta], MockUpstream]:
    """The failure of one request, what came before it, and the upstream."""
    deltas: list[Delta] = []
    caught: list[CallFailed] = []

    async def act(model: OpenAIWire) -> None:
        with pytest.raises(CallFailed) as info:
            await (_collect(model, deltas) if stream else model.complete(ASK))
        caught.append(info.value)

    upstream = ask(gateway, act, *faults, **fields)
    return caught[0], deltas, upstream


async def _collect(model: OpenAIWire, deltas: list[Delta]) -> None:
    async for delta in model.stream(ASK):
        deltas.append(delta)  # noqa: PERF401 - what came before an error is wanted too


def in_chain(gateway: Gateway, world: World, *faults: str, stream: bool) -> tuple[Answered, list[ChainEvent], Any]:
    """The answer of a chain of Portkey and, after it, the upstream itself; all events; and the upstream."""

    async def main() -> tuple[list[ChainEvent], MockUpstream]:
        told: list[ChainEvent] = []
        async with MockUpstream() as upstream:
            upstream.queue(*faults)
            direct = ProviderConfig(base_url=upstream.base_url, api_key_name="UPSTREAM_KEY", deadlines=PATIENT)
            models = {"portkey": portkey(gateway, upstream), "direct": OpenAIWire("direct", direct, SECRETS)}
            chain = Chain(models, TWO, prices=PRICES, surroundings=world.surroundings())
            request = ChatRequest("fast", ASK.messages)
            try:
                if stream:
                    told = [event async for event in chain.stream(request)]
                else:
                    told.append(await chain.complete(request, tell=told.append))
            finally:
                await chain.close()
            return told, upstream

    told, upstream = asyncio.run(main())
    last = told[-1]
    assert isinstance(last, Answered)
    return last, told, upstream


def test_a_whole_answer_with_its_usage(gateway: Gateway) -> None:
    async def act(model: OpenAIWire) -> None:
        answer = await model.complete(ASK)
        assert (answer.text, answer.model, answer.provider) == (TEXT, "vendor-fast", "portkey")
        assert (answer.usage, answer.finish_reason) == (USAGE, "stop")
        # The gateway states none.
        assert answer.cost == Money()

    seen = ask(gateway, act).requests
    assert [request.body.keys() for request in seen] == [{"model", "messages"}]


def test_who_gets_which_header(gateway: Gateway) -> None:
    before = len(gateway.headers())
    upstream = ask(gateway, lambda model: model.complete(ASK))
    (sent,) = gateway.headers()[before:]
    assert {name: value for name, value in sent.items() if name.startswith("x-portkey-")} == {
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": upstream.base_url,
        "x-portkey-metadata": '{"team": "ops", "tier": "simple"}',
        "x-portkey-trace-id": "run-7",
    }
    received = {name.lower(): value for name, value in upstream.requests[0].headers.items()}
    assert not [name for name in received if name.startswith("x-portkey")]
    for headers in (sent, received):
        assert [name for name, value in headers.items() if KEY in value] == ["authorization"]
        assert headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", PASSED_ON)
def test_failures_keep_their_meaning(gateway: Gateway, fault: str, stream: bool) -> None:
    failure, deltas, upstream = fails(gateway, fault, stream=stream)
    found = Expected(type(failure), failure.status, failure.again, failure.retry_after)
    assert found == PASSED_ON[fault]
    assert deltas == []
    assert len(upstream.requests) == 1
    assert KEY not in f"{failure} {failure.hint} {failure!r}"


def test_the_key_that_it_tells_is_not_shown(gateway: Gateway) -> None:
    failure, _, _ = fails(gateway, "401")
    # The gateway adds the key to the provider's message.
    assert "Incorrect API key provided (key: [redacted])" in str(failure)
    assert "UPSTREAM_KEY" in str(failure.hint)


@pytest.mark.parametrize("fault", ["bad-body", "truncated"])
def test_an_answer_that_it_cannot_read(gateway: Gateway, fault: str) -> None:
    failure, _, _ = fails(gateway, fault)
    assert (type(failure), failure.status) == (Overloaded, 500)


def test_an_upstream_that_does_not_answer(gateway: Gateway) -> None:
    failure, _, _ = fails(gateway, "slow", deadlines=Deadlines(first_byte=0.3))
    assert type(failure) is TooSlow
    assert "first_byte" in str(failure)


def test_it_must_be_told_where_to_go(gateway: Gateway) -> None:
    # In the form for the hosted one, which a gateway of one's own does not take.
    failure, _, upstream = fails(gateway, portkey_provider="", custom_host="", api_key_name="")
    assert (type(failure), failure.status) == (BadRequest, 400)
    assert "x-portkey-provider" in str(failure)
    assert upstream.requests == []


def test_many_at_once(gateway: Gateway) -> None:
    many = 40

    async def act(model: OpenAIWire) -> None:
        requests = [ChatRequest(f"model-{number}", ASK.messages) for number in range(many)]
        answers = await asyncio.gather(*(model.complete(request) for request in requests))
        assert [answer.model for answer in answers] == [request.model for request in requests]

    assert len(ask(gateway, act).requests) == many


def test_its_streams_fail_before_they_begin(gateway: Gateway) -> None:
    failure, deltas, upstream = fails(gateway, stream=True)
    assert (type(failure), failure.status, failure.text) == (Overloaded, 500, "")
    assert deltas == []
    # The upstream did answer: such a failure may well be billed.
    assert [request.body["stream"] for request in upstream.requests] == [True]


def test_a_chain_answers_through_it_and_knows_the_price(gateway: Gateway) -> None:
    answered, _, upstream = in_chain(gateway, World(), stream=False)
    assert (answered.hop.provider, answered.completion.text, answered.fallbacks) == ("portkey", TEXT, 0)
    assert answered.cost.usd == pytest.approx(COST)
    assert len(upstream.requests) == 1


def test_a_chain_waits_as_long_as_it_is_asked_to(gateway: Gateway) -> None:
    world = World()
    answered, _, _ = in_chain(gateway, world, "429-after", stream=False)
    assert answered.hop.provider == "portkey"
    assert [call.error for call in answered.calls] == ["rate_limited", None]
    (waited,) = world.slept
    # The least is what was asked for, and a little more so that not all come back at once.
    assert 7.0 <= waited <= 7.5


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_chain_leaves_it_at_once_when_the_key_is_refused(gateway: Gateway, stream: bool) -> None:
    world = World()
    answered, told, _ = in_chain(gateway, world, "401", stream=stream)
    assert (answered.hop.provider, answered.completion.text) == ("direct", TEXT)
    assert [call.error for call in answered.calls] == ["auth", None]
    assert world.slept == []
    # A refused call costs nothing.
    assert answered.cost.usd == pytest.approx(COST)
    assert KEY not in repr(told)


def test_a_chain_streams_from_the_next_when_it_cannot(gateway: Gateway) -> None:
    answered, told, upstream = in_chain(gateway, World(), stream=True)
    assert (answered.hop.provider, answered.completion.usage) == ("direct", USAGE)
    assert "".join(event.text for event in told if isinstance(event, Piece)) == TEXT
    (left,) = (event for event in told if isinstance(event, FellBack))
    assert (left.from_.provider, left.to.provider) == ("portkey", "direct")
    *failed, last = answered.calls
    assert failed
    assert {(call.provider, call.error) for call in failed} == {("portkey", "upstream")}
    assert (last.provider, last.error) == ("direct", None)
    assert len(upstream.requests) == len(answered.calls)
    # What the failed ones were billed nobody says, and so nobody knows the sum.
    assert answered.cost == Money()
    assert answered.completion.cost.usd == pytest.approx(COST)
