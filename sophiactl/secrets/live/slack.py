"""Slack. Nearly every answer is HTTP 200: what counts is `ok` and the code in `error` (docs.slack.dev, auth.test).

Bot, user and app tokens are shown to `auth.test`, which does nothing and needs no scope. A webhook can only be posted
to, and `apps.connections.open` makes a ticket: both only when side effects are wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Answer, Said
from sophiactl.web import WebRequest

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.web import WebSession

TOKENS = ("SLACK_BOT_TOKEN", "SLACK_USER_TOKEN")
APP_TOKEN, WEBHOOK = "SLACK_APP_TOKEN", "SLACK_WEBHOOK_URL"
_REFUSED = frozenset({"invalid_auth", "not_authed", "token_revoked", "account_inactive", "invalid_token"})
_BLOCKED = frozenset({"ekm_access_denied", "enterprise_is_restricted", "two_factor_setup_required", "team_disabled"})
_LIMITED = frozenset({"missing_scope", "no_permission", "team_access_not_granted"})
_NOT_POSTED = frozenset({"invalid_payload", "no_text", "missing_text_or_fallback_or_attachments"})
_HOOK_DEAD = frozenset({"invalid_token", "no_service", "no_service_id", "no_team", "no_active_hooks", "user_not_found"})
_HOOK_LIMITED = frozenset(
    {"action_prohibited", "channel_not_found", "channel_is_archived", "posting_to_general_channel_denied"}
)


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:
    """One check for each token, and for the webhook."""
    present = [name for name in (*TOKENS, APP_TOKEN, WEBHOOK) if reading.value(probe, name)]
    if not present:
        return reading.skipped(probe, TOKENS[:1], f"there is no {TOKENS[0]}")
    made = await reading.together(*(_ASKED.get(name, _token)(probe, session, name) for name in present))
    return tuple(made)


async def _token(probe: Probe, session: WebSession, name: str) -> Check:
    return await reading.ask(probe, session, (name,), _call(probe, "auth.test", name), read_token)


async def _app(probe: Probe, session: WebSession, name: str) -> Check:
    """The token of an app; where `auth.test` does not take its kind, only a connection would tell."""
    said = await reading.ask(probe, session, (name,), _call(probe, "auth.test", name), read_app)
    if said.verdict is not Verdict.SKIPPED or not probe.side_effects:
        return said
    return await reading.ask(probe, session, (name,), _call(probe, "apps.connections.open", name), read_connection)


async def _webhook(probe: Probe, session: WebSession, name: str) -> Check:
    """Posts what Slack cannot read: a webhook that lives says so, and nothing appears in the channel."""
    url = probe.values[name].reveal().strip()
    path = urlsplit(url).path
    if not probe.side_effects:
        return reading.skipped(probe, (name,), "a webhook is checked by posting to it: only when asked for")[0]
    if not path.startswith("/services/"):
        return reading.skipped(probe, (name,), "this kind of webhook cannot be checked without starting its workflow")[
            0
        ]
    request = WebRequest(
        "POST",
        f"{probe.base_url.removesuffix('/api')}{path}" if probe.fixed else url,
        {"Content-Type": "application/json"},
        b"{",
    )
    return await reading.ask(probe, session, (name,), request, read_webhook, hosts=reading.hosts(probe))


_ASKED = {APP_TOKEN: _app, WEBHOOK: _webhook}


def _call(probe: Probe, method: str, name: str) -> WebRequest:
    headers = {"Authorization": f"Bearer {probe.values[name].reveal()}"}
    return WebRequest("POST", f"{reading.under(probe.base_url, '/api')}/{method}", headers, b"")


def read_token(answer: Answer) -> Said | None:
    """What `auth.test` says of a bot's or a user's token."""
    data = answer.data
    if answer.status != 200 or reading.at(data, "ok") is not True:
        return _refusal(answer)
    if not (reading.text(data, "team_id") and reading.text(data, "user_id")):
        return None
    identity = {"workspace": reading.text(data, "team"), "user": reading.text(data, "user")}
    return _good(answer, identity | {"team_id": reading.text(data, "team_id")})


def read_app(answer: Answer) -> Said | None:
    """What `auth.test` says of an app's token; SKIPPED where it does not take that kind."""
    data = answer.data
    if answer.status == 200 and reading.at(data, "ok") is True:
        identity = {"app": reading.text(data, "app_name"), "app_id": reading.text(data, "app_id")}
        return _good(answer, identity) if identity["app_id"] else None
    if answer.status == 200 and reading.text(data, "error") == "not_allowed_token_type":
        return Said(Verdict.SKIPPED, "an app's token is checked by opening a connection: only when asked for")
    return _refusal(answer)


def read_connection(answer: Answer) -> Said | None:
    """What `apps.connections.open` says; its URL holds a ticket and is not kept."""
    if answer.status == 200 and reading.at(answer.data, "ok") is True:
        opened = reading.text(answer.data, "url").startswith("wss://")
        return Said(Verdict.VALID, "a connection may be opened") if opened else None
    return _refusal(answer)


def _good(answer: Answer, identity: dict[str, str]) -> Said:
    scopes = tuple(scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",") if scope.strip())
    left = reading.number(answer.data, "expires_in")
    ends = None if left is None else reading.after(answer.now, left)
    return Said(Verdict.VALID, "", identity, scopes, ends)


def _refusal(answer: Answer) -> Said | None:
    """What `"ok": false` means; nothing without it, a 403 of a proxy above all."""
    if reading.at(answer.data, "ok") is not False:
        return None
    code = reading.text(answer.data, "error")
    if code == "token_expired":
        return Said(Verdict.EXPIRED, code)
    if code in _REFUSED:
        also = " (or this machine's address is not allowed)" if code == "invalid_auth" else ""
        return Said(Verdict.INVALID, f"{code}{also}")
    if code in _BLOCKED:
        return Said(Verdict.BLOCKED, code)
    if code in _LIMITED:
        needed = reading.fact(reading.text(answer.data, "needed"))
        return Said(Verdict.VALID_LIMITED, f"{code}: {needed}" if needed else code)
    return Said(Verdict.UNKNOWN, f"Slack says {reading.fact(code) or 'no'}")


def read_webhook(answer: Answer) -> Said | None:
    """What a webhook says to a body that it cannot read."""
    word = answer.text.lower()
    if answer.status == 200 and word == "ok":
        return Said(Verdict.VALID, "it took what was sent")
    if answer.status not in {400, 403, 404, 410}:
        return None
    if word in _NOT_POSTED:
        return Said(Verdict.VALID, "it lives; nothing was posted")
    if word == "team_disabled":
        return Said(Verdict.BLOCKED, word)
    if word in _HOOK_LIMITED:
        return Said(Verdict.VALID_LIMITED, word)
    return Said(Verdict.INVALID, word) if word in _HOOK_DEAD else None
