from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.memory.base import Equals, Hit, Where
from sophiactl.memory.retrieval import ACTIVE, ACTIVE_OR_COLD, fuse, mmr, searched

scores = st.floats(-5, 50, allow_nan=False)
hits = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), scores, max_size=12).map(
    lambda found: [Hit(name, score) for name, score in sorted(found.items(), key=lambda item: -item[1])]
)


def test_a_record_that_both_lists_like_comes_first() -> None:
    dense = [Hit("a", 0.9), Hit("b", 0.8), Hit("c", 0.1)]
    lexical = [Hit("b", 12.0), Hit("d", 11.0), Hit("c", 1.0)]
    assert fuse(dense, lexical)[0].id == "b"


def test_margins_count_where_ranks_would_not() -> None:
    # "a" is second in both lists, but by far ahead of the field in the one where it matters.
    dense = [Hit("x", 0.96), Hit("a", 0.95), *(Hit(f"d{n}", 0.20 - n / 1000) for n in range(20))]
    lexical = [Hit("y", 3.02), Hit("z", 3.01), Hit("a", 3.0), *(Hit(f"l{n}", 2.9 - n / 1000) for n in range(20))]
    assert fuse(dense, lexical)[0].id == "a"


def test_weight_one_is_dense_alone_and_zero_is_lexical_alone() -> None:
    dense, lexical = [Hit("a", 0.9), Hit("b", 0.1)], [Hit("b", 9.0), Hit("a", 1.0)]
    assert [item.id for item in fuse(dense, lexical, dense_weight=1.0)] == ["a", "b"]
    assert [item.id for item in fuse(dense, lexical, dense_weight=0.0)] == ["b", "a"]


@given(hits, hits)
def test_fusion_keeps_every_candidate_once_and_is_sorted(dense: list[Hit], lexical: list[Hit]) -> None:
    ranked = fuse(dense, lexical)
    assert {item.id for item in ranked} == {hit.id for hit in [*dense, *lexical]}
    assert len({item.id for item in ranked}) == len(ranked)
    assert [item.score for item in ranked] == sorted((item.score for item in ranked), reverse=True)


@given(hits, st.floats(0.1, 9), st.floats(-3, 3))
def test_the_scale_of_one_list_does_not_matter(found: list[Hit], factor: float, shift: float) -> None:
    other = [Hit("a", 3.0), Hit("b", 2.0), Hit("c", 1.5)]
    rescaled = [Hit(hit.id, hit.score * factor + shift) for hit in found]
    before = {item.id: item.score for item in fuse(found, other)}
    after = {item.id: item.score for item in fuse(rescaled, other)}
    if np.std([hit.score for hit in found] or [0.0]) > 1e-3:
        assert all(abs(before[name] - after[name]) < 1e-4 for name in before)


def test_one_empty_list_leaves_the_order_of_the_other() -> None:
    dense = [Hit("a", 0.9), Hit("b", 0.4), Hit("c", 0.3)]
    assert [item.id for item in fuse(dense, [])] == ["a", "b", "c"]
    assert fuse([], []) == []


def test_mmr_passes_over_a_twin_for_something_new() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert mmr([1.0, 0.99, 0.7], vectors, 2, 0.5) == [0, 2]
    assert mmr([1.0, 0.99, 0.7], vectors, 2, 0.0) == [0, 1]


def test_mmr_gives_no_more_than_there_is() -> None:
    vectors = np.eye(2, dtype=np.float32)
    assert sorted(mmr([0.5, 0.5], vectors, 9, 0.3)) == [0, 1]
    assert mmr([], np.zeros((0, 2), dtype=np.float32), 3, 0.3) == []


def test_cold_memories_are_searched_only_when_asked_for_whatever_the_filter() -> None:
    own = Where(all=(Equals("class", "episodic"),), none=(Equals("pinned", value=True),))
    assert searched() == Where(all=(ACTIVE,))
    assert searched(own) == Where(all=(ACTIVE, *own.all), none=own.none)
    assert searched(own, deep=True) == Where(all=(ACTIVE_OR_COLD, *own.all), none=own.none)
