"""Anthropic: the models that the key may call, or for an administrator's key, that it may list keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebRequest, WebSession

NAMES = ("ANTHROPIC_API_KEY",)
VERSION = "2023-06-01"


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the key."""

    def build(key: str) -> WebRequest:
        path = "organizations/api_keys?limit=1" if key.startswith("sk-ant-admin") else "models"
        return reading.get(f"{reading.under(probe.base_url, '/v1')}/{path}", x_api_key=key, anthropic_version=VERSION)

    return await reading.ask_each(probe, session, NAMES, build, read)


def read(answer: Answer) -> Said | None:
    """What the list, or Anthropic's error in its place, says."""
    if answer.status == 200:
        return _good(answer)
    kind, words = reading.text(answer.data, "error", "type"), reading.text(answer.data, "error", "message").lower()
    if reading.text(answer.data, "type") != "error" or not kind:
        return None
    if "disabled" in words and answer.status in {400, 401, 403}:
        return Said(Verdict.BLOCKED, f"the organization or its key is disabled ({answer.status})")
    if "expired" in words and answer.status == 401:
        return Said(Verdict.EXPIRED, "the key has expired (401)")
    if answer.status == 404:
        return Said(Verdict.INVALID, "no such thing for this key (404)")
    # Another 403, "forbidden", is said to a whole country: it is not about the key.
    limited = answer.status == 403 and kind == "permission_error"
    return Said(Verdict.VALID_LIMITED, "the key may not list models (403)") if limited else None


def _good(answer: Answer) -> Said | None:
    listed = reading.items(answer.data, "data")
    if listed is None or not isinstance(reading.at(answer.data, "has_more"), bool):
        return None
    kinds = {reading.text(one, "type") for one in listed}
    if kinds == {"api_key"}:
        return Said(Verdict.VALID_LIMITED, "an administrator's key: it cannot call models")
    return Said(Verdict.VALID, "", {"models": str(len(listed))}) if kinds == {"model"} else None
