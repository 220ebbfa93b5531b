"""The text of .env files: what it says, what is wrong with it and where, and python-dotenv as the judge."""

from __future__ import annotations

import io
import time

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.errors import InputError
from sophiactl.secrets.base import Severity
from sophiactl.secrets.dotenv_syntax import MOST_FLAWS, parse, quote


def values(text: str | bytes) -> dict[str, str]:
    data = text if isinstance(text, bytes) else text.encode()
    return {name: entry.value for name, entry in parse(data).entries.items()}


def flaws(text: str | bytes) -> list[tuple[str, int, int, str | None]]:
    data = text if isinstance(text, bytes) else text.encode()
    return [(flaw.rule, flaw.line, flaw.column, flaw.name) for flaw in parse(data).flaws]


def judge(text: str) -> dict[str, str | None]:
    return dict(dotenv_values(stream=io.StringIO(text, newline=None), interpolate=False))


PEM = "-----BEGIN K-----\nab/+\nYQ==\n-----END K-----"

# What it says


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("\n \n\t\n# a comment\n  # another", {}),
        ("A=1", {"A": "1"}),
        ("A=1\nB=2\n", {"A": "1", "B": "2"}),
        ("export A=1\n  export\tB = 2 ", {"A": "1", "B": "2"}),
        ("export=1", {"export": "1"}),
        ("exported=1", {"exported": "1"}),
        ("A=", {"A": ""}),
        ("A= \nB=''\nC=\"\"", {"A": "", "B": "", "C": ""}),
        ("A = b c ", {"A": "b c"}),
        ("A=b # c", {"A": "b"}),
        ("A=b#c", {"A": "b#c"}),
        ("A=#b", {"A": "#b"}),
        ("A= #b", {"A": ""}),
        ("A='b # c' # d", {"A": "b # c"}),
        ("A=b=c==", {"A": "b=c=="}),
        ('A={"a": "b"}', {"A": '{"a": "b"}'}),
        ("A=b'c'd", {"A": "b'c'd"}),
        ("A='b\\nc $d `e` \"f\"'", {"A": 'b\\nc $d `e` "f"'}),
        (r'A="\n\r\t\"\\\$"', {"A": '\n\r\t"\\$'}),
        (r'A="\q \x41 \u0041 \ \0"', {"A": r"\q \x41 \u0041 \ \0"}),
        (r'A="\\n\\"', {"A": "\\n\\"}),
        ("A=b\\nc", {"A": "b\\nc"}),
        ("A=${B}\nB=$A\nC='${A}'\nD=\"${A}$(id)\"", {"A": "${B}", "B": "$A", "C": "${A}", "D": "${A}$(id)"}),
        ("A='1\n2\n'\nB=3", {"A": "1\n2\n", "B": "3"}),
        (f'A="{PEM}"\nB=1', {"A": PEM, "B": "1"}),
        ('A="QUJD\nREVGRw=="\nB=1', {"A": "QUJD\nREVGRw==", "B": "1"}),
        ("A='[default]\nkey = x\n'\nB=1", {"A": "[default]\nkey = x\n", "B": "1"}),
        ("A=b\x85c\u2028d\x0be", {"A": "b\x85c\u2028d\x0be"}),
        ("_a1=ü😀", {"_a1": "ü😀"}),
    ],
)  # fmt: skip
def test_sound_texts(text: str, expected: dict[str, str]) -> None:
    assert values(text) == expected
    assert [flaw for flaw in parse(text.encode()).flaws if flaw.severity is not Severity.NOTE] == []


def test_places_are_those_of_the_names() -> None:
    parsed = parse(b"# first\nA=1\n\n  export B='x\ny'\nC=3\n")
    assert {(entry.name, entry.line, entry.column) for entry in parsed.entries.values()} == {
        ("A", 2, 1),
        ("B", 4, 10),
        ("C", 6, 1),
    }


# What is wrong


