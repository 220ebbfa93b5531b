"""How far a sync of Gong has come, and which window of time it reads next. Pure; times are whole seconds since 1970.

Gong lists calls by their start, in no order that it promises, by cursors that die after an hour. So the past is read in
windows of a few hundred calls, oldest first, each of them whole: no cursor of Gong's has to outlive one.

What a call lacks when it is read (transcript, brief) comes within the overlap. A pass therefore ends `overlap` before
the moment it began, by Gong's clock, or before the newest call, whichever is earlier: no clock of ours is in it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from sophiactl.connectors.errors import BadQuery
from sophiactl.connectors.reading import instant

DAY, YEAR = 86_400, 31_536_000
LONGEST = 4 * YEAR
TARGET, MOST = 280, 500
"""Calls that a window should hold, and may hold; one of a single second holds whatever there is."""
FOUNDED = 1_420_070_400
"""2015: what was recorded before that was imported, and is read as one window where it is not much."""
_LATEST = 253_402_300_799
_HINT = "run it without what was kept, from a day on: sophiactl connectors sync gong --since 2026-01-31"


class Window(msgspec.Struct, frozen=True):
    """Calls that started at `start` or later and before `end`; None is open."""

    start: int | None
    end: int | None

    def filter(self) -> dict[str, str]:
        """As Gong takes it, with its time zone."""
        times = {"fromDateTime": self.start, "toDateTime": self.end}
        return {name: iso(moment) for name, moment in times.items() if moment is not None}

    def __str__(self) -> str:
        start, end = ("" if moment is None else iso(moment) for moment in (self.start, self.end))
        return f"calls {start}..{end}"


class Place(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How far it was read.

    Everything that started before `at` was given (None: nothing was yet). `width` is that of the next window; 0 reads
    all that is left. `since` is the lower end of everything. `began` is when this pass did, None between two; `newest`
    the latest start of a call. `mute` is from where on transcripts were not read for want of the scope.
    """

    v: int
    service: str
    at: int | None = None
    width: int = 0
    since: int | None = None
    began: int | None = None
    newest: int | None = None
    mute: int | None = None

    def cursor(self) -> str:
        """The place as text."""
        return msgspec.json.encode(self).decode()

    def window(self, now: int) -> Window:
        """The next window; an open one from where the present is reached."""
        if self.at is None:
            return Window(None, FOUNDED if self.width else None)
        end = self.at + self.width
        return Window(self.at, end if self.width and self.at < now and end < now else None)

    def narrower(self, window: Window, total: int, now: int) -> Window | None:
        """What to read instead of a window that holds too much; None when it has to be read as it is."""
        if total <= MOST or (window.start is not None and window.start >= now):
            return None
        if window.start is None and (window.end is None or window.end > FOUNDED):
            return Window(None, FOUNDED)
        start = 0 if window.start is None else window.start
        end = max(now, start + DAY) if window.end is None else window.end
        width = int((end - start) * min(0.5, TARGET / total))
        return Window(window.start, start + max(1, width)) if end - start > 1 else None

    def behind(self, window: Window, given: int) -> Place:
        """The place behind a window that has an end; the next is wider when it held little."""
        end = window.end if window.end is not None else _LATEST
        width = YEAR if window.start is None else end - window.start
        factor = 2.0 if given == 0 else min(2.0, max(0.1, TARGET / given))
        return self.changed(at=end, width=max(1, min(LONGEST, int(width * factor))))

    def ended(self, overlap: int) -> Place:
        """The place from which the next pass starts."""
        known = [moment for moment in (self.newest, self.began) if moment is not None]
        at = None if self.newest is None else min(known) - overlap
        if self.since is not None:
            at = self.since if at is None else max(at, self.since)
        return self.changed(at=at, width=0, began=None)

    def changed(self, **changes: int | None) -> Place:
        """The place with other values."""
        return msgspec.structs.replace(self, **changes)


def place_of(cursor: str | None, since: str | None) -> Place:
    """Where to begin. Raises `BadQuery` for a cursor that is none of ours, or a time that is none."""
    if cursor is None:
        start = None if since is None else _moment(since)
        return Place(1, "gong", at=start, since=start)
    try:
        place = msgspec.json.decode(cursor, type=Place)
    except (msgspec.DecodeError, UnicodeEncodeError):
        place = None
    if place is None or (place.v, place.service) != (1, "gong") or not _sound(place):
        raise BadQuery("what was kept of how far gong was read makes no sense", service="gong", hint=_HINT)
    return place


def iso(moment: int) -> str:
    """A time as `2026-01-31T12:00:00Z`."""
    when = datetime.fromtimestamp(min(max(moment, -62_135_596_800), _LATEST), UTC)
    return when.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def moment_of(value: object) -> int | None:
    """Whole seconds since 1970 of a time of Gong's, None when it is none."""
    found = instant(value)
    return None if found is None else int(datetime.fromisoformat(found).timestamp())


def _moment(since: str) -> int:
    moment = moment_of(since)
    if moment is None:
        raise BadQuery("that is no time to begin from", service="gong", hint="write it as 2026-01-31")
    return moment


def _sound(place: Place) -> bool:
    moments = (place.at, place.since, place.began, place.newest, place.mute)
    return 0 <= place.width <= _LATEST and all(each is None or abs(each) <= _LATEST for each in moments)
