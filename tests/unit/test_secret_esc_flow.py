"""The client against a whole service: definitions are evaluated, revisions kept, tokens exchanged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import AuthError, SophiaError
from sophiactl.redaction import Secret
from sophiactl.secrets.config import EscConfig
from sophiactl.secrets.esc.failures import BrokenEnvironment, EditConflict, EscNotFound
from sophiactl.secrets.esc.session import EscSession
from sophiactl.secrets.sources.esc import EscSource
from sophiactl.testing.esc_server import ESC_FAULTS, EscServer
from tests.esc_cloud import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.secrets.esc.answers import Opening
    from sophiactl.secrets.esc.client import EscClient
    from sophiactl.secrets.esc.values import EscValue

BASE, PROD = "acme/sophia/base", "acme/sophia/prod"
CANARY = "vX4kTq9LmZ2pRw7NcB"
BASE_YAML = f"""\
values:
  gong: https://eu.api.gong.io
  environmentVariables:
    GONG_BASE_URL: ${{gong}}
    SLACK_BOT_TOKEN:
      fn::secret: {CANARY}-of-base
"""
PROD_YAML = f"""\
imports:
  - sophia/base
values:
  version: 2.5
  odd keys:
    "a.b": [first, {{value: inner, other: x}}]
    'say "hi"': {{}}
  environmentVariables:
    SLACK_BOT_TOKEN: {{fn::secret: {CANARY}}}
    VERSION: ${{version}}
    PORT: 8080
    DEBUG: false
    NESTED: {{a: 1}}
    NOTHING: null
  files:
    KUBECONFIG:
      fn::secret: "apiVersion: v1\\nkind: Config\\n"
