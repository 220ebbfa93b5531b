"""From the words of a command line to the command they mean, and its call."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from sophiactl.cli.context import Context
from sophiactl.cli.flags import GLOBAL_OPTIONS, VERSION_OPTION, Flags
from sophiactl.cli.parser import Scanner, assign
from sophiactl.cli.process import time_limit
from sophiactl.cli.result import Result
from sophiactl.cli.table import TABLE, Row, find
from sophiactl.errors import SophiaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.command import Command, Option
    from sophiactl.cli.context import Environment


class Target(NamedTuple):
    """Where a command line leads: full name, row (None: the program itself), global options read, words left."""

    path: str
    row: Row | None
    values: dict[str, Any]
    rest: list[str]


def locate(words: Sequence[str]) -> Target:
    """Follow the words down the command table, reading global options on the way. Raises `UsageError`."""
    options: tuple[Option, ...] = (*GLOBAL_OPTIONS, VERSION_OPTION)
    target = Target("", None, {}, list(words))
    while target.row is None or target.row.rows:
        has_default = target.row is not None and bool(target.row.target)
        rows = TABLE if target.row is None else target.row.rows
        scan = Scanner(options, target.path).scan(target.rest, stop_at_word=True, stop_at_unknown=has_default)
        target = target._replace(values=_merged(target.values, scan.values), rest=scan.rest)
        row = find(target.rest[0], rows) if target.rest else None
        if row is None:
            if target.rest and not has_default and not target.values.get("help"):
                _unknown(target.rest[0], target.path, rows)
            return target
        target = Target(f"{target.path} {row.name}".strip(), row, target.values, target.rest[1:])
        options = GLOBAL_OPTIONS
    return target


def load(row: Row) -> Command:
    """Import the command of a row. Raises `SophiaError` when its module is not part of this installation."""
    module, _, attribute = row.target.partition(":")
    try:
        command: Command = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise SophiaError(f"{row.name} is not part of this installation", hint="install sophiactl anew") from error
    return command


def call(words: Sequence[str], environment: Environment) -> tuple[Context, Result]:
    """Parse the words and run what they mean. Raises `UsageError`, and whatever the command raises."""
    target = locate(words)
    if target.row is None or not target.row.target or target.values.get("help"):
        return _about(target, environment)
    command = load(target.row)
    scan = Scanner((*command.options, *GLOBAL_OPTIONS), target.path).scan(target.rest)
    own = {option.name for option in command.options}
    given = {name: value for name, value in scan.values.items() if name not in own}
    target = target._replace(values=_merged(target.values, given))
    if target.values.get("help"):
        return _about(target, environment)
    values = _option_values(command, scan.values, target.path) | assign(command.arguments, scan.words, target.path)
    context = Context(environment, Flags(**target.values), target.path)
    with time_limit(context.flags.timeout):
        return context, command(context, **values)


def command_name(words: Sequence[str]) -> str:
    """The command that a command line seems to mean, however faulty; empty for none."""
    try:
        return locate(words).path
    except UsageError:
        found, rows = "", TABLE
        for word in words:
            row = find(word, rows)
            found, rows = (f"{found} {row.name}".strip(), row.rows) if row is not None else (found, rows)
        return found


def _option_values(command: Command, given: dict[str, Any], path: str) -> dict[str, Any]:
    for option in command.options:
        if option.required and option.name not in given:
            raise UsageError(f"{option.label} {option.metavar} is missing", hint=f"sophiactl {path} --help")
    return {option.name: given.get(option.name, option.default) for option in command.options}


def _about(target: Target, environment: Environment) -> tuple[Context, Result]:
    """The version, or the help of whatever was named."""
    context = Context(environment, Flags(**target.values), target.path)
    if context.flags.version:
        from sophiactl import __version__

        return context, Result(data={"version": __version__}, text=f"sophiactl {__version__}")
    text = _help(target, environment.width, asked=context.flags.help)
    return context, Result(data={"help": text}, text=text)


def _help(target: Target, width: int, *, asked: bool) -> str:
    from sophiactl.cli import helptext

    row = target.row
    if row is None:
        return helptext.program(width)
    if row.target:
        return helptext.command(target.path, row, load(row), width)
    if not asked:
        names = ", ".join(item.name for item in row.rows)
        raise UsageError(f"{target.path} needs one of: {names}", hint=f"sophiactl {target.path} --help")
    return helptext.group(target.path, row, width)


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Later values win; `-v` before and after the command's name add up."""
    both = first | second
    if "verbose" in first and "verbose" in second:
        both["verbose"] = first["verbose"] + second["verbose"]
    return both


def _unknown(word: str, path: str, rows: tuple[Row, ...]) -> NoReturn:
    from sophiactl.suggest import did_you_mean

    where = f"sophiactl {path}".strip()
    hint = did_you_mean(word, [row.name for row in rows], f"{where} --help lists them")
    raise UsageError(f"{where} has no command {word!r}", hint=hint)
