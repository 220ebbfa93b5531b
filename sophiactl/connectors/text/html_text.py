"""HTML as plain markdown: paragraphs, headings, lists, links, tables, quotes and code. Never raises. Pure."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlsplit

_OPAQUE = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?>")
_MARKUP = re.compile(r"<[a-zA-Z/!?]")
_SPACE = re.compile(r"[^\S\u00a0]+")
_UNSEEN = frozenset({"title", "template", "svg", "math", "iframe", "object", "noscript", "select", "textarea"})
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCK_NAMES = (
    "address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form head "
    "header html li main nav ol p pre section summary table tbody tfoot thead tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split()) | frozenset(_HEADINGS)
_SCHEMES = frozenset({"http", "https", "mailto", "tel"})
_DEEPEST = 8
_BR = "\x1e"
"""Stands for a line break among collected parts, where a line end of the source is white space like any other."""


def looks_like_html(text: str) -> bool:
    """Whether a text holds a tag; `a < b` and `<ada@acme.com>` do not."""
    return _TAG.search(text) is not None


def html_to_text(html: str) -> str:
    """What a reader of the page would see, as simple markdown. Scripts, styles and comments are dropped.

    A link is `[text](url)` when its address is one that a person may open; a list item begins with `- ` or its number,
    indented by its depth; a table's row is `| a | b |`. Markup need not be well formed.
    """
    source = _tamed(html)
    page = _read(source, _UNSEEN)
    if page.hidden:  # something left out was never closed: better too much than no text
        page = _read(source, frozenset())
    return page.text()


def _read(source: str, unseen: frozenset[str]) -> _Page:
    page = _Page(unseen)
    page.feed(source)
    page.close()
    page.flush()
    return page


def _tamed(html: str) -> str:
    """The source without what the parser takes long over or stumbles at: comments and tags that never end, `<![`."""
    clean = html.replace("\x00", "").replace(_BR, " ").encode("utf-8", "replace").decode()
    clean = _OPAQUE.sub(" ", clean).replace("<![", "<! ")
    unfinished = _MARKUP.search(clean, clean.rfind(">") + 1)
    return clean[: unfinished.start()] if unfinished else clean


class _Block(NamedTuple):
    """A finished part. `tight` ones that follow each other are not parted by an empty line."""

    text: str
    tight: str = ""


class _Page(HTMLParser):
    """Collects blocks while the parser walks through the source."""

    def __init__(self, unseen: frozenset[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.hidden: list[str] = []
        self._unseen = unseen
        self._blocks: list[_Block] = []
        self._inline: list[str] = []
        self._link: tuple[int, str] | None = None
        self._lists: list[int | None] = []
        self._marker = ""
        self._heading = ""
        self._quotes = 0
        self._pre = 0
        self._cells: list[str] | None = None
        self._rows = 0

    def text(self) -> str:
        """The blocks, joined."""
        parts: list[str] = []
        before = _Block("")
        for block in self._blocks:
            if parts:
                parts.append("\n" if block.tight and block.tight == before.tight else "\n\n")
            parts.append(block.text)
            before = block
        return "".join(parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.hidden or tag in self._unseen:
            if tag in self._unseen:
                self.hidden.append(tag)
        elif tag == "br":
            self._inline.append(_BR)
        elif tag == "hr":
            self.flush()
            self._blocks.append(_Block("---"))
        elif tag == "a":
            self._end_link()  # links do not nest
            self._link = (len(self._inline), _address(dict(attrs).get("href")))
        elif tag == "img":
            alt = " ".join((dict(attrs).get("alt") or "").split())
            self._inline.append(f"[image: {alt}]" if alt else "")
        elif tag == "code" and not self._pre:
            self._inline.append("`")
        elif tag in {"td", "th"}:
            self._next_cell()
        elif tag in _BLOCKS:
            self._enter(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self._unseen:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.hidden:
            while self.hidden.pop() != tag:
                pass
        elif self.hidden:
            return
        elif tag == "a":
            self._end_link()
        elif tag == "code" and not self._pre:
            self._inline.append("`")
        elif tag in _BLOCKS:
            self._leave(tag)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self._inline.append(data.replace("\r\n", _BR).replace("\n", _BR) if self._pre else data)

    def _enter(self, tag: str, attrs: dict[str, str | None]) -> None:
        if tag == "tr":
            self._end_row()
            self._cells = []
        elif self._cells is not None and tag != "table":
            self._inline.append(" ")  # a paragraph inside a cell belongs to its row
            return
        else:
            self.flush()
        if tag in {"ul", "ol"}:
            self._lists.append(_number(attrs.get("start")) if tag == "ol" else None)
        elif tag == "li":
            self._marker = self._next_marker()
        elif tag == "table":
            self._end_row()
            self._rows = 0
        self._heading = _HEADINGS.get(tag, "")
        self._quotes += tag == "blockquote"
        self._pre += tag == "pre"

    def _leave(self, tag: str) -> None:
        if tag in {"tr", "table"}:
            self._end_row()
            self._rows = 0 if tag == "table" else self._rows
            return
        if self._cells is not None:
            self._inline.append(" ")
            return
        self.flush()
        if tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        self._heading = ""
        if tag in {"li", "ul", "ol"}:
            self._marker = ""
        self._quotes = max(0, self._quotes - (tag == "blockquote"))
        self._pre = max(0, self._pre - (tag == "pre"))

    def _next_marker(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "

    def _end_link(self) -> None:
        if self._link is None:
            return
        (at, address), self._link = self._link, None
        raw = "".join(self._inline[at:])
        said = _collapsed([raw]).replace("\n", " ")
        if not address or not said:
            return
        bare = address in {said, f"mailto:{said}"} or said.rstrip("/") == address.rstrip("/")
        before, after = " " * raw[:1].isspace(), " " * raw[-1:].isspace()
        self._inline[at:] = [before, said if bare else f"[{said}]({address})", after]

    def _next_cell(self) -> None:
        if self._cells is None:
            self.flush()
            self._cells = []
        elif self._inline or self._cells:
            self._end_cell()
        self._inline, self._link = [""], None  # a cell has begun

    def _end_cell(self) -> None:
        if self._cells is not None and self._inline:
            self._cells.append(_collapsed(self._inline).replace("\n", " ").replace("|", "\\|"))
            self._inline, self._link = [], None

    def _end_row(self) -> None:
        self._end_cell()
        cells, self._cells = self._cells, None
        if not cells or not any(cells):
            return
        self._blocks.append(_Block(f"| {' | '.join(cells)} |", "row"))
        if self._rows == 0:
            self._blocks.append(_Block(f"| {' | '.join('---' for _ in cells)} |", "row"))
        self._rows += 1

    def flush(self) -> None:
        """The paragraph or item that was open has come to its end."""
        if self._cells is not None:
            self._end_row()
        inline, self._inline, self._link = self._inline, [], None
        said = "".join(inline).replace(_BR, "\n").strip("\n").rstrip() if self._pre else _collapsed(inline)
        if not said.strip():
            return
        if self._pre:
            said = f"```\n{said}\n```"
        self._blocks.append(self._placed(said))

    def _placed(self, said: str) -> _Block:
        """A text with the marks of where it stands."""
        lines = (self._heading + said.replace("\n", " ") if self._heading else said).split("\n")
        quote = "> " * min(self._quotes, _DEEPEST)
        if not self._lists and not self._marker:
            return _Block("\n".join(quote + line for line in lines), "quote" if quote else "")
        indent = "  " * min(max(len(self._lists) - 1, 0), _DEEPEST)
        marker, self._marker = self._marker or "  ", ""
        rest = " " * len(marker)
        placed = [quote + indent + (rest if at else marker) + line for at, line in enumerate(lines)]
        return _Block("\n".join(placed), "list")


def _collapsed(parts: list[str]) -> str:
    """White space as a browser shows it: `<br>` alone breaks a line."""
    lines = "".join(parts).split(_BR)
    return "\n".join(_SPACE.sub(" ", line).replace("\u00a0", " ").strip() for line in lines).strip()


def _address(href: str | None) -> str:
    """A link's address when a person may open it, else nothing."""
    found = "".join((href or "").split()).replace(")", "%29")
    try:
        return found if urlsplit(found).scheme.lower() in _SCHEMES else ""
    except ValueError:
        return ""


def _number(start: str | None) -> int:
    return int(start) if start and start.isascii() and start.isdigit() and len(start) < 9 else 1
