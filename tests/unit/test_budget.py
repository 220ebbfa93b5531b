"""What may still be spent."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.llm.budget import BudgetConfig, Spent, check, dollars

MONEY = st.floats(0, 1000, allow_nan=False)
LIMITS = st.one_of(st.none(), MONEY)


def test_without_limits_everything_is_allowed() -> None:
    assert check(BudgetConfig(), Spent(1e9, 1e9), model="m", estimate=1e9, call=1e9) is None
    assert check(BudgetConfig(), Spent(), model="m", estimate=None) is None


def test_an_unknown_price_is_refused_under_a_budget_unless_allowed() -> None:
    over = check(BudgetConfig(per_day=1), Spent(), model="mystery", estimate=None)
    assert over is not None
    assert "mystery" in over.message
    assert "unknown_price" in over.hint
    assert check(BudgetConfig(per_day=1, unknown_price="allow"), Spent(), model="m", estimate=None) is None


@pytest.mark.parametrize(
    ("config", "spent", "call", "setting"),
    [
        (BudgetConfig(per_call=0.05), Spent(), 0.03, "per_call"),
        (BudgetConfig(per_session=1.0), Spent(session=0.95), 0.03, "per_session"),
        (BudgetConfig(per_day=5.0), Spent(day=4.98), 0.0, "per_day"),
        (BudgetConfig(per_call=1, per_session=1, per_day=0.02), Spent(), 0.0, "per_day"),
        (BudgetConfig(per_call=0.0), Spent(), 0.0, "per_call"),
        (BudgetConfig(per_day=1.0), Spent(day=math.nan), 0.0, "per_day"),
    ],
)
def test_each_limit_counts_what_it_covers(config: BudgetConfig, spent: Spent, call: float, setting: str) -> None:
    over = check(config, spent, model="m", estimate=0.03, call=call)
    assert over is not None
    assert over.setting == setting
    assert setting in over.hint
    assert "$0.03" in over.message


def test_what_exactly_fits_is_allowed() -> None:
    assert check(BudgetConfig(per_call=0.3), Spent(), model="m", estimate=0.1, call=0.1 + 0.1) is None


@given(LIMITS, LIMITS, LIMITS, MONEY, MONEY, MONEY, MONEY)
def test_no_limit_is_ever_passed(
    call: float | None,
    session: float | None,
    day: float | None,
    estimate: float,
    spent: float,
    before: float,
    by: float,
) -> None:
    config = BudgetConfig(per_call=call, per_session=session, per_day=day)
    allowed = check(config, Spent(spent, before), model="m", estimate=estimate, call=by) is None
    sums = [(call, by + estimate), (session, spent + by + estimate), (day, before + by + estimate)]
    assert allowed == all(limit is None or total <= limit + 1e-12 for limit, total in sums)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "$0.00"), (1234.5, "$1,234.50"), (0.01, "$0.01"), (0.0042, "$0.0042"), (0.00003, "$0.00003")],
)
def test_small_amounts_are_not_shown_as_nothing(amount: float, shown: str) -> None:
    assert dollars(amount) == shown
