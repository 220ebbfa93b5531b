"""Which fields of which objects are read, and which of them Salesforce does not let us read. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zlib import crc32

from sophiactl.connectors.salesforce_soql import FIELD, OBJECT, checked, length
from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

KEYS = ("Id", "SystemModstamp")
"""Without these nothing can be read in order."""
TIMES = ("CreatedDate", "LastModifiedDate")
PEOPLE = ("Owner.Name", "CreatedBy.Name")
CURRENCY = "CurrencyIsoCode"
MONEY = frozenset({"Amount", "AnnualRevenue", "ExpectedRevenue", "TotalPrice", "UnitPrice", "TotalAmount", "Price"})
_RELATED: Mapping[str, tuple[str, ...]] = {
    "Contact": ("Account.Name",),
    "Opportunity": ("Account.Name",),
    "Contract": ("Account.Name",),
    "Order": ("Account.Name",),
    "Asset": ("Account.Name",),
    "Case": ("Account.Name", "Contact.Name"),
    "Task": ("Account.Name", "What.Name", "Who.Name"),
    "Event": ("Account.Name", "What.Name", "Who.Name"),
}
PREFIXES: Mapping[str, str] = {
    "001": "Account",
    "003": "Contact",
    "005": "User",
    "006": "Opportunity",
    "00Q": "Lead",
    "00T": "Task",
    "00U": "Event",
    "00a": "CaseComment",
    "00k": "OpportunityLineItem",
    "01t": "Product2",
    "02i": "Asset",
    "02s": "EmailMessage",
    "0Q0": "Quote",
    "500": "Case",
    "701": "Campaign",
    "800": "Contract",
    "801": "Order",
}
"""With what the ids of standard objects begin; those of custom ones are each organisation's own."""
LONGEST = 4_000
"""Bytes of a URL that the fields of one query may take: what is on the way may take no more than 8,000 in all."""
_NAMED = re.compile(r"(?<!\w)'([\w.]{1,400})'")  # and not the sign in "Didn't"
_ENTITY = re.compile(r"on (?:entity|sobject of type) '?(\w+)", re.IGNORECASE)


class ObjectFields:
    """What is asked of one object: the configured fields, and some that give times, names and links.

    Configured ones that cannot be read are kept in `refused`, each with Salesforce's reason.
    """

    def __init__(self, name: str, configured: Iterable[str], *, currency: bool = False) -> None:
        self.name = name
        self.configured = _once(configured)
        self.refused: dict[str, str] = {}
        extras = [*TIMES, *PEOPLE, *_RELATED.get(name, ())]
        if currency and MONEY & set(self.configured):
            extras.append(CURRENCY)
        self._fields = list(_once((*KEYS, *self.configured, *extras)))

    @classmethod
    def bare(cls, name: str) -> ObjectFields:
        """Nothing but the id and the time of the last change."""
        fields = cls(name, ())
        fields._fields = list(KEYS)
        return fields

    @property
    def mark(self) -> str:
        """Changes when other fields are configured, since then everything has to be read again."""
        return f"{crc32(','.join(self.configured).encode()):08x}"

    @property
    def shown(self) -> tuple[str, ...]:
        """The configured fields that can be read, in their order."""
        asked = {field.lower() for field in self._fields}
        return tuple(field for field in self.configured if field.lower() in asked)

    def all(self) -> tuple[str, ...]:
        """Every field that is asked for."""
        return tuple(self._fields)

    def chunks(self) -> list[tuple[str, ...]]:
        """The fields in as many parts as URLs are too short for; each begins with the id."""
        parts: list[list[str]] = [list(KEYS)]
        for field in self._fields:
            if field in KEYS:
                continue
            if length(", ".join([*parts[-1], field])) > LONGEST:
                parts.append(["Id"])
            parts[-1].append(field)
        return [tuple(part) for part in parts]

    def is_meant(self, words: str) -> bool:
        """Whether a refusal names a field that is asked for."""
        return bool(named(words, self._fields, self.name) - set(KEYS))

    def leave_out(self, words: str) -> bool:
        """Ask no more for the fields that Salesforce names in its refusal; False when there is nothing to leave out.

        When it names none that is asked for, everything that is not configured goes.
        """
        gone = named(words, self._fields, self.name) - set(KEYS)
        if not gone:
            own = {*self.configured, *KEYS}
            gone = {field for field in self._fields if field not in own}
        reason = reason_of(words)
        self.refused.update({field: reason for field in self.configured if field in gone})
        self._fields = [field for field in self._fields if field not in gone]
        return bool(gone)


def _once(fields: Iterable[str]) -> tuple[str, ...]:
    """Each field once, as it was written first: Salesforce does not tell capitals apart, and refuses doubles."""
    first: dict[str, str] = {}
    for field in fields:
        first.setdefault(field.lower(), field)
    return tuple(first.values())


def entity(words: str) -> str:
    """The object that a refusal misses a column of, in small letters; empty when it names none."""
    found = _ENTITY.search(words)
    return found[1].lower() if found else ""


def named(words: str, fields: Sequence[str], own: str) -> set[str]:
    """The fields that an INVALID_FIELD speaks of: of the object itself, of one that a path leads to, or all of a path.

    `own` is the object; Salesforce says of which one it misses a column.
    """
    other = entity(words)
    here = other in ("", own.lower())
    paths = {field: field.lower().split(".") for field in fields}
    found: set[str] = set()
    for quote in _NAMED.findall(words):
        name = quote.lower()
        if name == other:
            continue
        exact = {field for field in fields if field.lower() == name}
        ends = {field for field, path in paths.items() if len(path) > 1 and path[-1] == name and other}
        found |= (exact or ends) if here else (ends or exact)
        found |= {field for field, path in paths.items() if name in path[:-1]}
    return found


def reason_of(words: str) -> str:
    """The sentence of a refusal that says why, without the query that is repeated before it."""
    text = " ".join(words.partition("ERROR at Row")[2].partition("\n")[2].split()) or " ".join(words.split())
    return text.partition(". ")[0][:200] or "no reason given"


def configured(objects: Mapping[str, Sequence[str]], *, currency: bool) -> dict[str, ObjectFields]:
    """What settings ask for. Raises `ConfigError` for a name that is none."""
    where = "connectors.salesforce.objects"
    if not objects:
        raise ConfigError("salesforce has no objects to read", hint=f"name them in {where}")
    for name, fields in objects.items():
        checked(name, OBJECT, where)
        for field in fields:
            checked(field, FIELD, f"{where}.{name}")
    return {name: ObjectFields(name, fields, currency=currency) for name, fields in objects.items()}
