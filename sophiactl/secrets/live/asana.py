"""Asana: whose token it is, and in which workspaces (users/me)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

NAMES = ("ASANA_ACCESS_TOKEN",)


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the access token."""
    url = f"{reading.under(probe.base_url, '/api/1.0')}/users/me"
    return await reading.ask_each(probe, session, NAMES, reading.bearer(url), read)


def read(answer: Answer) -> Said | None:
    """What the user, or Asana's errors in its place, say."""
    user = reading.at(answer.data, "data")
    if answer.status == 200:
        named = reading.text(user, "name") or reading.text(user, "email")
        if not (reading.text(user, "gid") and (named or reading.text(user, "resource_type") == "user")):
            return None
        places = ", ".join(filter(None, (reading.text(one, "name") for one in reading.items(user, "workspaces") or ())))
        return Said(Verdict.VALID, "", {"user": named, "workspaces": places})
    words = [reading.text(one, "message") for one in reading.items(answer.data, "errors") or ()]
    if answer.status == 401 and any("expired" in word for word in words):
        return Said(Verdict.EXPIRED, "the token has expired (401)")
    if answer.status == 403 and any(words):
        return Said(Verdict.VALID_LIMITED, "the token may not do this (403)")
    return None
