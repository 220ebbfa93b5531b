"""References: from `${a.b["c"][0]}` to the value.

Arrays and objects on the way are not evaluated, only what is asked for, so that parts of one may refer to others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.testing.esc import schemas
from sophiactl.testing.esc.gotext import go_quote
from sophiactl.testing.esc.values import Cell, Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sophiactl.testing.esc.diagnostics import Range
    from sophiactl.testing.esc.document import Node
    from sophiactl.testing.esc.interpolation import Accessor
    from sophiactl.testing.esc.schemas import Schema

_NEAR = 3
_ENVIRONMENT_STEPS = 3


class Access:
    """The part of an evaluation that follows references."""

    root: Cell
    imports: Value
    context: Value

    def evaluate(self, cell: Cell, accept: Schema = True) -> Value:
        """The value of an expression."""
        raise NotImplementedError

    def complain(self, node: Node, summary: str, severity: int = 1, range_: Range | None = None) -> None:
        """Note something wrong."""
        raise NotImplementedError

    def environment_reference(self, node: Node, name: str, accept: Schema) -> Value | None:
        """Another environment's value."""
        raise NotImplementedError

    def referred(self, cell: Cell, access: tuple[Accessor, ...], accept: Schema = True) -> Value:
        """What a reference within `cell` stands for: a copy, which belongs to the place of the reference."""
        found = self._followed(cell, access, accept) if access else None
        value = found.copy() if found is not None else Value.unknown_at(cell)
        value.cell, value.final = cell, False
        return value

    def _followed(self, cell: Cell, access: tuple[Accessor, ...], accept: Schema) -> Value | None:
        if access[0].key == "imports":
            return self._through_value(cell, self.imports, access[1:])
        if access[0].key == "context":
            return self._through_value(cell, self.context, access[1:])
        if access[0].key == "environments":
            return self._through_environment(cell, access, accept)
        return self._through_cell(cell, self.root, access)

    def _through_cell(self, cell: Cell, receiver: Cell, access: tuple[Accessor, ...]) -> Value | None:
        """Go on from an expression that may not be evaluated yet."""
        while access:
            if receiver.items is not None:
                index = self._index(cell, access[0], len(receiver.items))
                if index is None:
                    return None
                receiver = receiver.items[index]
            elif receiver.properties is not None:
                key = self._key(cell, access[0])
                if key is None:
                    return None
                if key not in receiver.properties:
                    return self._below(cell, receiver.base, receiver.properties, access)
                receiver = receiver.properties[key]
            elif "plaintext" in receiver.arguments:
                receiver = receiver.arguments["plaintext"]
                continue
            else:
                return self._through_value(cell, self.evaluate(receiver), access)
            access = access[1:]
        return self.evaluate(receiver)

    def _below(self, cell: Cell, base: Value | None, own: Iterable[str], access: tuple[Accessor, ...]) -> Value | None:
        """Go on in what an object was merged with; where that is no object, the property does not exist."""
        if base is not None and base.may_be_object:
            return self._through_value(cell, base, access, tuple(own))
        self._unknown_property(cell, access[0], own)
        return None

    def _through_environment(self, cell: Cell, access: tuple[Accessor, ...], accept: Schema) -> Value | None:
        if len(access) < _ENVIRONMENT_STEPS:
            return None
        project, name = self._key(cell, access[1]), self._key(cell, access[2])
        if project is None or name is None:
            return None
        value = self.environment_reference(cell.expr.node, f"{project}/{name}", accept)
        if value is None:
            return None
        found = self._through_value(cell, value, access[_ENVIRONMENT_STEPS:])
        if found is not None and value.rotate_only and found is not value:
            found.rotate_only = True
        return found

    def _through_value(
        self, cell: Cell, value: Value, access: tuple[Accessor, ...], own: tuple[str, ...] = ()
    ) -> Value | None:
        while access:
            if value.unknown:
                return self._through_unknown(cell, value, access)
            content = value.content
            if isinstance(content, list):
                index = self._index(cell, access[0], len(content))
                if index is None:
                    return None
                value = content[index]
            elif isinstance(content, dict):
                key = self._key(cell, access[0])
                if key is None:
                    return None
                if key not in content:
                    return self._below(cell, value.base, (*own, *content), access)
                value = content[key]
            else:
                self._wrong(cell, access[0], "receiver must be an array or an object")
                return None
            access, own = access[1:], ()
        return value

    def _through_unknown(self, cell: Cell, value: Value, access: tuple[Accessor, ...]) -> Value | None:
        """What the schema says of a value that is not there yet."""
        schema = value.schema
        for step in access:
            if schema is True:
                continue
            kind = schema.get("type") if isinstance(schema, dict) else None
            if kind == "array" and isinstance(schema, dict):
                closed = schema.get("items") is False
                index = self._index(cell, step, len(schema.get("prefixItems", ())) if closed else None)
                if index is None:
                    return None
                schema = schemas.item(schema, index)
            elif kind == "object":
                key = self._key(cell, step)
                if key is None:
                    return None
                schema = schemas.member(schema, key)
            else:
                self._wrong(cell, step, "receiver must be an array or an object")
                return None
        found = Value.unknown_at(cell, schema)
        found.rotate_only = value.rotate_only
        return found

    def _index(self, cell: Cell, step: Accessor, length: int | None) -> int | None:
        if isinstance(step.key, str):
            summary = "cannot access an array element using a property name"
        elif step.key < 0:
            summary = "array indices must not be negative"
        elif length is not None and step.key >= length:
            summary = f"array index {step.key} out-of-bounds for array of length {length}"
        else:
            return step.key
        self._wrong(cell, step, summary)
        return None

    def _key(self, cell: Cell, step: Accessor) -> str | None:
        if isinstance(step.key, int):
            self._wrong(cell, step, "cannot access an object property using an integer index")
            return None
        return step.key

    def _unknown_property(self, cell: Cell, step: Accessor, known: Iterable[str]) -> None:
        near = _nearest(str(step.key), known)
        hint = f"; did you mean {go_quote(near)}?" if near is not None else ""
        self._wrong(cell, step, f"unknown property {go_quote(str(step.key))}{hint}")

    def _wrong(self, cell: Cell, step: Accessor, summary: str) -> None:
        node = cell.expr.node
        place = node.part(step.start, step.end) if node.range.begin.line else None
        self.complain(node, summary, range_=place)


def _nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that fewer than three changes lead to."""
    near = sorted((_distance(word, other), other) for other in set(known))
    return near[0][1] if near and near[0][0] < _NEAR else None


def _distance(one: str, other: str) -> int:
    """How many signs have to be put in, taken out or replaced to get from one word to another."""
    row = list(range(len(other) + 1))
    for place, sign in enumerate(one, 1):
        above, row[0] = row[0], place
        for column, other_sign in enumerate(other, 1):
            above, row[column] = row[column], min(above + (sign != other_sign), row[column] + 1, row[column - 1] + 1)
    return row[-1]
