"""Notion: the bot that the token belongs to (developers.notion.com, users/me and status codes)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebRequest, WebSession

NAMES = ("NOTION_API_KEY", "NOTION_INTEGRATION_TOKEN")
VERSION = "2025-09-03"


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the token; two when its two names hold different values."""

    def build(token: str) -> WebRequest:
        url = f"{reading.under(probe.base_url, '/v1')}/users/me"
        return reading.get(url, Authorization=f"Bearer {token}", Notion_Version=VERSION)

    return await reading.ask_each(probe, session, NAMES, build, read)


def read(answer: Answer) -> Said | None:
    """What the user, or Notion's error in its place, says."""
    data = answer.data
    if answer.status == 200:
        if reading.text(data, "object") != "user" or not reading.text(data, "id"):
            return None
        workspace = reading.text(data, "bot", "workspace_name")
        return Said(Verdict.VALID, "", {"bot": reading.text(data, "name"), "workspace": workspace})
    if answer.status == 403 and reading.text(data, "object") == "error" and reading.text(data, "code"):
        return Said(Verdict.VALID_LIMITED, f"refused with {reading.fact(reading.text(data, 'code'))}")
    return None
