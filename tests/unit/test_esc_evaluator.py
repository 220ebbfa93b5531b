"""ESC environments evaluated in process: references, merging, secrets, providers, functions."""

from __future__ import annotations

import base64
import json
import string
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.testing.esc import (
    World,
    check_environment,
    decrypt_definition,
    encrypt_definition,
    load,
    wire,
)
from sophiactl.testing.esc.crypt import seal, unseal
from tests.esc_definitions import OBJECTS, complaints, data, opened, run

# References


def test_references_of_every_kind() -> None:
    source = """
values:
  a: {b: {c: [1, {d: x}]}}
  "a key": {"say \\"hi\\"": y}
  one: ${a.b["c"][1].d}
  two: ${["a key"]["say \\"hi\\""]}
  three: "<${one}-${two}> costs $$5, not $${one}"
  four: ${a.b}
"""
    found = opened(source)
    assert (found["one"], found["two"], found["three"]) == ("x", "y", "<x-y> costs $5, not ${one}")
    assert found["four"] == {"c": [1, {"d": "x"}]}


def test_parts_of_an_object_may_refer_to_each_other() -> None:
    assert opened("values: {a: {b: '${a.c}', c: '${d[1]}'}, d: ['${a.c}', 7]}")["a"] == {"b": 7, "c": 7}


def test_text_of_all_kinds_of_values() -> None:
    source = 'values: {n: null, t: true, i: 1.5, l: [a, "b\\"c"], o: {k: v}, all: "${n}|${t}|${i}|${l}|${o}"}'
    assert opened(source)["all"] == '|true|1.5|"a","b\\"c"|"k"="v"'


@pytest.mark.parametrize(
    ("access", "complaint"),
    [
        ("nowhere", 'unknown property "nowhere"'),
        ("lst", 'unknown property "lst"; did you mean "list"?'),
        ("list.x", "cannot access an array element using a property name"),
        ("list[2]", "array index 2 out-of-bounds for array of length 2"),
        ("list[-1]", "array indices must not be negative"),
        ("object[0]", "cannot access an object property using an integer index"),
        ("text.x", "receiver must be an array or an object"),
    ],
)
@pytest.mark.parametrize("checking", [True, False])
def test_references_that_lead_nowhere(access: str, complaint: str, checking: bool) -> None:
    source = f"values: {{list: [1, 2], object: {{a: 1}}, text: x, ref: '${{{access}}}'}}"
    evaluated, found = run(source, checking=checking)
    assert [one.summary for one in found] == [complaint]
    assert evaluated is not None
    assert data(evaluated)["ref"] == "[unknown]"


def test_a_cycle_through_an_object() -> None:
    assert complaints("values: {a: {b: '${a}'}}") == ["cyclic reference to a"]
    assert complaints("values: {a: ['${a[0]}']}") == ["cyclic reference to a[0]"]


def test_very_long_chains_are_a_complaint_not_a_crash() -> None:
    links = "".join(f"  k{number:04}: ${{k{number + 1:04}}}\n" for number in range(5000))
    evaluated, found = run(f"values:\n{links}  k5000: 1\n")
    assert evaluated is None
    assert [one.summary for one in found] == ["the environment refers to itself too deeply"]


def test_the_context() -> None:
    imports = {"base": "values: {here: '${context.currentEnvironment.name}', top: '${context.rootEnvironment.name}'}"}
    source = (
        "imports: [base]\nvalues: {mine: '${context.currentEnvironment.name}', who: '${context.pulumi.user.login}'}"
    )
    found = opened(source, imports, context={"pulumi": {"user": {"login": "me"}}})
    assert found == {"here": "base", "top": "app", "mine": "app", "who": "me"}


# Imports and merging


