"""SOQL, as far as it is written here: names are checked, values are quoted, times are literals. Pure.

Facts: SOQL and SOSL Reference, "Quoted String Escape Sequences", "Date Formats and Date Literals".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import msgspec

from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ID = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?")
OBJECT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}(?:\.[A-Za-z][A-Za-z0-9_]{0,79}){0,5}")
ORDER = "SystemModstamp, Id"
_ESCAPES = str.maketrans(
    {"\\": r"\\", "'": r"\'", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\b": r"\b", "\f": r"\f"}
)
_EARLIEST = "1700-01-01T00:00:00.000Z"  # what SOQL takes


class Place(msgspec.Struct, frozen=True):
    """How far rows were read that are ordered by time and id: behind this one."""

    t: str
    id: str


def checked(name: str, pattern: re.Pattern[str], where: str) -> str:
    """A name of an object or field that stands in settings. Raises `ConfigError` for what is none."""
    if not pattern.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of a field or object in Salesforce",
            hint=f"use API names, such as StageName, Risk__c or Account.Name, in {where}",
        )
    return name


def quoted(value: str) -> str:
    """A text as a literal."""
    return f"'{value.translate(_ESCAPES)}'"


def moment(value: str) -> str | None:
    """A time of the API, of whatever offset, as a literal in UTC to the millisecond; None for what is no time."""
    try:
        when = datetime.fromisoformat(value)
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return max(_EARLIEST, f"{when.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z")


def earlier(time: str, minutes: float) -> str:
    """So many minutes before a literal."""
    try:
        before = datetime.fromisoformat(time) - timedelta(minutes=minutes)
    except OverflowError:
        return _EARLIEST
    return moment(before.isoformat()) or _EARLIEST


def select(
    fields: Sequence[str], name: str, where: Iterable[str] = (), *, order: str = "", limit: int | None = None
) -> str:
    """A query. `where` are conditions that all have to hold."""
    conditions = " AND ".join(where)
    parts = [f"SELECT {', '.join(fields)} FROM {name}"]  # noqa: S608 - names are checked, values quoted
    parts += [f"WHERE {conditions}"] if conditions else []
    parts += [f"ORDER BY {order}"] if order else []
    parts += [f"LIMIT {limit}"] if limit is not None else []
    return " ".join(parts)


def since(time: str) -> str:
    """The condition for rows from then on."""
    return f"SystemModstamp >= {time}"


def behind(place: Place) -> str:
    """The condition for rows behind a place, in the order of time and id."""
    return f"(SystemModstamp > {place.t} OR (SystemModstamp = {place.t} AND Id > {quoted(place.id)}))"


def among(ids: Iterable[str]) -> str:
    """The condition for rows with these ids."""
    return f"Id IN ({','.join(map(quoted, ids))})"


def length(query: str) -> int:
    """Bytes that a query takes in a URL."""
    return len(quote_plus(query))
