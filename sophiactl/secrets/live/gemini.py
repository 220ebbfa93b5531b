"""Gemini: the models that the key may call; the key goes in a header, never in the URL.

Google's errors name a reason (google.rpc.ErrorInfo): that, not the status, says what is wrong with a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebRequest, WebSession

NAMES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the key; two when its two names hold different values."""

    def build(key: str) -> WebRequest:
        return reading.get(f"{reading.under(probe.base_url, '/v1beta')}/models", x_goog_api_key=key)

    return await reading.ask_each(probe, session, NAMES, build, read)


def read(answer: Answer) -> Said | None:
    """What the list of models, or Google's error in its place, says."""
    if answer.status == 200:
        models = reading.items(answer.data, "models")
        if not models or not all(reading.text(one, "name").startswith(("models/", "tunedModels/")) for one in models):
            return None
        return Said(Verdict.VALID, "", {"models": str(len(models))})
    error = _error(answer.data)
    status, words = reading.text(error, "status"), reading.text(error, "message").lower()
    if reading.number(error, "code") != answer.status or not status:
        return None
    if "leaked" in words or "suspended" in words:
        return Said(Verdict.BLOCKED, "Google has blocked it: reported as leaked, or suspended")
    reason = next(filter(None, (reading.text(one, "reason") for one in reading.items(error, "details") or ())), "")
    if answer.status in {400, 401} and ("API_KEY" in reason or "api key" in words):
        expired = "expired" in words or reason == "API_KEY_EXPIRED"
        return Said(Verdict.EXPIRED if expired else Verdict.INVALID, f"Google refuses the key ({answer.status})")
    if answer.status == 403 and status == "PERMISSION_DENIED":
        return Said(Verdict.VALID_LIMITED, f"the key lives, but may not use this API: {reading.fact(reason) or status}")
    return None


def _error(data: Any) -> Any:
    """The error in an answer; some come in a list of one."""
    return reading.at(data[0] if isinstance(data, list) and data else data, "error")
