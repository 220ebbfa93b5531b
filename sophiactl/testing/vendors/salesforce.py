"""Salesforce's REST API on loopback, after the REST API Developer Guide: logins, queries, searches, and no writes.

    with SalesforceVendor() as salesforce:
        acme = salesforce.add("Account", Name="Acme", Owner="Ada Lovelace")
        deal = salesforce.add("Opportunity", Name="Acme renewal", StageName="Negotiation", Account=acme)
        salesforce.edit(deal, StageName="Closed Won")
        salesforce.expire_sessions()

A query is paged by a cursor that knows the ids of its rows; what the rows hold is read when the page is.
"""

from __future__ import annotations

import time
from base64 import b64decode
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import parse_qs

import msgspec

from sophiactl.testing.vendors.base import Vendor
from sophiactl.testing.vendors.salesforce_org import Org
from sophiactl.testing.vendors.salesforce_rows import Rows
from sophiactl.testing.vendors.salesforce_search import MOST, find, read_body, read_query, read_sosl
from sophiactl.testing.vendors.salesforce_soql import SoqlError, parse
from sophiactl.testing.web_server import FAULTS, Reply, Seen

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from sophiactl.testing.vendors.salesforce_org import Row

_VERSIONS = {"61.0": "Summer '24", "62.0": "Winter '25", "63.0": "Spring '25", "64.0": "Summer '25"}
_CURSORS = 10
_LONGEST = 16_384


def refusal(status: int, code: str, message: str) -> Reply:
    """An error as the API writes it: a list."""
    return Reply.json([{"message": message, "errorCode": code}], status)


_ENDED = refusal(401, "INVALID_SESSION_ID", "Session expired or invalid")
_SPENT = refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
_BUSY = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."


class _Cursor(NamedTuple):
    """A query that goes on: whose it is, the ids of its rows, and how they are shown."""

    token: str
    ids: tuple[str, ...]
    rows: Mapping[str, Row]
    show: Callable[[Row], dict[str, Any]]
    size: int
    deleted: bool
    made: float


