"""The router's data: what is asked, what is decided, and why."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import msgspec

Tier = Literal["simple", "balanced", "premium"]
TIERS: tuple[Tier, ...] = ("simple", "balanced", "premium")
Need = Literal["vision", "tools", "json"]


class ModelCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a model that may be chosen. Prices are US dollars per million tokens, None: unknown."""

    name: str
    provider: str
    tier: Tier
    context_window: int | None = None
    max_output: int | None = None
    vision: bool = False
    tools: bool = False
    json: bool = False
    input_price: float | None = None
    output_price: float | None = None


class RouteRequest(msgspec.Struct, frozen=True):
    """A prompt and what its model must be able to do.

    `context` are hints (`requires_reasoning`, `multi_step`, `business_critical`: true or false). `max_cost` is in US
    dollars for the call. `allow` and `deny` are model names or patterns such as `openai/*`.
    """

    prompt: str
    context: dict[str, str] = {}
    needs: tuple[Need, ...] = ()
    max_cost: float | None = None
    max_output: int | None = None
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    session: str | None = None


class Reason(msgspec.Struct, frozen=True):
    """A feature's part of the score; positive parts speak for a stronger model."""

    name: str
    weight: float


class Dropped(msgspec.Struct, frozen=True):
    """A model that could not be chosen, and why."""

    model: str
    reason: str


class Thresholds(msgspec.Struct, frozen=True):
    """Scores from which a prompt is balanced, and from which it is premium; 0 <= balanced <= premium <= 1."""

    balanced: float
    premium: float


class Decision(msgspec.Struct, frozen=True):
    """What was decided. `score` is in [0, 1], `complexity` its calibrated decile 1-10; cost None means unknown."""

    complexity: int
    tier: Tier
    model: str
    provider: str
    score: float
    thresholds: Thresholds
    reasons: tuple[Reason, ...]
    dropped: tuple[Dropped, ...]
    candidates: tuple[str, ...]
    estimated_cost_usd: float | None
    prompt_tokens: int
    artifact: str


@runtime_checkable
class Scorer(Protocol):
    """The router's brain: one number for a prompt (the interface of RouteLLM's routers)."""

    artifact: str
    """Name and version of what it was trained on."""

    def score(self, prompt: str) -> float:
        """How much a strong model is worth here, in [0, 1]; higher is more. Pure, no network."""

    def explain(self, prompt: str) -> tuple[Reason, ...]:
        """The largest parts of the score, largest first."""
