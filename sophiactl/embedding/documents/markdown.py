"""Markdown: blocks are verbatim slices of the decoded text, found by markdown-it's block parser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sophiactl.embedding.base import Document
from sophiactl.embedding.documents.decode import decode
from sophiactl.embedding.documents.spans import LineRange, Lines, blocks_of
from sophiactl.textspans import count_breaks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT = re.compile(r"(?s)(-{3}|\+{3})[ \t]*(?:\r\n|\r|\n)(.*?)(?:\r\n|\r|\n)\1[ \t]*(?=[\r\n]|\Z)")
_FRONT_TITLE = re.compile(r"(?m)^title[ \t]*[:=][ \t]*(.+?)[ \t]*\r?$")
_MARKUP = re.compile(r"[*_`\[<&\\!]")
_LONG_HEADING = 300
_KINDS = {
    "paragraph_open": "paragraph",
    "heading_open": "heading",
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
    "blockquote_open": "quote",
    "html_block": "html",
}


def read(data: bytes, name: str) -> Document:
    """Headings, paragraphs, list items, tables, quotes, code and HTML blocks. Offsets are exact.

    The title is the front matter's, else that of the first heading if it opens the document at level 1, else the name.
    """
    text, warnings = decode(data, name)
    lines = Lines(text)
    front = _FRONT.match(text)
    ranges: list[LineRange] = []
    body = text
    if front:
        ranges.append(LineRange(0, count_breaks(front.group()) + 1, "front_matter"))
        body = re.sub(r"[^\r\n]", " ", front.group()) + text[front.end() :]
    headings = _Headings()
    ranges.extend(_ranges(headings.parser.parse(body), headings))
    title = _front_title(front) or headings.first or name
    return Document(title, "text/markdown", blocks_of(lines, ranges), tuple(warnings))


def _front_title(front: re.Match[str] | None) -> str:
    found = _FRONT_TITLE.search(front.group(2)) if front else None
    return found.group(1).strip("\"'") if found else ""


class _Headings:
    """The path of headings at the place that was read last."""

    def __init__(self) -> None:
        from markdown_it import MarkdownIt

        # Only blocks are needed, so the inline rules, most of the parser's time, are left out.
        self.parser: MarkdownIt = MarkdownIt("commonmark").enable("table")
        self.parser.core.ruler.disable(["inline", "text_join"])
        self.inline: MarkdownIt = MarkdownIt("commonmark")
        self.stack: list[tuple[int, str]] = []
        self.first = ""

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(title for _, title in self.stack)

    def enter(self, level: int, source: str) -> None:
        title = self._plain(source)
        if level == 1 and not self.first:
            self.first = title
        self.stack = [entry for entry in self.stack if entry[0] < level]
        if title:
            self.stack.append((level, title))

    def _plain(self, source: str) -> str:
        """The words of a heading without its markup."""
        if len(source) > _LONG_HEADING or not _MARKUP.search(source):
            return " ".join(source[:_LONG_HEADING].split())
        parts: list[str] = []
        for token in self.inline.parseInline(source)[0].children or []:
            if token.type in {"text", "code_inline", "image"}:
                parts.append(token.content)
            elif token.type in {"softbreak", "hardbreak"}:
                parts.append(" ")
        return " ".join("".join(parts).split())


def _ranges(tokens: Sequence[Token], headings: _Headings) -> Iterator[LineRange]:
    for number, token in enumerate(tokens):
        if token.map is None:
            continue
        if token.type == "list_item_open" and token.level == 1:
            kind = "list"
        elif token.level == 0 and token.type in _KINDS:
            kind = _KINDS[token.type]
        else:
            continue
        if kind == "heading":
            headings.enter(int(token.tag[1]), tokens[number + 1].content)
        yield LineRange(token.map[0], token.map[1], kind, headings.path)
