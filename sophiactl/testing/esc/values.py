"""Values while they are worked out: what they are, which expression made them, and what lies below them."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from sophiactl.testing.esc import schemas
from sophiactl.testing.esc.diagnostics import Range
from sophiactl.testing.esc.document import Node
from sophiactl.testing.esc.expressions import Expr, Literal
from sophiactl.testing.esc.gotext import go_quote
from sophiactl.testing.esc.number import Number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.testing.esc.schemas import Schema

    Content = bool | Number | str | list["Value"] | dict[str, "Value"] | None

NOWHERE = Literal(Node(Range(), ""))
"""Stands for an expression that is not written anywhere."""


class State(Enum):
    """How far an expression is."""

    DECLARED = 0
    EVALUATING = 1
    DONE = 2


class Cell:
    """One expression of one environment, evaluated at most once.

    `path` is what a cyclic reference is reported by, `base` the imported value that it overrides. `items`,
    `properties` and `arguments` are the cells within.
    """

    __slots__ = (
        "arguments",
        "base",
        "expr",
        "items",
        "missing",
        "path",
        "properties",
        "schema",
        "secret",
        "state",
        "value",
    )

    def __init__(
        self, expr: Expr = NOWHERE, path: str = "", base: Value | None = None, *, missing: bool = False
    ) -> None:
        self.expr = expr
        self.path = path
        self.base = base
        self.missing = missing
        self.schema: Schema = True
        self.state = State.DECLARED
        self.secret = False
        self.value: Value | None = None
        self.items: list[Cell] | None = None
        self.properties: dict[str, Cell] | None = None
        self.arguments: dict[str, Cell] = {}

    def where(self, environment: str) -> Range:
        """Its place; the environment alone where it has none."""
        return self.expr.node.range if self.expr.node.range.begin.line else Range(environment)


class Value:
    """What an expression came to. `base` is the value that it was merged with: objects show its properties too.

    An unknown value failed, or comes from a provider that was not opened. `late` marks a property of an unknown
    object: (object, name). `content` of objects must be read with `members` and `member`.
    """

    __slots__ = ("base", "cell", "content", "final", "late", "rotate_only", "schema", "secret", "unknown")

    def __init__(
        self,
        cell: Cell,
        content: Content = None,
        schema: Schema = True,
        *,
        base: Value | None = None,
        unknown: bool = False,
        secret: bool = False,
    ) -> None:
        self.cell = cell
        self.content = content
        self.schema = schema
        self.base = base
        self.unknown = unknown
        self.secret = secret
        self.rotate_only = False
        self.final = False
        self.late: tuple[Value, str] | None = None

    @classmethod
    def unknown_at(cls, cell: Cell, schema: Schema = True, *, secret: bool = False) -> Value:
        """A value that could not be told."""
        return cls(cell, None, schema, unknown=True, secret=secret)

    @property
    def may_be_object(self) -> bool:
        """Whether it is an object, or could turn out to be one."""
        if self.unknown:
            return self.schema is True or (isinstance(self.schema, dict) and self.schema.get("type") == "object")
        return isinstance(self.content, dict)

    def names(self) -> list[str]:
        """The names of an object's properties and of those that lie below it, sorted."""
        if not isinstance(self.content, dict):
            return []
        below = self.base.names() if self.base is not None else ()
        return sorted({*self.content, *below})

    def members(self) -> dict[str, Value]:
        """An object's properties, those that lie below it included, by name."""
        found = ((name, self.member(name)) for name in self.names())
        return {name: member for name, member in found if member is not None}

    def member(self, name: str) -> Value | None:
        """A property, its own or one from below; a property of an unknown object is unknown."""
        if isinstance(self.content, dict):
            if name in self.content:
                return self.content[name]
            return self.base.member(name) if self.base is not None else None
        if not self.unknown:
            return None
        below = self.base.member(name) if self.base is not None else None
        schema = schemas.member(self.schema, name)
        cell = Cell(self.cell.expr, base=below)
        cell.schema, cell.state = schema, State.DONE
        value = Value(cell, None, schema, base=below, unknown=True)
        value.late = (self, name)
        return value

    def children(self) -> Iterator[Value]:
        """Items, or properties in the order of their names."""
        yield from self.content if isinstance(self.content, list) else self.members().values()

    def any_unknown(self, *, tolerate_rotate_only: bool = False) -> bool:
        """Whether it is unknown, or anything in it. What only rotation uses can be let pass."""
        if self.unknown:
            return not (tolerate_rotate_only and self.rotate_only)
        return any(child.any_unknown(tolerate_rotate_only=tolerate_rotate_only) for child in self.children())

    def any_secret(self) -> bool:
        """Whether it is secret, or anything in it."""
        return self.secret or any(child.any_secret() for child in self.children())

    def is_same(self, other: Value) -> bool:
        """Whether two stand for one value: the same object, or the same property of an unknown one."""
        if self is other:
            return True
        if not (self.unknown and other.unknown) or self.late is None or other.late is None:
            return False
        return self.late[1] == other.late[1] and self.late[0].is_same(other.late[0])

    def lay_over(self, base: Value | None, refused: list[Value]) -> Value:
        """This value over another; objects are merged. Changes this value and what it lies on.

        Gives the base back where that is final, and adds what would have replaced it to `refused`.
        """
        if base is None or self.is_same(base):
            return self
        if base.final:
            if self.cell is not base.cell:
                refused.append(self)
            return base
        self.base = base if self.base is None else self.base.lay_over(base, refused)
        if isinstance(self.content, dict):
            for name, child in self.content.items():
                self.content[name] = child.lay_over(self.base.member(name), refused)
        self.schema = schemas.merged(self.base.schema, self.schema)
        return self

    def copy(self) -> Value:
        """An independent copy, what lies below included."""
        return _copy(self, {})


