"""Signing in without a stored token: GitHub's endpoint for identity tokens, and their exchange for access tokens.

Tokens are signed with a secret of this process (HS256), which is enough where both sides are doubles.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from sophiactl.testing.web_server import Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sophiactl.testing.web_server import Seen

ISSUER = "https://token.actions.githubusercontent.com"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a type, not a token
_KINDS = {f"urn:pulumi:token-type:access_token:{kind}": kind for kind in ("organization", "team", "personal")}
_SCOPES = {"team": "team:", "personal": "user:"}
_LIFETIME = 7200
_LONGEST = 86_400


class Refused(Exception):
    """An exchange that is not made: `code` as OAuth names it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Identities:
    """Issues identity tokens, and exchanges them. `subject` is the workflow that runs."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.subject = "repo:acme/sophia:ref:refs/heads/main"
        self.request_token = secrets.token_hex(20)
        self._now = now
        self._key = secrets.token_bytes(32)
        self._trusted: dict[str, list[str]] = {}

    def trust(self, organization: str, subject: str) -> None:
        """Let workflows whose subject matches (`repo:acme/*:*`) sign in to an organization."""
        self._trusted.setdefault(organization, []).append(subject)

    def sign(self, audience: str, *, subject: str | None = None, lifetime: float = 300, **claims: Any) -> str:
        """An identity token; `claims` replace the usual ones."""
        now = self._now().timestamp()
        body = {
            "iss": ISSUER,
            "sub": subject or self.subject,
            "aud": audience,
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + lifetime),
            "jti": secrets.token_hex(8),
            **claims,
        }
        signed = f"{_packed({'alg': 'HS256', 'typ': 'JWT'})}.{_packed(body)}"
        return f"{signed}.{self._signature(signed)}"

    def issue(self, seen: Seen) -> Reply:
        """What GitHub's endpoint answers."""
        if seen.headers.get("authorization", "").lower() != f"bearer {self.request_token}":
            return Reply.json({"message": "Bad credentials"}, 401)
        return Reply.json({"value": self.sign(seen.query.get("audience") or "https://github.com/acme")})

    def exchange(self, seen: Seen) -> tuple[str, str, timedelta, str]:
        """Organization, login, lifetime and type of the token that an identity token is good for. Raises `Refused`."""
        asked = _fields(seen)
        if asked.get("grant_type") != GRANT:
            raise Refused("unsupported_grant_type", "the grant type is not token exchange")
        kind = asked.get("requested_token_type", "")
        if asked.get("subject_token_type") != ID_TOKEN or kind not in _KINDS:
            raise Refused("invalid_request", "the type of a token is not supported")
        audience = asked.get("audience", "")
        organization = audience.removeprefix("urn:pulumi:org:")
        if not organization or organization == audience:
            raise Refused("invalid_target", "the audience names no organization")
        prefix = _SCOPES.get(_KINDS[kind], "")
        scope = asked.get("scope", "")
        if not scope.startswith(prefix) or (prefix and scope == prefix):
            raise Refused("invalid_scope", f"the scope must be {prefix}NAME")
        subject = self._subject(asked.get("subject_token", ""), audience)
        if not any(fnmatch.fnmatchcase(subject, pattern) for pattern in self._trusted.get(organization, ())):
            raise Refused("invalid_grant", "no policy of the organization allows this subject")
        lifetime = _seconds(asked.get("expiration", str(_LIFETIME)))
        return organization, scope.partition(":")[2] or organization, lifetime, kind

    def _subject(self, token: str, audience: str) -> str:
        signed, _, signature = token.rpartition(".")
        if not signed or not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            raise Refused("invalid_grant", "the identity token's signature does not hold")
        claims = msgspec.json.decode(_unpacked(signed.partition(".")[2]), type=dict[str, Any])
        if claims.get("iss") != ISSUER:
            raise Refused("invalid_grant", "the identity token has another issuer")
        if claims.get("aud") != audience:
            raise Refused("invalid_grant", "the identity token is for another audience")
        if not claims.get("nbf", 0) <= self._now().timestamp() < claims.get("exp", 0):
            raise Refused("invalid_grant", "the identity token has expired")
        return str(claims.get("sub", ""))

    def _signature(self, signed: str) -> str:
        return _text(hmac.new(self._key, signed.encode(), hashlib.sha256).digest())


def _fields(seen: Seen) -> dict[str, str]:
    """A form or a JSON object."""
    if "json" in seen.headers.get("content-type", ""):
        try:
            body = msgspec.json.decode(seen.body, type=dict[str, str | int])
        except msgspec.DecodeError:
            raise Refused("invalid_request", "the body is no object of texts") from None
        return {name: str(value) for name, value in body.items()}
    return dict(parse_qsl(seen.body.decode("utf-8", "replace")))


def _seconds(text: str) -> timedelta:
    if not text.isdecimal() or not 0 < int(text) <= _LONGEST:
        raise Refused("invalid_request", f"expiration must be 1 to {_LONGEST} seconds")
    return timedelta(seconds=int(text))


def _packed(value: dict[str, Any]) -> str:
    return _text(msgspec.json.encode(value))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
