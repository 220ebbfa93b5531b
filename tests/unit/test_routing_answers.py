from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.routing.answers import Amount, agreement, amount, choice, literal, options_of, overlap
from sophiactl.routing.expression import evaluate
from sophiactl.routing.finding import Found, find_answer, is_cut
from sophiactl.routing.mathtext import Math, number, parse, same

ASKED = "How many apples are left?"
CODE = "def f(x):\n    return x\nassert f(1) == ??"
QUIZ = "Which planet is the largest?\nA) Mars\nB) Jupiter\nC) Venus\nD) The Moon"


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ('{"reasoning": "2 + 3", "answer": "18"}', "18"),
        ('```json\n{"reasoning": "so 7", "answer": 18}\n```', "18"),
        ('Here it is:\n{"reasoning": "a", "final_answer": "18"}\nBye.', "18"),
        ("{'reasoning': 'a', 'answer': '18'}", "18"),
        ('{"answer": "\\frac{1}{2}"}', r"\frac{1}{2}"),
        (r'{"answer": "\\frac{1}{2}"}', r"\frac{1}{2}"),
        (r'{"answer": "a\nb \"c\""}', 'a\nb "c"'),
        ('{"answer": "first", "note": 1} and {"answer": "second"}', "second"),
        ('{"reasoning": "r", "answer": [1, 2]}', "[1, 2]"),
        ('{"reasoning": "r", "answer": (1, 2)}', "(1, 2)"),
        ('{"reasoning": "r", "answer": ""}', ""),
        ("9 * 2 = 18\n#### 18", "18"),
        (r"thus \boxed{\frac{1}{2}} is it", r"\frac{1}{2}"),
        (r"first \boxed{1}, then \boxed{x^{2}}", "x^{2}"),
        ("Adding up. The final answer is: 18.", "18"),
        ("So the answer is **18** apples.\nHave fun!", "18** apples"),
        ("Answer: Paris", "Paris"),
        ("The answer is not clear. The answer is 3.5.", "3.5"),
        ("The correct option is (B) Jupiter.", "(B) Jupiter"),
        ("[ANSWER]\nassert f(1) == [2, 3]\n[/ANSWER]", "[2, 3]"),
        ("<answer>42</answer>", "42"),
        ("Let me run it.\n\nassert f([1]) == 'ab'\n\nThat is all there is to say about this function today.", "'ab'"),
        ("18", "18"),
        ("```python\n[1, 2]\n```", "[1, 2]"),
        (
            "First I add the eggs of both of the baskets.\nShe sells 9 eggs.\nShe makes 9 * 2 = $18 per day.",
            "$18 per day.",
        ),
        ("There were five at the start, and some were added during the day.\nThat leaves **18 apples**", "18 apples"),
        ("Each of the rows holds six seats, and there are three of them.\nAll in all there are 18 seats.", "18"),
    ],
)
def test_the_answer_is_found_in_free_text(output: str, text: str) -> None:
    found = find_answer(output)
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize(
    "output",
    [
        "",
        "   ",
        "It depends on many things, of which none was given here, so that nobody could possibly tell for sure.",
        '{"reasoning": "first 12 and then 13, so that',
        '```json\n{\n "reasoning": "x = 4 and',
    ],
)
def test_no_answer_is_none(output: str) -> None:
    assert find_answer(output) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18),
        ("$18.00", 18),
        ("18 dollars", 18),
        ("1,234", 1234),
        ("$1,234,567.5", 1234567.5),
        ("-3", -3),
        ("−3", -3),
        ("-$5", -5),
        ("3/4", 0.75),
        ("1 1/2", 1.5),
        (r"1\frac{1}{2}", 1.5),
        (r"\frac{3}{4}", 0.75),
        ("50%", 50),
        ("50 percent", 50),
        ("1.5e3", 1500),
        ("1.5 x 10^3", 1500),
        (r"1.5 \times 10^{3}", 1500),
        ("2 million", 2e6),
        ("x = 7", 7),
        ("€ 12", 12),
        ("eighteen", 18),
        ("Three eggs", 3),
        (r"\$45", 45),
        (r"45^\circ", 45),
        ("about 5 km", 5),
        (r"2\sqrt{2}", 8**0.5),
        ("2^3", 8),
        ("12 * 5 = 60", 60),
        ("The total is 7", 7),
        ("18.", 18),
        ("**18**", 18),
        ("1{,}234", 1234),
        (r"\text{18 apples}", 18),
    ],
)
def test_amounts(text: str, value: float) -> None:
    found = amount(text)
    assert found is not None
    assert found.value == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["", "none", "5 boys and 6 girls", "-1 + i", "x + 2", "f(3)", "5/0", "1e999999", "[1, 2]", "Paris"]
)
def test_what_is_no_single_amount(text: str) -> None:
    assert amount(text) is None


