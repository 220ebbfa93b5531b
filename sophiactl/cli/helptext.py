"""Help pages: what it is, examples, then usage and options. Plain text, fitted to the width."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from sophiactl.cli.table import TABLE, Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sophiactl.cli.command import Argument, Command, Option

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
    from sophiactl.cli.flags import GLOBAL_OPTIONS, VERSION_OPTION

    return _page(
        "Ask, embed and search a company's memory; answers cite their sources.",
        _examples(_FIRST_STEPS, width),
        "Usage: sophiactl [OPTIONS] COMMAND ...",
        _section("Commands", [(row.name, row.summary) for row in TABLE], width),
        _section("Options, before or after the command", map(_option, (*GLOBAL_OPTIONS, VERSION_OPTION)), width),
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


def command(path: str, row: Row, declared: Command, width: int) -> str:
    """The page of one command."""
    from sophiactl.cli.flags import GLOBAL_OPTIONS

    return _page(
        f"{row.summary}.",
        _examples(declared.examples, width),
        f"Usage: {usage(path, declared)}",
        _wrapped(declared.description, width),
        _section("Subcommands", [(f"{row.name} {item.name}", item.summary) for item in row.rows], width),
        _section("Arguments", map(_argument, declared.arguments), width),
        _section("Options", map(_option, declared.options), width),
        _section("Global options", map(_option, GLOBAL_OPTIONS), width),
        "Exit codes: sophiactl help exit-codes",
    )


def usage(path: str, declared: Command) -> str:
    """The usage line, such as `sophiactl ask [OPTIONS] [QUESTION]`."""
    needed = [f"{item.label} {item.metavar}" for item in declared.options if item.required]
    places = [_place(item) for item in declared.arguments]
    return " ".join(["sophiactl", path, *needed, *(["[OPTIONS]"] if declared.options else []), *places])


def _place(item: Argument) -> str:
    name = f"{item.metavar}..." if item.many else item.metavar
    return name if item.required else f"[{name}]"


def _argument(item: Argument) -> tuple[str, str]:
    return _place(item).strip("[]"), f"{item.help}{_facts(item)}"


def _option(item: Option) -> tuple[str, str]:
    names = ", ".join(item.names) if len(item.names[0]) == 2 else "    " + ", ".join(item.names)
    return (names if item.switch else f"{names} {item.metavar}"), f"{item.help}{_facts(item)}"


def _facts(item: Option | Argument) -> str:
    facts = [f"one of {', '.join(item.choices)}"] if item.choices and item.metavar != "|".join(item.choices) else []
    if item.default not in (None, False, True, 0, "", ()):
        facts.append(f"default {item.default}")
    if getattr(item, "required", False) and hasattr(item, "names"):
        facts.append("required")
    if getattr(item, "repeat", False):
        facts.append("may be repeated")
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
