"""Three readers of one server: the official SDK, our client, and the evaluator itself agree on every value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pulumi_esc_sdk.esc_client import EscClient, default_client
from pulumi_esc_sdk.exceptions import BadRequestException, NotFoundException, UnauthorizedException
from pulumi_esc_sdk.models.environment_definition import EnvironmentDefinition
from pulumi_esc_sdk.models.environment_definition_values import EnvironmentDefinitionValues

from sophiactl.errors import AuthError
from sophiactl.secrets.config import EscConfig
from sophiactl.secrets.esc.naming import parse_name
from sophiactl.secrets.esc.session import EscSession
from sophiactl.testing.esc import World, load, open_environment, plain
from sophiactl.testing.esc_server import EscServer

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = """\
values:
  region: eu-west-1
  nested:
    below: from base
    "a key": [1, 2.50, true]
  environmentVariables:
    REGION: ${region}
    LEVEL: info
"""
PROD = """\
imports:
  - sophia/base
values:
  # A comment that has to stay.
  token:
    fn::secret: hunter2 is my password
  nested:
    top: ünïcödé ☃ "quoted"
    deep: {list: [{name: one}, {name: two}]}
  opened:
    fn::open::test: {answer: 42, secret: "${token}"}
  json:
    fn::toJSON: ${nested.deep}
  long: 123456789012345678
  port: 8080
  environmentVariables:
    LEVEL: debug
    TOKEN: ${token}
    PORT: "8080" # the SDK reads no definition with a number here
  files:
    KUBECONFIG: |
      apiVersion: v1
      token: ${token}
