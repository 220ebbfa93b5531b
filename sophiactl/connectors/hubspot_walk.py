"""How far HubSpot was read: a walk through one kind of record in the order of change, and the cursor that keeps it.

A search pages by an offset into a result that changes while it is read (what is modified moves to its end, and the rest
moves up and is missed), and gives 10,000 results at most. So a walk asks for first pages alone: everything modified
from the last time on, and where a whole page has one and the same time, that time's records in the order of their ids.
No result is too long for it, and nothing moves under it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.errors import BadQuery, Malformed
from sophiactl.connectors.reading import mapping, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.connectors.hubspot_kinds import Kind

PAGE = 200
"""Records of a page of a search, at most."""
_VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where one kind was read to. Times are HubSpot's own, in milliseconds since 1970.

    Everything modified before `at` was given; of what was modified at it, that up to the id `tie` if there is one.
    `settled`: the search index had caught up with `at` when it was passed, so that nothing late can show up before it.
    What was archived before `gone` was given.
    """

    at: int | None = None
    tie: int | None = None
    settled: bool = False
    gone: int | None = None


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far everything was read: `left` are the kinds that a run has still to do, None between two runs."""

    v: int
    places: dict[str, Place] = {}
    left: tuple[str, ...] | None = None
    since: int | None = None

    def dump(self) -> str:
        """The text that is kept."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def start(cls, kinds: Sequence[str], since: str | None) -> Cursor:
        """Of a first run. Raises `BadQuery` when `since` is no time."""
        moment = None if since is None or since.isdigit() else millis(since)
        if since is not None and moment is None:
            raise BadQuery(
                f"{since[:40]!r} is no time", service="hubspot", hint="write it as 2026-03-01 or 2026-03-01T09:00:00Z"
            )
        return cls(_VERSION, {}, tuple(kinds), moment)

    @classmethod
    def load(cls, text: str, kinds: Sequence[str]) -> Cursor:
        """What `dump` gave, for the next run or the rest of one. Raises `BadQuery`."""
        try:
            found = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, UnicodeError):
            found = None
        if found is None or found.v != _VERSION:
            hint = "start anew: `sophiactl connectors sync hubspot --since 2020-01-01`, or a later day"
            what = "hubspot cannot go on from a cursor that is damaged or not its own"
            raise BadQuery(what, service="hubspot", hint=hint)
        left = kinds if found.left is None else [name for name in kinds if name in found.left]
        return msgspec.structs.replace(found, left=tuple(left))

    def reached(self, kind: str, place: Place) -> Cursor:
        """With a kind read up to `place`."""
        return msgspec.structs.replace(self, places={**self.places, kind: place})

    def finished(self, kind: str) -> Cursor:
        """With a kind done."""
        left = tuple(name for name in self.left or () if name != kind)
        return msgspec.structs.replace(self, left=left)

    def rest(self) -> Cursor:
        """Between two runs."""
        return msgspec.structs.replace(self, left=None, since=None)


