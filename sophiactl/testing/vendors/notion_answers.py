"""The calls that the loopback Notion answers, and how it refuses the others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec

from sophiactl.testing.vendors.notion_blocks import Block
from sophiactl.testing.vendors.notion_errors import Refused, invalid, missing
from sophiactl.testing.vendors.notion_state import DATA_SOURCES, NEW, OLD, VERSIONS, block_of, object_of, parent_of
from sophiactl.testing.web_server import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from sophiactl.testing.vendors.notion import NotionVendor
    from sophiactl.testing.vendors.notion_paging import Entry
    from sophiactl.testing.vendors.notion_state import Thing
    from sophiactl.testing.web_server import Seen

MOST = 100
_PAGING = ("start_cursor", "page_size")


class _Asked:
    """A request that has passed the checks at the door: `named` is what its path names."""

    def __init__(self, seen: Seen, named: str, version: str) -> None:
        self.seen = seen
        self.named = named
        self.version = version

    def body(self, *allowed: str) -> dict[str, Any]:
        """The JSON body; only the fields that are `allowed`."""
        try:
            found = msgspec.json.decode(self.seen.body) if self.seen.body else {}
        except msgspec.DecodeError:
            raise Refused(400, "invalid_json", "Error parsing JSON body.") from None
        if not isinstance(found, dict):
            raise Refused(400, "validation_error", "body failed validation: body should be an object.")
        if self.seen.query.get("start_cursor"):
            raise invalid("query", "start_cursor should be not present")
        for name in found:
            if name not in (*allowed, *_PAGING):
                raise invalid("body", f"{name} should be not present")
        return found

    def paging(self, given: dict[str, Any] | None = None) -> tuple[int, str | None]:
        """Page size and cursor, from the body where there is one, else from the query."""
        where = "query" if given is None else "body"
        values: dict[str, Any] = dict(self.seen.query) if given is None else given
        size, cursor = values.get("page_size", MOST), values.get("start_cursor")
        try:
            size = int(size)
        except (TypeError, ValueError):
            raise invalid(where, f"page_size should be a number, instead was `{size!r}`.") from None
        if not 1 <= size <= MOST:
            raise invalid(where, f"page_size should be ≤ `{MOST}`, instead was `{size}`.")
        if cursor is not None and not isinstance(cursor, str):
            raise invalid(where, "start_cursor should be a string or `undefined`.")
        return size, cursor


def answered(vendor: NotionVendor, seen: Seen) -> Reply:
    """The answer to a request. Raises `Refused`."""
    for method, pattern, handler in _ROUTES:
        match = pattern.fullmatch(seen.path)
        if match and method == seen.method:
            _at_the_door(vendor, seen)
            asked = _Asked(seen, match.groupdict().get("id") or "", seen.headers["notion-version"])
            if asked.named and asked.named != "me":
                asked.named = _uuid(asked.named)
            return Reply.json({**handler(vendor, asked), "request_id": str(uuid4())})
    if seen.method != "GET":
        _at_the_door(vendor, seen)
        raise Refused(403, "restricted_resource", "Insufficient permissions for this endpoint.")
    raise Refused(400, "invalid_request_url", "Invalid request URL.")


def _at_the_door(vendor: NotionVendor, seen: Seen) -> None:
    if seen.headers.get("authorization") != f"Bearer {vendor.token}":
        raise Refused(401, "unauthorized", "API token is invalid.")
    version = seen.headers.get("notion-version")
    if version not in VERSIONS:
        said = f"Notion-Version header should be {'defined' if version is None else 'a known version'}"
        code = "missing_version" if version is None else "validation_error"
        instead = "undefined" if version is None else version
        raise Refused(400, code, f"Notion-Version header failed validation: {said}, instead was `{instead}`.")


def _uuid(found: str) -> str:
    try:
        return str(UUID(found))
    except ValueError:
        raise invalid("path", f"id should be a valid uuid, instead was `{found!r}`.") from None


def _thing(vendor: NotionVendor, asked: _Asked, *kinds: str) -> Thing:
    """What the path names. Raises `Refused` when it is not there, not shared, of another kind, or restricted."""
    found = vendor.readable(asked.named)
    if found is None or found.kind not in kinds:
        raise missing(kinds[0].replace("_", " "), asked.named)
    if asked.named in vendor.restricted or not vendor.content_capability:
        raise Refused(403, "restricted_resource", "Insufficient permissions for this endpoint.")
    return found


def _object(vendor: NotionVendor, thing: Thing, version: str) -> dict[str, Any]:
    return object_of(thing, vendor.things, version, trashed=vendor.in_trash(thing))


def _listing(
    vendor: NotionVendor,
    scope: Hashable,
    entries: Sequence[Entry],
    paging: tuple[int, str | None],
    made: Callable[[Entry], dict[str, Any]],
    kind: str,
    *,
    descending: bool = False,
) -> dict[str, Any]:
    size, cursor = paging
    page = vendor.cursors.page(scope, entries, size, cursor, descending=descending)
    if page is None:
        raise Refused(400, "validation_error", f"The start_cursor provided is invalid: {cursor}")
    found, following = page
    return {
        "object": "list",
        "results": [made(entry) for entry in found],
        "next_cursor": following,
        "has_more": following is not None,
        "type": kind,
        kind: {},
    }


# Users


def _me(vendor: NotionVendor, _asked: _Asked) -> dict[str, Any]:
    owner = {"owner": {"type": "workspace", "workspace": True}, "workspace_name": vendor.workspace}
    return {**vendor.users[vendor.bot].json(), "bot": {**owner, "workspace_id": vendor.bot}}


def _may_read_users(vendor: NotionVendor) -> None:
    if not vendor.users_capability:
        raise Refused(403, "restricted_resource", "Insufficient permissions for this endpoint.")


def _users(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    _may_read_users(vendor)
    entries = [(f"{place:09}", user.id) for place, user in enumerate(vendor.users.values()) if not user.guest]
    return _listing(vendor, "users", entries, asked.paging(), lambda entry: vendor.users[entry[1]].json(), "user")


def _user(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    _may_read_users(vendor)
    if asked.named not in vendor.users:
        raise missing("user", asked.named)
    return vendor.users[asked.named].json()


# Search and queries


def _search(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    if not vendor.content_capability:
        raise Refused(403, "restricted_resource", "Insufficient permissions for this endpoint.")
    body = asked.body("query", "sort", "filter")
    rows = "database" if asked.version == OLD else "data_source"
    wanted = _wanted(body.get("filter"), ("page", rows))
    words = str(body.get("query") or "").lower().split()
    descending = _descending(body.get("sort"))
    things = vendor.things
    entries = vendor.listed(frozenset({wanted} if wanted else {"page", rows}))
    if words:
        entries = [entry for entry in entries if all(word in vendor.index[entry[1]][1].lower() for word in words)]
    scope = ("search", asked.version, wanted, tuple(words), descending)
    return _listing(
        vendor,
        scope,
        entries,
        asked.paging(body),
        lambda entry: _object(vendor, things[entry[1]], asked.version),
        "page_or_database" if asked.version == OLD else "page_or_data_source",
        descending=descending,
    )


def _wanted(given: Any, kinds: Sequence[str]) -> str | None:
    if given is None:
        return None
    known = isinstance(given, dict) and given.get("property") == "object" and given.get("value") in kinds
    if not known:
        allowed = " or ".join(f'`"{kind}"`' for kind in kinds)
        raise invalid("body", f"filter.value should be {allowed}, instead was `{given!r}`.")
    return str(given["value"])


def _descending(given: Any) -> bool:
    if given is None:
        return True
    if not isinstance(given, dict) or given.get("timestamp") != "last_edited_time":
        raise invalid("body", 'sort.timestamp should be `"last_edited_time"`.')
    if given.get("direction") not in ("ascending", "descending"):
        raise invalid("body", 'sort.direction should be `"ascending"` or `"descending"`.')
    return bool(given["direction"] == "descending")


def _query(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    """Rows of a data source, oldest first; of filters only those on the edit time are known."""
    source = _thing(vendor, asked, "data_source")
    body = asked.body("filter", "sorts", "archived", "in_trash", "result_type")
    since = ""
    if body.get("filter") is not None:
        edited = body["filter"].get("last_edited_time") if isinstance(body["filter"], dict) else None
        if not isinstance(edited, dict) or "on_or_after" not in edited:
            raise invalid("body", "filter is of a kind that this server does not know.")
        since = str(edited["on_or_after"])
    entries = sorted(
        (vendor.things[name].edited, name)
        for name in source.below
        if vendor.readable(name) and not vendor.in_trash(vendor.things[name]) and vendor.things[name].edited >= since
    )
    scope = ("query", source.id, since)
    made = lambda entry: _object(vendor, vendor.things[entry[1]], asked.version)  # noqa: E731
    return _listing(vendor, scope, entries, asked.paging(body), made, "page_or_data_source")


# Single objects


def _page(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    return _object(vendor, _thing(vendor, asked, "page"), asked.version)


def _database(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    return _object(vendor, _thing(vendor, asked, "database"), asked.version)


def _data_source(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    if asked.version < DATA_SOURCES:
        raise Refused(400, "invalid_request_url", "Invalid request URL.")
    return _object(vendor, _thing(vendor, asked, "data_source"), asked.version)


def _markdown(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    """Paragraph by paragraph: only what has text."""
    if asked.version != NEW:
        raise Refused(400, "invalid_request_url", "Invalid request URL.")
    page = _thing(vendor, asked, "page")
    texts = ["".join(part["plain_text"] for part in one.data.get("rich_text", ())) for one in page.blocks]
    words = "\n\n".join(filter(None, texts))
    return {"object": "page_markdown", "id": page.id, "markdown": words, "truncated": False, "unknown_block_ids": []}


def _comments(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    if "block_id" not in asked.seen.query:
        raise invalid("query", "block_id should be defined, instead was `undefined`.")
    asked.named = _uuid(asked.seen.query["block_id"])
    found = vendor.comments.get(_thing(vendor, asked, "page").id, [])
    entries = [(f"{place:09}", str(place)) for place in range(len(found))]
    scope = ("comments", asked.named)
    return _listing(vendor, scope, entries, asked.paging(), lambda entry: found[int(entry[1])], "comment")


# Blocks


def _block(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    if asked.named in vendor.blocks:
        block, page_id = vendor.blocks[asked.named]
        page = _page_of(vendor, asked, page_id)
        return block_of(block, page, _block_parent(page, block), asked.version)
    thing = _thing(vendor, asked, "page", "database")
    return _as_block(vendor, thing, asked.version)


def _children(vendor: NotionVendor, asked: _Asked) -> dict[str, Any]:
    if asked.named in vendor.blocks:
        block, page_id = vendor.blocks[asked.named]
        page, parent = _page_of(vendor, asked, page_id), {"type": "block_id", "block_id": block.id}
        original = (block.data.get("synced_from") or {}).get("block_id")
        if original:
            asked.named = original
            if original not in vendor.blocks:
                raise missing("block", original)
            block, page_id = vendor.blocks[original]
            page = _page_of(vendor, asked, page_id)
        blocks, below = block.children, []
    else:
        page = _page_of(vendor, asked, asked.named)
        parent, blocks = {"type": "page_id", "page_id": page.id}, page.blocks
        below = [vendor.things[name] for name in page.below if not vendor.things[name].trashed]
    entries = [(f"{place:09}", str(place)) for place in range(len(blocks) + len(below))]

    def made(entry: Entry) -> dict[str, Any]:
        place = int(entry[1])
        if place < len(blocks):
            return block_of(blocks[place], page, parent, asked.version)
        return _as_block(vendor, below[place - len(blocks)], asked.version)

    return _listing(vendor, ("children", asked.named), entries, asked.paging(), made, "block")


def _page_of(vendor: NotionVendor, asked: _Asked, page_id: str) -> Thing:
    """The page that a block stands in; what lies in the trash has no blocks to read."""
    named, asked.named = asked.named, page_id
    try:
        page = _thing(vendor, asked, "page")
    except Refused as refused:
        raise missing("block", named) if refused.reply.status == 404 else refused from None
    if vendor.in_trash(page):
        raise missing("block", named)
    if named in vendor.restricted:
        raise Refused(403, "restricted_resource", "Insufficient permissions for this endpoint.")
    asked.named = named
    return page


def _block_parent(page: Thing, block: Block) -> dict[str, Any]:
    def inside(blocks: Sequence[Block], parent: dict[str, Any]) -> dict[str, Any] | None:
        for one in blocks:
            if one is block:
                return parent
            found = inside(one.children, {"type": "block_id", "block_id": one.id})
            if found:
                return found
        return None

    around = {"type": "page_id", "page_id": page.id}
    return inside(page.blocks, around) or around


def _as_block(vendor: NotionVendor, thing: Thing, version: str) -> dict[str, Any]:
    """A page or database as it stands among the blocks of the page that it lies in, shared or not."""
    kind = f"child_{thing.kind}"
    found = block_of(
        Block(thing.id, kind, {"title": thing.title}), thing, parent_of(thing, vendor.things, version), version
    )
    return {**found, "has_children": bool(thing.blocks or thing.below)}


_ROUTES: tuple[tuple[str, re.Pattern[str], Callable[[NotionVendor, _Asked], dict[str, Any]]], ...] = tuple(
    (method, re.compile(f"/v1/{path}"), handler)
    for method, path, handler in (
        ("GET", "users/(?P<id>me)", _me),
        ("GET", "users", _users),
        ("GET", "users/(?P<id>[^/]+)", _user),
        ("POST", "search", _search),
        ("GET", "pages/(?P<id>[^/]+)/markdown", _markdown),
        ("GET", "pages/(?P<id>[^/]+)", _page),
        ("GET", "databases/(?P<id>[^/]+)", _database),
        ("GET", "data_sources/(?P<id>[^/]+)", _data_source),
        ("POST", "data_sources/(?P<id>[^/]+)/query", _query),
        ("GET", "blocks/(?P<id>[^/]+)/children", _children),
        ("GET", "blocks/(?P<id>[^/]+)", _block),
        ("GET", "comments", _comments),
    )
)
