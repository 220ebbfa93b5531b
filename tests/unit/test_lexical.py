from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import ConfigError
from sophiactl.memory.base import CollectionSchema, SparseVector
from sophiactl.memory.lexical import NEXT_SHARE, PREVIOUS_SHARE, Lexicon, with_neighbours

LEXICON = Lexicon("english", 40.0)


def weights(vector: SparseVector) -> dict[int, float]:
    return dict(zip(vector.indices, vector.values, strict=True))


def test_inflected_words_share_a_term() -> None:
    assert LEXICON.query("renewal").indices == LEXICON.query("renewals").indices


def test_stop_words_are_no_terms() -> None:
    assert LEXICON.query("what is the").indices == ()


def test_a_repeated_word_weighs_more_but_less_than_double() -> None:
    once, twice = LEXICON.document("budget plan"), LEXICON.document("budget budget plan")
    (term,) = LEXICON.query("budget").indices
    assert weights(once)[term] < weights(twice)[term] < 2 * weights(once)[term]


def test_each_text_of_a_thread_takes_its_shares_of_both_neighbours() -> None:
    before, middle, after = (LEXICON.document(text) for text in ("alpha", "beta", "gamma"))
    found = weights(LEXICON.thread(["alpha", "beta", "gamma"])[1])
    assert found == pytest.approx(
        {
            middle.indices[0]: middle.values[0],
            before.indices[0]: PREVIOUS_SHARE * before.values[0],
            after.indices[0]: NEXT_SHARE * after.values[0],
        }
    )


def test_the_ends_of_a_thread_have_one_neighbour() -> None:
    first, last = LEXICON.thread(["alpha", "beta"])
    assert len(first.indices) == len(last.indices) == 2
    assert LEXICON.thread(["alpha"]) == [LEXICON.document("alpha")]
    assert LEXICON.thread([]) == []


@given(st.lists(st.text(max_size=60), max_size=6))
def test_indices_are_unique_ascending_and_weights_positive(texts: list[str]) -> None:
    for vector in LEXICON.thread(texts):
        assert list(vector.indices) == sorted(set(vector.indices))
        assert all(value > 0 for value in vector.values)


def test_without_neighbours_a_vector_stays_as_it_is() -> None:
    own = LEXICON.document("one two three")
    assert with_neighbours(own, None, None) == own


def test_an_unknown_language_is_a_setting_to_mend() -> None:
    with pytest.raises(ConfigError, match=r"memory\.language"):
        Lexicon("klingon", 40.0)


def test_a_collection_keeps_its_language() -> None:
    schema = CollectionSchema(model="m", revision="r", dimension=3, language="german")
    assert Lexicon.of(schema).query("die Verträge").indices == Lexicon("german", 40.0).query("Vertrag").indices
