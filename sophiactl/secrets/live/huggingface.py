"""Hugging Face: whose token it is and what role it has (whoami-v2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_KINDS = frozenset({"user", "org", "app"})
_ABOUT_THE_TOKEN = ("token", "permission", "scope", "role")


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the token."""
    url = f"{reading.under(probe.base_url, '/api')}/whoami-v2"
    return await reading.ask_each(probe, session, NAMES, reading.bearer(url), read)


def read(answer: Answer) -> Said | None:
    """What the account, or the Hub's error in its place, says."""
    data = answer.data
    if answer.status == 200:
        name = reading.text(data, "name")
        if not name or reading.text(data, "type") not in _KINDS:
            return None
        role = reading.text(data, "auth", "accessToken", "role")
        ends = reading.stamp(reading.text(data, "auth", "expiresAt"))
        return Said(Verdict.VALID, "", {"account": name, "role": role}, (), ends)
    words = (answer.headers.get("x-error-message") or reading.text(data, "error")).lower()
    if answer.status == 401 and "expired" in words:
        return Said(Verdict.EXPIRED, "the token has expired (401)")
    limited = answer.status == 403 and any(sign in words for sign in _ABOUT_THE_TOKEN)
    return Said(Verdict.VALID_LIMITED, "the token may not do this (403)") if limited else None
