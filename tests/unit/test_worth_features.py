"""Features of a text, one at a time, and the lexicon behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.memory.worth_features import FEATURE_NAMES, features, read
from sophiactl.memory.worth_lexicon import LAUGHTER, NUMBER, RAREST, Lexicon, pack, unknown, unpack
from sophiactl.memory.worth_model import lexicon
from sophiactl.memory.worth_reasons import wording
from sophiactl.memory.worth_words import GROUP_NAMES, GROUPS_OF_WORD


def of(text: str, name: str, previous: str | None = None) -> float:
    words = lexicon()
    before = None if previous is None else read(previous, words)
    return features(read(text, words), before)[FEATURE_NAMES.index(name)]


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("length", "one two three", "one two"),
        ("information", "The glacier photographs arrived", "I will do that"),
        ("rarity", "glacier photographs", "this and that"),
        ("names", "we met Anna there", "we met anna there"),
        ("names", "Zbigniew called", "Yesterday it rained"),
        ("names", "we met Anna there", "WE MET ANNA THERE"),
        ("digits", "room 12 at 14:30", "room 12"),
        ("links and amounts", "see https://example.org", "see the page"),
        ("links and amounts", "it was $40", "it was 40"),
        ("question", "What is it? Rain.", "It is rain."),
        ("question", "where did you buy it", "where they bought it"),
        ("question", "你去哪里了？", "我去了。"),
        ("statement", "It rains in Oslo.", "Does it rain in Oslo?"),
        ("exclamations", "no!!", "no"),
        ("repetition", "no no no", "no way home"),
        ("chatter", "thanks a lot", "glacier photographs arrived"),
        ("time words", "see you on tuesday", "see you there"),
        ("courtesy words", "hahaha", "glacier"),
        ("courtesy words", "sooo niceee", "sooo glacier"),
        ("self words", "i moved", "they moved"),
    ],
)
def test_a_feature_sees_what_it_is_named_for(name: str, more: str, less: str) -> None:
    assert of(more, name) > of(less, name)


def test_an_answer_is_seen_beside_its_question_alone() -> None:
    text, name = "On Elm Street", "answers a question"
    assert of(text, name) == of(text, name, "It rained.") == 0
    assert 0 < of(text, name, "Where? I forgot") < of(text, name, "Where did your sister open the new bakery?") <= 1


def test_echo_is_the_share_of_content_taken_over() -> None:
    assert of("the glacier melted", "echo", "a glacier melted there") == 1
    assert of("the glacier melted", "echo", "a volcano erupted") == 0


def test_scripts_without_spaces_have_length() -> None:
    assert of("我昨天在北京买了一辆新车", "length") > of("我昨天", "length") > 0
    assert of("我昨天在北京买了一辆新车", "information") > of("我", "information")


def test_in_an_unknown_language_long_words_count_more_than_short_ones() -> None:
    assert of("tuo ne va ci", "information") < of("kirjasto työpaikka asiakas sopimus", "information")


@pytest.mark.parametrize(
    ("word", "like"),
    [("dogs", "dog"), ("stopped", "stop"), ("making", "make"), ("dog's", "dog"), ("sooooo", "so"), ("coooool", "cool")],
)
def test_a_word_unknown_by_itself_is_known_by_its_stem(word: str, like: str) -> None:
    words = lexicon()
    assert abs(words.look_up(word).rarity - words.look_up(like).rarity) <= 3
    assert words.look_up(word) != unknown(word)


@pytest.mark.parametrize("word", ["hahahahaha", "lool", "lmaooo", "jajaja", "哈哈哈", "ㅋㅋㅋ", "ахахах"])
def test_laughter_is_courtesy(word: str) -> None:
    assert lexicon().look_up(word) == LAUGHTER or "courtesy" in {GROUP_NAMES[g] for g in lexicon().look_up(word).groups}


def test_numbers_and_inventions() -> None:
    words = Lexicon({})
    assert words.look_up("2027") == NUMBER
    assert words.look_up("zxqvblorp") == unknown("zxqvblorp")


@given(
    st.dictionaries(
        st.text(st.characters(categories=["Ll"]), min_size=1, max_size=12),
        st.tuples(st.integers(0, RAREST), st.none() | st.integers(-31, 30).map(lambda level: level / 8)),
    )
)
def test_a_packed_lexicon_comes_back_whole(words: dict[str, tuple[int, float | None]]) -> None:
    assert unpack(pack(words)) == words


def test_every_feature_has_words_of_its_own() -> None:
    for name in FEATURE_NAMES:
        said = {wording(name, 0.9, above=True), wording(name, 0.0, above=False)}
        assert len(said) == 2
        assert not any(text.startswith(f"{name}:") for text in said)


def test_groups_hold_lower_case_words() -> None:
    assert all(word == word.lower() for word in GROUPS_OF_WORD)
