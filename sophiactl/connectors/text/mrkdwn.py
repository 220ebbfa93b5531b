"""Slack's own markup, mrkdwn, as Markdown with names in it. Pure; never raises, whatever the text.

What stands between `<` and `>` is a reference (docs.slack.dev, "Formatting message text"): `<@U1>` a user, `<#C1|name>`
a channel, `<!here>` a call to many, `<!subteam^S1|@team>` a group, `<!date^0^{date}|text>` a time, all else a link.
`&`, `<` and `>` of the writer arrive as `&amp;`, `&lt;` and `&gt;`. Shortcodes of emoji stay as they are.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MANY = ("here", "channel", "everyone")
_HOLE = "\x00"
"""Stands for a reference while the rest is read; the text itself holds none, since it is taken out first."""


def to_markdown(text: str, users: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """The text with Markdown for its markup; `users` and `channels` name ids, else a label or the id stands in."""
    found: list[str] = []

    def keep(match: re.Match[str]) -> str:
        found.append(_reference(match[1], users, channels))
        return _HOLE

    text = _pattern(r"<([^<>\n]*)>").sub(keep, text.replace(_HOLE, ""))
    pieces = _pattern(r"(```.*?```|`[^`\n]+`)", dotall=True).split(text)  # every second one is code
    text = "".join(piece if number % 2 else _emphasis(piece) for number, piece in enumerate(pieces))
    first, *rest = unescaped(text).split(_HOLE)
    return first + "".join(shown + piece for shown, piece in zip(found, rest, strict=True))


def unescaped(text: str) -> str:
    """The writer's own `&`, `<` and `>`; what was escaped twice stays escaped once."""
    if "&" not in text:
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def mentioned(text: str) -> list[str]:
    """The ids of the users that a text names."""
    return _pattern(r"<@([A-Z0-9]+)").findall(text) if "<@" in text else []


def _emphasis(text: str) -> str:
    """`*bold*` and `~struck~` as Markdown writes them; `_italic_` and quotes are the same in both."""
    if "*" in text:
        text = _pattern(r"(?<![\w*])\*(?![\s*])([^*\n]*[^*\s])\*(?![\w*])").sub(r"**\1**", text)
    if "~" in text:
        text = _pattern(r"(?<![\w~])~(?![\s~])([^~\n]*[^~\s])~(?![\w~])").sub(r"~~\1~~", text)
    return text


def _reference(inside: str, users: Mapping[str, str], channels: Mapping[str, str]) -> str:
    target, _, label = inside.partition("|")
    label = unescaped(label).strip()
    if target.startswith("@"):
        name = target[1:]
        return f"@{users.get(name) or label.removeprefix('@') or name}"
    if target.startswith("#"):
        name = channels.get(target[1:]) or label or target[1:]
        return name if name.startswith(("#", "@")) else f"#{name}"
    if target.startswith("!"):
        return _command(target[1:], label)
    return _link(unescaped(target), label)


def _command(target: str, label: str) -> str:
    word, *rest = target.split("^")
    if word in _MANY:
        return f"@{word}"
    if word == "subteam":
        name = label or (rest[0] if rest else word)
        return name if name.startswith("@") else f"@{name}"
    if word == "date":
        return label or (rest[0] if rest else "")
    return label or f"@{word}"


def _link(target: str, label: str) -> str:
    shown = target.removeprefix("mailto:").removeprefix("tel:")
    if not label or label in (target, shown) or target.endswith(f"//{label}"):
        return shown
    if shown != target:
        return f"{label} ({shown})"
    return f"[{label}]({target})"


@cache
def _pattern(pattern: str, *, dotall: bool = False) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL if dotall else 0)
