"""How well the router tells prompts that need a strong model, beside what others do, and what a decision costs.

    scripts/bench/router.py [--data DIR] [--draws 200] [--labels 500] [--repeats 5] [--output bench-results/router.json]

Zero labels: each benchmark of DIR (the development data under SOPHIACTL_SHARED by default) is scored by a prior
trained on the other files; APGR is the mean over several pairs of a weak and a strong model, the macro mean counts
benchmarks alike, and intervals are bootstraps over prompts. The sets that ulab collects are also listed for
themselves. Own labels: the same left-out prior, then training on `labels` rows of the benchmark, tested on other
rows of it. Random is .5 by definition. LiteLLM is measured where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts import train_router
from sophiactl.routing import features, prior, training
from sophiactl.routing.evaluation import evaluate
from sophiactl.routing.lexicon import ranks
from sophiactl.routing.rows import Labelled
from sophiactl.routing.score import LearnedScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Scores = Callable[[str, list[str]], Vector]

# Weak and strong models of each file, chosen before anything was fitted; a pair counts where the gap is at least GAP.
PAIRS = {
    "ulab": (
        ["mistral-7b-instruct-v0.3", "codegemma-7b", "gemma-2-9b-it", "llama-3.1-8b-instruct", "qwen2.5-7b-instruct"],
        ["llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1"],
    ),
    "mmlu-pro": (
        [
            "Mixtral-8x7B-Instruct-v0.1",
            "Phi-3-mini-4k-instruct",
            "Meta-Llama-3_1-8B-Instruct",
            "Mistral-7B-Instruct-v0.2",
            "Qwen1.5-72B-Chat",
        ],
        ["gemini-1.5-pro-002", "Meta-Llama-3_1-70B-Instruct", "gemini-1.5-flash-002"],
    ),
    "zeroeval-crux": (
        [
            "Meta-Llama-3.1-8B-Instruct",
            "gemma-2-9b-it",
            "Mixtral-8x7B-Instruct-v0.1",
            "claude-3-haiku-20240307",
            "Qwen2.5-7B-Instruct",
            "gpt-3.5-turbo-0125",
        ],
        [
            "gpt-4o-2024-08-06",
            "claude-3-5-sonnet-20241022",
            "Meta-Llama-3.1-405B-Instruct@hyperbolic",
            "Qwen2.5-72B-Instruct",
            "gpt-4-turbo-2024-04-09",
        ],
    ),
    "zeroeval-math-l5": (
        [
            "Meta-Llama-3.1-8B-Instruct",
            "gemma-2-9b-it",
            "Qwen2-7B-Instruct",
            "claude-3-haiku-20240307",
            "gpt-4-0314",
            "gpt-3.5-turbo-0125",
        ],
        ["gpt-4o-2024-08-06", "claude-3-5-sonnet-20241022", "Qwen2.5-72B-Instruct", "o1-mini-2024-09-12"],
    ),
}
GAP = 0.06
KEYWORDS = [
    "analyze",
    "analysis",
    "complex",
    "detailed",
    "comprehensive",
    "strategy",
    "architecture",
    "optimize",
    "compare",
    "evaluate",
    "design",
    "implement",
    "algorithm",
    "reasoning",
    "explain",
    "why",
    "step",
    "research",
    "plan",
    "code",
    "function",
    "integrate",
    "forecast",
]


class Bench(NamedTuple):
    """A benchmark: its file, its prompts, and the gain of each for each pair."""

    file: str
    prompts: list[str]
    gains: Vector

    def apgr(self, scores: Vector, drawn: NDArray[np.intp] | None = None) -> float:
        """Mean APGR over the pairs, equal scores in expectation."""
        gains, given = (self.gains, scores) if drawn is None else (self.gains[drawn], scores[drawn])
        order = np.argsort(-given, kind="stable")
        ranked = given[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        recovered = np.vstack([np.zeros(gains.shape[1]), np.cumsum(gains[order], axis=0)[ends]])
        share = np.append(0.0, (ends + 1) / len(ranked))
        areas = ((recovered[1:] + recovered[:-1]) / 2 * np.diff(share)[:, None]).sum(0)
        return float((areas / recovered[-1]).mean())


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("SOPHIACTL_SHARED", "../shared"))
    parser.add_argument("--data", type=Path, default=shared / "data/routing")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("bench-results/router.json"))
    options = parser.parse_args()
    rows = train_router.read_rows(options.data)
    result: dict[str, Any] = {"zero_labels": zero_labels(rows, options.draws)}
    _print_table(result["zero_labels"])
    result["decision_cost_ms"] = decision_cost(rows)
    print("decision, CPU ms:", *(f"{name} {value:.3f}" for name, value in result["decision_cost_ms"].items()))
    result["own_labels"] = own_labels(rows, options.labels, options.repeats)
    for name, found in result["own_labels"].items():
        print(f"{options.labels} labels {name:24} " + "  ".join(f"{key} {value:.3f}" for key, value in found.items()))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2))


def benches(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Bench]:
    """The benchmarks of the four files, and after them the sets that ulab consists of."""
    found = {file: _bench(file, part) for file, part in rows.items()}
    for domain in sorted({row["domain"] for row in rows["ulab"]}):
        found[f"ulab/{domain}"] = _bench("ulab", [row for row in rows["ulab"] if row["domain"] == domain])
    return {name: bench for name, bench in found.items() if bench.gains.shape[1]}


def zero_labels(rows: dict[str, list[dict[str, Any]]], draws: int) -> dict[str, Any]:
    """APGR of each router on each benchmark, with the macro mean over the four files and its interval."""
    found: dict[str, Any] = {}
    sets = benches(rows)
    for name, score in routers(rows).items():
        scores = {key: score(bench.file, bench.prompts) for key, bench in sets.items()}
        each = {key: round(bench.apgr(scores[key]), 4) for key, bench in sets.items()}
        random = np.random.default_rng(0)
        means = []
        for _ in range(draws):
            sizes = {file: len(sets[file].prompts) for file in rows}
            drawn = {file: random.integers(0, size, size) for file, size in sizes.items()}
            means.append(np.mean([sets[file].apgr(scores[file], drawn[file]) for file in rows]))
        low, high = (round(float(value), 4) for value in np.percentile(means, [2.5, 97.5]))
        macro = round(float(np.mean([each[file] for file in rows])), 4)
        found[name] = {
            "macro": macro,
            "low": low,
            "high": high,
            "least": min(each[file] for file in rows),
            "each": each,
        }
    return found


def routers(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Scores]:
    """Every router of the table by name: a function of the benchmark's file and its prompts."""
    groups = train_router.groups(rows)
    weights = {file: train_router.fit([group for group in groups if group.file != file]) for file in rows}
    words = {file: _ridge_on_words(rows, file) for file in rows}
    found: dict[str, Scores] = {
        "random": lambda _, prompts: np.zeros(len(prompts)),
        "prompt length": lambda _, prompts: np.array([len(prompt) for prompt in prompts], float),
        "keywords and length": lambda _, prompts: np.array([keyword_score(prompt) for prompt in prompts], float),
        "TF-IDF ridge, other benchmarks": lambda file, prompts: words[file](prompts),
        "ours, other benchmarks": lambda file, prompts: weights[file].value(train_router.forms(prompts, ranks())),
    }
    litellm = _litellm()
    return found if litellm is None else {**found, "LiteLLM complexity router": litellm}


