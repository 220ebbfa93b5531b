"""One run: call the command, deliver its result, turn every failure into an exit code."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from sophiactl.cli.process import abandon, leave_quickly, reader_is_gone, terminable
from sophiactl.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.context import Environment

COMPLETE = "__complete"  # what the scripts of `sophiactl completion` call


def run(argv: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run a command line and return its exit code; both arguments default to the process's own."""
    words = list(sys.argv[1:] if argv is None else argv)
    if environment is None:
        from sophiactl.redaction.hooks import install

        leave_quickly()
        install()
    try:
        with terminable():
            from sophiactl.cli.context import Environment

            return _guarded(words, environment or Environment.of_process())
    except KeyboardInterrupt:  # a second one, while the first is being reported
        return int(ExitCode.INTERRUPTED)


def _guarded(words: list[str], environment: Environment) -> int:
    try:
        if words[:1] == [COMPLETE]:
            return _complete(words[1:], environment)
        from sophiactl.cli.dispatch import call
        from sophiactl.cli.render import emit

        context, result = call(words, environment)
        emit(context, result)
        return int(result.exit_code)
    except BrokenPipeError as error:
        if reader_is_gone(environment.stdout):
            abandon(environment.stdout)
            return int(ExitCode.OK)
        return _report(error, words, environment)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place that can say what happened
        return _report(error, words, environment)


def _report(error: BaseException, words: list[str], environment: Environment) -> int:
    """Say what happened, as an envelope or in words, and give the exit code."""
    from sophiactl.cli.context import Context
    from sophiactl.cli.dispatch import command_name
    from sophiactl.cli.failures import explained
    from sophiactl.cli.flags import guess
    from sophiactl.cli.render import emit
    from sophiactl.cli.result import failed

    flags = guess(words)
    if flags.debug:
        from sophiactl.redaction.hooks import traceback_text

        with suppress(OSError):
            environment.stderr.write(traceback_text(error))
    result = failed(explained(error))
    context = Context(environment, flags, command_name(words))
    try:
        environment.stdout.flush()
        emit(context, result)
    except BrokenPipeError:
        abandon(environment.stdout)
    except OSError:  # stdout itself is what failed: stderr is left
        abandon(environment.stdout)
        context.output.error(result.errors[0])
    return int(result.exit_code)


def _complete(words: list[str], environment: Environment) -> int:
    from sophiactl.cli.complete import script_answer

    environment.stdout.write(script_answer(words))
    environment.stdout.flush()
    return int(ExitCode.OK)
