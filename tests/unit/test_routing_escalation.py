from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.routing.escalation import comparable, contradicts, escalation_score, examine

ASKED = "Tom has 5 boxes of 12 pens and gives 7 pens away. How many pens are left?"
RIGHT = "5 * 12 = 60 pens, less 7 leaves 53.\nThe answer is 53."
LIKEWISE = "He has 60 pens. 60 - 7 = 53.\n#### 53"
WRONG = "He has 5 + 12 = 17 pens, and gives 7 away. The answer is 10."


def test_disagreement_asks_for_the_strong_model() -> None:
    agreed, apart = escalation_score(ASKED, [RIGHT, LIKEWISE]), escalation_score(ASKED, [RIGHT, WRONG])
    assert agreed < 0.5 < apart


@given(
    st.text(min_size=1, max_size=300),
    st.integers(0, 99),
    st.integers(0, 99),
    st.text("ab c", max_size=3_000),
    st.floats(0, 1),
)
def test_any_disagreement_ranks_above_any_agreement(prompt: str, one: int, two: int, work: str, prior: float) -> None:
    asked = f"How many? {prompt}"
    first, second = f"{work}\n#### {one}", f"{work[::-1]}\n#### {two}"
    score = escalation_score(asked, [first, second], prior)
    assert (score > 0.5) == (one != two)


@given(st.text(max_size=200), st.lists(st.text(max_size=200), max_size=3), st.none() | st.floats())
def test_a_score_is_always_a_share(prompt: str, outputs: list[str], prior: float | None) -> None:
    assert 0 <= escalation_score(prompt, outputs, prior) <= 1


def test_no_output_or_an_empty_one_escalates_for_sure() -> None:
    assert escalation_score(ASKED, []) == 1.0
    assert escalation_score(ASKED, ["  \n"]) == 1.0
    assert escalation_score(ASKED, ["", RIGHT]) == 1.0


def test_the_prior_breaks_ties_only() -> None:
    low, high = (escalation_score(ASKED, [RIGHT, LIKEWISE], prior) for prior in (0.0, 1.0))
    assert low < escalation_score(ASKED, [RIGHT, LIKEWISE]) < high < 0.5
    assert escalation_score(ASKED, [RIGHT, WRONG], 0.0) > 0.5


def test_one_of_two_peers_disagreeing_lies_between() -> None:
    none, half, both = (
        escalation_score(ASKED, [RIGHT, *peers])
        for peers in (
            [LIKEWISE, LIKEWISE],
            [LIKEWISE, WRONG],
            [WRONG, WRONG],
        )
    )
    assert none < half < both


@pytest.mark.parametrize(
    "output",
    [
        "I am not sure, perhaps this cannot be told. Wait, I made a mistake. Maybe some pens were lost on the way.",
        '{"reasoning": "5 boxes of 12 are 60, and',
        "The answer is 53.\n\nNo, I forgot one box of pens.\n\nThe answer is 41.",
    ],
)
def test_one_output_is_judged_by_its_own_signs(output: str) -> None:
    assert escalation_score(ASKED, [output]) > escalation_score(ASKED, [RIGHT])


def test_signs_are_named() -> None:
    found = examine(ASKED, ['{"reasoning": "wait, perhaps'])
    assert (found.missing, found.cut, found.hedges, found.agreements) == (True, True, 2, ())
    assert examine(ASKED, [RIGHT, WRONG]).agreements[0].second == "10"


def test_contradiction_needs_two_different_answers() -> None:
    assert contradicts("The answer is 4.\n\nThe answer is 5.")
    assert not contradicts("The answer is 4.\n\nSo the answer is 4.")
    assert not contradicts("Some words.\n\nThe answer is 5.")


def test_agreement_decides_only_where_answers_compare() -> None:
    assert comparable(ASKED, [RIGHT, WRONG])
    assert not comparable(ASKED, [RIGHT])
    assert not comparable(ASKED, [RIGHT, LIKEWISE, ""])


def test_prose_that_shares_more_scores_lower() -> None:
    prompt = "Explain why the deal was lost."
    text = "The buyer wanted a longer trial and our price was above the offer of a rival. " * 3
    other = "Nobody from legal had replied for weeks, so their security review never came to an end. " * 3
    alike = text.replace("buyer", "customer")
    assert escalation_score(prompt, [text, alike]) < escalation_score(prompt, [text, other])