def _copy(value: Value, done: dict[int, Value]) -> Value:
    known = done.get(id(value))
    if known is not None:
        return known
    made = done[id(value)] = Value(value.cell, None, value.schema, unknown=value.unknown, secret=value.secret)
    made.rotate_only, made.final, made.late = value.rotate_only, value.final, value.late
    if isinstance(value.content, list):
        made.content = [_copy(item, done) for item in value.content]
    elif isinstance(value.content, dict):
        made.content = {name: _copy(child, done) for name, child in value.content.items()}
    else:
        made.content = value.content
    if value.base is not None:
        made.base = _copy(value.base, done)
    return made


def as_text(value: Value) -> tuple[str, bool, bool]:
    """A value as text, whether it is unknown, and whether it is secret. Of objects only what they have themselves."""
    if value.unknown:
        return "[unknown]", True, value.secret
    content = value.content
    if isinstance(content, list):
        return _joined([("", item) for item in content], secret=value.secret)
    if isinstance(content, dict):
        named = [(f"{go_quote(name)}=", content[name]) for name in sorted(content)]
        return _joined(named, secret=value.secret)
    if content is None or isinstance(content, bool):
        return ("" if content is None else str(content).lower()), False, value.secret
    return str(content), False, value.secret


def _joined(named: list[tuple[str, Value]], *, secret: bool) -> tuple[str, bool, bool]:
    texts, unknown = [], False
    for prefix, value in named:
        text, text_unknown, text_secret = as_text(value)
        texts.append(prefix + go_quote(text))
        unknown, secret = unknown or text_unknown, secret or text_secret
    return ",".join(texts), unknown, secret


class Secretive:
    """Plain data that is secret, as providers get and give it; `plain` is what it holds."""

    __slots__ = ("plain",)

    def __init__(self, plain: object) -> None:
        self.plain = plain

    def __repr__(self) -> str:
        return "Secretive(...)"


def from_plain(plain: object, cell: Cell, *, secret: bool = False) -> Value:
    """A value of plain data: None, bools, Numbers, texts, lists, dictionaries; `Secretive` marks what is secret."""
    if isinstance(plain, Secretive):
        return from_plain(plain.plain, cell, secret=True)
    secret = secret or cell.secret
    if isinstance(plain, list):
        items = [from_plain(item, cell, secret=secret) for item in plain]
        return Value(cell, items, schemas.listed([item.schema for item in items]), secret=secret)
    if isinstance(plain, dict):
        members = {str(name): from_plain(child, cell, secret=secret) for name, child in plain.items()}
        schema = schemas.record({name: child.schema for name, child in members.items()})
        return Value(cell, members, schema, secret=secret)
    if isinstance(plain, int | float) and not isinstance(plain, bool):
        plain = Number(repr(plain))
    content = plain if plain is None or isinstance(plain, bool | Number) else str(plain)
    kind = kind_of(content)
    # The schema of a secret must not tell it.
    schema = {"type": kind} if secret or content is None else schemas.constant(kind, content)
    return Value(cell, content, schema, secret=secret)


def kind_of(content: object) -> str:
    """The name that schemas have for the type of a content."""
    if content is None:
        return "null"
    kinds = ((bool, "boolean"), (Number, "number"), (str, "string"), (list, "array"))
    return next((kind for python, kind in kinds if isinstance(content, python)), "object")
