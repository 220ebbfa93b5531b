"""The commands as a block of text for the README, made from the commands themselves."""

from __future__ import annotations

from sophiactl.cli.dispatch import load
from sophiactl.cli.helptext import usage
from sophiactl.cli.table import walk
from sophiactl.cli.typed import typed


def command_block() -> str:
    """Every command with its usage and summary, in the order of the table; the same on every machine."""
    lines = [(usage(path, typed(load(row))).removeprefix("sophiactl "), row.summary) for path, row in walk()]
    column = max(len(left) for left, _ in lines)
    return "\n".join(f"{left:<{column}}  {summary}" for left, summary in lines) + "\n"
