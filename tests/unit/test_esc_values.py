from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import NotFound, UpstreamError
from sophiactl.redaction import REDACTOR
from sophiactl.secrets.esc.naming import parse_name
from sophiactl.secrets.esc.opened import Opened
from sophiactl.secrets.esc.property_path import BadPath, parse_path
from sophiactl.secrets.esc.values import DEEPEST, EscValue, parse_environment, parse_value
from tests.esc_cloud import attempt, environment, value

NAME = parse_name("acme/sophia/prod@stable")
CANARY = "canary-5b1f-value"


def _opened(body: bytes) -> Opened:
    return Opened(NAME, parse_environment(body))


def _text(held: EscValue) -> str:
    assert held.text is not None
    return held.text.reveal()


def _section(text: str) -> bytes:
    """An environment with variables in JSON written by hand: numbers as they stand there."""
    return f'{{"properties": {{"environmentVariables": {{"value": {{{text}}}, "trace": {{}}}}}}}}'.encode()


# Texts


@pytest.mark.parametrize(
    "number",
    ["1.10", "1e400", "-0", "-0.0", "1E5", "123456789012345678901234567890", "0.1000", "1" * 5000, "1e-999"],
)
def test_a_number_keeps_its_text(number: str) -> None:
    opened = _opened(_section(f'"N": {{"value": {number}}}'))
    assert _text(opened.variables()["N"].value) == number
    assert opened.properties.as_json() == f'{{"environmentVariables":{{"N":{number}}}}}'


@pytest.mark.parametrize(("json", "text"), [("true", "true"), ("false", "false"), ('""', ""), ('"a\\nb"', "a\nb")])
def test_scalars_become_the_text_that_the_cli_prints(json: str, text: str) -> None:
    assert _text(_opened(_section(f'"N": {{"value": {json}}}')).variables()["N"].value) == text


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
PLAIN = st.recursive(
    st.one_of(
        st.tuples(st.just("number"), NUMBERS),
        st.tuples(st.just("string"), st.text()),
        st.tuples(st.just("bool"), st.sampled_from(["true", "false"])),
        st.just(("null", "")),
    ),
    lambda inner: st.one_of(
        st.tuples(st.just("array"), st.lists(inner, max_size=4)),
        st.tuples(st.just("object"), st.dictionaries(st.text(max_size=8) | st.just("value"), inner, max_size=4)),
    ),
    max_leaves=12,
)


def _written(plain: tuple[str, Any], *, wrapped: bool) -> str:
    """A value as ESC writes it, or as plain JSON."""
    kind, content = plain
    if kind == "array":
        text = f"[{','.join(_written(each, wrapped=wrapped) for each in content)}]"
    elif kind == "object":
        members = (f"{_json(key)}:{_written(each, wrapped=wrapped)}" for key, each in content.items())
        text = f"{{{','.join(members)}}}"
    else:
        text = _json(content) if kind == "string" else content or "null"
    return f'{{"value": {text} , "trace": {{"def": null}}}}' if wrapped else text


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _leaves(plain: tuple[str, Any], above: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], tuple[str, str]]:
    kind, content = plain
    below = enumerate(content) if kind == "array" else content.items() if kind == "object" else ()
    found = {path: leaf for key, each in below for path, leaf in _leaves(each, (*above, key)).items()}
    return found or {above: (kind, "" if kind in {"array", "object"} else content)}


@given(st.dictionaries(st.text(max_size=8), PLAIN, min_size=1, max_size=4))
def test_every_value_keeps_its_text_and_is_found_by_its_path(properties: dict[str, tuple[str, Any]]) -> None:
    whole = ("object", properties)
    members = ",".join(f"{_json(key)}:{_written(each, wrapped=True)}" for key, each in properties.items())
    opened = _opened(f'{{"properties": {{{members}}}}}'.encode())
    leaves = dict(opened.leaves())
    assert {
        parse_path(path): (held.kind, "" if held.text is None else held.text.reveal()) for path, held in leaves.items()
    } == _leaves(whole)
    for path, held in leaves.items():
        assert opened.at(path) == held
    assert opened.properties.as_json() == _written(whole, wrapped=False)


def test_an_object_with_a_key_named_value_stays_whole() -> None:
    opened = _opened(environment({}, odd={"value": value("inner"), "secret": value(True), "other": value("x")}))
    assert opened.at("odd").as_json() == '{"value":"inner","secret":true,"other":"x"}'
    assert _text(opened.at("odd.value")) == "inner"


# Flags and places


def test_secrets_are_known_to_the_redactor_and_plain_values_are_not() -> None:
    body = environment({"S": value(CANARY, secret=True), "P": value("europe")})
    opened = _opened(body)
    variables = opened.variables()
    assert (variables["S"].value.secret, variables["P"].value.secret) == (True, False)
    assert CANARY not in REDACTOR.text(f"x {CANARY}")
    assert REDACTOR.text("x europe") == "x europe"
    assert CANARY not in repr(opened) + repr(opened.variables()) + str(opened)


def test_what_stands_in_a_secret_is_secret() -> None:
    opened = _opened(environment({}, deep={"a": value([value("x")], secret=True), "b": value([value("x")])}))
    assert opened.at("deep.a[0]").secret
    assert not opened.at("deep.b[0]").secret


