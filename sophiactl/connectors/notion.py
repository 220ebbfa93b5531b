"""Notion: pages with all their blocks and properties, and data sources with their columns.

The token sees what is shared with its integration. Comments are not read: they would cost a call for each page.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sophiactl.clock import utc_now
from sophiactl.connectors.base import Checkpoint, Cost, Found, Identity, Item, Removed, Skipped, Upsert
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import BadQuery, ItemGone, KeyRefused, Malformed, NoService, ServiceError, TooFast
from sophiactl.connectors.notion_api import SERVICE, CursorExpired, CutShort, NotionApi, is_gone, is_id, same_id
from sophiactl.connectors.notion_listing import Listing, Ref, list_all, searched
from sophiactl.connectors.notion_position import Position, begun
from sophiactl.connectors.notion_reader import Reader
from sophiactl.connectors.notion_sync import Sync, load, together
from sophiactl.connectors.reading import mapping, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from sophiactl.connectors.base import Change
    from sophiactl.connectors.config import ConnectorsConfig, NotionConfig
    from sophiactl.connectors.session import Tools
    from sophiactl.redaction import Secret
    from sophiactl.web import WebSession

TITLES_ONLY = "Notion searches titles only; what pages say is answered from memory, after a sync"
READ_AT_ONCE = 5
"""Pages found by a search whose blocks are read while there is time."""
MARGIN = 0.25
"""Seconds before a deadline at which a search stops to wait for blocks."""
COUNTED_PAGES = 5
"""Pages of the listing that an estimate of the cost may take."""


class NotionConnector:
    """Notion, read. Raises `ConfigError` without a token."""

    service = SERVICE

    def __init__(
        self,
        config: NotionConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        *,
        tools: Tools | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._config = config
        self._now = now
        self._api = NotionApi(config, common, secrets, web, tools)
        self._reader = Reader(self._api, config.depth)
        self._read_to: Position | None = None
        self._given: set[str] = set()

    async def ping(self, deadline: Deadline) -> Identity:
        """The bot of the integration and its workspace."""
        me = await self._api.get("/v1/users/me", deadline)
        bot = mapping(me.get("bot"))
        if me.get("object") != "user" and not bot:
            raise Malformed("notion did not say who we are", service=SERVICE)
        workspace = text(bot.get("workspace_name")) or text(bot.get("workspace_id"))
        return Identity(SERVICE, workspace, text(me.get("name")), notes=(TITLES_ONLY,))

    async def search(self, query: str, limit: int, deadline: Deadline) -> Found:
        """Pages and data sources by title; the first few with their text, if it can be read in time."""
        found: list[dict[str, Any]] = []
        notes = [TITLES_ONLY]
        if limit <= 0:
            return Found((), tuple(notes))
        try:
            async for page in searched(self._api, deadline, query=query, size=min(limit, 100)):
                found += [one for one in page if text(one.get("id")) and not is_gone(one)]
                if len(found) >= limit:
                    break
        except (CutShort, CursorExpired) as error:
            notes.append(f"there may be more: {error.message}")
        found = found[:limit]
        items = await self._with_texts(found[:READ_AT_ONCE], deadline)
        bare = [self._reader.titled(one) for one in found[READ_AT_ONCE:]]
        unread = items.count(None) + len(bare)
        if unread:
            notes.append(f"{unread} of {len(found)} are given without the text of their blocks")
        whole = [item or self._reader.titled(one) for item, one in zip(items, found, strict=False)]
        return Found((*whole, *bare), tuple(notes))

    async def _with_texts(self, found: Sequence[dict[str, Any]], deadline: Deadline) -> list[Item | None]:
        """Items as far as they can be read until shortly before the deadline; None for the others."""
        import asyncio

        read: list[Item | None] = [None] * len(found)

        async def one(number: int) -> None:
            try:
                read[number] = (await self._reader.read(found[number], deadline)).item
            except KeyRefused:
                raise
            except ServiceError:
                return  # its title was found all the same

        left = deadline.left() - MARGIN
        try:
            async with asyncio.timeout(None if left == math.inf else max(0.0, left)):
                await together([one(number) for number in range(len(found))])
        except TimeoutError:
            pass
        return read

    async def changes(self, cursor: str | None, *, since: str | None = None) -> AsyncIterator[Change]:
        """What was edited, oldest first."""
        sync = Sync(self._api, self._reader, begun(cursor, since), self._config.overlap_minutes)
        self._read_to, self._given = None, set()
        async for change in sync.changes():
            if isinstance(change, Upsert):
                self._given.add(change.item.id)
            elif isinstance(change, Checkpoint) and change.done:
                self._read_to = sync.position
            yield change

    async def reconcile(self, known: Sequence[str]) -> AsyncIterator[Change]:
        """What is in the trash, deleted, or not shared any more.

        Right after `changes` has ended, what is listed and was never read is given as well: sharing an old page with
        the integration does not change its edit time.
        """
        listing = await list_all(self._api)
        for skipped in listing.skipped:
            yield skipped
        ids = {same_id(one) for one in known} | self._given
        for item_id in known:
            if same_id(item_id) not in listing.refs:
                change = await self._if_gone(item_id)
                if change is not None:
                    yield change
        if self._read_to is not None:
            async for change in self._never_read(listing, ids, self._read_to):
                yield change
        yield Checkpoint("", done=True)

    async def _if_gone(self, item_id: str) -> Change | None:
        """`Removed`, when Notion says so of the very item; a listing may just have left it out."""
        try:
            found = await load(self._api, Ref(same_id(item_id), ""), Deadline.never())
        except ItemGone:
            return Removed(item_id)
        except ServiceError as error:
            if isinstance(error, BadQuery) and not is_id(item_id):
                return Removed(item_id)  # Notion has no ids like this
            if error.stop or isinstance(error, TooFast | NoService):
                raise
            return Skipped(item_id, error.code, f"whether it is gone is not known: {error.message}")
        return Removed(item_id) if is_gone(found) else None

    async def _never_read(self, listing: Listing, known: set[str], position: Position) -> AsyncIterator[Change]:
        refs = [ref for ref in listing.refs.values() if ref.id not in known and ref.edited >= position.since]
        sync = Sync(self._api, self._reader, position, 0.0)
        async for change in sync.read(sorted(refs, key=lambda ref: ref.place), listing, moves=False):
            yield change

    async def fetch(self, item_id: str, deadline: Deadline) -> Item:
        """A page or data source by its id, with hyphens or without."""
        try:
            found = await load(self._api, Ref(same_id(item_id), ""), deadline)
        except BadQuery as error:
            raise ItemGone(error.message, service=SERVICE) from None
        if is_gone(found):
            raise ItemGone(f"{item_id} is in Notion's trash", service=SERVICE)
        return (await self._reader.read(found, deadline)).item

    async def cost(self, since: str | None, deadline: Deadline) -> Cost:
        """From the first pages of the listing, which is all there is where it ends there."""
        listing = Listing(begun(None, since).since)
        pages = 0
        async for page in searched(self._api, deadline, direction="descending"):
            if pages == COUNTED_PAGES:
                basis = f"more than {len(listing.refs):,} pages and data sources: Notion does not count them"
                return Cost(None, None, None, f"{basis}; a call or two for each")
            pages += 1
            fresh = sum(listing.add(found) for found in page)
            if listing.floor and fresh < len(page):
                break
        return self._estimate(listing, pages)

    def _estimate(self, listing: Listing, pages: int) -> Cost:
        limit = self._api.session.peer.limits["all"]
        rows = sum(ref.kind == "data_source" for ref in listing.refs.values())
        requests = 2 * pages + rows + len(listing.refs) + 1
        seconds = max(0.0, requests - limit.burst) * limit.seconds / limit.calls
        basis = (
            "one call for each page, for every 100 of a listing, and for every 100 blocks or nested list beyond that"
        )
        return Cost(requests, round(seconds, 1), len(listing.refs), basis)

    async def close(self) -> None:
        """Nothing is held: the connections are the caller's."""