SAME = [
    (ASKED, "The answer is 18.", "#### 18", "number"),
    (ASKED, "She has $18.00 left.", '{"answer": "18 dollars"}', "number"),
    (ASKED, "The answer is 1,234", r"\boxed{1234}", "number"),
    (ASKED, "The answer is 50%.", "The answer is 0.5.", "number"),
    (ASKED, "The answer is 3.33", "The answer is 10/3", "number"),
    (ASKED, "eighteen", "18", "number"),
    (QUIZ, "The answer is (B)", "B", "choice"),
    (QUIZ, "**B**", "B) Jupiter", "choice"),
    (QUIZ, "Jupiter", "The correct option is B.", "choice"),
    (QUIZ, "b", "(B)", "choice"),
    ("Is it raining?", "Yes, it is.", "yes", "boolean"),
    ("True or false: 2 > 1", "True", "The answer is true.", "boolean"),
    (CODE, "'abc'", '"abc"', "code"),
    (CODE, "abc", "'abc'", "code"),
    (CODE, "{'a': 1, 'b': 2}", '{"b": 2, "a": 1}', "code"),
    (CODE, "[1,2]", "[1, 2]", "code"),
    (CODE, "5", "'5'", "code"),
    (CODE, "6,8", "'6,8'", "code"),
    (CODE, '{"answer": true}', "True", "code"),
    (CODE, '{"answer": ""}', "''", "code"),
    ("Solve.", r"\boxed{\frac{3}{\sqrt{2}}}", r"The answer is $\dfrac{3\sqrt2}{2}$.", "number"),
    ("Solve.", r"\boxed{x^2+2x}", r"\boxed{x(x+2)}", "math"),
    ("Solve.", r"\boxed{\left(3, \frac{\pi}{2}\right)}", r"\boxed{(3,\pi/2)}", "math"),
    ("Solve.", r"\boxed{[2,\infty)}", r"\boxed{[2, \infty )}", "math"),
    ("Solve.", r"\boxed{\{1, 2\}}", "The answer is 2 and 1.", "math"),
    (
        "Solve.",
        r"\boxed{\begin{pmatrix} 1 & 0 \\ 2 & 3 \end{pmatrix}}",
        r"\boxed{\begin{bmatrix}1&0\\2&\frac62\end{bmatrix}}",
        "math",
    ),
    ("Solve.", r"\boxed{x \leq 3}", r"\boxed{x\le 3}", "math"),
    ("Who wrote it?", "The answer is the Beatles.", "Beatles", "text"),
    ("Capital?", "Paris, France", "Paris", "text"),
]


@pytest.mark.parametrize(("prompt", "one", "two", "kind"), SAME)
def test_equal_answers(prompt: str, one: str, two: str, kind: str) -> None:
    for first, second in ((one, two), (two, one)):
        found = agreement(prompt, first, second)
        assert (found.kind, found.comparable) == (kind, True)
        assert found.equal >= 0.7


DIFFERENT = [
    (ASKED, "The answer is 18.", "The answer is 81.", "number"),
    (ASKED, "3.3", "3.4", "number"),
    (ASKED, "-3", "3", "number"),
    (ASKED, "1.0001", "1.0002", "number"),
    (QUIZ, "The answer is (B)", "The answer is (C)", "choice"),
    (QUIZ, "Jupiter", "A", "choice"),
    ("Is it raining?", "Yes", "No, it is not.", "boolean"),
    (CODE, "'abc'", "'abC'", "code"),
    (CODE, "[1, 2]", "[2, 1]", "code"),
    (CODE, "''", "' '", "code"),
    (CODE, "7", "' 7 '", "code"),
    (CODE, "None", "0", "code"),
    ("Solve.", r"\boxed{(2, 5]}", r"\boxed{(2, 5)}", "math"),
    ("Solve.", r"\boxed{(1,2)}", r"\boxed{(2,1)}", "math"),
    ("Solve.", r"\boxed{x^2+2x}", r"\boxed{x^2-2x}", "math"),
    ("Solve.", r"\boxed{x < 3}", r"\boxed{x > 3}", "math"),
    ("Solve.", r"\boxed{1, 2}", r"\boxed{1, 2, 3}", "math"),
    ("Who wrote it?", "John", "Paul", "text"),
    ("Who?", "not Paul", "Paul", "text"),
]


@pytest.mark.parametrize(("prompt", "one", "two", "kind"), DIFFERENT)
def test_different_answers(prompt: str, one: str, two: str, kind: str) -> None:
    for first, second in ((one, two), (two, one)):
        found = agreement(prompt, first, second)
        assert (found.kind, found.comparable) == (kind, True)
        assert found.equal <= 0.5