def test_places_name_the_environment_of_the_definition() -> None:
    base = value("old", line=3, environment="sophia/base")
    variables = {
        "OWN": value("1", line=7, environment="acme/sophia/prod"),
        "SHORT": value("1", line=8, environment="sophia/prod"),
        "YAML": value("1", line=9),
        "BASE": value("1", line=11, environment="sophia/base"),
        "OVER": value("1", line=12, base=base),
        "NONE": {"value": "1"},
    }
    found = _opened(environment(variables)).variables()
    assert {name: str(each.place) for name, each in found.items()} == {
        "OWN": "esc acme/sophia/prod@stable:7",
        "SHORT": "esc acme/sophia/prod@stable:8",
        "YAML": "esc acme/sophia/prod@stable:9",
        "BASE": "esc acme/sophia/base:11",
        "OVER": "esc acme/sophia/prod@stable:12",
        "NONE": "esc acme/sophia/prod@stable",
    }
    assert found["BASE"].place.file == "acme/sophia/base"
    assert found["OWN"].place.column == 5
    assert str(found["OVER"].base) == "esc acme/sophia/base:3"


# What programs get


def test_only_single_values_are_projected() -> None:
    variables = {
        "A": value("x"),
        "N": value(None),
        "M": {"trace": {}},
        "L": value([value("x")]),
        "O": value({"value": value("x")}),
        "U": {"unknown": True, "trace": {"def": {"environment": "<yaml>", "begin": {"line": 4}}}},
        "W": {"unknown": True, "value": "shown?"},
    }
    opened = _opened(environment(variables, {"KUBECONFIG": value("apiVersion", secret=True), "F": value([])}))
    assert opened.variables().keys() == {"A", "KUBECONFIG"}
    assert opened.variables()["KUBECONFIG"].is_file
    assert {(each.name, each.why) for each in opened.unusable()} == {
        ("N", "null"),
        ("M", "null"),
        ("L", "nested"),
        ("O", "nested"),
        ("U", "unknown"),
        ("W", "unknown"),
        ("F", "nested"),
    }
    assert next(each.place.line for each in opened.unusable() if each.name == "U") == 4


def test_a_file_takes_the_place_of_a_variable() -> None:
    found = _opened(environment({"A": value("1")}, {"A": value("2")})).variables()["A"]
    assert (found.is_file, _text(found.value)) == (True, "2")


def test_the_configuration_of_pulumi_is_not_for_programs() -> None:
    opened = _opened(environment({}, pulumiConfig={"aws:region": value("us-west-2")}))
    assert opened.variables() == {}
    assert _text(opened.at("pulumiConfig.aws:region")) == "us-west-2"


@pytest.mark.parametrize(
    ("section", "why"), [({"unknown": True}, "unknown"), (value("text"), "no object"), (value([]), "no object")]
)
def test_a_section_that_is_none_is_told(section: dict[str, Any], why: str) -> None:
    opened = _opened(msgspec.json.encode({"properties": {"environmentVariables": section}}))
    assert opened.variables() == {}
    assert [(each.name, each.why, each.section) for each in opened.unusable()] == [("", why, "environmentVariables")]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"properties": null}',
        b'{"properties": {}, "new": [1e400]}',
        b'{"properties": {"environmentVariables": null, "files": {"value": null}}}',
        b'{"properties": {"environmentVariables": {"trace": {}}}}',
        b'{"exprs": null, "properties": {"environmentVariables": {"value": {}, "trace": {"def": 7, "base": null}}}}',
    ],
)
def test_what_is_missing_is_no_error(body: bytes) -> None:
    opened = _opened(body)
    assert opened.variables() == {}
    assert opened.unusable() == ()


# Paths


def test_a_path_that_leads_nowhere_names_keys_only() -> None:
    opened = _opened(environment({}, aws={"login": value({"key": value(CANARY)}), "list": value([value(CANARY)])}))
    for path, said, hint in (
        ("awz", "there is no awz", "did you mean aws?"),
        ("aws.login.kez", r"there is no aws\.login\.kez", "did you mean key?"),
        ("aws.zzz", r"there is no aws\.zzz", "there is list, login"),
        ("aws.list[3]", r"there is no aws\.list\[3\]", "it has 1 items, counted from 0"),
        ("aws.login.key.deep", "of kind string", None),
        ("aws.list.name", "of kind array", None),
    ):
        with pytest.raises(NotFound, match=said) as caught:
            opened.at(path)
        assert caught.value.hint == hint
        assert CANARY not in str(caught.value) + str(caught.value.hint)
    with pytest.raises(BadPath):
        opened.at("aws[")


def test_a_number_in_brackets_is_a_key_of_an_object_too() -> None:
    assert _text(_opened(environment({}, ports={"0": value("x")})).at("ports[0]")) == "x"


# Damage


@pytest.mark.parametrize(
    "text",
    ['{"value": ', '{"value": tru}', "7", '"x"', '[{"value": 1}]', '{"value": ["x"]}', '{"value": {"a": 1}}', ""],
)
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(UpstreamError, match="not the JSON of a value"):
        parse_value(text.encode())


def test_a_value_that_is_too_deep_is_refused() -> None:
    def nested(depth: int) -> bytes:
        return b'{"value":[' * depth + b'{"value":1}' + b"]}" * depth

    assert parse_value(nested(DEEPEST - 1)).kind == "array"
    for depth in (DEEPEST + 1, 20_000):
        with pytest.raises(UpstreamError):
            parse_value(nested(depth))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_are_refused_without_being_shown(body: bytes) -> None:
    _, refusal = attempt(UpstreamError, lambda: parse_value(body))
    if refusal is not None:
        assert re.fullmatch(r"[a-zA-Z ]+", refusal.message)
        assert refusal.__cause__ is None
        assert refusal.__suppress_context__
