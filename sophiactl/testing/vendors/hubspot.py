"""HubSpot's CRM API on loopback, after its description: an account, its owners, its records and their search.

    with HubSpotVendor() as hubspot:
        ada = hubspot.add_owner("Ada", "Lovelace")
        acme = hubspot.add_company("Acme", "acme.com")
        deal = hubspot.add_deal("Acme renewal", company=acme, amount="12000", hubspot_owner_id=ada)
        hubspot.edit("deals", deal, dealstage="contractsent")

A query can be paged to 10,000 results, the search has a limit of its own, and its index may lag behind.
"""

from __future__ import annotations

import time
from collections import deque
from email.utils import formatdate
from secrets import token_hex
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec

from sophiactl.testing.vendors.base import Limited, Vendor
from sophiactl.testing.vendors.hubspot_portal import SPECIES, Portal, iso
from sophiactl.testing.vendors.hubspot_search import Invalid, search
from sophiactl.testing.web_server import Reply, Seen

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from sophiactl.testing.vendors.hubspot_portal import Row

_SCOPES = frozenset({"crm.objects.owners.read"} | {species.scope for species in SPECIES.values()})
_PAGE, _WITH_HISTORY = 100, 50


class HubSpotVendor(Portal, Vendor):
    """An account and its API.

    `scopes` are what the token may read. `expired` says that its time is over. `searches` is the limit of the search
    alone (really 5 a second), without a Retry-After as with HubSpot; `daily` is how many calls are left for today.
    """

    service: ClassVar[str] = "hubspot"

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        Vendor.__init__(self, tls=tls)
        Portal.__init__(self, lock=self.lock)
        self.token = f"pat-eu1-{uuid4()}"
        self.scopes: set[str] = set(_SCOPES)
        self.expired = False
        self.searches: Limited | None = None
        self.daily: int | None = None
        self.used = 0
        self._searched: deque[float] = deque()

    @property
    def secrets(self) -> dict[str, str]:
        """The access token of a private app."""
        return {"HUBSPOT_ACCESS_TOKEN": self.token}

    def slow_down(self, seconds: float, *, say: bool) -> Reply:
        """HubSpot's own 429."""
        window = self.limit.seconds if self.limit else 1.0
        return _too_fast("SECONDLY" if window <= 1 else "TEN_SECONDLY_ROLLING", seconds if say else None)

    def answer(self, seen: Seen) -> Reply:
        """With the account's own clock in the header."""
        reply = super().answer(seen)
        date = formatdate(self.now() / 1000, usegmt=True)
        return Reply(reply.status, reply.body, {**reply.headers, "Date": date}, reply.delay, reply.ending)

    def serve(self, seen: Seen) -> Reply:
        """What the API says."""
        refused = self._refused(seen)
        if refused is not None:
            return refused
        self.used += 1
        if self.daily is not None:
            self.daily -= 1
            if self.daily < 0:
                return _too_fast("DAILY", None)
        if self.writes(seen):
            return _missing_scope(["crm.objects.contacts.write"])
        try:
            return self._answered(seen, [part for part in seen.path.split("/") if part])
        except Invalid as error:
            return _error(400, "VALIDATION_ERROR", str(error))

    def _refused(self, seen: Seen) -> Reply | None:
        """What is said to those who do not prove who they are."""
        if "hapikey" in seen.query:
            self.violations.append(f"{seen.method} {seen.path} has a key in its address")
            return _error(401, "INVALID_AUTHENTICATION", "API keys are no longer taken")
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _error(401, "INVALID_AUTHENTICATION", "no credentials were found")
        if token != self.token and not token.startswith("pat-"):
            return Reply.html(530)
        if token != self.token:
            return _error(401, "INVALID_AUTHENTICATION", "the credentials are not valid")
        return _error(401, "EXPIRED_AUTHENTICATION", "the access token expired 2 hours ago") if self.expired else None

    def _answered(self, seen: Seen, path: list[str]) -> Reply:
        if path == ["account-info", "v3", "details"]:
            return Reply.json(self._details())
        if path == ["account-info", "v3", "api-usage", "daily", "private-apps"]:
            return Reply.json({"results": [self._usage()]})
        if path[:3] == ["crm", "v3", "owners"] and len(path) <= 4:
            return self._owner(seen, path[3]) if len(path) == 4 else self._owner_page(seen)
        if path[:3] != ["crm", "v3", "objects"] or len(path) not in (4, 5) or path[3] not in SPECIES:
            return _error(404, "OBJECT_NOT_FOUND", "there is nothing at this address")
        kind = path[3]
        if SPECIES[kind].scope not in self.scopes:
            return _missing_scope([SPECIES[kind].scope])
        if path[4:] == ["search"]:
            return self._search(seen, kind)
        return self._one(seen, kind, path[4]) if len(path) == 5 else self._page(seen, kind)

    def _search(self, seen: Seen, kind: str) -> Reply:
        if self.searches is not None:
            now = time.monotonic()
            while self._searched and self._searched[0] <= now - self.searches.seconds:
                self._searched.popleft()
            if len(self._searched) >= self.searches.calls:
                return _too_fast("SECONDLY", self.searches.seconds if self.searches.say else None)
            self._searched.append(now)
        try:
            body = seen.json()
        except msgspec.DecodeError:
            raise Invalid("the body is no JSON") from None
        total, rows, after = search(self, kind, body)
        asked = [str(name) for name in body.get("properties") or ()]
        results = [self._told(kind, row, asked) for row in rows]
        return Reply.json({"total": total, "results": results} | _paging(after))

    def _page(self, seen: Seen, kind: str) -> Reply:
        history = _values(seen, "propertiesWithHistory")
        most = _WITH_HISTORY if history else _PAGE
        limit, after = _whole(seen.query.get("limit"), 10), _whole(seen.query.get("after"), 0)
        if not 1 <= limit <= most:
            raise Invalid(f"limit has to be at most {most}")
        rows = self.listed(kind, after, archived=_bin(seen))
        page = rows[:limit]
        results = [self._told(kind, row, _values(seen, "properties"), seen) for row in page]
        return Reply.json({"results": results} | _paging(str(page[-1].number) if len(rows) > limit else None))

    def _one(self, seen: Seen, kind: str, number: str) -> Reply:
        by, archived = seen.query.get("idProperty"), _bin(seen)
        if by:
            row = next((row for row in self.rows[kind].values() if row.value(SPECIES[kind], by) == number), None)
        else:
            row = self.found(kind, int(number)) if number.isascii() and number.isdigit() else None
        if row is None or (row.archived is not None) != archived:
            return _error(404, "OBJECT_NOT_FOUND", f"no {kind} has the id {number}")
        return Reply.json(self._told(kind, row, _values(seen, "properties"), seen))

    def _told(self, kind: str, row: Row, asked: Sequence[str], seen: Seen | None = None) -> dict[str, Any]:
        """A record as the API gives it: what is asked for, null where it is empty, and what always comes."""
        species = SPECIES[kind]
        names = {"hs_object_id", species.created, species.modified, *(asked or species.shown)}
        known = sorted(name for name in names if name in species.known or name in row.properties)
        told: dict[str, Any] = {
            "id": str(row.number),
            "properties": {name: row.value(species, name) for name in known},
            "createdAt": iso(row.created),
            "updatedAt": iso(row.modified),
            "archived": row.archived is not None,
            "url": f"https://{self.domain}/contacts/{self.portal_id}/record/{species.type_id}/{row.number}",
        }
        if row.archived is not None:
            told["archivedAt"] = iso(row.archived)
        if seen is not None and (history := _values(seen, "propertiesWithHistory")):
            told["propertiesWithHistory"] = {name: _history(row, name) for name in history if name in species.known}
        company = row.properties.get("hs_primary_associated_company") or row.properties.get("associatedcompanyid")
        if seen is not None and company and "companies" in _values(seen, "associations"):
            link = {"id": company, "type": f"{kind.removesuffix('s')}_to_company"}
            told["associations"] = {"companies": {"results": [link]}}
        return told

    def _owner_page(self, seen: Seen) -> Reply:
        if "crm.objects.owners.read" not in self.scopes:
            return _missing_scope(["crm.objects.owners.read"])
        archived, email = _bin(seen), seen.query.get("email")
        limit, after = _whole(seen.query.get("limit"), 100), _whole(seen.query.get("after"), 0)
        if not 1 <= limit <= 500:
            raise Invalid("limit has to be at most 500")
        owners = [owner for owner in self.owners if owner["archived"] == archived and email in (None, owner["email"])]
        more = [owner for owner in owners if int(str(owner["id"])) > after]
        following = str(more[limit - 1]["id"]) if len(more) > limit else None
        return Reply.json({"results": more[:limit]} | _paging(following))

    def _owner(self, seen: Seen, number: str) -> Reply:
        if "crm.objects.owners.read" not in self.scopes:
            return _missing_scope(["crm.objects.owners.read"])
        key = "userId" if seen.query.get("idProperty") == "userId" else "id"
        owner = next((owner for owner in self.owners if str(owner[key]) == number), None)
        return Reply.json(owner) if owner else _error(404, "OBJECT_NOT_FOUND", f"no owner has the id {number}")

    def _details(self) -> dict[str, Any]:
        return {
            "portalId": self.portal_id,
            "accountType": self.account_type,
            "timeZone": self.time_zone,
            "companyCurrency": self.currency,
            "additionalCurrencies": [],
            "utcOffset": "+01:00",
            "utcOffsetMilliseconds": 3_600_000,
            "uiDomain": self.domain,
            "dataHostingLocation": self.domain.removeprefix("app").removeprefix("-").partition(".")[0] or "na1",
        }

    def _usage(self) -> dict[str, Any]:
        return {
            "name": "private-apps-api-calls-daily",
            "usageLimit": self.used + (500_000 if self.daily is None else max(0, self.daily)),
            "currentUsage": self.used,
            "collectedAt": iso(self.now()),
            "fetchStatus": "SUCCESS",
            "resetsAt": iso(self.now() + 3_600_000),
        }