@pytest.mark.parametrize(
    ("prompt", "one", "two"),
    [
        (
            "Write a letter to 3 friends.",
            "Dear friends, we meet at 7 in the old town, as we always do.\nPlease bring 12 chairs.",
            "Hello all of you, the usual place will do for us, and so will the usual time.\nPlease bring 12 chairs.",
        ),
        ("Why is the sky blue?", "word " * 60, "other " * 60),
        (ASKED, "The answer is 3.", ""),
        (ASKED, '{"reasoning": "so it is', "3"),
        (ASKED, '{"answer": ""}', "3"),
    ],
)
def test_prose_and_missing_answers_are_not_comparable(prompt: str, one: str, two: str) -> None:
    assert not agreement(prompt, one, two).comparable


def test_options_count_only_in_order() -> None:
    assert options_of(QUIZ) == {"A": "Mars", "B": "Jupiter", "C": "Venus", "D": "The Moon"}
    assert options_of("(A) one (B) two") == {"A": "one", "B": "two"}
    assert options_of("Plan B. is better than C. anyhow") == {}
    assert choice(QUIZ, Found("Jupiter", "said")) == "B"
    assert choice(QUIZ, Found("E", "said")) is None


@given(
    st.integers(-(10**9), 10**9),
    st.sampled_from(
        [
            "{}",
            "${:,}",
            "{} apples",
            r"\boxed{{{}}}",
            "The answer is {:,}.",
            "#### {}",
            '{{"answer": {}}}',
            '{{"answer": "{:,}"}}',
            "**{}**",
            "x = {}",
        ]
    ),
)
def test_a_number_is_the_same_in_any_dress(value: int, dress: str) -> None:
    output = dress.format(value).replace("$-", "-$")
    assert agreement(ASKED, output, str(value)).equal == 1.0
    assert agreement(ASKED, output, str(value + 1)).equal == 0.0


literals: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(literals)
def test_a_literal_is_itself_in_json_or_alone(value: Any) -> None:
    wrapped = json.dumps({"reasoning": "it runs", "answer": repr(value)})
    assert literal(repr(value)) == value
    found = agreement(CODE, wrapped, f"[ANSWER]{value!r}[/ANSWER]")
    assert found.equal >= 0.9


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
def test_comparing_never_fails_and_is_symmetric(prompt: str, one: str, two: str) -> None:
    found, back = agreement(prompt, one, two), agreement(prompt, two, one)
    assert 0 <= found.equal <= 1
    assert (found.kind, found.comparable, found.equal) == (back.kind, back.comparable, back.equal)
    assert 0 <= overlap(one, two) <= 1


@given(st.text(alphabet="0123456789+-*/^(){}[]|,.!%xyπ\\ ei=frac sqrt", max_size=60))
def test_any_expression_is_read_or_refused(text: str) -> None:
    found = parse(text)
    assert found is None or same(found, found) == 1.0


@pytest.mark.parametrize(
    "text", ["(" * 5_000, "9^9^9^9", "1/0", "2^{99999}", "170!!!", "-" * 300 + "1", "1" * 399, "x" * 5_000]
)
def test_expressions_are_bounded(text: str) -> None:
    found = parse(text)
    assert found is None or isinstance(found, Math)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2+3*4", 14),
        ("-2^2", -4),
        ("2^-1", 0.5),
        (r"\sqrt[3]{8}", 2),
        ("5!", 120),
        ("|-3|", 3),
        (r"\frac12", 0.5),
        ("2(3+4)", 14),
        (r"e^{i\pi}", -1),
        (r"\sin(0)", 0),
        ("1,000,000", 1e6),
        ("3x", None),
        ("hello", None),
    ],
)
def test_values_of_expressions(text: str, value: float | None) -> None:
    assert number(text) == (None if value is None else pytest.approx(value, abs=1e-9))


def test_variables_stand_for_values() -> None:
    assert evaluate("a+b") != evaluate("a+c")
    assert evaluate("x <= 3") is None
    assert amount("50%") == Amount(50.0, 0, percent=True)


@pytest.mark.parametrize(
    ("output", "cut"),
    [
        ("Done.", False),
        ('{"reasoning": "and so', True),
        ("```json\n{}", True),
        ("word " * 60 + "and then the", True),
        ("Sentence one. " * 20 + "The end.", False),
        ("Sentence one. " * 20 + "\n\nYours, Ann", False),
    ],
)
def test_cut_outputs_are_seen(output: str, cut: bool) -> None:
    assert is_cut(output) is cut
