"""`sophiactl secrets run`: a program with the secrets it needs, its output masked."""

from __future__ import annotations

from typing import Annotated

import typer

from sophiactl.cli.command import Context, Failure, Result, command
from sophiactl.cli.secret_wire import Offline, Sources, wired
from sophiactl.errors import UsageError


@command(
    examples=(
        ("sophiactl secrets run --only slack,notion -- ./sync.sh", "with the secrets of two services alone"),
        ("sophiactl secrets run --pristine -- env", "with little else in the environment"),
    ),
)
def run(
    context: Context,
    words: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="the program and its arguments")],
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="SERVICE", help="services or names; with commas, or repeated")
    ] = None,
    pristine: Annotated[
        bool, typer.Option("--pristine", help="none of the other variables but PATH, HOME, ...")
    ] = False,
    no_mask: Annotated[bool, typer.Option("--no-mask", help="leave the program's output as it is")] = False,
    sources: Sources = None,
    offline: Offline = False,
) -> Result:
    """Run a program with secrets in its environment, and take them out of what it prints.

    It gets this environment without the secrets of other services. A secret that is a file is one while it runs, and
    its variable holds the path. Signals, the terminal and the exit code are the program's own; 127 and 126 mean, as in
    a shell, that it was not found or is not executable. Secrets are never put into arguments.
    """
    from sophiactl.ops.secret_run import RunRequest
    from sophiactl.ops.secret_run import run as start
    from sophiactl.secrets.running import NotStarted

    if context.flags.json:
        raise UsageError("secrets run prints what the program prints", hint="leave --json out")
    names = tuple(name.strip() for part in only or () for name in part.split(",") if name.strip())
    request = RunRequest(tuple(words), names, pristine=pristine, mask=not no_mask)
    try:
        code = start(request, wired(context, sources, offline=offline), context.environment.env)
    except NotStarted as error:
        return Result(exit_code=error.status, errors=(Failure.of(error),), status="error")
    return Result(exit_code=code, printed=True, status="ok")
