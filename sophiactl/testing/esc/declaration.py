"""A definition: what it imports, and its values."""

from __future__ import annotations

import msgspec

from sophiactl.testing.esc.diagnostics import Diagnostic, has_errors
from sophiactl.testing.esc.document import Node, read_document
from sophiactl.testing.esc.expressions import Expr, parse
from sophiactl.testing.esc.gotext import go_quote

# What clients make variables, files and stack configuration of.
_SECTIONS = frozenset({"environmentVariables", "files", "pulumiConfig"})


class Import(msgspec.Struct, frozen=True):
    """One line of `imports`; `name` is None where it could not be read."""

    node: Node
    name: str | None = None
    name_node: Node | None = None
    merge: bool = True
    rotate_only: bool = False


class Environment(msgspec.Struct, frozen=True):
    """A definition that was read; it may still lack what could not be."""

    imports: tuple[Import, ...] = ()
    values: tuple[tuple[Node, Expr], ...] = ()


def load(name: str, source: str) -> tuple[Environment | None, list[Diagnostic]]:
    """A definition, and what is wrong with it. None when it is no YAML; `name` stands in places."""
    root, troubles = read_document(name, source)
    if root is None:
        return (None if has_errors(troubles) else Environment()), troubles
    if root.entries is None:
        return Environment(), [Diagnostic("environment must be an object", root.range, root.path)]
    imports: tuple[Import, ...] = ()
    values: tuple[tuple[Node, Expr], ...] = ()
    for key, node in root.entries:
        section = str(key.value).lower()
        if section == "imports":
            imports = _imports(node, troubles)
        elif section == "values":
            values = _values(node, troubles)
        elif section == "description" and not isinstance(node.value, str):
            troubles.append(Diagnostic("description must be a string", node.range, node.path))
    return Environment(imports, values), troubles


def _values(node: Node, troubles: list[Diagnostic]) -> tuple[tuple[Node, Expr], ...]:
    if node.entries is None:
        troubles.append(Diagnostic("values must be an object", node.range, node.path))
        return ()
    values = []
    for key, value in node.entries:
        if str(key.value).startswith("fn::"):
            summary = f"builtin function call {go_quote(str(key.value))} not allowed at the top level"
            troubles.append(Diagnostic(summary, key.range, key.path))
        if key.value in _SECTIONS and value.value is None and value.items is None and value.entries is None:
            troubles.append(Diagnostic(f"{key.value} must be an object", node.range, node.path))
        values.append((key, parse(value, troubles)))
    return tuple(values)


def _imports(node: Node, troubles: list[Diagnostic]) -> tuple[Import, ...]:
    if node.items is None:
        troubles.append(Diagnostic("imports must be a list", node.range, node.path))
        return ()
    return tuple(_import(item, troubles) for item in node.items)


def _import(node: Node, troubles: list[Diagnostic]) -> Import:
    if isinstance(node.value, str):
        return Import(node, node.value, node)
    if node.entries is None:
        troubles.append(Diagnostic("import must be a string or an object", node.range, node.path))
        return Import(node)
    if len(node.entries) != 1:
        troubles.append(Diagnostic("import must have a single key", node.range, node.path))
        return Import(node)
    key, options = node.entries[0]
    if options.entries is None:
        troubles.append(Diagnostic("import must be an object", options.range, options.path))
        return Import(node, str(key.value), key)
    merge = _flag(options, "merge", troubles)
    rotate_only = _flag(options, "rotateOnly", troubles)
    if rotate_only is not None and merge:
        troubles.append(Diagnostic("rotateOnly: true implies merge: false", node.range, node.path))
    merged = rotate_only is None and merge is not False
    return Import(node, str(key.value), key, merged, rotate_only or False)


def _flag(options: Node, name: str, troubles: list[Diagnostic]) -> bool | None:
    for key, node in options.entries or ():
        if str(key.value).lower() == name.lower():
            if isinstance(node.value, bool):
                return node.value
            troubles.append(Diagnostic(f"{name} must be a boolean value", node.range, node.path))
    return None
