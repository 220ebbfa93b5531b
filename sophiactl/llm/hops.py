"""Where a model can be had, and in which order it is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.llm.budget import BudgetConfig
from sophiactl.llm.cooldown import CooldownConfig
from sophiactl.llm.retries import RetryConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sophiactl.llm.base import ChatRequest

# A token is about four bytes of English prose; code and other scripts have more tokens to the byte.
_BYTES_A_TOKEN = 3.5
_TOKENS_A_TURN = 4
# What providers charge for an image differs by a factor of ten; this is near the upper end for a page-sized one.
_TOKENS_AN_IMAGE = 1_500


class ChainConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the chain of providers behaves.

    `total` seconds are all that a request may take, retries and fallbacks included. `fallbacks` names, for a chosen
    model, the models to try when no provider of it answers. `assumed_output` is how many tokens an answer is expected
    to have when the request sets no limit: only the estimate that budgets are checked with depends on it.
    """

    total: float = 300.0
    assumed_output: int = 1024
    fallbacks: dict[str, tuple[str, ...]] = {}
    retry: RetryConfig = RetryConfig()
    cooldown: CooldownConfig = CooldownConfig()
    budget: BudgetConfig = BudgetConfig()


class Hop(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model at one provider. `model` is our name of it, `name` the provider's own.

    `free` says that calls cost nothing, as on one's own machine; otherwise a cost that nobody states is unknown.
    """

    provider: str
    model: str
    name: str
    free: bool = False

    def __str__(self) -> str:
        return f"{self.model} via {self.provider}"


class Routes(msgspec.Struct, frozen=True):
    """The hops of every model in the order of preference, and each model's fallback models."""

    hops: dict[str, tuple[Hop, ...]]
    fallbacks: dict[str, tuple[str, ...]] = {}

    def plan(self, chosen: str) -> tuple[Hop, ...]:
        """All hops to try for the chosen model: its own, then those of its fallbacks (and not of theirs)."""
        return tuple(dict.fromkeys(self._walk(chosen)))

    def _walk(self, chosen: str) -> Iterator[Hop]:
        for model in (chosen, *self.fallbacks.get(chosen, ())):
            yield from self.hops.get(model, ())


def routes(hops: Sequence[Hop], fallbacks: Mapping[str, Sequence[str]] | None = None) -> Routes:
    """Routes from a flat list of hops in the order of preference."""
    by_model: dict[str, list[Hop]] = {}
    for hop in hops:
        by_model.setdefault(hop.model, []).append(hop)
    keyed = {model: tuple(names) for model, names in (fallbacks or {}).items()}
    return Routes({model: tuple(found) for model, found in by_model.items()}, keyed)


def estimate_tokens(request: ChatRequest) -> int:
    """About how many tokens the request's input has; meant to err on the high side."""
    total = 0.0
    for message in request.messages:
        total += _TOKENS_A_TURN + _content_tokens(message.content)
        total += _json_tokens(message.tool_calls)
    return int(total + _json_tokens(request.tools) + _json_tokens(request.response_format)) + 1


def _content_tokens(content: str | list[dict[str, Any]] | None) -> float:
    if content is None:
        return 0.0
    if isinstance(content, str):
        return len(content.encode(errors="replace")) / _BYTES_A_TOKEN
    return sum(
        _TOKENS_AN_IMAGE if part.get("type") == "image_url" else _content_tokens(str(part.get("text", "")))
        for part in content
    )


def _json_tokens(value: object) -> float:
    return len(msgspec.json.encode(value)) / _BYTES_A_TOKEN if value else 0.0
