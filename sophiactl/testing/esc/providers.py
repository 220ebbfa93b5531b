"""Providers that answer in process, for `fn::open` and `fn::rotate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from sophiactl.testing.esc import schemas
from sophiactl.testing.esc.number import Number
from sophiactl.testing.esc.schemas import STRING, Schema, array, constant, listed, one_of, record
from sophiactl.testing.esc.values import Secretive


class ProviderFailed(Exception):
    """A provider did not open; the message is shown where it was called."""


class Provider(msgspec.Struct, frozen=True):
    """What `fn::open::NAME` calls, with the schemas that its inputs and output follow.

    `opens` takes and gives plain data: dictionaries, lists, text, bools, None, `Number`; what is secret is wrapped in
    `Secretive`. It raises `ProviderFailed`.
    """

    opens: Callable[[Any], Any]
    inputs: Schema = True
    output: Schema = True


class Rotator(msgspec.Struct, frozen=True):
    """What `fn::rotate::NAME` opens with the state that it has."""

    opens: Callable[[Any, Any], Any]
    inputs: Schema = True
    state: Schema = True
    output: Schema = True


def _fail(inputs: Any) -> Any:
    why = inputs["why"]
    raise ProviderFailed(str(why.plain if isinstance(why, Secretive) else why))


def _same(inputs: Any) -> Any:
    return inputs


def _state(_: Any, state: Any) -> Any:
    return state


_NUMBER: dict[str, Any] = {"type": "number"}
_BOOLEAN: dict[str, Any] = {"type": "boolean"}
_ONE, _TWO, _THREE = Number(1), Number(2), Number(3)
_PROPERTIES: dict[str, Schema] = {
    "null": schemas.NULL,
    "boolean": _BOOLEAN,
    "false": constant("boolean", value=False),
    "true": constant("boolean", value=True),
    "number": _NUMBER,
    "pi": constant("number", Number("3.14")),
    "string": STRING,
    "hello": constant("string", "hello"),
    "array": array(items=True),
    "tuple": listed([constant("string", "hello"), constant("string", "world")]),
    "map": {"type": "object", "additionalProperties": True},
    "record": record({"foo": STRING}),
    "anyOf": {"anyOf": [STRING, _NUMBER]},
    "oneOf": one_of(STRING, _NUMBER),
    "ref": {"$ref": "#/$defs/defRecord"},
    "const-array": {"type": "array", "const": ["hello", Number(42)]},
    "const-object": {"type": "object", "const": {"hello": "world"}},
    "enum": {**STRING, "enum": ["foo", "bar"]},
    "never": False,
    "always": True,
    "double": listed([STRING, _NUMBER]),
    "triple": listed([STRING, _NUMBER, _BOOLEAN]),
    "dependentReq": {
        "type": "object",
        "properties": {"foo": STRING, "bar": _NUMBER},
        "dependentRequired": {"foo": ["bar"]},
    },
    "multiple": {**_NUMBER, "multipleOf": _TWO},
    "minimum": {**_NUMBER, "minimum": _ONE},
    "exclusiveMinimum": {**_NUMBER, "exclusiveMinimum": _ONE},
    "maximum": {**_NUMBER, "maximum": _ONE},
    "exclusiveMaximum": {**_NUMBER, "exclusiveMaximum": _ONE},
    "minLength": {**STRING, "minLength": _ONE},
    "maxLength": {**STRING, "maxLength": _ONE},
    "pattern": {**STRING, "pattern": "^foo[0-9]+$"},
    "minItems": {"type": "array", "minItems": _THREE},
    "maxItems": {"type": "array", "maxItems": _TWO},
    "minProperties": {"type": "object", "minProperties": _ONE},
    "maxProperties": {"type": "object", "maxProperties": _ONE},
}
_TYPED: dict[str, Any] = {
    "type": "object",
    "$defs": {"defRecord": record({"baz": constant("string", "qux")})},
    "properties": _PROPERTIES,
}
_PAIR = record({"a": STRING, "b": STRING})
_CURRENT = record({"current": STRING, "previous": STRING}, required=["current"])
_NEXT = record({"next": {**STRING, "rotateOnly": True}})

PROVIDERS: dict[str, Provider] = {
    "test": Provider(_same),
    "schema": Provider(_same, _TYPED, _TYPED),
    "error": Provider(_fail, record({"why": STRING})),
}
"""`test` gives its inputs back, `schema` too when they follow one of every kind of schema, `error` fails."""

ROTATORS: dict[str, Rotator] = {
    "swap": Rotator(_state, state=_PAIR, output=_PAIR),
    "echo": Rotator(_state, _NEXT, _CURRENT, _CURRENT),
}
