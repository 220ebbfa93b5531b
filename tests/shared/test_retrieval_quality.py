"""Retrieval on real conversations with human labels: what the fusion promises."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.reference
def test_fusion_finds_the_evidence_and_beats_its_parts(
    shared: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(repository))
    bench = import_module("scripts.bench.retrieval")
    conversations = json.loads((shared / "data/memory/locomo.json").read_bytes())[:2]
    recall = bench.measure(conversations, 10)
    fusion = recall["z-score fusion, with neighbours"]
    assert fusion >= 0.70
    assert fusion == max(recall.values())
    assert fusion - recall["reciprocal rank fusion, without neighbours"] > 0.08
