"""What every engine of the registry promises, on the real model."""

from __future__ import annotations

import builtins
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.embedding.base import EmbeddingConfig, TextEmbedder
from sophiactl.embedding.engines import load_embedder, model_info
from sophiactl.errors import ExtraMissing
from sophiactl.registry import ENGINES, load

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    "How do I undo a prune?",
    "Every apply archives first, and a restore only inserts what is missing.",
    "東京の会議は火曜日です。",
    "Größe, naïve, 🦉 and العربية",
    "",
    "   \n\t ",
    "nul \0 and a lone \ud800 surrogate",
    "long " * 2000,
    *(f"Note {number}: the renewal of customer {number} is due in week {number % 52}." for number in range(60)),
]
# Components of vectors of 384 numbers are about 0.05; bfloat16 rounds differently in other batch shapes.
TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=sorted(ENGINES))
def embedder(request: pytest.FixtureRequest, cache: Path) -> TextEmbedder:
    if request.param == "openvino" and find_spec("openvino") is None:
        pytest.skip("the extra openvino is not installed")
    return load_embedder(EmbeddingConfig(engine=request.param), cache)


def cosines(left: Any, right: Any) -> Any:
    return (left * right).sum(axis=1)


def test_it_is_the_registered_class_and_says_what_it_is(embedder: TextEmbedder, cache: Path) -> None:
    assert isinstance(embedder, TextEmbedder)
    assert type(embedder) is load(ENGINES, embedder.engine, "embedding engine")
    assert embedder.info == model_info(EmbeddingConfig(), cache)


def test_vectors_are_float32_of_length_one(embedder: TextEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.info.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def test_no_text_gives_no_row(embedder: TextEmbedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.info.dimension)
    assert embedder.count_tokens([]) == []


def test_the_same_texts_give_the_same_vectors(embedder: TextEmbedder) -> None:
    np.testing.assert_array_equal(embedder.embed(TEXTS), embedder.embed(TEXTS))


def test_neighbours_in_a_batch_do_not_matter(embedder: TextEmbedder) -> None:
    together = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    assert cosines(together, alone).min() >= 1 - TOLERANCE


def test_order_does_not_matter(embedder: TextEmbedder) -> None:
    order = np.random.default_rng(3).permutation(len(TEXTS))
    shuffled = embedder.embed([TEXTS[index] for index in order])
    assert cosines(shuffled, embedder.embed(TEXTS)[order]).min() >= 1 - TOLERANCE


def test_a_result_is_not_overwritten_by_the_next_call(embedder: TextEmbedder) -> None:
    first = embedder.embed(["one text"])
    kept = first.copy()
    embedder.embed(["another one"])
    np.testing.assert_array_equal(first, kept)


def test_a_long_text_is_cut_at_the_models_length(embedder: TextEmbedder) -> None:
    limit = embedder.info.max_tokens - 2
    longer, cut = embedder.embed(["word " * 3000, "word " * limit])
    assert longer @ cut >= 1 - TOLERANCE
    assert embedder.count_tokens(["word " * 3000]) == [3000]


def test_likeness_is_of_meaning(embedder: TextEmbedder) -> None:
    near, other, far = embedder.embed(
        ["The cat sleeps on the sofa.", "A kitten naps on the couch.", "Interest rates rose."]
    )
    assert near @ other > near @ far + 0.3


def test_threads_may_share_an_embedder(embedder: TextEmbedder) -> None:
    wanted = embedder.embed(TEXTS[:20])
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(embedder.embed(TEXTS[:20]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(cosines(vectors, wanted).min() >= 1 - TOLERANCE for vectors in found)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(codec=None, exclude_categories=()), max_size=80), max_size=6))
def test_any_text_is_embedded(embedder: TextEmbedder, texts: list[str]) -> None:
    vectors = embedder.embed(texts)
    assert vectors.shape == (len(texts), embedder.info.dimension)
    assert np.isfinite(vectors).all()


def test_a_cache_that_cannot_be_written_changes_nothing(embedder: TextEmbedder, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be", encoding="utf-8")
    other = load_embedder(
        msgspec.structs.replace(EmbeddingConfig(), engine=embedder.engine), tmp_path / "blocked" / "cache"
    )
    assert cosines(other.embed(TEXTS[:4]), embedder.embed(TEXTS[:4])).min() >= 1 - TOLERANCE


def test_engines_agree(cache: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    left, right = (load_embedder(EmbeddingConfig(engine=name), cache).embed(TEXTS) for name in ("onnx", "openvino"))
    assert cosines(left, right).min() >= 0.999


def test_openvino_does_not_pin_its_threads(cache: Path) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    embedder: Any = load_embedder(EmbeddingConfig(engine="openvino", threads=1), cache)
    assert embedder._compiled.get_property("ENABLE_CPU_PINNING") is False
    assert embedder._compiled.get_property("INFERENCE_NUM_THREADS") == 1


def test_a_missing_openvino_names_its_extra(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "openvino":
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraMissing) as caught:
        load_embedder(EmbeddingConfig(engine="openvino"), cache)
    assert caught.value.hint == "pip install 'sophiactl[openvino]'"


def test_openvino_runs_once_alone_before_its_threads_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that call the binding first at the same moment have been seen to wait for each other for ever."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    from sophiactl.embedding.openvino_text import OpenVinoTextEmbedder

    ran: list[int] = []
    warm_up = OpenVinoTextEmbedder._warm_up

    def noted(embedder: OpenVinoTextEmbedder) -> None:
        warm_up(embedder)
        ran.append(threading.get_ident())

    monkeypatch.setattr(OpenVinoTextEmbedder, "_warm_up", noted)
    load_embedder(EmbeddingConfig(engine="openvino"), cache)
    assert ran == [threading.get_ident()]
