from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.secrets.esc.naming import BadName, EnvironmentName, parse_name, parse_names
from sophiactl.secrets.esc.property_path import BadPath, format_path, parse_path
from tests.esc_cloud import attempt

# As the API's description has them, but for words that a name may begin with.
ORGANIZATIONS = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{1,38}[a-zA-Z0-9]", fullmatch=True)
PARTS = st.from_regex(r"[a-zA-Z0-9\-_.]{1,100}", fullmatch=True).filter(
    lambda name: name not in {".", "..", "open", "yaml"}
)
VERSIONS = st.one_of(
    st.just(""),
    st.from_regex(r"[0-9]{1,9}", fullmatch=True),
    st.from_regex(r"[a-zA-Z\-_.][a-zA-Z0-9\-_.]{0,30}", fullmatch=True),
)
NAMES = st.builds(EnvironmentName, ORGANIZATIONS, PARTS, PARTS, VERSIONS)


@given(NAMES, st.sampled_from("@:"))
def test_a_name_is_read_as_it_is_written(name: EnvironmentName, sign: str) -> None:
    assert parse_name(str(name)) == name
    assert parse_name(str(name).replace("@", sign)) == name


@given(NAMES)
def test_an_organization_may_come_from_the_settings(name: EnvironmentName) -> None:
    short = str(name).partition("/")[2]
    if name.project == name.organization:
        with pytest.raises(BadName, match="lacks the project"):
            parse_name(short, organization=name.organization)
    else:
        assert parse_name(short, organization=name.organization) == name
    with pytest.raises(BadName, match="may be a project"):
        parse_name(short)


@given(st.text(max_size=40), st.sampled_from(["", "acme"]))
def test_any_text_is_a_name_or_is_refused_with_a_hint(text: str, organization: str) -> None:
    name, refusal = attempt(BadName, lambda: parse_name(text, organization=organization))
    assert refusal is None or refusal.hint
    if name is not None:
        assert parse_name(str(name)) == name
        assert re.fullmatch(r"[a-zA-Z0-9\-_./]+(@[a-zA-Z0-9\-_.]+)?", str(name))


@pytest.mark.parametrize(
    ("text", "revision", "tag"),
    [
        ("acme/sophia/prod@12", 12, None),
        ("acme/sophia/prod:stable", None, "stable"),
        ("acme/sophia/prod", None, "latest"),
    ],
)
def test_versions(text: str, revision: int | None, tag: str | None) -> None:
    name = parse_name(text)
    assert (name.revision, name.tag, name.path) == (revision, tag, "acme/sophia/prod")


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("prod", "not the whole name", "acme/default/prod"),
        ("", "not the whole name", "acme/default/prod"),
        ("sophia/prod", "may be a project and a name, or an organization", "organization/sophia/prod"),
        ("a/b/c/d", "not the whole name", "organization/project/name"),
        ("acme/sophia/prod@", "no version", "@7"),
        ("acme/sophia/prod@12b", "begins with a digit", "@7"),
        ("acme/sophia/prod@a@b", "more than one version", "one @version"),
        ("acme/sophia/prod@a:b", "more than one version", "one @version"),
        ("acme/sophia/prod@a b", "signs that none can hold", "write"),
        ("acme/sophia/prod\n", "signs that none can hold", "write"),
        ("acme/sophia/pröd", "signs that none can hold", "write"),
        ("acme/sophia/open", "can be called 'open'", "write"),
        ("acme/sophia/..", "can be called '..'", "write"),
        ("acme/../prod", "can be called '..'", "write"),
        ("acme//prod", "no name of a project", "1 to 100"),
        ("acme/sophia/" + "x" * 101, "no name of an environment", "1 to 100"),
        ("ac/sophia/prod", "no name of an organization", "3 to 40"),
        ("-cme/sophia/prod", "no name of an organization", "3 to 40"),
        ("acme/sophia/prod?x=1", "no name of an environment", "1 to 100"),
        ("acme/sophia/" + "x" * 1000, "signs that none can hold", "write"),
    ],
)
def test_what_is_no_name_is_refused(text: str, said: str, hint: str) -> None:
    with pytest.raises(BadName, match=re.escape(said)) as caught:
        parse_name(text)
    assert hint in (caught.value.hint or "")


def test_an_organization_in_the_place_of_the_project_is_refused() -> None:
    with pytest.raises(BadName, match="lacks the project") as caught:
        parse_name("acme/prod", organization="acme")
    assert caught.value.hint == "write acme/default/prod or acme/acme/prod"


def test_the_project_of_environments_without_one_can_be_named() -> None:
    assert parse_name("acme/default/openai").name == "openai"


def test_a_layer_that_is_named_twice_counts_where_it_stands_last() -> None:
    names = parse_names(("acme/p/a", "acme/p/b", "acme/p/a"))
    assert [name.name for name in names] == ["b", "a"]


# Paths


STEPS = st.lists(st.one_of(st.text(), st.integers(0, 999_999_999)), min_size=1, max_size=6).map(tuple)


@given(STEPS)
def test_a_path_is_read_as_it_is_written(steps: tuple[str | int, ...]) -> None:
    assert parse_path(format_path(steps)) == steps


@given(st.text(alphabet='ab.[]"\\0 -', max_size=12))
def test_any_text_is_a_path_or_is_refused(text: str) -> None:
    steps, refusal = attempt(BadPath, lambda: parse_path(text))
    assert refusal is None or refusal.hint
    assert steps is None or parse_path(format_path(steps)) == steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ('a.b["c"][0]', ("a", "b", "c", 0)),
        ('["a b"].c', ("a b", "c")),
        ("environmentVariables.SLACK_BOT_TOKEN", ("environmentVariables", "SLACK_BOT_TOKEN")),
        (r'a["say \"hi\" \\ bye"]', ("a", 'say "hi" \\ bye')),
        ("[0][1]", (0, 1)),
        ("pulumiConfig.aws:region", ("pulumiConfig", "aws:region")),
    ],
)
def test_paths(text: str, steps: tuple[str | int, ...]) -> None:
    assert parse_path(text) == steps


@pytest.mark.parametrize(
    "text", ["", ".", "a.", "a..b", "a[", "a[]", "a[x]", 'a["b', 'a["b"', "a[-1]", "a[٣]", "a[0]b"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(BadPath, match="cannot be read at letter"):
        parse_path(text)
