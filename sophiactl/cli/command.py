"""How a command is declared. This is the one module, beside Typer, that a command file needs to import.

    from typing import Annotated

    import typer

    from sophiactl.cli.command import Context, Result, command

    @command(
        examples=(
            ('sophiactl ask "How do I undo a prune?"', "answer from the memory"),
            ('sophiactl ask "Who renews?" --json | jq .data', "for scripts"),
        ),
    )
    def ask(
        context: Context,
        question: Annotated[str | None, typer.Argument(help="the question; stdin when left out")] = None,
        limit: Annotated[int, typer.Option("-k", "--limit", min=1, metavar="N", help="passages to read")] = 10,
    ) -> Result:
        \"\"\"Answer a question.

        Paragraphs after the first line become the help's description; the summary comes from the command table.
        \"\"\"

Parameters after the context are Typer's; options that several commands share stand in `options.py`. The function
returns a `Result` and prints nothing, unless it streams. Global options are not declared: they are on every command
(`context.flags`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate

import msgspec

from sophiactl.cli.context import Context
from sophiactl.cli.result import Failure, Result

__all__ = ["Command", "Context", "Failure", "Result", "command"]


class Command(msgspec.Struct, frozen=True):
    """A declared command: its function, and pairs of a command line and what it is for."""

    function: Callable[..., Result]
    examples: tuple[tuple[str, str], ...] = ()

    @property
    def description(self) -> str:
        """The docstring after its first line, dedented."""
        import inspect

        _, _, rest = (inspect.getdoc(self.function) or "").partition("\n")
        return rest.strip()


def command(
    *, examples: tuple[tuple[str, str], ...]
) -> Callable[[Callable[Concatenate[Context, ...], Result]], Command]:
    """Turn a function into a command; `examples` are pairs of a command line and what it is for."""

    def wrap(function: Callable[Concatenate[Context, ...], Result]) -> Command:
        return Command(function, examples)

    return wrap
