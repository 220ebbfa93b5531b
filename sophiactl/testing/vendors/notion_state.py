"""What the loopback Notion holds, and how it writes it: pages, databases, data sources and users."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from sophiactl.testing.vendors.notion_blocks import Block, rich
from sophiactl.testing.vendors.notion_values import column, value

if TYPE_CHECKING:
    from collections.abc import Mapping

OLD, DATA_SOURCES, NEW = "2022-06-28", "2025-09-03", "2026-03-11"
VERSIONS = (OLD, DATA_SOURCES, NEW)


@dataclass(slots=True)
class Thing:
    """A page, database or data source. `parent` is the id of what it lies in; empty for the workspace."""

    id: str
    kind: str
    title: str
    parent: str
    created: str
    edited: str
    created_by: str
    edited_by: str
    blocks: list[Block] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    description: str = ""
    trashed: bool = False
    shared: bool = True
    public_url: str | None = None


class User(NamedTuple):
    """A member, guest or bot of the workspace."""

    id: str
    name: str
    email: str | None
    bot: bool
    guest: bool

    def json(self) -> dict[str, Any]:
        """As the API writes it."""
        whole: dict[str, Any] = {"object": "user", "id": self.id, "name": self.name, "avatar_url": None}
        if self.bot:
            return {**whole, "type": "bot", "bot": {}}
        return {**whole, "type": "person", "person": {"email": self.email} if self.email else {}}


def parent_of(thing: Thing, things: Mapping[str, Thing], version: str) -> dict[str, Any]:
    """Where something lies, as the version writes it."""
    above = things.get(thing.parent)
    if above is None:
        return {"type": "workspace", "workspace": True}
    if above.kind == "page":
        return {"type": "page_id", "page_id": above.id}
    if above.kind == "database":
        return {"type": "database_id", "database_id": above.id}
    if version == OLD:
        return {"type": "database_id", "database_id": above.parent}
    return {"type": "data_source_id", "data_source_id": above.id, "database_id": above.parent}


def object_of(thing: Thing, things: Mapping[str, Thing], version: str, *, trashed: bool) -> dict[str, Any]:
    """A page, database or data source, as the version writes it."""
    slug = "-".join(thing.title.split()) or "Untitled"
    found: dict[str, Any] = {
        "object": thing.kind,
        "id": thing.id,
        "created_time": thing.created,
        "last_edited_time": thing.edited,
        "created_by": {"object": "user", "id": thing.created_by},
        "last_edited_by": {"object": "user", "id": thing.edited_by},
        "cover": None,
        "icon": None,
        "parent": parent_of(thing, things, version),
        "in_trash": trashed,
        "url": f"https://www.notion.so/{_ascii(slug)}-{thing.id.replace('-', '')}",
        "public_url": thing.public_url,
    }
    if version != NEW:
        found["archived"] = trashed
    if thing.kind == "page":
        return {**found, "properties": _properties(thing, things)}
    found |= {"title": rich(thing.title), "description": rich(thing.description), "is_inline": False}
    if thing.kind == "data_source":
        above = things.get(thing.parent)
        around = parent_of(above, things, version) if above else {"type": "workspace", "workspace": True}
        return {**found, "database_parent": around, "properties": _columns(thing)}
    sources = [things[name] for name in thing.below]
    if version == OLD:
        return {**found, "properties": _columns(sources[0]) if sources else {}}
    return {**found, "data_sources": [{"id": source.id, "name": source.title} for source in sources]}


def _ascii(slug: str) -> str:
    return "".join(sign for sign in slug if sign.isascii() and (sign.isalnum() or sign in "-_"))[:60]


def _properties(page: Thing, things: Mapping[str, Thing]) -> dict[str, Any]:
    """A page outside of databases has a title and nothing else."""
    above = things.get(page.parent)
    if above is None or above.kind != "data_source":
        return {"title": value("title", "title", page.title)}
    return {
        name: value(name, kind, page.title if kind == "title" else page.values.get(name))
        for name, kind in above.columns.items()
    }


def _columns(source: Thing) -> dict[str, Any]:
    choices = {name: tuple(found) for name, found in source.values.items()}
    return {name: column(name, kind, choices.get(name, ())) for name, kind in source.columns.items()}


def block_of(block: Block, page: Thing, parent: dict[str, Any], version: str) -> dict[str, Any]:
    """A block, without what is in it."""
    found = {
        "object": "block",
        "id": block.id,
        "parent": parent,
        "created_time": page.created,
        "last_edited_time": page.edited,
        "created_by": {"object": "user", "id": page.created_by},
        "last_edited_by": {"object": "user", "id": page.edited_by},
        "has_children": bool(block.children) or bool(block.data.get("synced_from")),
        "in_trash": False,
        "type": block.type,
        block.type: block.data,
    }
    return found if version == NEW else {**found, "archived": False}