class Walk:
    """Through one kind: `body` is the next search, `take` its answer, until `over`.

    `overlap` in milliseconds is read again before a place that is not settled.
    """

    def __init__(self, kind: Kind, place: Place, since: int | None, overlap: int, size: int = PAGE) -> None:
        self.over = False
        self._kind = kind
        self._size = size
        self._overlap = overlap
        self._at = since or 0
        self._tie: int | None = None
        self._given: set[str] = set()
        self._after: str | None = None
        self._followed: set[str] = set()
        self._latest = since if place.at is None else place.at
        if place.at is not None:
            self._at = place.at if place.settled else max(0, place.at - overlap)
            self._tie = place.tie if place.settled else None

    def body(self) -> dict[str, Any]:
        """What to ask next."""
        modified = self._kind.modified
        filters = [{"propertyName": modified, "operator": "GTE", "value": str(self._at)}]
        sort = modified
        if self._tie is not None:
            sort = "hs_object_id"
            filters += [
                {"propertyName": modified, "operator": "LTE", "value": str(self._at)},
                {"propertyName": sort, "operator": "GT", "value": str(self._tie)},
            ]
        body: dict[str, Any] = {"filterGroups": [{"filters": filters}], "sorts": [sort]}
        body |= {"properties": self._kind.properties, "limit": self._size}
        return body if self._after is None else body | {"after": self._after}

    def take(self, answer: Any) -> list[Any]:
        """What is new in the answer. Raises `Malformed` when it leads nowhere."""
        found = mapping(answer)
        results = found.get("results")
        if not isinstance(results, list):
            raise Malformed("hubspot gave a page without results", service="hubspot", hint="run it again")
        after = text(mapping(mapping(found.get("paging")).get("next")).get("after"))
        ids = [text(mapping(raw).get("id")) for raw in results]
        fresh = [raw for raw, number in zip(results, ids, strict=True) if not number or number not in self._given]
        times = [moment for raw in results if (moment := self._modified(raw)) is not None]
        self._latest = max([*times, *([] if self._latest is None else [self._latest])], default=None)
        if self._after is not None:
            self._follow(after)
        elif self._tie is not None:
            self._go_through_tie(ids, after)
        else:
            self._go_on(results, times, after)
        return fresh

    def place(self, now: int | None, gone: int | None) -> Place:
        """Where it stands; `now` is HubSpot's clock at the last answer, if it told."""
        if self.over or self._after is not None:
            # A walk that had to follow offsets is not resumed in its middle.
            return Place(at=self._latest if self.over else self._at, gone=gone)
        settled = now is not None and self._at <= now - self._overlap
        return Place(at=self._at, tie=self._tie if settled else None, settled=settled, gone=gone)

    def _go_on(self, results: list[Any], times: list[int], after: str) -> None:
        """From the last time on; into a tie, when all of a page has that time."""
        if not after:
            self.over = True
        elif times != sorted(times):
            self._follow(after)  # the order that was asked for is not kept
        elif times and times[-1] > self._at:
            self._at = times[-1]
            self._given = {text(mapping(raw).get("id")) for raw in results if self._modified(raw) == self._at}
        else:
            self._tie = 0

    def _go_through_tie(self, ids: list[str], after: str) -> None:
        """On by id; behind the tie, when it is through."""
        last = max((int(number) for number in ids if number.isascii() and number.isdigit()), default=0)
        if not after:
            self._leave_tie()
        elif last > (self._tie or 0):
            self._tie = last
        else:
            self._follow(after)  # the filter that was asked for is not kept

    def _leave_tie(self) -> None:
        self._at, self._tie, self._given = self._at + 1, None, set()

    def _follow(self, after: str) -> None:
        """By the service's own offsets, as a last resort."""
        if after in self._followed:
            hint = "run it again; report it to the vendor"
            raise Malformed("hubspot gave the same cursor twice", service="hubspot", hint=hint)
        self._followed.add(after)
        self._after = after or None
        if self._after is not None:
            return
        if self._tie is None or (self._latest or 0) > self._at:
            self.over = True
        else:
            self._leave_tie()

    def _modified(self, raw: Any) -> int | None:
        record = mapping(raw)
        told = mapping(record.get("properties")).get(self._kind.modified)
        return millis(told) or millis(record.get("updatedAt"))


class Bin:
    """What was archived, from a listing in the order of ids. `gone` is the time up to which it is known for good.

    Only what was archived since the last listing is told, with the overlap; on the first, all that is young enough.
    """

    def __init__(self, gone: int | None, since: int | None, overlap: int) -> None:
        self.gone = gone
        self._since = since
        self._floor = since if gone is None else gone - overlap
        self._begun: int | None = None

    def take(self, results: list[Any], now: int | None) -> list[dict[str, Any]]:
        """The records of a page that have to be told; `now` is HubSpot's clock at its answer."""
        self._begun = now if self._begun is None else self._begun
        if self.gone is None:
            self.gone = self._since
        told = []
        for raw in map(mapping, results):
            at = millis(raw.get("archivedAt"))
            if text(raw.get("id")) and (at is None or self._floor is None or at >= self._floor):
                told.append(raw)
            if at is not None:
                # Not beyond the begin of the listing: what is archived behind its back is for the next one.
                known = at if self._begun is None else min(at, self._begun)
                self.gone = known if self.gone is None else max(self.gone, known)
        return told


def millis(value: Any) -> int | None:
    """A time (ISO 8601, or milliseconds as a number or text) in milliseconds since 1970; None when it is none."""
    found = text(value)
    try:
        if found.isascii() and found.isdigit():
            return int(found) if len(found) <= 15 else None
        when = datetime.fromisoformat(found)
    except ValueError:
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    # Not by way of a float, which loses the last digit.
    return (when - _EPOCH) // _MILLISECOND
