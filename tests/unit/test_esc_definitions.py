"""What an ESC definition says, where it says it, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.testing.esc import (
    load,
    plain,
)
from sophiactl.testing.esc.gotext import go_float
from tests.esc_definitions import data, opened, run

# Scalars and positions


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.10", 1.1),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 15),
        ("08", 8),
        ("1_000", 1000),
        ("+3", 3),
        (".5", 0.5),
        ("18446744073709551615", 18446744073709551615),
        ("yes", "yes"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2001-12-14", "2001-12-14"),
        ("1e400", "1e400"),
        ("!!str 5", "5"),
        ("!custom 5", "5"),
        ("~", None),
        ("", None),
        ("True", True),
        ("'true'", "true"),
    ],
)
def test_scalars(written: str, value: Any) -> None:
    assert opened(f"values:\n  a: {written}\n") == {"a": value}


def test_long_numbers_keep_their_digits_through_json() -> None:
    source = """values: {a: {fn::fromJSON: '{"n": 1.10, "m": 12345678901234567890123}'}}"""
    evaluated, _ = run(source)
    assert evaluated is not None
    assert msgspec.json.encode(plain(evaluated.properties)) == b'{"a":{"m":12345678901234567890123,"n":1.10}}'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_as_they_were(number: float) -> None:
    assert float(go_float(number)) == number


@pytest.mark.parametrize(
    ("number", "shown"),
    [(100000.0, "100000"), (1e6, "1e+06"), (1.5e-5, "1.5e-05"), (0.0001, "0.0001"), (-2.50, "-2.5"), (0.0, "0")],
)
def test_floats_are_written_as_go_does(number: float, shown: str) -> None:
    assert go_float(number) == shown


def test_places_count_columns_as_shown_and_bytes_as_stored() -> None:
    source = "values:\n  é☃: [x]\n  ☃☃: ${nowhere}\n  b: 1\n"
    _, (found,) = run(source)
    assert found.range is not None
    begin, end = found.range.begin, found.range.end
    assert (begin.line, begin.column, end.column) == (3, 9, 16)
    assert source.encode()[begin.byte : end.byte].decode() == "nowhere"
    assert found.path == 'values["☃☃"]'


def test_places_on_a_last_line_without_a_newline_have_no_byte() -> None:
    _, (found,) = run("values:\n  a: {fn::toBase64: 1}")
    assert found.range is not None
    assert (found.range.begin.line, found.range.begin.column, found.range.begin.byte) == (2, 21, 0)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("a: [1", "yaml: line 1: did not find expected ',' or ']'"),
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("x: 1\na: b: c", "yaml: line 2: mapping values are not allowed in this context"),
        ("a: \x00", "yaml: control characters are not allowed"),
        ("values: {a: &x 1, b: *x}", "alias nodes are not supported"),
        ("values: {1: a}", "mapping keys must be strings"),
        ("- a", "environment must be an object"),
        ("values: [a]", "values must be an object"),
        ("values: {environmentVariables: }", "environmentVariables must be an object"),
        ("imports: a", "imports must be a list"),
        ("imports: [{a: {}, b: {}}]", "import must have a single key"),
        ("imports: [{a: }]", "import must be an object"),
        ("imports: [{a: {merge: 1}}]", "merge must be a boolean value"),
        ("imports: [{a: {merge: true, rotateOnly: true}}]", "rotateOnly: true implies merge: false"),
        ("description: [a]", "description must be a string"),
        ("values: {a: {fn::nothing: 1}}", "'fn::' is a reserved prefix"),
        (
            "values: {a: {fn::secret: x, b: 1}}",
            'illegal call to builtin function: "fn::secret" must be the only key within its containing object',
        ),
        ("values: {a: {fn::join: [1]}}", "the argument to fn::join must be a two-valued list"),
        ("values: {a: {fn::open: x}}", "the argument to fn::open must be an object containing 'provider' and 'inputs'"),
        ("values: {a: {fn::open: {inputs: {}}}}", "missing provider name ('provider')"),
        ("values: {a: {fn::open: {provider: test}}}", "missing provider inputs ('inputs')"),
        ("values: {a: {fn::open: {provider: [], inputs: {}}}}", "provider name must be a string literal"),
        (
            "values: {a: {fn::rotate::swap: x}}",
            "the argument to fn::rotate must be an object containing 'inputs' and 'state'",
        ),
        ("values: {a: {fn::rotate::swap: {inputs: {}, state: x}}}", "rotation state must be an object literal"),
        ("values: {a: {fn::validate: {value: 1}}}", "missing required property 'schema'"),
        ("values: {a: '${b'}", "unterminated interpolation"),
        ("values: {a: '${b[\"c}'}", "missing closing quote in property name"),
        ("values: {a: '${b[\"c\"}'}", "missing closing bracket in property access"),
        ("values: {a: '${b[0}'}", "missing closing bracket in list index"),
        ("values: {a: '${b[x]}'}", "invalid list index"),
        ("values: {a: '${[0]}'}", "the root property must be a string subscript or a name"),
        ("values: {a: '${.b}'}", "the root property must be a string subscript or a name"),
        ("values: {a: '${1}'}", "the root property must be a string subscript or a name"),
        ("values: {a: '${}'}", "Property access expressions cannot be empty"),
    ],
)
def test_what_is_wrong_with_a_definition(source: str, complaint: str) -> None:
    _, found = load("app", source)
    assert [one.summary for one in found] == [complaint]


def test_a_deep_document_is_refused() -> None:
    _, found = load("app", "values: " + "[" * 200 + "]" * 200)
    assert [one.summary for one in found] == ["yaml: exceeded max depth"]


def test_a_key_that_stands_twice() -> None:
    evaluated, found = run("values:\n  a: 1\n  b: {c: 1, c: 2}\n  a: 3\n")
    assert evaluated is not None
    assert data(evaluated) == {"a": 1, "b": {"c": 1}}
    assert {(one.summary, one.range and one.range.begin.line) for one in found} == {
        ('duplicate key "a"', 4),
        ('duplicate key "c"', 3),
    }
