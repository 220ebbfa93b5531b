"""Nodes -> expressions: literals, references, arrays, objects, and calls of built-in functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.testing.esc.diagnostics import Diagnostic
from sophiactl.testing.esc.document import Node
from sophiactl.testing.esc.interpolation import Accessor, Malformed, Part, parse_text

if TYPE_CHECKING:
    from sophiactl.testing.esc.number import Number


class Expr(msgspec.Struct, frozen=True):
    """Base of all; `node` is where it stands."""

    node: Node


class Literal(Expr, frozen=True):
    """A value written out; `text` replaces the node's own where a `$$` was in it."""

    text: str | None = None

    @property
    def value(self) -> bool | Number | str | None:
        """None, a bool, a Number or text."""
        return self.node.value if self.text is None else self.text


class Interpolation(Expr, frozen=True):
    """Text with references in it."""

    parts: tuple[Part, ...]


class Symbol(Expr, frozen=True):
    """A reference alone: the value itself, whatever its type."""

    access: tuple[Accessor, ...]


class Array(Expr, frozen=True):
    """A list."""

    items: tuple[Expr, ...]


class Object(Expr, frozen=True):
    """Keys and values as they stand, duplicates included."""

    entries: tuple[tuple[Node, Expr], ...]


class Call(Expr, frozen=True):
    """A built-in function by name (`open::aws` is `open` with a provider). An argument that is missing is None."""

    function: str
    arguments: dict[str, Expr | None]
    provider: str | None = None


def parse(node: Node, troubles: list[Diagnostic]) -> Expr:
    """The expression of a node; what is wrong with it is added to `troubles`."""
    if node.items is not None:
        return Array(node, tuple(parse(item, troubles) for item in node.items))
    if node.entries is not None:
        from sophiactl.testing.esc.calls import parse_call

        call = parse_call(node, troubles)
        return _object(node, troubles) if call is None else call
    return _text(node, troubles) if isinstance(node.value, str) else Literal(node)


def _object(node: Node, troubles: list[Diagnostic]) -> Object:
    entries: list[tuple[Node, Expr]] = []
    for key, value in node.entries or ():
        parsed_key = parse(key, troubles)
        parsed = parse(value, troubles)
        if isinstance(parsed_key, Literal):
            entries.append((key if parsed_key.text is None else _renamed(key, parsed_key.text), parsed))
        else:
            troubles.append(Diagnostic("object keys must be strings", key.range, key.path))
    return Object(node, tuple(entries))


def _renamed(key: Node, text: str) -> Node:
    return Node(key.range, key.path, text)


def _text(node: Node, troubles: list[Diagnostic]) -> Expr:
    try:
        parts = parse_text(str(node.value))
    except Malformed as error:
        troubles.append(Diagnostic(str(error), node.range, node.path))
        return Literal(node)
    if any(part.access == () for part in parts):
        troubles.append(Diagnostic("Property access expressions cannot be empty", node.range, node.path))
    if not parts:
        return Literal(node)
    if len(parts) == 1 and parts[0].access is None:
        return Literal(node, parts[0].text)
    if len(parts) == 1 and not parts[0].text and parts[0].access is not None:
        return Symbol(node, parts[0].access)
    return Interpolation(node, tuple(parts))
