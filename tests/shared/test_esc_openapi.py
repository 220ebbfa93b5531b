"""Every request that the official SDK makes and every answer of our server against the API's own description."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
import yaml
from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse
from pulumi_esc_sdk.esc_client import default_client
from pulumi_esc_sdk.exceptions import ApiException
from pulumi_esc_sdk.models.environment import Environment

from sophiactl.testing.esc_server import EscServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.testing.web_server import Reply, Seen

HOST = "https://api.pulumi.com"
YAML = "application/x-yaml"
DEFINITION = """\
imports: [sophia/base]
values:
  token: {fn::secret: hunter2}
  list: [1, 2.5, {a: true}]
  opened: {fn::open::test: {a: b}}
  environmentVariables: {TOKEN: "${token}", REGION: "${region}"}
  files: {KEY: "${token}"}
  pulumiConfig: {"aws:region": "${region}"}
"""
pytestmark = pytest.mark.filterwarnings("ignore:Use of allowEmptyValue:DeprecationWarning")


class RecordingServer(EscServer):
    """Keeps what it said, too."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[Seen, Reply]] = []

    def answer(self, seen: Seen) -> Reply:
        reply = super().answer(seen)
        self.said.append((seen, reply))
        return reply


@pytest.fixture(scope="module")
def said() -> list[tuple[Seen, Reply]]:
    """What went to and fro while every call of the SDK was made, good and bad ones."""
    with RecordingServer() as server:
        server.put("acme/sophia/base", "values: {region: eu-west-1}")
        server.put("acme/sophia/prod", DEFINITION, tags=["stable"])
        _good_calls(server)
        _bad_calls(server)
        return server.said


def _good_calls(server: EscServer) -> None:
    sdk = default_client(host=server.base_url, access_token=server.token)
    api, prod = sdk.esc_api, ("acme", "sophia", "prod")
    sdk.list_environments("acme")
    sdk.create_environment("acme", "sophia", "new")
    sdk.update_environment_yaml("acme", "sophia", "new", "values: {a: {b: c}}")
    sdk.clone_environment("acme", "sophia", "new", "sophia", "copy", {"preserve_history": True})
    sdk.delete_environment("acme", "sophia", "new")
    sdk.get_environment(*prod)
    sdk.get_environment_at_version(*prod, "stable")
    sdk.decrypt_environment(*prod)
    api.get_environment_e_tag(*prod)
    sdk.check_environment_yaml("acme", "values: {a: '${nowhere}'}")
    sdk.check_environment_yaml("acme", DEFINITION)
    session = sdk.open_environment(*prod)
    sdk.read_open_environment(*prod, session.id)
    sdk.read_open_environment_property(*prod, session.id, "environmentVariables.TOKEN")
    sdk.open_environment_at_version(*prod, "2")
    sdk.list_environment_revisions(*prod, before=3, count=1)
    sdk.create_environment_revision_tag(*prod, "old", 1)
    sdk.update_environment_revision_tag(*prod, "old", 2)
    sdk.get_environment_revision_tag(*prod, "old")
    sdk.list_environment_revision_tags(*prod)
    sdk.delete_environment_revision_tag(*prod, "old")
    sdk.create_environment_tag(*prod, "owner", "platform")
    sdk.update_environment_tag(*prod, "owner", "platform", "team", "data")
    sdk.get_environment_tag(*prod, "team")
    sdk.list_environment_tags(*prod)
    sdk.delete_environment_tag(*prod, "team")


def _bad_calls(server: EscServer) -> None:
    good = default_client(host=server.base_url, access_token=server.token)
    refused = default_client(host=server.base_url, access_token="pul-" + "0" * 40)
    prod = ("acme", "sophia", "prod")
    server.put("acme/sophia/broken", "values: {a: '${nowhere}'}")
    calls: list[Callable[[], Any]] = [
        lambda: refused.list_environments("acme"),
        lambda: refused.open_environment(*prod),
        lambda: good.open_environment("acme", "sophia", "nowhere"),
        lambda: good.open_environment("acme", "sophia", "broken"),
        lambda: good.get_environment_at_version(*prod, "nowhere"),
        lambda: good.read_open_environment(*prod, "0"),
        lambda: good.update_environment_yaml(*prod, "values: [not, an, object]"),
        lambda: good.create_environment("acme", "sophia", "prod"),
        lambda: good.create_environment_revision_tag(*prod, "stable", 1),
        lambda: good.get_environment_tag(*prod, "nowhere"),
        lambda: good.list_environments("nobody"),
    ]
    for call in calls:
        with pytest.raises(ApiException):
            call()


