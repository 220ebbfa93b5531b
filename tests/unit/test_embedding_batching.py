from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.embedding import batching
from sophiactl.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.embedding.base import Matrix

LENGTHS = st.lists(st.integers(1, 256), max_size=200)


def identity(texts: Sequence[str]) -> list[list[int]]:
    return [[ord(letter) for letter in text] for text in texts]


def summed(ids: batching.Ids, mask: batching.Ids) -> Matrix:
    return np.stack([(ids * mask).sum(axis=1), mask.sum(axis=1)], axis=1).astype(np.float32)


@given(LENGTHS, st.integers(1, 4096))
def test_every_index_is_in_one_batch_and_batches_keep_the_budget(lengths: list[int], budget: int) -> None:
    groups = list(batching.batches(lengths, budget))
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[index] for index in group) <= budget


@given(LENGTHS)
def test_batches_go_from_long_to_short(lengths: list[int]) -> None:
    order = [lengths[index] for group in batching.batches(lengths, 1024) for index in group]
    assert order == sorted(lengths, reverse=True)


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=40), max_size=50), st.integers(1, 100))
def test_vectors_come_back_in_the_order_of_the_texts(texts: list[str], budget: int) -> None:
    vectors = batching.embed_texts(texts, identity, summed, 2, budget)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[sum(map(ord, text)), len(text)] for text in texts]


def test_texts_beyond_one_window_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "WINDOW", 3)
    texts = ["a" * count for count in (5, 1, 4, 2, 3, 9, 7)]
    assert batching.embed_texts(texts, identity, summed, 2, 8)[:, 1].tolist() == [5, 1, 4, 2, 3, 9, 7]


def test_padding_is_masked() -> None:
    ids, mask = batching.padded([[7], [8, 9, 10]])
    assert ids.tolist() == [[7, 0, 0], [8, 9, 10]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_refused(bad: float) -> None:
    def broken(ids: batching.Ids, mask: batching.Ids) -> Matrix:
        return np.full((len(ids), 2), bad, dtype=np.float32)

    with pytest.raises(ModelError, match="not finite"):
        batching.embed_texts(["a"], identity, broken, 2, 8)
