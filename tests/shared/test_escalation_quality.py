"""Escalation on cascades of real models: what the score promises over all pairs of cheap models."""

from __future__ import annotations

from importlib import import_module
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from sophiactl.routing.escalation import escalation_score

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "floor", "least", "gain"), [("cascade-crux", 0.68, 0.60, 0.01), ("cascade-math-l5", 0.60, 0.53, 0.04)]
)
def test_two_cheap_answers_tell_when_the_strong_model_helps(
    shared: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, name: str, floor: float, least: float, gain: float
) -> None:
    monkeypatch.syspath_prepend(str(repository))
    bench = import_module("scripts.bench.escalation")
    rows = bench.read(shared / f"data/routing/{name}.jsonl")
    ours = [line["apgr"] for line in bench.measure(rows, escalation_score)]
    plain = [line["apgr"] for line in bench.measure(rows, bench.disagreement)]
    assert len(ours) >= 28
    assert mean(ours) >= floor
    assert min(ours) >= least
    assert mean(ours) - mean(plain) >= gain