def _paging(after: str | None) -> dict[str, Any]:
    return {"paging": {"next": {"after": after, "link": f"?after={after}"}}} if after else {}


def _values(seen: Seen, name: str) -> list[str]:
    """A parameter that may come several times, or with commas."""
    pairs = parse_qsl(seen.raw_query, keep_blank_values=True)
    return [part for key, value in pairs if key == name for part in value.split(",") if part]


def _bin(seen: Seen) -> bool:
    """Whether what is archived is asked for."""
    return seen.query.get("archived", "").lower() == "true"


def _whole(text: str | None, otherwise: int) -> int:
    if not text:
        return otherwise
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"{text!r} is no number") from None


def _history(row: Row, name: str) -> list[dict[str, str]]:
    """The values that a property had, the newest first."""
    made = [(moment, value) for moment, changed, value in row.history if changed == name]
    if not made and name in row.properties:
        made = [(row.created, row.properties[name])]
    return [{"value": value, "timestamp": iso(moment), "sourceType": "CRM_UI"} for moment, value in reversed(made)]


def _error(status: int, category: str, message: str, **more: Any) -> Reply:
    body = {"status": "error", "message": message, "correlationId": str(uuid4()), "category": category}
    return Reply.json(body | more, status)


def _missing_scope(scopes: list[str]) -> Reply:
    detail = {"message": "one of these scopes is needed", "context": {"requiredGranularScopes": scopes}}
    return _error(403, "MISSING_SCOPES", "the app was not given all scopes that this needs", errors=[detail])


def _too_fast(policy: str, seconds: float | None) -> Reply:
    headers = {} if seconds is None else {"Retry_After": str(max(1, round(seconds)))}
    body = {"status": "error", "message": f"You have reached your {policy.lower()} limit.", "errorType": "RATE_LIMIT"}
    more = {"correlationId": str(uuid4()), "policyName": policy, "requestId": token_hex(16)}
    return Reply.json(body | more, 429, **headers)
