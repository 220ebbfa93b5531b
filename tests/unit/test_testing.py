"""The embedder that tests use keeps the contract of a real one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.embedding.base import TextEmbedder
from sophiactl.testing import HashingEmbedder


def test_it_is_a_text_embedder() -> None:
    assert isinstance(HashingEmbedder(), TextEmbedder)


@given(st.lists(st.text(), max_size=5))
def test_vectors_are_unit_finite_and_repeatable(texts: list[str]) -> None:
    vectors = HashingEmbedder().embed(texts)
    assert vectors.shape == (len(texts), 32)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors, HashingEmbedder().embed(texts))


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_vector_does_not_depend_on_its_batch(texts: list[str]) -> None:
    embedder = HashingEmbedder()
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert np.array_equal(embedder.embed(texts), alone)


def test_texts_that_share_words_are_near() -> None:
    near, question, far = HashingEmbedder(dimension=256).embed(
        ["the renewal of Acme is at risk", "which renewal is at risk?", "parsley grows well beside tomatoes"]
    )
    assert question @ near > 0.5
    assert abs(question @ far) < 0.3


@pytest.mark.parametrize("other", [HashingEmbedder(name="other"), HashingEmbedder(dimension=64)])
def test_two_models_can_be_told_apart(other: HashingEmbedder) -> None:
    assert other.info != HashingEmbedder().info
    assert other.info.revision != HashingEmbedder().info.revision


def test_words_past_the_limit_are_not_seen_but_counted() -> None:
    embedder = HashingEmbedder(max_tokens=2)
    assert np.array_equal(embedder.embed(["one two three"]), embedder.embed(["one two"]))
    assert embedder.count_tokens(["one two three", ""]) == [3, 0]
