"""Recall kept after pruning, by what decides: the scores of `memory.worth` beside what others prune by.

    scripts/bench/prune.py [FILE ...] [--tools DIR] [--protocol random,chrono] [--prune 0.3,0.5,0.7] [--log retrieved]
                           [--output bench-results/prune.json]

FILE holds conversations with questions and the turns that hold their evidence; by default the development conversations
under SOPHIACTL_SHARED. Questions marked `log` were asked before pruning and make the access statistics; recall@10 of
those marked `test`, with fusion retrieval, is compared with that of the whole memory. Retrieval, statistics and recall
are `prune_bench.py`'s, imported from --tools; the vectors are those of the default embedder.

`through_store` measures the same with the store and the retriever of the program itself.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sophiactl.embedding.base import EmbeddingConfig
from sophiactl.embedding.engines import load_embedder
from sophiactl.memory.base import RetrievalConfig
from sophiactl.memory.index import searchable_text
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.retrieval import Retriever, searched
from sophiactl.memory.worth import keep_score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from sophiactl.embedding.base import Matrix, TextEmbedder
    from sophiactl.memory.base import Store
    from sophiactl.memory.worth import Model

    Scores = NDArray[np.float64]
    Policy = Callable[[Any], "Scores | set[str]"]

RANDOM_REPEATS = 5
RECENCY_DECAY = 0.995
"""An hour's factor on recency in Generative Agents (Park et al., 2023)."""


