"""An opened environment, and the variables and files that programs get from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.secrets.base import Place
from sophiactl.secrets.esc.failures import Diagnostic
from sophiactl.secrets.esc.naming import EnvironmentName
from sophiactl.secrets.esc.property_path import parse_path
from sophiactl.secrets.esc.values import EscValue, Position

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES, FILES = "environmentVariables", "files"
Why = Literal["null", "unknown", "nested", "no object"]
_ANONYMOUS = "<yaml>"


class Variable(msgspec.Struct, frozen=True):
    """One name that programs get: its value, or for a file the content that a path leads to."""

    name: str
    value: EscValue
    place: Place
    base: Place | None = None
    is_file: bool = False


class Unusable(msgspec.Struct, frozen=True):
    """A name that programs do not get, and why."""

    name: str
    why: Why
    place: Place
    section: str = VARIABLES


class Opened(msgspec.Struct, frozen=True):
    """What one environment holds, as one object; `warnings` are what ESC said when it opened it."""

    name: EnvironmentName
    properties: EscValue
    warnings: tuple[Diagnostic, ...] = ()

    def at(self, path: str) -> EscValue:
        """The value at a path such as `aws.keys["a b"][0]`. Raises `BadPath`, `NotFound`."""
        return self.properties.at(parse_path(path))

    def leaves(self) -> Iterator[tuple[str, EscValue]]:
        """Every single value with its path."""
        return self.properties.leaves()

    def variables(self) -> dict[str, Variable]:
        """All names that programs get; a file takes the place of a variable of the same name, as in the CLI."""
        return {each.name: each for section in (VARIABLES, FILES) for each in self._projected(section)}

    def unusable(self) -> tuple[Unusable, ...]:
        """What stands among variables and files and is nothing that a program can get."""
        return tuple(each for section in (VARIABLES, FILES) for each in self._left_out(section))

    def place(self, position: Position | None) -> Place:
        """Where something stands: in this environment, or in the one that it imports it from."""
        if position is None:
            return Place("esc", f"esc {self.name}", str(self.name.path))
        file = self._whole(position.environment)
        where = f"esc {self.name}" if file == self.name.path else f"esc {file}"
        return Place("esc", where, file, position.line, position.column)

    def _whole(self, environment: str) -> str:
        """The whole name of an environment that a trace names, as far as it can be told."""
        own = self.name
        if environment in {_ANONYMOUS, own.name, f"{own.project}/{own.name}", own.path}:
            return own.path
        return f"{own.organization}/{environment}" if environment.count("/") == 1 else environment

    def _projected(self, section: str) -> Iterator[Variable]:
        for name, value in self._section(section).fields.items():
            if value.text is not None:
                base = None if value.base is None else self.place(value.base.position)
                yield Variable(name, value, self.place(value.position), base, is_file=section == FILES)

    def _left_out(self, section: str) -> Iterator[Unusable]:
        whole = self._section(section)
        if whole.unknown:
            yield Unusable("", "unknown", self.place(whole.position), section)
        elif whole.kind not in {"object", "null"}:
            yield Unusable("", "no object", self.place(whole.position), section)
        for name, value in whole.fields.items():
            if value.text is None:
                why: Why = "unknown" if value.unknown else "null" if value.kind == "null" else "nested"
                yield Unusable(name, why, self.place(value.position), section)

    def _section(self, name: str) -> EscValue:
        return self.properties.fields.get(name) or EscValue()
