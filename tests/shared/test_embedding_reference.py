"""Every engine against sentence-transformers on 500 real texts."""

from __future__ import annotations

import json
import os
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from sophiactl.embedding.base import EmbeddingConfig
from sophiactl.embedding.engines import load_embedder
from sophiactl.embedding.weights import locate
from sophiactl.registry import ENGINES

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.reference
COUNT, NEIGHBOURS = 500, 10


def turns(shared: Path) -> Iterator[str]:
    file = shared / "data" / "memory" / "locomo.json"
    if file.is_file():
        for store in json.loads(file.read_text(encoding="utf-8")):
            yield from (turn["text"] for turn in store["memories"])


def paragraphs(folders: list[Path], pattern: str) -> Iterator[str]:
    for folder in folders:
        for path in sorted(folder.glob(pattern)):
            yield from re.split(r"\n\s*\n", path.read_text(encoding="utf-8", errors="replace"))


def spread(texts: Iterator[str], count: int) -> list[str]:
    kept = [text for text in dict.fromkeys(text.strip() for text in texts) if len(text) > 20]
    return kept[:: max(1, len(kept) // count)][:count]


@pytest.fixture(scope="module")
def texts(repository: Path) -> list[str]:
    """Dialogue turns, the repository's own documents, and, to fill up, the metadata of installed packages."""
    shared = Path(os.environ.get("SOPHIACTL_SHARED") or repository.parent / "shared")
    chosen = spread(turns(shared), COUNT * 3 // 5) + spread(paragraphs([repository], "**/[A-Z]*.md"), COUNT // 5)
    installed = paragraphs([Path(np.__file__).parents[1]], "*.dist-info/METADATA")
    return (chosen + spread(installed, COUNT - len(chosen)))[:COUNT]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def reference(texts: list[str], cache: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch and transformers, not ours
        try:
            from sentence_transformers import SentenceTransformer
        except (ImportError, OSError) as error:  # OSError: a build of torch for graphics cards, without their libraries
            pytest.skip(f"the reference implementation does not load: {error}")
        model = SentenceTransformer(str(locate(EmbeddingConfig(), cache).path), device="cpu")
        return model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_vectors_are_those_of_the_reference(engine: str, texts: list[str], reference: Any, cache: Path) -> None:
    if engine == "openvino" and find_spec("openvino") is None:
        pytest.skip("the extra openvino is not installed")
    assert len(texts) == COUNT
    vectors = load_embedder(msgspec.structs.replace(EmbeddingConfig(), engine=engine), cache).embed(texts)
    assert (vectors * reference).sum(axis=1).min() >= 0.999
    shares = [len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(nearest(vectors), nearest(reference), strict=True)]
    assert np.mean(shares) >= 0.99


def nearest(vectors: Any) -> Any:
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    return np.argpartition(-scores, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
