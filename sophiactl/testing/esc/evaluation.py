"""Definitions -> values: imports, merging, references, built-in functions.

Every expression is a cell that is evaluated once, when somebody asks for it. Properties are evaluated in the order of
their names, so that complaints about cycles come out the same every time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.testing.esc import schemas
from sophiactl.testing.esc.access import Access
from sophiactl.testing.esc.builtins import BUILTINS
from sophiactl.testing.esc.declaration import Environment, Import, load
from sophiactl.testing.esc.diagnostics import WARNING, Diagnostic, Range, has_errors, join_key
from sophiactl.testing.esc.expressions import Array, Call, Expr, Interpolation, Literal, Object, Symbol
from sophiactl.testing.esc.gotext import go_quote
from sophiactl.testing.esc.validation import Validator
from sophiactl.testing.esc.values import Cell, State, Value, as_text, from_plain, kind_of

if TYPE_CHECKING:
    from sophiactl.testing.esc.document import Node
    from sophiactl.testing.esc.schemas import Schema
    from sophiactl.testing.esc.world import World

ANONYMOUS = "<yaml>"
"""The name of a definition that is not stored; what it imports counts as a root of its own."""
RESERVED = frozenset({"imports", "context", "environments"})


class Evaluated(msgspec.Struct, frozen=True):
    """An environment's values, `context` as its references see it, and the schema of the values."""

    properties: Value
    context: Value
    schema: schemas.Schema


def check_environment(
    name: str, environment: Environment | None, world: World, *, show_secrets: bool = False
) -> tuple[Evaluated | None, list[Diagnostic]]:
    """Evaluate without opening providers: what they would give is unknown, and ciphertexts stay closed.

    None, without complaints, for an environment with neither imports nor values.
    """
    return _evaluated(name, environment, world, checking=True, show_secrets=show_secrets)


def open_environment(
    name: str, environment: Environment | None, world: World
) -> tuple[Evaluated | None, list[Diagnostic]]:
    """Evaluate with providers opened and ciphertexts decrypted."""
    return _evaluated(name, environment, world, checking=False, show_secrets=True)


def _evaluated(
    name: str, environment: Environment | None, world: World, *, checking: bool, show_secrets: bool
) -> tuple[Evaluated | None, list[Diagnostic]]:
    if environment is None or not (environment.imports or environment.values):
        return None, []
    evaluation = Evaluation(name, environment, world, _Run(checking, show_secrets))
    try:
        root = evaluation.run(is_root=True)
    except RecursionError:
        return None, [*evaluation.troubles, Diagnostic("the environment refers to itself too deeply")]
    return Evaluated(root, evaluation.context, root.schema), evaluation.troubles


class _Imported:
    """An environment of the closure of imports: each is evaluated once. No value yet: it is being evaluated."""

    def __init__(self) -> None:
        self.value: Value | None = None


class _Run:
    """What all environments of one evaluation share."""

    def __init__(self, checking: bool, show_secrets: bool) -> None:
        self.checking = checking
        self.decrypts = show_secrets or not checking
        self.imported: dict[str, _Imported] = {}


