"""What is read of a prompt: bounded work, any text, and the same numbers every time."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from sophiactl.routing import features
from sophiactl.routing.lexicon import ranks

ANY_TEXT = st.text(st.characters(codec=None), max_size=400)


def _named(prompt: str) -> dict[str, float]:
    return dict(zip(features.FEATURE_NAMES, features.structure(features.read(prompt), ranks()), strict=True))


@given(ANY_TEXT)
def test_any_text_gives_finite_numbers(prompt: str) -> None:
    reading = features.read(prompt)
    form = features.structure(reading, ranks())
    assert len(form) == len(features.FEATURE_NAMES)
    assert all(0 <= value < 1e6 for value in form)
    shares = features.terms(reading)
    assert all(0 <= bucket < features.BUCKETS and share > 0 for bucket, share in shares.items())
    assert not shares or abs(sum(share**2 for share in shares.values()) - 1) < 1e-9


@given(ANY_TEXT)
def test_invisible_characters_change_nothing_but_the_length(prompt: str) -> None:
    plain = features.read(prompt)
    hidden = features.read("\u200b" + "\u200d\ufeff".join(prompt) + "\u200b")
    assert hidden.text == plain.text
    assert hidden.hashes == plain.hashes


def test_lone_surrogates_and_control_characters_are_read() -> None:
    assert len(features.structure(features.read("\ud800 \x00\x1b[31m \udfff word"), ranks())) == len(
        features.FEATURE_NAMES
    )


def test_a_megabyte_is_read_at_both_ends_only() -> None:
    prompt = "start " + "filler " * 150_000 + "finish"
    began = time.process_time()
    reading = features.read(prompt)
    features.structure(reading, ranks())
    spent = time.process_time() - began
    assert reading.length == len(prompt)
    assert len(reading.text) <= features.HEAD + features.TAIL + 1
    assert reading.words[0] == "start"
    assert reading.words[-1] == "finish"
    assert spent < 0.1


def test_no_pattern_blows_up_on_repeated_signs() -> None:
    for sign in ("(", "'", " ", "\n", "\\", "$", ".", "1.", "a.b(", "for ", "```", "- "):
        began = time.process_time()
        features.structure(features.read(sign * 6_000), ranks())
        assert time.process_time() - began < 0.5


def test_signs_are_told_apart() -> None:
    maths = _named("Prove that $\\int_0^1 x^2 dx = 1/3$ and explain why.")
    code = _named("```python\ndef f(x):\n    for i in x:\n        y.append(i)\n    return y;\n```")
    steps = _named("Do this:\n1. Read the file\n2. Sort it\n3. Print it")
    choice = _named("Which one?\nA. red\nB. blue\nC. green")
    assert maths["maths notation"] > code["maths notation"] > -1
    assert maths["LaTeX"] > 0
    assert maths["reasoning words"] > 0
    assert code["code"] > steps["code"]
    assert code["loops and calls"] > 0
    assert steps["numbered parts"] > 0
    assert choice["options"] > 0
    assert choice["questions"] > 0
    assert _named("Сколько будет два плюс два")["other scripts"] > 0.5


def test_nesting_is_the_deepest_bracket() -> None:
    assert _named("f(g([1]))")["nesting"] > _named("f(x) g(y) h(z)")["nesting"] > _named("plain")["nesting"] == 0


def test_rare_words_are_rarer_than_common_ones() -> None:
    assert _named("thixotropic zymurgy quotidian")["rare words"] > _named("the house and the garden")["rare words"]


def test_word_order_matters_to_pairs_but_not_to_words() -> None:
    there, back = (set(features.terms(features.read(text))) for text in ("dog bites man", "man bites dog"))
    assert len(there & back) == 3
    assert there != back
