"""Calls of built-in functions as they are written: which arguments each wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.testing.esc.diagnostics import Diagnostic
from sophiactl.testing.esc.document import Node
from sophiactl.testing.esc.expressions import Array, Call, Expr, Literal, Object, parse
from sophiactl.testing.esc.gotext import go_quote

if TYPE_CHECKING:
    from collections.abc import Callable

_ONE_ARGUMENT = frozenset({"fromJSON", "fromBase64", "toJSON", "toBase64", "toString", "final"})
_PAIRS = {"join": ("delimiter", "values"), "split": ("delimiter", "text")}


def parse_call(node: Node, troubles: list[Diagnostic]) -> Expr | None:
    """The call that an object stands for; None when it is an object like any other."""
    entries = node.entries or ()
    if len(entries) != 1:
        for key, _ in entries:
            if str(key.value).startswith("fn::"):
                summary = (
                    f"illegal call to builtin function: {go_quote(str(key.value))} "
                    "must be the only key within its containing object"
                )
                troubles.append(Diagnostic(summary, node.range, node.path))
        return None
    key, value = entries[0]
    name = str(key.value)
    function, _, provider = name.removeprefix("fn::").partition("::")
    parser = _parser(function, short=bool(provider) or name.endswith("::")) if name.startswith("fn::") else None
    if parser is None:
        if name.lower().startswith("fn::"):
            troubles.append(Diagnostic("'fn::' is a reserved prefix", key.range, node.path))
        return None
    argument = parse(value, troubles)
    return parser(node, function, argument, provider, troubles)


if TYPE_CHECKING:
    _Parser = Callable[[Node, str, Expr, str, list[Diagnostic]], Call]


def _parser(function: str, *, short: bool) -> _Parser | None:
    if short:
        return {"open": _open_short, "rotate": _rotate}.get(function)
    if function in _ONE_ARGUMENT:
        return _single
    if function in _PAIRS:
        return _pair
    return {"concat": _concat, "open": _open, "rotate": _rotate, "secret": _secret, "validate": _validate}.get(function)


def _error(troubles: list[Diagnostic], expr: Expr, summary: str) -> None:
    troubles.append(Diagnostic(summary, expr.node.range, expr.node.path))


def _single(node: Node, function: str, argument: Expr, _: str, __: list[Diagnostic]) -> Call:
    return Call(node, function, {"value": argument})


def _pair(node: Node, function: str, argument: Expr, _: str, troubles: list[Diagnostic]) -> Call:
    first, second = _PAIRS[function]
    if isinstance(argument, Array) and len(argument.items) == 2:
        return Call(node, function, {first: argument.items[0], second: argument.items[1]})
    _error(troubles, argument, f"the argument to fn::{function} must be a two-valued list")
    return Call(node, function, {first: None, second: None})


def _concat(node: Node, function: str, argument: Expr, _: str, troubles: list[Diagnostic]) -> Call:
    if not isinstance(argument, Array):
        _error(troubles, argument, "the argument to fn::concat must be an array of arrays")
    return Call(node, function, {"arrays": argument})


def _secret(node: Node, function: str, argument: Expr, _: str, troubles: list[Diagnostic]) -> Call:
    if isinstance(argument, Object) and len(argument.entries) == 1:
        key, inner = argument.entries[0]
        if key.value == "ciphertext" and isinstance(inner, Literal) and isinstance(inner.value, str):
            return Call(node, function, {"ciphertext": inner})
    if not isinstance(argument, Literal) or not isinstance(argument.value, str):
        _error(troubles, argument, "secret values must be string literals")
        argument = Literal(argument.node, "")
    return Call(node, function, {"plaintext": argument})


def _members(argument: Object) -> dict[str, Expr]:
    return {str(key.value): inner for key, inner in argument.entries}


def _open(node: Node, function: str, argument: Expr, _: str, troubles: list[Diagnostic]) -> Call:
    if not isinstance(argument, Object):
        _error(troubles, argument, "the argument to fn::open must be an object containing 'provider' and 'inputs'")
        return Call(node, function, {"inputs": None})
    members = _members(argument)
    name = _provider_name(argument, members.get("provider"), troubles)
    if "inputs" not in members:
        _error(troubles, argument, "missing provider inputs ('inputs')")
    return Call(node, function, {"inputs": members.get("inputs")}, name)


def _open_short(node: Node, function: str, argument: Expr, provider: str, _: list[Diagnostic]) -> Call:
    return Call(node, function, {"inputs": argument}, provider)


def _provider_name(argument: Expr, name: Expr | None, troubles: list[Diagnostic]) -> str | None:
    if isinstance(name, Literal) and isinstance(name.value, str):
        return name.value
    if name is None:
        _error(troubles, argument, "missing provider name ('provider')")
    else:
        _error(troubles, name, "provider name must be a string literal")
    return None


def _rotate(node: Node, function: str, argument: Expr, provider: str, troubles: list[Diagnostic]) -> Call:
    if not isinstance(argument, Object):
        wanted = "'inputs' and 'state'" if provider else "'provider', 'inputs' and 'state'"
        _error(troubles, argument, f"the argument to fn::rotate must be an object containing {wanted}")
        return Call(node, function, {"inputs": None, "state": None})
    members = _members(argument)
    name = provider or _provider_name(argument, members.get("provider"), troubles)
    state = members.get("state")
    if "inputs" not in members:
        _error(troubles, argument, "missing provider inputs ('inputs')")
    if state is None:
        state = Literal(Node(argument.node.range, argument.node.path))
    elif not isinstance(state, Object):
        _error(troubles, state, "rotation state must be an object literal")
    return Call(node, function, {"inputs": members.get("inputs"), "state": state}, name)


def _validate(node: Node, function: str, argument: Expr, _: str, troubles: list[Diagnostic]) -> Call:
    members: dict[str, Expr] = {}
    if isinstance(argument, Object):
        members = _members(argument)
        for name in ("schema", "value"):
            if name not in members:
                _error(troubles, argument, f"missing required property '{name}'")
    else:
        summary = "the argument to fn::validate must be an object containing 'schema' and 'value'"
        _error(troubles, argument, summary)
    return Call(node, function, {"schema": members.get("schema"), "value": members.get("value")})
