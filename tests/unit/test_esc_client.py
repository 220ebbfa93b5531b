from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import AuthError, DeadlineExceeded, RateLimited, SophiaError, Unreachable, UpstreamError
from sophiactl.secrets.esc.calls import retry_after
from sophiactl.secrets.esc.client import go_duration
from sophiactl.secrets.esc.failures import BrokenEnvironment, EditConflict, EscNotFound
from sophiactl.secrets.esc.naming import parse_name
from sophiactl.testing.web_server import Reply
from sophiactl.web import NotConnected, TlsFailed, WebAnswer
from tests.esc_cloud import TOKEN, Clock, EscCloud, environment, value

if TYPE_CHECKING:
    from collections.abc import Iterator

PROD = "acme/sophia/prod"
NAME = parse_name(PROD)
HELD = environment({"A": value("1", secret=True)}, nested={"a b": value([value({"c": value(1)})])})


@pytest.fixture
def cloud() -> Iterator[EscCloud]:
    held = {
        PROD: HELD,
        f"{PROD}@12": HELD,
        f"{PROD}@stable": HELD,
        "acme/sophia/staging": HELD,
        "acme/other/prod": HELD,
    }
    with EscCloud(held) as server:
        yield server


# Calls


def test_what_a_request_looks_like(cloud: EscCloud) -> None:
    cloud.session(PROD, lifetime=900).layers()
    posted, read = cloud.requests
    assert (posted.method, posted.path, posted.query) == (
        "POST",
        "/api/esc/environments/acme/sophia/prod/open",
        {"duration": "0h15m0s"},
    )
    assert (read.method, read.path) == ("GET", "/api/esc/environments/acme/sophia/prod/open/open acme/sophia/prod")
    for seen in cloud.requests:
        assert seen.headers["authorization"] == f"token {TOKEN}"
        assert seen.headers["accept"] == "application/vnd.pulumi+8"
        assert seen.headers["content-type"] == "application/json"
        assert "cookie" not in seen.headers


@pytest.mark.parametrize("version", ["12", "stable"])
def test_a_version_is_opened(cloud: EscCloud, version: str) -> None:
    (opened,) = cloud.session(f"{PROD}@{version}").layers()
    assert str(opened.name) == f"{PROD}@{version}"
    assert cloud.asked("POST")[0].path == f"/api/esc/environments/acme/sophia/prod/versions/{version}/open"


def test_the_path_of_an_address_is_kept(cloud: EscCloud) -> None:
    cloud.base_url += "/gate/pulumi/"
    session = cloud.session(PROD)
    assert session.work(lambda esc: esc.whoami()).login == "me"
    assert cloud.requests[0].path == "/gate/pulumi/api/user"


def test_who_asks(cloud: EscCloud) -> None:
    session = cloud.session()
    account = session.work(lambda esc: esc.whoami())
    assert (account.login, account.organizations, account.token_name) == ("me", ("acme",), "ci")
    assert session.work(lambda esc: esc.default_organization()) == "acme"


def test_a_list_is_read_page_by_page(cloud: EscCloud) -> None:
    entries = cloud.session().work(lambda esc: esc.environments("acme"))
    assert [entry.name.path for entry in entries] == ["acme/other/prod", PROD, "acme/sophia/staging"]
    assert [seen.query for seen in cloud.requests] == [{}, {"continuationToken": "2"}]


def test_a_list_that_repeats_itself_ends(cloud: EscCloud) -> None:
    cloud.queue(*[Reply.json({"environments": [], "nextToken": "1"})] * 3)
    assert cloud.session().work(lambda esc: esc.environments("acme")) == ()
    assert len(cloud.requests) == 2


def test_definition_and_update(cloud: EscCloud) -> None:
    session = cloud.session()
    definition = session.work(lambda esc: esc.definition(NAME.at("12")))
    assert cloud.requests[0].path.endswith("/acme/sophia/prod/versions/12")
    assert (definition.etag, definition.revision) == ("etag-1", 3)
    assert definition.yaml.reveal() == "values:\n  a: 1\n"
    assert "values" not in repr(definition)
    assert session.work(lambda esc: esc.update(NAME, b"values: {}", definition.etag)) == 3
    patch = cloud.requests[-1]
    assert (patch.method, patch.body, patch.headers["etag"]) == ("PATCH", b"values: {}", "etag-1")
    assert patch.headers["content-type"] == "application/x-yaml"
    cloud.etag = "etag-2"
    with pytest.raises(EditConflict, match="nothing was written"):
        session.work(lambda esc: esc.update(NAME, b"values: {}", definition.etag))


