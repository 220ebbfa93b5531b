"""A loopback Gong, made after the vendor's API description: calls, parties, briefs, transcripts that come later.

    with GongVendor() as gong:
        call = gong.add_call("Acme renewal", ["ada", ("Grace Hopper", "External")], "2026-11-02T09:30:00Z",
                             [("ada", "Shall we renew?"), ("Grace Hopper", "If the price holds.")])
        gong.add_transcript(later, [("ada", "Hello")])      # hours after its call
        gong.delete_call(call)
        gong.age(3_700)                                     # cursors live an hour after their first page

Every 401, 404 and 429 has the words that Gong's own has. What would write is refused.
"""

from __future__ import annotations

import math
import time
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from sophiactl.testing.vendors.base import Limited, Vendor
from sophiactl.testing.vendors.gong_calls import FIRST_ID, CallStore, Party, StoredCall, moment_of
from sophiactl.testing.web_server import FAULTS, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sophiactl.testing.vendors.gong_calls import Line
    from sophiactl.testing.web_server import Seen

EMPTY = "No calls found corresponding to the provided filters"
CURSOR_LIFE = 3_600.0
THREE_A_SECOND = Limited(3, 1.0)
"""What Gong grants a company; set it as `limit`."""
SCOPES = ("users:read", "workspaces:read", "calls:read:basic", "calls:read:extensive", "calls:read:transcript")
_KEY = "LOOPBACKGONGKEYQ7ZT4WV2N6XK3MJ8R"
_SECRET = "eyJhbGciOiJIUzI1NiJ9.loopback-Vn3xQ8rT5wKj2LmZ7cYb"  # noqa: S105 - of nothing but this double


def said(status: int, *errors: str, **headers: str) -> Reply:
    """An error as Gong says it."""
    return Reply.json({"requestId": "4al018gzaztcr8nbukw", "errors": list(errors)}, status, **headers)


