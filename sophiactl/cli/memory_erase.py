"""`sophiactl memory erase`: the delete that cannot be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Failure, Result, command
from sophiactl.cli.named_ids import IdFile, Ids, named_ids
from sophiactl.cli.options import Collection, LockTimeout
from sophiactl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.ops.erase import Erasure

_NAMED = 5


@command(
    examples=(
        ("sophiactl memory erase m42", "asks, then erases it everywhere"),
        ("sophiactl memory list --source slack --all --json | jq -r '.data.memories[].id' > ids.txt", "which ones"),
        ("sophiactl memory erase --file ids.txt --yes", "without asking, for scripts"),
    )
)
def erase(
    context: Context,
    ids: Ids = None,
    file: IdFile = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="kept with the id; no words of the memory")
    ] = "erased on request",
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=86_400, metavar="S", help="wait S seconds for a prune to end")
    ] = 0.0,
    collection: Collection = None,
    lock_timeout: LockTimeout = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> Result:
    """Erase memories for good: from the memory, the archives, the plans and the ledger.

    Pinned and protected ones too. Only the id, a hash of the text and the time stay. A plan that names one is void.
    This cannot be undone; what may come back later is for `sophiactl prune`.
    """
    from sophiactl.cli import wire
    from sophiactl.ops.erase import erase as run

    names = named_ids(context, ids, file)
    if not yes:
        _confirm(context, len(names))
    with context.output.progress("erasing"):
        done = run(names, wire.wiring(context, collection, lock_timeout), reason=reason, wait=wait)
    report = done.report
    errors = tuple(Failure("ledger", note) for note in done.notes)
    if report.missing:
        some = ", ".join(report.missing[:_NAMED]) + (" …" if len(report.missing) > _NAMED else "")
        errors = (*errors, Failure("not_found", f"{wire.counted(len(report.missing), 'id')} not found: {some}"))
    nothing = len(report.missing) == len(names)
    code = ExitCode.FAILED if done.notes or nothing else ExitCode.OK
    return Result(done, lambda output: _print(output, done), exit_code=code, errors=errors)


def _confirm(context: Context, count: int) -> None:
    from sophiactl.cli.wire import counted

    if not context.environment.stdin_is_terminal():
        raise UsageError("erasing cannot be undone, and nobody is there to ask", hint="say --yes if it is meant")
    context.output.warning(f"{counted(count, 'memory')} will be erased for good, from archives and plans too")
    context.environment.stderr.write("erase? [y/N] ")
    context.environment.stderr.flush()
    if context.environment.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was erased")


def _print(output: Output, done: Erasure) -> None:
    from sophiactl.cli.wire import counted

    report = done.report
    erased = counted(len(report.ids) - len(report.missing), "memory")
    places = f"{report.from_collection:,} from the memory, {report.from_archives:,} from archives"
    output.line(f"{erased} erased: {places}, {done.runs:,} runs cleared")
    if report.copies:
        output.line(f"with it went copies that said the same: {', '.join(report.copies[:_NAMED])}")
    if report.plans:
        output.line(f"void now, since they named it: {', '.join(report.plans)}")
    if report.alike:
        output.line(f"left, and saying the same: {', '.join(report.alike[:_NAMED])}")
