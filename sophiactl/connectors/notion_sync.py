"""A sync of Notion: what changed, oldest first, and what is gone."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Change, Checkpoint, Removed, Skipped, Upsert
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import BadQuery, ItemGone, Malformed, MissingScope, ServiceDown, ServiceError
from sophiactl.connectors.notion_api import SERVICE, in_path, is_gone, same_id
from sophiactl.connectors.notion_listing import Listing, Ref, list_all, list_rows
from sophiactl.connectors.notion_position import MOST_FAILED
from sophiactl.connectors.reading import instant, items, mapping, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sophiactl.connectors.notion_api import NotionApi
    from sophiactl.connectors.notion_position import Position
    from sophiactl.connectors.notion_reader import Read, Reader

CHUNK = 16
"""Pages read at the same time, and so what a kill costs to read again."""
_ONE_PAGE = (ItemGone, MissingScope, BadQuery, Malformed, ServiceDown)
_MAY_PASS = (Malformed, ServiceDown)


class _Outcome(msgspec.Struct):
    """What came of one ref: changes, what lies below it, or the error that ends the stream."""

    ref: Ref
    changes: list[Change] = []
    below: tuple[dict[str, Any], ...] = ()
    failed: bool = False
    fatal: ServiceError | None = None


class Sync:
    """One run of `changes`. `position` is where it stands."""

    def __init__(self, api: NotionApi, reader: Reader, position: Position, overlap: float) -> None:
        self._api = api
        self._reader = reader
        self._overlap = overlap
        self._failed: list[str] = []
        self._begin = position
        self.position = position

    async def changes(self) -> AsyncIterator[Change]:
        """Everything that changed. Ends early, after a checkpoint, by an error that concerns all of it."""
        listing = await list_all(self._api, self.position.floor(self._overlap))
        for object_id in listing.trashed:
            yield Removed(object_id)
        again = dict.fromkeys(self._begin.failed)
        refs = [listing.refs.get(object_id) or Ref(object_id, "") for object_id in again]
        async for change in self.read(refs, listing, moves=False):
            yield change
        waiting = [ref for ref in self._begin.left(listing, self._overlap) if ref.id not in again]
        self.position = msgspec.structs.replace(self.position, newest=max(listing.newest, self._begin.newest))
        async for change in self.read(waiting, listing, moves=listing.whole):
            yield change
        for skipped in listing.skipped:
            yield skipped
        yield Checkpoint(self._ended(listing).text(), done=True)

    async def read(self, refs: Sequence[Ref], listing: Listing, *, moves: bool) -> AsyncIterator[Change]:
        """What was listed, in this order; where that `moves` our position, with a checkpoint after every few."""
        for start in range(0, len(refs), CHUNK):
            async for change in self._chunk(refs[start : start + CHUNK], listing, moves=moves):
                yield change

    def _ended(self, listing: Listing) -> Position:
        """Where the next sync begins: behind all of this one, or, where the listing was cut, with it once more."""
        after = self.position.after
        if listing.whole:
            after = listing.newest or after
        return msgspec.structs.replace(self.position, after=after, newest="", done=None, failed=tuple(self._failed))

    async def _chunk(self, refs: Sequence[Ref], listing: Listing, *, moves: bool) -> AsyncIterator[Change]:
        outcomes = await together([self._outcome(ref) for ref in refs])
        fatal = None
        for outcome in outcomes:
            try:
                async for change in self._given(outcome, listing):
                    yield change
            except ServiceError as error:  # what came before it is not lost
                fatal = error
                break
            if moves:
                self.position = msgspec.structs.replace(self.position, done=outcome.ref.place)
        if moves:
            # Those that failed before and come first have had their turn when anything moves.
            self.position = msgspec.structs.replace(self.position, failed=tuple(self._failed))
            yield Checkpoint(self.position.text())
        if fatal is not None:
            raise fatal

    async def _given(self, outcome: _Outcome, listing: Listing) -> AsyncIterator[Change]:
        """The changes of one outcome, and those of what lies below it and was not listed."""
        waiting = deque([outcome])
        while waiting:
            outcome = waiting.popleft()
            if outcome.fatal is not None:
                raise outcome.fatal
            if outcome.failed:
                self._failed.append(outcome.ref.id)
            for change in outcome.changes:
                yield change
            for block in outcome.below:
                async for found in self._unlisted(block, listing):
                    waiting.append(found)

    async def _unlisted(self, block: dict[str, Any], listing: Listing) -> AsyncIterator[_Outcome]:
        """A page or database that lies in a page, where search kept quiet of it."""
        object_id = same_id(text(block.get("id")))
        edited = instant(block.get("last_edited_time")) or ""
        if not object_id or listing.knows(object_id) or edited < listing.floor:
            return
        kind = text(block.get("type"))
        listing.others.add(object_id)  # whatever comes of it
        title = text(mapping(block.get(kind)).get("title"))
        ref = Ref(object_id, edited, "page" if kind == "child_page" else "database")
        if ref.kind == "page":
            yield await self._outcome(ref, title)
            return
        before = set(listing.refs)
        yield await self._database(ref, title, listing)
        for row in [listing.refs[name] for name in listing.refs if name not in before]:
            yield await self._outcome(row)

    async def _database(self, ref: Ref, title: str, listing: Listing) -> _Outcome:
        """List the data sources of a database that was not listed itself, with their rows."""
        try:
            found = await self._api.get(f"/v1/databases/{in_path(ref.id)}", Deadline.never())
        except ServiceError as error:
            return self._excused(ref, error, title)
        sources = items(found.get("data_sources"))
        if not sources:
            return await self._outcome(ref)
        for source in sources:
            source_id = same_id(text(source.get("id")))
            if not listing.knows(source_id):
                listing.refs[source_id] = Ref(source_id, "", "data_source")
                await list_rows(self._api, listing, source_id)
        return _Outcome(ref)

    async def _outcome(self, ref: Ref, title: str = "") -> _Outcome:
        """Read one page or data source; what is wrong with it alone is told, not raised."""
        try:
            found = ref.found() or await load(self._api, ref, Deadline.never())
            if is_gone(found):
                return _Outcome(ref, [Removed(ref.id)])
            read: Read = await self._reader.read(found, Deadline.never())
        except ServiceError as error:
            return self._excused(ref, error, title)
        return _Outcome(ref, [Upsert(read.item), *read.skipped], read.below)

    def _excused(self, ref: Ref, error: ServiceError, title: str) -> _Outcome:
        may_pass = isinstance(error, _MAY_PASS)
        if error.stop or not isinstance(error, _ONE_PAGE) or (may_pass and len(self._failed) >= MOST_FAILED):
            return _Outcome(ref, fatal=error)
        named = f"{ref.kind or 'page'} {title!r}: " if title else ""
        return _Outcome(ref, [Skipped(ref.id, error.code, f"{named}{error.message}")], failed=may_pass)


async def load(api: NotionApi, ref: Ref, deadline: Deadline) -> dict[str, Any]:
    """A page, data source or database by its id; all are tried where the kind is not known. Raises `ItemGone`."""
    kinds = (f"{ref.kind}s",) if ref.kind else api.kinds
    gone: ServiceError | None = None
    for kind in kinds:
        try:
            found = await api.get(f"/v1/{kind}/{in_path(ref.id)}", deadline)
        except (ItemGone, BadQuery) as error:
            # 400 is for the id of something of another kind: it says less than a 404.
            gone = error if gone is None or isinstance(error, ItemGone) else gone
        else:
            if not (found.get("id") or found.get("object")):
                raise Malformed(f"notion gave nothing at /v1/{kind}/{ref.id}", service=SERVICE)
            return {"object": kind.removesuffix("s"), **found, "id": same_id(text(found.get("id")) or ref.id)}
    raise gone or ItemGone(f"notion has no {ref.id}", service=SERVICE)


async def together(works: Sequence[Any]) -> list[Any]:
    """The results of all; when one fails, or nobody waits any more, none goes on."""
    import asyncio

    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
