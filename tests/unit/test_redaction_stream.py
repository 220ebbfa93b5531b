from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.redaction import Redactor
from tests.canaries import CANARIES, ENCODINGS, leaks

if TYPE_CHECKING:
    from sophiactl.redaction.stream import StreamRedactor

KEY = "xoxb-730191371696-IG7Z2nYtQw8sKpLr5HfD"
ALL = Redactor(*CANARIES.values())
PIECES = st.one_of(
    st.tuples(st.sampled_from(sorted(ENCODINGS)), st.sampled_from(sorted(CANARIES))).map(
        lambda pair: ENCODINGS[pair[0]](CANARIES[pair[1]]).encode()
    ),
    st.text(alphabet="abc01xu %\\&;=\"'\n:/│秘\x1b[m", max_size=12).map(str.encode),
    st.binary(max_size=8),
)


def _through(stream: StreamRedactor, *pieces: bytes) -> bytes:
    return b"".join([*map(stream.feed, pieces), stream.flush()])


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(at)]


@given(st.lists(PIECES, max_size=5), st.lists(st.integers(0, 1 << 20), max_size=12))
def test_cuts_change_nothing(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    whole = _through(ALL.stream(), data)
    assert _through(ALL.stream(), *_cut(data, cuts)) == whole
    assert not leaks(whole, {name: value for name, value in CANARIES.items() if len(value) > 12})


@given(st.lists(PIECES, max_size=3))
def test_byte_by_byte_is_the_same(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert _through(ALL.stream(), *(data[at : at + 1] for at in range(len(data)))) == _through(ALL.stream(), data)


@given(st.text(max_size=40), st.text(min_size=4, max_size=20), st.lists(st.integers(0, 100), max_size=8))
def test_any_secret_cut_anywhere(around: str, value: str, cuts: list[int]) -> None:
    redactor = Redactor(value)
    data = f"{around}{value}{around}".encode("utf-8", "surrogatepass")
    assert _through(redactor.stream(), *_cut(data, cuts)) == _through(redactor.stream(), data)


@pytest.mark.parametrize("name", CANARIES)
def test_every_cut_of_every_encoding(name: str) -> None:
    redactor = Redactor(CANARIES[name])
    rng = random.Random(name)
    for how, encode in ENCODINGS.items():
        data = f"<. {encode(CANARIES[name].strip())} .>".encode()
        whole = _through(redactor.stream(), data)
        assert not leaks(whole, {name: CANARIES[name]}), how
        for cut in {0, 1, len(data) - 1, *(rng.randrange(len(data)) for _ in range(12))}:
            assert _through(redactor.stream(), data[:cut], data[cut:]) == whole, (how, cut)


def test_it_redacts_as_whole_texts_are_redacted() -> None:
    for value in CANARIES.values():
        text = f"a {value} b {value[4:20]} c"
        assert _through(ALL.stream(6), text.encode()) == ALL.text(text).encode()


def test_shorter_secrets_than_in_texts() -> None:
    redactor = Redactor("k3Y!")
    assert redactor.text("<k3Y!>") == "<k3Y!>"
    assert _through(redactor.stream(), b"<k3", b"Y!>") == b"<[redacted]>"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # Long gaps; a beginning that repeats itself; one that looks like the end of a word before.
        (KEY, " " * 2000 + "xo" + " " * 60 + KEY[2:]),
        ("00000000-0000-0000-0000-2b0f9ba2ac2f", str(list(b"00000000-0000-0000-0000-2b0f9ba2ac2f"))),
        ("it is Xcz okQcEHwHl", "it is it is Xcz okQcEHwHl"),
        ("k=0000000000000000000000000000000000000000Zt9x", "k=" + "0" * 90 + "Zt9x"),
        (
            "\u2014key\u2026\u2014",
            "\\u2014key\\u2026\\u2014 %E2%80%94key%E2%80%A6%E2%80%94 \u2014\u2014key\u2026\u2014",
        ),
        ("e\U0001f601e-9", '"e\\ud83d\\ude01e-9" \\ud83d'),
    ],
)
def test_what_was_hard_to_cut(value: str, text: str) -> None:
    redactor, data = Redactor(value), text.encode()
    whole = _through(redactor.stream(), data)
    assert b"[redacted]" in whole
    for cut in range(len(data)):
        assert _through(redactor.stream(), data[:cut], data[cut:]) == whole, cut
    assert _through(redactor.stream(), *(data[at : at + 1] for at in range(len(data)))) == whole