@pytest.mark.parametrize(
    ("text", "expected", "found"),
    [
        # quotes that are not closed never take the next name with them
        ('A="x\nB=1', {"B": "1"}, [("dotenv-syntax", 1, 3, "A")]),
        ("B=1\nA = 'x", {"B": "1"}, [("dotenv-syntax", 2, 5, "A")]),
        ('A="x\nB="y"\nC=z', {"B": "y", "C": "z"}, [("dotenv-syntax", 1, 3, "A")]),
        ("A='x\nB='y'\nC=z", {"B": "y", "C": "z"}, [("dotenv-syntax", 1, 3, "A")]),
        ("A='x\nB=it's\nC=z", {"B": "it's", "C": "z"}, [("dotenv-syntax", 1, 3, "A")]),
        ('A="x\nB=1\n# 5"\nC=z', {"B": "1", "C": "z"}, [("dotenv-syntax", 1, 3, "A")]),
        ('A="x\nexport B = 1\nC="\n', {"B": "1"}, [("dotenv-syntax", 1, 3, "A"), ("dotenv-syntax", 3, 3, "C")]),
        ('A="x\\"\nB=1', {"B": "1"}, [("dotenv-syntax", 1, 3, "A")]),
        ('A="x\n\nB=', {"B": ""}, [("dotenv-syntax", 1, 3, "A")]),
        # ... and what is left of their value is neither a statement nor a flaw of its own
        ('A="--BEGIN--\nQUJD/+ab\nabcdefghijklmnopqrsTUV==\n--END--\nB=1', {"B": "1"}, [("dotenv-syntax", 1, 3, "A")]),
        # a quote too many
        ("A='it's'\nB=1", {"B": "1"}, [("dotenv-syntax", 1, 7, "A")]),
        ('A="x"y\nB=1', {"B": "1"}, [("dotenv-syntax", 1, 6, "A")]),
        ('A="x" "y"\nB=1', {"B": "1"}, [("dotenv-syntax", 1, 6, "A")]),
        ('A="x"#y', {"A": "x"}, [("dotenv-syntax", 1, 6, "A")]),
        # quotes that are none
        ("A=“x”", {"A": "“x”"}, [("dotenv-syntax", 1, 3, "A")]),
        ("A= ‘x’", {"A": "‘x’"}, [("dotenv-syntax", 1, 4, "A")]),
        ("A=`x`", {"A": "`x`"}, [("dotenv-syntax", 1, 3, "A")]),
        # names
        ("my-key=x\nB=1", {"B": "1"}, [("dotenv-syntax", 1, 3, None)]),
        ("1A=x", {}, [("dotenv-syntax", 1, 1, None)]),
        ("'A'=x", {}, [("dotenv-syntax", 1, 1, None)]),
        ("ÄA=x", {}, [("dotenv-syntax", 1, 1, None)]),
        (" =x", {}, [("dotenv-syntax", 1, 2, None)]),
        ("my-key='x\ny'\nB=1", {"B": "1"}, [("dotenv-syntax", 1, 3, None)]),
        # no statement
        ("A\nB=1", {"B": "1"}, [("dotenv-syntax", 1, 2, None)]),
        ("A: x", {}, [("dotenv-syntax", 1, 4, None)]),
        ("A # =x", {}, [("dotenv-syntax", 1, 3, None)]),
        ("set A=x\nB=1", {"B": "1"}, [("dotenv-syntax", 1, 5, None)]),
        ("A=x\nabcdefghijklmnopqrsTUV==\nB=1", {"A": "x", "B": "1"}, [("dotenv-syntax", 2, 1, None)]),
        # twice
        ("A=1\nB=2\n A=3", {"A": "3", "B": "2"}, [("duplicate-key", 3, 2, "A")]),
        ("A=1\nA='x\nB=2", {"A": "1", "B": "2"}, [("dotenv-syntax", 2, 3, "A")]),
        # white space that is none
        ("A=x\u00a0\nB=1", {"A": "x", "B": "1"}, [("dotenv-syntax", 1, 4, "A")]),
        ("A= \u00a0x # y", {"A": "x"}, [("dotenv-syntax", 1, 4, "A")]),
        # encodings
        ("A=1\r\nB='x\r\ny'\r\n", {"A": "1", "B": "x\ny"}, [("encoding", 1, 4, None)]),
        ("A=1\nB=2\rC=3", {"A": "1", "B": "2", "C": "3"}, [("encoding", 2, 4, None)]),
        ("\ufeffA=1", {"A": "1"}, [("encoding", 1, 1, None)]),
        ("A=1\n\ufeffB=2", {"A": "1"}, [("dotenv-syntax", 2, 1, None)]),
        (b"A=\xff\xfe\nB=1", {"B": "1"}, [("encoding", 1, 1, "A")]),
        (b"B=1\nA='x\n\xe9'", {"B": "1"}, [("encoding", 2, 1, "A")]),
        (b"# caf\xe9\nB=1", {"B": "1"}, [("encoding", 1, 6, None)]),
        (b"B=1\n A=x\0y", {"B": "1"}, [("encoding", 2, 2, "A")]),
        ("A=1\n".encode("utf-16"), {}, [("encoding", 1, 1, None)]),
        ("A=1\n".encode("utf-16-be"), {}, [("dotenv-syntax", 1, 1, None)]),
    ],
)  # fmt: skip
def test_flaws_have_a_line_and_a_column(
    text: str | bytes, expected: dict[str, str], found: list[tuple[str, int, int, str | None]]
) -> None:
    assert values(text) == expected
    assert flaws(text) == found


