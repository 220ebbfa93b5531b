"""From a page or data source of Notion to the item that stands for it, with all its blocks.

A page is whole or not there at all: a call for its blocks that fails is the page's failure. What Notion itself does not
give (a block that is gone meanwhile, a synced block whose original is not shared) is named in its place and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sophiactl.connectors.base import Item, Skipped, Visibility
from sophiactl.connectors.errors import ItemGone, Malformed, MissingScope
from sophiactl.connectors.notion_api import SERVICE, in_path
from sophiactl.connectors.notion_names import Names
from sophiactl.connectors.notion_properties import person, schema_of, title_of, user_ids, values_of
from sophiactl.connectors.reading import instant, mapping, text
from sophiactl.connectors.text.notion_blocks import DEEPEST, Node, markdown, page_link, plain

if TYPE_CHECKING:
    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.notion_api import NotionApi

ITEMS_OF_THEIR_OWN = ("child_page", "child_database")
_NOT_SHARED = "content that is not shared with this integration"
SOURCES = ("data_source", "database")
LONGEST_FIELD = 200
"""Signs; a property with more is part of the text alone."""


class Read(NamedTuple):
    """An item, the blocks of it that could not be had, and the pages and databases that lie in it (block objects)."""

    item: Item
    skipped: tuple[Skipped, ...] = ()
    below: tuple[dict[str, Any], ...] = ()


class _Tree:
    """What is gathered on the way down one page."""

    def __init__(self, page_id: str) -> None:
        self.page_id = page_id
        self.seen = {page_id}
        self.skipped: list[Skipped] = []
        self.below: list[dict[str, Any]] = []

    def leave_out(self, block_id: str, code: str, reason: str) -> str:
        self.skipped.append(Skipped(f"{self.page_id}#{block_id}", code, reason))
        return reason


class Reader:
    """Reads pages one by one; safe for several at once."""

    def __init__(self, api: NotionApi, depth: int) -> None:
        self._api = api
        self._depth = max(0, min(depth, DEEPEST))
        self.names = Names(api)

    async def read(self, found: dict[str, Any], deadline: Deadline) -> Read:
        """The item of a page or data source as a listing or a call gave it. Raises what its blocks raise."""
        if text(found.get("object")) in SOURCES:
            return Read(await self._item(found, _schema_text(found), deadline))
        tree = _Tree(text(found.get("id")))
        nodes = await self._children(tree.page_id, tree, 0, deadline)
        item = await self._item(found, markdown(nodes), deadline)
        return Read(item, tuple(tree.skipped), tuple(tree.below))

    def titled(self, found: dict[str, Any]) -> Item:
        """The item without its blocks; nothing is asked."""
        is_source = text(found.get("object")) in SOURCES
        return _made(found, _schema_text(found) if is_source else "", {}, "")

    async def _item(self, found: dict[str, Any], body: str, deadline: Deadline) -> Item:
        people = await self.names.users(deadline) if user_ids(found) else {}
        # A data source lies in its database, which has the same name and says nothing more.
        container = await self.names.container(found.get("database_parent") or found.get("parent"), deadline)
        item = _made(found, body, people, container)
        self.names.heard(item.id, item.title)
        return item

    async def _children(self, block_id: str, tree: _Tree, depth: int, deadline: Deadline) -> tuple[Node, ...]:
        nodes = []
        async for page in self._api.listed(f"/v1/blocks/{in_path(block_id)}/children", deadline):
            for block in page:
                if text(block.get("id")) in tree.seen or block.get("in_trash") is True:
                    continue
                nodes.append(await self._node(block, tree, depth, deadline))
        return tuple(nodes)

    async def _node(self, block: dict[str, Any], tree: _Tree, depth: int, deadline: Deadline) -> Node:
        block_id, kind = text(block.get("id")), text(block.get("type"))
        tree.seen |= {block_id} - {""}
        if kind in ITEMS_OF_THEIR_OWN:
            tree.below.append(block)
            return Node(block)
        if block.get("has_children") is not True:
            return Node(block)
        if not block_id:
            raise Malformed(f"notion gave a block without an id in {tree.page_id}", service=SERVICE)
        if depth + 1 >= self._depth:
            return Node(block, (), tree.leave_out(block_id, "too_deep", f"blocks nested deeper than {self._depth}"))
        try:
            return Node(block, await self._children(block_id, tree, depth + 1, deadline))
        except (ItemGone, MissingScope) as error:
            return Node(block, (), tree.leave_out(block_id, error.code, _NOT_SHARED))


def _schema_text(source: dict[str, Any]) -> str:
    """What a data source holds, in words: its description and its columns."""
    columns = [f"- {name}: {kind}" if kind else f"- {name}" for name, kind in schema_of(source).items()]
    about = plain(source.get("description")).strip()
    return "\n\n".join(filter(None, (about, "\n".join(["Columns:", *columns]) if columns else "")))


def _made(found: dict[str, Any], body: str, people: Any, container: str) -> Item:
    item_id, kind = text(found.get("id")), text(found.get("object")) or "page"
    is_source = kind in SOURCES
    values = {} if is_source else values_of(found, people)
    lines = "\n".join(f"{name}: {value}" for name, value in values.items())
    author, editor = person(found.get("created_by"), people), person(found.get("last_edited_by"), people)
    fields = {name: value for name, value in values.items() if len(value) <= LONGEST_FIELD}
    if editor and editor != author:
        fields.setdefault("edited_by", editor)
    return Item(
        service=SERVICE,
        id=item_id,
        kind=kind,
        title=title_of(found),
        text="\n\n".join(filter(None, (lines, body))),
        url=_url(found),
        author=author or None,
        created_at=instant(found.get("created_time")),
        updated_at=instant(found.get("last_edited_time")),
        visibility=_visibility(found),
        container=container or None,
        raw_ref=f"/v1/{'data_sources' if kind == 'data_source' else f'{kind}s'}/{item_id}",
        fields=fields,
    )


def _url(found: dict[str, Any]) -> str | None:
    """Where a person opens it. A data source is opened in its database."""
    url = text(found.get("url"))
    if url.startswith("https://"):
        return url
    parent = mapping(found.get("parent"))
    inside = text(parent.get("database_id")) if text(found.get("object")) == "data_source" else ""
    return page_link(inside or text(found.get("id")))


def _visibility(found: dict[str, Any]) -> Visibility:
    """Notion does not tell who may see a page; only that it is on the web."""
    return "public" if text(found.get("public_url")) else "unknown"
