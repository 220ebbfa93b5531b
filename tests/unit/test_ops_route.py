"""`route` and `route --execute` on the real router, the real ledger and scripted models."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import ConfigError, DiskFull, ExitCode, RateLimited, UsageError
from sophiactl.llm.budget import BudgetConfig
from sophiactl.llm.config import ProviderConfig
from sophiactl.llm.events import Piece
from sophiactl.llm.failures import OutOfCredit, Overloaded, Refused
from sophiactl.llm.hops import ChainConfig
from sophiactl.llm.prices import Price, PricesConfig
from sophiactl.llm.retries import RetryConfig
from sophiactl.llm.scripted import Reply, ScriptedModel
from sophiactl.llm.setup import LlmConfig, ProvidersConfig
from sophiactl.model import Usage
from sophiactl.ops.execute import Decided, Escalated, Executed, Warned, execute
from sophiactl.ops.route import route
from sophiactl.routing.base import RouteRequest
from sophiactl.routing.config import EscalationConfig, RoutingConfig, TierModels
from sophiactl.runs.base import RunFilter, RunsConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sophiactl.llm.base import ChatModel
    from sophiactl.ops.execute import ExecuteEvent
    from sophiactl.runs.base import Run
    from sophiactl.wiring import Wiring

    MakeWiring = Callable[..., Wiring]

PRICES = PricesConfig(
    own={
        name: Price(
            input=price, output=price, context_window=window, vision=vision, as_of="2026-11-22", source="a test"
        )
        for name, price, window, vision in (
            ("small", 1.0, 1_000, False),
            ("middle", 10.0, 100_000, False),
            ("large", 100.0, 100_000, True),
        )
    }
)
TOKENS = Usage(100, 100)
EASY, HARD = "Hi there", "Prove step by step that the sequence a_n = (1 + 1/n)^n converges, and derive its limit."
PLAIN = RoutingConfig(
    tiers=TierModels(simple=("small",), balanced=("middle",), premium=("large",)),
    escalation=EscalationConfig(enabled=False),
)


def names(*models: str) -> dict[str, str]:
    return {model: model for model in models}


def llm(**chain: Any) -> LlmConfig:
    """Two doors that have all three models: portkey, then a local server."""
    local = ProviderConfig(base_url="http://127.0.0.1:1/v1", models=names("small", "middle", "large", "peer", "judge"))
    settings = ChainConfig(retry=RetryConfig(most=0), **chain)
    return LlmConfig(order=("portkey", "local"), providers=ProvidersConfig(local=local), chain=settings)


def made(
    make: MakeWiring, providers: Mapping[str, ChatModel], routing: RoutingConfig = PLAIN, **sections: Any
) -> Wiring:
    return make(providers, **{"routing": routing, "llm": llm(), "prices": PRICES, **sections})


def answered(wiring: Wiring, request: RouteRequest) -> tuple[list[ExecuteEvent], Executed]:
    async def run() -> list[ExecuteEvent]:
        return [event async for event in execute(request, wiring)]

    events = asyncio.run(run())
    final = events[-1]
    assert isinstance(final, Executed)
    return events, final


def recorded(wiring: Wiring) -> list[Run]:
    with closing(wiring.models.ledger()) as ledger:
        return ledger.runs(RunFilter())


def test_deciding_needs_no_provider_and_is_recorded_without_the_prompt(make_wiring: MakeWiring) -> None:
    wiring = made(make_wiring, {})
    routed = route(RouteRequest(EASY), wiring)
    (run,) = recorded(wiring)
    assert (run.id, run.model, run.tier) == (routed.run, routed.decision.model, routed.decision.tier)
    assert run.prompt is None
    assert run.prompt_hash is not None
    assert len(run.prompt_hash) == 64


def test_texts_are_kept_only_when_the_settings_say_so(make_wiring: MakeWiring) -> None:
    wiring = made(make_wiring, {}, runs=RunsConfig(store_text=True))
    route(RouteRequest(EASY), wiring)
    assert recorded(wiring)[0].prompt == EASY


def test_a_hard_prompt_gets_a_stronger_model_than_an_easy_one(make_wiring: MakeWiring) -> None:
    wiring = made(make_wiring, {})
    easy, hard = (route(RouteRequest(prompt), wiring).decision for prompt in (EASY, HARD))
    assert easy.complexity < hard.complexity
    assert (easy.model, easy.tier) == ("small", "simple")


def test_every_model_that_cannot_is_named_with_its_reason(make_wiring: MakeWiring) -> None:
    wiring = made(make_wiring, {})
    decision = route(RouteRequest(EASY, needs=("vision",)), wiring).decision
    assert decision.model == "large"
    assert {item.model: item.reason for item in decision.dropped} == dict.fromkeys(
        ("small", "middle"), "cannot see images"
    )
    long = route(RouteRequest("word " * 3_000), wiring).decision
    assert "context" in next(item.reason for item in long.dropped if item.model == "small")


def test_a_cap_that_nothing_meets_lists_the_models(make_wiring: MakeWiring) -> None:
    with pytest.raises(UsageError, match=r"small: about \$.*large"):
        route(RouteRequest(EASY, max_cost=1e-9), made(make_wiring, {}))


def test_an_unknown_price_is_null_and_never_0(make_wiring: MakeWiring) -> None:
    routing = RoutingConfig(tiers=TierModels(simple=("nobody-knows",), balanced=(), premium=()))
    decision = route(RouteRequest(EASY), made(make_wiring, {}, routing)).decision
    assert decision.estimated_cost_usd is None


def test_a_session_goes_up_and_does_not_bounce_back(make_wiring: MakeWiring) -> None:
    wiring = made(make_wiring, {})
    up = route(RouteRequest(HARD, session="s", needs=("vision",)), wiring).decision
    after = route(RouteRequest(EASY, session="s"), wiring).decision
    other = route(RouteRequest(EASY, session="t"), wiring).decision
    assert (up.model, after.model, other.model) == ("large", "large", "small")


def test_a_ledger_that_cannot_be_written_does_not_stop_a_decision(make_wiring: MakeWiring) -> None:
    wiring = made(make_wiring, {})
    wiring.paths.state.parent.mkdir(parents=True)
    wiring.paths.state.write_text("a file where the folder should be")
    routed = route(RouteRequest(EASY), wiring)
    assert routed.decision.model == "small"
    assert routed.unrecorded


def test_an_answer_is_streamed_priced_and_recorded(make_wiring: MakeWiring) -> None:
    wiring = made(make_wiring, {"portkey": ScriptedModel("portkey", [Reply("Hello to you", usage=TOKENS)])})
    events, final = answered(wiring, RouteRequest(EASY))
    assert isinstance(events[0], Decided)
    assert "".join(event.text for event in events if isinstance(event, Piece)) == final.text == "Hello to you"
    assert final.cost.usd == pytest.approx(200 * 1.0 / 1e6)
    (run,) = recorded(wiring)
    assert run.cost == final.cost.usd
    assert run.premium_cost == pytest.approx(200 * 100.0 / 1e6)
    assert [(call.model, call.provider, call.reason) for call in run.calls] == [("small", "portkey", "chosen")]


def test_the_next_provider_answers_for_the_same_model_and_it_is_said(make_wiring: MakeWiring) -> None:
    providers = {
        "portkey": ScriptedModel("portkey", [Overloaded("upstream is down", status=503)]),
        "local": ScriptedModel("local", [Reply("Hello", usage=TOKENS)]),
    }
    wiring = made(make_wiring, providers)
    events, final = answered(wiring, RouteRequest(EASY))
    assert (final.model, final.provider, final.fallbacks) == ("small", "local", 1)
    assert any(type(event).__name__ == "FellBack" for event in events)
    (run,) = recorded(wiring)
    assert [call.error is not None for call in run.calls] == [True, False]
    assert (run.provider, run.fallbacks) == ("local", 1)


def test_without_a_provider_it_says_how_to_configure_one(make_wiring: MakeWiring) -> None:
    with pytest.raises(ConfigError) as caught:
        answered(made(make_wiring, {}), RouteRequest(EASY))
    assert caught.value.exit_code is ExitCode.NOT_CONFIGURED
    assert "PORTKEY_API_KEY" in (caught.value.hint or "")


def test_when_nobody_answers_the_run_is_recorded_with_its_error(make_wiring: MakeWiring) -> None:
    wiring = made(make_wiring, {"portkey": ScriptedModel("portkey", [Refused("the key is wrong", status=401)])})
    with pytest.raises(Refused):
        answered(wiring, RouteRequest(EASY))
    (run,) = recorded(wiring)
    assert run.error == "auth"
    assert len(run.calls) == 1


def test_a_budget_is_checked_before_anything_is_spent(make_wiring: MakeWiring) -> None:
    model = ScriptedModel("portkey", [Reply("never", usage=TOKENS)])
    config = llm(budget=BudgetConfig(per_day=1e-9))
    with pytest.raises(RateLimited):
        answered(made(make_wiring, {"portkey": model}, llm=config), RouteRequest(EASY))
    assert model.requests == []


def test_a_ledger_that_fails_in_the_end_does_not_take_the_answer_back(
    make_wiring: MakeWiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DiskFull("no room left")

    monkeypatch.setattr("sophiactl.ops.execute.keep", full)
    wiring = made(make_wiring, {"portkey": ScriptedModel("portkey", [Reply("Hello", usage=TOKENS)])})
    events, final = answered(wiring, RouteRequest(EASY))
    assert final.text == "Hello"
    assert any(isinstance(event, Warned) and "no room left" in event.message for event in events)


class TestEscalation:
    def routing(self, peer: str = "", judge: str = "") -> RoutingConfig:
        """Everything is simple, so that every answer is looked at twice."""
        second = EscalationConfig(peer=peer, judge=judge)
        return RoutingConfig(tiers=PLAIN.tiers, balanced_from=0.99, premium_from=1.0, escalation=second)

    def run(self, make: MakeWiring, script: list[Any], **second: str) -> tuple[list[ExecuteEvent], Executed, Wiring]:
        wiring = made(make, {"portkey": ScriptedModel("portkey", script)}, self.routing(**second))
        events, final = answered(wiring, RouteRequest("What is 17 + 25?"))
        return events, final, wiring

    def test_two_cheap_models_that_agree_are_believed(self, make_wiring: MakeWiring) -> None:
        script = [Reply("The answer is 42.", usage=TOKENS), Reply("17 + 25 = 42", usage=TOKENS)]
        events, final, wiring = self.run(make_wiring, script, peer="peer")
        assert (final.model, final.escalated, final.text) == ("small", False, "The answer is 42.")
        assert not any(isinstance(event, Escalated) for event in events)
        assert [call.reason for call in recorded(wiring)[0].calls] == ["chosen", "agreement"]

    def test_two_that_differ_make_the_strong_model_answer(self, make_wiring: MakeWiring) -> None:
        script = [
            Reply("The answer is 42.", usage=TOKENS),
            Reply("The answer is 43.", usage=TOKENS),
            Reply("It is 42, surely.", usage=TOKENS),
        ]
        events, final, wiring = self.run(make_wiring, script, peer="peer")
        assert (final.model, final.escalated, final.reason) == ("large", True, "escalation")
        assert "".join(event.text for event in events if isinstance(event, Piece)) == "It is 42, surely."
        (run,) = recorded(wiring)
        assert (run.escalated, run.model) == (True, "large")
        assert final.cost.usd is None  # the peer has no price, so the sum is unknown and not too small

    def test_a_judge_that_is_not_content_escalates(self, make_wiring: MakeWiring) -> None:
        verdict = '{"verdict": "escalate", "confidence": 0.9, "reason": "wrong", "missing": []}'
        script = [Reply("Some prose.", usage=TOKENS), Reply(verdict, usage=TOKENS), Reply("Better.", usage=TOKENS)]
        _, final, wiring = self.run(make_wiring, script, judge="judge")
        assert (final.text, final.escalated) == ("Better.", True)
        assert [call.reason for call in recorded(wiring)[0].calls] == ["chosen", "judge", "escalation"]

    def test_a_second_opinion_that_fails_is_done_without(self, make_wiring: MakeWiring) -> None:
        script = [Reply("The answer is 42.", usage=TOKENS), OutOfCredit("no credit", status=402)]
        _, final, _ = self.run(make_wiring, script, peer="peer")
        assert (final.text, final.escalated) == ("The answer is 42.", False)
