"""What may still be spent. Pure: what was spent so far is told to it."""

from __future__ import annotations

from typing import Literal

import msgspec


class BudgetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits in US dollars; None: no limit. A call that falls back or is retried is one call.

    `unknown_price` says what happens to a model without a known price while a limit is set.
    """

    per_call: float | None = None
    per_session: float | None = None
    per_day: float | None = None
    unknown_price: Literal["refuse", "allow"] = "refuse"

    @property
    def limited(self) -> bool:
        """Whether any limit is set."""
        return self.per_call is not None or self.per_session is not None or self.per_day is not None


class Spent(msgspec.Struct, frozen=True):
    """US dollars that the ledger knows of, without the call that is being made."""

    session: float = 0.0
    day: float = 0.0


class OverBudget(msgspec.Struct, frozen=True):
    """Why a call is not made; `setting` is the one that would have to change."""

    message: str
    hint: str
    setting: str


def check(
    config: BudgetConfig, spent: Spent, *, model: str, estimate: float | None, call: float = 0.0
) -> OverBudget | None:
    """None when the next attempt, estimated at `estimate` dollars, fits; `call` is what this call has spent already."""
    if not config.limited:
        return None
    if estimate is None:
        if config.unknown_price == "allow":
            return None
        return OverBudget(
            f"the price of {model} is unknown and a budget is set",
            "add its price to prices.yaml, or set llm.chain.budget.unknown_price to allow",
            "unknown_price",
        )
    limits = (
        ("per_call", "call", config.per_call, call),
        ("per_session", "session", config.per_session, spent.session + call),
        ("per_day", "day", config.per_day, spent.day + call),
    )
    for setting, word, limit, already in limits:
        # A negated comparison, so that NaN is refused too. The tolerance is for sums of binary fractions.
        if limit is not None and not already + estimate <= limit + 1e-12:
            return OverBudget(
                f"{model} would cost about {dollars(estimate)} and "
                f"{dollars(max(0.0, limit - already))} of the {word}'s budget of {dollars(limit)} is left",
                f"raise llm.chain.budget.{setting}, or choose a cheaper model",
                setting,
            )
    return None


def dollars(amount: float) -> str:
    """An amount as a person reads it: two digits of a cent's fraction are kept, never shown as $0.00."""
    if amount == 0 or abs(amount) >= 0.01:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if abs(amount) >= 0.0001 else f"${amount:.6f}".rstrip("0").rstrip(".")
