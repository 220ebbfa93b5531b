"""`sophiactl prune plan|verify|explain`: what would go, what that would cost, and why."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.options import Classes, Collection, LockTimeout
from sophiactl.cli.prune_words import Metrics, PlanName, headline, verified
from sophiactl.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.memory.policy import Destination
    from sophiactl.ops.prune import Explained, PlanReport, VerifyReport


class PolicyName(StrEnum):
    """How a class forgets."""

    LEARNED = "learned"
    DENSITY = "density"
    TTL = "ttl"
    NEVER = "never"


class Place(StrEnum):
    """Where memories go."""

    ARCHIVE = "archive"
    COLD = "cold"


Fraction = Annotated[
    float | None, typer.Option("--fraction", metavar="F", help="this share of all memories, the least worthy: 0.2")
]
Policy = Annotated[PolicyName | None, typer.Option("--policy", help="judge by this instead of the settings' policy")]
To = Annotated[Place | None, typer.Option("--to", help="where they go, instead of the settings' place")]


@command(
    examples=(
        ("sophiactl prune", "what would go, and why; nothing is changed"),
        ("sophiactl prune plan --fraction 0.5 --output plan.jsonl", "the least worthy half, as a file"),
        ("sophiactl prune plan --check -q", "for CI: exit 1 when something would go"),
        ("sophiactl prune --apply -q", "for cron: plan, verify and apply; says nothing when nothing changed"),
    ),
)
def plan(
    context: Context,
    fraction: Fraction = None,
    policy: Policy = None,
    classes: Classes = None,
    to: To = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="write the plan there, whole or not at all")
    ] = None,
    samples: Annotated[int, typer.Option("--samples", min=0, max=1000, metavar="N", help="memories to show")] = 5,
    collection: Collection = None,
    lock_timeout: LockTimeout = None,
    metrics: Metrics = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, max=86_400, metavar="S", help="with --apply: wait for another prune")
    ] = 0.0,
    *,
    check: Annotated[bool, typer.Option("--check", help="exit 1 when something would go")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="verify and apply the plan at once")] = False,
    allow_fraction: Annotated[
        bool, typer.Option("--allow-fraction", help="with --apply: more than memory.prune.max_fraction")
    ] = False,
    allow_recall: Annotated[
        bool, typer.Option("--allow-recall", help="with --apply: below memory.prune.min_recall")
    ] = False,
) -> Result:
    """Say what nobody will miss, and write it down as a plan.

    The plan names each memory with its revision, its worth and the reason. It changes nothing: look at it, verify it,
    then `sophiactl prune apply` does exactly that, and `sophiactl prune restore` undoes it.
    """
    from sophiactl.cli import wire
    from sophiactl.ops.prune import PlanRequest
    from sophiactl.ops.prune import plan as run

    if not apply and (allow_fraction or allow_recall or metrics):
        raise UsageError(
            "--allow-fraction, --allow-recall and --metrics go with --apply", hint="sophiactl prune --apply"
        )
    if apply and (output or check):
        raise UsageError("--output and --check make a plan only", hint="leave --apply out")
    place = cast("Destination | None", to)
    request = PlanRequest(fraction, policy, tuple(item.value for item in classes or ()), place, samples)
    wiring = wire.wiring(context, collection, lock_timeout)
    if apply:
        from sophiactl.cli.prune_apply import carried_out
        from sophiactl.ops.prune_apply import ApplyOptions

        options = ApplyOptions(allow_fraction=allow_fraction, allow_recall=allow_recall, wait=wait)
        return carried_out(context, wiring, options, metrics, request=request)
    with context.output.progress("reading the memory"):
        report = run(request, wiring, output=output)
    found = check and report.actions > 0
    return Result(
        plan_data(report),
        lambda output: _print(output, report),
        exit_code=ExitCode.FAILED if found else ExitCode.OK,
        messages=_next(report, named=str(output) if output else report.header.id),
        status="ok",
    )


def plan_data(report: PlanReport) -> dict[str, object]:
    """A plan for `--json`: the fields of its header, where it is, and a line a memory."""
    import msgspec

    return {
        **msgspec.structs.asdict(report.header),
        "path": report.path,
        "left": report.left,
        "samples": report.samples,
        "memories": report.memories,
    }


def _print(output: Output, report: PlanReport) -> None:
    from sophiactl.cli.wire import counted
    from sophiactl.memory.retention import words

    header = report.header
    output.line(headline(header))
    if not report.actions:
        return
    rows = [
        (f"  {name}", *(f"{number:,}" for number in (one.before, one.eligible, one.archive, one.cool)))
        for name, one in header.classes.items()
        if one.before
    ]
    output.line()
    output.table(rows, ("class", "memories", "may go", "archive", "cool"), right={1, 2, 3, 4})
    output.line()
    output.table(
        [(f"  {words(name)}", f"{number:,}") for name, number in header.reasons.items()], ("why", ""), right={1}
    )
    if report.samples:
        output.line()
        output.line("for example")
    for sample in report.samples:
        near = f", keeps {sample.line.near_dup_of}" if sample.line.near_dup_of else ""
        why = f"{sample.class_}, {sample.age_days:.0f} days, {words(sample.line.reason)}{near}"
        output.line(f"  {sample.line.score:.2f}  {sample.line.id}  {why}")
        output.line(f"        {sample.text}")
    if report.left:
        output.line()
        output.line(
            f"{counted(report.left, 'memory')} more would go if a run might take more (memory.prune.max_fraction)"
        )


def _next(report: PlanReport, named: str) -> tuple[str, ...]:
    if not report.actions:
        return ()
    return (
        f"nothing was changed. What it would cost: sophiactl prune verify {named}",
        f"to do it: sophiactl prune apply {named} (until {report.header.expires})",
    )


@command(
    examples=(
        ("sophiactl prune verify 3f2a", "ask past questions again, as if it were applied"),
        ("sophiactl prune verify plan.jsonl --questions asked.jsonl", "rows of {id, query, cited}"),
    ),
)
def verify(
    context: Context,
    name: PlanName,
    questions: Annotated[
        str | None,
        typer.Option("--questions", metavar="FILE", help="JSONL of {id, query[, cited]} instead of those remembered"),
    ] = None,
    collection: Collection = None,
    lock_timeout: LockTimeout = None,
) -> Result:
    """Say what past questions would no longer find if a plan were applied.

    Asked are the latest questions of the ledger, or those of a file. Exit code 1 when less would be found than
    memory.prune.min_recall asks for.
    """
    from contextlib import nullcontext

    from sophiactl.cli import wire
    from sophiactl.cli.files import input_lines
    from sophiactl.ops.prune import verify_plan as run

    wiring = wire.wiring(context, collection, lock_timeout)
    with (
        nullcontext() if questions is None else input_lines(context, questions) as lines,
        context.output.progress("asking again"),
    ):
        report = run(name, wiring, questions=lines)
    code = ExitCode.FAILED if report.enough is False else ExitCode.OK
    notes = (report.left_out,) if report.left_out else ()
    return Result(report, lambda output: _print_verified(output, report), exit_code=code, messages=notes)


def _print_verified(output: Output, report: VerifyReport) -> None:
    output.line(verified(report))
    for loss in report.recall.losses or ():
        cited = f", {len(loss.cited)} of them cited" if loss.cited else ""
        output.line(
            f"  {loss.query}: loses {len(loss.ids)} of its first {report.recall.k}{cited}: {', '.join(loss.ids[:3])}"
        )


@command(
    examples=(
        ("sophiactl prune explain m42", "why it would stay or go"),
        ("sophiactl prune explain m42 --json | jq -r '.data.reasons[]'", "for scripts"),
    ),
)
def explain(
    context: Context,
    name: Annotated[str, typer.Argument(metavar="ID", help="the memory's id, or the beginning of it")],
    collection: Collection = None,
    lock_timeout: LockTimeout = None,
) -> Result:
    """Say what one memory is worth, and what a plan made now would do with it."""
    from sophiactl.cli import wire
    from sophiactl.ops.prune import explain as run

    found = run(name, wire.wiring(context, collection, lock_timeout))
    return Result(found, lambda output: _print_explained(output, found))


def _print_explained(output: Output, found: Explained) -> None:
    from sophiactl.memory.planning import excerpt

    output.line(f"{found.record.id}: {excerpt(found.record.text)}")
    for reason in found.reasons:
        output.line(f"  {reason}")
