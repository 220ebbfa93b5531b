"""Listings of the loopback Notion: pages of a listing, and cursors that mean nothing to anybody else."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

MOST_CURSORS = 5_000
PAGINGS = ("key", "offset", "anchor")
Entry = tuple[str, str]


class _Mark(NamedTuple):
    scope: Hashable
    given: int
    last: Entry
    following: Entry
    at: float


class Cursors:
    """Cursors and what they stand for.

    How Notion finds its place again is not known; `paging` has three ways, each of which loses or repeats other things
    when a listing changes meanwhile: behind the last entry given (`key`), after so many entries (`offset`), or from the
    next entry on, wherever that is now (`anchor`; a cursor whose entry is gone is invalid). `seconds` is how long a
    cursor lives, None for ever.
    """

    def __init__(self) -> None:
        self.paging = "key"
        self.seconds: float | None = None
        self._marks: OrderedDict[str, _Mark] = OrderedDict()

    def forget(self) -> None:
        """All cursors given so far are invalid."""
        self._marks.clear()

    def page(
        self, scope: Hashable, entries: Sequence[Entry], size: int, cursor: str | None, *, descending: bool = False
    ) -> tuple[list[Entry], str | None] | None:
        """The entries of a page and the cursor of the next; None for a cursor that is invalid.

        `entries` are in ascending order, whatever the order of the listing.
        """
        start = 0 if cursor is None else self._start(scope, entries, cursor, descending=descending)
        if start is None:
            return None
        count = len(entries)
        if descending:
            found = list(entries[max(0, count - start - size) : max(0, count - start)])[::-1]
        else:
            found = list(entries[start : start + size])
        end = start + len(found)
        if end >= count or not found:
            return found, None
        following = entries[count - end - 1] if descending else entries[end]
        return found, self._new(_Mark(scope, end, found[-1], following, time.monotonic()))

    def _start(self, scope: Hashable, entries: Sequence[Entry], cursor: str, *, descending: bool) -> int | None:
        mark = self._marks.get(cursor)
        if mark is None or mark.scope != scope:
            return None
        if self.seconds is not None and time.monotonic() - mark.at >= self.seconds:
            return None
        return self._place(mark, entries, descending=descending)

    def _place(self, mark: _Mark, entries: Sequence[Entry], *, descending: bool) -> int | None:
        """How many entries of the listing come before the page."""
        count = len(entries)
        if self.paging == "offset":
            return min(mark.given, count)
        if self.paging == "anchor":
            where = next((place for place, entry in enumerate(entries) if entry[1] == mark.following[1]), None)
            return where if where is None or not descending else count - where - 1
        if descending:
            return count - bisect_left(entries, mark.last)
        return bisect_right(entries, mark.last)

    def _new(self, mark: _Mark) -> str:
        if len(self._marks) >= MOST_CURSORS:
            self._marks.popitem(last=False)
        cursor = str(uuid4())
        self._marks[cursor] = mark
        return cursor