class Evaluation(Access):
    """The evaluation of one environment."""

    def __init__(
        self, name: str, environment: Environment, world: World, run: _Run, root_name: str = ANONYMOUS
    ) -> None:
        self.troubles: list[Diagnostic] = []
        self.name = name
        self.world = world
        self.checking = run.checking
        self.decrypts = run.decrypts
        self._environment = environment
        self._run = run
        self._is_root = False
        self._base: Value | None = None
        self.root = Cell()
        self._root_name = name if root_name == ANONYMOUS else root_name
        names = {"currentEnvironment": {"name": name}, "rootEnvironment": {"name": self._root_name}}
        self.context = from_plain({**world.context, **names}, Cell())
        self.imports = Value(Cell(), {})

    def run(self, *, is_root: bool = False) -> Value:
        """The value of the whole."""
        self._is_root = is_root
        self._import_all()
        self.root = Cell(path=f"<{self.name}>", base=self._base)
        self.root.properties = self._declared(self._environment.values, "", self._base, RESERVED)
        return self.evaluate(self.root)

    def trouble(self, cell: Cell, summary: str, severity: int = 1) -> None:
        """Note something wrong at an expression."""
        self.complain(cell.expr.node, summary, severity)

    def complain(self, node: Node, summary: str, severity: int = 1, range_: Range | None = None) -> None:
        """Note something wrong at a node, or at a part of it."""
        place = range_ or (node.range if node.range.begin.line else None)
        self.troubles.append(Diagnostic(summary, place, node.path, severity))

    # Imports

    def _import_all(self) -> None:
        self._run.imported[self.name] = _Imported()
        found: dict[str, Value] = {}
        for declared in self._environment.imports:
            value = self._import(declared)
            if value is None or declared.name is None:
                continue
            found[declared.name] = value
            if declared.merge:
                self._base = self._lay(value.copy(), self._base)
        self.imports = Value(Cell(), dict(found), schemas.record({name: one.schema for name, one in found.items()}))

    def _import(self, declared: Import) -> Value | None:
        if declared.name is None or declared.name_node is None:
            return None
        known = self._run.imported.get(declared.name)
        if known is not None:
            if known.value is None:
                self.complain(declared.node, f"cyclic import of {declared.name}")
            return known.value
        if declared.rotate_only and not (self.checking and self._is_root):
            unknown = Value.unknown_at(Cell())
            unknown.rotate_only = True
            return unknown
        return self.import_named(declared.name, declared.name_node)

    def import_named(self, name: str, node: Node) -> Value | None:
        """The value of an environment that is not known yet; what is wrong with it is noted."""
        try:
            shown, source = self.world.environment(name)
        except LookupError as error:
            self.complain(node, str(error.args[0]))
            return None
        environment, troubles = load(shown, source)
        self.troubles += troubles
        if environment is None or has_errors(troubles):
            return None
        inner = Evaluation(name, environment, self.world, self._run, self._root_name)
        value = inner.run()
        self.troubles += inner.troubles
        self._run.imported[name].value = value
        return value

    # Expressions

    def _declared(
        self,
        entries: tuple[tuple[Node, Expr], ...],
        path: str,
        base: Value | None,
        reserved: frozenset[str] = frozenset(),
    ) -> dict[str, Cell]:
        cells: dict[str, Cell] = {}
        for key_node, expr in entries:
            key = str(key_node.value)
            if key in reserved:
                self.complain(key_node, f"{go_quote(key)} is a reserved key")
            elif key in cells:
                self.complain(key_node, f"duplicate key {go_quote(key)}")
            else:
                cells[key] = self._cell(expr, join_key(path, key), base.member(key) if base is not None else None)
        return cells

    def _cell(self, expr: Expr | None, path: str = "", base: Value | None = None) -> Cell:
        if expr is None:
            return Cell(path=path, base=base, missing=True)
        cell = Cell(expr, path, base)
        if isinstance(expr, Array):
            cell.items = [self._cell(item, f"{path}[{index}]") for index, item in enumerate(expr.items)]
        elif isinstance(expr, Object):
            cell.properties = self._declared(expr.entries, path, base)
        elif isinstance(expr, Call):
            cell.arguments = {name: self._cell(argument) for name, argument in expr.arguments.items()}
            for name in ("plaintext", "ciphertext"):
                if name in cell.arguments:
                    cell.arguments[name].secret = True
        return cell

    def evaluate(self, cell: Cell, accept: Schema = True) -> Value:
        """The value of an expression. `accept` is the schema that it will have to follow."""
        if cell.state is State.DONE and cell.value is not None:
            return cell.value
        if cell.state is State.EVALUATING:
            self.trouble(cell, f"cyclic reference to {cell.path}")
            return Value.unknown_at(cell)
        cell.state = State.EVALUATING
        value = self._computed(cell, accept)
        if cell.secret:
            value.secret = True
        value = self._lay(value, cell.base)
        cell.schema, cell.value, cell.state = value.schema, value, State.DONE
        return value

    def _lay(self, value: Value, base: Value | None) -> Value:
        refused: list[Value] = []
        value = value.lay_over(base, refused)
        for other in refused:
            self.trouble(other.cell, "cannot override final value", WARNING)
        return value

    def _computed(self, cell: Cell, accept: Schema) -> Value:
        expr = cell.expr
        if cell.missing:
            return Value.unknown_at(cell)
        if cell.properties is not None:
            return self._object(cell, cell.properties, accept)
        if cell.items is not None:
            items = [self.evaluate(item, schemas.item(accept, index)) for index, item in enumerate(cell.items)]
            return Value(cell, list(items), schemas.listed([item.schema for item in items]))
        if isinstance(expr, Literal):
            kind = kind_of(expr.value)
            # The schema of a secret must not tell it.
            plain = expr.value is None or cell.secret
            return Value(cell, expr.value, {"type": kind} if plain else schemas.constant(kind, expr.value))
        if isinstance(expr, Interpolation):
            return self._interpolated(cell, expr, accept)
        if isinstance(expr, Symbol):
            return self.referred(cell, expr.access, accept)
        return BUILTINS[expr.function](self, cell) if isinstance(expr, Call) else Value.unknown_at(cell)

    def _object(self, cell: Cell, properties: dict[str, Cell], accept: Schema) -> Value:
        members = {key: self.evaluate(properties[key], schemas.member(accept, key)) for key in sorted(properties)}
        return Value(cell, members, schemas.record({key: member.schema for key, member in members.items()}))

    def _interpolated(self, cell: Cell, expr: Interpolation, accept: Schema) -> Value:
        value = Value(cell, None, schemas.STRING)
        pieces: list[str] = []
        tolerable = True
        for part in expr.parts:
            pieces.append(part.text)
            if part.access is None:
                continue
            found = self.referred(cell, part.access, accept if schemas.is_rotate_only(accept) else True)
            text, unknown, secret = as_text(found)
            pieces.append(text)
            value.unknown, value.secret = value.unknown or unknown, value.secret or secret
            tolerable = tolerable and (found.rotate_only or not unknown)
        value.rotate_only = value.unknown and tolerable
        value.content = "[unknown]" if value.unknown else "".join(pieces)
        return value

    def typed(self, cell: Cell, accept: Schema) -> tuple[Value, bool]:
        """The value of an expression, and whether it follows a schema; what does not is noted."""
        value = self.evaluate(cell, accept)
        validator = Validator(accept)
        good = validator.follows(value, accept)
        self.troubles += validator.troubles
        return value, good

    def environment_reference(self, node: Node, name: str, accept: Schema) -> Value | None:
        """What `${environments.PROJECT.ENVIRONMENT}` stands for."""
        return self._import(Import(node, name, node, merge=False, rotate_only=schemas.is_rotate_only(accept)))
