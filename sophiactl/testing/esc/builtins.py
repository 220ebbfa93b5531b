"""The built-in functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sophiactl.testing.esc import schemas
from sophiactl.testing.esc.expressions import Call
from sophiactl.testing.esc.gotext import from_base64, from_json, go_json, to_base64
from sophiactl.testing.esc.providers import ProviderFailed, Rotator
from sophiactl.testing.esc.rendering import plain
from sophiactl.testing.esc.schemas import STRING, array
from sophiactl.testing.esc.values import Cell, Secretive, Value, as_text, from_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sophiactl.testing.esc.evaluation import Evaluation
    from sophiactl.testing.esc.schemas import Schema


def _combined(cell: Cell, schema: Schema, *inputs: Value) -> Value:
    """A value that is unknown or secret if anything in its inputs is."""
    unknown = any(value.any_unknown() for value in inputs)
    return Value(cell, None, schema, unknown=unknown, secret=any(value.any_secret() for value in inputs))


def _on_text(
    run: Evaluation, cell: Cell, name: str, work: Callable[[str], Any], failure: str, schema: Schema = STRING
) -> Value:
    """A function of one text. `work` raises `ValueError`."""
    source, good = run.typed(cell.arguments[name], STRING)
    if not good:
        return Value.unknown_at(cell, schema)
    value = _combined(cell, schema, source)
    if value.unknown or not isinstance(source.content, str):
        return value
    try:
        made = from_plain(work(source.content), cell, secret=value.secret)
    except ValueError as error:
        run.trouble(cell, f"{failure}: {error}")
        value.unknown = True
        return value
    if schema is not True:
        made.schema = schema
    return made


def _from_base64(run: Evaluation, cell: Cell) -> Value:
    return _on_text(run, cell, "value", from_base64, "decoding base64 string")


def _to_base64(run: Evaluation, cell: Cell) -> Value:
    return _on_text(run, cell, "value", to_base64, "encoding base64 string")


def _from_json(run: Evaluation, cell: Cell) -> Value:
    return _on_text(run, cell, "value", from_json, "decoding JSON string", schema=True)


def _to_json(run: Evaluation, cell: Cell) -> Value:
    source = run.evaluate(cell.arguments["value"])
    value = _combined(cell, STRING, source)
    if not value.unknown:
        value.content = go_json(plain(source, reveal=True, raw=False))
    return value


def _to_string(run: Evaluation, cell: Cell) -> Value:
    text, unknown, secret = as_text(run.evaluate(cell.arguments["value"]))
    return Value(cell, None if unknown else text, STRING, unknown=unknown, secret=secret)


def _join(run: Evaluation, cell: Cell) -> Value:
    delimiter, good = run.typed(cell.arguments["delimiter"], STRING)
    values, all_good = run.typed(cell.arguments["values"], array(STRING))
    if not (good and all_good):
        return Value.unknown_at(cell, STRING)
    value = _combined(cell, STRING, delimiter, values)
    if not value.unknown and isinstance(values.content, list):
        value.content = str(delimiter.content).join(str(item.content) for item in values.content)
    return value


def _split(run: Evaluation, cell: Cell) -> Value:
    delimiter, good = run.typed(cell.arguments["delimiter"], STRING)
    text, text_good = run.typed(cell.arguments["text"], STRING)
    if not (good and text_good):
        return Value.unknown_at(cell, array(STRING))
    value = _combined(cell, array(STRING), delimiter, text)
    if value.unknown:
        return value
    whole, between = str(text.content), str(delimiter.content)
    return from_plain(whole.split(between) if between else list(whole), cell, secret=value.secret)


def _concat(run: Evaluation, cell: Cell) -> Value:
    schema = array(array(items=True))
    lists, good = run.typed(cell.arguments["arrays"], schema)
    value = _combined(cell, array(items=True), lists)
    if not good or value.unknown or not isinstance(lists.content, list):
        return Value.unknown_at(cell, array(items=True), secret=value.secret and good)
    items = [item.copy() for one in lists.content if isinstance(one.content, list) for item in one.content]
    value.content, value.schema = items, schemas.listed([item.schema for item in items])
    return value


def _final(run: Evaluation, cell: Cell) -> Value:
    value = run.evaluate(cell.arguments["value"]).copy()
    value.final = True
    return value


def _secret(run: Evaluation, cell: Cell) -> Value:
    if "plaintext" in cell.arguments:
        return run.evaluate(cell.arguments["plaintext"], STRING)
    value = Value.unknown_at(cell, STRING, secret=True)
    sealed = run.evaluate(cell.arguments["ciphertext"]).content
    try:
        text = run.world.decrypt(str(sealed))
    except ValueError as error:
        run.trouble(cell, f"invalid ciphertext: {error}")
        return value
    if run.decrypts:
        value.content, value.unknown = text, False
    return value


def _open(run: Evaluation, cell: Cell) -> Value:
    return _opened(run, cell, run.world.provider, {})


def _rotate(run: Evaluation, cell: Cell) -> Value:
    return _opened(run, cell, run.world.rotator, {"state": "state"})


def _opened(run: Evaluation, cell: Cell, find: Callable[[str], Any], more: Mapping[str, str]) -> Value:
    """Call a provider with its inputs, and with the state if it is a rotator; when checking, only look at them."""
    name = cell.expr.provider if isinstance(cell.expr, Call) else None
    if name is None:
        return Value.unknown_at(cell)
    try:
        provider = find(name)
    except LookupError as error:
        run.trouble(cell, str(error.args[0]))
        provider = None
    cell.schema = provider.output if provider is not None else True
    accepted: dict[str, Schema] = {"inputs": provider.inputs if provider is not None else True}
    if isinstance(provider, Rotator):
        accepted["state"] = schemas.one_of(provider.state, schemas.NULL)
    given, ready = [], provider is not None and not run.checking
    for argument in ("inputs", *more):
        value, good = run.typed(cell.arguments[argument], accepted.get(argument, True))
        # What only rotation uses is not worked out here, and opening does without it.
        unknown = value.any_unknown(tolerate_rotate_only=argument == "inputs" and bool(more))
        ready = ready and good and not unknown
        given.append(value)
    if not ready or (more and given[-1].content is None):
        return Value.unknown_at(cell, cell.schema)
    try:
        output = provider.opens(*(_as_data(value, top=True) for value in given))
    except ProviderFailed as error:
        run.trouble(cell, str(error))
        return Value.unknown_at(cell, cell.schema)
    return from_plain(output, cell)


def _as_data(value: Value, *, top: bool = False) -> Any:
    """A value as providers get it: plain, and wrapped where it is secret; the whole is never wrapped."""
    if value.secret and not (top and isinstance(value.content, dict)):
        return Secretive(plain(value, reveal=True, raw=False))
    if isinstance(value.content, list):
        return [_as_data(item) for item in value.content]
    if isinstance(value.content, dict):
        return {name: _as_data(child) for name, child in value.members().items()}
    return value.content


def _validate(run: Evaluation, cell: Cell) -> Value:
    wanted, good = run.typed(cell.arguments["schema"], schemas.SCHEMA_OF_SCHEMAS)
    if not good or wanted.any_unknown():
        run.evaluate(cell.arguments["value"])
        return Value.unknown_at(cell)
    schema: Schema = plain(wanted, reveal=True, raw=False)
    try:
        value, good = run.typed(cell.arguments["value"], schema)
    except (ValueError, ArithmeticError, re.error) as error:
        run.trouble(cell, f"invalid schema: {error}")
        return Value.unknown_at(cell)
    return value.copy() if good else Value.unknown_at(cell, schema)


BUILTINS: dict[str, Callable[[Evaluation, Cell], Value]] = {
    "concat": _concat,
    "final": _final,
    "fromBase64": _from_base64,
    "fromJSON": _from_json,
    "join": _join,
    "open": _open,
    "rotate": _rotate,
    "secret": _secret,
    "split": _split,
    "toBase64": _to_base64,
    "toJSON": _to_json,
    "toString": _to_string,
    "validate": _validate,
}
"""What each function does; the names are without `fn::`."""
