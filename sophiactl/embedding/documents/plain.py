"""Plain text, reStructuredText, logs and code: blocks are verbatim slices of the decoded text."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from sophiactl.embedding.base import Document
from sophiactl.embedding.documents.decode import decode
from sophiactl.embedding.documents.spans import LineRange, Lines, blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}\s*$")


def read(data: bytes, name: str) -> Document:
    """Paragraphs between blank lines; underlined titles of .rst files are headings. Offsets are exact."""
    if PurePath(name).suffix.lower() == ".rst":
        return _read(data, name, "paragraph", titles=True)
    return _read(data, name, "paragraph")


def read_code(data: bytes, name: str) -> Document:
    """Code or configuration: parts between blank lines, of kind `code`. Offsets are exact."""
    return _read(data, name, "code")


def read_lines(data: bytes, name: str) -> Document:
    """A log: every line stands for itself. Offsets are exact."""
    text, warnings = decode(data, name)
    lines = Lines(text)
    ranges = (LineRange(number, number + 1, "line") for number in range(len(lines)))
    return Document(name, "text/plain", blocks_of(lines, ranges), tuple(warnings))


def _read(data: bytes, name: str, kind: str, *, titles: bool = False) -> Document:
    text, warnings = decode(data, name)
    lines = Lines(text)
    headings = _titles(lines) if titles else []
    blocks = blocks_of(lines, _under_headings(lines, headings, kind))
    title = headings[0].heading[-1] if headings else name
    return Document(title, "text/plain", blocks, tuple(warnings))


def _paragraphs(lines: Lines, first: int, last: int) -> Iterator[tuple[int, int]]:
    start: int | None = None
    for number in range(first, last):
        if not lines[number].strip():
            if start is not None:
                yield start, number
            start = None
        elif start is None:
            start = number
    if start is not None:
        yield start, last


def _under_headings(lines: Lines, headings: list[LineRange], kind: str) -> Iterator[LineRange]:
    done = 0
    path: tuple[str, ...] = ()
    for found in (*headings, LineRange(len(lines), len(lines))):
        for first, last in _paragraphs(lines, done, found.first):
            yield LineRange(first, last, kind, path)
        if found.last > found.first:
            yield found
        done, path = found.last, found.heading


def _titles(lines: Lines) -> list[LineRange]:
    """Underlined lines; the order in which the underlines first appear gives their levels."""
    found: list[LineRange] = []
    levels: list[str] = []
    path: list[str] = []
    for number in range(1, len(lines)):
        if not _underlines(lines, number, found[-1].last if found else 0):
            continue
        over = number >= 2 and lines[number - 2].strip() == lines[number].strip()
        style = lines[number].strip()[0] + ("^" if over else "")
        if style not in levels:
            levels.append(style)
        level = levels.index(style)
        path = [*path[:level], lines[number - 1].strip()]
        found.append(LineRange(number - 2 if over else number - 1, number + 1, "heading", tuple(path)))
    return found


def _underlines(lines: Lines, number: int, done: int) -> bool:
    title, under = lines[number - 1].rstrip(), lines[number].rstrip()
    if number - 1 < done or not title or title[0].isspace() or not _UNDERLINE.match(under) or _UNDERLINE.match(title):
        return False
    before = lines[number - 2].strip() if number >= 2 else ""
    return len(under) >= len(title) and (not before or before == under)