def test_a_duplicate_names_both_lines_and_who_wins() -> None:
    (flaw,) = parse(b"A=1\n\nA=2\n").flaws
    assert flaw.message == "A stands in line 1 already; the last one counts"
    assert (flaw.line, flaw.fix) == (3, "remove one of lines 1 and 3")


@pytest.mark.parametrize(
    "text", [r"A='b\\c'", "A='b\\'", r'A="b\$c"', r'A="b\vc"', r'A="b' + "\\'" + 'c"']
)  # fmt: skip
def test_what_programs_read_differently_is_noted(text: str) -> None:
    (flaw,) = parse(text.encode()).flaws
    assert (flaw.rule, flaw.severity, flaw.line, flaw.column) == ("dotenv-syntax", Severity.NOTE, 1, 3)
    assert values(text) != judge(text)


def test_a_file_that_is_none_is_not_told_line_by_line() -> None:
    found = parse(b"just words\n" * 500).flaws
    assert len(found) == MOST_FLAWS + 1
    assert f"{500 - MOST_FLAWS} more" in found[-1].message


def test_nothing_of_the_text_is_shown() -> None:
    canary = "canary_8f3b2a"
    broken = (
        f"{canary}\n{canary}-x=1\n'{canary}'=1\nA='{canary}\nB=\"{canary}\"{canary}\nC=“{canary}”\nD='\\\\{canary}'\n"
    )
    parsed = parse(broken.encode() + f"E={canary}\xff\n{canary} = \0\n".encode("latin-1"))
    assert len(parsed.flaws) >= 8
    assert "canary" not in repr(parsed).replace(f"name='{canary}'", "").replace(f"of {canary} holds a NUL", "")


