from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.embedding.documents import read_document
from sophiactl.errors import InputError

if TYPE_CHECKING:
    from sophiactl.embedding.base import Document


def read(name: str, text: str) -> Document:
    return read_document(Path(name), text.encode())


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"id": 7, "text": " body "}, "body"),
        ({"title": "Head", "content": "body"}, "Head\nbody"),
        ({"title": "Head", "body": "Head and body"}, "Head and body"),
        ({"title": "Head", "n": 1}, "Head"),
        ({"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "image"}, "two"]}, "one\ntwo"),
        ({"text": "", "message": "said"}, "said"),
        (
            {"name": "Acme", "deal": {"usd": 5, "open": True}, "tags": ["a", "b"]},
            "name: Acme\ndeal.usd: 5\ndeal.open: True\ntags: a, b",
        ),
        ({"rows": [{"a": 1}, {"a": 2}]}, "rows.0.a: 1\nrows.1.a: 2"),
        ("only a string", "only a string"),
        ({"text": "half \ud800 pair"}, "half \ufffd pair"),
    ],
)
def test_a_rows_text_is_its_body_under_its_title_or_all_its_fields(row: object, text: str) -> None:
    document = read("a.jsonl", json.dumps(row))
    assert [block.text.rstrip("\n") for block in document.blocks] == [text]


def test_a_broken_row_is_a_warning_and_the_others_survive() -> None:
    source = '{"text": "one"}\r\n\r\n{"text": broken\r\n{"text": "two"}'
    document = read("a.jsonl", source)
    assert [(block.text, block.line) for block in document.blocks] == [("one\n", 1), ("two\n", 4)]
    assert [json.loads(source[block.start : block.end])["text"] for block in document.blocks] == ["one", "two"]
    assert document.warnings == ("line 3: not JSON (Expecting value); the row was left out",)


def test_many_broken_rows_are_counted_rather_than_listed() -> None:
    document = read("a.jsonl", '{"text": "one"}\n' + "{\n" * 500)
    assert len(document.warnings) == 21
    assert document.warnings[-1] == "and 480 more warnings"


def test_a_file_without_any_row_is_refused() -> None:
    with pytest.raises(InputError, match="no row is JSON; line 1"):
        read("a.jsonl", "plain\ntext\n")


def test_deep_nesting_is_a_broken_row() -> None:
    document = read("a.jsonl", '{"text": "one"}\n' + "[" * 200_000 + "\n" + '{"n": ' + "9" * 5000 + "}\n")
    assert [warning[:6] for warning in document.warnings] == ["line 2", "line 3"]


def test_csv_rows_carry_their_columns_names_and_lines() -> None:
    source = 'name,price,note\nAcme,5,"two\nlines"\n\nBeta,,x,extra\n'
    document = read("a.csv", source)
    assert [(block.text, block.line, block.end_line) for block in document.blocks] == [
        ("name | price | note\n", 1, 1),
        ("name: Acme; price: 5; note: two\nlines\n", 2, 3),
        ("name: Beta; note: x; extra\n", 5, 5),
    ]
    assert source[document.blocks[1].start : document.blocks[1].end] == 'Acme,5,"two\nlines"'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiters_are_recognised(delimiter: str) -> None:
    assert read("a.csv", f"a{delimiter}b\n1{delimiter}2\n").blocks[1].text == "a: 1; b: 2\n"


def test_what_is_no_csv_is_read_as_text_with_a_warning() -> None:
    document = read("a.csv", 'a,b\n"' + "never closed " * 20_000)
    assert document.media_type == "text/plain"
    assert "not CSV" in document.warnings[0]


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    max_leaves=8,
)


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_every_json_value_is_a_row(rows: list[object]) -> None:
    document = read("a.jsonl", "\n".join(json.dumps(row) for row in rows))
    assert not document.warnings or document.warnings == ("it holds no text",)
    for block in document.blocks:
        assert block.text.encode().strip()
        assert block.line == block.end_line
