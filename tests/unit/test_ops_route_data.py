"""The router on rows of own traffic: scored, measured, taught and calibrated through files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import InputError, NotFound, UsageError
from sophiactl.ops.route_data import calibrate_rows, evaluate_rows, score_rows, train_rows
from sophiactl.routing.artifact import load
from sophiactl.routing.config import RoutingConfig
from sophiactl.routing.escalation import escalation_score

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.wiring import Wiring


def lines(rows: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(row).encode() for row in rows]


def labelled(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Prompts about tides, where the strong model is better, and about trains, where it is not."""
    rows = []
    for number in range(start, start + count):
        hard = number % 2 == 0
        prompt = (
            f"Explain tide table {number} of the harbour." if hard else f"Explain train table {number} of the station."
        )
        rows.append({"prompt": prompt, "weak_score": 0.1 if hard else 0.9, "strong_score": 0.9})
    return rows


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_bytes(b"\n".join(lines(rows)))
    return str(path)


def with_artifact(make: Callable[..., Wiring], artifact: str) -> Wiring:
    return make(routing=RoutingConfig(artifact=artifact))


def test_scores_come_in_the_order_of_the_rows_with_their_ids(wiring: Wiring) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt": "Hi"},
        {"prompt": "Prove it in 12 steps.", "id": "b"},
        {"prompt": "Hi", "id": 3},
    ]
    scores = list(score_rows(lines(rows), "rows", wiring))
    assert [row.get("id") for row in scores] == [None, "b", 3]
    assert scores[0]["score"] == scores[2]["score"] != scores[1]["score"]
    assert all(0 <= float(row["score"]) <= 1 for row in scores)


def test_rows_with_outputs_get_the_escalation_score(wiring: Wiring) -> None:
    outputs = ["The answer is 4.", "The answer is 5."]
    (found,) = score_rows(lines([{"prompt": "2 + 2?", "outputs": outputs}]), "rows", wiring)
    assert found["score"] == escalation_score("2 + 2?", outputs, wiring.models.scorer.score("2 + 2?"))


def test_a_bad_row_is_named_by_its_line(wiring: Wiring) -> None:
    with pytest.raises(InputError, match="rows, line 3"):
        list(score_rows([b'{"prompt": "a"}', b"", b'{"prompt": 7}'], "rows", wiring))


def test_own_labels_teach_what_the_prior_cannot_know(
    wiring: Wiring, make_wiring: Callable[..., Wiring], tmp_path: Path
) -> None:
    made = train_rows(written(tmp_path / "own.jsonl", labelled(200)), str(tmp_path / "own.route"), wiring)
    assert made.rows == 200
    fresh = lines(labelled(100, start=500))
    before = evaluate_rows(fresh, "fresh", wiring).whole
    after = evaluate_rows(fresh, "fresh", with_artifact(make_wiring, made.path)).whole
    assert before.apgr is not None
    assert before.oracle is not None
    assert after.apgr == pytest.approx(before.oracle, abs=0.01)
    assert before.apgr < 0.9 * before.oracle


def test_an_artifact_remembers_its_file_and_not_its_words(wiring: Wiring, tmp_path: Path) -> None:
    made = train_rows(written(tmp_path / "own.jsonl", labelled(60)), str(tmp_path / "own.route"), wiring)
    source = load(tmp_path / "own.route").header.sources[-1]
    assert (source.name, source.rows, len(source.sha256)) == ("own.jsonl", 60, 64)
    assert made.artifact.startswith("own@")
    assert b"harbour" not in (tmp_path / "own.route").read_bytes()


def test_a_wanted_share_needs_no_labels_and_is_hit(
    wiring: Wiring, make_wiring: Callable[..., Wiring], tmp_path: Path
) -> None:
    prompts = [
        {"prompt": f"{'Prove ' * (number % 17)} that number {number} holds in {number % 29} steps."}
        for number in range(600)
    ]
    made = calibrate_rows(
        written(tmp_path / "p.jsonl", prompts), str(tmp_path / "c.route"), wiring, strong_share=0.25, quality=None
    )
    assert made.premium_share == pytest.approx(0.25, abs=0.02)
    premium = with_artifact(make_wiring, made.path).models.scale.thresholds.premium
    assert premium == made.thresholds.premium
    assert made.artifact.startswith("c@")
    assert made.artifact != wiring.models.scorer.artifact


def test_a_quality_floor_is_kept_on_the_rows_it_was_set_on(wiring: Wiring, tmp_path: Path) -> None:
    file = written(tmp_path / "own.jsonl", labelled(200))
    made = calibrate_rows(file, str(tmp_path / "q.route"), wiring, strong_share=None, quality=0.9)
    rows = labelled(200)
    scores = [wiring.models.scorer.score(row["prompt"]) for row in rows]
    kept = [
        row["strong_score"] if score >= made.thresholds.premium else row["weak_score"]
        for row, score in zip(rows, scores, strict=True)
    ]
    assert sum(kept) >= 0.9 * sum(row["strong_score"] for row in rows)


@pytest.mark.parametrize(("share", "quality"), [(None, None), (0.2, 0.9)])
def test_share_or_quality_but_not_both(
    wiring: Wiring, tmp_path: Path, share: float | None, quality: float | None
) -> None:
    file = written(tmp_path / "own.jsonl", labelled(30))
    with pytest.raises(UsageError):
        calibrate_rows(file, str(tmp_path / "x.route"), wiring, strong_share=share, quality=quality)


def test_a_missing_file_and_an_empty_one(wiring: Wiring, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        train_rows(str(tmp_path / "none.jsonl"), str(tmp_path / "x.route"), wiring)
    with pytest.raises(UsageError):
        evaluate_rows([], "empty", wiring)
    assert not (tmp_path / "x.route").exists()
