"""`sophiactl route score|eval|train|calibrate`: the router on rows of own traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sophiactl.cli.command import Context, Result, command
from sophiactl.cli.routing import Artifact, wired

if TYPE_CHECKING:
    from sophiactl.cli.output import Output
    from sophiactl.ops.route_data import Evaluation, Made
    from sophiactl.routing.evaluation import Report

Data = Annotated[str, typer.Option("--data", metavar="FILE", help="JSONL rows; see the examples")]
Written = Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="the artifact to write")]


@command(
    examples=(
        ("sophiactl route score --input prompts.jsonl --output scores.jsonl", "rows of {prompt}: {score} for each"),
        ("sophiactl route score < answered.jsonl", "rows of {prompt, outputs}: whether to ask the strong model"),
    ),
)
def score(
    context: Context,
    source: Annotated[str, typer.Option("--input", metavar="FILE", help="JSONL; - is stdin")] = "-",
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="JSONL; - is stdout")] = "-",
    artifact: Artifact = None,
) -> Result:
    """Score prompts, one line each, in [0, 1]: how much a strong model is worth.

    A row with `outputs`, the answers of one or more cheap models, gets its escalation score instead.
    """
    from sophiactl.cli.files import input_lines, write_rows
    from sophiactl.ops.route_data import score_rows

    with input_lines(context, source) as lines:
        rows = score_rows(lines, source, wired(context, {"routing.artifact": artifact}))
        if output != "-":
            count = write_rows(output, rows)
            return Result({"file": output, "rows": count}, f"{count:,} scores in {output}")
        if context.flags.json:
            return Result({"scores": list(rows)})
        for row in rows:
            context.output.event(row)
    return Result(printed=True)


@command(
    examples=(
        ("sophiactl route eval --data labelled.jsonl", "rows of {prompt, weak_score, strong_score}"),
        ("sophiactl route eval --data labelled.jsonl --artifact own.route", "another router on the same rows"),
    ),
)
def evaluate(context: Context, data: Data, artifact: Artifact = None) -> Result:
    """Measure the router on labelled prompts: APGR (random is .5), strong calls needed, saving at 95 % of quality."""
    from sophiactl.cli.files import input_lines
    from sophiactl.ops.route_data import evaluate_rows

    with input_lines(context, data) as lines:
        found = evaluate_rows(lines, data, wired(context, {"routing.artifact": artifact}))
    return Result(found, lambda output: _print_evaluation(output, found))


def _print_evaluation(output: Output, found: Evaluation) -> None:
    rows = [_measures(name, report) for name, report in found.benchmarks.items()]
    rows.append(_measures("all rows", found.whole))
    headers = ("", "rows", "weak", "strong", "APGR", "95 %", "CPT50", "CPT80", "saved at 95 %")
    output.table(rows, headers, right=range(1, len(headers)))
    if found.macro_apgr is not None:
        output.line(f"mean of the benchmarks: APGR {found.macro_apgr:.3f}")


def _measures(name: str, report: Report) -> tuple[str, ...]:
    interval = "-" if report.low is None or report.high is None else f"{report.low:.3f}-{report.high:.3f}"
    numbers = (report.apgr, report.cpt50, report.cpt80, report.saved95)
    apgr, half, most, saved = ("-" if number is None else f"{number:.3f}" for number in numbers)
    return (name, f"{report.rows:,}", f"{report.weak:.3f}", f"{report.strong:.3f}", apgr, interval, half, most, saved)


@command(
    examples=(
        ("sophiactl route train --data labelled.jsonl --output own.route", "from 150 rows on it begins to help"),
        ("SOPHIACTL_ROUTING__ARTIFACT=own.route sophiactl route 'Why?'", "then use it"),
    ),
)
def train(context: Context, data: Data, output: Written, artifact: Artifact = None) -> Result:
    """Teach the router from own prompts with what a weak and a strong model scored on them.

    It starts from the shipped router (or --artifact), so that few rows never make it much worse.
    """
    from sophiactl.ops.route_data import train_rows

    with context.output.progress("training"):
        made = train_rows(data, output, wired(context, {"routing.artifact": artifact}))
    return Result(made, lambda out: _print_made(out, made))


@command(
    examples=(
        ("sophiactl route calibrate --data prompts.jsonl --strong-share 0.2 -o own.route", "a fifth goes to premium"),
        ("sophiactl route calibrate --data labelled.jsonl --quality 0.95 -o own.route", "95 % of the strong quality"),
    ),
)
def calibrate(
    context: Context,
    data: Data,
    output: Written,
    strong_share: Annotated[
        float | None, typer.Option("--strong-share", min=0, max=1, metavar="X", help="share of premium calls wanted")
    ] = None,
    quality: Annotated[
        float | None, typer.Option("--quality", min=0, max=1, metavar="Q", help="share of the strong quality to keep")
    ] = None,
    artifact: Artifact = None,
) -> Result:
    """Set the router's thresholds on own prompts: for a share of premium calls, or for a quality that is kept."""
    from sophiactl.ops.route_data import calibrate_rows

    wiring = wired(context, {"routing.artifact": artifact})
    made = calibrate_rows(data, output, wiring, strong_share=strong_share, quality=quality)
    return Result(made, lambda out: _print_made(out, made))


def _print_made(output: Output, made: Made) -> None:
    limits = made.thresholds
    share = "" if made.premium_share is None else f"; {made.premium_share:.1%} of these prompts are premium"
    output.line(f"{made.artifact} in {made.path}, from {made.rows:,} rows")
    output.line(f"balanced from {limits.balanced:.3f}, premium from {limits.premium:.3f}{share}")
    output.line(f"use it: SOPHIACTL_ROUTING__ARTIFACT={made.path}, or routing.artifact in routing.yaml")