def test_the_clear_definition_has_an_address_of_its_own(cloud: EscCloud) -> None:
    cloud.session().work(lambda esc: esc.decrypted(NAME))
    assert cloud.requests[0].path.endswith("/acme/sophia/prod/decrypt")


def test_a_check_tells_what_is_wrong_as_a_value(cloud: EscCloud) -> None:
    session = cloud.session()
    assert session.work(lambda esc: esc.check("acme", b"values: {a: 1}")).properties.fields["a"].kind == "number"
    checked = session.work(lambda esc: esc.check("acme", b"broken"))
    assert [str(each) for each in checked.diagnostics] == ["<yaml>:2:4: error: unknown property", "warning: unused"]
    assert cloud.requests[-1].query == {"showSecrets": "false"}


def test_revisions_and_tags(cloud: EscCloud) -> None:
    session = cloud.session()
    revisions = session.work(lambda esc: esc.revisions(NAME, count=2))
    assert [(each.number, each.created[:10]) for each in revisions] == [(3, "2026-03-01"), (2, "2026-02-01")]
    assert [tag.revision for tag in session.work(lambda esc: esc.revision_tags(NAME))] == [2]
    for version, number in (("", 3), ("stable", 2), ("1", 1)):
        at = NAME.at(version) if version else NAME
        found = session.work(lambda esc, at=at: esc.revision_at(at))  # type: ignore[misc]
        assert found is not None
        assert found.number == number


def test_one_property_is_read(cloud: EscCloud) -> None:
    cloud.queue("ok", Reply.json(value("v", secret=True)))
    path = 'nested["a b"][0].c'

    async def read(esc: object) -> object:
        from sophiactl.secrets.esc.client import EscClient

        assert isinstance(esc, EscClient)
        return await esc.read_property(await esc.open(NAME, 60), path)

    cloud.session().work(read)
    assert cloud.requests[-1].query == {"property": path}


# Again, or not


def test_reading_is_tried_again_as_the_cli_does(cloud: EscCloud) -> None:
    clock = Clock()
    cloud.queue("cut", "500", "502-html", "503")
    cloud.session(clock=clock).work(lambda esc: esc.whoami())
    assert clock.waits == [1, 2, 4, 8]
    assert len(cloud.requests) == 5


def test_the_fifth_failure_is_told(cloud: EscCloud) -> None:
    reply = Reply.json({"code": 500, "message": "canary-7c1"}, 500, X_Pulumi_Request_ID="req-77")
    cloud.queue(*[reply] * 6)
    clock = Clock()
    with pytest.raises(UpstreamError, match="status 500, request req-77") as caught:
        cloud.session(clock=clock, timeout=60.0).work(lambda esc: esc.whoami())
    assert "canary" not in str(caught.value)
    assert clock.waits == [1, 2, 4, 8]


def test_no_wait_is_begun_that_would_not_end_in_time(cloud: EscCloud) -> None:
    clock = Clock()
    cloud.queue(*["500"] * 6)
    with pytest.raises(UpstreamError):
        cloud.session(clock=clock, timeout=6.0).work(lambda esc: esc.whoami())
    assert clock.waits == [1, 2]


@pytest.mark.parametrize(("method", "status"), [("GET", 429), ("GET", 503), ("POST", 429), ("POST", 503)])
def test_the_server_may_say_when(cloud: EscCloud, method: str, status: int) -> None:
    clock = Clock()
    cloud.queue(Reply.json({}, status, Retry_After="3"), Reply.json({}, status, Retry_After="0"))
    session = cloud.session(PROD, clock=clock)
    if method == "POST":
        session.layers()
    else:
        session.work(lambda esc: esc.whoami())
    assert clock.waits == [3, 0]


