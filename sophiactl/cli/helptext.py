"""Help pages: what it is, examples, then usage and options. Plain text, fitted to the width."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from sophiactl.cli.table import TABLE, Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typer.core import TyperCommand

    from sophiactl.cli.command import Command
    from sophiactl.cli.parameters import Parameter

_WIDEST = 100
_NARROWEST = 40
_FIRST_STEPS = (
    ("sophiactl embed docs/", "read documents into the memory"),
    ('sophiactl ask "How do I undo a prune?"', "a cited answer"),
    ("sophiactl search renewal --json", "passages, for scripts"),
    ("sophiactl doctor", "check that everything is in place"),
)


def program(width: int) -> str:
    """The page of `sophiactl --help`; reads the command table and imports no command."""
    from sophiactl.cli.typed import typed

    return _page(
        "Ask, embed and search a company's memory; answers cite their sources.",
        _examples(_FIRST_STEPS, width),
        "Usage: sophiactl [OPTIONS] COMMAND ...",
        _section("Commands", [(row.name, row.summary) for row in TABLE], width),
        _section("Options, before or after the command", map(_option, _split(typed())[1]), width),
        "More: sophiactl COMMAND --help, sophiactl help TOPIC",
    )


def group(path: str, row: Row, width: int) -> str:
    """The page of a group of commands; imports none of them."""
    return _page(
        f"{row.summary}.",
        _examples([(f"sophiactl {path} {item.name} --help", item.summary.lower()) for item in row.rows[:3]], width),
        f"Usage: sophiactl {path} COMMAND ...",
        _section("Commands", [(item.name, item.summary) for item in row.rows], width),
        "Global options: sophiactl --help",
    )


def command(path: str, row: Row, declared: Command, typed: TyperCommand, width: int) -> str:
    """The page of one command."""
    own, shared = _split(typed)
    return _page(
        f"{row.summary}.",
        _examples(declared.examples, width),
        f"Usage: {usage(path, typed)}",
        _wrapped(declared.description, width),
        _section("Subcommands", [(f"{row.name} {item.name}", item.summary) for item in row.rows], width),
        _section("Arguments", [_argument(item) for item in own if not item.names], width),
        _section("Options", [_option(item) for item in own if item.names], width),
        _section("Global options", map(_option, shared), width),
        "Exit codes: sophiactl help exit-codes",
    )


def usage(path: str, typed: TyperCommand) -> str:
    """The usage line, such as `sophiactl ask [OPTIONS] [QUESTION]`."""
    own, _ = _split(typed)
    needed = [item.needed for item in own if item.names and item.required]
    options = ["[OPTIONS]"] if any(item.names for item in own) else []
    return " ".join(["sophiactl", path, *needed, *options, *(_place(item) for item in own if not item.names)])


def _split(typed: TyperCommand) -> tuple[list[Parameter], list[Parameter]]:
    """A command's own parameters, and the global options."""
    from sophiactl.cli.parameters import parameters
    from sophiactl.cli.typed import GLOBAL

    every = parameters(typed)
    return [item for item in every if item.name not in GLOBAL], [item for item in every if item.name in GLOBAL]


def _place(item: Parameter) -> str:
    name = f"{item.metavar}..." if item.multiple else item.metavar
    return name if item.required else f"[{name}]"


def _argument(item: Parameter) -> tuple[str, str]:
    return _place(item).strip("[]"), f"{item.help}{_facts(item)}"


def _option(item: Parameter) -> tuple[str, str]:
    names = ", ".join(item.names) if len(item.names[0]) == 2 else "    " + ", ".join(item.names)
    return (f"{names} {item.metavar}" if item.takes_value else names), f"{item.help}{_facts(item)}"


def _facts(item: Parameter) -> str:
    facts = [f"one of {', '.join(item.choices)}"] if item.choices and item.metavar != "|".join(item.choices) else []
    if item.takes_value and item.default not in (None, ""):
        facts.append(f"default {getattr(item.default, 'value', item.default)}")
    if item.names:
        facts += [word for word, holds in (("required", item.required), ("may be repeated", item.multiple)) if holds]
    return f" ({'; '.join(facts)})" if facts else ""


def _examples(pairs: Iterable[tuple[str, str]], width: int) -> str:
    lines = list(pairs)
    column = max((len(line) for line, _ in lines), default=0)
    fitting = all(column + len(note) + 6 <= _bounded(width) for _, note in lines)
    shown = [f"  {line:<{column}}  # {note}" if fitting else f"  # {note}\n  {line}" for line, note in lines]
    return "Examples:\n" + "\n".join(shown)


def _section(title: str, rows: Iterable[tuple[str, str]], width: int) -> str:
    pairs = list(rows)
    if not pairs:
        return ""
    column = min(max(len(left) for left, _ in pairs), 28)
    room = max(_bounded(width) - column - 4, 16)
    lines = [f"{title}:"]
    for left, right in pairs:
        first, *others = textwrap.wrap(right, room) or [""]
        if len(left) > column:
            lines.append(f"  {left}")
            lines.append(f"  {'':<{column}}  {first}")
        else:
            lines.append(f"  {left:<{column}}  {first}")
        lines += [f"  {'':<{column}}  {other}" for other in others]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> str:
    """Paragraphs refilled to the width; indented ones are kept as they are."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        part if part.startswith((" ", "\t")) else textwrap.fill(" ".join(part.split()), _bounded(width))
        for part in paragraphs
    )


def _page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _bounded(width: int) -> int:
    return min(max(width, _NARROWEST), _WIDEST)
