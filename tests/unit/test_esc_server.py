"""The loopback ESC server: who may ask, versions, conflicts, sessions, faults, and its own command."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from sophiactl.errors import Unreachable
from sophiactl.testing import esc_server
from sophiactl.testing.esc.sessions import duration
from sophiactl.testing.esc_server import ESC_FAULTS, EscServer
from sophiactl.web import WebAnswer, WebRequest, WebSession, run
from tests.esc_servers import Clock, ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROD = "/api/esc/environments/acme/sophia/prod"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[EscServer]:
    with EscServer(now=clock, page_size=2) as running:
        running.put("acme/sophia/prod", "values: {a: {b: [1, {fn::secret: pw}]}, n: null}", tags=["stable"])
        yield running


def said(answer: WebAnswer) -> tuple[int, str]:
    return answer.status, answer.json()["message"]


# Who asks


@pytest.mark.parametrize("authorization", ["", "token", "token pul-0", "Bearer {token}", "{token}"])
def test_only_the_token_is_let_in(server: EscServer, authorization: str) -> None:
    headers = {"Authorization": authorization.format(token=server.token)}
    answer = ask(server, "GET", PROD, headers=headers)
    assert (answer.status, answer.json()["code"]) == (401, 401)
    assert server.requests[-1].headers["authorization"] == headers["Authorization"].strip()


def test_who_am_i(server: EscServer) -> None:
    server.put("other/x/y", "")
    user = ask(server, "GET", "/api/user").json()
    assert user["githubLogin"] == "ci"
    assert [each["githubLogin"] for each in user["organizations"]] == ["acme", "other"]
    assert ask(server, "GET", "/api/user/organizations/default").json() == {"gitHubLogin": "acme"}


def test_tokens_look_like_tokens_and_differ() -> None:
    assert EscServer().token.startswith("pul-")
    assert len(EscServer().token) == 44
    assert EscServer().token != EscServer().token


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/esc/environments/nobody", 404),
        ("GET", "/api/esc/environments/acme/sophia/nowhere", 404),
        ("GET", f"{PROD}/versions/99", 404),
        ("GET", f"{PROD}/versions/nowhere", 404),
        ("GET", f"{PROD}/versions/1x", 404),
        ("GET", f"{PROD}/nothing/of/the/kind/here", 404),
        ("PUT", PROD, 405),
        ("GET", f"{PROD}/versions?before=x", 400),
        ("GET", "/api/esc/environments/acme?continuationToken=x", 400),
        ("POST", f"{PROD}/versions/tags", 400),
        ("POST", f"{PROD}/open?duration=soon", 400),
        ("GET", "/api/oauth/token", 405),
    ],
)
def test_what_is_not_there(server: EscServer, method: str, path: str, status: int) -> None:
    answer = ask(server, method, path)
    assert (answer.status, answer.json()["code"]) == (status, status)


# Environments


def test_lists_go_on_where_they_stopped(server: EscServer) -> None:
    for name in ("a", "b", "c"):
        server.put(f"acme/sophia/{name}", "")
    names, token = [], ""
    pages = 0
    while True:
        page = ask(server, "GET", f"/api/esc/environments/acme?continuationToken={token}").json()
        names += [each["name"] for each in page["environments"]]
        pages += 1
        token = page.get("nextToken", "")
        if not token:
            break
    assert (names, pages) == (["a", "b", "c", "prod"], 2)


def test_a_definition_with_its_marks(server: EscServer) -> None:
    answer = ask(server, "GET", PROD)
    assert answer.content_type == "application/x-yaml"
    assert answer.headers["pulumi-esc-revision"] == "2"
    assert b"pw" not in answer.body
    head = ask(server, "HEAD", PROD)
    assert (head.headers["etag"], head.body) == (answer.headers["etag"], b"")
    assert b'fn::secret: "pw"' in ask(server, "GET", f"{PROD}/decrypt").body
    first = ask(server, "GET", f"{PROD}/versions/1")
    assert (first.body, first.headers["pulumi-esc-revision"]) == (b"", "1")
    assert first.headers["etag"] != answer.headers["etag"]


def test_who_comes_second_is_told(server: EscServer) -> None:
    etag = ask(server, "GET", PROD).headers["etag"]
    first = ask(server, "PATCH", PROD, b"values: {a: 1}", {"ETag": etag})
    assert (first.status, first.headers["pulumi-esc-revision"]) == (200, "3")
    assert ask(server, "PATCH", PROD, b"values: {a: 2}", {"ETag": etag}).status == 409
    assert ask(server, "GET", PROD).body == b"values: {a: 1}"
    assert ask(server, "PATCH", PROD, b"values: {a: 3}").status == 200


@pytest.mark.parametrize(
    ("definition", "summary"),
    [
        (b"values: [", "yaml: line 1: did not find expected node content"),
        (b"values: {a: ${b}", "yaml: "),
        (b"imports: [sophia/nowhere]", "environment acme/sophia/nowhere not found"),
        (b"imports: [sophia/prod@99]", "acme/sophia/prod has no version '99'"),
        (b"imports: [a/b/c/d]", "environment a/b/c/d not found"),
    ],
)
def test_a_wrong_definition_changes_nothing(server: EscServer, definition: bytes, summary: str) -> None:
    answer = ask(server, "PATCH", PROD, definition)
    assert answer.status == 400
    assert answer.json()["diagnostics"][0]["summary"].startswith(summary[:5])
    assert ask(server, "GET", PROD).headers["pulumi-esc-revision"] == "2"


def test_a_body_that_is_no_text(server: EscServer) -> None:
    assert said(ask(server, "PATCH", PROD, b"\xff\xfe")) == (400, "Bad Request: the body is not UTF-8")


def test_warnings_are_told_and_the_definition_is_taken(server: EscServer) -> None:
    server.put("acme/sophia/base", "values: {a: {fn::final: 1}}")
    answer = ask(server, "PATCH", PROD, b"imports: [sophia/base]\nvalues: {a: 2}")
    assert answer.status == 200
    (found,) = answer.json()["diagnostics"]
    assert (found["severity"], found["range"]["environment"]) == ("warning", "acme/sophia/prod")
    opening = ask(server, "POST", f"{PROD}/open").json()
    assert opening["diagnostics"]["diagnostics"][0]["summary"] == "cannot override final value"


@pytest.mark.parametrize("name", ["open", "yaml", ".", "..", "a b", ""])
def test_names_that_none_may_have(server: EscServer, name: str) -> None:
    answer = ask(server, "POST", "/api/esc/environments/acme", {"project": "sophia", "name": name})
    assert answer.status == 400


def test_creating_twice_and_deleting(server: EscServer) -> None:
    new = {"project": "sophia", "name": "new"}
    assert ask(server, "POST", "/api/esc/environments/acme", new).status == 204
    assert ask(server, "POST", "/api/esc/environments/acme", new).status == 409
    assert ask(server, "DELETE", "/api/esc/environments/acme/sophia/new").status == 204
    assert ask(server, "GET", "/api/esc/environments/acme/sophia/new").status == 404


def test_revisions_with_their_days(server: EscServer, clock: Clock) -> None:
    clock.forward(days=100)
    server.put("acme/sophia/prod", "values: {}", tags=["stable"])
    found = ask(server, "GET", f"{PROD}/versions").json()
    assert [(each["number"], each["created"][:10], each.get("tags")) for each in found] == [
        (3, "2027-03-02", ["latest", "stable"]),
        (2, "2026-11-22", None),
        (1, "2026-11-22", None),
    ]
    assert [each["number"] for each in ask(server, "GET", f"{PROD}/versions?before=3&count=1").json()] == [2]


def test_tags_of_revisions_in_pages(server: EscServer) -> None:
    for name in ("a", "b"):
        assert ask(server, "POST", f"{PROD}/versions/tags", {"name": name, "revision": 1}).status == 204
    first = ask(server, "GET", f"{PROD}/versions/tags").json()
    assert ([tag["name"] for tag in first["tags"]], first["nextToken"]) == (["a", "b"], "2")
    second = ask(server, "GET", f"{PROD}/versions/tags?after=2").json()
    assert ([tag["name"] for tag in second["tags"]], second["nextToken"]) == (["latest", "stable"], "")
    assert ask(server, "POST", f"{PROD}/versions/tags", {"name": "latest", "revision": 1}).status == 409
    assert ask(server, "POST", f"{PROD}/versions/tags", {"name": "c", "revision": 99}).status == 404
    assert ask(server, "PATCH", f"{PROD}/versions/tags/c", {"revision": 1}).status == 404
    assert ask(server, "GET", f"{PROD}/versions/tags/latest").json()["revision"] == 2


# Opened environments


def _open(server: EscServer, path: str = PROD, query: str = "") -> str:
    answer = ask(server, "POST", f"{path}/open{query}")
    assert answer.status == 200, answer.body
    return str(answer.json()["id"])


def test_values_with_flags_and_places(server: EscServer) -> None:
    body = ask(server, "GET", f"{PROD}/open/{_open(server)}").json()
    inner = body["properties"]["a"]["value"]["b"]["value"]
    assert inner[0]["value"] == 1
    assert (inner[1]["value"], inner[1]["secret"]) == ("pw", True)
    assert inner[0]["trace"]["def"]["environment"] == "acme/sophia/prod"
    assert "value" not in body["properties"]["n"]
    assert body["executionContext"]["properties"]["currentEnvironment"]["value"]["name"]["value"] == "sophia/prod"
    assert "pw" not in str(body["schema"])


@pytest.mark.parametrize(
    ("path", "status", "value"),
    [
        ("a.b[0]", 200, 1),
        ('a["b"][1]', 200, "pw"),
        ("n", 200, None),
        ("a.b[9]", 404, None),
        ("a.c", 404, None),
        ("a[0]", 404, None),
        ("a[", 400, None),
        ("[0]", 400, None),
    ],
)
def test_one_property(server: EscServer, path: str, status: int, value: Any) -> None:
    answer = ask(server, "GET", f"{PROD}/open//{_open(server)}?{urlencode({'property': path})}")
    assert answer.status == status
    assert answer.json().get("value") == value


def test_a_session_ends_with_its_time(server: EscServer, clock: Clock) -> None:
    short, usual = _open(server, query="?duration=1m30s"), _open(server)
    clock.forward(seconds=89)
    assert ask(server, "GET", f"{PROD}/open/{short}").status == 200
    clock.forward(seconds=1)
    assert ask(server, "GET", f"{PROD}/open/{short}").status == 404
    assert ask(server, "GET", f"{PROD}/open/{usual}").status == 200
    clock.forward(hours=1)
    assert ask(server, "GET", f"{PROD}/open/{usual}").status == 404


def test_a_session_belongs_to_its_environment(server: EscServer) -> None:
    server.put("acme/sophia/other", "values: {}")
    assert ask(server, "GET", f"/api/esc/environments/acme/sophia/other/open/{_open(server)}").status == 404


def test_a_session_keeps_what_it_was_opened_with(server: EscServer) -> None:
    session = _open(server)
    server.put("acme/sophia/prod", "values: {}")
    assert "a" in ask(server, "GET", f"{PROD}/open/{session}").json()["properties"]
    assert ask(server, "GET", f"{PROD}/open/{_open(server)}").json() == {}
    stable = _open(server, f"{PROD}/versions/stable")
    assert "a" in ask(server, "GET", f"{PROD}/open/{stable}").json()["properties"]


def test_imports_of_versions_and_of_whole_names(server: EscServer) -> None:
    server.put("acme/sophia/prod", "values: {a: new}")
    for name, value in (("sophia/prod", "new"), ("sophia/prod@stable", None), ("acme/sophia/prod@3", "new")):
        server.put("acme/sophia/top", f"imports: ['{name}']\nvalues: {{}}")
        path = "/api/esc/environments/acme/sophia/top"
        body = ask(server, "GET", f"{path}/open/{_open(server, path)}").json()
        assert value is None or body["properties"]["a"]["value"] == value
        assert body["properties"]["a"]["trace"]["def"]["environment"] == "acme/sophia/prod"


def test_a_broken_environment_says_why(server: EscServer) -> None:
    server.put("acme/sophia/broken", "values:\n  a: ${nowhere}\n")
    answer = ask(server, "POST", "/api/esc/environments/acme/sophia/broken/open")
    assert answer.status == 400
    (found,) = answer.json()["diagnostics"]
    assert found["summary"] == 'unknown property "nowhere"'
    assert (found["range"]["environment"], found["range"]["begin"]["line"]) == ("acme/sophia/broken", 2)


def test_a_protected_environment_is_not_opened(server: EscServer) -> None:
    server.protect("acme/sophia/prod")
    assert ask(server, "POST", f"{PROD}/open").status == 403
    assert ask(server, "GET", PROD).status == 200
    server.protect("acme/sophia/prod", protected=False)
    assert ask(server, "POST", f"{PROD}/open").status == 200


def test_a_definition_that_is_not_stored(server: EscServer) -> None:
    text = b"imports: [sophia/prod]\nvalues: {mine: '${a.b[1]}'}"
    opened = ask(server, "POST", "/api/esc/environments/acme/yaml/open?duration=15m", text).json()["id"]
    body = ask(server, "GET", f"/api/esc/environments/acme/yaml/open/{opened}").json()
    assert body["properties"]["mine"]["value"] == "pw"
    assert body["properties"]["mine"]["trace"]["def"]["environment"] == "<yaml>"
    checked = ask(server, "POST", "/api/esc/environments/acme/yaml/check", text)
    assert checked.json()["properties"]["mine"]["unknown"] is True
    shown = ask(server, "POST", "/api/esc/environments/acme/yaml/check?showSecrets=true", text)
    assert shown.json()["properties"]["mine"]["value"] == "pw"
    plain = ask(server, "POST", "/api/esc/environments/acme/yaml/check", b"values: {s: {fn::secret: pw}}")
    assert b'"pw"' not in plain.body


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400), ("1.5s", 1.5), ("300ms", 0.3), ("2h0m0s", 7200)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "1d", "1h 2m", "-1h"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        duration(text)


# Faults, and the command


@pytest.mark.parametrize("fault", sorted(name for name, reply in ESC_FAULTS.items() if reply.ending == "whole"))
def test_faults_by_name(server: EscServer, fault: str) -> None:
    server.queue(fault, "ok")
    answer = ask(server, "GET", PROD)
    assert (answer.status, answer.body) == (ESC_FAULTS[fault].status, ESC_FAULTS[fault].body)
    assert ask(server, "GET", PROD).status == 200


@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_connections_that_break(server: EscServer, fault: str) -> None:
    server.queue(fault, fault)  # a lost GET is sent again at once
    with pytest.raises(Unreachable):
        ask(server, "GET", PROD)


def test_faults_have_names(server: EscServer) -> None:
    with pytest.raises(ValueError, match="no such fault: nothing"):
        server.queue("nothing")


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "acme" / "sophia").mkdir(parents=True)
    (tmp_path / "acme" / "sophia" / "prod.yaml").write_text("values: {a: 1}\n")
    (tmp_path / "acme" / "README").write_text("not one")
    return tmp_path


def test_the_command_serves_a_folder_until_its_input_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sophiactl.testing.esc_server", str(_folder(tmp_path))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().decode().strip() for _ in range(2)]
        environ = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        request = WebRequest(
            "GET",
            environ["PULUMI_BACKEND_URL"] + PROD,
            {"Authorization": f"token {environ['PULUMI_ACCESS_TOKEN']}"},
        )

        async def send() -> WebAnswer:
            async with WebSession() as web:
                return await web.send(request, hosts=["127.0.0.1"], deadline=10)

        assert run(send()).body == b"values: {a: 1}\n"
        _, noise = process.communicate(timeout=20)
    assert process.returncode == 0
    assert noise.decode().startswith("1 environments")


def test_the_command_says_how_it_is_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for arguments in ([], [str(tmp_path / "absent")], ["a", "b"]):
        assert esc_server.main(arguments) == 2
    assert "usage: " in capsys.readouterr().err


def test_the_command_in_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert esc_server.main([str(_folder(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert out.startswith("export PULUMI_BACKEND_URL=http://127.0.0.1:")
