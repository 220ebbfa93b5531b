"""`sophiactl route stats|feedback`: what routing came to, and what people think of it."""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.ledger import Since, Until, filter_of, money, opened

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.runs.stats import RouteStats


class Verdict(StrEnum):
    """What a person says of an answer."""

    GOOD = "good"
    BAD = "bad"


@command(
    examples=(
        ("sophiactl route stats --since 30d", "the last month"),
        ("sophiactl route stats --json | jq .data.saved_share", "for monitoring"),
    ),
)
def stats(context: Context, since: Since = None, until: Until = None) -> Result:
    """Show requests, cost, saving, tiers, models and latencies from the ledger.

    Saving is counted only over runs of which both the cost and the cost on the premium model are known.
    """
    from sophiactl.ops.runs import stats as run

    ledger, _ = opened(context)
    with closing(ledger):
        found = run(filter_of(since, until), ledger)
    return Result(found, lambda output: _print(output, found))


def _print(output: Output, found: RouteStats) -> None:
    from sophiactl.cli.wire import counted

    output.line(f"{counted(found.requests, 'request')}, {found.executed:,} executed   {money(found.cost)}")
    if found.cost_unknown:
        output.line(f"  of unknown cost: {found.cost_unknown:,} runs, not in the sum")
    if found.saved is not None and found.saved_share is not None:
        output.line(
            f"  always premium would have cost {money(found.premium_cost)} over {found.compared:,} runs "
            f"({found.assumption}); saved {found.saved_share:.0%}"
        )
    shares = "  ".join(f"{tier} {share:.0%}" for tier, share in found.tier_share.items())
    output.line(f"  {shares}   escalated {found.escalated:,}   fallbacks {found.fallbacks:,}")
    if found.decision_p95 is not None:
        output.line(f"  decision p50 {found.decision_p50:.1f} ms, p95 {found.decision_p95:.1f} ms")
    if found.latency_p95 is not None:
        output.line(f"  answer p50 {found.latency_p50:.1f} s, p95 {found.latency_p95:.1f} s")
    if found.feedback_good or found.feedback_bad:
        output.line(f"  feedback {found.feedback_good:,} good, {found.feedback_bad:,} bad")
    for title, counts in (("model", found.models), ("error", found.errors)):
        if counts:
            output.line()
            output.table([(f"  {name}", f"{count:,}") for name, count in counts.items()], (title, "runs"), right={1})


@command(
    examples=(
        ("sophiactl route feedback 8f3c good", "the beginning of a run's id is enough"),
        ("sophiactl route feedback 8f3c bad", "what `route train` may learn from"),
    ),
)
def feedback(
    context: Context,
    run: Annotated[str, typer.Argument(help="a run of `runs list`")],
    verdict: Annotated[Verdict, typer.Argument(help="good or bad")],
) -> Result:
    """Note in the ledger whether an answer was good or bad."""
    from sophiactl.ops.runs import as_data

    ledger, _ = opened(context)
    with closing(ledger):
        noted = ledger.feedback(run, verdict.value)
    return Result(as_data(noted), f"{noted.id}: {verdict.value}")
