from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.llm.sse import Event, Parser, TooLong

LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [b"", b"", b"data: [DONE]", b"data:", b"data", b": ping", b"id: 7", b"event: error", b"retry: 1"]
        ),
        st.binary(max_size=12).map(lambda raw: b"data: " + raw.translate(None, b"\r\n")),
        st.binary(max_size=12).map(lambda raw: raw.translate(None, b"\r\n")),
    ),
    max_size=12,
)


def _events(*pieces: bytes) -> list[Event]:
    parser = Parser()
    found = [event for piece in pieces for event in parser.feed(piece)]
    return found + parser.close()


def _cut(stream: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(marks)]


@given(LINES, st.data(), st.booleans())
def test_any_cutting_gives_the_same_events(lines: list[bytes], data: st.DataObject, bom: bool) -> None:
    ends = data.draw(st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=len(lines), max_size=len(lines)))
    stream = (b"\xef\xbb\xbf" if bom else b"") + b"".join(line + end for line, end in zip(lines, ends, strict=True))
    places = data.draw(st.lists(st.integers(0, 200), max_size=8))
    whole = _events(stream)
    assert _events(*_cut(stream, places)) == whole
    assert _events(*(bytes([byte]) for byte in stream)) == whole


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_what_was_written_is_read(texts: list[str]) -> None:
    for end in ("\n", "\r\n", "\r"):
        stream = "".join(f": ping{end}data: {text}{end}{end}" for text in texts).encode()
        assert [event.data.decode() for event in _events(stream)] == texts


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\ndata: b\n\n", [Event(b"a\nb")]),
        (b"data:a\n\ndata:  b\n\n", [Event(b"a"), Event(b" b")]),
        (b"event: error\ndata: x\n\ndata: y\n\n", [Event(b"x", "error"), Event(b"y")]),
        (b"event: nothing\n\ndata: y\n\n", [Event(b"y")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [Event(b"a")]),
        (b"data\n\n", [Event(b"")]),
        (b": only a comment\n\n\n", []),
        (b"data: no blank line", [Event(b"no blank line")]),
        (b"data: no blank line\r", [Event(b"no blank line")]),
        (b"database: x\n\n", []),
        (b"", []),
    ],
)
def test_forms(stream: bytes, expected: list[Event]) -> None:
    assert _events(stream) == expected


def test_an_event_is_given_as_soon_as_it_is_complete() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        parser = Parser()
        assert parser.feed(b"data: a" + end) == []
        assert parser.feed(end[:1]) == [Event(b"a")]
        assert parser.feed(end[1:] + b"data: b" + end + end) == [Event(b"b")]


@pytest.mark.parametrize("piece", [b"x" * 10, b"data: " + b"x" * 10 + b"\n", b": " + b"x" * 10])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    parser = Parser(limit=1000)
    with pytest.raises(TooLong):
        _ = [parser.feed(piece) for _ in range(200)]


def test_many_events_are_no_long_event() -> None:
    parser = Parser(limit=100)
    for _ in range(50):
        assert parser.feed(b"data: 0123456789\n\n: comment 0123456789\n") == [Event(b"0123456789")]
