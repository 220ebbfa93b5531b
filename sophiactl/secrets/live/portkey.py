"""Portkey: the models that the key may call (portkey.ai, error codes of the gateway and the admin API)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebRequest, WebSession

NAMES = ("PORTKEY_API_KEY",)


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the key."""

    def build(key: str) -> WebRequest:
        return reading.get(f"{reading.under(probe.base_url, '/v1')}/models", x_portkey_api_key=key)

    return await reading.ask_each(probe, session, NAMES, build, read)


def read(answer: Answer) -> Said | None:
    """What the list of models, or Portkey's error in its place, says."""
    data = answer.data
    if answer.status == 200:
        models = reading.items(data, "data")
        if reading.at(data, "object") != "list" or models is None or not all(reading.text(one, "id") for one in models):
            return None
        return Said(Verdict.VALID, "", {"models": str(len(models))})
    words = (reading.text(data, "message") or reading.text(data, "data", "message")).lower()
    if not (_is_portkeys(data) and words):
        return None
    if answer.status == 401 and "expired" in words:
        return Said(Verdict.EXPIRED, "the key has expired (401)")
    if answer.status == 403:
        return Said(Verdict.VALID_LIMITED, "the key may not list models (403)")
    return Said(Verdict.VALID_LIMITED, "its budget is used up (412)") if answer.status == 412 else None


def _is_portkeys(data: object) -> bool:
    failed = reading.text(data, "status") == "failure"
    return failed or (reading.at(data, "success") is False and bool(reading.text(data, "data", "errorCode")))