def keyword_score(prompt: str) -> int:
    """A score as routers by rule of thumb have it: a point for each telling word, more for length."""
    lowered = prompt.lower()
    return sum(word in lowered for word in KEYWORDS) + min(len(prompt.split()) // 50, 3)


def decision_cost(rows: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """CPU milliseconds of a score and of a score with words, at the median and the 99th percentile, all prompts."""
    words = training.train(_labelled(rows["ulab"][:60], "ulab"), prior.prior(), name="bench", created="")
    costs: dict[str, float] = {}
    prompts = [row["prompt"] for part in rows.values() for row in part][::3]
    for name, scorer in {"prior": prior.scorer(), "own": LearnedScorer(words)}.items():
        spent = []
        for prompt in prompts:
            began = time.thread_time_ns()
            scorer.score(prompt)
            spent.append((time.thread_time_ns() - began) / 1e6)
        costs |= {f"{name} p50": float(np.median(spent)), f"{name} p99": float(np.percentile(spent, 99))}
    return costs


def own_labels(rows: dict[str, list[dict[str, Any]]], labels: int, repeats: int) -> dict[str, dict[str, float]]:
    """Mean APGR of zero labels and of own labels on rows not trained on, over two pairs and several draws."""
    found = {}
    for file, part in rows.items():
        start = train_router.build({name: other for name, other in rows.items() if name != file}, ())
        outcomes = [_one_draw(part, file, start, labels, seed) for seed in range(repeats)]
        zero, own = (float(value) for value in np.mean(outcomes, axis=0))
        found[file] = {"zero": round(zero, 4), "own": round(own, 4), "gain": round(own - zero, 4)}
    means = {key: round(float(np.mean([item[key] for item in found.values()])), 4) for key in ("zero", "own", "gain")}
    return {**found, "mean": means}


def _one_draw(part: list[dict[str, Any]], file: str, start: Any, labels: int, seed: int) -> tuple[float, float]:
    labelled = _labelled(part, file, pair=seed)
    order = np.random.default_rng(seed).permutation(len(labelled))
    train, test = ([labelled[i] for i in some] for some in (order[:labels], order[labels : labels + 1_500]))
    own = training.train(train, start, name="bench", created="")
    areas = [
        evaluate(test, [scorer.score(row.prompt) for row in test]).apgr or 0.0
        for scorer in (LearnedScorer(start), LearnedScorer(own))
    ]
    return areas[0], areas[1]


def _labelled(part: Sequence[dict[str, Any]], file: str, pair: int = 0) -> list[Labelled]:
    """Rows for one of the pairs whose gap is large enough."""
    pairs = [(weak, strong) for weak, strong in _pairs(file) if _gap(part, weak, strong) >= GAP]
    weak, strong = pairs[pair * 3 % len(pairs)]
    return [
        Labelled(row["prompt"], row["scores"][weak], row["scores"][strong])
        for row in part
        if weak in row["scores"] and strong in row["scores"]
    ]


def _bench(file: str, part: list[dict[str, Any]]) -> Bench:
    columns = []
    for weak, strong in _pairs(file):
        if _gap(part, weak, strong) >= GAP:
            known = [row["scores"].get(strong, np.nan) - row["scores"].get(weak, np.nan) for row in part]
            columns.append(np.where(np.isnan(known), np.nanmean(known), known))
    gains = np.array(columns).T if columns else np.zeros((len(part), 0))
    return Bench(file, [row["prompt"] for row in part], gains)


def _pairs(file: str) -> list[tuple[str, str]]:
    weak, strong = PAIRS[file]
    return [(one, other) for one in weak for other in strong]


def _gap(part: Sequence[dict[str, Any]], weak: str, strong: str) -> float:
    known = [row["scores"] for row in part if weak in row["scores"] and strong in row["scores"]]
    return float(np.mean([scores[strong] - scores[weak] for scores in known])) if known else 0.0


def _ridge_on_words(rows: dict[str, list[dict[str, Any]]], left_out: str) -> Callable[[list[str]], Vector]:
    """What is usually done: hashed TF-IDF and a ridge, on the standardised gain of the other benchmarks."""
    from sophiactl.routing import solver

    parts = {file: part for file, part in rows.items() if file != left_out}
    terms = [_terms(row["prompt"]) for part in parts.values() for row in part]
    gains = [train_router.gain(train_router.grade_matrix(part)) for part in parts.values()]
    wanted = np.concatenate([(gain - gain.mean()) / gain.std() for gain in gains])
    seen = np.bincount(np.concatenate([buckets for buckets, _ in terms]), minlength=features.BUCKETS)
    factors = np.log((1 + len(terms)) / (1 + seen)) + 1
    table = solver.table(terms, factors, np.zeros((len(terms), 1)))
    weights = solver.solve(table, wanted, 10.0)

    def score(prompts: list[str]) -> Vector:
        found = solver.table([_terms(prompt) for prompt in prompts], factors, np.zeros((len(prompts), 1)))
        values: Vector = found.dot(weights)
        return values

    return score


def _terms(prompt: str) -> tuple[NDArray[np.int64], Vector]:
    found = features.terms(features.read(prompt))
    return np.fromiter(found, np.int64, len(found)), np.fromiter(found.values(), float, len(found))


def _litellm() -> Scores | None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    try:
        from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter
    except ImportError:
        return None
    nothing: Any = None  # classifying asks nothing of the router it belongs to
    router = ComplexityRouter("bench", nothing, derive_savings_baseline=False)
    return lambda _, prompts: np.array([router.classify(prompt)[1] for prompt in prompts])


def _print_table(table: dict[str, Any]) -> None:
    files = list(PAIRS)
    print(f"{'APGR':32} {'macro':>7} {'95 % interval':>16} {'least':>7}  " + " ".join(f"{file:>16}" for file in files))
    for name, found in sorted(table.items(), key=lambda item: -item[1]["macro"]):
        interval = f"[{found['low']:.3f}, {found['high']:.3f}]"
        each = " ".join(f"{found['each'][file]:16.3f}" for file in files)
        print(f"{name:32} {found['macro']:7.3f} {interval:>16} {found['least']:7.3f}  {each}")
    names = [name for name in next(iter(table.values()))["each"] if "/" in name]
    for name in names:
        print(
            f"{name:32} "
            + "  ".join(f"{router.split(',')[0][:14]} {table[router]['each'][name]:.3f}" for router in table)
        )


if __name__ == "__main__":
    main()
