"""`sophiactl runs`: what was asked, which model was chosen, which services were called, what it cost."""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.ledger import Since, Until, filter_of, money, opened
from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.cli.output import Output
    from sophiactl.ops.runs import Forgotten
    from sophiactl.runs.base import Call, Run


class TierName(StrEnum):
    """The tiers, for options."""

    SIMPLE = "simple"
    BALANCED = "balanced"
    PREMIUM = "premium"


Limit = Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, metavar="N", help="at most so many")]
_FAILED = 10
_KEEP = "texts are not kept, only their hashes; to keep those of new runs: SOPHIACTL_RUNS__STORE_TEXT=true"


@command(
    examples=(
        ("sophiactl runs list", "the latest twenty"),
        ("sophiactl runs list --since 7d --tier premium", "what went to the dearest models this week"),
        ("sophiactl runs list --command 'connectors sync' --failed", "syncs that did not get through"),
        ("sophiactl runs list --failed --json | jq '.data.runs[].error'", "for scripts"),
    ),
)
def list_runs(
    context: Context,
    limit: Limit = 20,
    since: Since = None,
    until: Until = None,
    tier: Annotated[TierName | None, typer.Option("--tier", metavar="TIER", help="only this tier")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="only runs of this model")] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="NAME", help="only this session")] = None,
    made_by: Annotated[
        str | None, typer.Option("--command", metavar="NAME", help="only runs of this command, such as ask")
    ] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="only runs that ended in an error")] = False,
) -> Result:
    """List runs, newest first, with their tier, model, cost and time.

    A cost that is not known is shown as ?, and as null with --json: it is never taken for 0. Calls to business services
    are counted, and with --json summed by service and outcome; `runs show` has each of them.
    """
    from sophiactl.ops.runs import as_data, listing

    wanted = filter_of(
        since,
        until,
        tier=None if tier is None else tier.value,
        model=model,
        session=session,
        command=made_by,
        failed=failed or None,
    )
    ledger, _ = opened(context)
    with closing(ledger):
        runs = listing(wanted, ledger, limit=limit)
    note = ("there may be more: --limit N",) if len(runs) == limit else ()
    return Result({"runs": [as_data(run) for run in runs]}, lambda output: _table(output, runs), messages=note)


@command(
    examples=(
        ("sophiactl runs show 8f3c", "by the beginning of its id"),
        ("sophiactl runs show 8f3c --json | jq .data.calls", "the calls to models as data"),
        ("sophiactl runs show 8f3c --json | jq .data.service_calls", "those to business services"),
    ),
)
def show(
    context: Context, name: Annotated[str, typer.Argument(metavar="ID", help="the run's id, or its beginning")]
) -> Result:
    """Show one run: the decision, every call to a model, what they cost, and what each business service was asked.

    The seconds of a service are the sum over its calls, many of which are made side by side; waits are part of them.
    """
    from sophiactl.ops.runs import as_data
    from sophiactl.ops.runs import show as run_show

    ledger, _ = opened(context)
    with closing(ledger):
        run = run_show(name, ledger)
    return Result(as_data(run), lambda output: _print(output, run))


@command(
    examples=(
        ("sophiactl runs search renewal", "in prompts and answers, whatever the case"),
        ('sophiactl runs search "customs delay" --since 30d -n 5', "the latest five of a month"),
    ),
)
def search(
    context: Context,
    text: Annotated[str, typer.Argument(help="words as they stand in a prompt or an answer")],
    limit: Limit = 20,
    since: Since = None,
    until: Until = None,
) -> Result:
    """Search the prompts and answers of runs.

    There is something to search only where texts are kept: `store_text` in the settings of runs.
    """
    from sophiactl.ops.runs import as_data
    from sophiactl.ops.runs import search as run_search

    wanted = filter_of(since, until)
    ledger, config = opened(context)
    with closing(ledger):
        found = run_search(text, wanted, ledger, config, limit=limit)
    return Result(
        {"runs": [as_data(run) for run in found.runs], "store_text": found.kept},
        lambda output: _found(output, found.runs),
        messages=() if found.kept else (_KEEP,),
    )


@command(
    examples=(
        ("sophiactl runs forget --older-than 90d", "count what would go"),
        ("sophiactl runs forget --older-than 90d --yes", "and let it go"),
        ("sophiactl runs forget --before 2026-01-01 --yes", "by date"),
    ),
)
def forget(
    context: Context,
    before: Annotated[
        str | None, typer.Option("--before", metavar="TIME", help="runs made before, such as 2026-03-01")
    ] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="AGE", help="runs older than, such as 90d")
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="delete them; without it they are only counted")] = False,
) -> Result:
    """Delete old runs from the ledger. There is no way back; without --yes nothing is deleted.

    The totals of `runs metrics` keep what they counted.
    """
    from sophiactl.cli.wire import moment
    from sophiactl.ops.runs import forget as run_forget

    if (before is None) == (older_than is None):
        raise UsageError("give --before TIME or --older-than AGE", hint="sophiactl runs forget --older-than 90d")
    if older_than is not None and not older_than[:-1].isdecimal():
        raise UsageError(f"{older_than!r} is no age", hint="12h, 90d or 52w")
    time = moment(before if before is not None else older_than or "")
    ledger, _ = opened(context)
    with closing(ledger):
        done = run_forget(time, ledger, dry_run=not yes)
    return Result(done, _said(done), messages=("nothing was changed; with --yes they are deleted",) if not yes else ())


