"""Slack's Web API on loopback, after its description and docs.slack.dev: what a bot and a user may read, and no more.

    with SlackVendor() as slack:
        march = slack.add_message("general", "ada", "Acme renews in March")
        slack.reply("general", march, "grace", "In April, they say")
        slack.edit_message("general", march, "Acme renews in April")

Answers are HTTP 200 even when they say `"ok": false`, pages have opaque cursors, and histories come newest first.
"""

from __future__ import annotations

import math
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

import msgspec

from sophiactl.testing.vendors.base import Limited, Vendor
from sophiactl.testing.vendors.slack_methods import METHODS, Method, Refused
from sophiactl.testing.vendors.slack_workspace import Workspace
from sophiactl.testing.web_server import Reply, Seen

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_BOT_SCOPES = (
    *("channels:history", "channels:read", "groups:history", "groups:read", "im:history", "im:read"),
    *("mpim:history", "mpim:read", "team:read", "users:read"),
)
_SLOW = ("conversations.history", "conversations.replies")
_READING = ("list", "info", "test", "get", "members", "history", "replies")
_USER_SCOPES = ("search:read", "search:read.public", "users:read")


class SlackVendor(Workspace, Vendor):
    """A workspace and its API.

    `refusal` is a word that every call is refused with (`token_revoked`). `scopes` and `user_scopes` are what the two
    tokens may do. `method_limits` hold for one method each, as Slack's do; `commercial` is the limit of apps that are
    sold outside the marketplace. `ending` says how the last page of a listing looks: an empty cursor, none, or null.
    `most` caps the pages: Slack may give fewer than asked. `limited_before` hides what is older, as free workspaces do.
    """

    service: ClassVar[str] = "slack"

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        Vendor.__init__(self, tls=tls)
        Workspace.__init__(self, lock=self.lock)
        self.bot_token = f"xoxb-204837561920-7182936405173-{token_hex(12)}"
        self.user_token = f"xoxp-204837561920-7182936405174-{token_hex(12)}"
        self.scopes: set[str] = set(_BOT_SCOPES)
        self.user_scopes: set[str] = set(_USER_SCOPES)
        self.user = self.add_user("owner", "Olive Owner")
        self.refusal = ""
        self.refusals: dict[str, str] = {}
        self.method_limits: dict[str, Limited] = {}
        self.commercial = False
        self.ending = "empty"
        self.most = 0
        self.limited_before = ""
        self.ratelimit_status = 429

    @property
    def secrets(self) -> dict[str, str]:
        """The bot's token and a user's."""
        return {"SLACK_BOT_TOKEN": self.bot_token, "SLACK_USER_TOKEN": self.user_token}

    def slow_down(self, seconds: float, *, say: bool) -> Reply:
        """Slack's own 429."""
        headers = {"Retry-After": str(max(1, math.ceil(seconds)))} if say else {}
        return Reply.json({"ok": False, "error": "ratelimited"}, self.ratelimit_status, **headers)

    def limited_by(self, seen: Seen) -> str:
        """Each method has a limit of its own."""
        return _method(seen)

    def writes(self, seen: Seen) -> bool:
        """Whether a method changes something. Whether it comes by GET or POST says nothing of that."""
        name = _method(seen)
        return name not in METHODS and name.rpartition(".")[2] not in _READING

    def answer(self, seen: Seen) -> Reply:
        """Limit by the method's own limit, serve."""
        usual, name = self.limit, _method(seen)
        slow = Limited(1, 60.0) if self.commercial and name in _SLOW else usual
        self.limit = self.method_limits.get(name, slow)
        try:
            return super().answer(seen)
        finally:
            self.limit = usual

    def serve(self, seen: Seen) -> Reply:
        """The answer to `/api/METHOD`, by GET with a query or POST with a form or JSON."""
        name = _method(seen)
        if not name:
            return Reply.html(404)
        try:
            return self._answered(seen, METHODS.get(name), name)
        except Refused as refused:
            return self._refused(refused, seen)

    def _answered(self, seen: Seen, method: Method | None, name: str) -> Reply:
        if method is None and self.writes(seen):
            raise Refused("missing_scope", needed=f"{name.partition('.')[0]}:write")
        if method is None:
            raise Refused("unknown_method", req_method=name)
        args = _arguments(seen)
        if "token" in args:
            self.violations.append(f"{seen.method} {name} has a token that is no header")
            raise Refused("not_authed")
        as_user = self._as_user(seen)
        if word := self.refusal or self.refusals.get(name):
            raise Refused(word)
        scopes = self.user_scopes if as_user else self.scopes
        if method.user_only and not as_user:
            raise Refused("not_allowed_token_type")
        if method.scopes and not scopes & set(method.scopes):
            raise Refused("missing_scope", needed=method.scopes[0], provided=",".join(sorted(scopes)))
        body = method.answer(self, args, as_user)
        return self._told({"ok": True, **body}, as_user)

    def _as_user(self, seen: Seen) -> bool:
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused("not_authed")
        if token not in (self.bot_token, self.user_token):
            raise Refused("invalid_auth")
        return token == self.user_token

    def _told(self, body: dict[str, Any], as_user: bool) -> Reply:
        scopes = self.user_scopes if as_user else self.scopes
        return Reply.json(body, 200, X_OAuth_Scopes=",".join(sorted(scopes)), X_Slack_Req_Id=token_hex(8))

    def _refused(self, refused: Refused, seen: Seen) -> Reply:
        granted = self.user_token in seen.headers.get("authorization", "")
        return self._told({"ok": False, "error": refused.word, **refused.more}, granted)


def _method(seen: Seen) -> str:
    """The method that is called, empty when the path is none of the API's."""
    return seen.path.removeprefix("/api/") if seen.path.startswith("/api/") else ""


def _arguments(seen: Seen) -> Mapping[str, Any]:
    """What a call asks: the query, and the body as a form or JSON."""
    args: dict[str, Any] = dict(seen.query)
    kind = seen.headers.get("content-type", "").partition(";")[0].strip().lower()
    if seen.body and kind == "application/json":
        try:
            body = seen.json()
        except msgspec.DecodeError:
            raise Refused("invalid_json") from None
        if not isinstance(body, dict):
            raise Refused("json_not_object")
        args |= body
    elif seen.body:
        args |= dict(parse_qsl(seen.body.decode("utf-8", "replace"), keep_blank_values=True))
    return args
