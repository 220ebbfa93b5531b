"""The promise of pruning, on real conversations with human labels: half of a memory goes, what is asked for stays."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.embedding.base import TextEmbedder


@pytest.fixture(scope="module")
def bench(repository: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(repository))
        return import_module("scripts.bench.prune")


@pytest.fixture(scope="module")
def rows(bench: Any, shared: Path, embedder: TextEmbedder) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Percent of recall@10 kept, with its interval, by policy and fraction pruned."""
    tool = bench.load_tool(shared / "tools")
    stores = bench.load(tool, shared / "data/memory/locomo.json", embedder)
    found = bench.table(tool, stores, (0.3, 0.5, 0.7), "random", "retrieved")
    return {name: row["kept"] for name, row in found}


@pytest.mark.reference
def test_half_goes_and_what_is_asked_for_stays(rows: dict[str, dict[str, tuple[float, float, float]]]) -> None:
    learned, density = rows["worth: learned"], rows["worth: density"]
    assert learned["0.50"][0] >= 97
    assert learned["0.50"][1] >= 92
    assert density["0.50"][0] >= 96
    assert learned["0.70"][0] >= 84


@pytest.mark.reference
def test_content_decides_better_than_anything_else(rows: dict[str, dict[str, tuple[float, float, float]]]) -> None:
    ours = {"worth: learned", "worth: density"}
    for fraction in ("0.30", "0.50", "0.70"):
        best = max(kept[fraction][0] for name, kept in rows.items() if name not in ours and fraction in kept)
        assert min(rows[name][fraction][0] for name in ours) > best
    assert rows["chance"]["0.50"][0] < 60
    assert rows["the first draft"]["fixed"][0] < 30


@pytest.mark.reference
def test_the_store_itself_keeps_what_the_benchmark_says(bench: Any, shared: Path, embedder: TextEmbedder) -> None:
    conversations = json.loads((shared / "data/memory/locomo.json").read_bytes())
    policies = {"learned": bench.worth("learned")}
    kept = bench.through_store(conversations, embedder, policies, (0.5,))["learned"]
    assert kept[0.0] >= 0.70
    assert kept[0.5] >= 0.97 * kept[0.0]
