"""JSON schemas as plain data: True takes anything, False nothing, the rest is a dictionary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Schema = bool | dict[str, Any]

STRING: dict[str, Any] = {"type": "string"}
NULL: dict[str, Any] = {"type": "null"}


def array(items: Schema) -> dict[str, Any]:
    """A list whose items all follow one schema."""
    return {"type": "array", "items": items}


def listed(items: Sequence[Schema]) -> dict[str, Any]:
    """A list of exactly these items."""
    return {"type": "array", "prefixItems": list(items), "items": False}


def record(properties: Mapping[str, Schema], required: Sequence[str] | None = None) -> dict[str, Any]:
    """An object that has these properties, all of them required unless said otherwise."""
    wanted = sorted(properties) if required is None else list(required)
    return {"type": "object", "properties": dict(properties), "required": wanted}


def one_of(*schemas: Schema) -> dict[str, Any]:
    """Exactly one of several."""
    return {"oneOf": list(schemas)}


def constant(kind: str, value: Any) -> dict[str, Any]:
    """One value only."""
    return {"type": kind, "const": value}


def is_rotate_only(schema: Schema) -> bool:
    """Whether values are used for rotation alone."""
    return isinstance(schema, dict) and schema.get("rotateOnly") is True


def item(schema: Schema, index: int) -> Schema:
    """The schema of an item of a list that is not known yet."""
    return True if schema is True else _inner(schema, lambda one: _item(one, index))


def member(schema: Schema, name: str) -> Schema:
    """The schema of a property of an object that is not known yet."""
    return True if schema is True else _inner(schema, lambda one: _member(one, name))


def _inner(schema: Schema, step: Callable[[dict[str, Any]], Schema]) -> Schema:
    """What `step` finds in a schema and in its alternatives, the impossible left out."""
    if not isinstance(schema, dict):
        return schema
    alternatives = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    found = [True if one is True else _inner(one, step) for one in alternatives]
    found = [one for one in (*found, step(schema)) if one is not False]
    if not found:
        return False
    return found[0] if len(found) == 1 else {"oneOf": found}


def _item(schema: dict[str, Any], index: int) -> Schema:
    if schema.get("type") != "array":
        return False
    first: list[Schema] = schema.get("prefixItems", [])
    rest: Schema = schema.get("items", False)
    return first[index] if index < len(first) else rest


def _member(schema: dict[str, Any], name: str) -> Schema:
    if schema.get("type") != "object":
        return False
    properties: dict[str, Schema] = schema.get("properties", {})
    others: Schema = schema.get("additionalProperties", False)
    return properties.get(name, others)


def merged(base: Schema | None, top: Schema) -> Schema:
    """The schema of an object laid over another."""
    if not (isinstance(base, dict) and isinstance(top, dict)):
        return top
    if not base.get("type") == top.get("type") == "object":
        return top
    properties = dict(base.get("properties", {}))
    for name, schema in top.get("properties", {}).items():
        properties[name] = merged(properties.get(name), schema)
    joined = record(properties)
    extra = [one["additionalProperties"] for one in (base, top) if "additionalProperties" in one]
    if extra:
        joined["additionalProperties"] = extra[0] if len(extra) == 1 else True
    return joined


_ANY_SCHEMA = {"$ref": "#/$defs/schema"}
_NUMBERS = (
    *("multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength"),
    *("maxItems", "minItems", "maxProperties", "minProperties"),
)
_MEMBERS: dict[str, Schema] = {
    **{name: {"type": "number"} for name in _NUMBERS},
    **dict.fromkeys(("$ref", "pattern", "title", "description"), STRING),
    **{name: array(_ANY_SCHEMA) for name in ("anyOf", "oneOf", "prefixItems")},
    **dict.fromkeys(("items", "additionalProperties"), _ANY_SCHEMA),
    **{name: {"type": "object", "additionalProperties": _ANY_SCHEMA} for name in ("$defs", "properties")},
    **{name: {"type": "array"} for name in ("enum", "examples")},
    **{name: {"type": "boolean"} for name in ("uniqueItems", "deprecated", "secret")},
    "type": {**STRING, "enum": ["string", "number", "boolean", "array", "object", "null"]},
    "required": array(STRING),
    "dependentRequired": {"type": "object", "additionalProperties": array(STRING)},
}
SCHEMA_OF_SCHEMAS: dict[str, Any] = {
    "$defs": {"schema": {"anyOf": [{"type": "boolean"}, {"type": "object", "properties": _MEMBERS}]}},
    **_ANY_SCHEMA,
}
"""What the schema given to `fn::validate` has to follow."""
