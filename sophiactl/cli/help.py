"""`sophiactl help`: topics, and the help of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.help_topics import TOPICS, page
from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from sophiactl.cli.output import Output


@command(
    examples=(
        ("sophiactl help", "the list of topics"),
        ("sophiactl help exit-codes", "what each exit code means"),
        ("sophiactl help ask", "how an answer comes about"),
        ("sophiactl help memory list", "the same as sophiactl memory list --help"),
    ),
)
def help_topic(
    context: Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="TOPIC", help="a topic, or a command such as `memory list`")
    ] = None,
) -> Result:
    """Show a topic or a command's help.

    A word that is both, such as ask, shows the command's help and then the topic.
    """
    if not words:
        return Result(data={"topics": TOPICS}, text=_list)
    topic = TOPICS.get(words[0]) if len(words) == 1 else None
    parts = [text for text in (_command(context, words), page(words[0]) if topic else None) if text]
    if not parts:
        _unknown(words)
    text = "\n".join(parts)
    return Result(data={"topic": " ".join(words), "text": text}, text=text)


def _list(output: Output) -> None:
    output.table(sorted(TOPICS.items()), headers=("topic", ""))
    output.line()
    output.line("sophiactl help TOPIC shows one; sophiactl COMMAND --help explains a command.")


def _command(context: Context, words: list[str]) -> str | None:
    from sophiactl.cli import helptext
    from sophiactl.cli.dispatch import load
    from sophiactl.cli.table import TABLE, find
    from sophiactl.cli.typed import typed

    row, rows = None, TABLE
    for word in words:
        row = find(word, rows)
        if row is None:
            return None
        rows = row.rows
    if row is None:
        return None
    path, width = " ".join(words), context.environment.width
    if not row.target:
        return helptext.group(path, row, width)
    declared = load(row)
    return helptext.command(path, row, declared, typed(declared), width)


def _unknown(words: list[str]) -> None:
    from sophiactl.cli.table import TABLE
    from sophiactl.suggest import did_you_mean

    known = [*TOPICS, *(row.name for row in TABLE)]
    asked = " ".join(words)
    raise UsageError(
        f"there is no help on {asked!r}", hint=did_you_mean(words[0], known, "sophiactl help lists the topics")
    )
