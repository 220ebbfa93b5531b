"""`sophiactl prune apply|restore|log`: a plan carried out, undone, and who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Failure, Result, command
from sophiactl.cli.options import Collection, LockTimeout
from sophiactl.cli.prune_words import Metrics, PlanName, headline, verified
from sophiactl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.cli.output import Output
    from sophiactl.memory.restore import RestoreReport
    from sophiactl.ops.prune import PlanRequest
    from sophiactl.ops.prune_apply import Applied, ApplyOptions
    from sophiactl.ops.prune_restore import LogReport
    from sophiactl.wiring import Wiring

_NAMED = 5

Wait = Annotated[
    float, typer.Option("--wait", min=0, max=86_400, metavar="S", help="wait S seconds for another prune to end")
]


@command(
    examples=(
        ("sophiactl prune apply 3f2a", "exactly that plan; also goes on with one that was stopped"),
        ("sophiactl prune apply plan.jsonl --rate 200", "no more than 200 memories a second"),
        ("sophiactl prune apply 3f2a --allow-fraction", "although it takes more than memory.prune.max_fraction"),
    ),
)
def apply(
    context: Context,
    name: PlanName,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0, metavar="N", help="at most N memories a second; 0 is no limit")
    ] = None,
    wait: Wait = 0.0,
    metrics: Metrics = None,
    collection: Collection = None,
    lock_timeout: LockTimeout = None,
    *,
    allow_fraction: Annotated[
        bool, typer.Option("--allow-fraction", help="more than memory.prune.max_fraction of the memory")
    ] = False,
    allow_recall: Annotated[
        bool, typer.Option("--allow-recall", help="although past questions find less than memory.prune.min_recall")
    ] = False,
) -> Result:
    """Carry out a plan: exactly its memories, each archived before it leaves.

    What was changed, pinned or cited since the plan was made is skipped and named. A run that was killed goes on where
    it was when this is said again; SIGTERM and Ctrl-C finish the batch first. Undo it with `sophiactl prune restore`.
    """
    from sophiactl.cli import wire
    from sophiactl.ops.prune_apply import ApplyOptions

    wiring = wire.wiring(context, collection, lock_timeout)
    options = ApplyOptions(allow_fraction=allow_fraction, allow_recall=allow_recall, rate=rate, wait=wait)
    return carried_out(context, wiring, options, metrics, name=name)


def carried_out(
    context: Context,
    wiring: Wiring,
    options: ApplyOptions,
    metrics: Path | None,
    *,
    name: str = "",
    request: PlanRequest | None = None,
) -> Result:
    """Apply the plan that is named, or one that is made for `request`."""
    from sophiactl.cli.process import finishing
    from sophiactl.ops.prune_apply import apply as run_named
    from sophiactl.ops.prune_apply import run as run_fresh

    with context.output.progress("pruning", 0) as bar, finishing() as stop:
        if request is not None:
            done = run_fresh(request, options, wiring, progress=bar.advance, stop=stop)
        else:
            done = run_named(name, options, wiring, progress=bar.advance, stop=stop)
    if metrics is not None:
        _write_metrics(metrics, done)
    return _result(context, done)


def _result(context: Context, done: Applied) -> Result:
    report = done.report
    stopped = report is not None and not report.finished
    quiet = context.flags.quiet and (report is None or not (report.archived or report.cooled))
    errors = tuple(Failure("ledger", note) for note in done.notes)
    if stopped and report is not None:
        hint = f"go on: sophiactl prune apply {done.plan}"
        errors = (*errors, Failure("interrupted", f"stopped with {report.left:,} memories left to do", hint))
    return Result(
        done,
        None if quiet else lambda output: _print(output, done),
        exit_code=ExitCode.INTERRUPTED if stopped else ExitCode.OK,
        errors=errors,
        status="partial" if stopped else "ok",
    )


def _print(output: Output, done: Applied) -> None:
    from sophiactl.cli.wire import counted

    report = done.report
    if report is None:
        output.line(headline(done.header))
        return
    if done.recall is not None:
        output.line(verified(done.recall))
    cold = f", {report.cooled:,} made cold" if report.cooled else ""
    output.line(
        f"plan {done.plan}: {report.archived:,} archived{cold}, {sum(report.skipped.values()):,} skipped "
        f"in {report.seconds:.1f} s; the archive takes {report.archive_bytes / 1e6:.1f} MB"
    )
    for reason, number in report.skipped.items():
        names = ", ".join(skip.id for skip in report.named if skip.reason == reason)
        output.line(f"  skipped {number:,}, {reason}: {names[:200]}")
    if done.expired:
        output.line(f"{counted(done.expired, 'archived memory')} had their time and are gone for good")
    if done.busy:
        output.line(f"the store is at work: {done.busy}")
    if report.finished:
        output.line(f"undo it: sophiactl prune restore {done.plan}")


def _write_metrics(path: Path, done: Applied) -> None:
    from sophiactl.cli.run_metrics import write_textfile
    from sophiactl.ops.prune_metrics import samples
    from sophiactl.runs.exposition import render

    write_textfile(str(path), render(samples(done)).encode())


@command(
    examples=(
        ("sophiactl prune restore 3f2a", "all that this plan took away"),
        ("sophiactl prune restore --id m42 --id m43", "single memories"),
        ("sophiactl prune restore --since 7d", "all that went in the last week"),
    ),
)
def restore(
    context: Context,
    name: Annotated[str | None, typer.Argument(metavar="[PLAN]", help="the id of a plan, or its file")] = None,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="this memory; may be given often")] = None,
    file: Annotated[str | None, typer.Option("--file", metavar="FILE", help="ids, one a line; - is stdin")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="what was archived since, such as 2026-03-01 or 7d")
    ] = None,
    wait: Wait = 0.0,
    collection: Collection = None,
    lock_timeout: LockTimeout = None,
) -> Result:
    """Bring pruned memories back, byte for byte, with their vectors.

    What exists again meanwhile is left as it is, and what was erased stays away. A damaged archive gives back all that
    can still be read, and what was damaged is named.
    """
    from contextlib import nullcontext

    from sophiactl.cli import wire
    from sophiactl.cli.files import input_lines
    from sophiactl.ops.prune_restore import restore as run

    if name is None and not ids and file is None and since is None:
        raise UsageError("nothing is named to bring back", hint="sophiactl prune restore PLAN, --id ID or --since 7d")
    wiring = wire.wiring(context, collection, lock_timeout)
    moment = None if since is None else wire.moment(since)
    with (
        nullcontext() if file is None else input_lines(context, file) as lines,
        context.output.progress("restoring", 0) as bar,
    ):
        report = run(name, wiring, ids=ids or (), lines=lines, since=moment, wait=wait, progress=bar.advance)
    errors = tuple(
        Failure(
            "damaged",
            f"the archive of plan {one.plan} is damaged at byte {one.damage.offset:,} ({one.damage.bytes:,} bytes)",
            "all that can still be read was restored",
        )
        for one in report.damaged
    )
    if report.missing:
        some = ", ".join(report.missing_ids[:_NAMED])
        errors = (
            *errors,
            Failure("not_found", f"{report.missing:,} ids are in no archive{f': {some}' if some else ''}"),
        )
    nothing = not (report.restored or report.existing or report.cooled_back)
    code = ExitCode.FAILED if errors and nothing else ExitCode.OK
    return Result(report, lambda output: _print_restored(output, report), exit_code=code, errors=errors)


def _print_restored(output: Output, report: RestoreReport) -> None:
    from sophiactl.cli.wire import counted

    parts = [f"{counted(report.restored, 'memory')} restored"]
    parts += [f"{report.cooled_back:,} active again"] if report.cooled_back else []
    parts += [f"{report.existing:,} were there and stay as they are"] if report.existing else []
    parts += [f"{report.erased:,} were erased and stay away"] if report.erased else []
    output.line(f"{', '.join(parts)} in {report.seconds:.1f} s")


@command(
    examples=(
        ("sophiactl prune log", "who pruned, restored and erased what, newest first"),
        ("sophiactl prune log --verify", "whether anybody changed the log; exit 1 if so"),
    ),
)
def log(
    context: Context,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, metavar="N", help="at most so many")] = 20,
    collection: Collection = None,
    *,
    verify: Annotated[bool, typer.Option("--verify", help="check the chain of hashes; exit 1 if it is broken")] = False,
) -> Result:
    """Show what was done, and the plans there are."""
    from sophiactl.cli import wire
    from sophiactl.ops.prune_restore import log as run

    found = run(wire.wiring(context, collection), limit=limit)
    broken = found.broken is not None
    errors = (Failure("log", f"the log is broken at entry {found.broken}: {found.why}"),) if broken else ()
    return Result(
        found,
        lambda output: _print_log(output, found, verify=verify),
        exit_code=ExitCode.FAILED if broken and verify else ExitCode.OK,
        errors=errors,
    )


def _print_log(output: Output, found: LogReport, *, verify: bool) -> None:
    rows = [
        (
            entry.at,
            entry.event,
            entry.plan or "",
            entry.actor,
            ", ".join(f"{n:,} {what}" for what, n in entry.counts.items()),
        )
        for entry in found.entries
    ]
    if rows:
        output.table(rows, ("when", "what", "plan", "who", ""))
    else:
        output.line("nothing was pruned yet")
    plans = [(one.id, one.created, f"{one.actions:,}", one.state) for one in found.plans]
    if plans:
        output.line()
        output.table(plans, ("plan", "made", "memories", "state"), right={2})
    if verify and found.broken is None:
        output.line(f"the log is whole: {found.total:,} entries")
