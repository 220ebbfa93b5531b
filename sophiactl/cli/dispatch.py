"""From the words of a command line to the command they mean, and its call."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from sophiactl.cli.context import Context
from sophiactl.cli.parameters import options, parameters
from sophiactl.cli.process import time_limit
from sophiactl.cli.result import Result
from sophiactl.cli.table import TABLE, Row, find
from sophiactl.cli.typed import read, typed
from sophiactl.cli.words import is_option, leading
from sophiactl.errors import SophiaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.command import Command
    from sophiactl.cli.context import Environment
    from sophiactl.cli.flags import Flags


class Target(NamedTuple):
    """Where a command line leads: full name, row (None: the program itself), global options in front, words behind."""

    path: str
    row: Row | None
    front: list[str]
    rest: list[str]


def locate(words: Sequence[str]) -> Target:
    """Follow the words down the command table, past global options on the way."""
    names = options(typed())
    target = Target("", None, [], list(words))
    while target.row is None or target.row.rows:
        count = leading(target.rest, names)
        target = target._replace(front=[*target.front, *target.rest[:count]], rest=target.rest[count:])
        row = find(target.rest[0], TABLE if target.row is None else target.row.rows) if target.rest else None
        if row is None or "--version" in target.front:
            return target
        target = Target(f"{target.path} {row.name}".strip(), row, target.front, target.rest[1:])
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
    """Read the words and run what they mean. Raises `UsageError`, and whatever the command raises."""
    target = locate(words)
    if target.row is None or not target.row.target:
        return _about(target, environment)
    declared = load(target.row)
    command = typed(declared)
    helped = {"-h", "--help"} & set(target.front)  # then nothing behind the name can be wrong
    reading = read(command, target.path, target.front if helped else [*target.front, *target.rest])
    context = Context(environment, reading.flags, target.path)
    if reading.flags.help:
        from sophiactl.cli import helptext

        text = helptext.command(target.path, target.row, declared, command, environment.width)
        return context, Result(data={"help": text}, text=text)
    if reading.extra:
        takes_words = any(not item.names for item in parameters(command))
        hint = "put quotes around a text of several words" if takes_words else f"sophiactl {target.path} --help"
        raise UsageError(f"{target.path} takes no further argument, got {reading.extra[0]!r}", hint=hint)
    with time_limit(context.flags.timeout):
        return context, declared.function(context, **reading.values)


def command_name(words: Sequence[str]) -> str:
    """The command that a command line seems to mean, however faulty; empty for none."""
    target = locate(words)
    found, rows = target.path, TABLE if target.row is None else target.row.rows
    for word in target.rest if target.rest and target.rest[0].startswith("-") else ():
        row = find(word, rows)
        found, rows = (f"{found} {row.name}".strip(), row.rows) if row is not None else (found, rows)
    return found


def _about(target: Target, environment: Environment) -> tuple[Context, Result]:
    """The version, or the help of the program or a group."""
    command = typed()
    wrong_option = bool(target.rest) and is_option(target.rest[0], {})
    flags = read(command, target.path, [*target.front, *(target.rest if wrong_option else ())]).flags
    context = Context(environment, flags, target.path)
    if flags.version:
        from sophiactl import __version__

        return context, Result(data={"version": __version__}, text=f"sophiactl {__version__}")
    text = _help(target, flags, environment.width)
    return context, Result(data={"help": text}, text=text)


def _help(target: Target, flags: Flags, width: int) -> str:
    from sophiactl.cli import helptext

    row = target.row
    if target.rest and not flags.help:
        _unknown(target.rest[0], target.path, TABLE if row is None else row.rows)
    if row is None:
        return helptext.program(width)
    if not flags.help:
        names = ", ".join(item.name for item in row.rows)
        raise UsageError(f"{target.path} needs one of: {names}", hint=f"sophiactl {target.path} --help")
    return helptext.group(target.path, row, width)


def _unknown(word: str, path: str, rows: tuple[Row, ...]) -> NoReturn:
    from sophiactl.suggest import did_you_mean

    where = f"sophiactl {path}".strip()
    hint = did_you_mean(word, [row.name for row in rows], f"{where} --help lists them")
    raise UsageError(f"{where} has no command {word!r}", hint=hint)
