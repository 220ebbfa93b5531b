"""Whether a value follows a schema, and whether everything that follows one schema follows another."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.testing.esc.diagnostics import Diagnostic, join_key
from sophiactl.testing.esc.gotext import go_json, go_quote
from sophiactl.testing.esc.number import Number
from sophiactl.testing.esc.values import Cell, Value, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.testing.esc.schemas import Schema


class Place(msgspec.Struct, frozen=True):
    """What to blame: the expression, and the way from there where the expression is no literal."""

    cell: Cell
    path: str = ""

    def item(self, index: int) -> Place:
        """An item of it."""
        if self.cell.items is not None and index < len(self.cell.items):
            return Place(self.cell.items[index])
        return Place(self.cell, f"{self.path}[{index}]")

    def member(self, name: str) -> Place:
        """A property of it."""
        if self.cell.properties is not None and name in self.cell.properties:
            return Place(self.cell.properties[name])
        return Place(self.cell, join_key(self.path, name))


class Validator:
    """Collects what is wrong. References are looked up in `root`."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.troubles: list[Diagnostic] = []

    def follows(self, value: Value, accept: Schema | None) -> bool:
        """Whether a value follows a schema; an unknown one must by its own schema."""
        if accept is None or accept is True:
            return True
        if accept is False:
            return False
        place = Place(value.cell)
        if value.unknown:
            return self.implies(value.schema, accept, place)
        checks = [
            "$ref" not in accept or self.follows(value, self._target(accept)),
            self._any_of(value, accept, place),
            self._one_of(value, accept, place),
            self._constant(value, accept, place),
            self._kind(value, accept, place),
        ]
        if accept.get("secret") is True and not value.secret:
            checks.append(self.wrong(place, "expected secret"))
        return all(checks)

    def wrong(self, place: Place, summary: str) -> bool:
        """Note a complaint; always false."""
        node = place.cell.expr.node
        told = f"{place.path}: {summary}" if place.path else summary
        self.troubles.append(Diagnostic(told, node.range if node.range.begin.line else None, node.path))
        return False

    def _target(self, schema: dict[str, Any]) -> Schema:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        definitions = self.root.get("$defs", {}) if isinstance(self.root, dict) else {}
        target: Schema = definitions.get(name, True)
        return target

    def _alternatives(self, schemas: list[Schema], test: Callable[[Validator, Schema], bool]) -> list[bool]:
        """Which schemas a test passes for; the complaints of all when it is none."""
        troubles: list[Diagnostic] = []
        passed = []
        for schema in schemas:
            inner = Validator(self.root)
            passed.append(test(inner, schema))
            troubles += inner.troubles
        if not any(passed):
            self.troubles += troubles
        return passed

    def _any_of(self, value: Value, accept: dict[str, Any], place: Place) -> bool:
        schemas = accept.get("anyOf")
        if not schemas or any(self._alternatives(schemas, lambda inner, one: inner.follows(value, one))):
            return True
        return self.wrong(place, "at least one subschema must match")

    def _one_of(self, value: Value, accept: dict[str, Any], place: Place) -> bool:
        schemas = accept.get("oneOf")
        if not schemas:
            return True
        passed = sum(self._alternatives(schemas, lambda inner, one: inner.follows(value, one)))
        if passed > 1:
            return self.wrong(place, "exactly one subschema may match")
        return passed == 1 or self.wrong(place, "exactly one subschema must match")

    def _constant(self, value: Value, accept: dict[str, Any], place: Place) -> bool:
        allowed = [accept["const"]] if accept.get("const") is not None else None
        good = (
            allowed is None or _equals(value, allowed[0]) or self.wrong(place, f"expected {go_json(accept['const'])}")
        )
        choices = accept.get("enum")
        if choices and not any(_equals(value, choice) for choice in choices):
            one = go_json(choices[0]) if len(choices) == 1 else f"one of {go_json(list(choices))}"
            return self.wrong(place, f"expected {one}")
        return good

    def _kind(self, value: Value, accept: dict[str, Any], place: Place) -> bool:
        content = value.content
        kind = kind_of(content)
        if accept.get("type", kind) != kind:
            return self.wrong(place, f"expected {accept['type']}, got {kind}")
        if isinstance(content, Number):
            return self._number(content, accept, place)
        if isinstance(content, str):
            return self._text(content, accept, place)
        if isinstance(content, list):
            return self._array(content, accept, place)
        return self._object(value, accept, place) if isinstance(content, dict) else True

    def _limits(self, size: Decimal, accept: dict[str, Any], place: Place, limits: _Limits) -> bool:
        good = True
        for name, holds, summary in limits:
            bound = accept.get(name)
            if bound is not None and not holds(size, Decimal(str(bound))):
                good = self.wrong(place, summary.format(bound))
        return good

    def _number(self, number: Number, accept: dict[str, Any], place: Place) -> bool:
        return self._limits(Decimal(str(number)), accept, place, _NUMBER)

    def _text(self, text: str, accept: dict[str, Any], place: Place) -> bool:
        good = self._limits(Decimal(len(text.encode("utf-8", "replace"))), accept, place, _TEXT)
        pattern = accept.get("pattern")
        if pattern and not re.search(pattern, text):
            return self.wrong(place, f"string must match the pattern {go_quote(pattern)}")
        return good

    def _array(self, items: list[Value], accept: dict[str, Any], place: Place) -> bool:
        good = self._limits(Decimal(len(items)), accept, place, _ARRAY)
        first = accept.get("prefixItems", [])
        for index, item in enumerate(items):
            good &= self.follows(item, first[index] if index < len(first) else accept.get("items"))
        return good

    def _object(self, value: Value, accept: dict[str, Any], place: Place) -> bool:
        members = value.members()
        good = self._limits(Decimal(len(members)), accept, place, _OBJECT)
        properties = accept.get("properties", {})
        for key, child in members.items():
            good &= self.follows(child, properties.get(key, accept.get("additionalProperties")))
        missing = [key for key in accept.get("required", ()) if key not in members]
        for key, wanted in accept.get("dependentRequired", {}).items():
            missing += [other for other in wanted if key in members and other not in members]
        return self.wrong(place, f"missing required properties: {', '.join(missing)}") if missing else good

    def implies(self, given: Schema | None, accept: Schema | None, place: Place) -> bool:
        """Whether whatever follows `given` follows `accept`."""
        if accept is None or accept is True or given is None or given is True:
            return accept is not False or given is None or given is True
        if accept is False or given is False:
            return False
        checks = [
            "$ref" not in accept or self.implies(given, self._target(accept), place),
            self._kind_implies(given, accept, place),
        ]
        checks += [
            self._some(schemas, place, lambda inner, one: inner.implies(one, accept, place))
            for schemas in (given.get("anyOf"), given.get("oneOf"))
        ]
        checks += [
            self._some(schemas, place, lambda inner, one: inner.implies(given, one, place))
            for schemas in (accept.get("anyOf"), accept.get("oneOf"))
        ]
        return all(checks)

    def _some(self, schemas: list[Schema] | None, place: Place, test: Callable[[Validator, Schema], bool]) -> bool:
        return (
            not schemas
            or any(self._alternatives(schemas, test))
            or self.wrong(place, "at least one subschema must match")
        )

    def _kind_implies(self, given: dict[str, Any], accept: dict[str, Any], place: Place) -> bool:
        kind = given.get("type")
        good = True
        if kind and accept.get("type", kind) != kind:
            good = self.wrong(place, f"expected {accept['type']}, got {kind}")
        if kind == "array":
            return self._array_implies(given, accept, place) and good
        return self._object_implies(given, accept, place) and good if kind == "object" else good

    def _array_implies(self, given: dict[str, Any], accept: dict[str, Any], place: Place) -> bool:
        given_first, accept_first = given.get("prefixItems", []), accept.get("prefixItems", [])
        good = True
        for index in range(max(len(given_first), len(accept_first))):
            one = given_first[index] if index < len(given_first) else given.get("items")
            other = accept_first[index] if index < len(accept_first) else accept.get("items")
            good &= self.implies(one, other, place.item(index))
        rest = given.get("items")
        return good if rest is None or rest is False else self.implies(rest, accept.get("items"), place) and good

    def _object_implies(self, given: dict[str, Any], accept: dict[str, Any], place: Place) -> bool:
        good = True
        properties = accept.get("properties", {})
        for name, schema in given.get("properties", {}).items():
            other = properties.get(name, accept.get("additionalProperties"))
            good &= self.implies(schema, other, place.member(name))
        extra = given.get("additionalProperties")
        if extra is not None:
            return good if extra is False else self.implies(extra, accept.get("additionalProperties"), place) and good
        has = given.get("required", ())
        wanted = list(accept.get("required", ()))
        wanted += [
            other for key, others in accept.get("dependentRequired", {}).items() if key in has for other in others
        ]
        for name in wanted:
            if name not in has:
                good = self.wrong(place.member(name), "missing required property")
        return good


