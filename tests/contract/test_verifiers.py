"""Every verifier against everything that may answer it. A new row in `registry.VERIFIERS` without cases fails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl import registry
from sophiactl.redaction import Redactor, Secret
from sophiactl.testing.identity_answers import VENDORS
from sophiactl.testing.identity_server import IdentityServer
from sophiactl.testing.web_server import Reply
from tests.live_probes import (
    BLOCKED,
    GOOD,
    INVALID,
    JSON,
    LIMITED,
    OWN,
    POSTGRESQL,
    SKIPPED,
    UNKNOWN,
    VALID,
    ask,
    common,
    probe,
    self_signed,
    with_field,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from sophiactl.secrets.base import Check


@pytest.fixture(scope="module")
def server() -> Iterator[IdentityServer]:
    with IdentityServer() as double:
        yield double


@pytest.fixture(autouse=True)
def fresh(server: IdentityServer) -> None:
    server.says.clear()
    server.requests.clear()


def nothing_leaks(server: IdentityServer, service: str, check: Check) -> None:
    for name, value in server.values(service).items():
        if name.endswith("_URL"):
            continue
        assert value not in repr(check)
        assert all(value not in f"{seen.path}?{seen.raw_query}" for seen in server.requests)
    assert not server.elsewhere


def test_every_row_has_cases() -> None:
    assert set(OWN) | set(POSTGRESQL) == set(registry.VERIFIERS)
    assert set(OWN) == set(VENDORS)
    assert all(set(VENDORS[service].others) == set(cases) for service, cases in OWN.items())


@pytest.mark.parametrize("name", list(common("notion")))
def test_what_everybody_may_be_answered(server: IdentityServer, name: str) -> None:
    """All services at the same time, one answer each."""
    services = [service for service in OWN if name in common(service)]
    server.says.update({service: common(service)[name][0] for service in services})
    quick = 0.5 if name == "hang" else 10.0
    checks = ask(*(probe(server, service, timeout=quick) for service in services))
    assert [check.service for check in checks] == services
    got = {check.service: check.verdict for check in checks}
    assert got == {service: common(service)[name][1] for service in services}
    for check in checks:
        assert check.note
        nothing_leaks(server, check.service, check)
    # aiohttp repeats a GET once when a connection breaks off before the answer.
    assert len(server.requests) <= len(services) * (2 if name == "reset" else 1)


@pytest.mark.parametrize(("service", "name"), [(service, name) for service, cases in OWN.items() for name in cases])
def test_what_a_vendor_says_in_its_own_words(server: IdentityServer, service: str, name: str) -> None:
    server.says[service] = VENDORS[service].others[name]
    (check,) = ask(probe(server, service))
    assert check.verdict is OWN[service][name], check
    nothing_leaks(server, service, check)


@pytest.mark.parametrize("service", OWN)
def test_the_double_takes_its_own_secrets_alone(server: IdentityServer, service: str) -> None:
    wrong = {name: Secret(f"{value}x", redactor=Redactor()) for name, value in VENDORS[service].values.items()}
    right = probe(server, service)
    good, bad = ask(right, msgspec.structs.replace(right, values={**right.values, **wrong}))
    assert (good.verdict, bad.verdict) == (VALID, INVALID)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: IdentityServer, status: int) -> None:
    for service in OWN:
        server.says[service] = Reply(status, headers={"Location": f"{server.elsewhere_url}/{service}"})
    checks = ask(*(probe(server, service) for service in OWN))
    assert {check.verdict for check in checks} == {UNKNOWN}
    assert "not followed" in checks[0].note
    assert not server.elsewhere
    assert len(server.requests) == len(OWN)


def test_an_answer_of_another_vendor_is_no_proof(server: IdentityServer) -> None:
    for other, vendor in VENDORS.items():
        server.says.update(dict.fromkeys(OWN, vendor.calls[0].good))
        checks = ask(*(probe(server, service) for service in OWN))
        good = {check.service for check in checks if check.verdict in GOOD}
        # Portkey speaks OpenAI's wire: there the lists of models are of one shape.
        assert good <= {other} | ({"portkey", "openai"} if other in {"portkey", "openai"} else set())


def test_another_vendor_s_refusal_is_no_sign_of_life(server: IdentityServer) -> None:
    for other, vendor in VENDORS.items():
        for reply in (vendor.limited, *vendor.others.values()):
            if reply.status == 200:
                continue
            server.says.update({service: reply for service in OWN if service != other})
            checks = ask(*(probe(server, service) for service in OWN if service != other))
            assert not [check for check in checks if check.verdict is VALID]


def test_a_self_signed_certificate_is_unknown(certificate: ssl.SSLContext) -> None:
    with IdentityServer(tls=certificate) as double:
        checks = ask(*(probe(double, service) for service in OWN))
        assert {check.verdict for check in checks} == {UNKNOWN}
        assert all("TLS" in check.note for check in checks)
        assert not double.requests


def test_no_tls_where_it_is_wanted(server: IdentityServer) -> None:
    base = server.base_url.replace("http:", "https:")
    checks = ask(*(probe(server, service, base_url=f"{base}/{service}") for service in OWN))
    assert {check.verdict for check in checks} == {UNKNOWN}


def test_a_host_that_is_not_allowed_is_not_asked(server: IdentityServer) -> None:
    # Qdrant is wherever its URL says; that is all it has for a host.
    services = [service for service in OWN if service != "qdrant"]
    checks = ask(*(probe(server, service, hosts=("example.com",), allow_loopback=False) for service in services))
    assert {check.verdict for check in checks} == {UNKNOWN}
    assert not server.requests


@pytest.mark.parametrize("service", OWN)
def test_without_its_secrets_it_is_skipped(server: IdentityServer, service: str) -> None:
    asked = probe(server, service)
    none = msgspec.structs.replace(asked, values={})
    empty = msgspec.structs.replace(asked, values={name: Secret("") for name in VENDORS[service].values})
    if service == "qdrant":  # an open one needs no key
        none, empty = (msgspec.structs.replace(one, base_url="") for one in (none, empty))
    checks = ask(none, empty)
    assert {check.verdict for check in checks} == {SKIPPED}
    assert all(check.names and check.note for check in checks)
    assert not server.requests


@pytest.mark.parametrize("bad", ["line\nbreak", "caf\u00e9", "zero\0", "tab\t", "\r\nX-Injected: 1", "\ud800"])
def test_a_secret_that_no_header_can_carry(server: IdentityServer, bad: str) -> None:
    probes = []
    for service in OWN:
        values = {name: Secret(f"pre-{bad}-post", redactor=Redactor()) for name in VENDORS[service].values}
        probes.append(probe(server, service, values={**probe(server, service).values, **values}))
    checks = ask(*probes)
    assert not [check for check in checks if check.verdict in GOOD]
    assert "pre-" not in repr(checks)
    assert all("x-injected" not in seen.headers for seen in server.requests)


def test_what_is_echoed_is_not_kept(server: IdentityServer) -> None:
    """A service that sends the secret back in what it says of it; the probe's secrets are unknown to any redactor."""
    shown = ("name", "team", "user", "handle", "githubLogin", "preferred_username", "workspace_name", "scope")
    for service, vendor in VENDORS.items():
        body = msgspec.json.decode(vendor.calls[0].good.body)
        server.says[service] = Reply.json(_echoing(body, next(iter(vendor.values.values())), shown))
    for service, check in zip(OWN, ask(*(probe(server, service) for service in OWN)), strict=True):
        assert check.verdict in GOOD
        assert next(iter(VENDORS[service].values.values())) not in repr(check)


