"""What HubSpot's answers mean: which error each of them is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.connectors.errors import (
    KeyRefused,
    MissingScope,
    QuotaSpent,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.connectors.reading import items, mapping, text, usual
from sophiactl.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.web import WebAnswer

TOKEN = "HUBSPOT_ACCESS_TOKEN"  # noqa: S105 - the name of the secret
_KEY_HINT = f"set {TOKEN} to the access token of a private app (`sophiactl secrets set {TOKEN}`)"
_WINDOWS = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0}
"""Seconds that a policy counts over. HubSpot does not always send Retry-After: after that long the count is anew."""
_LOCKED = 2.0
"""Seconds between requests that HubSpot asks for while a record is locked (423)."""


def judge(answer: WebAnswer, value: Any) -> ServiceError | None:
    """The error that an answer is, None when it is good."""
    body = mapping(value)
    said = text(body.get("message"))
    if answer.status < 300:
        return _hidden_error(body, said)
    if answer.status == 401:
        return _refused(body, said)
    if answer.status == 403 and body:
        return _missing_scope(body, said)
    if answer.status == 429:
        return _too_fast(answer, body, said)
    return _own_status(answer) or usual("hubspot", answer, value, said)


def _own_status(answer: WebAnswer) -> ServiceError | None:
    """Statuses that HubSpot uses in a way of its own."""
    if answer.status == 530:
        hint = f"is {TOKEN} whole? It begins with `pat-` and a region. If it is, HubSpot fails: try later"
        return KeyRefused("hubspot cannot tell whose token this is (530)", service="hubspot", hint=hint)
    if answer.status == 477:
        hint = "HubSpot moves this account to another data centre, which may take a day: run it again then"
        return ServiceDown("hubspot is moving this account (477)", service="hubspot", hint=hint)
    if answer.status == 423:
        after = None if "retry-after" in answer.headers else _LOCKED
        return ServiceDown("hubspot keeps this locked for now (423)", service="hubspot", retry_after=after)
    if answer.status == 408:
        return ServiceDown("hubspot took too long (408)", service="hubspot")
    return None


def _hidden_error(body: dict[str, Any], said: str) -> ServiceError | None:
    """A 200 that says `status: error`."""
    if body.get("status") != "error":
        return None
    category = text(body.get("category")) or text(body.get("errorType"))
    if category in ("INVALID_AUTHENTICATION", "EXPIRED_AUTHENTICATION"):
        return _refused(body, said)
    if category == "MISSING_SCOPES":
        return _missing_scope(body, said)
    return ServiceDown(f"hubspot says that it failed{_shown(said)}", service="hubspot")


def _refused(body: dict[str, Any], said: str) -> ServiceError:
    if text(body.get("category")) == "EXPIRED_AUTHENTICATION" or "expired" in said.lower():
        return KeyRefused("hubspot says that the token has expired", service="hubspot", hint=_KEY_HINT)
    return KeyRefused(f"hubspot refused the token{_shown(said)}", service="hubspot", hint=_KEY_HINT)


def _missing_scope(body: dict[str, Any], said: str) -> ServiceError:
    scopes = sorted(set(_scopes(body)))
    if not scopes and text(body.get("category")) != "MISSING_SCOPES":
        return MissingScope(f"hubspot does not allow this{_shown(said)}", service="hubspot")
    named = REDACTOR.line(", ".join(scopes), 200) or "the read scopes of this kind of record"
    hint = f"give the private app {named}, then use its token again"
    return MissingScope("hubspot: the token lacks a scope for this", service="hubspot", hint=hint)


def _scopes(body: dict[str, Any]) -> Iterator[str]:
    """The scopes that are named anywhere in the error."""
    for place in (body, *items(body.get("errors"))):
        for name, value in mapping(place.get("context")).items():
            if "scope" in name.lower() and isinstance(value, list):
                yield from (text(scope) for scope in value if text(scope))


def _too_fast(answer: WebAnswer, body: dict[str, Any], said: str) -> ServiceError:
    policy = text(body.get("policyName")).upper()
    if policy == "DAILY" or (not policy and "daily limit" in said.lower()):
        hint = "the count begins anew at midnight, in the time zone of the account; run it again then"
        return QuotaSpent("hubspot gives nothing more today: its daily limit is reached", service="hubspot", hint=hint)
    after = None if "retry-after" in answer.headers else _window(policy, said)
    name = f" ({policy.lower()} limit)" if policy in _WINDOWS else ""
    return TooFast(f"hubspot was asked too fast{name}", service="hubspot", retry_after=after)


def _window(policy: str, said: str) -> float | None:
    """Seconds until the policy counts anew; None when it is not known which one it is."""
    if policy not in _WINDOWS:
        policy = next((name for name in reversed(_WINDOWS) if name.lower() in said.lower()), "")
    return _WINDOWS.get(policy)


def _shown(said: str) -> str:
    return f": {REDACTOR.line(said, 200)}" if said else ""
