"""Salesforce: client id and secret make a token, an OAuth token says whose it is; always at the company's own domain.

`invalid_grant` and its like mean that the flow is not set up, which says nothing about the secret. Userinfo refuses in
plain words, with the media type of a web page (REST API Developer Guide, identity URLs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.redaction import Secret
from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said
from sophiactl.web import WebRequest

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

INSTANCE, ID, SECRET = "SALESFORCE_INSTANCE_URL", "SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"
TOKEN = "SALESFORCE_OAUTH_TOKEN"  # noqa: S105 - a name
_NO_CLIENT = frozenset({"invalid_client", "invalid_client_id", "invalid_client_credentials"})
_BLOCKED = frozenset({"inactive_user", "inactive_org", "app_blocked", "Inactive_User", "Inactive_Org", "Inactive"})
_REFUSED = frozenset({"Bad_OAuth_Token", "Wrong_Org", "Bad_Id"})


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check of the client's id and secret, one of the OAuth token: of what is there."""
    base = reading.address(probe, INSTANCE)
    client = tuple(name for name in (ID, SECRET) if reading.value(probe, name))
    if not base:
        return reading.skipped(probe, client or (TOKEN,), f"there is no {INSTANCE}")
    asked = []
    if len(client) == 2:
        asked.append(_client(probe, session, base))
    if token := reading.value(probe, TOKEN):
        request = reading.bearer(f"{base}/services/oauth2/userinfo")(token.reveal())
        asked.append(reading.ask(probe, session, (TOKEN,), request, read_user, hosts=reading.hosts(probe)))
    if not asked:
        return reading.skipped(probe, client or (INSTANCE,), f"there are not both of {ID} and {SECRET}, nor {TOKEN}")
    return await reading.together(*asked)


async def _client(probe: Probe, session: WebSession, base: str) -> Check:
    from urllib.parse import urlencode

    pair = {"client_id": probe.values[ID].reveal(), "client_secret": probe.values[SECRET].reveal()}
    form = urlencode({"grant_type": "client_credentials", **pair}, errors="surrogatepass").encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    request = WebRequest("POST", f"{base}/services/oauth2/token", headers, form)
    return await reading.ask(probe, session, (ID, SECRET), request, read_client, hosts=reading.hosts(probe))


def read_client(answer: Answer) -> Said | None:
    """What came back for id and secret; the new token itself is only made known to the redactor."""
    data = answer.data
    if answer.status == 200:
        token, instance = reading.text(data, "access_token"), reading.text(data, "instance_url")
        if not (token and instance and reading.text(data, "token_type")):
            return None
        Secret(token)
        scopes = tuple(reading.text(data, "scope").split())
        return Said(Verdict.VALID, "", {"instance": reading.host_of(instance)}, scopes)
    code = reading.text(data, "error")
    if answer.status not in {400, 401, 403} or not code:
        return None
    if code in _NO_CLIENT:
        return Said(Verdict.INVALID, code)
    if code in _BLOCKED:
        return Said(Verdict.BLOCKED, code)
    return Said(Verdict.UNKNOWN, f"{reading.fact(code)}: the client credentials flow is not set up there")


def read_user(answer: Answer) -> Said | None:
    """What userinfo, or Salesforce's refusal in its place, says of an OAuth token."""
    data = answer.data
    if answer.status == 200:
        user, org = reading.text(data, "user_id"), reading.text(data, "organization_id")
        if not (user and org):
            return None
        name = reading.text(data, "preferred_username") or user
        if reading.at(data, "active") is False:
            return Said(Verdict.BLOCKED, "the user is not active", {"user": name, "organization": org})
        return Said(Verdict.VALID, "", {"user": name, "organization": org})
    word = answer.text
    if word in _REFUSED:
        return Said(Verdict.INVALID, f"{word}: expired, revoked, or of another organization")
    if word in _BLOCKED:
        return Said(Verdict.BLOCKED, word)
    errors = data if isinstance(data, list) else []
    codes = [code for one in errors if (code := reading.text(one, "errorCode"))]
    if not codes:
        return None
    words = " ".join(reading.text(one, "message") for one in errors).lower()
    if answer.status == 401 and "not valid for use with the rest api" in words:
        return Said(Verdict.VALID_LIMITED, "the scope api is missing")
    return Said(Verdict.VALID_LIMITED, f"refused with {reading.fact(codes[0])}") if answer.status == 403 else None
