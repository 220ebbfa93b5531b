"""The router on real benchmarks, with room for chance; and agreement with the shared scorer."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sophiactl.routing import calibration, prior, training
from sophiactl.routing.evaluation import evaluate
from sophiactl.routing.rows import Labelled
from sophiactl.routing.score import LearnedScorer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def bench(repository: Path) -> Any:
    sys.path.insert(0, str(repository))
    try:
        return import_module("scripts.bench.router")
    finally:
        sys.path.remove(str(repository))


@pytest.fixture(scope="module")
def rows(shared: Path, bench: Any) -> dict[str, list[dict[str, Any]]]:
    folder = shared / "data/routing"
    if not folder.is_dir():
        pytest.skip("no routing data: set SOPHIACTL_SHARED")
    found: dict[str, list[dict[str, Any]]] = bench.train_router.read_rows(folder)
    return found


def test_the_shipped_files_are_what_the_script_makes(
    shared: Path, rows: dict[str, list[dict[str, Any]]], bench: Any
) -> None:
    trainer = bench.train_router
    assert trainer.word_ranks() == (prior.PRIOR.parent / "words.bin").read_bytes()
    made = trainer.build(rows, trainer.sources(shared / "data/routing"))
    assert made.header.sources == prior.prior().header.sources
    assert np.allclose(made.weights, prior.prior().weights, atol=1e-5)
    assert np.allclose(made.header.calibration.deciles, prior.prior().header.calibration.deciles, atol=1e-3)


def test_no_prompt_is_inside_what_ships(rows: dict[str, list[dict[str, Any]]]) -> None:
    shipped = b"".join(file.read_bytes() for file in prior.PRIOR.parent.iterdir())
    for row in [row for part in rows.values() for row in part][::20]:
        assert row["prompt"][:40].encode() not in shipped


def test_without_labels_ours_is_first_on_benchmarks_it_has_not_seen(
    rows: dict[str, list[dict[str, Any]]], bench: Any
) -> None:
    table = bench.zero_labels(rows, draws=20)
    ours = table.pop("ours, other benchmarks")
    assert ours["macro"] >= 0.53
    assert ours["least"] >= 0.47
    for name, other in table.items():
        assert ours["macro"] > other["macro"] + 0.01, name


def test_own_labels_raise_it(rows: dict[str, list[dict[str, Any]]], bench: Any) -> None:
    part = {name: rows[name] for name in ("ulab", "zeroeval-math-l5")}
    start = {name: bench.train_router.build({k: v for k, v in rows.items() if k != name}, ()) for name in part}
    outcomes = [
        bench._one_draw(members, name, start[name], 400, seed) for name, members in part.items() for seed in (0, 1)
    ]
    zero, own = np.mean(outcomes, axis=0)
    assert own - zero > 0.03


def test_the_share_asked_for_is_hit_on_fresh_rows(rows: dict[str, list[dict[str, Any]]]) -> None:
    scorer = prior.scorer()
    missed = []
    for part in (rows["ulab"], rows["mmlu-pro"][:3_000]):
        scores = np.array([scorer.score(row["prompt"]) for row in part])
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(len(scores))
            known, fresh = scores[order[:500]].tolist(), scores[order[500:]].tolist()
            for share in (0.1, 0.3, 0.5, 0.7):
                threshold = calibration.for_share(known, share).premium
                missed.append(abs(calibration.share_above(fresh, threshold) - share))
    # The quantile of 500 draws itself strays by up to 2.2 points (one standard error).
    assert np.mean(missed) < 0.02
    assert np.mean(np.array(missed) <= 0.03) >= 0.7


def test_the_measures_agree_with_the_shared_scorer(
    shared: Path, rows: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    tool = shared / "tools/score_router.py"
    if not tool.is_file():
        pytest.skip("no shared scorer: set SOPHIACTL_SHARED")
    part = rows["zeroeval-crux"]
    weak, strong = "Meta-Llama-3.1-8B-Instruct", "gpt-4o-2024-08-06"
    random = np.random.default_rng(0)
    labels = [
        Labelled(row["prompt"], row["scores"][weak], row["scores"][strong], *sorted(random.random(2).tolist()))
        for row in part
    ]
    for digits in (17, 1):  # without and with many equal scores
        scores = [round(prior.scorer().score(row.prompt), digits) for row in labels]
        theirs = _shared_scorer(tool, tmp_path, labels, scores)
        ours = evaluate(labels, scores)
        pairs = {"apgr": ours.apgr, "apgr10": ours.apgr10, "cpt50": ours.cpt50, "cpt80": ours.cpt80}
        pairs |= {"calls95": ours.calls95, "save95": ours.saved95, "oracle_apgr": ours.oracle, "weak": ours.weak}
        for name, value in pairs.items():
            assert value == pytest.approx(theirs[name], abs=1e-6), name


def _shared_scorer(tool: Path, folder: Path, labels: list[Labelled], scores: list[float]) -> dict[str, float]:
    keys = ("prompt", "weak_score", "strong_score", "weak_cost", "strong_cost")
    lines = [json.dumps({key: getattr(row, key) for key in keys}) for row in labels]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    (folder / "scores").write_text("\n".join(map(repr, scores)))
    arguments = [str(tool), str(folder / "rows.jsonl"), str(folder / "scores"), "--json", "--boot", "0"]
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(result.stdout)["all"]
    return found


def test_a_trained_artifact_scores_real_prompts_fast(rows: dict[str, list[dict[str, Any]]], bench: Any) -> None:
    costs = bench.decision_cost({name: part[::5] for name, part in rows.items()})
    assert costs["prior p50"] <= 1
    assert costs["own p50"] <= 1
    assert costs["own p99"] <= 3
    labels = bench._labelled(rows["ulab"][:200], "ulab")
    own = training.train(labels, prior.prior(), name="own", created="")
    assert LearnedScorer(own).score(labels[0].prompt) != prior.scorer().score(labels[0].prompt)
