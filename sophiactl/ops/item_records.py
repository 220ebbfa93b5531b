"""From an item of a service to the records that stand for it in the memory: the same ones however often it is read."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.embedding.chunking import split
from sophiactl.model import MemoryClass, Record

if TYPE_CHECKING:
    from sophiactl.connectors.base import Item
    from sophiactl.embedding.base import Document, Passage, TokenCounter

_VERSION = 1
"""Raise when the records of an item change: items are then stored anew."""
_TICKS = 1_000
"""Passages that an item may have before the next item of its thread begins, as places count."""


def record_ids(service: str, item_id: str, passages: int) -> list[str]:
    """Ids of an item's records: its own, and from the second one on with a number behind it."""
    first = f"{service}:{item_id}"
    return [first if number == 0 else f"{first}#{number + 1}" for number in range(passages)]


def digest(item: Item, mark: str) -> str:
    """What an item was stored as; `mark` says by which settings."""
    content = msgspec.json.encode((_VERSION, mark, item))
    return hashlib.sha256(content).hexdigest()


def records(item: Item, count_tokens: TokenCounter, chunk_tokens: int, overlap: int) -> list[Record]:
    """The item's records in reading order; none for an item without any text."""
    passages = _passages(item, count_tokens, chunk_tokens, overlap)
    names = record_ids(item.service, item.id, len(passages))
    thread = f"{item.service}:{item.thread}" if item.thread else names[0] if len(names) > 1 else None
    begin = _place(item) if item.thread else 0
    return [
        Record(
            id=name,
            text=text,
            class_=MemoryClass.SOURCE,
            created_at=item.created_at,
            updated_at=item.updated_at,
            title=item.title or None,
            author=item.author,
            source=item.service,
            url=item.url,
            locator=locator,
            thread=thread,
            position=None if thread is None else begin + number,
            metadata=_metadata(item),
        )
        for number, (name, (text, locator)) in enumerate(zip(names, passages, strict=True))
    ]


def _passages(item: Item, count_tokens: TokenCounter, budget: int, overlap: int) -> list[tuple[str, Any]]:
    text = item.text.strip() or item.title.strip()
    if not text:
        return []
    if len(text) <= budget:  # a token is at least a character
        return [(text, None)]
    found: list[Passage] = split(_document(item, text), count_tokens, budget, overlap)
    return [(passage.text, passage.locator if len(found) > 1 else None) for passage in found]


def _document(item: Item, text: str) -> Document:
    from sophiactl.embedding.documents import read_document

    read = read_document(PurePath("item.md"), text.encode("utf-8", "replace"))  # type: ignore[arg-type]
    return msgspec.structs.replace(read, title=item.title)


def _place(item: Item) -> int:
    """Where an item stands in its thread: by its time, so that the order of arrival does not matter."""
    if item.created_at is None:
        return 0
    try:
        return int(datetime.fromisoformat(item.created_at).timestamp()) * _TICKS
    except ValueError:
        return 0


def _metadata(item: Item) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": item.kind, "visibility": item.visibility}
    extra = {"container": item.container, "raw_ref": item.raw_ref}
    return (
        found | {key: value for key, value in extra.items() if value} | ({"fields": item.fields} if item.fields else {})
    )