HOSTILE = {
    "one value of 1 MB": "A=" + "x" * 10**6,
    "escapes": 'A="' + "\\n" * 500_000 + '"',
    "escaped quotes": 'A="' + '\n\\"' * 300_000,
    "backslashes": 'A="' + "\\" * 10**6 + '"',
    "quotes that are not closed": "A='x\n" * 200_000,
    "both quotes": "A=\"\nB='\n" * 120_000,
    "no statements": "x\n" * 500_000,
    "blanks": "A=b" + " " * 10**6 + "c",
    "hashes": "A=b" + " #" * 500_000,
    "marks": "A=" + "#" * 10**6,
    "a long name": "x" * 10**6 + "-=1",
    "duplicates": "A=1\n" * 250_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_texts_take_a_time_that_grows_with_their_length(text: str) -> None:
    started = time.process_time()
    parse(text.encode())
    # Under 1 s where it grows with the length, and minutes where with its square.
    assert time.process_time() - started < 20


# python-dotenv as the judge

PIECES = ("A", "B", "KEY", "export ", "=", "='", '="', "'", '"', "\\", "\n", "\nB=", "#", " #", " ", "\t", "$", "${A}")
HARMLESS = {flaw.message for flaw in parse("\ufeff\r\n".encode()).flaws}
MORE = ("\r\n", "\r", "\u00a0", "\x0b", "\x85", "n", "$", "é", "😀", "==", "\ufeff", "\0", "“")


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(PIECES + MORE), max_size=16).map("".join))
def test_any_text_without_flaws_says_the_same_to_python_dotenv(text: str) -> None:
    if {flaw.message for flaw in parse(text.encode()).flaws} <= HARMLESS:
        assert values(text) == judge(text)


NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
BLANKS = st.text(" \t", max_size=2)
BARE = st.text(
    st.characters(exclude_characters="\r\n\0#'\"“”„‟‘’‚‛«»‹›`´", exclude_categories=["Cs", "Zs", "Zl", "Zp", "Cc"])
)
LITERAL = st.text(st.characters(exclude_characters="\r\0'\\\n", exclude_categories=["Cs"])).map(
    lambda text: f"'{text}'"
)
ESCAPED = st.text().filter(lambda text: "\0" not in text).map(quote)
LINE = st.builds(
    lambda indent, export, name, before, after, value, end: f"{indent}{export}{name}{before}={after}{value}{end}",
    BLANKS, st.sampled_from(["", "export ", "export\t "]), NAME, BLANKS, BLANKS, BARE | LITERAL | ESCAPED,
    st.sampled_from(["", " ", "\t # it's \"x\"", " #"]),
)  # fmt: skip
COMMENT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])).map(lambda text: f" # {text}")


@given(st.lists(LINE | COMMENT | st.just(""), max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_sound_files_say_the_same_to_python_dotenv(lines: list[str], line_end: str) -> None:
    text = line_end.join(lines) + line_end
    found = {flaw.rule for flaw in parse(text.encode()).flaws}
    assert found <= {"duplicate-key", "encoding"}
    assert values(text) == judge(text)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_it(data: bytes) -> None:
    parsed = parse(data)
    lines = data.count(b"\n") + data.count(b"\r") + 1
    places = {(entry.line, entry.column) for entry in parsed.entries.values()}
    for line, column in places | {(flaw.line, flaw.column) for flaw in parsed.flaws}:
        assert 1 <= line <= lines
        assert 1 <= column <= len(data) + 1


# Writing


@settings(max_examples=1000)
@given(st.text().filter(lambda text: "\0" not in text), st.text("'\"\\\n\r\t$#`= ab").filter(bool))
def test_what_is_written_is_read(one: str, other: str) -> None:
    text = f"A={quote(one)}\nB={quote(other)} # comment\nC={quote(one + other)}\n"
    assert parse(text.encode()).flaws == ()
    assert values(text) == {"A": one, "B": other, "C": one + other} == judge(text)
    assert text.count("\n") == 3


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", "''"),
        ("xoxb-1/a+b=", "xoxb-1/a+b="),
        ("a b$c`d", "'a b$c`d'"),
        ("it's", '"it\'s"'),
        ("a\nb", r'"a\nb"'),
        ("C:\\new", r'"C:\\new"'),
    ],
)
def test_values_are_written_as_simply_as_they_may_be(value: str, written: str) -> None:
    assert quote(value) == written


@pytest.mark.parametrize("value", ["canary\0", "canary\udcff"])
def test_what_no_file_can_carry_is_refused_unseen(value: str) -> None:
    with pytest.raises(InputError) as caught:
        quote(value)
    assert "canary" not in str(caught.value)
