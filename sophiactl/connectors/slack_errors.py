"""What Slack's error words mean. Nearly every answer is HTTP 200: what counts is `ok` and the word in `error`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.connectors.errors import (
    BadQuery,
    ItemGone,
    KeyRefused,
    Malformed,
    MissingScope,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.connectors.reading import text, usual
from sophiactl.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.web import WebAnswer

SERVICE = "slack"
_WORDS: Mapping[type[ServiceError], tuple[str, ...]] = {
    KeyRefused: (
        *("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "invalid_token"),
        *("team_disabled", "two_factor_setup_required"),
    ),
    MissingScope: (
        *("missing_scope", "not_allowed_token_type", "no_permission", "team_access_not_granted", "access_denied"),
        *("accesslimited", "restricted_action", "user_is_restricted", "user_is_bot", "not_allowed"),
        *("ekm_access_denied", "enterprise_is_restricted", "feature_not_enabled", "assistant_search_context_disabled"),
    ),
    ItemGone: (
        *("channel_not_found", "not_in_channel", "thread_not_found", "message_not_found", "user_not_found"),
        *("users_not_found", "user_not_visible", "team_not_found", "is_archived"),
    ),
    TooFast: ("ratelimited", "rate_limited"),
    ServiceDown: (
        *("fatal_error", "internal_error", "service_unavailable", "request_timeout", "timeout", "backend_error"),
        *("team_added_to_org", "org_login_required", "upstream_error", "temporarily_unavailable"),
    ),
}
_KINDS = {word: kind for kind, words in _WORDS.items() for word in words}
_HINTS = {
    "not_in_channel": "invite the bot to the channel: /invite @its-name",
    "account_inactive": "the user or bot behind the token was deactivated: install the app again",
    "token_expired": "the token is one that is rotated: use one that is not, or renew it",
    "team_access_not_granted": "an organisation's admin has to add the app to this workspace",
}


def judge(answer: WebAnswer, value: Any, secret: str) -> ServiceError | None:
    """The error that an answer is, None when it is good; `secret` names the token that was sent."""
    if answer.status < 300 and not isinstance(value, dict):
        return None if value is None else Malformed("slack answered with something that is no object", service=SERVICE)
    body = value if isinstance(value, dict) else {}
    if answer.status < 300 and body.get("ok") is True:
        return None
    word = text(body.get("error"))
    kind = _KINDS.get(word)
    if answer.status >= 300 and kind is None:
        return usual(SERVICE, answer, value, word)
    if kind is not None:
        return _named(kind, word, body, secret)
    if "ok" not in body:
        return Malformed("slack answered without saying whether all is well", service=SERVICE)
    if not word:
        return ServiceDown("slack failed and gave no reason", service=SERVICE)
    # A word that nobody knows is about the request: it would be refused again, and other calls may do well.
    hint = "look the word up at docs.slack.dev/reference/methods"
    return BadQuery(f"slack refused the request: {REDACTOR.line(word, 100)}", service=SERVICE, hint=hint)


def _named(kind: type[ServiceError], word: str, body: dict[str, Any], secret: str) -> ServiceError:
    hint = _HINTS.get(word)
    if kind is KeyRefused:
        hint = hint or "`sophiactl secrets validate slack --live` says more; make a new token at api.slack.com/apps"
        return kind(f"slack refused {secret}: {word}", service=SERVICE, hint=hint)
    if word == "missing_scope":
        return _missing_scope(body, secret)
    if kind is MissingScope:
        return kind(f"slack does not let {secret} do this: {word}", service=SERVICE, hint=hint)
    return kind(f"slack says {word}", service=SERVICE, hint=hint)


def _missing_scope(body: dict[str, Any], secret: str) -> ServiceError:
    needed = REDACTOR.line(text(body.get("needed")), 200)
    provided = REDACTOR.line(text(body.get("provided")), 300)
    hint = f"add {needed or 'the scope'} to the app at api.slack.com/apps and install it again"
    if provided:
        hint += f"; it has {provided}"
    return MissingScope(f"{secret} lacks the scope {needed or 'that slack asks for'}", service=SERVICE, hint=hint)
