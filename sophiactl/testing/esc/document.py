"""YAML with the place of every node: the one module here that knows the YAML library.

Positions follow the original, oddities included, since clients print them: the end of a node is its start plus the
length of its value (so quotes and closing brackets do not count), and places on a last line without a newline have
byte zero. Scalars are read as its YAML library reads them: `yes` is text, `0o17` and `017` are fifteen.
"""

from __future__ import annotations

import re
import unicodedata
from math import inf, isinf
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.testing.esc.diagnostics import Diagnostic, Pos, Range, join_key
from sophiactl.testing.esc.gotext import go_float
from sophiactl.testing.esc.number import Number

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 100
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_LARGEST_INTEGER = (1 << 64) - 1
_ZERO_WIDTH = "\u200d\ufe0e\ufe0f"


class Node(msgspec.Struct, frozen=True):
    """A scalar (`value` is None, a bool, a Number or text), an array (`items`) or an object (`entries`).

    `plain` tells that the value stands in the file as it is here. `span` is where a node really
    begins and ends, in characters, quotes and brackets included.
    """

    range: Range
    path: str
    value: bool | Number | str | None = None
    items: tuple[Node, ...] | None = None
    entries: tuple[tuple[Node, Node], ...] | None = None
    plain: bool = False
    span: tuple[int, int] = (0, 0)

    def part(self, start: int, end: int) -> Range:
        """The place of a piece of the text; the node's own where it cannot be told."""
        if not self.plain or not isinstance(self.value, str):
            return self.range
        first, last = self.value[:start], self.value[:end]
        return Range(self.range.environment, self._after(first), self._after(last))

    def _after(self, text: str) -> Pos:
        begin = self.range.begin
        return Pos(begin.line, begin.column + width(text), begin.byte + len(text.encode()))


def width(text: str) -> int:
    """Columns that a text takes on a terminal, near enough."""
    return sum(_cells(sign) for sign in text)


def _cells(sign: str) -> int:
    if sign in _ZERO_WIDTH or unicodedata.combining(sign):
        return 0
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def read_document(name: str, source: str) -> tuple[Node | None, list[Diagnostic]]:
    """The first document of a YAML text; no node for an empty one, and none where something is wrong."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(name, source, yaml.parse(source, Loader=loader))
    try:
        root = builder.document()
    except yaml.MarkedYAMLError as error:
        return None, [Diagnostic(_as_told(error))]
    except (yaml.YAMLError, UnicodeError):
        return None, [Diagnostic("yaml: control characters are not allowed")]
    return (None if builder.troubles else root), builder.troubles


def _as_told(error: Any) -> str:
    """The library's message as the original words it: its line counts from zero, but for scanner errors."""
    import yaml

    mark = error.context_mark if error.context_mark and error.context_mark.line else error.problem_mark
    line = mark.line if mark else 0
    if line and isinstance(error, yaml.scanner.ScannerError):
        line += 1
    return f"yaml: line {line}: {error.problem}" if line else f"yaml: {error.problem}"


class _Builder:
    """Events -> nodes."""

    def __init__(self, name: str, source: str, events: Iterator[Any]) -> None:
        self.name = name
        self.events = events
        self.troubles: list[Diagnostic] = []
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line.encode()) + 1)

    def _next(self) -> Any:
        return next(self.events)

    def document(self) -> Node | None:
        import yaml

        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                return self.node(self._next(), "", 0)
        return None

    def node(self, event: Any, path: str, depth: int) -> Node:
        import yaml

        start = event.start_mark.index
        begin = self.pos(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.AliasEvent):
            return self.refused("alias nodes are not supported", begin, path)
        if depth > _DEEPEST:
            raise yaml.composer.ComposerError(problem="exceeded max depth", problem_mark=event.start_mark)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.array(begin, path, depth, start)
        if isinstance(event, yaml.MappingStartEvent):
            return self.object(begin, path, depth, start)
        return self.scalar(event, begin, path)

    def refused(self, summary: str, begin: Pos, path: str) -> Node:
        range_ = Range(self.name, begin, begin)
        self.troubles.append(Diagnostic(summary, range_, path))
        return Node(range_, path)

    def array(self, begin: Pos, path: str, depth: int, start: int) -> Node:
        import yaml

        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self.node(event, f"{path}[{len(items)}]", depth + 1))
        end = items[-1].range.end if items else begin
        return Node(Range(self.name, begin, end), path, items=tuple(items), span=(start, _end(event)))

    def object(self, begin: Pos, path: str, depth: int, start: int) -> Node:
        import yaml

        entries: list[tuple[Node, Node]] = []
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            place = join_key(path, getattr(event, "value", None) or "")
            key = self.node(event, place, depth + 1)
            if not isinstance(key.value, str):
                self.troubles.append(Diagnostic("mapping keys must be strings", key.range, place))
            entries.append((key, self.node(self._next(), place, depth + 1)))
        end = entries[-1][1].range.end if entries else begin
        return Node(Range(self.name, begin, end), path, entries=tuple(entries), span=(start, _end(event)))

    def scalar(self, event: Any, begin: Pos, path: str) -> Node:
        value = _resolved(event)
        line, column, last = begin.line, begin.column, event.value
        if event.style == "|":
            line, last = line + event.value.count("\n"), event.value.rpartition("\n")[2]
        elif event.tag and not event.style:
            column += len(event.tag.replace("tag:yaml.org,2002:", "!!")) + 1
        end = self.pos(line, column + len(last.encode()))
        plain = not event.style and not event.tag
        span = (event.start_mark.index, event.end_mark.index)
        return Node(Range(self.name, begin, end), path, value, plain=plain, span=span)

    def pos(self, line: int, column: int) -> Pos:
        if line >= len(self._lines):
            return Pos(line, column)
        text, start = self._lines[line - 1], self._starts[line - 1]
        if text.isascii():
            return Pos(line, column, start + column - 1)
        cells, taken = 1, 0
        for sign in text:
            if cells >= column and _cells(sign):
                break
            cells, taken = cells + _cells(sign), taken + len(sign.encode())
        return Pos(line, column, start + taken)


def _end(event: Any) -> int:
    end: int = event.end_mark.index
    return end


def _resolved(event: Any) -> bool | Number | str | None:
    """A scalar's value; text where it is quoted or tagged as text."""
    text: str = event.value
    if event.style or (event.tag and not event.tag.endswith((":int", ":float", ":bool", ":null"))):
        return text
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "")
    if not digits or digits[0] not in "+-.0123456789":
        return text
    whole = _integer(digits)
    if whole is not None and abs(whole) <= _LARGEST_INTEGER:
        return Number(whole)
    number = float(digits) if whole is not None or _FLOAT.match(digits) else inf
    return text if isinf(number) else Number(go_float(number))


def _integer(digits: str) -> int | None:
    sign, bare = ("-", digits[1:]) if digits[0] == "-" else ("", digits.removeprefix("+"))
    if len(bare) > 1 and bare[0] == "0" and bare.isdigit():
        bare = f"0o{bare[1:]}"
    try:
        return int(sign + bare, 0)
    except ValueError:
        return None
