"""What the escalation score is worth on cascades: two cheap models answer, the score says when to ask the strong one.

    scripts/bench/escalation.py [FILE...] [--alone] [--output bench-results/escalation.json]

FILE holds rows {prompt, models: {name: {score, output}}}; by default the development cascades under SOPHIACTL_SHARED.
Every (cheap, peer, strong) triple counts whose strong model is at least ten points better than the cheap one: with less
the area is noise over a small gap. Strong models are those without outputs. APGR is the area under the share of the
quality gap that is recovered, over the share of prompts sent to the strong model (random: .5); tied scores count as
expected. `--alone` leaves out the peer: the score then rests on one output.
"""

from __future__ import annotations

import argparse
import json
import os
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sophiactl.routing.answers import agreement
from sophiactl.routing.escalation import escalation_score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Rows = list[dict[str, Any]]
    Scorer = Callable[[str, Sequence[str]], float]

LEAST_GAP = 0.10


def main() -> None:
    """Measure and report."""
    shared = Path(os.environ.get("SOPHIACTL_SHARED", "../shared")) / "data/routing"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=sorted(shared.glob("cascade-*.jsonl")))
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("bench-results/escalation.json"))
    options = parser.parse_args()
    report: dict[str, Any] = {}
    for file in options.files:
        rows = read(file)
        ours = measure(rows, escalation_score, alone=options.alone)
        report[file.stem] = {"ours": ours} | ({} if options.alone else {"equality alone": measure(rows, disagreement)})
        print(f"\n{file.stem}: {len(rows)} prompts, {len(ours)} triples")
        for line in ours:
            print(f"  {line['cheap']:28} {line['peer']:28} {line['strong']:28} {line['apgr']:.3f}")
        for name, lines in report[file.stem].items():
            print(f"  {name:16} {summary(lines)}")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2))


def read(file: Path) -> Rows:
    """The cascade's rows."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]


def disagreement(prompt: str, outputs: Sequence[str]) -> float:
    """The anchor: only whether the two answers are equal."""
    return 1 - agreement(prompt, outputs[0], outputs[1]).equal


def measure(rows: Rows, scorer: Scorer, *, alone: bool = False) -> list[dict[str, Any]]:
    """APGR and gap of every triple."""
    names = list(rows[0]["models"])
    strong = [name for name in names if "output" not in rows[0]["models"][name]]
    cheap = [name for name in names if name not in strong]
    quality = {name: np.array([float(row["models"][name]["score"]) for row in rows]) for name in names}
    lines = []
    for first, peer in product(cheap, cheap):
        targets = [name for name in strong if gap(quality[first], quality[name]) >= LEAST_GAP]
        if first == peer or not targets or (alone and peer != next(name for name in cheap if name != first)):
            continue
        scores = np.array([scorer(row["prompt"], outputs(row, first, None if alone else peer)) for row in rows])
        for name in targets:
            value = apgr(quality[first], quality[name], scores)
            lines.append({"cheap": first, "peer": "-" if alone else peer, "strong": name, "apgr": round(value, 4)})
    return lines


def outputs(row: dict[str, Any], first: str, peer: str | None) -> list[str]:
    """What the two cheap models wrote."""
    return [row["models"][name]["output"] for name in (first, peer) if name is not None]


def gap(weak: NDArray[np.float64], strong: NDArray[np.float64]) -> float:
    """How much better the strong model is, on average."""
    return float(strong.mean() - weak.mean())


def apgr(weak: NDArray[np.float64], strong: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Area under the recovered share of the gap; linear inside groups of equal scores."""
    order = np.argsort(-scores, kind="stable")
    last = np.r_[np.nonzero(np.diff(scores[order]))[0], len(scores) - 1]
    share = np.r_[0.0, (last + 1) / len(scores)]
    recovered = np.r_[0.0, np.cumsum((strong - weak)[order])[last]] / (strong - weak).sum()
    return float(np.sum((recovered[1:] + recovered[:-1]) / 2 * np.diff(share)))


def summary(lines: list[dict[str, Any]]) -> str:
    """Mean and range, and the mean of each strong model and of each peer."""
    values = [line["apgr"] for line in lines]
    text = f"mean {np.mean(values):.3f}  range {min(values):.3f}-{max(values):.3f}"
    for name in sorted({line["strong"] for line in lines}):
        text += f"  {name}: {np.mean([line['apgr'] for line in lines if line['strong'] == name]):.3f}"
    return text


if __name__ == "__main__":
    main()
