"""The decision: hard constraints, then the score, then the tier, then the model."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING

from sophiactl.errors import UsageError
from sophiactl.routing.base import TIERS, Decision, ModelCard, Reason, RouteRequest, Scorer, Tier
from sophiactl.routing.config import RoutingConfig
from sophiactl.routing.constraints import Load, QualityFloor, estimated_cost, fit, label
from sophiactl.routing.stickiness import Previous, settle
from sophiactl.routing.tiers import Scale, checked, complexity_of, lift, rank, tier_of
from sophiactl.routing.tokens_estimate import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.model import Clock

_INVISIBLE = frozenset({"Cf", "Cc", "Zs", "Zl", "Zp", "Mn"})
_LOOKED_AT = 4_096


def decide(
    request: RouteRequest,
    cards: Sequence[ModelCard],
    scorer: Scorer,
    scale: Scale,
    *,
    config: RoutingConfig | None = None,
    floor: QualityFloor | None = None,
    previous: Previous | None = None,
    clock: Clock | None = None,
) -> Decision:
    """Choose a model for the prompt. Pure: no network, no key.

    `score` and `complexity` are those after the context's hints; `tier` is what the prompt asks for, and a reason of
    weight 0 says so where the model comes from another tier. `previous` counts only with a `clock`. Raises
    `UsageError`, `ConfigError`.
    """
    _refuse_blank(request)
    config = config or RoutingConfig()
    asked = _with_defaults(request, config)
    load = Load.of(asked, estimate_tokens(asked.prompt), config.answer_tokens)
    score, hints = lift(checked(scorer.score(asked.prompt)), asked.context, scale, config.hints)
    fits = fit(cards, asked, load, score=score, floor=floor)
    tier = tier_of(score, scale.thresholds)
    model, notes = choose(tier, fits.kept)
    if clock is not None:
        model, note = settle(model, fits.kept, previous, clock(), timedelta(minutes=config.sticky_minutes))
        notes = notes if note is None else (note,)
    return Decision(
        complexity=complexity_of(score, scale),
        tier=tier,
        model=model.name,
        provider=model.provider,
        score=score,
        thresholds=scale.thresholds,
        reasons=(*scorer.explain(asked.prompt), *hints, *notes),
        dropped=fits.dropped,
        candidates=tuple(label(card, cards) for card in fits.kept),
        estimated_cost_usd=estimated_cost(model, load),
        prompt_tokens=load.prompt,
        artifact=scorer.artifact,
    )


def choose(tier: Tier, kept: Sequence[ModelCard]) -> tuple[ModelCard, tuple[Reason, ...]]:
    """The first model of the tier, else of the nearest stronger, else of the nearest weaker tier, with the reason."""
    model = ladder(tier, kept)[0]
    if model.tier == tier:
        return model, ()
    direction = "stronger" if rank(model.tier) > rank(tier) else "weaker"
    return model, (Reason(f"no {tier} model fits, the nearest {direction} one is {model.name}", 0.0),)


def ladder(tier: Tier, kept: Sequence[ModelCard]) -> tuple[ModelCard, ...]:
    """All models in the order in which `choose` would take them: a fallback chain for the chosen one."""
    wanted = rank(tier)
    order = [*range(wanted, len(TIERS)), *range(wanted - 1, -1, -1)]
    return tuple(sorted(kept, key=lambda card: order.index(rank(card.tier))))


def _with_defaults(request: RouteRequest, config: RoutingConfig) -> RouteRequest:
    """The request with the settings' lists and cap; its own allow list and cap go before theirs, denials add up."""
    return RouteRequest(
        prompt=request.prompt,
        context=request.context,
        needs=request.needs,
        max_cost=config.max_cost if request.max_cost is None else request.max_cost,
        max_output=request.max_output,
        allow=request.allow or config.allow,
        deny=(*request.deny, *config.deny),
        session=request.session,
    )


def _refuse_blank(request: RouteRequest) -> None:
    # Zero-width signs and controls are nothing to answer; a visible sign mostly stands right at the start.
    for start in range(0, len(request.prompt), _LOOKED_AT):
        piece = request.prompt[start : start + _LOOKED_AT]
        if any(unicodedata.category(char) not in _INVISIBLE for char in piece):
            return
    raise UsageError("the prompt is empty", hint="give a question, or pipe one in: ... | sophiactl route")
