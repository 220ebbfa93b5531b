"""xAI: what the key may do, and whether it or its team is blocked: a blocked key is answered with 200 too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

NAMES = ("XAI_API_KEY",)
_FLAGS = ("api_key_blocked", "api_key_disabled", "team_blocked")


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the key."""
    url = f"{reading.under(probe.base_url, '/v1')}/api-key"
    return await reading.ask_each(probe, session, NAMES, reading.bearer(url), read)


def read(answer: Answer) -> Said | None:
    """What the key's description, or xAI's error in its place, says."""
    if answer.status == 200:
        return _described(answer)
    words, code = reading.text(answer.data, "error").lower(), reading.text(answer.data, "code")
    if not (words and code):
        return None
    if answer.status == 403:
        blocked = "blocked" in words or "disabled" in words
        note = "the key or its team is blocked (403)" if blocked else "the key may not do this (403)"
        return Said(Verdict.BLOCKED if blocked else Verdict.VALID_LIMITED, note)
    return Said(Verdict.INVALID, "xAI refuses the key (400)") if answer.status == 400 else None


def _described(answer: Answer) -> Said | None:
    data = answer.data
    if not (reading.text(data, "api_key_id") or reading.text(data, "redacted_api_key")):
        return None
    flags = {flag: reading.at(data, flag) for flag in _FLAGS}
    raised = [flag for flag, up in flags.items() if up is True]
    identity = {"name": reading.text(data, "name"), "team": reading.text(data, "team_id")}
    scopes = reading.texts(data, "acls")
    if raised:
        return Said(Verdict.BLOCKED, ", ".join(raised), identity, scopes)
    if not all(up is False for up in flags.values()):
        return Said(Verdict.UNKNOWN, "the answer does not say whether the key is blocked")
    if reading.items(data, "acls") == []:
        return Said(Verdict.VALID_LIMITED, "it may do nothing: its list of rights is empty", identity)
    return Said(Verdict.VALID, "", identity, scopes)
