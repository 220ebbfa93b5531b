"""What a model must be able to do before its strength matters; a model that is left out is left out with a reason."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ConfigError, UsageError
from sophiactl.routing.base import Dropped, ModelCard, RouteRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ABLE = {"vision": "cannot see images", "tools": "cannot call tools", "json": "has no JSON mode"}


class QualityFloor(msgspec.Struct, frozen=True):
    """A promised quality: `ceilings` says up to which score a model or tier keeps it; unnamed ones always do."""

    quality: float
    ceilings: dict[str, float]


class Fit(msgspec.Struct, frozen=True):
    """Models that may be chosen, in the order given, and those that may not."""

    kept: tuple[ModelCard, ...]
    dropped: tuple[Dropped, ...]


class Load(msgspec.Struct, frozen=True):
    """Size of a request in tokens: the prompt, and the answer that is reckoned with."""

    prompt: int
    answer: int

    @classmethod
    def of(cls, request: RouteRequest, prompt_tokens: int, answer_tokens: int) -> Load:
        """The request's own limit for the answer goes before the assumed length."""
        return cls(prompt_tokens, answer_tokens if request.max_output is None else request.max_output)


def fit(
    cards: Sequence[ModelCard],
    request: RouteRequest,
    load: Load,
    *,
    score: float | None = None,
    floor: QualityFloor | None = None,
) -> Fit:
    """Part the models that can take the request from those that cannot. Raises `ConfigError`, `UsageError`.

    The answer counts against the context window, and against the price cap with its assumed length.
    """
    if not cards:
        raise ConfigError("no model is configured", hint="name models under routing.tiers, and a provider for them")
    kept, dropped = [], []
    for card in cards:
        reason = "; ".join(_objections(card, request, load, score, floor))
        if reason:
            dropped.append(Dropped(label(card, cards), reason))
        else:
            kept.append(card)
    if not kept:
        raise _nothing_left(dropped, request)
    return Fit(tuple(kept), tuple(dropped))


def estimated_cost(card: ModelCard, load: Load) -> float | None:
    """US dollars for the prompt and an answer of the assumed length; None where a price is unknown."""
    if card.input_price is None or card.output_price is None:
        return None
    return (load.prompt * card.input_price + load.answer * card.output_price) / 1_000_000


def matches(card: ModelCard, pattern: str) -> bool:
    """Whether a name or pattern means the model; it may name the provider too (`portkey/*`). Case does not count."""
    wanted = pattern.strip().lower()
    names = (card.name.lower(), f"{card.provider}/{card.name}".lower())
    return any(name == wanted or fnmatchcase(name, wanted) for name in names)


def label(card: ModelCard, cards: Sequence[ModelCard]) -> str:
    """The model's name, with its provider where two providers have it."""
    shared = sum(other.name == card.name for other in cards) > 1
    return f"{card.provider}/{card.name}" if shared else card.name


def _objections(
    card: ModelCard, request: RouteRequest, load: Load, score: float | None, floor: QualityFloor | None
) -> Iterator[str]:
    yield from _listed(card, request)
    yield from (_ABLE[need] for need in request.needs if not getattr(card, need))
    yield from _room(card, request, load)
    yield from _price(card, request.max_cost, load)
    if floor is not None and score is not None:
        yield from _quality(card, score, floor.quality, floor.ceilings)


def _listed(card: ModelCard, request: RouteRequest) -> Iterator[str]:
    denied = next((pattern for pattern in request.deny if matches(card, pattern)), None)
    if denied is not None:
        yield f"denied by {denied!r}"
    elif request.allow and not any(matches(card, pattern) for pattern in request.allow):
        yield "not on the allow list"


def _room(card: ModelCard, request: RouteRequest, load: Load) -> Iterator[str]:
    needed = load.prompt + load.answer
    if card.context_window is not None and needed > card.context_window:
        yield f"context {_size(card.context_window)} < {_size(needed)} needed"
    if card.max_output is not None and request.max_output is not None and request.max_output > card.max_output:
        yield f"answers up to {_size(card.max_output)} tokens, {_size(request.max_output)} asked for"


def _price(card: ModelCard, cap: float | None, load: Load) -> Iterator[str]:
    if cap is None:
        return
    cost = estimated_cost(card, load)
    if cost is None:
        yield f"price unknown, and a cap of ${cap:g} is set"
    elif cost > cap:
        yield f"about ${cost:.4g}, over the cap of ${cap:g}"


def _quality(card: ModelCard, score: float, quality: float, ceilings: Mapping[str, float]) -> Iterator[str]:
    ceiling = ceilings.get(card.name, ceilings.get(card.tier))
    if ceiling is not None and score > ceiling:
        yield f"below the quality floor you calibrated ({quality:g})"


def _size(tokens: int) -> str:
    # Rounding must not show two different sizes as equal, so only exact thousands are shortened.
    return f"{tokens // 1000}k" if tokens >= 1000 and tokens % 1000 == 0 else f"{tokens:,}"


def _nothing_left(dropped: Sequence[Dropped], request: RouteRequest) -> UsageError | ConfigError:
    listed = "; ".join(f"{item.model}: {item.reason}" for item in dropped)
    message = f"no model can take this prompt ({listed})"
    asked = request.needs or request.allow or request.deny or request.max_cost is not None
    if asked or request.max_output is not None:
        return UsageError(message, hint="relax --need, --max-cost, --max-output or the allow and deny lists")
    return ConfigError(message, hint="add a model under routing.tiers that can")
