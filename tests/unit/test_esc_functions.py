"""Built-in functions and providers of ESC, and laws of the small parts they are made of."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.testing.esc import (
    Number,
    Provider,
    ProviderFailed,
    Secretive,
    World,
    check_environment,
    load,
    open_environment,
    text,
    wire,
)
from sophiactl.testing.esc.builtins import BUILTINS
from sophiactl.testing.esc.diagnostics import join_key
from sophiactl.testing.esc.gotext import from_base64, go_json, go_quote, to_base64
from sophiactl.testing.esc.interpolation import parse_path, parse_text
from tests.esc_definitions import JSON, complaints, data, opened, run

# Providers


def test_providers_get_and_give_plain_data_and_secrets_stay_secret() -> None:
    seen = []

    def opens(inputs: Any) -> Any:
        seen.append(inputs)
        return {"user": inputs["user"], "key": Secretive("k" + inputs["password"].plain), "n": Number("1.50")}

    source = "values: {p: {fn::secret: pw}, o: {fn::open::vault: {user: me, password: '${p}'}}, k: '${o.key}'}"
    evaluated, found = run(source, providers={"vault": Provider(opens)})
    assert not found
    assert evaluated is not None
    assert data(evaluated, reveal=False)["o"] == {"user": "me", "key": "[secret]", "n": 1.5}
    assert data(evaluated)["k"] == "kpw"
    assert "pw" not in repr(seen)


def test_a_provider_that_fails() -> None:
    def opens(_: Any) -> Any:
        raise ProviderFailed("no connection")

    evaluated, found = run("values: {o: {fn::open::vault: {}}}", providers={"vault": Provider(opens)})
    assert evaluated is not None
    assert data(evaluated) == {"o": "[unknown]"}
    assert [one.summary for one in found] == ["no connection"]
    assert complaints("values: {o: {fn::open::nowhere: {}}}") == ['unknown provider "nowhere"']


@pytest.mark.parametrize("checking", [True, False])
def test_inputs_follow_the_provider_s_schema(checking: bool) -> None:
    source = (
        "values: {o: {fn::open::schema: {number: x, tuple: [hello], record: {}, enum: baz, minimum: 0, pattern: x}}}"
    )
    assert set(complaints(source, checking=checking)) == {
        "expected a number greater than or equal to 1",
        'expected one of ["foo","bar"]',
        "expected number, got string",
        "missing required properties: foo",
        'string must match the pattern "^foo[0-9]+$"',
    }


def test_what_comes_of_a_provider_is_known_by_its_schema_before_it_is_opened() -> None:
    source = (
        "values: {o: {fn::open::schema: {}}, s: {fn::open::schema: {number: '${o.string}', string: '${o.string}'}}}"
    )
    assert complaints(source, checking=True) == ["expected number, got string"]


def test_rotators_open_with_their_state() -> None:
    source = "values: {r: {fn::rotate: {provider: swap, inputs: {}, state: {a: x, b: y}}}, s: '${r.a}'}"
    assert opened(source) == {"r": {"a": "x", "b": "y"}, "s": "x"}
    assert opened("values: {r: {fn::rotate::swap: {inputs: {}}}}") == {"r": "[unknown]"}


# Functions


def test_functions_there_and_back() -> None:
    source = """
values:
  o: {b: [1, {c: null}], a: "<é>"}
  json: {fn::toJSON: "${o}"}
  back: {fn::fromJSON: "${json}"}
  b64: {fn::toBase64: "${json}"}
  same: {fn::fromBase64: "${b64}"}
  parts: {fn::split: [",", "a,b"]}
  all: {fn::join: ["+", {fn::concat: ["${parts}", [c], []]}]}
