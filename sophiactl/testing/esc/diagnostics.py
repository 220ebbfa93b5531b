"""Places in a definition, and what is wrong there."""

from __future__ import annotations

from typing import Any

import msgspec

ERROR = 1
WARNING = 2


class Pos(msgspec.Struct, frozen=True):
    """A place: line and column count from one, bytes from zero."""

    line: int = 0
    column: int = 0
    byte: int = 0


class Range(msgspec.Struct, frozen=True):
    """From where to where, and in which environment's definition."""

    environment: str = ""
    begin: Pos = Pos()
    end: Pos = Pos()

    def wire(self) -> dict[str, Any]:
        """The form that the API has."""
        builtins: dict[str, Any] = msgspec.to_builtins(self)
        return builtins


class Diagnostic(msgspec.Struct, frozen=True):
    """Something wrong. `path` is the place within the document, such as `values.a["b-c"][0]`."""

    summary: str
    range: Range | None = None
    path: str = ""
    severity: int = ERROR

    def wire(self) -> dict[str, Any]:
        """The form that the API has: no severity means an error."""
        shown: dict[str, Any] = {"summary": self.summary}
        if self.severity == WARNING:
            shown["severity"] = "warning"
        if self.path:
            shown["path"] = self.path
        if self.range is not None:
            shown["range"] = self.range.wire()
        return shown


def has_errors(diagnostics: list[Diagnostic]) -> bool:
    """Whether any is more than a warning."""
    return any(found.severity == ERROR for found in diagnostics)


def in_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """By file, line and column; those without a place first, by their text."""
    return sorted(diagnostics, key=_place)


def _place(found: Diagnostic) -> tuple[Any, ...]:
    if found.range is None:
        return (0, found.summary)
    return (1, found.range.environment, found.range.begin.line, found.range.begin.column)


def join_key(root: str, key: str) -> str:
    """A path with one more key: `.key` where the key is a plain name, `["key"]` where it is not."""
    if not key:
        return root
    if key.isascii() and key.isidentifier():
        return f"{root}.{key}" if root else key
    escaped = key.replace('"', '\\"')
    return f'{root}["{escaped}"]'
