"""A token of a few minutes for the identity that GitHub Actions gives a job: nothing is stored anywhere.

RFC 8693 at `/api/oauth/token`; the issuer has to be known to the organization, with a policy that matches the job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.errors import AuthError, ConfigError, SophiaError
from sophiactl.redaction import REDACTOR, Secret
from sophiactl.secrets.esc.failures import failure, is_page, not_json
from sophiactl.secrets.esc.tokens import checked_token
from sophiactl.web import WebAnswer, WebRequest

if TYPE_CHECKING:
    from sophiactl.secrets.esc.backend import Backend
    from sophiactl.secrets.esc.calls import Caller
    from sophiactl.secrets.esc.login import Identity

SHORTEST_S = 60
_PERMISSION = "grant the job `permissions: id-token: write`"
_POLICY = "add GitHub as an OIDC issuer of the organization, with a policy that matches this repository"


async def exchange(caller: Caller, identity: Identity, backend: Backend, lifetime: int) -> Secret:
    """An access token that lives `lifetime` seconds. Raises `AuthError` and the errors of `Caller`."""
    audience = f"urn:pulumi:org:{identity.organization}"
    proof = await _proof(caller, identity, audience)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": audience,
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "subject_token": proof.reveal(),
        "requested_token_type": f"urn:pulumi:token-type:access_token:{_kind(identity.scope)}",
        "expiration": str(max(lifetime, SHORTEST_S)),
    }
    if identity.scope:
        form["scope"] = identity.scope
    from urllib.parse import urlencode

    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    request = WebRequest("POST", f"{backend.url}/api/oauth/token", headers, urlencode(form).encode())
    answer = await caller.call(request, backend.host)
    if answer.status != 200:
        raise _refused(answer, identity, backend)
    text = _field(answer, "access_token")
    if not text:
        raise not_json(answer, "the exchange of the job's identity", backend.host)
    return checked_token(text, "the token that the exchange gave")[0]


async def _proof(caller: Caller, identity: Identity, audience: str) -> Secret:
    """The signed identity of the job, from the runner's own service."""
    from urllib.parse import quote, urlsplit

    try:
        host = urlsplit(identity.url).hostname or ""
    except ValueError:
        host = ""
    url = f"{identity.url}{'&' if '?' in identity.url else '?'}audience={quote(audience, safe='')}"
    key = checked_token(identity.token.reveal(), "ACTIONS_ID_TOKEN_REQUEST_TOKEN")[0]
    headers = {"Authorization": f"bearer {key.reveal()}", "Accept": "application/json"}
    answer = await caller.call(WebRequest("GET", url, headers), host)
    if answer.status in {401, 403} and not is_page(answer):
        raise AuthError(f"GitHub Actions does not tell who the job is ({answer.status})", hint=_PERMISSION)
    if answer.status != 200:
        raise failure(answer, "for the identity of the job", host)
    text = _field(answer, "value")
    if not text or not text.isprintable() or not text.isascii():
        raise not_json(answer, "for the identity of the job", host)
    return Secret(text)


def _kind(scope: str) -> str:
    if not scope:
        return "organization"
    kind, _, name = scope.partition(":")
    if kind not in {"team", "user"} or not name:
        raise ConfigError(f"secrets.esc.oidc_scope is {scope!r}", hint="team:NAME, user:NAME, or nothing")
    return "team" if kind == "team" else "personal"


def _refused(answer: WebAnswer, identity: Identity, backend: Backend) -> SophiaError:
    if answer.status not in {400, 401, 403, 404} or is_page(answer):
        return failure(answer, "the exchange of the job's identity", backend.host)
    said = _field(answer, "error_description") or _field(answer, "message") or _field(answer, "error")
    reason = f": {REDACTOR.line(said, 200)}" if said else ""
    return AuthError(
        f"{backend.host} gives no token for {identity.organization} to this job ({answer.status}){reason}", hint=_POLICY
    )


def _field(answer: WebAnswer, name: str) -> str:
    body = answer.json()
    found = body.get(name) if isinstance(body, dict) else None
    return found if isinstance(found, str) else ""
