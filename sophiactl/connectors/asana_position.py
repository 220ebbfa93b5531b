"""Where a sync of Asana stands: what its cursors hold."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from sophiactl.connectors.asana_api import SERVICE
from sophiactl.connectors.errors import BadQuery
from sophiactl.connectors.reading import instant

_HINT = "start anew: sophiactl connectors sync asana --since DATE"
_LEAST = 1 / 60
"""Minutes: times are cut to the second, so that of one second all are read again."""


class Doing(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A project in the middle of its listing.

    The page at `offset` was read up to the task `last`; `newest` is the latest change seen, `begun` the time at Asana
    when the listing began, and `held` the change time of the oldest task that has to be read again.
    """

    gid: str
    offset: str = ""
    last: str = ""
    newest: str = ""
    begun: str = ""
    held: str = ""

    def mark(self) -> str:
        """How far the project was read: what changed while it was listed is read again."""
        return min(filter(None, (self.newest, self.begun, self.held)), default="") if self.newest else ""


class Position(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A cursor.

    `marks` say for each project up to which change it was read: one mark for all would lose what changed in a project
    after its turn, and all old tasks of a project that is shared with us later. This run is behind the project `after`,
    in the order of their gids, and in the midst of `doing`.
    """

    v: int
    since: str = ""
    marks: dict[str, str] = {}
    after: str = ""
    doing: Doing | None = None

    def text(self) -> str:
        """The cursor as JSON."""
        return msgspec.json.encode(self).decode()

    def floor(self, gid: str, overlap_minutes: float) -> str:
        """The change time from which on tasks of a project are listed, empty for all."""
        mark = self.marks.get(gid, "")
        return earlier(mark, max(overlap_minutes, _LEAST)) if mark else self.since

    def done_with(self, gid: str, mark: str) -> Position:
        """The position behind a project; without a mark it has the one it had."""
        marks = {**self.marks, gid: mark} if mark else self.marks
        return msgspec.structs.replace(self, marks=marks, after=gid, doing=None)


def begun(cursor: str | None, since: str | None) -> Position:
    """The position of a cursor, or that of a first sync. Raises `BadQuery` for a damaged one."""
    if cursor is None:
        return Position(1, since=_moment(since) if since else "")
    try:
        position = msgspec.json.decode(cursor, type=Position)
    except msgspec.DecodeError:
        position = None
    if position is None or position.v != 1 or not all(map(_is_time, _times(position))):
        raise BadQuery("asana: the place where the last sync ended cannot be read", service=SERVICE, hint=_HINT)
    return position


def order(gid: str) -> tuple[int, str]:
    """Gids by their number, and whatever else in some order."""
    return len(gid), gid


def _times(position: Position) -> list[str]:
    doing = position.doing or Doing("")
    return [position.since, *position.marks.values(), doing.newest, doing.begun, doing.held]


def _is_time(value: str) -> bool:
    return not value or instant(value) == value


def _moment(since: str) -> str:
    found = instant(since)
    if found is None:
        raise BadQuery(f"{since!r} is no date", service=SERVICE, hint="write it as 2026-01-31")
    return found


def earlier(moment: str, minutes: float) -> str:
    """So many minutes before a moment."""
    try:
        before = datetime.fromisoformat(moment) - timedelta(minutes=minutes)
    except OverflowError:
        return "0001-01-01T00:00:00Z"
    return f"{before.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
