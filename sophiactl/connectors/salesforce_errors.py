"""What Salesforce's errors mean: a list of `{message, errorCode}` from the API, an object from its login. Pure.

Facts: REST API Developer Guide, "Status Codes and Error Responses"; "OAuth 2.0 Client Credentials Flow".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.connectors.errors import (
    BadQuery,
    ItemGone,
    KeyRefused,
    Malformed,
    MissingScope,
    QuotaSpent,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.connectors.reading import items, mapping, text, usual
from sophiactl.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.web import WebAnswer

SERVICE = "salesforce"
_KINDS: Mapping[str, type[ServiceError]] = {
    **dict.fromkeys(("INVALID_SESSION_ID", "INVALID_AUTH_HEADER", "INVALID_LOGIN"), KeyRefused),
    **dict.fromkeys(("SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "UNKNOWN_EXCEPTION", "UNABLE_TO_LOCK_ROW"), ServiceDown),
    **dict.fromkeys(("NOT_FOUND", "ENTITY_IS_DELETED"), ItemGone),
    **dict.fromkeys(
        ("INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY", "FUNCTIONALITY_NOT_ENABLED"), MissingScope
    ),
    **dict.fromkeys(("API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED"), MissingScope),
}
_FOR_ALL = ("API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED")
_HINTS = {
    "API_DISABLED_FOR_ORG": "give the user the permission `API Enabled`, in an edition of Salesforce that has the API",
    "INVALID_SESSION_ID": (
        "the session has ended, or lacks the scope `api`: set SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET, which "
        "make new ones, or a new SALESFORCE_OAUTH_TOKEN"
    ),
}
_DOMAIN = "set SALESFORCE_INSTANCE_URL to your My Domain: https://NAME.my.salesforce.com"
_LOGIN_HINTS = (
    ("no client credentials user", "choose a user to run as in the app's client credentials flow, in Salesforce"),
    ("not supported on this domain", _DOMAIN),
    ("not enabled", "enable the client credentials flow for the app, in Salesforce"),
    ("unsupported_grant_type", "enable the client credentials flow for the app, in Salesforce"),
    ("expired access/refresh token", "the refresh token was revoked: use SALESFORCE_CLIENT_SECRET instead"),
    ("inactive", "the user or the organisation is not active"),
)
_LOGIN_LATER = ("server_error", "temporarily_unavailable", "unknown_error")


class Refused(BadQuery):
    """Salesforce did not take a request; `said` is its code (`INVALID_FIELD`), `words` its message, whole."""

    said: str = ""
    words: str = ""


def judge(answer: WebAnswer, value: Any) -> ServiceError | None:
    """The error that an answer of the API is, None when it is good."""
    if answer.status < 300:
        return None
    first = next(iter(items(value)), None) or mapping(value)
    code, words = text(first.get("errorCode")), text(first.get("message"))
    shown = ": ".join(filter(None, (code, " ".join(words.split())))) or _bare(answer, value)
    if code == "REQUEST_LIMIT_EXCEEDED":
        return _limit(shown, words)
    if code in _KINDS:
        line = f"{SERVICE} answered {answer.status}: {REDACTOR.line(shown, 300)}"
        known = _KINDS[code](line, service=SERVICE, hint=_HINTS.get(code))
        known.stop = known.stop or code in _FOR_ALL
        return known
    if not code and answer.status == 403 and shown:
        return MissingScope(f"{SERVICE} answered 403: {REDACTOR.line(shown, 200)}", service=SERVICE)
    error = usual(SERVICE, answer, value, shown)
    if isinstance(error, BadQuery):
        refused = Refused(error.message, service=SERVICE, hint=_HINTS.get(code))
        refused.said, refused.words = code, words
        return refused
    return error


def _bare(answer: WebAnswer, value: Any) -> str:
    """The plain words of userinfo (`Bad_OAuth_Token`), which come as HTML that holds none."""
    if isinstance(value, dict | list) or len(answer.body) > 100 or b"<" in answer.body:
        return ""
    return answer.body.decode("utf-8", "replace").strip()


def _limit(shown: str, words: str) -> ServiceError:
    """The calls of 24 hours are spent; or too many run at the same time, which is over in a moment."""
    line = f"{SERVICE} gives no more for now: {REDACTOR.line(shown, 200)}"
    if words.lower().startswith("concurrent"):
        return TooFast(line, service=SERVICE)
    return QuotaSpent(
        line,
        service=SERVICE,
        hint="calls of the last 24 hours count for all programs together; a sync goes on where it was, later",
    )


def judge_login(answer: WebAnswer, value: Any) -> ServiceError | None:
    """The error that an answer of the login is, None when it is good."""
    if answer.status < 300:
        if text(mapping(value).get("access_token")):
            return None
        return Malformed(f"{SERVICE} gave no token at its login", service=SERVICE, hint=_DOMAIN)
    said = mapping(value)
    code, words = text(said.get("error")), text(said.get("error_description"))
    shown = REDACTOR.line(": ".join(filter(None, (code, words))), 200)
    if not code:
        error = usual(SERVICE, answer, value, shown)
        if isinstance(error, Malformed | BadQuery | ItemGone):
            return Malformed(f"{error.message}, at the login", service=SERVICE, hint=_DOMAIN)
        return error
    if "rate exceeded" in words.lower():
        return TooFast(f"{SERVICE} was logged in to too often: {shown}", service=SERVICE)
    if code in _LOGIN_LATER or answer.status >= 500:
        return ServiceDown(f"{SERVICE} failed at the login ({answer.status}: {shown})", service=SERVICE)
    told = f"{code} {words}".lower()
    hint = next((hint for part, hint in _LOGIN_HINTS if part in told), None)
    return KeyRefused(f"{SERVICE} refused the login: {shown}", service=SERVICE, hint=hint)
