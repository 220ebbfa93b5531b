"""Where a sync of Notion stands: what its cursors hold. No cursor of Notion's: those expire."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from sophiactl.connectors.errors import BadQuery
from sophiactl.connectors.notion_api import SERVICE
from sophiactl.connectors.reading import instant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sophiactl.connectors.notion_listing import Listing, Ref

_HINT = "start anew: sophiactl connectors sync notion --since DATE"
MOST_FAILED = 100


class Position(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A cursor.

    Everything edited before `after` was read by earlier syncs (empty: nothing; then `since` is the limit). This one
    reads a listing whose last edit is `newest`, and is behind `done`, an edit time and an id. `failed` are ids that
    could not be read and may be another time: the next run begins with them.
    """

    v: int
    since: str = ""
    after: str = ""
    newest: str = ""
    done: tuple[str, str] | None = None
    failed: tuple[str, ...] = ()

    def text(self) -> str:
        """The cursor as JSON."""
        return msgspec.json.encode(self).decode()

    def floor(self, overlap_minutes: float) -> str:
        """The edit time from which on things are listed, empty for everything.

        Notion cuts edit times to the minute, so that of one minute all are read again.
        """
        return earlier(self.after, overlap_minutes) if self.after else self.since

    def left(self, listing: Listing, overlap_minutes: float) -> list[Ref]:
        """What is still to be read, in its order. What may have come late into the index is read again."""
        late = earlier(self.newest, overlap_minutes) if self.newest else ""
        behind = self.done or ("", "")
        kept: Iterable[Ref] = listing.refs.values()
        if self.done is not None:
            kept = (ref for ref in kept if ref.place > behind or ref.edited >= late)
        return sorted(kept, key=lambda ref: ref.place)


def begun(cursor: str | None, since: str | None) -> Position:
    """The position of a cursor, or that of a first sync. Raises `BadQuery` for a damaged one."""
    if cursor is None:
        return Position(1, since=_minute(since) if since else "")
    try:
        position = msgspec.json.decode(cursor, type=Position)
    except msgspec.DecodeError:
        position = None
    if position is None or position.v != 1 or not all(map(_is_time, (position.since, position.after, position.newest))):
        raise BadQuery("notion: the place where the last sync ended cannot be read", service=SERVICE, hint=_HINT)
    return position


def _is_time(value: str) -> bool:
    return not value or instant(value) == value


def _minute(since: str) -> str:
    found = instant(since)
    if found is None:
        raise BadQuery(f"{since!r} is no date", service=SERVICE, hint="write it as 2026-01-31")
    return f"{found[:17]}00Z"


def earlier(moment: str, minutes: float) -> str:
    """So many minutes before a moment."""
    try:
        before = datetime.fromisoformat(moment) - timedelta(minutes=minutes)
    except OverflowError:
        return "0001-01-01T00:00:00Z"
    return f"{before.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
