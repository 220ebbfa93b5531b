"""Training on own labels: it learns, a few labels do no harm, and rows that teach nothing are refused."""

from __future__ import annotations

import itertools
import tracemalloc
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sophiactl.errors import InputError, UsageError
from sophiactl.routing import artifact as artifacts
from sophiactl.routing import features, rows, solver, training
from sophiactl.routing.evaluation import evaluate
from sophiactl.routing.prior import prior
from sophiactl.routing.rows import Labelled
from sophiactl.routing.score import LearnedScorer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sophiactl.routing.artifact import Artifact

HARD = ["renewal", "indemnity", "covenant", "escrow", "warranty", "lien", "novation"]
PLAIN = ["lunch", "printer", "parking", "holiday", "badge", "coffee", "elevator"]


def _traffic(count: int, seed: int) -> list[Labelled]:
    """The strong model is worth it where the words are those of contracts; length says nothing."""
    random = Random(seed)
    made = []
    for _ in range(count):
        hard = random.random() < 0.4
        words = random.choices(HARD if hard else PLAIN, k=3) + random.choices(["please", "tell", "about", "our"], k=4)
        random.shuffle(words)
        made.append(Labelled(" ".join(words), float(random.random() > (0.8 if hard else 0.1)), 1.0))
    return made


def _trained(labels: list[Labelled]) -> Artifact:
    return training.train(labels, prior(), name="own", created="2026-01-01T00:00:00Z")


def _apgr(artifact: Artifact, labels: list[Labelled]) -> float:
    scorer = LearnedScorer(artifact)
    found = evaluate(labels, [scorer.score(row.prompt) for row in labels]).apgr
    assert found is not None
    return found


def test_words_of_own_traffic_are_learned_and_survive_the_file(tmp_path: Path) -> None:
    fresh = _traffic(600, 1)
    own = _trained(_traffic(300, 0))
    before, after = _apgr(prior(), fresh), _apgr(own, fresh)
    assert after > 0.68 > before + 0.1
    artifacts.save(own, tmp_path / "own.route")
    again = artifacts.load(tmp_path / "own.route")
    assert _apgr(again, fresh) == after
    assert again.label == "own@1"
    assert again.header.settings["rows"] == 300
    assert again.header.settings["prior"] == "prior@1"
    assert (tmp_path / "own.route").stat().st_size < 400_000
    assert b"escrow" not in (tmp_path / "own.route").read_bytes()


def test_scores_of_own_traffic_fill_the_scale() -> None:
    own = _trained(_traffic(300, 0))
    scorer = LearnedScorer(own)
    scores = [scorer.score(row.prompt) for row in _traffic(500, 2)]
    borders = own.header.calibration.deciles
    for part, border in enumerate(borders, 1):
        assert sum(score < border for score in scores) / len(scores) == pytest.approx(part / 10, abs=0.12)


def test_the_same_rows_give_the_same_bytes() -> None:
    labels = _traffic(60, 4)
    assert artifacts.dump(_trained(labels)) == artifacts.dump(_trained(labels))


def test_labels_without_a_pattern_leave_the_prior_in_charge() -> None:
    random = Random(5)
    labels = [Labelled(row.prompt, float(random.random() > 0.5), 1.0) for row in _traffic(30, 5)]
    prompts = ["hi", "What is 2+2?", "Compare 3 pension plans over 30 years at 2.5 % and derive the cheapest. " * 4]
    own = LearnedScorer(_trained(labels))
    scores = [own.score(prompt) for prompt in prompts]
    assert scores == sorted(scores)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ([], "holds no rows"),
        ([Labelled("p", 0, 1)] * 5, "too few"),
        ([Labelled(f"p {index}", 0, 1) for index in range(50)], "same gain"),
    ],
)
def test_rows_that_teach_nothing_are_refused(labels: list[Labelled], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        _trained(labels)
    assert caught.value.hint


def test_a_bad_line_stops_training_and_is_named() -> None:
    lines = [b'{"prompt": "p", "weak_score": 0, "strong_score": 1}'] * 30 + [b'{"prompt": "p", "weak_score": NaN}']
    with pytest.raises(InputError, match=r"rows\.jsonl, line 31"):
        training.train(rows.labelled(lines, "rows.jsonl"), prior(), name="own", created="")


@pytest.mark.parametrize("prompt", ["", "\u200b" * 50, "\x00\x01", "\ud800", "12345"])
def test_odd_prompts_can_be_trained_on(prompt: str) -> None:
    labels = _traffic(40, 6) + [Labelled(prompt, 0.0, 1.0)] * 5
    assert 0 <= LearnedScorer(_trained(labels)).score(prompt) <= 1


def test_a_long_file_is_read_in_bounded_memory() -> None:
    def endless() -> Iterator[Labelled]:
        base = _traffic(200, 7)
        return itertools.islice(itertools.cycle(base), 60_000)

    tracemalloc.start()
    seen = training.sample(endless(), most=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen.rows == 60_000
    assert len(seen.gains) == len(seen.terms) == len(seen.form) == 100
    assert peak < 3_000_000


def test_the_sample_of_a_long_file_is_even() -> None:
    labels = [Labelled(str(index), 0.0, float(index)) for index in range(4_000)]
    kept = training.sample(labels, most=400).gains
    assert len(set(kept.tolist())) == 400
    assert np.mean(kept) == pytest.approx(2_000, abs=250)


# The solver


def _table(count: int, seed: int) -> tuple[solver.Table, np.ndarray]:
    random = np.random.default_rng(seed)
    sizes = random.integers(0, 9, count)
    terms = [(random.choice(features.BUCKETS, size, replace=False), random.random(size)) for size in sizes]
    return solver.table(terms, np.ones(features.BUCKETS), random.normal(size=(count, 3))), random.normal(size=count)


def _dense(rows_: solver.Table) -> np.ndarray:
    full = np.zeros((len(rows_.dense), features.BUCKETS + rows_.dense.shape[1]))
    for index, row in enumerate(full):
        part = slice(int(rows_.starts[index]), int(rows_.starts[index + 1]))
        row[rows_.buckets[part]] = rows_.values[part]
    full[:, features.BUCKETS :] = rows_.dense
    return full


def test_products_are_those_of_the_dense_matrix() -> None:
    table, wanted = _table(12, 0)
    dense = _dense(table)
    weights = np.random.default_rng(1).normal(size=(dense.shape[1],))
    assert np.allclose(table.dot(weights), dense @ weights)
    assert np.allclose(table.spread(wanted), dense.T @ wanted)
    assert np.allclose(solver.gram(table), dense @ dense.T)
    assert np.allclose(_dense(table.head(5)), dense[:5])


def test_the_solution_is_the_ridge_and_the_left_out_error_exact() -> None:
    table, wanted = _table(40, 2)
    dense = _dense(table)
    strength, left_out = solver.choose_ridge(table, wanted)
    found = solver.solve(table, wanted, strength)
    centred = wanted - wanted.mean()
    exact = dense.T @ np.linalg.solve(dense @ dense.T + strength * np.eye(40), centred)
    assert np.allclose(found, exact, atol=1e-4)
    without = np.delete(np.arange(40), 7)
    kernel = dense[without] @ dense[without].T + strength * np.eye(39)
    apart = dense[7] @ dense[without].T @ np.linalg.solve(kernel, wanted[without] - wanted.mean()) + wanted.mean()
    assert left_out[7] == pytest.approx(apart, abs=0.15)
