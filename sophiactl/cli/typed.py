"""From a declared function to values, by Typer: it reads the command line, we call."""

from __future__ import annotations

import inspect
import math
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

import msgspec
import typer
from typer.core import TyperCommand
from typer.main import get_command

from sophiactl.cli.flags import Flags
from sophiactl.cli.mistakes import TyperUsageError, asked_for_help, explained
from sophiactl.cli.parameters import options, parameters
from sophiactl.cli.words import ordered
from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.command import Command

GLOBAL = frozenset(Flags.__struct_fields__)


class Reading(NamedTuple):
    """What a command line says: global options, values by parameter name, and words that nothing takes."""

    flags: Flags
    values: dict[str, Any]
    extra: list[str]


def typed(declared: Command | None = None) -> TyperCommand:
    """A command for Typer, with the global options behind its own; the program itself, with --version, for None."""

    def values(**given: Any) -> dict[str, Any]:
        return given

    own = () if declared is None else tuple(inspect.signature(declared.function, eval_str=True).parameters.values())[1:]
    keyword = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]
    both = [*keyword, *(flag for flag in _flags() if declared is None or flag.name != "version")]
    values.__signature__ = inspect.Signature(both)  # type: ignore[attr-defined]  # what Typer reads
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(add_help_option=False, help=declared.description if declared else "")(values)
    command = get_command(app)
    assert isinstance(command, TyperCommand)  # noqa: S101 - a single function makes no group
    for item in command.params:
        item.is_eager = item.name in GLOBAL  # read first: --help and --json hold even where the rest is wrong
    return command


def read(command: TyperCommand, path: str, words: Sequence[str]) -> Reading:
    """Read the words that belong to a command. Raises `UsageError`."""
    help_command = f"sophiactl {path} --help".replace("  ", " ")
    try:
        context = command.make_context(path, ordered(words, options(command), help_command), allow_extra_args=True)
    except TyperUsageError as error:
        if asked_for_help(error) and error.ctx is not None:
            return _reading(error.ctx.params, [])
        raise explained(error, command, words, help_command) from None
    with context:
        reading = _reading(command.invoke(context), list(context.args))
    if not reading.flags.help:
        _check_finite(command, reading.values | msgspec.structs.asdict(reading.flags), help_command)
    return reading


def _reading(values: dict[str, Any], extra: list[str]) -> Reading:
    flags = Flags(**{name: value for name, value in values.items() if name in GLOBAL})
    return Reading(flags, {name: value for name, value in values.items() if name not in GLOBAL}, extra)


@cache
def _flags() -> tuple[inspect.Parameter, ...]:
    hints = get_type_hints(Flags, include_extras=True)
    defaults = dict(zip(Flags.__struct_fields__, Flags.__struct_defaults__, strict=True))
    kind = inspect.Parameter.KEYWORD_ONLY
    return tuple(
        inspect.Parameter(name, kind, default=default, annotation=hints[name]) for name, default in defaults.items()
    )


def _check_finite(command: TyperCommand, values: dict[str, Any], help_command: str) -> None:
    for item in parameters(command):
        value = values[item.name]
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{item.label} must be a finite number, not '{value}'", hint=help_command)