def main() -> None:
    """Measure and print."""
    shared = Path(os.environ.get("SOPHIACTL_SHARED", "../shared"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=[shared / "data/memory/locomo.json"])
    parser.add_argument("--tools", type=Path, default=shared / "tools")
    parser.add_argument("--protocol", default="random")
    parser.add_argument("--prune", default="0.3,0.5,0.7")
    parser.add_argument("--log", default="retrieved", choices=["retrieved", "cited"])
    parser.add_argument("--output", type=Path, default=Path("bench-results/prune.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        embedder = load_embedder(EmbeddingConfig(), Path(cache), bulk=True)
        tool = load_tool(options.tools)
        stores = [store for file in options.files for store in load(tool, file, embedder)]
    fractions = [float(part) for part in options.prune.split(",")]
    rows = [
        {"protocol": protocol, "log": options.log, "policy": name} | row
        for protocol in options.protocol.split(",")
        for name, row in table(tool, stores, fractions, protocol, options.log)
    ]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(rows, indent=1))


def load_tool(folder: Path) -> ModuleType:
    """The benchmark's own functions."""
    spec = importlib.util.spec_from_file_location("prune_bench", folder / "prune_bench.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"no prune_bench.py in {folder}: name its folder with --tools")
    tool = importlib.util.module_from_spec(spec)
    sys.modules["prune_bench"] = tool
    spec.loader.exec_module(tool)
    return tool


def load(tool: ModuleType, file: Path, embedder: TextEmbedder) -> list[dict[str, Any]]:
    """The conversations of a file as the benchmark holds them, with our vectors."""
    stores: list[dict[str, Any]] = json.loads(file.read_bytes())
    for store in stores:
        texts = [tool.doc_text(memory) for memory in store["memories"]]
        store["V"] = embedder.embed(texts)
        store["Q"] = embedder.embed([question["text"] for question in store["questions"]])
        store["bm"] = tool.BM25(texts)
        store["M"] = tool.score_matrices(store)
    return stores


def table(
    tool: ModuleType, stores: list[dict[str, Any]], fractions: Sequence[float], protocol: str, log: str
) -> list[tuple[str, dict[str, Any]]]:
    """Recall kept by each policy at each fraction, in percent with a 95 % interval; printed as it is found."""
    before = recall(tool, stores, None, protocol)
    print(f"\n{protocol}, {log}: {len(before)} questions, recall@10 before {np.mean(before):.3f}")
    print(f"{'policy':40}" + "".join(f"{f'{fraction:.0%} pruned':>26}" for fraction in fractions))
    views = [tool.make_store(store, protocol, log, retriever="fusion") for store in stores]
    rows = []
    for name, policy in POLICIES.items():
        kept = {fraction: after(tool, stores, views, policy, fraction, protocol) for fraction in fractions}
        cells = {f"{fraction:.2f}": interval(np.array(values), np.array(before)) for fraction, values in kept.items()}
        print(f"{name:40}" + "".join(f"{cell(*held):>26}" for held in cells.values()), flush=True)
        rows.append((name, {"kept": cells}))
    flagged = [draft_rule(view) for view in views]
    share = sum(map(len, flagged)) / sum(len(view.memories) for view in views)
    values = recall(tool, stores, flagged, protocol)
    held = interval(np.array(values), np.array(before))
    print(f"{'the first draft: one fixed cut':40}{cell(*held):>26}  at {1 - share:.1%} pruned", flush=True)
    return [*rows, ("the first draft", {"pruned": 1 - share, "kept": {"fixed": held}})]


def after(
    tool: ModuleType, stores: list[dict[str, Any]], views: list[Any], policy: Policy, fraction: float, protocol: str
) -> list[float]:
    """Recall of each test question once the policy has pruned; a random policy is repeated and averaged."""
    runs = [
        recall(tool, stores, [tool.apply_policy(seeded(policy, seed), view, fraction) for view in views], protocol)
        for seed in range(RANDOM_REPEATS if policy is by_chance else 1)
    ]
    return [float(value) for value in np.mean(runs, axis=0)]


def seeded(policy: Policy, seed: int) -> Policy:
    """The policy; chance gets another seed each time."""
    return (lambda store: np.random.default_rng(seed).random(len(store.memories))) if policy is by_chance else policy


def recall(tool: ModuleType, stores: list[dict[str, Any]], kept: list[set[str]] | None, protocol: str) -> list[float]:
    """Recall@10 of every test question, with fusion."""
    return [
        value
        for place, store in enumerate(stores)
        for value in tool.evaluate(store, None if kept is None else kept[place], protocol, "fusion")[0]
    ]


def interval(values: Scores, before: Scores) -> tuple[float, float, float]:
    """Recall kept in percent, and the 95 % interval of a bootstrap over questions."""
    rng = np.random.default_rng(1)
    drawn = [rng.integers(0, len(values), len(values)) for _ in range(400)]
    ratios = [values[part].mean() / before[part].mean() for part in drawn]
    low, high = np.percentile(ratios, [2.5, 97.5])
    return round(100 * values.mean() / before.mean(), 1), round(100 * float(low), 1), round(100 * float(high), 1)


def cell(value: float, low: float, high: float) -> str:
    """One figure with its interval."""
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def worth(model: Model) -> Policy:
    """The score of a memory's content, beside the turn before it in the same session."""

    def scores(store: Any) -> Scores:
        turns = store.memories
        before = [None, *turns]
        return np.array(
            [
                keep_score(
                    turn["text"],
                    author=turn["speaker"],
                    previous=near["text"] if near and near["session"] == turn["session"] else None,
                    model=model,
                )
                for turn, near in zip(turns, before, strict=False)
            ]
        )

    return scores


def by_chance(store: Any) -> Scores:
    """Nothing decides; replaced by `seeded`."""
    return np.zeros(len(store.memories))


def first_in_first_out(store: Any) -> Scores:
    """The oldest go."""
    return np.array([_hours(turn["created_at"]) for turn in store.memories])


def least_recently_used(store: Any) -> Scores:
    """Those go that were not retrieved for longest; never retrieved counts as last used when written."""
    return np.array([_hours(turn["last_accessed"] or turn["created_at"]) for turn in store.memories])


def least_frequently_used(store: Any) -> Scores:
    """Those go that were retrieved least often."""
    return np.array([float(turn["access_count"]) for turn in store.memories])


def recency_importance_relevance(store: Any) -> Scores:
    """Generative Agents: recency, importance and relevance to what was asked, each scaled to 0-1, summed.

    Importance is a language model's rating there; the density score stands in for it.
    """
    idle = _hours(store.now) - least_recently_used(store)
    relevance = (
        np.zeros(len(store.memories)) if store.log_vectors is None else (store.vectors @ store.log_vectors.T).max(1)
    )
    parts = (RECENCY_DECAY**idle, worth("density")(store), relevance)
    total: Scores = np.sum([_scaled(np.asarray(part, np.float64)) for part in parts], axis=0)
    return total


def forgetting_curve(store: Any) -> Scores:
    """Ebbinghaus, as in MemoryBank: exp(-days idle / strength), the strength one more with every retrieval."""
    days = (_hours(store.now) - least_recently_used(store)) / 24
    strength = 1 + least_frequently_used(store)
    left: Scores = np.exp(-days / strength)
    return left


def longest(store: Any) -> Scores:
    """The shortest go."""
    return np.array([float(len(turn["text"])) for turn in store.memories])


def least_repeated(store: Any) -> Scores:
    """Those go that are most like an earlier one."""
    likeness = store.vectors @ store.vectors.T
    earlier = np.tril(likeness, -1)
    return -np.asarray(earlier.max(1), np.float64)


def draft_rule(store: Any) -> set[str]:
    """The first draft of this project: out with `access_count < 5 or stale for 30 days or relevance < 0.3`."""
    idle = _hours(store.now) - least_recently_used(store)
    relevance = np.zeros(len(idle)) if store.log_vectors is None else (store.vectors @ store.log_vectors.T).max(1)
    return {
        turn["id"]
        for turn, hours, near in zip(store.memories, idle, relevance, strict=True)
        if turn["access_count"] >= 5 and hours <= 30 * 24 and near >= 0.3
    }


def _hours(moment: str) -> float:
    return datetime.fromisoformat(moment + ("" if moment.endswith("Z") else "Z")).timestamp() / 3600


def _scaled(values: Scores) -> Scores:
    spread = float(np.ptp(values))
    scaled: Scores = (values - values.min()) / (spread or 1.0)
    return scaled


POLICIES: dict[str, Policy] = {
    "worth: learned": worth("learned"),
    "worth: density": worth("density"),
    "chance": by_chance,
    "age (FIFO)": first_in_first_out,
    "last use (LRU)": least_recently_used,
    "use count (LFU)": least_frequently_used,
    "recency + importance + relevance": recency_importance_relevance,
    "forgetting curve (MemoryBank)": forgetting_curve,
    "length": longest,
    "near-duplicates first": least_repeated,
}


def through_store(
    conversations: list[dict[str, Any]],
    embedder: TextEmbedder,
    policies: dict[str, Policy],
    fractions: Sequence[float],
) -> dict[str, dict[float, float]]:
    """Recall@10 with the program's own store and retriever, before (0) and after deleting each fraction of it."""
    from scripts.bench.retrieval import fill, record

    steps = (0.0, *sorted(fractions))
    found: dict[str, dict[float, list[float]]] = {name: {step: [] for step in steps} for name in policies}
    with tempfile.TemporaryDirectory() as folder:
        for conversation in conversations:
            records = [record(memory) for memory in conversation["memories"]]
            vectors = embedder.embed([searchable_text(item) for item in records])
            questions = [q for q in conversation["questions"] if q["random"] == "test" and q["category"] <= 4]
            asked = embedder.embed([question["text"] for question in questions])
            for number, (name, policy) in enumerate(policies.items()):
                view = SimpleNamespace(memories=conversation["memories"], vectors=vectors)
                worst = np.argsort(np.asarray(policy(view)), kind="stable")
                home = Path(folder) / str(number)
                with fill(home, conversation["store"], embedder, records, vectors, neighbours=True) as store:
                    for step in steps:
                        store.delete([records[place].id for place in worst[: round(step * len(records))]])
                        found[name][step] += recall_through(store, questions, asked)
    return {name: {step: float(np.mean(values)) for step, values in kept.items()} for name, kept in found.items()}


def recall_through(store: Store, questions: list[dict[str, Any]], asked: Matrix) -> list[float]:
    """Share of each question's evidence among the ten records that a search finds."""
    retriever = Retriever(store, Lexicon.of(store.schema), RetrievalConfig())
    values = []
    for question, vector in zip(questions, asked, strict=True):
        top = {item.id for item in retriever.rank(question["text"], vector, 10, searched())}
        values.append(sum(name in top for name in question["evidence"]) / len(question["evidence"]))
    return values


if __name__ == "__main__":
    main()
