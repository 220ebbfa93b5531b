"""The parts of the README that are made from the program itself."""

from __future__ import annotations

import re

from sophiactl.cli.dispatch import load
from sophiactl.cli.help_topics import MEANINGS
from sophiactl.cli.helptext import usage
from sophiactl.cli.table import walk
from sophiactl.cli.typed import typed

_BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def command_block() -> str:
    """Every command with its usage and summary, in the order of the table; the same on every machine."""
    lines = [(usage(path, typed(load(row))).removeprefix("sophiactl "), row.summary) for path, row in walk()]
    column = max(len(left) for left, _ in lines)
    return "\n".join(f"{left:<{column}}  {summary}" for left, summary in lines) + "\n"


def exit_code_table() -> str:
    """Exit codes and their meanings as a markdown table."""
    rows = "".join(f"| {int(code)} | {meaning} |\n" for code, meaning in MEANINGS.items())
    return f"| code | meaning |\n| --- | --- |\n{rows}"


def refreshed(text: str) -> str:
    """A README with each generated block as it should be; fails with `KeyError` for a block that nothing makes."""
    blocks = {"commands": f"```text\n{command_block()}```\n", "exit-codes": exit_code_table()}
    return _BLOCK.sub(lambda found: found[1] + blocks[found["name"]] + found[3], text)
