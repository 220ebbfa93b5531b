"""The text between quotes: `${a.b["c"][0]}` are accesses, `$$` is a dollar."""

from __future__ import annotations

import msgspec


class Accessor(msgspec.Struct, frozen=True):
    """One step: a name, `["name"]` (both text) or `[0]`. `start` and `end` are where it stands in the text.

    `named` tells `.name` from `["name"]`.
    """

    key: str | int
    start: int
    end: int
    named: bool


class Part(msgspec.Struct, frozen=True):
    """Some text, and the access that follows it, if one does."""

    text: str
    access: tuple[Accessor, ...] | None = None


class Malformed(ValueError):
    """An access that cannot be read; the message says why."""


_NO_ROOT = "the root property must be a string subscript or a name"


def parse_text(text: str) -> list[Part]:
    """The parts of a text. Raises `Malformed`."""
    parts: list[Part] = []
    literal: list[str] = []
    place = 0
    while place < len(text):
        if text.startswith("$$", place):
            literal.append("$")
            place += 2
        elif text.startswith("${", place):
            access, place = _access(text, place + 2)
            parts.append(Part("".join(literal), access))
            literal.clear()
        else:
            literal.append(text[place])
            place += 1
    if literal:
        parts.append(Part("".join(literal)))
    return parts


def parse_path(path: str) -> tuple[Accessor, ...]:
    """A path that stands alone, such as a client asks for. Raises `Malformed`."""
    access, end = _access(path + "}", 0)
    if end != len(path) + 1:
        raise Malformed("unexpected '}'")
    return access


def _access(text: str, place: int) -> tuple[tuple[Accessor, ...], int]:
    """The accessors up to the closing brace, and where to go on after it."""
    found: list[Accessor] = []
    start = place
    while place < len(text):
        sign = text[place]
        if sign == "}":
            return tuple(found), place + 1
        if sign == "." and not found:
            raise Malformed(_NO_ROOT)
        if sign == "[":
            key, place = _subscript(text, place)
            if not found and isinstance(key, int):
                raise Malformed(_NO_ROOT)
            found.append(Accessor(key, start, place, named=False))
        else:
            name, place = _name(text, place + (sign == "."))
            if not found and _is_number(name):
                raise Malformed(_NO_ROOT)
            if name or sign != ".":
                found.append(Accessor(name, start, place, named=True))
            elif text[place : place + 1] == "[":
                continue
        start = place
    raise Malformed("unterminated interpolation")


def _is_number(text: str) -> bool:
    return text.isascii() and text[text[:1] in {"+", "-"} :].isdecimal()


def _name(text: str, place: int) -> tuple[str, int]:
    end = place
    while end < len(text) and text[end] not in ".[}":
        end += 1
    return text[place:end], end


def _subscript(text: str, place: int) -> tuple[str | int, int]:
    if text.startswith('["', place):
        return _quoted(text, place + 2)
    end = text.find("]", place)
    if end < 0:
        raise Malformed("missing closing bracket in list index")
    digits = text[place + 1 : end]
    if not _is_number(digits):
        raise Malformed("invalid list index")
    return int(digits), end + 1


def _quoted(text: str, place: int) -> tuple[str, int]:
    key: list[str] = []
    while place < len(text) and text[place] != '"':
        escaped = text.startswith('\\"', place)
        key.append('"' if escaped else text[place])
        place += 2 if escaped else 1
    if place >= len(text):
        raise Malformed("missing closing quote in property name")
    if text[place + 1 : place + 2] != "]":
        raise Malformed("missing closing bracket in property access")
    return "".join(key), place + 2
