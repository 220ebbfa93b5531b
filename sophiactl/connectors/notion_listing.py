"""All that Notion lists.

Its search is its only listing, and it promises little: it may leave things out, its index lags, the order shifts while
it is read, and its cursors expire within a minute or so. Hence:

- The listing is read to its end in one go, and contents are read after it.
- Newest first: an edit meanwhile moves things towards the front, so that some come twice and none is missed. Something
  deleted meanwhile may move things the other way: the listing is read again until nothing new comes.
- Where a cursor expires, it is read from the other end as well.
- A full listing is completed by the rows of each data source, which are queried without the index.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Skipped
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import BadQuery, ItemGone, Malformed, MissingScope, ServiceDown
from sophiactl.connectors.notion_api import CursorExpired, CutShort, in_path, is_gone, same_id
from sophiactl.connectors.reading import instant, mapping, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sophiactl.connectors.notion_api import NotionApi

PASSES = 6
SPOOL_BYTES = 96 << 20
"""Compressed objects that are kept until their turn; those beyond are asked for again."""
KINDS = ("page", "data_source", "database")
_LISTING = "search"
_BROKEN_OFF = "listing_incomplete"


class Ref(msgspec.Struct, frozen=True):
    """Something listed: its id, when it was last edited (empty when that is not said), and the object, compressed."""

    id: str
    edited: str
    kind: str = ""
    packed: bytes = b""

    @property
    def place(self) -> tuple[str, str]:
        """What is read goes in this order: oldest first, and those of the same time by id."""
        return (self.edited, self.id)

    def found(self) -> dict[str, Any] | None:
        """The object as it was listed, None when it was not kept."""
        return mapping(msgspec.json.decode(zlib.decompress(self.packed))) if self.packed else None


class Listing:
    """What was listed from `floor` on (empty: everything)."""

    def __init__(self, floor: str = "") -> None:
        self.floor = floor
        self.refs: dict[str, Ref] = {}
        self.others: set[str] = set()
        self.trashed: dict[str, None] = {}
        self.skipped: list[Skipped] = []
        self.whole = True
        self._room = SPOOL_BYTES

    @property
    def newest(self) -> str:
        """The last edit time of all, empty for an empty listing."""
        return max((ref.edited for ref in self.refs.values()), default="")

    def knows(self, object_id: str) -> bool:
        """Whether a page, a data source or its database was listed, or noted since."""
        return object_id in self.refs or object_id in self.others or object_id in self.trashed

    def add(self, found: dict[str, Any]) -> bool:
        """Take an object in; whether it is new, or newer than it was."""
        kind, object_id = text(found.get("object")), same_id(text(found.get("id")))
        if not object_id or kind not in KINDS:
            self.skip(object_id or _LISTING, "malformed", f"a listed object without an id, or of a kind {kind!r}")
            return False
        if is_gone(found):
            self.trashed[object_id] = None
            return False
        edited = instant(found.get("last_edited_time")) or ""
        known = self.refs.get(object_id)
        if (edited and edited < self.floor) or (known is not None and known.edited >= edited):
            return False
        self.others.add(same_id(text(mapping(found.get("parent")).get("database_id"))))
        self.refs[object_id] = Ref(object_id, edited, kind, self._packed({**found, "id": object_id}))
        return True

    def _packed(self, found: dict[str, Any]) -> bytes:
        packed = zlib.compress(msgspec.json.encode(found), 1)
        if len(packed) > self._room:
            return b""
        self._room -= len(packed)
        return packed

    def skip(self, ref: str, code: str, reason: str) -> None:
        """Note what was not read, once."""
        skipped = Skipped(ref, code, reason)
        if skipped not in self.skipped[-100:]:
            self.skipped.append(skipped)


async def list_all(api: NotionApi, floor: str = "") -> Listing:
    """Everything, or what was edited at `floor` or later. Raises what concerns the whole service."""
    listing = Listing(floor)
    direction, broken = "descending", False
    for _ in range(PASSES):
        pages, fresh, whole = await _pass(api, listing, direction)
        if whole and (pages <= 1 or not fresh):
            broken = False
            break
        broken = not whole
        if broken and not floor:
            direction = "ascending" if direction == "descending" else "descending"
    if broken:
        reason = "Notion's cursors expired before the listing was read; what lies in listed pages is read all the same"
        listing.skip(_LISTING, _BROKEN_OFF, reason)
        listing.whole = listing.whole and not floor
    if not floor:
        for source in [ref.id for ref in listing.refs.values() if ref.kind == "data_source"]:
            await list_rows(api, listing, source)
    return listing


async def _pass(api: NotionApi, listing: Listing, direction: str) -> tuple[int, int, bool]:
    """Read the listing once: how many pages, how much was new, and whether it came to its end."""
    pages = fresh = 0
    try:
        async for page in searched(api, Deadline.never(), direction=direction):
            pages += 1
            fresh += sum(listing.add(found) for found in page)
            if listing.floor and page and _older(page[-1], listing.floor):
                break
    except CursorExpired:
        return pages, fresh, False
    except CutShort as error:
        listing.whole = False
        listing.skip(_LISTING, error.code, error.message)
    return pages, fresh, True


def _older(found: dict[str, Any], floor: str) -> bool:
    edited = instant(found.get("last_edited_time"))
    return edited is not None and edited < floor


def searched(
    api: NotionApi, deadline: Deadline, query: str = "", direction: str = "", size: int = 0
) -> AsyncIterator[list[dict[str, Any]]]:
    """Pages of search: titles that fit `query` best first, or everything by edit time in one direction."""
    body: dict[str, Any] = {"query": query} if query else {}
    if direction:
        body["sort"] = {"direction": direction, "timestamp": "last_edited_time"}
    if size:
        body["page_size"] = size
    return api.posted("/v1/search", body, deadline)


async def list_rows(api: NotionApi, listing: Listing, source: str) -> None:
    """Add the rows of a data source, whatever search knows of them."""
    try:
        async for page in api.posted(f"/v1/data_sources/{in_path(source)}/query", {}, Deadline.never()):
            for found in page:
                listing.add(found)
    except (ItemGone, MissingScope, BadQuery, Malformed, ServiceDown) as error:
        if error.stop:
            raise
        listing.skip(source, error.code, f"its rows could not all be listed: {error.message}")
