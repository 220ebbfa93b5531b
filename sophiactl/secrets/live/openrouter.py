"""OpenRouter: what the key is worth (openrouter.ai, get current key). Its list of models is open to all: no proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

NAMES = ("OPENROUTER_API_KEY",)


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the key."""
    url = f"{reading.under(probe.base_url, '/api/v1')}/key"
    return await reading.ask_each(probe, session, NAMES, reading.bearer(url), read)


def read(answer: Answer) -> Said | None:
    """What the key's description, or OpenRouter's error in its place, says. The label shows some of it: dropped."""
    key = reading.at(answer.data, "data")
    if answer.status == 200:
        return _good(key) if reading.text(key, "label") and reading.number(key, "usage") is not None else None
    words = reading.text(answer.data, "error", "message").lower()
    if reading.number(answer.data, "error", "code") != answer.status or not words:
        return None
    if "expired" in words and answer.status in {401, 403}:
        return Said(Verdict.EXPIRED, f"the key has expired ({answer.status})")
    if "disabled" in words and answer.status in {401, 403}:
        return Said(Verdict.BLOCKED, f"the key is disabled ({answer.status})")
    return Said(Verdict.VALID_LIMITED, "the key may not do this (403)") if answer.status == 403 else None


def _good(key: object) -> Said:
    ends = reading.stamp(reading.text(key, "expires_at"))
    left, limit = reading.number(key, "limit_remaining"), reading.number(key, "limit")
    identity = {} if left is None else {"left_usd": f"{left:g}"}
    if limit is not None:
        identity["limit_usd"] = f"{limit:g}"
    if any(reading.at(key, flag) is True for flag in ("is_management_key", "is_provisioning_key")):
        return Said(Verdict.VALID_LIMITED, "a management key: it cannot call models", identity, (), ends)
    if left is not None and left <= 0:
        return Said(Verdict.VALID_LIMITED, "its limit is used up: nothing is left of it", identity, (), ends)
    return Said(Verdict.VALID, f"ends on {ends[:10]}" if ends else "", identity, (), ends)
