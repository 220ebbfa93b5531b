"""What the prune commands share: arguments, and lines that more than one of them says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sophiactl.memory.plan_file import Header
    from sophiactl.ops.prune import VerifyReport

PlanName = Annotated[str, typer.Argument(metavar="PLAN", help="the id of a plan, the beginning of it, or its file")]
Metrics = Annotated[
    Path | None,
    typer.Option("--metrics", metavar="FILE", help="write figures of the run for Prometheus' textfile collector"),
]


def headline(header: Header) -> str:
    """`plan 3f2a: 120 of 600 memories of 'main' would go (20 %), about 1.2 MB`."""
    total = sum(header.counts.values())
    if not total:
        return f"nothing to prune in {header.collection!r}: {header.before:,} memories are looked at, none would go"
    cold = f", {header.counts['cool']:,} of them only cold" if header.counts.get("cool") else ""
    size = f", about {header.bytes / 1e6:.1f} MB" if header.bytes else ""
    return (
        f"plan {header.id}: {total:,} of {header.before:,} memories of {header.collection!r} would go "
        f"({total / header.before:.1%}){cold}{size}"
    )


def verified(report: VerifyReport) -> str:
    """The verdict in a line."""
    from sophiactl.cli.wire import counted

    recall = report.recall
    asked = counted(recall.queries, "question")
    if report.kept is None or recall.overlap is None:
        return f"not verified: {asked} can be asked again, at least 5 are needed (--questions FILE)"
    cited = "" if recall.cited_recall is None else f", {recall.cited_recall:.1%} of {recall.cited:,} cited hits"
    verdict = "enough" if report.enough else f"less than {report.least:.0%}"
    return f"{asked} would still find {recall.overlap:.1%} of their first {recall.k}{cited}: {verdict}"
