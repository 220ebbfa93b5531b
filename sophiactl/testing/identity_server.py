"""The identity endpoints of all vendors that speak HTTP, on loopback, each below a path of its own.

    with IdentityServer() as server:
        server.url("slack")                          # a base URL for Slack's verifier
        server.values("slack")                       # secrets that the double takes; it refuses all others
        server.says["notion"] = Reply.html(403)      # what Notion answers from now on
        server.delay = 0.2                           # seconds that everybody takes

What it takes and says is in `identity_answers`; PostgreSQL has a double of its own, `identity_postgresql`.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec

from sophiactl.testing.identity_answers import VENDORS, Call
from sophiactl.testing.web_server import Reply, Seen, WebServer

if TYPE_CHECKING:
    import ssl

OAUTH_CLIENT = {"SALESFORCE_CLIENT_ID": "3MVG9" + "a" * 80, "SALESFORCE_CLIENT_SECRET": "F" * 64}


class IdentityServer(WebServer):
    """The double; `says` replaces the answer of a vendor, by its name, whatever it is asked."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.says: dict[str, Reply] = {}
        self.delay = 0.0

    def url(self, service: str) -> str:
        """Where a vendor's verifier asks."""
        return f"{self.base_url}/{service}"

    def values(self, service: str) -> dict[str, str]:
        """The secrets that a vendor takes, with this server's address among them where the vendor has none."""
        address = {"qdrant": "QDRANT_URL", "salesforce": "SALESFORCE_INSTANCE_URL"}.get(service)
        return {**VENDORS[service].values, **({address: self.url(service)} if address else {})}

    def answer(self, seen: Seen) -> Reply:
        """The vendor's answer."""
        service, _, rest = seen.path.lstrip("/").partition("/")
        reply = self.says.get(service) or _honest(service, seen, f"/{rest}")
        return Reply(reply.status, reply.body, reply.headers, reply.delay + self.delay, reply.ending)


def _honest(service: str, seen: Seen, path: str) -> Reply:
    vendor = VENDORS.get(service)
    if vendor is None:
        return Reply(404, b"Not Found")
    call = next((call for call in vendor.calls if (call.method, call.path) == (seen.method, path)), None)
    if call is None:
        return Reply(404, b"Not Found")
    return call.good if _takes(call, seen, {**vendor.values, **OAUTH_CLIENT}) else call.refused


def _takes(call: Call, seen: Seen, values: dict[str, str]) -> bool:
    wanted = call.form.format_map(values)
    if not call.header:
        return wanted in parse_qs(seen.body.decode()).get("client_secret", [])
    if wanted.startswith("Basic "):
        wanted = f"Basic {b64encode(wanted[6:].encode()).decode()}"
    if call.path.endswith("/access-token-info") and not _names_its_token(seen, wanted):
        return False
    return seen.headers.get(call.header) == wanted


def _names_its_token(seen: Seen, wanted: str) -> bool:
    """HubSpot wants the token in the body too."""
    try:
        return bool(seen.json()["tokenKey"] == wanted.removeprefix("Bearer "))
    except (msgspec.DecodeError, KeyError, TypeError):
        return False
