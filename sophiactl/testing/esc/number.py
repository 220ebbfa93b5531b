"""A number as it was written: 1.10 stays 1.10, and no digit of a long one is lost."""

from __future__ import annotations

import msgspec


class Number:
    """A JSON number, kept as text; two are equal when they are written alike."""

    __slots__ = ("_text",)

    def __init__(self, text: str | int) -> None:
        self._text = str(text)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Number({self._text})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and str(other) == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def raw(self) -> msgspec.Raw:
        """What puts it into JSON digit by digit; a number that JSON does not know becomes null."""
        return msgspec.Raw(self._text.encode() if self._text[-1].isdigit() else b"null")