"""
NAMES = frozenset({"SLACK_BOT_TOKEN", "GONG_BASE_URL", "KUBECONFIG", "VERSION"})


class Days:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def days() -> Days:
    return Days()


@pytest.fixture
def server(days: Days) -> Iterator[EscServer]:
    with EscServer(now=days) as server:
        server.put(BASE, BASE_YAML)
        days.now += timedelta(days=31)
        server.put(PROD, PROD_YAML, tags=["stable"])
        yield server


def _session(server: EscServer, *environments: str, env: dict[str, str] | None = None, **settings: Any) -> EscSession:
    config = EscConfig(environments=environments or (PROD,), **{"timeout": 20.0, **settings})
    return EscSession(
        config, {"HOME": "/nonexistent", **(server.environ if env is None else env)}, times=Clock().times()
    )


def _source(session: EscSession, *, ages: bool = False) -> EscSource:
    return EscSource(EscConfig(environments=(PROD,)), {}, session=session, ages=ages)


def test_an_environment_with_its_imports(server: EscServer) -> None:
    reading = _source(_session(server), ages=True).read(NAMES)
    held = reading.held
    assert held.keys() == NAMES
    assert held["SLACK_BOT_TOKEN"].value == Secret(CANARY)
    assert str(held["SLACK_BOT_TOKEN"].place) == f"esc {PROD}:9"
    assert str(held["SLACK_BOT_TOKEN"].base) == f"esc {BASE}:6"
    assert str(held["GONG_BASE_URL"].place) == f"esc {BASE}:4"
    assert (held["GONG_BASE_URL"].is_plain, held["SLACK_BOT_TOKEN"].is_plain) == (True, False)
    assert held["VERSION"].value == Secret("2.5")
    assert (held["KUBECONFIG"].is_file, held["KUBECONFIG"].value) == (True, Secret("apiVersion: v1\nkind: Config\n"))
    assert held["SLACK_BOT_TOKEN"].modified_at == "2026-02-01T00:00:00Z"
    assert held["GONG_BASE_URL"].modified_at == "2026-01-01T00:00:00Z"
    assert reading.others.keys() == {"PORT", "DEBUG"}
    assert {(each.rule, each.name) for each in reading.troubles} == {("esc-nested", "NESTED"), ("esc-null", "NOTHING")}
    assert CANARY not in repr(reading)


def test_every_path_that_we_write_is_read_by_the_service(server: EscServer) -> None:
    session = _session(server)
    (opened,) = session.layers()
    leaves = dict(opened.leaves())
    assert '["odd keys"]["a.b"][1].value' in leaves

    async def read(esc: EscClient) -> dict[str, EscValue]:
        opening: Opening = await esc.open(opened.name, 60)
        return {path: await esc.read_property(opening, path) for path in leaves}

    assert session.work(read) == leaves


def test_a_job_signs_in_by_itself(server: EscServer) -> None:
    server.trust("acme", "repo:acme/*:*")
    session = _session(server, env=server.actions_environ)
    assert _source(session).read(NAMES).held.keys() == NAMES
    assert session.work(lambda esc: esc.whoami()).organizations == ("acme",)
    assert len([seen for seen in server.requests if seen.path == "/api/oauth/token"]) == 1
    assert server.token not in str([seen.headers for seen in server.requests])


@pytest.mark.parametrize("scope", ["team:ci", "user:me"])
def test_a_job_signs_in_for_a_team_or_a_person(server: EscServer, scope: str) -> None:
    server.trust("acme", "repo:acme/*:*")
    assert _session(server, env=server.actions_environ, oidc_scope=scope).layers()


def test_a_job_that_nobody_trusts(server: EscServer) -> None:
    with pytest.raises(AuthError, match="no policy of the organization allows this subject"):
        _session(server, env=server.actions_environ).layers()


def test_two_revisions_and_a_tag(server: EscServer) -> None:
    server.put(PROD, "values: {environmentVariables: {SLACK_BOT_TOKEN: new}}")
    session = _session(server)
    old, new, stable = session.opened(*(session.name(f"prod@{version}") for version in ("2", "3", "stable")))
    assert new.variables().keys() == {"SLACK_BOT_TOKEN"}
    assert dict(old.leaves()) == dict(stable.leaves())
    assert [each.number for each in session.work(lambda esc: esc.revisions(old.name))] == [3, 2, 1]
    assert {tag.name for tag in session.work(lambda esc: esc.revision_tags(old.name))} == {"latest", "stable"}


def test_an_edit_and_one_that_comes_too_late(server: EscServer) -> None:
    session = _session(server)
    name = session.names()[0]
    before = session.work(lambda esc: esc.definition(name))
    assert "ciphertext" in before.yaml.reveal()
    assert CANARY not in before.yaml.reveal()
    assert CANARY in session.work(lambda esc: esc.decrypted(name)).yaml.reveal()
    assert session.work(lambda esc: esc.update(name, b"values: {a: 1}\n", before.etag)) == 3
    with pytest.raises(EditConflict):
        session.work(lambda esc: esc.update(name, b"values: {a: 2}\n", before.etag))
    with pytest.raises(BrokenEnvironment, match=r":1:\d+: error: "):
        session.work(lambda esc: esc.update(name, b"values: {a: '${nowhere}'}\n", ""))


def test_a_definition_with_errors_names_the_line(server: EscServer) -> None:
    server.put(PROD, "values:\n  a: ${nowhere}\n")
    with pytest.raises(BrokenEnvironment, match=f"ESC refuses to open {PROD}: {PROD}:2:8: error: unknown property"):
        _session(server).layers()


def test_a_check_opens_nothing(server: EscServer) -> None:
    session = _session(server)
    checked = session.work(lambda esc: esc.check("acme", b"values: {a: {fn::secret: x}, b: '${a}', c: 2.5}"))
    assert checked.diagnostics == ()
    assert checked.properties.fields["a"].secret
    assert checked.properties.fields["c"].as_json() == "2.5"


def test_a_protected_environment(server: EscServer) -> None:
    server.protect(PROD)
    with pytest.raises(AuthError) as caught:
        _session(server).layers()
    assert "asks for approval" in (caught.value.hint or "")


def test_what_was_meant(server: EscServer) -> None:
    for name, hint in (
        ("acme/sophia/prdo", f"did you mean {PROD}?"),
        (f"{PROD}@old", f"{PROD} has no old; the newest revision is 2, tags: latest, stable"),
        ("other/sophia/prod", "the token does not see the organization other; it sees acme"),
    ):
        with pytest.raises(EscNotFound) as caught:
            _session(server, name).layers()
        assert caught.value.hint == hint


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("fault", [*sorted(ESC_FAULTS.keys() - {"hang"}), "redirect"])
def test_every_fault_is_an_error_or_is_overcome(server: EscServer, fault: str, place: int) -> None:
    server.queue(*["ok"] * place, fault)
    overcome = {"429", "429-bare"} if place == 0 else {"429", "429-bare", "500", "502-html", "503", "cut", "reset"}
    session = _session(server)
    if fault in overcome:
        assert session.layers()
    else:
        with pytest.raises(SophiaError) as caught:
            session.layers()
        assert CANARY not in str(caught.value)
        assert server.token not in str(caught.value)
    assert server.elsewhere == []


@pytest.mark.reference
def test_the_sdk_reads_the_same(server: EscServer) -> None:
    from pulumi_esc_sdk.esc_client import default_client

    sdk = default_client(host=server.base_url, access_token=server.token)
    _, values, _ = sdk.open_and_read_environment("acme", "sophia", "prod")
    (ours,) = _session(server).layers()
    theirs = values["environmentVariables"]
    for name, variable in ours.variables().items():
        if variable.is_file:
            assert variable.value.text == Secret(values["files"][name])
        elif name not in {"VERSION", "PORT", "DEBUG"}:  # numbers and booleans are no texts there
            assert variable.value.text == Secret(theirs[name])
    assert (theirs["VERSION"], theirs["PORT"], theirs["DEBUG"]) == (2.5, 8080, False)