# What is held back


def test_text_that_begins_nothing_goes_on_at_once() -> None:
    stream = Redactor(KEY).stream()
    assert stream.feed(b"downloading: ") == b"downloading: "
    assert stream.feed(b"50 %\r") == b"50 %\r"
    assert stream.feed("│ ✓ écrit\n".encode()) == "│ ✓ écrit\n".encode()


def test_no_more_is_held_than_could_begin_a_secret() -> None:
    stream = Redactor(KEY).stream()
    assert stream.feed(b"token: xoxb-730") == b"token: "
    assert stream.feed(b" no, not that one.\n") == b"xoxb-730 no, not that one.\n"


def test_a_secret_is_gone_as_soon_as_it_is_complete() -> None:
    stream = Redactor(KEY).stream()
    assert stream.feed(b"token: " + KEY.encode()) == b"token: [redacted]"
    assert stream.feed(b"\n") == b"\n"


def test_a_question_appears_while_its_answer_is_awaited() -> None:
    stream = Redactor("password-d3f4-Zq81").stream()
    assert stream.feed(b"Your password: ") == b"Your "
    assert stream.idle() == b"password: "
    assert stream.idle() == b""
    assert stream.flush() == b""


@pytest.mark.parametrize("size", range(1, len(KEY)))
def test_waiting_gives_three_signs_away_at_most(size: int) -> None:
    stream = Redactor(KEY).stream()
    out = stream.feed(b"token: ")
    for at in range(size):
        out += stream.feed(KEY[at : at + 1].encode()) + stream.idle()
    assert len(out.replace(b"[redacted]", b"").removeprefix(b"token: ")) <= 3
    out += stream.feed(KEY[size:].encode() + b" ok\n") + stream.flush()
    assert out.startswith(b"token: ")
    assert out.endswith(b"[redacted] ok\n")
    assert not leaks(out, {"key": KEY})


def test_waiting_in_the_middle_of_a_secret_with_blanks() -> None:
    stream = Redactor("correct zebra battery harpoon").stream()
    assert stream.feed(b"it is: correct zeb") == b"it is: "
    assert stream.idle() == b""
    assert stream.feed(b"ra ") + stream.idle() + stream.feed(b"battery harpoon") + stream.flush() == b"[redacted]"


def test_nothing_known_holds_nothing() -> None:
    redactor = Redactor()
    stream = redactor.stream()
    assert stream.feed(KEY.encode()) == KEY.encode()
    redactor.add(KEY)
    assert stream.feed(KEY.encode()) + stream.flush() == b"[redacted]"


def test_a_long_secret_is_not_kept_in_memory() -> None:
    rng = random.Random(3)
    value = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=300_000))
    stream = Redactor(value).stream()
    out = bytearray(stream.feed(b"x "))
    for at in range(0, len(value), 4096):
        out += stream.feed(value[at : at + 4096].encode())
        assert len(stream._seen) < 20_000
    out += stream.feed(b" y") + stream.flush()
    assert out == b"x [redacted] y"


def test_a_finished_line_does_not_wait_for_the_next_one() -> None:
    """A server that says on which port it listens, and then says nothing, must not look hung."""
    for port in range(1_000, 70_000, 997):
        stream = Redactor(CANARIES["private key"], CANARIES["slack bot"]).stream()
        line = f"ready {port}\n".encode()
        assert stream.feed(line) + stream.idle() == line
