"""A session stays where it is: it may move to a stronger model, but does not bounce back at the next easy prompt."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.routing.base import ModelCard, Reason, RouteRequest
from sophiactl.routing.tiers import rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KEY_VERSION = 1


class Previous(msgspec.Struct, frozen=True):
    """The model that answered a session's last message, and when (ISO 8601)."""

    model: str
    at: str
    provider: str | None = None


def settle(
    chosen: ModelCard, kept: Sequence[ModelCard], previous: Previous | None, now: datetime, window: timedelta
) -> tuple[ModelCard, Reason | None]:
    """The model to use after `previous`, and why it is not the chosen one.

    Within the window of the last message a session goes up, never down or sideways: the provider's prompt cache is
    worth more than the cheaper model. `kept` are the models that the hard constraints let pass.
    """
    if previous is None or not _recent(previous.at, now, window):
        return chosen, None
    held = next((card for card in kept if _is(card, previous)), None)
    if held is None or rank(held.tier) < rank(chosen.tier) or held == chosen:
        return chosen, None
    return held, Reason(f"session stays on {held.name}", 0.0)


def cache_key(
    request: RouteRequest, artifact: str, config: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> str:
    """sha256 (hex) of everything that an exact repetition must share; the session is not part of it.

    `extra` holds what else shapes an answer: earlier messages, temperature, images' hashes. Prompts are equal up to
    Unicode composition, line ends and blanks at their ends.
    """
    asked = {
        "prompt": normal_prompt(request.prompt),
        "context": sorted(request.context.items()),
        "needs": sorted(request.needs),
        "max_cost": request.max_cost,
        "max_output": request.max_output,
        "allow": sorted(request.allow),
        "deny": sorted(request.deny),
    }
    body = {"version": _KEY_VERSION, "request": asked, "artifact": artifact, "config": config, "extra": extra or {}}
    return hashlib.sha256(msgspec.json.encode(body, order="deterministic")).hexdigest()


def normal_prompt(prompt: str) -> str:
    """The prompt as the cache compares it."""
    whole = prompt.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair has no bytes of its own
    return unicodedata.normalize("NFC", whole.replace("\r\n", "\n").replace("\r", "\n")).strip()


def may_repeat(*, temperature: float | None, tools: bool, previous: Previous | None) -> bool:
    """Whether an answer may come from the cache: the same is asked for each time, and no conversation came before."""
    return not tools and previous is None and (temperature is None or temperature == 0)


def _is(card: ModelCard, previous: Previous) -> bool:
    return card.name == previous.model and previous.provider in {None, card.provider}


def _recent(at: str, now: datetime, window: timedelta) -> bool:
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return False
    if then.tzinfo is None:
        then = then.replace(tzinfo=now.tzinfo)
    return now - then <= window