def test_imports_are_merged_in_order_and_the_environment_over_them() -> None:
    imports = {
        "a": "values: {o: {a: 1, x: a}, l: [1, 2], s: a}",
        "b": "imports: [a]\nvalues: {o: {b: 2, x: b}, l: [3]}",
        "aside": "values: {o: {aside: 1}, only: here}",
    }
    source = """
imports: [a, b, aside: {merge: false}]
values:
  o: {x: top}
  aside: ${imports.aside.only}
  below: ${imports.a.o.x}
  merged: ${o}
"""
    found = opened(source, imports)
    assert found["o"] == {"a": 1, "b": 2, "x": "top"} == found["merged"]
    assert (found["l"], found["s"], found["aside"], found["below"]) == ([3], "a", "here", "a")
    assert "only" not in found


def test_null_and_scalars_replace_objects() -> None:
    imports = {"a": "values: {x: {deep: 1}, y: {deep: 1}, z: 1}"}
    assert opened("imports: [a]\nvalues: {x: null, y: 1, z: {new: 1}}", imports) == {
        "x": None,
        "y": 1,
        "z": {"new": 1},
    }


def _merged(base: Any, top: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(top, dict)):
        return top
    return base | {key: _merged(base[key], value) if key in base else value for key, value in top.items()}


@given(OBJECTS, OBJECTS, OBJECTS)
def test_merging_is_laying_objects_over_each_other(one: Any, two: Any, three: Any) -> None:
    imports = {name: yaml.safe_dump({"values": value}) for name, value in (("one", one), ("two", two))}
    source = yaml.safe_dump({"imports": ["one", "two"], "values": three})
    assert opened(source, imports) == _merged(_merged(one, two), three)


@given(OBJECTS)
def test_plain_data_comes_back_as_it_was_written(value: Any) -> None:
    assert opened(yaml.safe_dump({"values": value}, allow_unicode=True)) == value


def test_imports_that_cannot_be_read() -> None:
    evaluated, found = run("imports: [gone, broken]\nvalues: {a: 1}", {"broken": "values: ["})
    assert evaluated is not None
    assert data(evaluated) == {"a": 1}
    assert found[0].summary == 'environment "gone" not found'
    assert found[1].summary.startswith("yaml: ")


def test_imports_in_a_circle() -> None:
    assert complaints("imports: [a]\nvalues: {}", {"a": "imports: [b]", "b": "imports: [a]"}) == ["cyclic import of a"]


def test_environments_by_reference() -> None:
    imports = {"shop/prod": "values: {db: {host: h}}"}
    assert opened("values: {host: '${environments.shop.prod.db.host}'}", imports) == {"host": "h"}
    assert complaints("values: {x: '${environments.shop.test.a}'}") == ['environment "shop/test" not found']


def test_final_values_stay() -> None:
    imports = {"a": "values: {x: {fn::final: {k: 1}}, y: 1}", "b": "imports: [a]\nvalues: {y: 2}"}
    evaluated, found = run("imports: [b]\nvalues: {x: {k: 2, more: 3}, y: 3}", imports)
    assert evaluated is not None
    assert data(evaluated) == {"x": {"k": 1}, "y": 3}
    assert [(one.summary, one.severity) for one in found] == [("cannot override final value", 2)]


def test_a_final_value_wins_over_a_later_import() -> None:
    imports = {"a": "values: {x: {fn::final: 1}}", "b": "values: {x: 2}"}
    evaluated, found = run("imports: [a, b]\nvalues: {y: '${x}'}", imports)
    assert evaluated is not None
    assert data(evaluated) == {"x": 1, "y": 1}
    assert [one.summary for one in found] == ["cannot override final value"]


def test_traces_show_where_a_value_stands_and_what_it_replaced() -> None:
    evaluated, _ = run("imports: [base]\nvalues:\n  a: {b: new}\n", {"base": "values:\n  a:\n    b: old\n"})
    assert evaluated is not None
    member = wire(evaluated.properties, "app")["value"]["a"]["value"]["b"]
    assert (member["value"], member["trace"]["def"]["environment"]) == ("new", "app")
    assert member["trace"]["def"]["begin"] == {"line": 3, "column": 10, "byte": 33}
    base = member["trace"]["base"]
    assert (base["value"], base["trace"]["def"]["environment"]) == ("old", "base")
    assert base["trace"]["def"]["begin"]["line"] == 3


