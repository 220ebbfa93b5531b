"""Figma: whose token it is. It answers 403 to a wrong token and to a missing scope alike, told apart by its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebRequest, WebSession

NAMES = ("FIGMA_ACCESS_TOKEN", "FIGMA_TOKEN", "FIGMA_API_KEY")


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the personal access token."""

    def build(token: str) -> WebRequest:
        return reading.get(f"{reading.under(probe.base_url, '/v1')}/me", X_Figma_Token=token)

    return await reading.ask_each(probe, session, NAMES, build, read)


def read(answer: Answer) -> Said | None:
    """What the user, or Figma's error in its place, says."""
    data = answer.data
    if answer.status == 200:
        name = reading.text(data, "handle")
        return Said(Verdict.VALID, "", {"user": name}) if reading.text(data, "id") and name else None
    if answer.status not in {401, 403} or reading.at(data, "status") != answer.status:
        return None
    words = (reading.text(data, "err") or reading.text(data, "message")).lower()
    if "expired" in words:
        return Said(Verdict.EXPIRED, f"the token has expired ({answer.status})")
    if "scope" in words:
        return Said(Verdict.VALID_LIMITED, "the scope current_user:read is missing")
    return Said(Verdict.INVALID, f"the token is refused ({answer.status})") if "token" in words else None
