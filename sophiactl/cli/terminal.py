"""What a stream can show: colour rules, width of text, and text made harmless."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

# C0 and C1 controls, DEL, and the marks that reorder text on screen; tab and newline are left alone.
_HIDDEN = [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_VISIBLE = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _HIDDEN if chr(code) not in "\t\n"}
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


def clean(text: str) -> str:
    """The text with control characters spelled out, so that a record cannot drive the reader's terminal."""
    return text.replace("\r\n", "\n").translate(_VISIBLE)


def paint(text: str, style: str) -> str:
    """The text in an ANSI style: words of `_STYLES` joined by spaces."""
    codes = ";".join(_STYLES[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text else text


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal; a closed one is not."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def wants_colour(*, terminal: bool, env: Mapping[str, str], no_color: bool) -> bool:
    """The usual rules: our flag, then NO_COLOR, FORCE_COLOR, TERM=dumb, then whether it is a terminal."""
    if no_color or env.get("NO_COLOR"):
        return False
    if env.get("FORCE_COLOR", "") not in {"", "0"}:
        return True
    return terminal and env.get("TERM") != "dumb"


def width_of(text: str) -> int:
    """How many columns the text takes on a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def fit(text: str, width: int) -> str:
    """The text on one line of at most `width` columns, shortened with an ellipsis."""
    line = " ".join(text.split())
    if width_of(line) <= width:
        return line
    while line and width_of(line) > width - 1:
        line = line[:-1]
    return line.rstrip() + "…"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text filled with spaces to `width` columns."""
    fill = " " * max(0, width - width_of(text))
    return fill + text if right else text + fill