def test_a_wait_that_is_too_long_is_told(cloud: EscCloud) -> None:
    clock = Clock()
    cloud.queue(Reply.json({}, 429, Retry_After="3600"))
    with pytest.raises(RateLimited) as caught:
        cloud.session(clock=clock).work(lambda esc: esc.whoami())
    assert caught.value.hint == "try again in 3600 s"
    assert clock.waits == []


@pytest.mark.parametrize("fault", ["500", "503", "502-html", "reset", "cut", "truncated-json"])
def test_opening_is_not_tried_again_where_the_server_may_have_acted(cloud: EscCloud, fault: str) -> None:
    clock = Clock()
    cloud.queue(fault)
    with pytest.raises(SophiaError):
        cloud.session(PROD, clock=clock).layers()
    assert len(cloud.requests) == 1
    assert clock.waits == []


def test_opening_is_tried_again_where_no_connection_came_about() -> None:
    with EscCloud({PROD: HELD}) as cloud:
        clock = Clock()
        session = cloud.session(PROD, clock=clock, timeout=60.0)
    with pytest.raises(NotConnected, match="no connection to 127"):
        session.layers()
    assert clock.waits == [1, 2, 4, 8]


def test_a_host_without_tls_is_not_asked_again(cloud: EscCloud) -> None:
    clock = Clock()
    cloud.base_url = cloud.base_url.replace("http:", "https:")
    with pytest.raises(TlsFailed):
        cloud.session(PROD, clock=clock).layers()
    assert clock.waits == []
    assert not cloud.requests


def test_a_failure_is_kept_for_the_run(cloud: EscCloud) -> None:
    cloud.queue("500")
    session = cloud.session(PROD)
    for _ in range(2):
        with pytest.raises(UpstreamError):
            session.layers()
    assert len(cloud.requests) == 1


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1" * 40, None),
        ("٣", None),
        ("Sun, 22 Nov 2026 12:01:00 -0000", None),
    ],
)
def test_when_to_come_back(text: str, seconds: float | None) -> None:
    assert retry_after(WebAnswer(429, {"retry-after": text}, b""), NOON) == seconds


# Refusals


def _refusal(cloud: EscCloud, *replies: Reply | str, name: str = PROD) -> SophiaError:
    cloud.queue(*replies)
    with pytest.raises(SophiaError) as caught:
        cloud.session(name).layers()
    return caught.value


def test_diagnostics_name_the_line(cloud: EscCloud) -> None:
    def at(line: int, name: str = "acme/sophia/base") -> dict[str, object]:
        return {"environment": name, "begin": {"line": line, "column": 3, "byte": 1}, "end": None}

    body = {
        "code": 400,
        "message": "Bad Request",
        "diagnostics": [
            {"summary": "deprecated", "severity": "warning", "range": at(2)},
            {"summary": f"unknown property, token {TOKEN}", "detail": "canary-7c1", "range": at(11), "new": {}},
            {"summary": "expected array, got string", "path": 'values.a["fn::join"]', "range": None},
            {"summary": None, "range": {"begin": "x"}, "path": 7},
            "nonsense",
        ],
    }
    error = _refusal(cloud, Reply.json(body, 400))
    assert isinstance(error, BrokenEnvironment)
    assert [str(each) for each in error.diagnostics] == [
        "acme/sophia/base:11:3: error: unknown property, token [redacted]",
        'values.a["fn::join"]: error: expected array, got string',
        "error: no reason given",
        "acme/sophia/base:2:3: warning: deprecated",
    ]
    assert error.message.startswith("ESC refuses to open acme/sophia/prod: acme/sophia/base:11:3: error: unknown")
    assert "canary" not in error.message
    assert error.exit_code == 3


