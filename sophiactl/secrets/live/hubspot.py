"""HubSpot: what a private app's token may do, or whose account an OAuth token is for.

The token goes in the body and as a bearer: other regions than na1 want both. It is never put in a URL. A 403 counts
only with HubSpot's `correlationId`; its firewall answers 403 to any string.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said
from sophiactl.web import WebRequest

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

NAMES = ("HUBSPOT_ACCESS_TOKEN",)


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the access token."""

    def build(token: str) -> WebRequest:
        if re.fullmatch(r"C[A-Za-z0-9_-]{50,}", token):  # of OAuth: not known to the call for private apps
            return reading.bearer(f"{probe.base_url}/account-info/v3/details")(token)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}
        body = msgspec.json.encode({"tokenKey": token}) if token.isprintable() else b"{}"
        return WebRequest("POST", f"{probe.base_url}/oauth/v2/private-apps/get/access-token-info", headers, body)

    return await reading.ask_each(probe, session, NAMES, build, read)


def read(answer: Answer) -> Said | None:
    """What the token's description, or HubSpot's error in its place, says."""
    data = answer.data
    if answer.status == 200:
        hub, account = reading.number(data, "hubId"), reading.number(data, "portalId")
        whose = [reading.number(data, name) for name in ("appId", "userId")]
        if hub is not None and (any(one is not None for one in whose) or reading.items(data, "scopes") is not None):
            return Said(Verdict.VALID, "", {"hub": f"{hub:.0f}"}, reading.texts(data, "scopes"))
        if account is not None and reading.text(data, "uiDomain"):
            return Said(Verdict.VALID, "", {"hub": f"{account:.0f}"})
        return None
    if not reading.text(data, "correlationId"):
        return None
    category = reading.text(data, "category")
    if answer.status == 403:
        return Said(Verdict.VALID_LIMITED, f"refused with {reading.fact(category) or '403'}: scopes are missing")
    if answer.status == 401 and category == "EXPIRED_AUTHENTICATION":
        # Of a token that it cannot read at all HubSpot says that it expired in 1970.
        never = any(stamp.startswith("1970") for stamp in reading.texts(data, "context", "expire time"))
        return Said(Verdict.INVALID if never else Verdict.EXPIRED, "refused with EXPIRED_AUTHENTICATION")
    return None