def _said(done: Forgotten) -> str:
    verb = "would be deleted" if done.dry_run else "deleted"
    return f"{done.runs:,} {'run' if done.runs == 1 else 'runs'} from before {done.before} {verb}"


def _table(output: Output, runs: Sequence[Run]) -> None:
    headers = ["run", "time (UTC)", "command", "tier", "model", "cost", "verdict", "error"]
    rows = [
        [run.id, _time(run.at), run.command, run.tier, _model(run), _cost(run), run.feedback, run.error] for run in runs
    ]
    if any(run.service_calls for run in runs):
        headers.append("service calls")
        rows = [[*row, _counted(run)] for row, run in zip(rows, runs, strict=True)]
    if rows:
        output.table(rows, headers, right={5})
    else:
        output.note("no runs found")


def _counted(run: Run) -> str:
    """How often services were called: `53 to 6 services, 2 failed`."""
    from sophiactl.runs.service_calls import by_service

    services = by_service(run.service_calls)
    if not services:
        return ""
    calls, failed = (sum(getattr(one, field) for one in services) for field in ("calls", "failed"))
    whom = services[0].service if len(services) == 1 else f"{len(services)} services"
    return f"{calls:,} to {whom}" + (f", {failed:,} failed" if failed else "")


def _cost(run: Run) -> str:
    """The cost; nothing where no model was chosen or called, which costs nothing that we know of."""
    return "" if run.cost is None and not run.calls and run.tier is None else money(run.cost)


def _print(output: Output, run: Run) -> None:
    from sophiactl.ops.runs import as_data

    money_of = {"cost": _cost(run), "premium_cost": money(run.premium_cost) if _cost(run) else ""}
    hidden = {"calls", "service_calls", "prompt", "answer", "dropped", "candidates", "details"}
    facts = {name: getattr(run, name) for name in run.__struct_fields__ if name not in hidden} | money_of
    facts["candidates"] = ", ".join(run.candidates)
    rows = [(name, value) for name, value in facts.items() if value not in (None, "", {}, False)]
    rows += [(name, value) for name, value in as_data(run)["details"].items() if value not in (None, "", {}, [], False)]
    rows += [("dropped", ": ".join(item.values())) for item in run.dropped]
    output.table(rows)
    if run.calls:
        output.line()
        headers = ("", "model", "why", "tokens in", "out", "cost", "seconds", "outcome")
        output.table([_call(number, call) for number, call in enumerate(run.calls, 1)], headers, right={0, 3, 4, 5, 6})
    if run.service_calls:
        output.line()
        _print_services(output, run)
    for title, text in (("prompt", run.prompt), ("answer", run.answer)):
        if text is not None:
            output.line()
            output.line(f"{title}:")
            output.line(text)


def _print_services(output: Output, run: Run) -> None:
    from sophiactl.runs.service_calls import by_service, failures

    rows = [
        (
            one.service,
            *(f"{count:,}" for count in (one.calls, one.failed, one.retries)),
            f"{one.waited:.2f}",
            f"{one.seconds:.2f}",
            ", ".join(f"{count:,} {code}" for code, count in one.errors.items()),
        )
        for one in by_service(run.service_calls)
    ]
    headers = ("service", "calls", "failed", "retries", "waited", "seconds", "errors")
    output.table(rows, headers, right={1, 2, 3, 4, 5})
    failed = failures(run.service_calls)
    if failed:
        output.line()
        shown = [(call.service, f"{call.method} {call.path}", call.outcome, f"{count:,}") for call, count in failed]
        output.table(shown[:_FAILED], ("service", "failed call", "error", "times"), right={3})
        if len(shown) > _FAILED:
            output.note(f"and {len(shown) - _FAILED:,} more: --json")


def _call(number: int, call: Call) -> tuple[object, ...]:
    tokens = ("?" if count is None else f"{count:,}" for count in (call.input_tokens, call.output_tokens))
    seconds = "?" if call.latency is None else f"{call.latency:.2f}"
    outcome = call.error or call.finish_reason or "ok"
    return number, f"{call.model} ({call.provider})", call.reason, *tokens, money(call.cost), seconds, outcome


def _found(output: Output, runs: Sequence[Run]) -> None:
    from sophiactl.cli.output import Styled

    for run in runs:
        output.line(Styled(run.id, "bold"), f"  {_time(run.at)}  {run.command}  {_model(run)}")
        for text in (run.prompt, run.answer):
            if text:
                line = " ".join(text.split())
                output.line("    ", line if len(line) <= 100 else f"{line[:100]}…")
    if not runs:
        output.note("nothing found")


def _time(at: str) -> str:
    return at[:16].replace("T", " ")


def _model(run: Run) -> str:
    return "" if run.model is None else f"{run.model} ({run.provider})" if run.provider else run.model
