from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from sophiactl.errors import AuthError, ConfigError, UpstreamError
from sophiactl.redaction import REDACTOR
from sophiactl.testing.web_server import Reply
from tests.esc_cloud import JOB_KEY, PROOF, Clock, EscCloud, environment, value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.secrets.esc.session import EscSession

PROD = "acme/sophia/prod"


@pytest.fixture
def cloud() -> Iterator[EscCloud]:
    with EscCloud({PROD: environment({"A": value("1")})}) as server:
        yield server


def _session(cloud: EscCloud, *, key: str = JOB_KEY, clock: Clock | None = None, **settings: str) -> EscSession:
    env = {
        "HOME": "/nonexistent",
        "GITHUB_ACTIONS": "true",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{cloud.base_url}/identity?api-version=2",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": key,
    }
    return cloud.session(PROD, env=env, clock=clock, **settings)


def _form(cloud: EscCloud) -> dict[str, str]:
    (seen,) = cloud.asked("POST", "/api/oauth/token")
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in seen.headers
    return {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}


def test_a_job_opens_an_environment_without_any_stored_token(cloud: EscCloud) -> None:
    session = _session(cloud)
    (opened,) = session.layers()
    assert opened.variables().keys() == {"A"}
    assert session.login().origin == "OIDC of GitHub Actions for acme"
    (asked,) = cloud.asked("GET", "/identity")
    assert asked.query == {"api-version": "2", "audience": "urn:pulumi:org:acme"}
    assert asked.headers["authorization"] == f"bearer {JOB_KEY}"
    assert _form(cloud) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": "urn:pulumi:org:acme",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "subject_token": PROOF,
        "requested_token_type": "urn:pulumi:token-type:access_token:organization",
        "expiration": "900",
    }
    for secret in (PROOF, JOB_KEY, f"pul-{1:040x}"):
        assert secret not in REDACTOR.text(f"<{secret}>")


@pytest.mark.parametrize(("scope", "kind"), [("team:ci", "team"), ("user:me", "personal")])
def test_for_whom_the_token_is(cloud: EscCloud, scope: str, kind: str) -> None:
    _session(cloud, oidc_scope=scope).layers()
    form = _form(cloud)
    assert form["requested_token_type"] == f"urn:pulumi:token-type:access_token:{kind}"
    assert form["scope"] == scope


def test_a_scope_that_is_none_is_refused(cloud: EscCloud) -> None:
    with pytest.raises(ConfigError, match="oidc_scope is 'ci'"):
        _session(cloud, oidc_scope="ci").layers()


def test_there_is_one_exchange_a_run(cloud: EscCloud) -> None:
    session = _session(cloud)
    barrier = threading.Barrier(8)

    def read(_: int) -> int:
        barrier.wait()
        return len(session.layers()) + len(session.work(lambda esc: esc.whoami()).organizations)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [2] * 8
    assert cloud.exchanged == 1
    assert len(cloud.asked("GET", "/identity")) == 1
    assert len(cloud.asked("POST", "/open")) == 1


def test_a_job_without_the_permission(cloud: EscCloud) -> None:
    with pytest.raises(AuthError, match="does not tell who the job is") as caught:
        _session(cloud, key="wrong").layers()
    assert "id-token: write" in (caught.value.hint or "")
    assert cloud.exchanged == 0


def test_an_organization_that_does_not_trust_the_job(cloud: EscCloud) -> None:
    cloud.queue("ok", Reply.json({"code": 401, "message": f"no policy matches {PROOF}"}, 401))
    with pytest.raises(AuthError, match="gives no token for acme to this job") as caught:
        _session(cloud).layers()
    assert "OIDC issuer" in (caught.value.hint or "")
    assert PROOF not in caught.value.message


@pytest.mark.parametrize("body", [{}, {"access_token": None}, {"access_token": ""}, ["x"]])
def test_an_exchange_without_a_token(cloud: EscCloud, body: object) -> None:
    cloud.queue("ok", Reply.json(body))
    with pytest.raises(UpstreamError, match="not the JSON"):
        _session(cloud).layers()


def test_a_token_that_cannot_be_sent_is_not_sent(cloud: EscCloud) -> None:
    cloud.queue("ok", Reply.json({"access_token": "pul-canary-7c1\r\nX: y"}))
    with pytest.raises(ConfigError, match="line end") as caught:
        _session(cloud).layers()
    assert "canary" not in caught.value.message


def test_the_exchange_is_tried_again_only_where_nothing_was_done(cloud: EscCloud) -> None:
    clock = Clock()
    cloud.queue("500", "ok", "429")
    _session(cloud, clock=clock).layers()
    assert clock.waits == [1.0, 1.0]
    assert cloud.exchanged == 1
    cloud.queue("ok", "reset")
    with pytest.raises(Exception, match="broke the connection off"):
        _session(cloud).layers()
    assert cloud.exchanged == 1


@pytest.mark.parametrize("url", ["http://runner.example/identity", "file:///etc/passwd", "//"])
def test_the_key_of_the_job_goes_over_tls_only(cloud: EscCloud, url: str) -> None:
    env = {"HOME": "/", "ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": JOB_KEY}
    with pytest.raises(ConfigError) as caught:
        cloud.session(PROD, env=env).layers()
    assert caught.value.code == "host_refused"
    assert not cloud.requests
