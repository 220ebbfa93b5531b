"""Where a sync of Salesforce stands: what its cursors hold. No cursor of Salesforce's own: those expire. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.connectors.errors import BadQuery
from sophiactl.connectors.salesforce_errors import SERVICE
from sophiactl.connectors.salesforce_soql import ID, Place, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

_HINT = "start anew: sophiactl connectors sync salesforce --since DATE"


class Mark(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """All changes of an object up to `t` were given, with the fields that `fields` stands for.

    Of its deletions only those up to `gone`, if there is one: a run that had to leave the object came no further.
    """

    t: str
    fields: str
    gone: str | None = None


class Now(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The object that is being read: first its rows from `low` on, then those deleted from `gone` on.

    `at` is the place in that, and `mark` how far the rows went. None is from the beginning, or none at all for `gone`.
    """

    name: str
    fields: str
    low: str | None = None
    gone: str | None = None
    deleting: bool = False
    at: Place | None = None
    mark: str | None = None

    def times(self) -> Iterator[str]:
        """Every time that it holds."""
        yield from (time for time in (self.low, self.gone, self.mark, self.at and self.at.t) if time)


class Position(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A cursor: the marks of earlier reading, what this run has `read`, and what it reads `now`."""

    v: int
    since: str | None = None
    marks: dict[str, Mark] = {}
    read: tuple[str, ...] = ()
    now: Now | None = None

    def text(self) -> str:
        """The cursor as JSON."""
        return msgspec.json.encode(self).decode()

    def without(self, name: str) -> Position:
        """Where to go on when an object has to be left: what was given of it is not given again."""
        marks, now = dict(self.marks), self.now
        if now is not None and now.name == name and now.mark:
            marks[name] = Mark(now.mark, now.fields, gone=now.gone)
        return msgspec.structs.replace(self, marks=marks, read=(*self.read, name), now=None)


def begun(cursor: str | None, since: str | None) -> Position:
    """The position of a cursor, or that of a first sync. Raises `BadQuery` for a damaged one."""
    if cursor is None:
        found = moment(since) if since else None
        if since and found is None:
            raise BadQuery(f"{since!r} is no date", service=SERVICE, hint="write it as 2026-01-31")
        return Position(1, since=found)
    try:
        position = msgspec.json.decode(cursor, type=Position)
    except msgspec.DecodeError:
        position = None
    if position is None or not _sound(position):
        raise BadQuery("salesforce: the place where the last sync ended cannot be read", service=SERVICE, hint=_HINT)
    return position


def _sound(position: Position) -> bool:
    """Whether all times and ids in a cursor are such, since they go into queries as they are."""
    times = [time for mark in position.marks.values() for time in (mark.t, mark.gone) if time]
    times += [position.since] if position.since else []
    times += list(position.now.times()) if position.now else []
    place = position.now.at if position.now else None
    return position.v == 1 and all(moment(t) == t for t in times) and (place is None or bool(ID.fullmatch(place.id)))