"""


@pytest.fixture
def server() -> Iterator[EscServer]:
    with EscServer() as running:
        running.put("acme/sophia/base", BASE)
        running.put("acme/sophia/prod", PROD, tags=["stable"])
        yield running


@pytest.fixture
def sdk(server: EscServer) -> EscClient:
    return default_client(host=server.base_url, access_token=server.token)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, child in value.items():
            key = f".{name}" if name.isidentifier() else f'["{name}"]'
            yield from _leaves(child, (path + key).removeprefix("."))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _leaves(child, f"{path}[{index}]")
    else:
        yield path, value


def _same(ours: str, theirs: Any) -> bool:
    if isinstance(theirs, bool):
        return ours == str(theirs).lower()
    return bool((json.loads(ours) if isinstance(theirs, int | float) else ours) == theirs)


def test_the_sdk_and_our_client_agree_on_every_value(server: EscServer, sdk: EscClient) -> None:
    _, theirs, _ = sdk.open_and_read_environment("acme", "sophia", "prod")
    (opened,) = EscSession(EscConfig(), server.environ).opened(parse_name("acme/sophia/prod"))
    ours = {path: value for path, value in opened.leaves() if value.text is not None}
    expected = dict(_leaves(theirs))
    assert set(ours) == set(expected)
    for path, value in ours.items():
        assert value.text is not None
        assert _same(value.text.reveal(), expected[path]), path
    assert len(ours) >= 18


def test_our_client_keeps_what_the_sdk_loses(server: EscServer) -> None:
    (opened,) = EscSession(EscConfig(), server.environ).opened(parse_name("acme/sophia/prod"))
    secret = {path for path, value in opened.leaves() if value.secret}
    assert secret == {"token", "opened.secret", "environmentVariables.TOKEN", "files.KUBECONFIG"}
    amount = opened.at('nested["a key"][1]').text
    assert amount is not None
    assert amount.reveal() == "2.5"
    level = opened.at("environmentVariables.LEVEL")
    assert (level.position, level.base and level.base.position) != (None, None)
    assert level.position is not None
    assert (level.position.environment, level.position.line) == ("acme/sophia/prod", 17)
    assert level.base is not None
    assert level.base.position is not None
    assert (level.base.position.environment, level.base.position.line) == ("acme/sophia/base", 8)


def test_the_evaluator_says_what_both_read(sdk: EscClient) -> None:
    world = World({"sophia/base": BASE})
    environment, loading = load("acme/sophia/prod", PROD)
    evaluated, found = open_environment("sophia/prod", environment, world)
    assert not loading + found
    assert evaluated is not None
    _, theirs, _ = sdk.open_and_read_environment("acme", "sophia", "prod")
    ours = {path: _text(value) for path, value in _leaves(plain(evaluated.properties, reveal=True, raw=False))}
    expected = dict(_leaves(theirs))
    assert set(ours) == set(expected)
    assert [path for path, value in expected.items() if not _same(ours[path], value)] == []


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_one_property(sdk: EscClient) -> None:
    session = sdk.open_environment("acme", "sophia", "prod")
    value, data = sdk.read_open_environment_property("acme", "sophia", "prod", session.id, "nested.deep.list[1].name")
    assert data == "two"
    assert value.secret is None
    value, data = sdk.read_open_environment_property("acme", "sophia", "prod", session.id, 'nested["a key"][0]')
    assert data == 1
    value, data = sdk.read_open_environment_property("acme", "sophia", "prod", session.id, "token")
    assert (value.secret, data) == (True, "hunter2 is my password")
    with pytest.raises(NotFoundException):
        sdk.read_open_environment_property("acme", "sophia", "prod", session.id, "nowhere")


def test_versions(server: EscServer, sdk: EscClient) -> None:
    server.put("acme/sophia/prod", "values: {region: other}")
    _, latest, _ = sdk.open_and_read_environment("acme", "sophia", "prod")
    _, stable, _ = sdk.open_and_read_environment_at_version("acme", "sophia", "prod", "stable")
    assert latest == {"region": "other"}
    assert stable["region"] == "eu-west-1"
    numbers = [revision.number for revision in sdk.list_environment_revisions("acme", "sophia", "prod")]
    assert numbers == [3, 2, 1]
    (opened,) = EscSession(EscConfig(), server.environ).opened(parse_name("acme/sophia/prod@stable"))
    assert opened.at("region").text is not None


def test_definitions_keep_comments_and_hide_secrets(sdk: EscClient) -> None:
    _, raw = sdk.get_environment("acme", "sophia", "prod")
    text = raw.decode()
    assert "# A comment that has to stay." in text
    assert "hunter2" not in text
    assert "ciphertext: ZXNj" in text
    _, clear = sdk.decrypt_environment("acme", "sophia", "prod")
    assert 'fn::secret: "hunter2 is my password"' in clear


def test_writing(sdk: EscClient) -> None:
    sdk.create_environment("acme", "sophia", "new")
    sdk.update_environment_yaml("acme", "sophia", "new", "values: {a: '${b}', b: 1}")
    assert sdk.open_and_read_environment("acme", "sophia", "new")[1] == {"a": 1, "b": 1}
    definition = EnvironmentDefinition(values=EnvironmentDefinitionValues(additional_properties={"c": {"d": 2}}))
    sdk.update_environment("acme", "sophia", "new", definition)
    assert sdk.open_and_read_environment("acme", "sophia", "new")[1]["c"] == {"d": 2}
    sdk.clone_environment("acme", "sophia", "new", "sophia", "copy")
    assert sdk.open_and_read_environment("acme", "sophia", "copy")[1]["c"] == {"d": 2}
    names = [each.name for each in sdk.list_environments("acme").environments or ()]
    assert names == ["base", "copy", "new", "prod"]
    sdk.delete_environment("acme", "sophia", "new")
    with pytest.raises(NotFoundException):
        sdk.open_environment("acme", "sophia", "new")


def test_a_wrong_definition_is_refused_with_its_place(sdk: EscClient) -> None:
    checked = sdk.check_environment_yaml("acme", "values:\n  a: ${b}\n")
    assert [found.summary for found in checked.diagnostics or ()] == ['unknown property "b"; did you mean "a"?']
    with pytest.raises(BadRequestException) as caught:
        sdk.update_environment_yaml("acme", "sophia", "prod", "values:\n  a: ${b}\n")
    assert caught.value.data is not None
    found = caught.value.data.diagnostics[0]
    assert (found.range.begin.line, found.range.begin.column) == (2, 8)
    assert sdk.open_and_read_environment("acme", "sophia", "prod")[1]["region"] == "eu-west-1"


def test_tags(sdk: EscClient) -> None:
    sdk.create_environment_revision_tag("acme", "sophia", "prod", "old", 1)
    sdk.update_environment_revision_tag("acme", "sophia", "prod", "old", 2)
    assert sdk.get_environment_revision_tag("acme", "sophia", "prod", "old").revision == 2
    tags = sdk.list_environment_revision_tags("acme", "sophia", "prod").tags or ()
    assert {tag.name: tag.revision for tag in tags} == {"latest": 2, "old": 2, "stable": 2}
    sdk.delete_environment_revision_tag("acme", "sophia", "prod", "old")
    with pytest.raises(NotFoundException):
        sdk.get_environment_revision_tag("acme", "sophia", "prod", "old")
    sdk.create_environment_tag("acme", "sophia", "prod", "owner", "platform")
    sdk.update_environment_tag("acme", "sophia", "prod", "owner", "platform", "team", "data")
    assert sdk.get_environment_tag("acme", "sophia", "prod", "team").value == "data"
    assert list(sdk.list_environment_tags("acme", "sophia", "prod").tags) == ["team"]
    sdk.delete_environment_tag("acme", "sophia", "prod", "team")


def test_a_wrong_token(server: EscServer) -> None:
    sdk = default_client(host=server.base_url, access_token="pul-" + "0" * 40)
    with pytest.raises(UnauthorizedException):
        sdk.list_environments("acme")
    environ = server.environ | {"PULUMI_ACCESS_TOKEN": "pul-" + "0" * 40}
    with pytest.raises(AuthError):
        EscSession(EscConfig(), environ).opened(parse_name("acme/sophia/prod"))


def test_a_workflow_without_any_stored_token(server: EscServer) -> None:
    server.trust("acme", "repo:acme/sophia:*")
    config = EscConfig(environments=("acme/sophia/prod",), organization="acme")
    (opened,) = EscSession(config, server.actions_environ).layers()
    token = opened.at("environmentVariables.TOKEN").text
    assert token is not None
    assert token.reveal() == "hunter2 is my password"
    paths = [seen.path for seen in server.requests]
    assert paths[:2] == ["/github/idtoken", "/api/oauth/token"]
    assert all(server.token not in seen.headers.get("authorization", "") for seen in server.requests)


def test_a_workflow_that_nobody_trusts(server: EscServer) -> None:
    server.trust("acme", "repo:acme/other:*")
    config = EscConfig(environments=("acme/sophia/prod",), organization="acme")
    with pytest.raises(AuthError):
        EscSession(config, server.actions_environ).layers()
