"""What a chain's calls cost, and the budget that ends it."""

from __future__ import annotations

import msgspec
import pytest

from sophiactl.errors import ExitCode, RateLimited
from sophiactl.llm.budget import BudgetConfig, Spent
from sophiactl.llm.failures import BadRequest, Broken, Throttled
from sophiactl.llm.hops import Hop, routes
from sophiactl.llm.scripted import Reply
from sophiactl.model import Money, Usage
from tests.chains import ASK, PARIS, World, chain, complete, fail, kinds

# -- cost --


@pytest.mark.parametrize(
    ("reply", "cost"),
    [
        (Reply("x", usage=Usage(1_000_000, 0), cost=0.25), 0.25),  # what the provider says wins
        (Reply("x", usage=Usage(1_000_000, 0), cost=0.0), 0.0),  # also that it was free
        (Reply("x", usage=Usage(1_000_000, 0), cost=float("nan")), 1.0),
        (Reply("x", usage=Usage(1_000_000, 0), cost=-1.0), 1.0),
        (Reply("x", usage=Usage(1_000_000, 0), model="other/deep"), None),  # another host, another price
        (Reply("x", usage=Usage(1_000_000, 0), model="deep"), 10.0),  # by the model that really answered
        (Reply("x", usage=Usage(1_000_000, 0), model="mystery"), None),
        (Reply("x"), None),  # no tokens counted
    ],
)
def test_the_cost_is_the_providers_then_the_tables_and_else_unknown(reply: Reply, cost: float | None) -> None:
    world = World()
    answered, _ = complete(chain(world, world.model("one", reply)))
    assert answered.completion.cost.usd == cost
    assert answered.calls[0].cost == cost
    assert answered.cost.usd == cost


def test_the_ledger_gets_the_model_that_really_answered() -> None:
    world = World()
    answered, _ = complete(chain(world, world.model("one", Reply("x", model="deep"))))
    assert answered.calls[0].model == "deep"


def test_a_free_hop_costs_nothing() -> None:
    world = World()
    where = routes([Hop("one", "local", "gguf", free=True)])
    made = chain(world, world.model("one", "hello"), where=where, budget=BudgetConfig(per_call=0.0))
    answered, _ = complete(made, msgspec.structs.replace(ASK, model="local"))
    assert answered.cost == Money(0.0)


# -- budget --


def test_the_budget_is_checked_again_at_every_hop() -> None:
    world = World()
    where = routes([Hop("one", "fast", "f"), Hop("two", "deep", "d")], {"fast": ("deep",)})
    spent = [Spent(day=0.0), Spent(day=9.999)]
    made = chain(
        world, world.model("one", BadRequest("no")), world.model("two"), where=where, budget=BudgetConfig(per_day=10.0)
    )
    error, told = fail(made, spent=lambda: spent.pop(0))
    assert kinds(told) == ["Attempted", "Skipped", "GaveUp"]
    assert "of the day's budget of $10.00 is left" in str(error)
    assert isinstance(error, BadRequest | RateLimited)
    assert spent == []


def test_what_attempts_of_unknown_cost_may_have_cost_counts_against_the_budget() -> None:
    world = World()
    request = msgspec.structs.replace(ASK, max_tokens=1000)
    one = world.model("one", Broken("cut"), repeat=True)
    # Each attempt may cost a little over 2/1000 dollars: two fit, a third does not.
    error, told = fail(chain(world, one, budget=BudgetConfig(per_call=0.005)), request)
    assert len(one.requests) == 2
    assert kinds(told) == ["Attempted", "Retrying", "Attempted", "Retrying", "GaveUp"]
    assert error.exit_code == ExitCode.RATE_LIMITED
    assert "per_call" in error.hint


def test_over_budget_from_the_start_asks_nobody() -> None:
    world = World()
    one = world.model("one", PARIS)
    error, _ = fail(chain(world, one, budget=BudgetConfig(per_session=1.0)), spent=lambda: Spent(session=1.0))
    assert isinstance(error, RateLimited)
    assert error.exit_code == ExitCode.RATE_LIMITED
    assert one.requests == []


def test_an_unknown_price_under_a_budget_goes_to_a_model_with_a_price() -> None:
    world = World()
    where = routes([Hop("one", "mystery", "m"), Hop("two", "fast", "f")], {"mystery": ("fast",)})
    made = chain(world, world.model("one"), world.model("two", PARIS), where=where, budget=BudgetConfig(per_call=1.0))
    answered, told = complete(made, msgspec.structs.replace(ASK, model="mystery"))
    assert kinds(told) == ["Skipped", "FellBack", "Attempted", "Answered"]
    assert answered.hop.model == "fast"


def test_cost_of_all_attempts_is_known_only_when_each_is() -> None:
    world = World()
    one = world.model("one", Throttled("later", status=429), PARIS)
    answered, _ = complete(chain(world, one))
    assert [call.cost for call in answered.calls] == [0.0, 2.0]
    assert answered.cost == Money(2.0)
    answered, _ = complete(chain(world, world.model("one", Broken("cut after some tokens"), PARIS)))
    assert [call.cost for call in answered.calls] == [None, 2.0]
    assert answered.cost == Money(None)
    assert answered.completion.cost == Money(2.0)


def test_tokens_that_a_failure_counted_are_priced() -> None:
    failure = Broken("cut")
    failure.usage = Usage(1_000_000, 0)
    world = World()
    answered, _ = complete(chain(world, world.model("one", failure, PARIS)))
    assert (answered.calls[0].cost, answered.calls[0].input_tokens) == (1.0, 1_000_000)
    assert answered.cost == Money(3.0)
