"""What a HubSpot account holds: records with their properties, owners, what was archived and merged. In memory."""

from __future__ import annotations

import itertools
import re
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from datetime import UTC, datetime
from typing import NamedTuple

When = datetime | str | int | float | None
"""A moment: a date, ISO 8601, milliseconds since 1970, or now."""

_TIMES = frozenset(
    {
        "createdate",
        "hs_createdate",
        "lastmodifieddate",
        "hs_lastmodifieddate",
        "closedate",
        "closed_date",
        "hs_timestamp",
    }
)
_NUMBERS = frozenset(
    {"hs_object_id", "amount", "annualrevenue", "numberofemployees", "associatedcompanyid", "hubspot_owner_id"}
    | {"hs_primary_associated_company", "hs_primary_company_id", "hs_created_by_user_id", "hs_created_by"}
)
_COMMON = "hs_object_id hubspot_owner_id hs_merged_object_ids hs_created_by_user_id"
_PLACE = "phone city state country website lifecyclestage"


class Species(NamedTuple):
    """A kind of record: its number in links, its scope, its times, what it has, what it shows and what is searched."""

    type_id: str
    scope: str
    created: str
    modified: str
    known: frozenset[str]
    shown: tuple[str, ...]
    searched: tuple[str, ...]


def _species(type_id: str, scope: str, times: str, known: str, shown: str, searched: str) -> Species:
    created, modified = times.split()
    names = frozenset(f"{_COMMON} {times} {known}".split())
    return Species(type_id, scope, created, modified, names, tuple(shown.split()), tuple(searched.split()))


SPECIES = {
    "contacts": _species(
        "0-1",
        "crm.objects.contacts.read",
        "createdate lastmodifieddate",
        f"firstname lastname email jobtitle company hs_lead_status associatedcompanyid mobilephone {_PLACE}",
        "email firstname lastname",
        "firstname lastname email phone company",
    ),
    "companies": _species(
        "0-2",
        "crm.objects.companies.read",
        "createdate hs_lastmodifieddate",
        f"name domain industry type description numberofemployees annualrevenue {_PLACE}",
        "name domain",
        "name domain website phone",
    ),
    "deals": _species(
        "0-3",
        "crm.objects.deals.read",
        "createdate hs_lastmodifieddate",
        "dealname dealstage pipeline amount deal_currency_code closedate dealtype hs_priority hs_next_step description "
        "closed_won_reason closed_lost_reason hs_is_closed hs_is_closed_won hs_primary_associated_company",
        "amount closedate dealname dealstage pipeline",
        "dealname pipeline dealstage description dealtype",
    ),
    "tickets": _species(
        "0-5",
        "tickets",
        "createdate hs_lastmodifieddate",
        "subject content hs_pipeline hs_pipeline_stage hs_ticket_priority hs_ticket_category source_type closed_date "
        "hs_resolution hs_primary_company_id hs_primary_company_name",
        "content hs_pipeline hs_pipeline_stage hs_ticket_category hs_ticket_priority subject",
        "subject content hs_pipeline_stage hs_ticket_category",
    ),
    "notes": _species(
        "0-46",
        "crm.objects.contacts.read",
        "hs_createdate hs_lastmodifieddate",
        "hs_note_body hs_timestamp hs_created_by",
        "",
        "hs_note_body",
    ),
}


class Row(NamedTuple):
    """A record as it was at a time. Moments are in milliseconds since 1970."""

    number: int
    properties: dict[str, str]
    created: int
    modified: int
    archived: int | None = None
    history: tuple[tuple[int, str, str], ...] = ()

    def value(self, species: Species, name: str) -> str | None:
        """A property as the API writes it."""
        if name == "hs_object_id":
            return str(self.number)
        if name == species.modified:
            return iso(self.modified)
        return iso(self.created) if name == species.created else self.properties.get(name)

    def key(self, species: Species, name: str) -> float | int | str | None:
        """A property as it is compared and sorted: times and numbers by size, texts in lower case."""
        if name == "hs_object_id":
            return self.number
        if name == species.modified:
            return self.modified
        if name == species.created:
            return self.created
        return comparable(name, self.properties.get(name))