"""
    found = opened(source)
    assert found["json"] == found["same"] == '{"a":"\\u003cé\\u003e","b":[1,{"c":null}]}'
    assert found["back"] == found["o"]
    assert found["all"] == "a+b+c"


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("fn::fromBase64: 'a%'", "decoding base64 string: illegal base64 data at input byte 1"),
        ("fn::fromBase64: abc", "decoding base64 string: illegal base64 data at input byte 0"),
        ("fn::fromJSON: ''", "decoding JSON string: EOF"),
        ("fn::fromJSON: '['", "decoding JSON string: unexpected EOF"),
        ("fn::fromJSON: x", "decoding JSON string: invalid character 'x' looking for beginning of value"),
        ("fn::fromJSON: '[1 2]'", "decoding JSON string: invalid character '2' after array element"),
        ("fn::fromJSON: '{\"a\" 1}'", "decoding JSON string: invalid character '1' after object key"),
        ("fn::fromJSON: '{\"a\": 1 2}'", "decoding JSON string: invalid character '2' after object key:value pair"),
        ("fn::toBase64: 1", "expected string, got number"),
        ("fn::split: [',', 1]", "expected string, got number"),
        ("fn::concat: [1]", "expected array, got number"),
        ("fn::validate: {schema: {type: string}, value: 42}", "expected string, got number"),
        ("fn::validate: {schema: {minLength: 3}, value: ab}", "expected a string of at least length 3"),
        ("fn::validate: {schema: {required: [a]}, value: {}}", "missing required properties: a"),
        ("fn::validate: {schema: {maxItems: 1}, value: [1, 2]}", "expected an array with at most 1 items"),
        ("fn::validate: {schema: {const: 1}, value: 2}", "expected 1"),
        ("fn::validate: {schema: {anyOf: [{const: 1}]}, value: 1}", None),
        ("fn::validate: {schema: {secret: true}, value: x}", "expected secret"),
        ("fn::validate: {schema: true, value: x}", None),
    ],
)
def test_calls_that_fail(call: str, complaint: str | None) -> None:
    assert complaints(f"values: {{a: {{{call}}}}}") == ([] if complaint is None else [complaint])


@given(st.binary())
def test_base64_carries_any_bytes(data: bytes) -> None:
    encoded = base64.b64encode(data).decode()
    assert to_base64(from_base64(encoded)) == encoded


# Laws of the smaller parts


@given(st.text())
def test_escaped_dollars_are_text(raw: str) -> None:
    parts = parse_text(raw.replace("$", "$$"))
    assert "".join(part.text for part in parts) == raw
    assert all(part.access is None for part in parts)


@given(st.lists(st.text(min_size=1).filter(lambda key: "\\" not in key), min_size=1, max_size=4))
def test_paths_read_back(keys: list[str]) -> None:
    path = ""
    for key in keys:
        path = join_key(path, key)
    assert [step.key for step in parse_path(path)] == keys


@given(JSON)
def test_json_reads_back(value: Any) -> None:
    assert json.loads(go_json(value)) == value


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_quoted_text_reads_back(raw: str) -> None:
    quoted = go_quote(raw)
    assert quoted.isprintable()
    assert yaml.safe_load(quoted) == raw


@given(st.text(max_size=60))
def test_any_text_is_loaded_without_an_exception(source: str) -> None:
    environment, _ = load("app", source)
    for how in (check_environment, open_environment):
        evaluated, _ = how("app", environment, World({}))
        if evaluated is not None:
            text(evaluated.properties)


FUNCTIONS = [*BUILTINS, "open::test", "open::schema", "rotate::swap", "nothing"]
EXPRESSIONS = st.recursive(
    st.none()
    | st.sampled_from(["x", "1", "[1]", "$$", "${a}", "t ${b.c} u", "${a[0]}", "${imports.i}", "${context}", "${c"])
    | st.integers(-1, 3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.tuples(
            st.sampled_from(FUNCTIONS),
            inner,
        ).map(lambda call: {f"fn::{call[0]}": call[1]})
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from("abc"), EXPRESSIONS, min_size=1), st.dictionaries(st.just("a"), EXPRESSIONS))
def test_any_expressions_are_evaluated_without_an_exception(values: Any, imported: Any) -> None:
    source = yaml.safe_dump({"imports": ["i"], "values": values})
    environment, _ = load("app", source)
    world = World({"i": yaml.safe_dump({"values": imported})})
    for how in (check_environment, open_environment):
        evaluated, found = how("app", environment, world)
        assert evaluated is not None
        msgspec.json.encode([wire(evaluated.properties, "app"), [one.wire() for one in found]])