class SalesforceVendor(Org, Vendor):
    """An organisation and its API.

    `page_size` is the most that a page holds, and `daily_limit` the calls of a day. `session_calls` ends a session
    after so many calls (None: never); `cursor_seconds` is how long a cursor lives, which also dies with its session
    unless `cursors_outlive_sessions`. `run_as` is whether the app has a user. `instance_url` is what a login names,
    empty for this server itself. `oauth_token` is a session that is there already.
    """

    service: ClassVar[str] = "salesforce"
    faults: ClassVar[Mapping[str, Reply]] = {
        **FAULTS,
        "503": refusal(503, "SERVER_UNAVAILABLE", "The server is currently too busy, try again later"),
        "500": refusal(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred. ErrorId: 0-0 (0)"),
        "session": _ENDED,
        "spent": _SPENT,
        "busy": refusal(403, "REQUEST_LIMIT_EXCEEDED", _BUSY),
        "query-timeout": refusal(400, "QUERY_TIMEOUT", "Your query request was running for too long."),
        "cursor": refusal(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    }

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        Vendor.__init__(self, tls=tls)
        Org.__init__(self, self.lock)
        self.client_id = f"3MVG9{token_hex(40)}"
        self.client_secret = token_hex(32).upper()
        self.refresh_token = f"5Aep861{token_hex(30)}"
        self.oauth_token = self._token()
        self.run_as = True
        self.instance_url = ""
        self.page_size = 2_000
        self.daily_limit = 15_000
        self.usage = 0
        self.session_calls: int | None = None
        self.cursor_seconds = 900.0
        self.cursors_outlive_sessions = False
        self.logins = 0
        self._sessions: dict[str, int] = {self.oauth_token: 0}
        self._cursors: dict[str, _Cursor] = {}

    @property
    def secrets(self) -> dict[str, str]:
        """The address, and the pair of an app that may log in by itself."""
        return {
            "SALESFORCE_INSTANCE_URL": self.base_url,
            "SALESFORCE_CLIENT_ID": self.client_id,
            "SALESFORCE_CLIENT_SECRET": self.client_secret,
        }

    def expire_sessions(self) -> None:
        """Every token is refused from now on; a login makes a new one."""
        with self.lock:
            self._sessions.clear()

    def expire_cursors(self) -> None:
        """No query can be gone on with."""
        with self.lock:
            self._cursors.clear()

    def slow_down(self, seconds: float, *, say: bool) -> Reply:
        """Too many calls at the same time: Salesforce has no 429."""
        reply = self.faults["busy"]
        return Reply(reply.status, reply.body, {**reply.headers, **({"Retry-After": f"{seconds:.0f}"} if say else {})})

    def serve(self, seen: Seen) -> Reply:
        """The answer to one request."""
        path = seen.path.rstrip("/")
        if path == "/services/oauth2/token":
            return self._login(seen)
        if path == "/services/data" and seen.method == "GET":
            return Reply.json([_version(number) for number in _VERSIONS])
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if path == "/services/oauth2/userinfo":
            return self._userinfo() if token in self._sessions else Reply(403, b"Bad_OAuth_Token", _PLAIN)
        if not path.startswith("/services/data/"):
            return Reply.html(404)
        if not self._admitted(token):
            return _ENDED
        self.usage += 1
        if self.usage > self.daily_limit:
            return self._counted(_SPENT)
        return self._counted(self._api(seen, path.removeprefix("/services/data/"), token))

    def _admitted(self, token: str) -> bool:
        if token not in self._sessions:
            return False
        self._sessions[token] += 1
        if self.session_calls is not None and self._sessions[token] > self.session_calls:
            del self._sessions[token]
            return False
        return True

    def _counted(self, reply: Reply) -> Reply:
        used = f"api-usage={min(self.usage, self.daily_limit)}/{self.daily_limit}"
        return Reply(reply.status, reply.body, {**reply.headers, "Sforce-Limit-Info": used}, reply.delay, reply.ending)

    def _login(self, seen: Seen) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(seen.body.decode("utf-8", "replace")).items()}
        basic = seen.headers.get("authorization", "").partition("Basic ")[2]
        if basic:
            form["client_id"], _, form["client_secret"] = b64decode(basic).decode().partition(":")
        if seen.method != "POST":
            return _no_login("invalid_request", "must use HTTP POST")
        if form.get("client_id") != self.client_id:
            return _no_login("invalid_client_id", "client identifier invalid")
        grant = form.get("grant_type")
        if grant == "refresh_token":
            if form.get("refresh_token") != self.refresh_token:
                return _no_login("invalid_grant", "expired access/refresh token")
        elif grant != "client_credentials":
            return _no_login("unsupported_grant_type", "grant type not supported")
        elif form.get("client_secret") != self.client_secret:
            return _no_login("invalid_client", "invalid client credentials")
        elif not self.run_as:
            return _no_login("invalid_grant", "no client credentials user enabled")
        return self._session()

    def _session(self) -> Reply:
        token = self._token()
        self._sessions[token] = 0
        self.logins += 1
        user = f"https://login.salesforce.com/id/{self.organization}/{self.api_user}"
        answer = {
            "access_token": token,
            "signature": "bG9vcGJhY2s=",
            "scope": "api",
            "token_type": "Bearer",
            "id": user,
        }
        issued = str(int(time.time() * 1000))
        return Reply.json({**answer, "instance_url": self.instance_url or self.base_url, "issued_at": issued})

    def _token(self) -> str:
        return f"{self.organization[:15]}!AQ{token_hex(47)}"

    def _userinfo(self) -> Reply:
        row = self.rows["User"][self.api_user]
        ids = {"user_id": self.api_user, "organization_id": self.organization}
        sub = f"https://login.salesforce.com/id/{self.organization}/{self.api_user}"
        return Reply.json({"sub": sub, **ids, "preferred_username": row["Username"], "name": row["Name"]})

    def _api(self, seen: Seen, path: str, token: str) -> Reply:
        version, _, rest = path.partition("/")
        if version.removeprefix("v") not in _VERSIONS or not version.startswith("v"):
            return _NOT_THERE
        if len(seen.path) + len(seen.raw_query) > _LONGEST:
            return Reply.html(414)
        resource, _, rest = rest.partition("/")
        if seen.method != "GET" and not (seen.method == "POST" and resource == "parameterizedSearch"):
            return refusal(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{seen.method}' not allowed. Allowed are HEAD,GET")
        try:
            return self._read_resource(seen, Rows(self, version), version, resource, rest, token)
        except SoqlError as error:
            return refusal(400, error.code, error.message)
        except msgspec.DecodeError:
            return refusal(400, "JSON_PARSER_ERROR", "The body is no JSON")

    def _read_resource(self, seen: Seen, rows: Rows, version: str, resource: str, rest: str, token: str) -> Reply:
        if resource in ("query", "queryAll"):
            if rest:
                return self._more(version, rest, token)
            return self._query(seen, rows, version, token, deleted=resource == "queryAll")
        if resource == "parameterizedSearch":
            asked = read_body(seen.json()) if seen.method == "POST" else read_query(seen.query)
            return Reply.json({"searchRecords": find(self, rows, *asked)})
        if resource == "search":
            return Reply.json({"searchRecords": find(self, rows, *read_sosl(seen.query.get("q", "")))})
        if resource == "sobjects":
            return self._record(seen, rows, *rest.split("/"))
        if resource == "limits":
            left = max(0, self.daily_limit - self.usage)
            return Reply.json({"DailyApiRequests": {"Max": self.daily_limit, "Remaining": left}})
        return self._resources(version) if not resource else _NOT_THERE

    def _resources(self, version: str) -> Reply:
        names = ("limits", "query", "queryAll", "search", "parameterizedSearch", "sobjects")
        identity = f"https://login.salesforce.com/id/{self.organization}/{self.api_user}"
        return Reply.json({"identity": identity, **{name: f"/services/data/{version}/{name}" for name in names}})

    def _record(self, seen: Seen, rows: Rows, name: str = "", record: str = "", *rest: str) -> Reply:
        if not record or rest:
            return _NOT_THERE
        name = rows.name_of(name)
        row = next((row for known, row in self.rows[name].items() if known[:15] == record[:15]), None)
        if row is None:
            return refusal(404, "NOT_FOUND", "The requested resource does not exist")
        if row["IsDeleted"]:
            return refusal(404, "ENTITY_IS_DELETED", "entity is deleted")
        fields = seen.query.get("fields", "").split(",") if seen.query.get("fields") else list(self.fields[name])
        return Reply.json(rows.shown(name, fields)(row))

    def _query(self, seen: Seen, rows: Rows, version: str, token: str, *, deleted: bool) -> Reply:
        query = parse(seen.query.get("q", ""))
        found = rows.matching(query, deleted=deleted)
        if not query.fields:
            return Reply.json({"totalSize": len(found), "done": True, "records": []})
        option = seen.headers.get("sforce-query-options", "").partition("batchSize=")[2]
        size = min(self.page_size, max(200, int(option)) if option.isdigit() else MOST)
        name = rows.name_of(query.name)
        show = rows.shown(name, query.fields)
        ids = tuple(row["Id"] for row in found)
        cursor = _Cursor(token, ids, self.rows[name], show, size, deleted, time.monotonic())
        return self._page(version, cursor, f"0r8{token_hex(6)}AAA", 0)

    def _page(self, version: str, cursor: _Cursor, locator: str, start: int) -> Reply:
        chosen = (cursor.rows.get(record) for record in cursor.ids[start : start + cursor.size])
        records = [cursor.show(row) for row in chosen if row and (cursor.deleted or not row["IsDeleted"])]
        answer: dict[str, Any] = {"totalSize": len(cursor.ids), "done": True, "records": records}
        following = start + cursor.size
        if following < len(cursor.ids):
            self._cursors[locator] = cursor
            while len(self._cursors) > _CURSORS:
                del self._cursors[next(iter(self._cursors))]
            answer |= {"done": False, "nextRecordsUrl": f"/services/data/{version}/query/{locator}-{following}"}
        return Reply.json(answer)

    def _more(self, version: str, rest: str, token: str) -> Reply:
        locator, _, start = rest.rpartition("-")
        cursor = self._cursors.get(locator)
        if cursor is None or not start.isdigit() or time.monotonic() - cursor.made > self.cursor_seconds:
            return self.faults["cursor"]
        if cursor.token != token and not self.cursors_outlive_sessions:
            return _ENDED  # that of the session that the cursor belongs to
        return self._page(version, cursor, locator, int(start))


_PLAIN = {"Content-Type": "text/html; charset=UTF-8"}
_NOT_THERE = refusal(404, "NOT_FOUND", "The requested resource does not exist")


def _version(number: str) -> dict[str, str]:
    return {"label": _VERSIONS[number], "url": f"/services/data/v{number}", "version": number}


def _no_login(error: str, description: str) -> Reply:
    return Reply.json({"error": error, "error_description": description}, 400)
