"""OpenAI: the models that the key may call. A restricted key is refused and told which scope it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

NAMES = ("OPENAI_API_KEY",)
_RESTRICTED = ("insufficient permissions", "missing scopes", "ip is not authorized", "ip_not_authorized")
_BLOCKED = frozenset({"account_deactivated", "organization_deactivated", "access_terminated", "billing_not_active"})


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the key."""
    url = f"{reading.under(probe.base_url, '/v1')}/models"
    return await reading.ask_each(probe, session, NAMES, reading.bearer(url), read)


def read(answer: Answer) -> Said | None:
    """What the list of models, or OpenAI's error in its place, says."""
    if answer.status == 200:
        return _good(answer)
    error = reading.at(answer.data, "error")
    words, code = reading.text(error, "message").lower(), reading.text(error, "code")
    if answer.status not in {401, 403} or not (words and reading.text(error, "type")):
        return None
    if code in _BLOCKED or "deactivated" in words:
        return Said(Verdict.BLOCKED, reading.fact(code) or "the account is deactivated")
    if "expired" in words:
        return Said(Verdict.EXPIRED, f"the key has expired ({answer.status})")
    if code in {"insufficient_scope", "ip_not_authorized"} or any(sign in words for sign in _RESTRICTED):
        return Said(Verdict.VALID_LIMITED, "a restricted key: it may not list models")
    if code == "unsupported_country_region_territory":
        return Said(Verdict.UNKNOWN, "OpenAI does not answer from this country")
    return Said(Verdict.VALID_LIMITED, "the key may not list models (403)") if answer.status == 403 else None


def _good(answer: Answer) -> Said | None:
    models = reading.items(answer.data, "data")
    if reading.at(answer.data, "object") != "list" or models is None:
        return None
    if not all(reading.text(one, "id") and reading.at(one, "object") == "model" for one in models):
        return None
    identity = {"organization": answer.headers.get("openai-organization", ""), "models": str(len(models))}
    verdict = Verdict.VALID if models else Verdict.VALID_LIMITED
    return Said(verdict, "" if models else "no model is open to it", identity)
