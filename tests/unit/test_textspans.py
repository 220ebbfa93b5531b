from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.textspans import count_breaks, line_at, line_starts, sentences


def said(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        (
            "Dr. Smith paid 3.5 million, i.e. a lot. Then he left.",
            ["Dr. Smith paid 3.5 million, i.e. a lot.", "Then he left."],
        ),
        ("See https://a.example/x.y?z=1. It helps.", ["See https://a.example/x.y?z=1.", "It helps."]),
        ("Acme Inc. Bought it. Acme inc. bought it.", ["Acme Inc.", "Bought it.", "Acme inc. bought it."]),
        ("J. R. Tolkien wrote. We read.", ["J. R. Tolkien wrote.", "We read."]),
        ("It is No. 5 of all. I said no. Go.", ["It is No. 5 of all.", "I said no.", "Go."]),
        ('He said "stop." She went on.', ['He said "stop."', "She went on."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ("今日は晴れ。明日は雨！「はい。」と言う", ["今日は晴れ。", "明日は雨！", "「はい。」", "と言う"]),
        ("1. First thing.\n2. Second thing.", ["1. First thing.", "2. Second thing."]),
        ("- one\n- two\n  goes on", ["- one", "- two\n  goes on"]),
        ("# Title\nBody here.", ["# Title", "Body here."]),
        ("Ann: hello there\nBob: hi", ["Ann: hello there", "Bob: hi"]),
        ("short\nLines\nStand alone", ["short", "Lines", "Stand alone"]),
        ("```\nx = 1\ny = 2\n```\nDone.", ["```", "x = 1", "y = 2", "```", "Done."]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |", "|---|---|", "| 1 | 2 |"]),
        ("  \n ", []),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert said(text) == expected


def test_a_wrapped_line_goes_on_and_a_short_one_does_not() -> None:
    wrapped = (
        "The contract with the largest customer we have was renewed by the team of\nAcme Corporation in May.\nNext."
    )
    assert said(wrapped) == [wrapped[: wrapped.index("\nNext")], "Next."]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_in_any_system(end: str) -> None:
    text = end.join(["a", "", "b\u2028c\x0cd"])
    starts = line_starts(text)
    assert [line_at(starts, offset) for offset in (0, text.index("b"), len(text) - 1)] == [1, 3, 3]
    assert count_breaks(text) == 2


TEXT = st.text(st.sampled_from("aB1 .!?。\n\r\t-#|>`\"')]:…é") | st.characters(codec="utf-8"), max_size=200)


@given(TEXT)
def test_sentences_are_ordered_disjoint_and_cover_all_but_white_space(text: str) -> None:
    spans = sentences(text)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())


@given(TEXT)
def test_a_line_is_found_for_every_offset(text: str) -> None:
    starts = line_starts(text)
    assert len(starts) == count_breaks(text) + 1
    for offset in range(len(text)):
        if text[offset - 1 : offset + 1] != "\r\n":
            assert line_at(starts, offset) == count_breaks(text[:offset]) + 1
