"""Notion's blocks and rich text as markdown. Pure.

Facts on blocks and rich text: developers.notion.com, "Block" and "Rich text". What is missing, null or of another type
counts as not there; nothing that a page holds is left out without a word in its place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from sophiactl.connectors.reading import items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEEPEST = 100
"""Levels that are written; deeper ones would exhaust Python's stack."""
_LINKED = {"bookmark": "bookmark", "embed": "embed", "link_preview": "link"}
_FILES = ("image", "file", "pdf", "video", "audio")
_CONTAINERS = ("column_list", "column", "synced_block", "tab", "tab_group", "layout")
_SILENT = ("table_of_contents", "breadcrumb")
_HEADINGS = {"heading_1": "#", "heading_2": "##", "heading_3": "###", "heading_4": "####"}
_LISTS = ("bulleted_list_item", "numbered_list_item", "to_do", "toggle")


class Node(NamedTuple):
    """A block with what is below it. `unread` says why something below it is missing."""

    block: dict[str, Any]
    children: tuple[Node, ...] = ()
    unread: str = ""


def page_link(page_id: str) -> str:
    """The address of a page or database by its id."""
    return f"https://www.notion.so/{page_id.replace('-', '')}"


def plain(rich: Any) -> str:
    """Rich text without its styles."""
    return _clean("".join(_words(part) for part in items(rich)))


def styled(rich: Any) -> str:
    """Rich text as markdown."""
    return _clean("".join(_styled(part) for part in items(rich)))


def markdown(nodes: Sequence[Node]) -> str:
    """Blocks as markdown, paragraphs with an empty line between them."""
    return "\n".join(_lines(nodes, 0)).strip("\n")


def _clean(found: str) -> str:
    return found.replace("\x00", "").encode("utf-8", "replace").decode()


def _words(part: dict[str, Any]) -> str:
    """The words of one part: as Notion puts them, else as the part's own type has them."""
    if isinstance(part.get("plain_text"), str):
        return str(part["plain_text"])
    if part.get("type") == "equation":
        return _raw(mapping(part.get("equation")).get("expression"))
    return _raw(mapping(part.get("text")).get("content"))


def _raw(value: Any) -> str:
    """A text with the white space around it, which separates it from its neighbours."""
    return value if isinstance(value, str) else ""


def _styled(part: dict[str, Any]) -> str:
    words = _words(part)
    inner = words.strip()
    if not inner:
        return words
    if part.get("type") == "equation":
        inner = f"${inner}$"
    style = mapping(part.get("annotations"))
    if style.get("code") is True:
        fence = "`" * (_longest(inner, "`") + 1)
        inner = f"{fence}{inner}{fence}"
    for name, mark in (("strikethrough", "~~"), ("italic", "*"), ("bold", "**")):
        if style.get(name) is True and "\n" not in inner:
            inner = f"{mark}{inner}{mark}"
    target = _target(part)
    if target and target != inner:
        inner = f"[{inner}]({target})"
    before, _, after = words.partition(words.strip())
    return f"{before}{inner}{after}"


def _target(part: dict[str, Any]) -> str:
    """Where a part links to; links within Notion may come without a host."""
    found = text(part.get("href")) or text(mapping(mapping(part.get("text")).get("link")).get("url"))
    return f"https://www.notion.so{found}" if found.startswith("/") else lasting(found)


def lasting(url: str) -> str:
    """A link that works tomorrow: http or https, without a signature that expires. Empty when there is none."""
    if not url.lower().startswith(("http://", "https://", "mailto:")):
        return ""
    base, sign, query = url.partition("?")
    if sign and re.search(r"(?i)(^|&)(x-amz-|x-goog-|signature|sig|token|access_token|expir|se)[^=&]*=", query):
        return base
    return url.replace(" ", "%20")


def _longest(words: str, sign: str) -> int:
    return max((len(run) for run in re.findall(f"{re.escape(sign)}+", words)), default=0)


# Blocks


