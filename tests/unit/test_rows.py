from __future__ import annotations

import contextlib
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import InputError
from sophiactl.memory.rows import Threader, export_row, parse_file, parse_row
from sophiactl.model import Locator, MemoryClass, Record

NOW = "2026-11-22T12:00:00Z"


def row(**fields: Any) -> Record:
    return parse_row(json.dumps({"text": "hello", **fields}), NOW)


def test_text_alone_is_a_fact_made_now() -> None:
    record = row()
    assert (record.class_, record.created_at, record.thread) == (MemoryClass.SEMANTIC, NOW, None)


def test_a_row_without_an_id_gets_the_same_one_every_time() -> None:
    stamp = {"created_at": "2026-01-01T00:00:00Z"}
    assert row(**stamp).id == row(**stamp).id != row(text="other", **stamp).id
    assert row(id=7).id == "7"


def test_speaker_and_session_are_found_in_metadata_or_beside_it() -> None:
    inside = row(metadata={"speaker": "Ann", "session": 3, "store": "c1"})
    beside = row(speaker="Ann", session=3, store="c1")
    assert (inside.author, inside.thread, inside.class_) == ("Ann", "c1/3", MemoryClass.EPISODIC)
    assert (beside.author, beside.thread, beside.metadata) == (inside.author, inside.thread, inside.metadata)


def test_access_count_is_read_under_both_names() -> None:
    assert row(access_count=4).accesses == row(accesses=4).accesses == 4


@pytest.mark.parametrize(
    ("given_time", "stored"),
    [
        ("2026-03-01T09:00:00", "2026-03-01T09:00:00Z"),
        ("2026-03-01T09:00:00+02:00", "2026-03-01T07:00:00Z"),
        ("2026-03-01", "2026-03-01T00:00:00Z"),
        (0, "1970-01-01T00:00:00Z"),
    ],
)
def test_times_are_kept_in_utc(given_time: object, stored: str) -> None:
    assert row(created_at=given_time).created_at == stored


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"id": "a"}', "no text"),
        ('{"text": " \\n"}', "no text"),
        ('{"text": "x", "created_at": "yesterday"}', "created_at is no ISO 8601 time"),
        ('{"text": "x", "class": "holy"}', "holy"),
        ('{"text": "x", "id": [1]}', "id is neither"),
        ('{"text": "x", "metadata": "m"}', "metadata is not an object"),
        ('{"text": "x", "pinned": "yes"}', "pinned"),
    ],
)
def test_a_bad_row_says_what_is_wrong(line: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_row(line, NOW)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parser(line: bytes) -> None:
    with contextlib.suppress(InputError):
        assert parse_row(line, NOW).text


def test_a_file_goes_on_after_a_bad_line_and_counts_lines() -> None:
    lines = [b'\xef\xbb\xbf{"text": "a"}\n', b"\n", b"oops\n", b'{"text": "b"}']
    found = list(parse_file(iter(lines), NOW))
    assert [(number, isinstance(item, Record)) for number, item in found] == [(1, True), (3, False), (4, True)]


texts = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() != "")


@given(
    st.builds(
        Record,
        id=texts,
        text=texts,
        class_=st.sampled_from(MemoryClass),
        created_at=st.just(NOW),
        title=st.none() | texts,
        author=st.none() | texts,
        thread=st.none() | texts,
        position=st.none() | st.integers(0, 99),
        pinned=st.booleans(),
        accesses=st.integers(0, 99),
        tags=st.lists(texts, max_size=2).map(tuple),
        locator=st.none() | st.builds(Locator, page=st.integers(1, 9)),
        metadata=st.dictionaries(st.just("topic"), texts, max_size=1),
    )
)
def test_an_export_is_an_import_file(record: Record) -> None:
    assert parse_row(msgspec.json.encode(export_row(record)), "1999-01-01T00:00:00Z") == record


def turn(name: str, minute: int, class_: MemoryClass = MemoryClass.EPISODIC) -> Record:
    return Record(id=name, text="x", class_=class_, created_at=f"2026-03-01T09:{minute:02}:00Z")


def test_turns_near_in_time_make_a_thread() -> None:
    threader = Threader(timedelta(minutes=10))
    placed = [threader.place(turn(name, minute)) for name, minute in (("a", 0), ("b", 5), ("c", 40))]
    assert [record.thread for record in placed] == ["near:a", "near:a", "near:c"]


def test_facts_and_named_threads_are_left_alone() -> None:
    threader = Threader(timedelta(minutes=10))
    fact = turn("a", 0, MemoryClass.SEMANTIC)
    named = msgspec.structs.replace(turn("b", 1), thread="s")
    assert threader.place(fact) is fact
    assert threader.place(named) is named


def test_going_back_in_time_begins_a_new_thread() -> None:
    threader = Threader(timedelta(minutes=10))
    assert [threader.place(turn(name, minute)).thread for name, minute in (("a", 5), ("b", 1))] == ["near:a", "near:b"]
