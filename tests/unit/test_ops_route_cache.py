"""`route --execute` with the cache of answers: what is given again, and what is asked anew."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.errors import ConfigError, ExitCode
from sophiactl.llm.config import ProviderConfig
from sophiactl.llm.events import Piece
from sophiactl.llm.failures import OutOfCredit, Overloaded
from sophiactl.llm.hops import ChainConfig
from sophiactl.llm.prices import Price, PricesConfig
from sophiactl.llm.retries import RetryConfig
from sophiactl.llm.scripted import Reply, ScriptedModel
from sophiactl.llm.setup import LlmConfig, ProvidersConfig
from sophiactl.model import Money, Usage
from sophiactl.ops.execute import Decided, Executed, Warned, execute, question
from sophiactl.ops.repeats import answer_key
from sophiactl.ops.route import timed
from sophiactl.routing.artifact import save
from sophiactl.routing.base import RouteRequest
from sophiactl.routing.config import CacheConfig, EscalationConfig, RoutingConfig, TierModels
from sophiactl.routing.prior import prior
from sophiactl.runs.answers import FILE
from sophiactl.runs.base import Run, RunFilter, RunsConfig
from sophiactl.wiring import Wiring
from tests.unit.conftest import NOON

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from sophiactl.llm.base import ChatModel
    from sophiactl.ops.execute import ExecuteEvent

    MakeWiring = Callable[..., Wiring]

MODELS = ("small", "middle", "large", "peer", "judge")
TOKENS = Usage(100, 100)
PROMPT = "What is 17 + 25?"
ROUTING = RoutingConfig(
    tiers=TierModels(simple=("small",), balanced=("middle",), premium=("large",)),
    balanced_from=0.99,  # everything is simple
    premium_from=1.0,
    escalation=EscalationConfig(enabled=False),
    cache=CacheConfig(enabled=True),
)
SECTIONS: dict[str, msgspec.Struct] = {
    "routing": ROUTING,
    "runs": RunsConfig(store_text=True),
    "llm": LlmConfig(
        order=("portkey", "local"),
        providers=ProvidersConfig(
            local=ProviderConfig(base_url="http://127.0.0.1:1/v1", models={name: name for name in MODELS})
        ),
        chain=ChainConfig(retry=RetryConfig(most=0), fallbacks={"small": ("middle",)}),
    ),
    "prices": PricesConfig(
        own={
            name: Price(input=price, output=price, context_window=10_000, as_of="2026-11-22", source="a test")
            for name, price in (("small", 1.0), ("middle", 10.0), ("large", 100.0))
        }
    ),
}


class World:
    """One home; each request gets a new wiring on it, as each call of the program does."""

    def __init__(self, make: MakeWiring) -> None:
        self._make = make
        self.script: list[Any] = []
        self.asked = 0
        self.events: list[ExecuteEvent] = []
        self.now: datetime = NOON

    def answer(self, request: RouteRequest | str = PROMPT, *script: Any, **changed: Any) -> Executed:
        """Ask with this script; `changed` are settings of routing, or whole sections."""
        request = RouteRequest(request) if isinstance(request, str) else request
        model = ScriptedModel("portkey", script or [Reply("It is 42.", usage=TOKENS)])
        wiring = self.wiring({"portkey": model}, **changed)
        self.asked, self.events = 0, []
        try:
            asyncio.run(self._run(request, wiring))
        finally:
            self.asked = len(model.requests)
        final = self.events[-1]
        assert isinstance(final, Executed)
        return final

    def wiring(self, providers: dict[str, ChatModel], **changed: Any) -> Wiring:
        sections = {**SECTIONS, **{name: value for name, value in changed.items() if name in SECTIONS}}
        routing = {name: value for name, value in changed.items() if name not in SECTIONS}
        sections["routing"] = msgspec.structs.replace(sections["routing"], **routing)
        wiring = self._make(providers, **sections)
        return Wiring(wiring.settings, wiring.paths, env={}, clock=lambda: self.now, providers=providers)

    async def _run(self, request: RouteRequest, wiring: Wiring) -> None:
        self.events.extend([event async for event in execute(request, wiring)])

    def runs(self) -> list[Run]:
        with closing(self.wiring({}).models.ledger()) as ledger:
            return list(ledger.scan(RunFilter()))

    def holds_a_file(self) -> bool:
        return (self.wiring({}).paths.state / FILE).exists()


@pytest.fixture
def world(make_wiring: MakeWiring) -> World:
    return World(make_wiring)


def test_the_same_prompt_asks_no_model_a_second_time(world: World) -> None:
    first = world.answer()
    assert world.asked == 1
    again = world.answer()
    assert world.asked == 0
    assert [type(event) for event in world.events] == [Decided, Piece, Executed]
    assert (again.text, again.model, again.provider) == (first.text, "small", "portkey")
    assert (again.reason, again.cost, again.usage, again.calls) == ("cache", Money(0.0), Usage(0, 0, 0, 0), ())
    assert again.run != first.run


def test_a_hit_is_in_the_ledger_as_a_run_without_calls(world: World) -> None:
    world.answer()
    world.answer()
    asked, hit = sorted(world.runs(), key=lambda run: len(run.calls), reverse=True)
    assert (len(asked.calls), asked.details) == (1, {})
    assert (hit.calls, hit.details, hit.cost, hit.premium_cost) == ((), {"cache": "hit"}, 0.0, None)
    assert (hit.model, hit.provider, hit.answer, hit.error) == ("small", "portkey", "It is 42.", None)
    assert hit.command == "route --execute"


def test_a_hit_needs_no_provider_to_answer(world: World) -> None:
    world.answer()
    failing = Overloaded("upstream is down", status=503)
    assert world.answer(PROMPT, failing).reason == "cache"


def test_line_ends_and_blanks_around_it_make_no_other_prompt(world: World) -> None:
    world.answer("one\ntwo")
    assert world.answer("  one\r\ntwo\n").reason == "cache"


def test_it_is_off_unless_switched_on(world: World) -> None:
    for _ in range(2):
        world.answer(cache=CacheConfig())
        assert world.asked == 1
    assert not world.holds_a_file()


@pytest.mark.parametrize(
    "other",
    [
        RouteRequest("What is 17 + 26?"),
        RouteRequest(PROMPT, max_output=5),
        RouteRequest(PROMPT, max_cost=1.0),
        RouteRequest(PROMPT, deny=("large",)),
        RouteRequest(PROMPT, allow=("small",)),
        RouteRequest(PROMPT, context={"multi_step": "true"}),
        RouteRequest(PROMPT, session="s"),
    ],
)
def test_another_request_is_asked_anew(world: World, other: RouteRequest) -> None:
    world.answer()
    world.answer(other)
    assert world.asked == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"tiers": TierModels(simple=("small",), balanced=("middle",), premium=("middle",))},
        {"balanced_from": 0.98},
        {"escalation": EscalationConfig(enabled=False, threshold=0.4)},
        {"escalation": EscalationConfig()},
        {"deny": ("middle",)},
        {"max_cost": 5.0},
        {"llm": LlmConfig(order=("local", "portkey"), chain=ChainConfig(fallbacks={"small": ("middle",)}))},
        {"llm": msgspec.structs.replace(SECTIONS["llm"], chain=ChainConfig())},
        {"llm": msgspec.structs.replace(SECTIONS["llm"], providers=ProvidersConfig())},
        {"prices": PricesConfig(own={"large": Price(context_window=1, as_of="2026-11-22", source="a test")})},
    ],
)
def test_other_settings_are_asked_anew(world: World, changed: dict[str, Any]) -> None:
    world.answer()
    world.answer(PROMPT, **changed)
    assert world.asked == 1
    world.answer()
    assert world.asked == 0


def test_settings_that_shape_no_answer_change_nothing(world: World) -> None:
    world.answer()
    assert world.answer(cache=CacheConfig(enabled=True, hours=48.0), sticky_minutes=1.0).reason == "cache"


def test_a_router_that_was_trained_anew_under_the_same_name_is_asked_anew(world: World, tmp_path: Path) -> None:
    trained = prior()
    for bias, asked in ((0.0, 1), (0.0, 0), (0.001, 1)):
        header = msgspec.structs.replace(trained.header, bias=trained.header.bias + bias)
        save(msgspec.structs.replace(trained, header=header), tmp_path / "own.route")
        world.answer(artifact=str(tmp_path / "own.route"))
        assert world.asked == asked


def test_an_answer_that_is_too_old_is_asked_anew(world: World) -> None:
    world.answer()
    world.now = NOON + timedelta(hours=24)
    world.answer()
    assert world.asked == 1


def test_answers_are_not_held_for_longer_than_runs(world: World) -> None:
    kept: dict[str, Any] = {
        "runs": RunsConfig(store_text=True, keep_days=1),
        "cache": CacheConfig(enabled=True, hours=100.0),
    }
    world.answer(**kept)
    world.now = NOON + timedelta(hours=30)
    world.answer(**kept)
    assert world.asked == 1


def test_without_store_text_it_is_refused_before_anything_is_asked(world: World) -> None:
    with pytest.raises(ConfigError, match=r"routing\.cache\.enabled.*runs\.store_text") as caught:
        world.answer(runs=RunsConfig())
    assert caught.value.exit_code is ExitCode.NOT_CONFIGURED
    assert "runs.store_text" in (caught.value.hint or "")
    assert (world.asked, world.holds_a_file()) == (0, False)


def test_a_conversation_is_never_repeated_nor_kept(world: World) -> None:
    for _ in range(2):
        world.answer(RouteRequest(PROMPT, session="s"))
        assert world.asked == 1
    world.answer()
    assert world.asked == 1


def test_tools_are_never_repeated(world: World) -> None:
    able = PricesConfig(own={"small": Price(tools=True, as_of="2026-11-22", source="a test")})
    for _ in range(2):
        world.answer(RouteRequest(PROMPT, needs=("tools",)), prices=able)
        assert world.asked == 1


def test_a_prompt_with_half_a_surrogate_pair_is_not_taken_for_its_escape(world: World) -> None:
    wiring, request = world.wiring({}), RouteRequest("What is \ud800?")
    decision, _ = timed(request, wiring, None)
    assert answer_key(request, question(request, decision.model), decision, wiring) is None


@pytest.mark.parametrize(
    "reply",
    [
        Reply("It is 4", usage=TOKENS, finish_reason="length"),
        Reply("I may not", usage=TOKENS, finish_reason="content_filter"),
        Reply("Who knows why it ended", usage=TOKENS, finish_reason=None),
        Reply("  ", usage=TOKENS),
        Reply("Look", usage=TOKENS, tool_calls=[{"id": "1"}]),
    ],
)
def test_an_answer_that_is_not_whole_is_not_kept(world: World, reply: Reply) -> None:
    world.answer(PROMPT, reply)
    assert world.answer().text == "It is 42."
    assert world.asked == 1


def test_a_failure_is_not_kept(world: World) -> None:
    with pytest.raises(OutOfCredit):
        world.answer(PROMPT, OutOfCredit("no credit", status=402), OutOfCredit("no credit", status=402))
    world.answer()
    assert world.asked == 1


def test_the_answer_of_a_fallback_model_is_not_kept(world: World) -> None:
    fell = world.answer(PROMPT, Overloaded("upstream is down", status=503), Reply("It is 42.", usage=TOKENS))
    assert (fell.model, fell.fallbacks) == ("middle", 1)
    assert world.answer().model == "small"
    assert world.asked == 1


class TestEscalation:
    CHEAP, OTHER = Reply("The answer is 42.", usage=TOKENS), Reply("The answer is 43.", usage=TOKENS)
    STRONG = Reply("It is 42, surely.", usage=TOKENS)
    PEER = EscalationConfig(peer="peer")

    def test_an_answer_that_was_checked_is_kept(self, world: World) -> None:
        world.answer(PROMPT, self.CHEAP, self.CHEAP, escalation=self.PEER)
        assert world.answer(escalation=self.PEER).reason == "cache"

    def test_the_answer_of_the_strong_model_is_kept_under_its_name(self, world: World) -> None:
        world.answer(PROMPT, self.CHEAP, self.OTHER, self.STRONG, escalation=self.PEER)
        again = world.answer(escalation=self.PEER)
        assert (again.reason, again.model, again.text, again.escalated) == ("cache", "large", self.STRONG.text, False)
        assert again.decision.model == "small"

    def test_an_answer_that_could_not_be_checked_is_not_kept(self, world: World) -> None:
        failed = OutOfCredit("no credit", status=402)
        for second in (self.PEER, EscalationConfig(judge="judge")):
            world.answer(PROMPT, self.CHEAP, failed, failed, self.CHEAP, escalation=second)
            world.answer(PROMPT, self.CHEAP, self.CHEAP, self.CHEAP, escalation=second)
            assert world.asked > 0


def test_a_damaged_cache_is_a_warning_and_no_error(world: World) -> None:
    world.answer()
    (world.wiring({}).paths.state / FILE).write_bytes(b"no database at all" * 300)
    assert world.answer().text == "It is 42."
    assert world.asked == 1
    (warned,) = [event for event in world.events if isinstance(event, Warned)]
    assert "damaged" in warned.message
    assert world.answer().reason == "cache"


def test_a_cache_that_cannot_be_written_is_a_warning_and_no_error(world: World) -> None:
    (world.wiring({}).paths.state / FILE).mkdir(parents=True)
    assert world.answer().text == "It is 42."
    assert len([event for event in world.events if isinstance(event, Warned)]) == 1