def _lines(nodes: Sequence[Node], depth: int) -> list[str]:
    """The lines of neighbours. Items of one list follow each other; all else is set off by an empty line."""
    found: list[str] = []
    before, number = "", 0
    for node in nodes:
        kind = text(node.block.get("type"))
        number = number + 1 if kind == before == "numbered_list_item" else 1
        lines = _block(node, kind, number, depth)
        if not lines:
            continue
        if found and not (kind == before and kind in _LISTS):
            found.append("")
        found += lines
        before = kind
    return found


def _block(node: Node, kind: str, number: int, depth: int) -> list[str]:
    if depth > DEEPEST:
        return ["[deeper blocks are left out]"]
    data = mapping(node.block.get(kind))
    writer = _WRITERS.get(kind)
    if writer is not None:
        lines = writer(node, data, depth)
    elif kind in _LISTS:
        lines = _list_item(node, kind, data, number, depth)
    elif kind in _HEADINGS:
        lines = _heading(node, kind, data, depth)
    elif kind in _LINKED:
        lines = _titled(data, _LINKED[kind], text(data.get("url"))) + _below(node, depth)
    elif kind in _FILES:
        lines = _file(data, kind) + _below(node, depth)
    elif kind in _CONTAINERS:
        lines = _below(node, depth)
    elif kind in _SILENT:
        lines = []
    else:
        lines = _unknown(node, kind, data, depth)
    return [*lines, f"[{node.unread}]"] if node.unread else lines


def _below(node: Node, depth: int) -> list[str]:
    return _lines(node.children, depth + 1)


def _text(data: dict[str, Any]) -> list[str]:
    words = styled(data.get("rich_text", data.get("text")))
    return words.strip().splitlines()


def _paragraph(node: Node, data: dict[str, Any], depth: int) -> list[str]:
    below = _indented(_below(node, depth), "  ")
    lines = _text(data)
    return [*lines, *([""] if lines and below else []), *below]


def _heading(node: Node, kind: str, data: dict[str, Any], depth: int) -> list[str]:
    words = " ".join(_text(data))
    below = _below(node, depth)
    lines = [f"{_HEADINGS[kind]} {words}"] if words else []
    return [*lines, *([""] if lines and below else []), *below]


def _list_item(node: Node, kind: str, data: dict[str, Any], number: int, depth: int) -> list[str]:
    mark = f"{number}." if kind == "numbered_list_item" else "-"
    if kind == "to_do":
        mark = "- [x]" if data.get("checked") is True else "- [ ]"
    indent = " " * (len(mark) + 1 if kind == "numbered_list_item" else 2)
    first, *rest = _text(data) or [""]
    return [f"{mark} {first}".rstrip(), *_indented(rest, indent), *_indented(_tight(_below(node, depth)), indent)]


def _tight(lines: list[str]) -> list[str]:
    """What is below a list item: a blank line in front of anything but a list, so that it stays a block of its own."""
    if not lines or re.match(r"(- |\d+\. )", lines[0]):
        return lines
    return ["", *lines]


def _indented(lines: Sequence[str], indent: str) -> list[str]:
    return [f"{indent}{line}" if line else "" for line in lines]


def _quote(node: Node, data: dict[str, Any], depth: int) -> list[str]:
    below = _below(node, depth)
    lines = _text(data)
    return [f"> {line}".rstrip() for line in [*lines, *([""] if lines and below else []), *below]]


def _callout(node: Node, data: dict[str, Any], depth: int) -> list[str]:
    icon = text(mapping(data.get("icon")).get("emoji"))
    found = _quote(node, data, depth)
    if icon:
        found = [f"> {icon} {found[0].removeprefix('> ')}", *found[1:]] if found else [f"> {icon}"]
    return found


def _code(node: Node, data: dict[str, Any], depth: int) -> list[str]:
    words = plain(data.get("rich_text", data.get("text")))
    fence = "`" * max(3, _longest(words, "`") + 1)
    language = "".join(text(data.get("language")).split())
    caption = styled(data.get("caption")).strip()
    name = "" if language == "plaintext" else language
    return [f"{fence}{name}", *words.split("\n"), fence, *([caption] if caption else []), *_below(node, depth)]


