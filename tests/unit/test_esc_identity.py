"""Signing in to the loopback ESC server without a stored token: whose identity is worth one, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from sophiactl.testing.esc.oidc import GRANT, ID_TOKEN
from sophiactl.testing.esc_server import EscServer
from tests.esc_servers import Clock, ask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.web import WebAnswer

PROD = "/api/esc/environments/acme/sophia/prod"
ORGANIZATION = "urn:pulumi:token-type:access_token:organization"
NOBODY = "none"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[EscServer]:
    with EscServer(now=clock) as running:
        running.put("acme/sophia/prod", "values: {a: 1}")
        yield running


def _exchange(server: EscServer, token: str, **changed: str) -> WebAnswer:
    fields = {
        "grant_type": GRANT,
        "audience": "urn:pulumi:org:acme",
        "subject_token_type": ID_TOKEN,
        "subject_token": token,
        "requested_token_type": ORGANIZATION,
        **changed,
    }
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return ask(server, "POST", "/api/oauth/token", urlencode(fields).encode(), form, token=NOBODY)


def _identity(server: EscServer) -> str:
    environ = server.actions_environ
    path = environ["ACTIONS_ID_TOKEN_REQUEST_URL"].removeprefix(server.base_url)
    headers = {"Authorization": f"bearer {environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    return str(ask(server, "GET", f"{path}&audience=urn:pulumi:org:acme", headers=headers).json()["value"])


def test_an_identity_is_worth_a_token_for_a_while(server: EscServer, clock: Clock) -> None:
    server.trust("acme", "repo:acme/*")
    body = _exchange(server, _identity(server), expiration="600").json()
    assert (body["issued_token_type"], body["expires_in"]) == (ORGANIZATION, 600)
    token = body["access_token"]
    assert ask(server, "GET", PROD, token=token).status == 200
    assert [each["githubLogin"] for each in ask(server, "GET", "/api/user", token=token).json()["organizations"]] == [
        "acme"
    ]
    server.put("other/x/y", "")
    assert ask(server, "GET", "/api/esc/environments/other", token=token).status == 404
    clock.forward(seconds=600)
    assert ask(server, "GET", PROD, token=token).status == 401


def test_the_exchange_takes_json_too(server: EscServer) -> None:
    server.trust("acme", "repo:acme/*")
    fields = {
        "grant_type": GRANT,
        "audience": "urn:pulumi:org:acme",
        "subject_token_type": ID_TOKEN,
        "subject_token": _identity(server),
        "requested_token_type": "urn:pulumi:token-type:access_token:team",
        "scope": "team:platform",
        "expiration": 60,
    }
    answer = ask(server, "POST", "/api/oauth/token", fields, {"Content-Type": "application/json"}, token=NOBODY)
    assert ask(server, "GET", "/api/user", token=answer.json()["access_token"]).json()["githubLogin"] == "platform"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"audience": "acme"}, "invalid_target"),
        ({"audience": "urn:pulumi:org:other"}, "invalid_grant"),
        ({"subject_token_type": "x"}, "invalid_request"),
        ({"requested_token_type": "x"}, "invalid_request"),
        ({"requested_token_type": "urn:pulumi:token-type:access_token:team"}, "invalid_scope"),
        ({"subject_token": "a.b.c"}, "invalid_grant"),
        ({"subject_token": ""}, "invalid_grant"),
        ({"expiration": "0"}, "invalid_request"),
        ({"expiration": "x"}, "invalid_request"),
    ],
)
def test_exchanges_that_are_refused(server: EscServer, changed: dict[str, str], error: str) -> None:
    server.trust("acme", "repo:acme/*")
    answer = _exchange(server, _identity(server), **changed)
    assert (answer.status, answer.json()["error"]) == (400, error)


def test_identities_that_are_refused(server: EscServer, clock: Clock) -> None:
    server.trust("acme", "repo:acme/*")
    sign = server.identities.sign
    audience = "urn:pulumi:org:acme"
    tokens = {
        "no policy": sign(audience, subject="repo:evil/sophia:ref:refs/heads/main"),
        "another audience": sign("https://github.com/acme"),
        "another issuer": sign(audience, iss="https://evil.example"),
        "signature": sign(audience)[:-4] + "AAAA",
        "expired": sign(audience, lifetime=10),
    }
    clock.forward(seconds=11)
    for reason, token in tokens.items():
        answer = _exchange(server, token)
        assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
        assert reason in answer.json()["error_description"]


def test_identity_tokens_are_for_the_workflow_alone(server: EscServer) -> None:
    path = "/github/idtoken?api-version=2.0"
    assert ask(server, "GET", path, headers={"Authorization": "bearer wrong"}).status == 401