def _text(body: bytes, **_: str) -> Any:
    return body.decode()


def _any_definition(_: bytes, **__: str) -> Any:
    """The description knows no scalars in definitions, and numbers in variables even less: only that it is one."""
    return {}


def _description(shared: Path) -> Any:
    return yaml.safe_load((shared / "esc" / "pulumi-esc-openapi-0.1.0.yaml").read_text())


def _openapi(shared: Path, reader: Callable[..., Any]) -> OpenAPI:
    description = _description(shared)
    # The service leaves `value` out where it is null or unknown, as the recorded sessions of its command line show.
    description["components"]["schemas"]["Value"]["required"].remove("value")
    return OpenAPI.from_dict(description, config=Config(extra_media_type_deserializers={YAML: reader}))


def _request(seen: Seen) -> MockRequest:
    content_type = seen.headers.get("content-type", "").partition(";")[0]
    headers = {"Authorization": seen.headers.get("authorization", "")}
    arguments = dict(parse_qsl(seen.raw_query))
    return MockRequest(
        HOST, seen.method, seen.path, args=arguments, headers=headers, data=seen.body, content_type=content_type
    )


def test_requests_are_as_described(shared: Path, said: list[tuple[Seen, Reply]]) -> None:
    openapi = _openapi(shared, _text)
    for seen, _ in said:
        openapi.validate_request(_request(seen))


def test_answers_are_as_described(shared: Path, said: list[tuple[Seen, Reply]]) -> None:
    openapi = _openapi(shared, _any_definition)
    for seen, reply in said:
        response = MockResponse(
            reply.body, reply.status, dict(reply.headers), reply.headers.get("Content-Type", "application/json")
        )
        if reply.status == 204 or seen.method == "HEAD":
            assert not reply.body
            continue
        openapi.validate_response(_request(seen), response)


def test_every_operation_was_asked(shared: Path, said: list[tuple[Seen, Reply]]) -> None:
    operations = {
        (method.upper(), re.compile(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(path)))): operation["operationId"]
        for path, methods in _description(shared)["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and "operationId" in operation
    }
    answered = [(seen.method, seen.path.removeprefix("/api/esc")) for seen, reply in said if reply.status < 300]
    asked = {
        name
        for (method, pattern), name in operations.items()
        if any(method == verb and pattern.fullmatch(path) for verb, path in answered)
    }
    assert asked == set(operations.values())
    assert len(operations) == 25


def test_each_kind_of_answer_was_met(said: list[tuple[Seen, Reply]]) -> None:
    assert {reply.status for _, reply in said} == {200, 204, 400, 401, 404, 409}


def test_both_spellings_of_one_property_are_one(said: list[tuple[Seen, Reply]]) -> None:
    spelled = [seen.path for seen, _ in said if "/open//" in seen.path]
    assert len(spelled) == 1
    with EscServer() as server:
        server.put("acme/sophia/prod", "values: {a: {b: 1}}")
        client = default_client(host=server.base_url, access_token=server.token)
        session = client.open_environment("acme", "sophia", "prod")
        client.esc_api.read_open_environment_property("acme", "sophia", "prod", session.id, "a.b")
        assert server.requests[-1].path.endswith(f"/open//{session.id}")


def test_a_wrong_answer_would_be_noticed(shared: Path, said: list[tuple[Seen, Reply]]) -> None:
    openapi = _openapi(shared, _any_definition)
    seen, reply = next(pair for pair in said if pair[0].path.endswith("/environments/acme"))
    body = json.loads(reply.body)
    del body["environments"][0]["name"]
    with pytest.raises(OpenAPIError):
        openapi.validate_response(_request(seen), MockResponse(json.dumps(body).encode()))


def test_bodies_are_read_as_the_sdk_models_them(said: list[tuple[Seen, Reply]]) -> None:
    reply = next(
        reply for seen, reply in said if "/open/" in seen.path and seen.method == "GET" and reply.status == 200
    )
    environment = Environment.from_json(reply.body.decode())
    assert environment is not None
    assert set(environment.properties or ()) >= {"token", "environmentVariables", "files", "pulumiConfig"}
    assert environment.execution_context is not None