def _equation(_node: Node, data: dict[str, Any], _depth: int) -> list[str]:
    words = text(data.get("expression"))
    return [f"$$ {words} $$"] if words else []


def _divider(_node: Node, _data: dict[str, Any], _depth: int) -> list[str]:
    return ["---"]


def _child(node: Node, data: dict[str, Any], _depth: int) -> list[str]:
    """A page or database below this one: an item of its own, here a link."""
    return [f"[{_bracketed(text(data.get('title'))) or 'Untitled'}]({page_link(text(node.block.get('id')))})"]


def _link_to_page(_node: Node, data: dict[str, Any], _depth: int) -> list[str]:
    found = next((text(data[key]) for key in ("page_id", "database_id", "comment_id") if data.get(key)), "")
    return [f"[linked page]({page_link(found)})"] if found else []


def _table(node: Node, data: dict[str, Any], _depth: int) -> list[str]:
    found = [mapping(row.block.get("table_row")).get("cells") for row in node.children]
    rows = [[_cell(cell) for cell in cells] for cells in found if isinstance(cells, list)]
    width = max((len(row) for row in rows), default=0)
    if not width:
        return []
    if data.get("has_column_header") is False:
        rows.insert(0, [""] * width)
    lines = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
    return [lines[0], f"|{' --- |' * width}", *lines[1:]]


def _cell(rich: Any) -> str:
    return " ".join(styled(rich).replace("|", "\\|").split())


def _file(data: dict[str, Any], kind: str) -> list[str]:
    """A file that Notion keeps has an address that expires within the hour: it is named, not linked."""
    url = text(mapping(data.get("external")).get("url")) or text(data.get("url"))
    kept = text(mapping(data.get("file")).get("url")).partition("?")[0].rpartition("/")[2]
    return _titled(data, kind, url, text(data.get("name")) or _unquoted(kept))


def _unquoted(name: str) -> str:
    from urllib.parse import unquote

    return text(unquote(name))


def _titled(data: dict[str, Any], kind: str, url: str, name: str = "") -> list[str]:
    caption = " ".join(styled(data.get("caption")).split()) or _bracketed(name)
    url = lasting(url)
    if url:
        return [f"[{kind}: {caption}]({url})" if caption else f"[{kind}]({url})"]
    return [f"[{kind}: {caption}]" if caption else f"[{kind}]"]


def _bracketed(words: str) -> str:
    return " ".join(words.replace("[", "(").replace("]", ")").split())


def _meeting(node: Node, data: dict[str, Any], depth: int) -> list[str]:
    """Notes of a meeting: `transcription` until 2026-03-11, `meeting_notes` from then on."""
    words = styled(data.get("title", data.get("rich_text"))).strip()
    return [*([f"**{words}**", ""] if words else []), *_below(node, depth)]


def _unknown(node: Node, kind: str, data: dict[str, Any], depth: int) -> list[str]:
    """A type that we, or the API itself, do not know: its text if it has one, else a word that it is there."""
    lines = _text(data)
    below = _below(node, depth)
    if lines or below:
        return [*lines, *([""] if lines and below else []), *below]
    named = text(data.get("block_type")) or ("" if kind == "unsupported" else kind)
    return [f"[a block that cannot be read here{f': {named}' if named else ''}]"]


_WRITERS: dict[str, Callable[[Node, dict[str, Any], int], list[str]]] = {
    "paragraph": _paragraph,
    "template": _paragraph,
    "quote": _quote,
    "callout": _callout,
    "code": _code,
    "equation": _equation,
    "divider": _divider,
    "child_page": _child,
    "child_database": _child,
    "link_to_page": _link_to_page,
    "table": _table,
    "transcription": _meeting,
    "meeting_notes": _meeting,
}