@pytest.mark.parametrize(
    ("reply", "kind", "said", "hint"),
    [
        (Reply.json({"code": 400, "message": "invalid duration"}, 400), SophiaError, "invalid duration", None),
        (Reply.json({"code": 401, "message": "no"}, 401), AuthError, "refuses the token", "expired"),
        (Reply(401, b"Unauthorized"), AuthError, "refuses the token", "expired"),
        (Reply.json({"code": 403, "message": "no"}, 403), AuthError, "not allowed to open acme/sophia/prod", "access"),
        (Reply.json({"code": 409, "message": "no"}, 409), EditConflict, "changed", "try again"),
        (Reply.json({}, 429), RateLimited, "too many requests", "try again"),
        (Reply.json({"code": 500}, 500), UpstreamError, "status 500", "try again"),
        (Reply.html(403), UpstreamError, "with a page, status 403", "firewall"),
        (Reply.html(401), UpstreamError, "with a page, status 401", "firewall"),
        (Reply.html(404), UpstreamError, "with a page, status 404", "firewall"),
        (Reply.html(200), UpstreamError, "with a page, not JSON", "firewall"),
        (Reply(502, b" <html>"), UpstreamError, "with a page, status 502", "firewall"),
        (Reply(200, b'{"id": "op'), UpstreamError, "not the JSON of ESC", "try again"),
        (Reply.json({"id": None}), UpstreamError, "not the JSON of ESC", "try again"),
        (Reply.json(["id"]), UpstreamError, "not the JSON of ESC", "try again"),
        (Reply(302, headers={"Location": "https://elsewhere.example"}), UpstreamError, "not followed", "backend_url"),
        (Reply(418, b""), UpstreamError, "status 418", "try again"),
    ],
)
def test_refusals(cloud: EscCloud, reply: Reply, kind: type[SophiaError], said: str, hint: str | None) -> None:
    error = _refusal(cloud, *[reply] * (5 if reply.status == 429 else 1))
    assert isinstance(error, kind)
    assert said in error.message
    assert hint is None or hint in (error.hint or "")


def test_a_redirect_is_not_followed(cloud: EscCloud) -> None:
    _refusal(cloud, "redirect")
    assert cloud.elsewhere == []


@pytest.mark.parametrize(
    "body", [b'{"properties": {"a": {"value"', b"[]", b"", b"null", b'{"properties": [1]}', b"\xff"]
)
def test_half_an_environment_is_no_environment(cloud: EscCloud, body: bytes) -> None:
    error = _refusal(cloud, "ok", Reply(200, body, {"Content-Type": "application/json"}))
    assert isinstance(error, UpstreamError)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("acme/sophia/prodd", "did you mean acme/sophia/prod?"),
        ("acme/zzz/qqq", "acme has acme/other/prod, acme/sophia/prod, acme/sophia/staging"),
        (f"{PROD}@77", "acme/sophia/prod has no 77; the newest revision is 3, tags: stable"),
        ("acmee/sophia/prod", "the token does not see the organization acmee; it sees acme"),
    ],
)
def test_what_was_meant(cloud: EscCloud, name: str, hint: str) -> None:
    error = _refusal(cloud, name=name)
    assert isinstance(error, EscNotFound)
    assert error.hint == hint
    assert error.exit_code == 1


def test_a_hint_that_cannot_be_had_does_not_hide_the_error(cloud: EscCloud) -> None:
    error = _refusal(cloud, "ok", "500", name="acme/sophia/prodd")
    assert isinstance(error, EscNotFound)
    assert "esc env ls" in (error.hint or "")


def test_a_server_that_is_too_slow() -> None:
    with EscCloud({PROD: HELD}) as cloud:
        cloud.queue("hang")
        with pytest.raises(DeadlineExceeded, match=r"gave no answer in 0\.2 s"):
            cloud.session(PROD, timeout=0.2).layers()


def test_no_header_is_sent_that_could_end_early(cloud: EscCloud) -> None:
    with pytest.raises(SophiaError) as caught:
        cloud.session().work(lambda esc: esc.update(NAME, b"", "a\r\nX: canary-7c1"))
    assert "canary" not in str(caught.value)
    assert not cloud.requests


def test_a_lost_connection_is_an_unreachable_service(cloud: EscCloud) -> None:
    error = _refusal(cloud, "reset")
    assert isinstance(error, Unreachable)
    assert not isinstance(error, NotConnected)


@given(st.integers(-5, 10**6))
def test_durations_are_those_of_go(seconds: int) -> None:
    import re

    found = re.fullmatch(r"(\d+)h(\d+)m(\d+)s", go_duration(seconds))
    assert found
    hours, minutes, rest = (int(each) for each in found.groups())
    assert hours * 3600 + minutes * 60 + rest == max(seconds, 1)
    assert minutes < 60
    assert rest < 60
