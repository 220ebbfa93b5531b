"""HTML: the text a reader of the page would see, with its place in the source."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import NamedTuple

from sophiactl.embedding.base import Block, Document
from sophiactl.embedding.documents.decode import decode
from sophiactl.textspans import line_at, line_starts

_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_OPAQUE = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_NO_BREAK = re.compile(r"[^\r\n]")
_MARKUP = re.compile(r"<[a-zA-Z/!?]")
_MAIN = re.compile(r"<main[\s>]", re.IGNORECASE)
_UNSEEN = frozenset({"script", "style", "template", "svg", "noscript", "iframe", "object", "select", "button"})
_FURNITURE = frozenset({"nav"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BREAK_NAMES = (
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form head header hr "
    "html legend li main ol p pre section summary table tbody tfoot thead tr ul"
)
_BREAKS = frozenset(_BREAK_NAMES.split())
# These hold no blocks, and are seldom closed.
_CHILDLESS = frozenset({"p", "hr", "dt", "legend"})
_NEAR = 50
_KINDS = {"li": "list", "dd": "list", "pre": "code", "tr": "table", "blockquote": "quote"}
_TITLE_LENGTH = 300
# Stands for <br> among the collected parts: a line end of the source is white space like any other. Python, too, takes
# this control character for white space.
_BR = "\x1e"


def read(data: bytes, name: str) -> Document:
    """Paragraphs, list items, table rows (`a | b`) and preformatted parts under their headings.

    Text is taken out of the markup, so a block's `start:end` is its span in the source, from its first character to the
    tag that ends it; lines are exact. Scripts, styles and navigation are left out, and so is all outside
    `<main>` where a page has one. Markup need not be well formed.
    """
    declared = _CHARSET.search(data[:4096])
    text, warnings = decode(data, name, declared.group(1).decode("ascii", "ignore") if declared else None)
    page = _parse(text, _UNSEEN | _FURNITURE)
    if page.hidden:
        # Something left out was never closed: better some navigation than no text.
        page = _parse(text, frozenset({"script", "style"}))
    blocks = page.main_blocks if _MAIN.search(text) and page.main_blocks else page.blocks
    return Document(page.title or page.first_heading or name, "text/html", tuple(blocks), tuple(warnings))


def _parse(text: str, unseen: frozenset[str]) -> _Page:
    page = _Page(text, unseen)
    page.feed(_tamed(text))
    page.close()
    page.finish()
    return page


def _tamed(text: str) -> str:
    """The source in the same length without what the parser takes long over or stumbles at.

    Its time grows with the square of the number of comments or tags that never end, and it asserts that it knows the
    names of marked sections (`<![if`), which browsers skip.
    """
    text = _OPAQUE.sub(lambda found: _NO_BREAK.sub(" ", found.group()), text).replace("<![", "<! ")
    finished = text.rfind(">") + 1
    unfinished = _MARKUP.search(text, finished)
    return text[: unfinished.start()] if unfinished else text


class _Part(NamedTuple):
    text: str
    at: int


class _Page(HTMLParser):
    """Collects the blocks of a page while the parser walks through it."""

    def __init__(self, source: str, unseen: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.unseen = unseen
        self.title = self.first_heading = ""
        self.blocks: list[Block] = []
        self.main_blocks: list[Block] = []
        self.hidden: list[str] = []
        self._starts = [0, *(found.end() for found in re.finditer("\n", source))]
        self._lines = line_starts(source)
        self._parts: list[_Part] = []
        self._open: list[str] = []
        self._inside: Counter[str] = Counter()
        self._stack: list[tuple[int, str]] = []
        self._in_title = False

    def _at(self) -> int:
        line, column = self.getpos()
        return min(self._starts[line - 1] + column, len(self.source))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's
        if tag in self.unseen or self.hidden:
            if tag in self.unseen:
                self._flush()
                self.hidden.append(tag)
        elif tag == "title":
            self._flush()
            self._in_title = True
        elif tag == "br":
            self._parts.append(_Part(_BR, self._at()))
        elif tag in {"td", "th"}:
            self._start_cell()
        elif tag in _HEADINGS or tag in _BREAKS:
            self._break(tag)
            if tag not in _CHILDLESS:
                self._open.append(tag)
                self._inside[tag] += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.unseen:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.hidden:
            while self.hidden.pop() != tag:
                pass
        elif self.hidden:
            return
        elif tag == "title":
            self._in_title = False
        elif tag in _HEADINGS or tag in _BREAKS:
            self._break(tag)
            while self._inside[tag] and self._leave() != tag:
                pass

    def _leave(self) -> str:
        tag = self._open.pop()
        self._inside[tag] -= 1
        return tag

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = " ".join((self.title + data).split())[:_TITLE_LENGTH]
        elif not self.hidden:
            self._parts.append(_Part(data, self._at()))

    def finish(self) -> None:
        """Close what the source left open."""
        self._flush(len(self.source))

    def _start_cell(self) -> None:
        if any(part.text.strip() for part in self._parts):
            self._parts.append(_Part(" | ", self._at()))

    def _break(self, tag: str) -> None:
        # A paragraph inside a table cell belongs to its row.
        if self._inside["tr"] and tag not in {"tr", "table", "thead", "tbody", "tfoot"}:
            self._parts.append(_Part(" ", self._at()))
        else:
            self._flush()

    def _flush(self, end: int | None = None) -> None:
        parts, self._parts = self._parts, []
        if not any(part.text.strip() for part in parts):
            return
        kind = self._kind()
        said = "".join(part.text for part in parts)
        said = said.replace(_BR, "\n").strip("\r\n").rstrip() if kind == "code" else _collapse(said)
        if kind == "heading":
            said = " ".join(said.split())
            self._enter(said)
        self._add(said, kind, self._first(parts), self._at() if end is None else end)

    def _kind(self) -> str:
        for tag in reversed(self._open[-_NEAR:]):
            if tag in _HEADINGS:
                return "heading"
            if tag in _KINDS:
                return _KINDS[tag]
        return "paragraph"

    def _enter(self, said: str) -> None:
        level = next(int(tag[1]) for tag in reversed(self._open) if tag in _HEADINGS)
        self.first_heading = self.first_heading or said[:_TITLE_LENGTH]
        self._stack = [entry for entry in self._stack if entry[0] < level]
        self._stack.append((level, said[:_TITLE_LENGTH]))

    def _first(self, parts: list[_Part]) -> int:
        """Offset in the source of the first character that is no white space."""
        part = next(part for part in parts if part.text.strip())
        return part.at + len(part.text) - len(part.text.lstrip())

    def _add(self, said: str, kind: str, start: int, end: int) -> None:
        seen_end = start + len(self.source[start:end].rstrip())
        block = Block(
            text=said + ("\n" if kind in {"list", "table"} else "\n\n"),
            start=start,
            end=max(seen_end, start),
            line=line_at(self._lines, start),
            end_line=line_at(self._lines, max(seen_end - 1, start)),
            heading=tuple(title for _, title in self._stack),
            kind=kind,
        )
        self.blocks.append(block)
        if self._inside["main"]:
            self.main_blocks.append(block)


def _collapse(text: str) -> str:
    """White space as a browser shows it: `<br>` alone breaks a line."""
    return "\n".join(" ".join(line.split()) for line in text.split(_BR)).strip()
