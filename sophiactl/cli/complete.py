"""Candidates for shell completion: what may stand at the end of a half-typed command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.cli.table import TABLE, Row, find
from sophiactl.errors import SophiaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.dispatch import Target
    from sophiactl.cli.parameters import Parameter


def candidates(words: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of candidate and description for the last word; empty means file names, or a free text."""
    from sophiactl.cli.dispatch import load, locate
    from sophiactl.cli.parameters import parameters
    from sophiactl.cli.typed import typed

    *before, current = words or [""]
    target = locate(before)
    try:
        declared = load(target.row) if target.row is not None and target.row.target else None
    except SophiaError:
        return []
    known = parameters(typed(declared))
    options = [item for item in known if item.names]
    found = _value(before, current, options)
    if found is None and current.startswith("-"):
        found = [(item.label, item.help) for item in options]
    elif found is None:
        rows = () if target.rest else TABLE if target.row is None else target.row.rows
        found = [*_rows(rows), *_argument(target, [item for item in known if not item.names])]
    return [(name, note) for name, note in found if name.startswith(current)]


def script_answer(words: Sequence[str]) -> str:
    """The candidates as the shell scripts read them: one a line, its description after a tab."""
    return "".join(f"{name}\t{note}\n" for name, note in candidates(words))


def _rows(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(row.name, row.summary) for row in rows]


def _value(before: Sequence[str], current: str, options: Sequence[Parameter]) -> list[tuple[str, str]] | None:
    """Candidates for an option's value, None when the last word is no option's value."""
    name, equals, _ = current.partition("=")
    asked, prefix = (name, f"{name}=") if equals else (before[-1] if before else "", "")
    option = next((item for item in options if asked in item.names and item.takes_value), None)
    return None if option is None else [(prefix + choice, option.help) for choice in option.choices]


def _argument(target: Target, arguments: Sequence[Parameter]) -> list[tuple[str, str]]:
    """Choices of the argument that comes next; for `help`, its topics and the commands."""
    if any(not word.startswith("-") for word in target.rest):
        return []
    if target.row is find("help"):
        from sophiactl.cli.help_topics import TOPICS

        return [*TOPICS.items(), *_rows(TABLE)]
    return [(choice, item.help) for item in arguments[:1] for choice in item.choices]
