"""What a Slack message says, whatever it is made of: text, blocks, attachments, files. Pure; never raises.

`text` is what people write; what apps send often stands in blocks or attachments alone, with a summary in `text`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sophiactl.connectors.reading import items, mapping, text
from sophiactl.connectors.text.mrkdwn import mentioned, to_markdown, unescaped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEEPEST = 12
LONGEST_PREVIEW = 4_000
_STYLES = (("code", "`"), ("bold", "**"), ("italic", "_"), ("strike", "~~"))


class Names:
    """The names of users and channels by their ids, `#` included; both grow while Slack is read."""

    def __init__(self) -> None:
        self.users: dict[str, str] = {}
        self.channels: dict[str, str] = {}

    def markdown(self, value: Any) -> str:
        """Slack's markup as Markdown with names."""
        return to_markdown(text(value), self.users, self.channels)


def body(message: Mapping[str, Any], names: Names) -> str:
    """All that a message says, as Markdown."""
    said = names.markdown(message.get("text")).strip()
    blocks = items(message.get("blocks"))
    if blocks and (not said or any(block.get("type") != "rich_text" for block in blocks)):
        said = _merged(said, _lines(_block(block, names, 0) for block in blocks))
    for attachment in items(message.get("attachments")):
        # A message that is shared is read where it stands, by those who may.
        if not attachment.get("is_msg_unfurl") and not attachment.get("is_share"):
            said = _merged(said, _attachment(attachment, names))
    files = _lines(_file(file) for file in items(message.get("files")))
    return "\n".join(part for part in (said, files) if part)


def people_in(message: Mapping[str, Any]) -> Iterator[str]:
    """The ids of those whom a message is from or names, as far as its text tells."""
    author = text(message.get("user"))
    if author:
        yield author
    yield from mentioned(text(message.get("text")))


def _merged(said: str, more: str) -> str:
    """Two readings of one message, without the one that the other holds already."""
    one, other = _letters(said), _letters(more)
    if not other or other in one:
        return said
    return more if one in other else f"{said}\n{more}"


def _letters(value: str) -> str:
    return re.sub(r"[\W_]+", "", value).casefold()


def _lines(parts: Iterator[str]) -> str:
    return "\n".join(part for part in (part.strip("\n") for part in parts) if part.strip())


def _block(block: dict[str, Any], names: Names, depth: int) -> str:
    """A block of any kind; those that hold others are read through."""
    if depth > DEEPEST:
        return ""
    kind = text(block.get("type"))
    if kind == "rich_text":
        return _lines(_rich(part, names, depth + 1) for part in items(block.get("elements")))
    if kind in ("image", "video"):
        return _object(block.get("title"), names) or text(block.get("alt_text"))
    if kind == "context":
        return " ".join(filter(None, (_block(part, names, depth + 1) for part in items(block.get("elements")))))
    if kind == "table":
        return _table(block, names, depth)
    parts = [_object(block.get("text"), names), *(_object(field, names) for field in items(block.get("fields")))]
    return _lines(iter(parts))


def _object(value: Any, names: Names) -> str:
    """A text object: mrkdwn, plain, or a bare string."""
    if not isinstance(value, dict):
        return names.markdown(value)
    if value.get("type") == "plain_text":
        return unescaped(text(value.get("text")))
    return names.markdown(value.get("text"))


def _table(block: dict[str, Any], names: Names, depth: int) -> str:
    rows = block.get("rows")
    lines = []
    for row in rows if isinstance(rows, list) else []:
        cells = [
            _block(cell, names, depth + 1) if cell.get("type") == "rich_text" else _object(cell, names)
            for cell in items(row)
        ]
        lines.append(" | ".join(cell.replace("\n", " ") for cell in cells))
    return "\n".join(lines)


def _rich(part: dict[str, Any], names: Names, depth: int) -> str:
    """A section, list, quote or code of rich text."""
    if depth > DEEPEST:
        return ""
    kind, inner = text(part.get("type")), items(part.get("elements"))
    if kind == "rich_text_list":
        indent = part.get("indent")
        lead = "  " * (indent if isinstance(indent, int) and 0 < indent <= DEEPEST else 0)
        ordered = part.get("style") == "ordered"
        entries = (_rich(entry, names, depth + 1) for entry in inner)
        return "\n".join(f"{lead}{f'{at}.' if ordered else '-'} {entry}" for at, entry in enumerate(entries, 1))
    run = "".join(_leaf(leaf, names) for leaf in inner)
    if kind == "rich_text_preformatted":
        return f"```\n{run}\n```"
    if kind == "rich_text_quote":
        return "\n".join(f"> {line}" for line in run.splitlines())
    return run


def _leaf(leaf: dict[str, Any], names: Names) -> str:
    """A run of rich text. Its text is not escaped, unlike that of everything else."""
    kind = text(leaf.get("type"))
    if kind == "user":
        name = text(leaf.get("user_id"))
        return f"@{names.users.get(name, name)}"
    if kind == "channel":
        name = text(leaf.get("channel_id"))
        return names.channels.get(name, f"#{name}")
    if kind == "usergroup":
        return f"@{text(leaf.get('usergroup_id'))}"
    if kind == "broadcast":
        return f"@{text(leaf.get('range'))}"
    if kind == "emoji":
        return f":{text(leaf.get('name'))}:"
    if kind == "date":
        return text(leaf.get("fallback"))
    shown = leaf.get("text")
    # Spaces at its ends count here: they keep one run from the next.
    run = shown.replace("\x00", "").encode("utf-8", "replace").decode() if isinstance(shown, str) else ""
    if kind == "link":
        url = text(leaf.get("url"))
        return f"[{run}]({url})" if run and run != url else url
    return _styled(run, mapping(leaf.get("style")))


def _styled(run: str, style: dict[str, Any]) -> str:
    bare = run.strip()
    if not bare or not style:
        return run
    marked = bare
    for name, mark in _STYLES:
        if style.get(name):
            marked = f"{mark}{marked}{mark}"
    return run.replace(bare, marked, 1)


def _attachment(attachment: dict[str, Any], names: Names) -> str:
    fields = (
        f"{names.markdown(field.get('title'))}: {names.markdown(field.get('value'))}".removeprefix(": ")
        for field in items(attachment.get("fields"))
    )
    blocks = _lines(_block(block, names, 1) for block in items(attachment.get("blocks")))
    title = names.markdown(attachment.get("title"))
    parts = (names.markdown(attachment.get("pretext")), title, names.markdown(attachment.get("text")), *fields, blocks)
    return _lines(iter(parts)) or names.markdown(attachment.get("fallback"))


def _file(file: dict[str, Any]) -> str:
    """A file's name, and the beginning of its text where Slack gives that."""
    if file.get("mode") == "tombstone":
        return ""
    name = text(file.get("name"))
    title = text(file.get("title")) or name
    if not title:
        return ""
    shown = f"File: {unescaped(title)}" + (f" ({name})" if name and name != title else "")
    preview = text(file.get("plain_text") or file.get("preview"))
    if file.get("mode") in ("snippet", "post", "email") or file.get("filetype") == "email":
        return _lines(iter((shown, preview[:LONGEST_PREVIEW])))
    return shown