def _equals(value: Value, constant: Any) -> bool:
    content = value.content
    if isinstance(constant, list):
        return isinstance(content, list) and len(content) == len(constant) and all(map(_equals, content, constant))
    if isinstance(constant, dict):
        if not isinstance(content, dict) or len(content) != len(constant):
            return False
        return all(name in content and _equals(content[name], wanted) for name, wanted in constant.items())
    return type(content) is type(constant) and content == constant


if TYPE_CHECKING:
    _Limits = tuple[tuple[str, Callable[[Decimal, Decimal], bool], str], ...]


def _at_least(size: Decimal, bound: Decimal) -> bool:
    return size >= bound


def _at_most(size: Decimal, bound: Decimal) -> bool:
    return size <= bound


_NUMBER: _Limits = (
    ("multipleOf", lambda size, bound: not bound or size % bound == 0, "expected a multiple of {}"),
    ("minimum", _at_least, "expected a number greater than or equal to {}"),
    ("exclusiveMinimum", lambda size, bound: size > bound, "expected a number greater than {}"),
    # The missing space is the original's.
    ("maximum", _at_most, "expected a number less than or equal to{}"),
    ("exclusiveMaximum", lambda size, bound: size < bound, "expected a number less than {}"),
)
_TEXT: _Limits = (
    ("minLength", _at_least, "expected a string of at least length {}"),
    ("maxLength", _at_most, "expected a string of at most length {}"),
)
_ARRAY: _Limits = (
    ("minItems", _at_least, "expected an array with at least {} items"),
    ("maxItems", _at_most, "expected an array with at most {} items"),
)
_OBJECT: _Limits = (
    ("minProperties", _at_least, "expected an object with at least {} properties"),
    ("maxProperties", _at_most, "expected an object with at most {} properties"),
)
