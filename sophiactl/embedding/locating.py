"""A span of a document as a passage: its place, its path of headings, its context; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sophiactl.embedding.base import Passage
from sophiactl.embedding.documents import EXTRACTED
from sophiactl.embedding.streams import shared
from sophiactl.model import Locator
from sophiactl.textspans import count_breaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.embedding.base import Block, Document
    from sophiactl.embedding.streams import Span, Stream

SEPARATOR = " › "
_LEADING_LINES = re.compile(r"\s*[\r\n]")
_CONTEXT_LENGTH, _PART_LENGTH = 200, 100


def passage(document: Document, stream: Stream, span: Span) -> Passage:
    """The passage that a span of a stream makes, without white space at its ends."""
    start, end = trimmed(stream.text, span)
    first, last = stream.block_at(start), stream.block_at(max(end - 1, start))
    blocks = stream.blocks[first : last + 1]
    path = _path(blocks)
    where = _place(document, stream, (start, end), (first, last))
    shown = path[1:] if len(path) > 1 and path[0] == document.title else path
    locator = Locator(page=blocks[0].page, heading=SEPARATOR.join(shown) or None, **where)
    return Passage(stream.text[start:end], locator, _context(document.title, path, blocks))


def trimmed(text: str, span: Span) -> Span:
    """A span without white space at its ends, but with the indentation of a first line."""
    start, end = span
    end = start + len(text[start:end].rstrip())
    if start == 0 or text[start - 1] in "\r\n":
        blank = _LEADING_LINES.match(text, start, end)
        return (blank.end() if blank else start), end
    return end - len(text[start:end].lstrip()), end


def _place(document: Document, stream: Stream, span: Span, numbers: tuple[int, int]) -> dict[str, int | None]:
    first, last = stream.blocks[numbers[0]], stream.blocks[numbers[1]]
    if document.media_type in EXTRACTED:
        return {"start": first.start, "end": last.end, "line": first.line, "end_line": last.end_line}
    head = stream.text[stream.offsets[numbers[0]] : span[0]]
    line = None if first.line is None else first.line + count_breaks(head)
    return {
        "start": first.start + len(head),
        "end": last.start + span[1] - stream.offsets[numbers[1]],
        "line": line,
        "end_line": None if line is None else line + count_breaks(stream.text[span[0] : span[1]]),
    }


def _path(blocks: Sequence[Block]) -> tuple[str, ...]:
    """The path of headings that all of a passage's text stands under; headings without text do not count."""
    paths = [block.heading for block in blocks if block.kind != "heading"] or [block.heading for block in blocks]
    common = paths[0]
    for path in paths[1:]:
        common = common[: shared(common, path)]
    return common


def _context(title: str, path: tuple[str, ...], blocks: Sequence[Block]) -> str:
    """Title and headings, but those that the passage itself shows; the outer ones go first where it would be long."""
    shown = {block.heading for block in blocks if block.kind == "heading"}
    while path and path in shown:
        path = path[:-1]
    parts = list(path)
    if (title,) not in shown and parts[:1] != [title]:
        parts.insert(0, title)
    parts = [part[:_PART_LENGTH] for part in parts]
    while len(parts) > 2 and len(SEPARATOR.join(parts)) > _CONTEXT_LENGTH:
        del parts[1]
    return SEPARATOR.join(parts)