class _Refused(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.reply = said(status, *errors)


class _Cursor(msgspec.Struct, frozen=True):
    """What an opaque cursor stands for: the request it belongs to, how much was given, and since when it lives."""

    asked: str
    given: int
    page: int
    born: float


class GongVendor(Vendor):
    """The service. `scopes` are what the key may do, `daily` how many calls the company has left today (None: any).

    `page_size` is Gong's 100 unless it is changed; `now` is the clock of cursors, in seconds.
    """

    service = "gong"
    faults: ClassVar[Mapping[str, Reply]] = {
        **FAULTS,
        "429": said(429, "API request limit exceeded", Retry_After="1"),
        "429-hours": said(429, "API request limit exceeded", Retry_After="30000"),
        "401": said(401, "The access key or its secret is wrong"),
        "404": said(404, "Call ID was not found"),
        "404-empty": said(404, EMPTY),
        "400": said(400, "Malformed request"),
        "400-cursor": said(400, "cursor has expired"),
        "409": said(409, "The request conflicts with another"),
        "415": said(415, "Content type is not supported"),
        "500": said(500, "An error has occurred"),
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.scopes = set(SCOPES)
        self.page_size = 100
        self.daily: int | None = None
        self.until_midnight = 30_000.0
        self.workspaces = [{"id": "623457276584334", "name": "Sales", "description": None}]
        self.calls = CallStore()
        self._users: dict[str, dict[str, Any]] = {}
        self._cursors: dict[str, _Cursor] = {}
        self._aged = 0.0
        self._numbers = iter(range(1, 1 << 60))

    @property
    def secrets(self) -> dict[str, str]:
        """The pair that this vendor takes."""
        return {"GONG_ACCESS_KEY": _KEY, "GONG_ACCESS_KEY_SECRET": _SECRET}

    def add_user(self, name: str, title: str | None = None) -> str:
        """Someone of the company, known by that name in calls; the id."""
        with self.lock:
            first, _, last = name.partition(" ")
            user_id = str(next(self._numbers) + 234_599_484_840_000)
            email = f"{name.lower().replace(' ', '.')}@example.com"
            self._users[name] = {
                "id": user_id,
                "emailAddress": email,
                "created": "2024-01-09T08:00:00Z",
                "active": True,
                "firstName": first,
                "lastName": last or None,
                "title": title,
                "phoneNumber": None,
                "managerId": None,
            }
            return user_id

    def add_call(
        self,
        title: str,
        parties: Sequence[str | tuple[str, str] | Party],
        at: str | datetime | float,
        sentences: Sequence[Line] | None = None,
        **more: Any,
    ) -> str:
        """A call that started at `at`; the id. Without `sentences` its transcript is still to come.

        A party is a name (of a user: Internal), a name and an affiliation, or a `Party`. `more` are fields of
        `StoredCall`: `brief`, `key_points`, `topics`, `account`, `private`, `duration`, `listed`.
        """
        with self.lock:
            call_id = more.pop("id", None) or str(FIRST_ID + next(self._numbers))
            joined = [self._party(each, call_id, number) for number, each in enumerate(parties)]
            host = next((party.user_id for party in joined if party.user_id), None)
            known = {"workspace": self.workspaces[0]["id"], "host": host, **more}
            spoken = None if sentences is None else list(sentences)
            self.calls.put(StoredCall(call_id, moment_of(at), title, joined, spoken, **known))
            return call_id

    def add_transcript(self, call_id: str, sentences: Sequence[Line], brief: str | None = None) -> None:
        """The transcript of a call is there now, and maybe its brief."""
        self.edit_call(call_id, sentences=list(sentences), **({} if brief is None else {"brief": brief}))

    def edit_call(self, call_id: str, **changes: Any) -> None:
        """Change fields of a call; `at` moves it in time, `listed=True` ends its absence from calls/extensive."""
        with self.lock:
            call = self.calls.get(call_id)
            if call is None:
                raise KeyError(call_id)
            if "at" in changes:
                changes["started"] = moment_of(changes.pop("at"))
            self.calls.put(replace(call, **changes))

    def delete_call(self, call_id: str) -> None:
        """Gong tells nobody."""
        with self.lock:
            self.calls.drop(call_id)

    def age(self, seconds: float) -> None:
        """Let cursors grow older."""
        with self.lock:
            self._aged += seconds

    def slow_down(self, seconds: float, *, say: bool) -> Reply:
        """Gong's 429."""
        headers = {"Retry_After": str(math.ceil(seconds))} if say else {}
        return said(429, "API request limit exceeded", **headers)

    def answer(self, seen: Seen) -> Reply:
        """Count the day's calls, then the second's."""
        if self.daily is not None:
            if self.daily <= 0:
                return said(429, "API request limit exceeded", Retry_After=str(math.ceil(self.until_midnight)))
            self.daily -= 1
        return super().answer(seen)

    def serve(self, seen: Seen) -> Reply:
        """The answer of the endpoint, or of Gong's error."""
        pair = b64encode(f"{_KEY}:{_SECRET}".encode()).decode()
        try:
            _check(seen.headers.get("authorization") == f"Basic {pair}", 401, "The access key or its secret is wrong")
            return Reply.json({"requestId": f"loopback{next(self._numbers)}", **self._found(seen)})
        except _Refused as refused:
            return refused.reply

    def _found(self, seen: Seen) -> dict[str, Any]:
        asked = (seen.method, seen.path)
        if asked == ("POST", "/v2/calls/extensive"):
            return self._extensive(seen)
        if asked == ("POST", "/v2/calls/transcript"):
            return self._transcripts(seen)
        if asked == ("GET", "/v2/workspaces"):
            self._scope("workspaces:read")
            return {"workspaces": self.workspaces}
        if asked == ("GET", "/v2/users"):
            self._scope("users:read")
            return self._page(seen, {}, "users", iter(list(self._users.values())), "No users found")
        if asked == ("GET", "/v2/calls"):
            return self._listed(seen)
        if seen.method == "GET" and seen.path.startswith("/v2/calls/"):
            return self._one(seen.path.rpartition("/")[2])
        if seen.method != "GET":
            raise _Refused(405, "Method not allowed")
        raise _Refused(404, "No such resource")

    def _extensive(self, seen: Seen) -> dict[str, Any]:
        self._scope("calls:read:extensive")
        body = _body(seen)
        selector = body.get("contentSelector") or {}
        found = (call for call in self._filtered(body) if call.listed)
        page = self._page(seen, body, "calls", found, EMPTY)
        page["calls"] = [call.extensive(selector) for call in page["calls"]]
        return page

    def _transcripts(self, seen: Seen) -> dict[str, Any]:
        self._scope("calls:read:transcript")
        body = _body(seen)
        found = (call for call in self._filtered(body) if call.sentences is not None)
        page = self._page(seen, body, "callTranscripts", found, EMPTY)
        page["callTranscripts"] = [call.transcript() for call in page["callTranscripts"]]
        return page

    def _listed(self, seen: Seen) -> dict[str, Any]:
        self._scope("calls:read:basic")
        start, end = (_time(seen.query.get(name)) for name in ("fromDateTime", "toDateTime"))
        if start is None or end is None:
            raise _Refused(400, "fromDateTime and toDateTime are required")
        asked = {name: value for name, value in seen.query.items() if name != "cursor"}
        body = {"filter": asked, "cursor": seen.query.get("cursor")}
        page = self._page(seen, body, "calls", self.calls.between(start, end), EMPTY)
        page["calls"] = [call.basic() for call in page["calls"]]
        return page

    def _one(self, call_id: str) -> dict[str, Any]:
        self._scope("calls:read:basic")
        call = self.calls.get(call_id)
        if call is None:
            raise _Refused(404, f"Call ID {call_id} was not found")
        return {"call": call.basic()}

    def _filtered(self, body: dict[str, Any]) -> Iterator[StoredCall]:
        wanted = body["filter"]
        start, end = _time(wanted.get("fromDateTime")), _time(wanted.get("toDateTime"))
        if start is not None and end is not None and start >= end:
            raise _Refused(400, "fromDateTime must be before toDateTime")
        ids = wanted.get("callIds")
        if ids is None:
            found = self.calls.between(start, end)
        elif not isinstance(ids, list) or not all(isinstance(each, str) and each.isdigit() for each in ids):
            raise _Refused(400, "callIds must be numeric identifiers")
        else:
            found = self.calls.named(ids, start, end)
        workspace, hosts = wanted.get("workspaceId"), wanted.get("primaryUserIds")
        return (call for call in found if workspace in (None, call.workspace) and (not hosts or call.host in hosts))

    def _page(self, seen: Seen, body: dict[str, Any], name: str, found: Iterator[Any], nothing: str) -> dict[str, Any]:
        """A page of what was found. A cursor works for the request it was made for, and for an hour."""
        everything = list(found)
        if not everything and name != "users":
            raise _Refused(404, nothing)
        asked = msgspec.json.encode(
            [seen.path, {k: v for k, v in body.items() if k != "cursor"}], order="sorted"
        ).decode()
        now = time.monotonic() + self._aged
        place = self._place(body.get("cursor") or seen.query.get("cursor"), asked, now)
        given = everything[place.given : place.given + self.page_size]
        records: dict[str, Any] = {
            "totalRecords": len(everything),
            "currentPageSize": len(given),
            "currentPageNumber": place.page,
        }
        end = place.given + len(given)
        if end < len(everything):
            token = f"eyJhbGciOiJIUzI1NiJ9.{next(self._numbers):x}.6qKwpOcvnuw"
            self._cursors[token] = _Cursor(asked, end, place.page + 1, place.born)
            records["cursor"] = token
        return {"records": records, name: given}

    def _place(self, token: str | None, asked: str, now: float) -> _Cursor:
        if token is None:
            return _Cursor(asked, 0, 0, now)
        place = self._cursors.get(token)
        if place is None or place.asked != asked:
            raise _Refused(400, "cursor is invalid")
        if now - place.born > CURSOR_LIFE:
            raise _Refused(400, "cursor has expired")
        return place

    def _scope(self, scope: str) -> None:
        if scope not in self.scopes:
            raise _Refused(401, f"You don't have permission to use 'api:{scope}' in your app.")

    def _party(self, given: str | tuple[str, str] | Party, call_id: str, number: int) -> Party:
        if isinstance(given, Party):
            return given
        name, affiliation = (given, "") if isinstance(given, str) else given
        user = self._users.get(name)
        voice = str(int(call_id) % 1_000_000_000_000 * 100 + number + 6_000_000_000_000_000_000)
        if user is None:
            return Party(name, affiliation or "External", speaker_id=voice)
        return Party(name, affiliation or "Internal", user["title"], user["emailAddress"], user["id"], voice)


def _check(good: bool, status: int, error: str) -> None:
    if not good:
        raise _Refused(status, error)


def _body(seen: Seen) -> dict[str, Any]:
    if seen.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise _Refused(415, "Content type is not supported")
    try:
        body = seen.json()
    except msgspec.DecodeError:
        raise _Refused(400, "Malformed JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("filter"), dict):
        raise _Refused(400, "filter is required")
    return body


def _time(value: Any) -> float | None:
    """A time of a filter, which has to name its zone."""
    from datetime import datetime

    if value is None:
        return None
    try:
        when = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _Refused(400, "A date is not in ISO-8601 format") from None
    if when.tzinfo is None:
        raise _Refused(400, "A date has no time zone")
    return when.timestamp()
