"""Pulumi: whose access token it is (`GET /api/user`; the word before the token is `token`, not `Bearer`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said
from sophiactl.web import WebRequest

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

NAMES = ("PULUMI_ACCESS_TOKEN",)


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the access token."""

    def build(token: str) -> WebRequest:
        headers = {"Accept": "application/vnd.pulumi+8", "Content-Type": "application/json"}
        return WebRequest("GET", f"{probe.base_url}/api/user", {**headers, "Authorization": f"token {token}"})

    return await reading.ask_each(probe, session, NAMES, build, read)


def read(answer: Answer) -> Said | None:
    """What the user, or Pulumi's error in its place, says."""
    data = answer.data
    if answer.status == 200:
        login = reading.text(data, "githubLogin")
        info, organizations = reading.at(data, "tokenInfo"), reading.items(data, "organizations")
        if not login or not (isinstance(info, dict) or organizations is not None):
            return None
        named = ", ".join(filter(None, (reading.text(one, "githubLogin") for one in (organizations or ())[:5])))
        return Said(Verdict.VALID, "", {"user": login, "organizations": named, "token": reading.text(info, "name")})
    words = reading.text(data, "message")
    if reading.number(data, "code") != answer.status or not words:
        return None
    if answer.status == 401 and "expired" in words.lower():
        return Said(Verdict.EXPIRED, "the token has expired (401)")
    return Said(Verdict.VALID_LIMITED, "the token may not do this (403)") if answer.status == 403 else None
