"""What changed in Salesforce: of each object the rows by time and id, then what was deleted; and what is gone for good.

Each row has a time (SystemModstamp) that moves when it is changed, deleted or restored. Times are Salesforce's own. The
newest one before we begin limits how far a run may say that it has come: rows change while they are read, page by page.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Change, Checkpoint, Removed, Skipped, Upsert
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import BadQuery, MissingScope
from sophiactl.connectors.reading import text
from sophiactl.connectors.salesforce_api import IDS
from sophiactl.connectors.salesforce_errors import Refused
from sophiactl.connectors.salesforce_objects import KEYS, PREFIXES, ObjectFields, reason_of
from sophiactl.connectors.salesforce_position import Mark, Now, Position, begun
from sophiactl.connectors.salesforce_records import item
from sophiactl.connectors.salesforce_soql import ID, ORDER, Place, among, behind, earlier, moment, select, since

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from sophiactl.connectors.errors import ServiceError
    from sophiactl.connectors.salesforce_api import SalesforceApi

_NO_LIMIT = "4000-12-31T00:00:00.000Z"
_KEPT = "IsDeleted = false"
_GONE = "IsDeleted = true"


class SalesforceSync:
    """Reads the changes of all objects, one after the other."""

    def __init__(
        self, api: SalesforceApi, objects: Mapping[str, ObjectFields], overlap_minutes: float, timeout: float
    ) -> None:
        self._api = api
        self._objects = objects
        self._overlap = overlap_minutes
        self._timeout = timeout
        self._prefixes: dict[str, str] = {}

    def _deadline(self) -> Deadline:
        return Deadline(self._timeout)

    async def changes(self, cursor: str | None, from_time: str | None) -> AsyncGenerator[Change]:
        """See `Connector.changes`."""
        position = begun(cursor, from_time)
        first = position.now.name if position.now else ""
        for name, fields in sorted(self._objects.items(), key=lambda entry: entry[0] != first):
            if name in position.read:
                continue
            told: set[str] = set()
            try:
                async with aclosing(self._object(fields, position)) as stream:
                    async for change in stream:
                        for skipped in _refused(fields, told):
                            yield skipped
                        if isinstance(change, Position):
                            position = change
                            yield Checkpoint(position.text())
                        else:
                            yield change
            except (Refused, MissingScope) as error:
                if error.stop:
                    raise
                yield _unread(name, error)
                position = position.without(name)
        marks = {name: mark for name, mark in position.marks.items() if name in self._objects}
        yield Checkpoint(Position(1, since=position.since, marks=marks).text(), done=True)

    async def _object(self, fields: ObjectFields, position: Position) -> AsyncGenerator[Change | Position]:
        """Changes of one object; after each page the position behind it."""
        newest = await self._newest(fields.name)
        now = self._begin(fields, position, newest)
        if now != position.now:  # from when on deletions count, before anything is given that may be deleted
            yield msgspec.structs.replace(position, now=now)
        if not now.deleting:
            ask = partial(_changed, fields.name, now.low)
            walk = self._api.walk(ask, fields, now.at, self._deadline, newest=newest)
            async with aclosing(walk) as batches:
                async for batch in batches:
                    for change in self._upserts(batch.records, fields):
                        yield change
                    now = msgspec.structs.replace(now, at=batch.place, mark=batch.place.t if batch.place else now.mark)
                    yield msgspec.structs.replace(position, now=now)
            now = msgspec.structs.replace(now, deleting=True, at=None)
        if now.gone:
            async with aclosing(self._deleted(fields.name, now, position)) as removals:
                async for gone in removals:
                    yield gone
        marks = dict(position.marks)
        if now.mark:
            marks[fields.name] = Mark(now.mark, now.fields)
        elif fields.name in marks:  # nothing was there to be read, so that nothing is missing
            marks[fields.name] = msgspec.structs.replace(marks[fields.name], fields=now.fields, gone=None)
        yield msgspec.structs.replace(position, marks=marks, read=(*position.read, fields.name), now=None)

    def _begin(self, fields: ObjectFields, position: Position, newest: str | None) -> Now:
        """Where to go on in an object, or from where to read it. Other fields than last time: from the beginning."""
        now, mark = position.now, position.marks.get(fields.name)
        if now is not None and now.name == fields.name and now.fields == fields.mark:
            return now
        floor = earlier(mark.t, self._overlap) if mark else None
        low = position.since
        if floor and mark and mark.fields == fields.mark:
            low = max(floor, position.since or floor)
        if mark and mark.gone and floor:
            floor = min(floor, mark.gone)
        if now is not None and now.name == fields.name:
            gone = now.gone or floor
        else:  # at a first sync, what is deleted after we have read it
            gone = floor or (earlier(newest, self._overlap) if newest else None)
        return Now(fields.name, fields.mark, low=low, gone=gone)

    async def _newest(self, name: str) -> str | None:
        """The time of the last change that an object has seen."""
        soql = select(KEYS, name, order="SystemModstamp DESC NULLS LAST", limit=1)
        page = await self._api.query(soql, self._deadline())
        times = (moment(text(record.get("SystemModstamp"))) for record in page.records)
        return max((time for time in times if time), default=None)

    def _upserts(self, records: Sequence[Mapping[str, Any]], fields: ObjectFields) -> Iterator[Change]:
        for record in records:
            found = item(record, fields.name, fields.shown, self._api.links)
            yield Upsert(found) if found else Skipped(fields.name, "malformed", "a record without an id")

    async def _deleted(self, name: str, now: Now, position: Position) -> AsyncGenerator[Change | Position]:
        """What was moved to the recycle bin; what has left that too is found by `reconcile`."""
        ask, keys = partial(_changed, name, now.gone, only=_GONE), ObjectFields.bare(name)
        walk = self._api.walk(ask, keys, now.at, self._deadline, newest=_NO_LIMIT, deleted=True)
        try:
            async with aclosing(walk) as batches:
                async for batch in batches:
                    for record in batch.records:
                        if text(record.get("Id")):
                            yield Removed(text(record.get("Id")))
                    now = msgspec.structs.replace(now, deleting=True, at=batch.place)
                    yield msgspec.structs.replace(position, now=now)
        except Refused as error:
            yield Skipped(f"{name}, what was deleted", error.code, reason_of(error.words or error.message))

    async def reconcile(self, known: Sequence[str]) -> AsyncGenerator[Change]:
        """See `Connector.reconcile`."""
        by_object: dict[str, list[str]] = {}
        for record in known:
            name = await self.object_of(record)
            if name:
                by_object.setdefault(name, []).append(record)
        for name, ids in by_object.items():
            for start in range(0, len(ids), IDS):
                chunk = ids[start : start + IDS]
                try:
                    there = await self._there(name, chunk)
                except (Refused, MissingScope) as error:
                    if error.stop:
                        raise
                    yield _unread(name, error)
                    break
                for record in chunk:
                    if record[:15] not in there:
                        yield Removed(record)
        yield Checkpoint("", done=True)

    async def _there(self, name: str, ids: Sequence[str]) -> set[str]:
        """Which of them still exist; archived activities do, which a plain query does not see."""
        try:
            page = await self._api.query(select(["Id"], name, [among(ids), _KEPT]), self._deadline(), deleted=True)
        except Refused as error:
            if error.said != "INVALID_FIELD":
                raise
            page = await self._api.query(select(["Id"], name, [among(ids)]), self._deadline())
        found = {text(record.get("Id"))[:15] for record in page.records}
        while page.next:
            page = await self._api.more(page.next, self._deadline())
            found |= {text(record.get("Id"))[:15] for record in page.records}
        return found

    async def object_of(self, record: str) -> str | None:
        """The object that a record is one of, None when it is none that is read: ids begin with a sign of it."""
        prefix = record[:3] if ID.fullmatch(record) else ""
        name = PREFIXES.get(prefix)
        if name is None:
            await self._learn()
            name = self._prefixes.get(prefix)
        return name if name in self._objects else None

    async def _learn(self) -> None:
        """With what the ids of an organisation's own objects begin, from one record of each."""
        if self._prefixes:
            return
        self._prefixes = {"": ""}
        for name in self._objects.keys() - PREFIXES.values():
            try:
                page = await self._api.query(select(["Id"], name, limit=1), self._deadline(), deleted=True)
            except (Refused, MissingScope):
                continue
            self._prefixes.update({text(record.get("Id"))[:3]: name for record in page.records})


def _changed(name: str, low: str | None, place: Place | None, fields: Sequence[str], *, only: str = "") -> str:
    """The query for rows from a time on, or behind a place."""
    where = [behind(place)] if place else [since(low)] if low else []
    return select(fields, name, [*([only] if only else []), *where], order=ORDER)


def _refused(fields: ObjectFields, told: set[str]) -> Iterator[Skipped]:
    for field, reason in fields.refused.items():
        if field not in told:
            told.add(field)
            yield Skipped(f"{fields.name}.{field}", BadQuery.code, reason)


def _unread(name: str, error: ServiceError) -> Skipped:
    words = error.words if isinstance(error, Refused) else ""
    return Skipped(name, error.code, reason_of(words or error.message))
