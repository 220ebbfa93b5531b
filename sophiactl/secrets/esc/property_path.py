"""Paths to values inside an environment: `aws.login.keys["a b"][0]`. Pure.

Names are joined by dots; anything may stand in brackets as a number or between double quotes, where a backslash
precedes a quote or a backslash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_HOW = 'write it like  environmentVariables.NAME  or  a.b["c d"][0]'
_ENDS = frozenset('.[]"')
_BARE = {ord(sign): "x" for sign in "_-:/"}
_MOST_DIGITS = 9

Step = str | int
"""A key of an object, or an index of an array."""


class BadPath(UsageError):
    """A path that cannot be read."""

    code = "bad_path"


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path. Raises `BadPath`, with the place where it stops making sense."""
    steps: list[Step] = []
    at = 0
    while at < len(text) or not steps:
        if text[at : at + 1] == "[":
            step, at = _bracket(text, at)
        else:
            step, at = _name(text, at, first=not steps)
        steps.append(step)
    return tuple(steps)


def format_path(steps: Iterable[Step]) -> str:
    """The text that `parse_path` reads back into the same steps."""
    written = ""
    for step in steps:
        if isinstance(step, int):
            written += f"[{step}]"
        elif step and step.isascii() and step.translate(_BARE).isalnum():
            written += f".{step}" if written else step
        else:
            inside = step.replace("\\", "\\\\").replace('"', '\\"')
            written += f'["{inside}"]'
    return written


def _name(text: str, at: int, *, first: bool) -> tuple[str, int]:
    if not first:
        if text[at] != ".":
            raise _bad(text, at, "a dot or a bracket is missing")
        at += 1
    end = at
    while end < len(text) and text[end] not in _ENDS:
        end += 1
    if end == at:
        raise _bad(text, at, "a name is missing")
    return text[at:end], end


def _bracket(text: str, at: int) -> tuple[Step, int]:
    if text[at + 1 : at + 2] == '"':
        return _quoted(text, at + 2)
    end = text.find("]", at)
    digits = text[at + 1 : max(end, 0)]
    if end < 0:
        raise _bad(text, at, "a bracket is not closed")
    if not digits.isascii() or not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise _bad(text, at + 1, "brackets hold a number, or a name between double quotes")
    return int(digits), end + 1


def _quoted(text: str, at: int) -> tuple[str, int]:
    letters: list[str] = []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\":
            at += 1
            if text[at : at + 1] not in {'"', "\\"}:
                raise _bad(text, at, "a backslash precedes a quote or a backslash only")
        letters.append(text[at])
        at += 1
    if text[at : at + 2] != '"]':
        raise _bad(text, at, "a quoted name is not closed")
    return "".join(letters), at + 2


def _bad(text: str, at: int, why: str) -> BadPath:
    return BadPath(f"the path {text!r} cannot be read at letter {at + 1}: {why}", hint=_HOW)