class Portal:
    """The account. `skew` in seconds is how far its clock is ahead of ours; `domain` where people open it.

    While `lagging`, the search index does not hear of changes; `catch_up` ends that.
    """

    def __init__(self, lock: threading.RLock | None = None) -> None:
        self.lock = lock or threading.RLock()
        self.portal_id = 147_893_286
        self.domain = "app-eu1.hubspot.com"
        self.currency = "EUR"
        self.time_zone = "Europe/Berlin"
        self.account_type = "STANDARD"
        self.skew = 0.0
        self.lagging = False
        self.rows: dict[str, dict[int, Row]] = {kind: {} for kind in SPECIES}
        self.indexed: dict[str, dict[int, Row]] = {kind: {} for kind in SPECIES}
        self.owners: list[dict[str, object]] = []
        self.merged: dict[tuple[str, int], int] = {}
        self._late: dict[str, set[int]] = defaultdict(set)
        self._numbers = itertools.count(407_218_578_642)
        self._versions: dict[str, int] = defaultdict(int)
        self._sorted: dict[tuple[str, str], tuple[int, list[float], list[Row]]] = {}
        self._live: dict[str, tuple[int, list[int], list[Row]]] = {}

    def now(self) -> int:
        """The account's clock, in milliseconds."""
        return round((time.time() + self.skew) * 1000)

    def add_owner(self, first: str, last: str = "", email: str = "", *, left: bool = False) -> str:
        """Somebody who owns records; their id. `left`: the account is deactivated. Their user id is the id and 90."""
        number = str(70_000_000 + len(self.owners) + 1)
        moment = iso(self.now())
        owner: dict[str, object] = {"id": number, "email": email or f"{first.lower()}@example.com", "type": "PERSON"}
        owner |= {"firstName": first, "lastName": last, "createdAt": moment, "updatedAt": moment, "archived": left}
        owner |= {"userId": None if left else int(number) + 90, "userIdIncludingInactive": int(number) + 90}
        with self.lock:
            self.owners.append(owner)
        return number

    def add_contact(self, first: str, last: str = "", *, at: When = None, **properties: object) -> str:
        """A person; the record's id. Further properties by their names (`email`, `company`, `hubspot_owner_id`)."""
        return self.add("contacts", {"firstname": first, "lastname": last, **properties}, at)

    def add_company(self, name: str, domain: str | None = None, *, at: When = None, **properties: object) -> str:
        """A company; the record's id."""
        return self.add("companies", {"name": name, "domain": domain, **properties}, at)

    def add_deal(self, name: str, *, company: str | None = None, at: When = None, **properties: object) -> str:
        """A deal, of the company with that id if one is given; the record's id."""
        values = {"dealname": name, "pipeline": "default", "dealstage": "appointmentscheduled"}
        return self.add("deals", {**values, "hs_primary_associated_company": company, **properties}, at)

    def add_ticket(self, subject: str, content: str | None = None, *, at: When = None, **properties: object) -> str:
        """A ticket; the record's id."""
        values = {"subject": subject, "content": content, "hs_pipeline": "0", "hs_pipeline_stage": "1"}
        return self.add("tickets", {**values, **properties}, at)

    def add_note(self, html: str, *, owner: str | None = None, at: When = None, **properties: object) -> str:
        """A note in HTML, written by an owner; the record's id."""
        written = {"hs_note_body": html, "hs_timestamp": iso(self._moment(at)), "hubspot_owner_id": owner}
        user = None if owner is None else str(int(owner) + 90)
        return self.add("notes", {**written, "hs_created_by_user_id": user, **properties}, at)

    def add(self, kind: str, properties: dict[str, object], at: When = None, *, number: int | None = None) -> str:
        """A record of any kind, with an id of its own or the one given; its id."""
        moment = self._moment(at)
        with self.lock:
            own = next(self._numbers) if number is None else number
            self._put(kind, Row(own, _texts(properties), moment, moment))
        return str(own)

    def edit(self, kind: str, number: str, *, at: When = None, **properties: object) -> None:
        """Set properties; None empties one."""
        moment = self._moment(at)
        with self.lock:
            row = self.rows[kind][int(number)]
            kept = {name: value for name, value in row.properties.items() if name not in properties}
            made = tuple((moment, name, value) for name, value in _texts(properties).items())
            self._put(
                kind,
                row._replace(properties=kept | _texts(properties), modified=moment, history=(*row.history, *made)),
            )

    def archive(self, kind: str, number: str, *, at: When = None) -> None:
        """Put a record into the bin, from which it may be restored."""
        with self.lock:
            self._put(kind, self.rows[kind][int(number)]._replace(archived=self._moment(at)))

    def restore(self, kind: str, number: str, *, at: When = None) -> None:
        """Take a record out of the bin; that counts as a change."""
        with self.lock:
            self._put(kind, self.rows[kind][int(number)]._replace(archived=None, modified=self._moment(at)))

    def delete(self, kind: str, number: str) -> None:
        """Remove a record without a trace, as privacy law asks for."""
        with self.lock:
            self._drop(kind, int(number))

    def merge(self, kind: str, into: str, other: str, *, at: When = None) -> None:
        """Make one record of two: `other` is no more, and asking for it gives `into`."""
        with self.lock:
            row, gone = self.rows[kind][int(into)], self.rows[kind][int(other)]
            before = (
                f"{row.properties.get('hs_merged_object_ids', '')};{gone.properties.get('hs_merged_object_ids', '')}"
            )
            ids = [other, *(part for part in before.split(";") if part)]
            properties = {**gone.properties, **row.properties, "hs_merged_object_ids": ";".join(dict.fromkeys(ids))}
            self._drop(kind, int(other))
            self.merged[kind, int(other)] = int(into)
            self._put(kind, row._replace(properties=properties, modified=self._moment(at)))

    def catch_up(self) -> None:
        """The search index hears of everything that it missed."""
        with self.lock:
            self.lagging = False
            for kind, numbers in self._late.items():
                for number in numbers:
                    self._index(kind, number)
            self._late.clear()

    def found(self, kind: str, number: int) -> Row | None:
        """A record by its id, the one it was merged into if it was."""
        while (kind, number) in self.merged:
            number = self.merged[kind, number]
        return self.rows[kind].get(number)

    def listed(self, kind: str, after: int, *, archived: bool) -> list[Row]:
        """Records with an id beyond `after`, in the order of their ids."""
        version, numbers, rows = self._live.get(kind, (-1, [], []))
        if version != self._versions[kind]:
            rows = sorted(self.rows[kind].values())
            numbers = [row.number for row in rows]
            self._live[kind] = (self._versions[kind], numbers, rows)
        start = bisect_left(numbers, after + 1)
        return [row for row in itertools.islice(rows, start, None) if (row.archived is not None) == archived]

    def sorted_by(self, kind: str, name: str) -> tuple[list[float], list[Row]]:
        """What the search index holds in the order of a number or a time, ids among equals; and its values."""
        version, values, rows = self._sorted.get((kind, name), (-1, [], []))
        if version != self._versions[kind]:
            species = SPECIES[kind]
            pairs: list[tuple[float, Row]] = []  # ids are whole numbers, of more digits than a float holds
            for row in self.indexed[kind].values():
                key = row.key(species, name)
                if isinstance(key, int | float):
                    pairs.append((key, row))
            pairs.sort(key=lambda pair: (pair[0], pair[1].number))
            values, rows = [key for key, _ in pairs], [row for _, row in pairs]
            self._sorted[kind, name] = (self._versions[kind], values, rows)
        return values, rows

    def _moment(self, at: When) -> int:
        if at is None:
            return self.now()
        return at if isinstance(at, int) else milliseconds(at)

    def _put(self, kind: str, row: Row) -> None:
        self.rows[kind][row.number] = row
        self._changed(kind, row.number)

    def _drop(self, kind: str, number: int) -> None:
        del self.rows[kind][number]
        self._changed(kind, number)

    def _changed(self, kind: str, number: int) -> None:
        self._versions[kind] += 1
        if self.lagging:
            self._late[kind].add(number)
        else:
            self._index(kind, number)

    def _index(self, kind: str, number: int) -> None:
        self._versions[kind] += 1
        row = self.rows[kind].get(number)
        if row is None or row.archived is not None:
            self.indexed[kind].pop(number, None)
        else:
            self.indexed[kind][number] = row


def iso(moment: int) -> str:
    """Milliseconds since 1970 as the API writes them."""
    seconds, rest = divmod(moment, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def milliseconds(at: datetime | str | float) -> int:
    """A moment in milliseconds since 1970. Raises `ValueError`."""
    if isinstance(at, str):
        if re.fullmatch(r"-?\d+", at):
            return int(at)
        at = datetime.fromisoformat(at)
    if isinstance(at, datetime):
        at = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1000
    return round(at)


def comparable(name: str, value: str | None) -> float | int | str | None:
    """A value as it is compared. Raises `ValueError` for one that is no time where one is due."""
    if value is None or value == "":
        return None
    if name in _TIMES:
        return milliseconds(value)
    if name in _NUMBERS:
        return int(value) if re.fullmatch(r"-?\d+", value) else float(value)
    return value.lower()


def is_sized(name: str) -> bool:
    """Whether a property is a number or a time."""
    return name in _TIMES or name in _NUMBERS


def _texts(properties: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in properties.items() if value is not None}