def _echoing(body: Any, value: str, names: tuple[str, ...]) -> Any:
    if isinstance(body, list):
        return [_echoing(one, value, names) for one in body]
    if not isinstance(body, dict):
        return body
    return {
        name: f"{held} {value}" if name in names and isinstance(held, str) else _echoing(held, value, names)
        for name, held in body.items()
    }


def test_signs_for_a_terminal_are_taken_out(server: IdentityServer) -> None:
    body = with_field(VENDORS["notion"].calls[0].good.body, "name", "\x1b[2Jsophia\u202e\n\n::error::")
    server.says["notion"] = Reply(200, body, JSON)
    (check,) = ask(probe(server, "notion"))
    assert check.verdict is VALID
    assert check.note.isprintable()
    assert "sophia" in check.identity["bot"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "ok",
                    "data",
                    "id",
                    "object",
                    "name",
                    "type",
                    "status",
                    "error",
                    "errors",
                    "result",
                    "models",
                    "hubId",
                    "label",
                    "usage",
                    "gid",
                    "handle",
                    "githubLogin",
                    "has_more",
                    "collections",
                    "workspaces",
                    "user_id",
                    "team_id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(body=json_values, status=st.sampled_from([200, 200, 400, 401, 403, 404]), service=st.sampled_from(sorted(OWN)))
@settings(max_examples=600)
def test_no_verifier_breaks_or_takes_what_it_does_not_know(body: Any, status: int, service: str) -> None:
    from importlib import import_module

    from sophiactl.secrets.live.reading import meaning
    from sophiactl.web import WebAnswer

    module = import_module(f"sophiactl.secrets.live.{service}")
    for reader in (name for name in vars(module) if name.startswith("read") and name != "reading"):
        answer = WebAnswer(status, {}, msgspec.json.encode(body))
        said = meaning(answer, getattr(module, reader), datetime(2026, 11, 22, tzinfo=UTC))
        if said.verdict is VALID:
            assert status == 200
            assert NEEDED[service] <= _names(body), (reader, body)


NEEDED: dict[str, set[str]] = {
    "slack": {"ok", "team_id", "user_id"},
    "gong": {"workspaces"},
    "hubspot": {"hubId"},
    "salesforce": {"user_id"},
    "notion": {"object", "id"},
    "asana": {"data", "gid"},
    "figma": {"id", "handle"},
    "portkey": {"object", "data"},
    "openrouter": {"data", "label", "usage"},
    "openai": {"object", "data"},
    "anthropic": {"data", "has_more"},
    "gemini": {"models", "name"},
    "xai": {"api_key_blocked"},
    "qdrant": {"status", "result", "collections"},
    "huggingface": {"name", "type"},
    "pulumi": {"githubLogin"},
}


def _names(body: Any) -> set[str]:
    if isinstance(body, dict):
        return set(body) | {name for held in body.values() for name in _names(held)}
    return {name for held in body for name in _names(held)} if isinstance(body, list) else set()


@pytest.mark.parametrize("service", OWN)
def test_a_field_that_is_null_or_of_another_type_proves_nothing_by_itself(server: IdentityServer, service: str) -> None:
    """Each field of a good answer in turn becomes null, an object, a number: never a traceback."""
    good = msgspec.json.decode(VENDORS[service].calls[0].good.body)
    for name in good:
        odds: tuple[Any, ...] = (None, {}, 7, [None], "x")
        for odd in odds:
            server.says[service] = Reply.json({**good, name: odd})
            (check,) = ask(probe(server, service))
            assert check.verdict in {VALID, LIMITED, UNKNOWN, BLOCKED, INVALID}
            assert "broke" not in check.note, (name, odd, check.note)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return self_signed(tmp_path_factory.mktemp("tls"))