# Secrets and unknown values


SECRETS = """
values:
  s: {fn::secret: pw}
  json: {fn::toJSON: {a: "${s}"}}
  parsed: {fn::fromJSON: "${json}"}
  item: ${parsed.a}
  text: "is ${s}"
  base64: {fn::toBase64: "${s}"}
  joined: {fn::join: [",", ["${s}", x]]}
  split: {fn::split: ["", "${s}"]}
  letter: ${split[0]}
  concat: {fn::concat: [["${s}"], [1]]}
  string: {fn::toString: {a: ["${s}"]}}
  final: {fn::final: "${s}"}
  valid: {fn::validate: {schema: {type: string}, value: "${s}"}}
"""


def test_whatever_is_made_of_a_secret_is_secret() -> None:
    evaluated, found = run(SECRETS)
    assert not found
    assert evaluated is not None
    assert set(data(evaluated, reveal=False).values()) == {"[secret]"}
    assert "pw" not in json.dumps(wire(evaluated.properties, "app", redact=True), default=str)
    assert '"pw"' not in str(evaluated.schema)
    revealed = data(evaluated)
    assert (revealed["item"], revealed["text"], revealed["letter"]) == ("pw", "is pw", "p")
    assert revealed["concat"] == ["pw", 1]


def test_the_same_when_checked() -> None:
    evaluated, found = run(SECRETS, checking=True)
    assert not found
    assert evaluated is not None
    assert set(data(evaluated, reveal=False).values()) == {"[secret]"}


def test_ciphertexts_stay_closed_when_checked() -> None:
    source = f"values: {{s: {{fn::secret: {{ciphertext: {seal('pw')}}}}}}}"
    environment, _ = load("app", source)
    closed, _ = check_environment("app", environment, World({}))
    shown, _ = check_environment("app", environment, World({}), show_secrets=True)
    assert closed is not None
    assert shown is not None
    assert (data(closed), data(shown), data(shown, reveal=False)) == (
        {"s": "[unknown]"},
        {"s": "pw"},
        {"s": "[secret]"},
    )


@pytest.mark.parametrize(
    ("ciphertext", "complaint"),
    [
        ("%%%", "illegal base64 data"),
        (base64.b64encode(b"escx").decode(), "EOF"),
        (base64.b64encode(b"x" * 20).decode(), "invalid header"),
        (base64.b64encode(b"escx" + b"\0" * 16).decode(), "invalid checksum"),
    ],
)
def test_ciphertexts_that_are_none(ciphertext: str, complaint: str) -> None:
    source = f"values: {{s: {{fn::secret: {{ciphertext: '{ciphertext}'}}}}}}"
    assert complaints(source) == [f"invalid ciphertext: {complaint}"]


@given(st.text())
def test_ciphertexts_open_again(secret: str) -> None:
    encodable = secret.encode("utf-8", "replace").decode()
    assert unseal(seal(encodable)) == encodable


@given(
    st.text(alphabet=string.printable.replace("$", "") + "é☃😀", max_size=40),
    st.sampled_from(["flow", "block", "literal"]),
)
def test_a_definition_keeps_its_secrets_through_encryption(secret: str, style: str) -> None:
    value = json.dumps(secret.replace("\r", "").replace("\x0b", "").replace("\x0c", ""), ensure_ascii=False)
    source = {
        "flow": f"values: {{s: {{fn::secret: {value}}}, t: 1}} # end\n",
        "block": f"values:\n  s:\n    fn::secret: {value} # note\n  t: 1\n",
        "literal": "values:\n  s:\n    fn::secret: |\n      line 1\n      line 2\n  t: 1\n",
    }[style]
    sealed = encrypt_definition(source)
    assert "ciphertext: " in sealed
    assert "line 2" not in sealed
    assert opened(sealed) == opened(source) == opened(decrypt_definition(sealed))
    assert sealed.endswith(source[source.index("t: 1") :])


def test_what_is_no_yaml_stays_as_it_is_when_encrypted() -> None:
    assert encrypt_definition("values: [") == "values: ["
