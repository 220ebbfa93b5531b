"""What stands in pages of the loopback Notion: rich text, blocks, and markdown as blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MOST_SIGNS = 2_000
"""Signs in one part of rich text; what is longer comes in several parts."""
PLAIN = {
    "bold": False,
    "italic": False,
    "strikethrough": False,
    "underline": False,
    "code": False,
    "color": "default",
}
_LINE = re.compile(r"(?P<indent> *)(?:(?P<to_do>- \[(?P<done>[ x])\] )|(?P<bullet>- )|(?P<number>\d+\. ))(?P<words>.*)")
_HEADING = re.compile(r"(#{1,3}) (.*)")


@dataclass(slots=True)
class Block:
    """A block as it is stored. `data` is what its type holds."""

    id: str
    type: str
    data: dict[str, Any]
    children: list[Block] = field(default_factory=list)


def rich(words: str, *, href: str | None = None, **styles: bool) -> list[dict[str, Any]]:
    """Rich text with one style throughout: `rich("now", bold=True)`."""
    parts = [words[start : start + MOST_SIGNS] for start in range(0, len(words), MOST_SIGNS)]
    link = {"url": href} if href else None
    return [
        {
            "type": "text",
            "text": {"content": part, "link": link},
            "annotations": {**PLAIN, **styles},
            "plain_text": part,
            "href": href,
        }
        for part in parts
    ]


def block(kind: str, words: str = "", *children: dict[str, Any] | str, **data: Any) -> dict[str, Any]:
    """What one would send: a `kind` with some words, what is in it, and what else its type holds.

    block("toggle", "More", "a paragraph", block("divider"))
    """
    held: dict[str, Any] = {"rich_text": rich(words), "color": "default"} if words else {}
    return {"type": kind, kind: {**held, **data}, "children": list(children)}


def table(*rows: Sequence[str], header: bool = True) -> dict[str, Any]:
    """A table of plain texts."""
    lines = [block("table_row", cells=[rich(cell) for cell in row]) for row in rows]
    width = max((len(row) for row in rows), default=0)
    return block("table", "", *lines, table_width=width, has_column_header=header, has_row_header=False)


def stored(blocks: Sequence[dict[str, Any] | str], new_id: Callable[[], str]) -> list[Block]:
    """Blocks as they are stored, from blocks as they are sent; a text alone is a paragraph."""
    found = []
    for sent in blocks:
        whole = block("paragraph", sent) if isinstance(sent, str) else sent
        kind = str(whole["type"])
        data = dict(whole.get(kind) or {})
        children = [*data.pop("children", ()), *whole.get("children", ())]
        found.append(Block(str(whole.get("id") or new_id()), kind, data, stored(children, new_id)))
    return found


def each(blocks: Sequence[Block]) -> Iterator[Block]:
    """All blocks, those within others too."""
    for one in blocks:
        yield one
        yield from each(one.children)


def from_markdown(words: str) -> list[dict[str, Any]]:
    """Headings, paragraphs, quotes, code, rules, tables, and lists within lists, as blocks; for demos."""
    lines = words.strip("\n").split("\n")
    found: list[dict[str, Any]] = []
    while lines:
        if not lines[0].strip():
            lines.pop(0)
        else:
            found.append(_next_block(lines))
    return found


def _next_block(lines: list[str]) -> dict[str, Any]:
    heading = _HEADING.fullmatch(lines[0])
    if heading:
        lines.pop(0)
        return block(f"heading_{len(heading[1])}", heading[2])
    if _LINE.fullmatch(lines[0]):
        return _list_item(lines)
    if lines[0].startswith("```"):
        language = lines.pop(0)[3:] or "plain text"
        inside = _taken(lines, lambda line: line != "```")
        del lines[:1]
        return block("code", "\n".join(inside), language=language)
    if lines[0].startswith("|"):
        rows = [line.strip().strip("|").split("|") for line in _taken(lines, lambda line: line.startswith("|"))]
        cells = [[cell.strip() for cell in row] for row in rows]
        return table(*[row for row in cells if not all(set(cell) <= set("-:") and cell for cell in row)])
    if lines[0].startswith(">"):
        return block("quote", "\n".join(line[1:].strip() for line in _taken(lines, lambda line: line.startswith(">"))))
    if lines[0].strip() == "---":
        lines.pop(0)
        return block("divider")
    return block("paragraph", "\n".join([lines.pop(0), *_taken(lines, _goes_on)]))


def _goes_on(line: str) -> bool:
    starts = ("#", "|", ">", "```", "---")
    return bool(line.strip()) and not line.startswith(starts) and not _LINE.fullmatch(line)


def _taken(lines: list[str], while_true: Callable[[str], bool]) -> list[str]:
    found = []
    while lines and while_true(lines[0]):
        found.append(lines.pop(0))
    return found


def _list_item(lines: list[str]) -> dict[str, Any]:
    line = _LINE.fullmatch(lines.pop(0))
    assert line is not None  # noqa: S101 - the caller has seen it
    indent, children = len(line["indent"]), []
    while lines:
        below = _LINE.fullmatch(lines[0])
        if below is None or len(below["indent"]) <= indent:
            break
        children.append(_list_item(lines))
    if line["to_do"]:
        return block("to_do", line["words"], *children, checked=line["done"] == "x")
    return block("bulleted_list_item" if line["bullet"] else "numbered_list_item", line["words"], *children)
