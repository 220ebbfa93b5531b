"""The one place where results become output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.cli.result import envelope

if TYPE_CHECKING:
    from sophiactl.cli.context import Context
    from sophiactl.cli.result import Result


def emit(context: Context, result: Result) -> None:
    """Deliver a result: the answer or envelope on stdout, messages and errors on stderr."""
    output = context.output
    output.reveals = result.revealed
    if context.flags.json and not result.printed:
        output.json(envelope(context.command, result))
    elif not context.flags.json:
        if not result.printed:
            _show(context, result)
        for failure in result.errors:
            if result.outcome() == "partial":
                output.warning(failure.message, failure.hint)
            else:
                output.error(failure)
    context.environment.stdout.flush()
    for message in result.messages:
        output.note(message)


def _show(context: Context, result: Result) -> None:
    if callable(result.text):
        result.text(context.output)
    elif result.text is not None:
        context.output.line(result.text, end="" if result.text.endswith("\n") else "\n")
    context.environment.stdout.flush()
