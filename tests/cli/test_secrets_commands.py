"""`sophiactl secrets ...` as a person and as CI meet it."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING

import pytest

from sophiactl.testing.esc_server import EscServer
from sophiactl.testing.identity_server import IdentityServer
from tests.keyring_vault import vault_env

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunCli

SLACK = "xoxb-" + "381920475610-904182736455-Kp3vQz7LmXw2RtYb9NcHd5Fs"
NOTION = "ntn_" + "58203947161" + "Zk4mQ8tYw2Lp7RxVb3NcHd5FsGjK9aE1uTo"
HUBSPOT = "pat-eu1-" + "3f8a1c52-7d94-4be6-a0f3-92c4d81e5b67"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that `run_cli` runs in."""
    return tmp_path / "work"


def dotenv(work: Path, **values: str) -> Path:
    file = work / ".env"
    file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    file.chmod(0o600)
    return file


def test_a_sound_set_passes_and_shows_no_value(run_cli: RunCli, work: Path) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK, NOTION_API_KEY=NOTION)
    ran = run_cli("secrets", "validate")
    assert (ran.code, ran.err) == (0, "")
    assert "2 services, nothing wrong" in ran.out
    assert SLACK not in ran.out + run_cli("secrets", "validate", "--json").out


def test_nothing_configured_is_no_success(run_cli: RunCli) -> None:
    ran = run_cli("secrets", "validate")
    assert ran.code == 3
    assert "no secret of any service was found" in ran.err


def test_a_named_service_has_to_be_there(run_cli: RunCli, work: Path) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK)
    ran = run_cli("secrets", "validate", "slack", "gong")
    assert ran.code == 1
    assert "GONG_ACCESS_KEY" in ran.out
    assert run_cli("secrets", "validate", "slack").code == 0


def test_required_services_come_from_the_settings(run_cli: RunCli, work: Path) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK)
    env = {"SOPHIACTL_SECRETS__REQUIRED": "slack,asana"}
    ran = run_cli("secrets", "validate", "--json", env=env)
    assert ran.code == 1
    findings = {
        (service["service"], finding["rule"])
        for service in ran.json["data"]["services"]
        for finding in service.get("findings", ())
    }
    assert findings == {("asana", "missing")}


def test_an_unknown_service_is_guessed(run_cli: RunCli) -> None:
    ran = run_cli("secrets", "validate", "slck")
    assert ran.code == 2
    assert "did you mean slack?" in ran.err


def test_a_finding_names_file_and_line(run_cli: RunCli, work: Path) -> None:
    (work / ".env").write_text(f"# tokens\nSLACK_BOT_TOKEN={SLACK}\nHUBSPOT_ACCESS_TOKEN='\"{HUBSPOT}\"'\n")
    (work / ".env").chmod(0o600)
    ran = run_cli("secrets", "validate", "--format", "github")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert any(line.startswith("::error ") and "line=3" in line and ".env" in line for line in lines), lines
    assert HUBSPOT not in ran.out


def test_several_reports_at_once(run_cli: RunCli, work: Path) -> None:
    dotenv(work, SLACK_BOT_TOKEN="xoxp-" + SLACK[5:])
    summary = work / "summary.md"
    ran = run_cli(
        *(
            "secrets",
            "validate",
            "--format",
            "github,junit=out/junit.xml,sarif=out/s.sarif",
            "--format",
            "gitlab=g.json",
        ),
        env={"GITHUB_STEP_SUMMARY": str(summary)},
    )
    assert ran.code == 1
    assert "::error" in ran.out
    for name in ("out/junit.xml", "out/s.sarif", "g.json"):
        text = (work / name).read_text()
        assert "SLACK_BOT_TOKEN" in text
        assert SLACK[5:] not in text
    assert "BOT" in summary.read_text()


def test_a_folder_takes_the_reports(run_cli: RunCli, work: Path) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK)
    assert run_cli("secrets", "validate", "--format", "json,junit,sarif,gitlab", "--output", "reports").code == 0
    names = {path.name for path in (work / "reports").iterdir()}
    assert names == {"secrets.json", "secrets.junit.xml", "secrets.sarif", "gl-code-quality-report.json"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "junitt"), "did you mean junit?"),
        (("--format", "junit,sarif"), "cannot share stdout"),
        (("--format", "table=x"), "names no file"),
        (("--live", "--offline"), "exclude each other"),
        (("--max-age", "soon"), "90d or 12w"),
        (("--mask",), "not GitHub Actions"),
    ],
)
def test_wrong_options_are_explained(run_cli: RunCli, words: tuple[str, ...], said: str) -> None:
    ran = run_cli("secrets", "validate", *words)
    assert ran.code == 2
    assert said in ran.err


def test_masks_come_first_and_only_on_github(run_cli: RunCli, work: Path) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK)
    ran = run_cli("secrets", "validate", "--mask", env={"GITHUB_ACTIONS": "true"})
    assert ran.out.splitlines()[0] == f"::add-mask::{SLACK}"


@pytest.fixture
def vendors() -> Iterator[IdentityServer]:
    with IdentityServer() as server:
        yield server


def live(server: IdentityServer, *services: str) -> dict[str, str]:
    return {f"SOPHIACTL_SECRETS__LIVE__BASE_URLS__{name.upper()}": server.url(name) for name in services}


def test_live_checks_tell_valid_from_refused(run_cli: RunCli, work: Path, vendors: IdentityServer) -> None:
    dotenv(work, NOTION_API_KEY=vendors.values("notion")["NOTION_API_KEY"])
    words, env = ("secrets", "validate", "notion", "--live"), live(vendors, "notion")
    ran = run_cli(*words, "--json", env=env)
    [check] = ran.json["data"]["services"][0]["checks"]
    assert check["verdict"] == "valid"
    dotenv(work, NOTION_API_KEY=NOTION)
    for strict, code in (((), 0), (("--strict",), 9)):
        vendors.queue("502-html")
        unknown = run_cli(*words, *strict, env=env)
        assert (unknown.code, "unknown" in unknown.out) == (code, True)
    refused = run_cli(*words, env=env)
    assert (refused.code, "invalid" in refused.out, NOTION in refused.out) == (1, True, False)


def test_a_key_in_the_wrong_slot_is_not_sent_there(run_cli: RunCli, work: Path, vendors: IdentityServer) -> None:
    dotenv(work, NOTION_API_KEY=HUBSPOT)
    ran = run_cli("secrets", "validate", "--live", env=live(vendors, "notion"))
    assert ran.code == 1
    assert not vendors.requests


@pytest.fixture
def esc() -> Iterator[EscServer]:
    with EscServer() as server:
        server.put(
            "acme/sophia/prod",
            "values:\n  environmentVariables:\n    PORT: 8080\n    NOTION_API_KEY:\n      fn::secret: " + NOTION + "\n"
            "    SLACK_BOT_TOKEN:\n      fn::secret: xoxb-short\n",
        )
        yield server


def on(esc: EscServer) -> dict[str, str]:
    return {**esc.environ, "SOPHIACTL_SECRETS__ESC__ENVIRONMENTS": "acme/sophia/prod"}


def test_esc_gives_values_and_lines(run_cli: RunCli, esc: EscServer) -> None:
    ran = run_cli("secrets", "validate", "--json", env=on(esc))
    [finding] = next(one for one in ran.json["data"]["services"] if one["service"] == "slack")["findings"]
    assert ran.code == 1
    assert (finding["place"]["file"], finding["place"]["line"]) == ("acme/sophia/prod", 7)
    assert run_cli("secrets", "get", "NOTION_API_KEY", "--reveal", env=on(esc)).out == NOTION
    opened = [seen for seen in esc.requests if seen.path.endswith("/open")]
    assert len(opened) == 2  # one a run


def test_offline_asks_nobody(run_cli: RunCli, work: Path, esc: EscServer) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK)
    assert run_cli("secrets", "validate", "--offline", env=on(esc)).code == 0
    assert not esc.requests


@pytest.mark.parametrize(
    ("fault", "code"), [("401", 4), ("404", 1), ("429", 6), ("502-html", 8), ("half-json", 8), ("400-diagnostics", 3)]
)
def test_a_source_that_fails_is_no_verdict(run_cli: RunCli, work: Path, esc: EscServer, fault: str, code: int) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK)
    esc.queue(*[fault] * 8)
    env = {**on(esc), "SOPHIACTL_SECRETS__ESC__TIMEOUT": "3"}
    ran = run_cli("secrets", "validate", "notion", "slack", env=env)
    assert ran.code == code
    assert "esc" in ran.err
    assert "NOTION_API_KEY (" not in ran.out  # nobody can say that it is missing


def test_a_revision_beside_another(run_cli: RunCli, esc: EscServer) -> None:
    esc.put("acme/sophia/prod", "values:\n  environmentVariables:\n    PORT: 8081\n    NEW: x\n")
    ran = run_cli("secrets", "diff", "acme/sophia/prod@2", "acme/sophia/prod@3", "--json", env=on(esc))
    assert ran.code == 1
    assert {one["name"]: one["difference"] for one in ran.json["data"]["names"]} == {
        "NEW": "only in the second",
        "NOTION_API_KEY": "only in the first",
        "PORT": "different",
        "SLACK_BOT_TOKEN": "only in the first",
    }
    assert run_cli("secrets", "diff", "acme/sophia/prod@2", "acme/sophia/prod@2", env=on(esc)).code == 0


def test_set_get_unset_in_the_keyring(run_cli: RunCli, tmp_path: Path) -> None:
    env = vault_env(tmp_path / "vault")
    assert run_cli("secrets", "set", "NOTION_API_KEY", stdin=f"{NOTION}\n", env=env).code == 0
    shown = run_cli("secrets", "get", "NOTION_API_KEY", env=env)
    assert (shown.code, NOTION in shown.out, "keyring" in shown.out) == (0, False, True)
    assert run_cli("secrets", "get", "NOTION_API_KEY", "--reveal", env=env).out == NOTION
    assert run_cli("secrets", "get", "NOTION_API_KEY", "--profile", "staging", env=env).code == 3
    assert run_cli("secrets", "unset", "NOTION_API_KEY", env=env).code == 0
    assert run_cli("secrets", "get", "NOTION_API_KEY", env=env).code == 3
    assert run_cli("secrets", "unset", "NOTION_API_KEY", env=env).code == 1


def test_a_wrong_form_is_not_stored(run_cli: RunCli, tmp_path: Path) -> None:
    env = vault_env(tmp_path / "vault")
    ran = run_cli("secrets", "set", "NOTION_API_KEY", stdin=HUBSPOT, env=env)
    assert (ran.code, HUBSPOT in ran.err) == (1, False)
    assert run_cli("secrets", "set", "NOTION_API_KEY", "--force", stdin=HUBSPOT, env=env).code == 0


def test_set_without_a_keyring_says_why(run_cli: RunCli) -> None:
    ran = run_cli("secrets", "set", "NOTION_API_KEY", stdin=NOTION, env={"PATH": "/usr/bin:/bin"})
    assert ran.code in {3, 7}
    assert "hint:" in ran.err


def test_a_value_is_never_an_argument(run_cli: RunCli) -> None:
    assert run_cli("secrets", "set", "NOTION_API_KEY", NOTION).code == 2


def test_export_to_a_terminal_wants_to_be_told(run_cli: RunCli, work: Path) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK)
    assert run_cli("secrets", "export", terminal=True).code == 2
    assert SLACK in run_cli("secrets", "export", "--reveal", terminal=True).out
    assert run_cli("secrets", "export", "slack", "--format", "docker").out == f"SLACK_BOT_TOKEN={SLACK}\n"
    assert run_cli("secrets", "export", "gong").code == 3


def test_the_schema_names_what_is_needed(run_cli: RunCli) -> None:
    text = run_cli("secrets", "schema", "slack", "notion").out
    assert "\nSLACK_BOT_TOKEN=\n" in text
    assert "\n#SLACK_APP_TOKEN=\n" in text
    schema = run_cli("secrets", "schema", "--format", "json-schema", "--json").json["data"]
    import jsonschema

    validator = jsonschema.Draft202012Validator(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert not validator.is_valid({"HUBSPOT_API_KEY": "x"})


def test_doctor_tells_each_place(run_cli: RunCli, work: Path) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK).chmod(0o644)
    ran = run_cli("secrets", "doctor", "SLACK_BOT_TOKEN")
    assert ran.code == 0
    assert "chmod 600" in ran.out
    assert ".env:1, used" in ran.out
    assert run_cli("secrets", "doctor", "ASANA_ACCESS_TOKEN").code == 1


def test_only_the_owner_can_read_what_set_leaves_behind(run_cli: RunCli, tmp_path: Path) -> None:
    env = vault_env(tmp_path / "vault")
    run_cli("secrets", "set", "NOTION_API_KEY", stdin=NOTION, env=env)
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file():
            assert NOTION not in path.read_text(errors="replace")
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077


def test_nested_values_of_esc(run_cli: RunCli, esc: EscServer) -> None:
    esc.put(
        "acme/sophia/prod",
        "values:\n  aws:\n    accounts:\n      - {id: 0012, rate: 1.25, key: {fn::secret: s3cr3t-k3y}}\n",
    )
    for path, shown in (("aws.accounts[0].rate", "1.25"), ('aws["accounts"][0].key', "s3cr3t-k3y")):
        assert run_cli("secrets", "get", path, "--reveal", env=on(esc)).out == shown
        assert shown not in run_cli("secrets", "get", path, env=on(esc)).out
    assert run_cli("secrets", "get", "aws.accounts[1]", env=on(esc)).code == 3
    assert run_cli("secrets", "get", "aws.accounts[", env=on(esc)).code in {2, 3}


def test_offline_opens_no_socket(run_cli: RunCli, work: Path, monkeypatch: pytest.MonkeyPatch, esc: EscServer) -> None:
    dotenv(work, SLACK_BOT_TOKEN=SLACK)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    assert run_cli("secrets", "validate", "--offline", env=on(esc)).code == 0
    assert run_cli("secrets", "doctor", "--offline", env=on(esc)).code == 0
    assert run_cli("secrets", "export", "--offline", env=on(esc)).code == 0


def test_a_job_of_github_needs_no_stored_token(run_cli: RunCli, esc: EscServer) -> None:
    """Its identity is exchanged for a token, the environment is opened, and its secrets are checked."""
    esc.trust("acme", "repo:acme/*:*")
    env = {**esc.actions_environ, "SOPHIACTL_SECRETS__ESC__ENVIRONMENTS": "acme/sophia/prod"}
    assert "PULUMI_ACCESS_TOKEN" not in env
    ran = run_cli("secrets", "validate", "notion", "--format", "github", env=env)
    assert (ran.code, ran.err) == (0, "")
    assert [seen.path for seen in esc.requests if seen.path.endswith("/oauth/token")] == ["/api/oauth/token"]
    assert run_cli("secrets", "get", "NOTION_API_KEY", "--reveal", env=env).out == NOTION


def test_a_file_of_esc_goes_to_programs_alone(run_cli: RunCli, esc: EscServer) -> None:
    esc.put(
        "acme/sophia/prod",
        "values:\n  environmentVariables:\n    NOTION_API_KEY: {fn::secret: "
        + NOTION
        + "}\n  files:\n    KUBECONFIG: {fn::secret: kind}\n",
    )
    ran = run_cli("secrets", "export", "notion", "KUBECONFIG", "--format", "docker", env=on(esc))
    assert (ran.code, ran.out, "KUBECONFIG" in ran.err) == (0, f"NOTION_API_KEY={NOTION}\n", True)
    assert run_cli("secrets", "export", "NO_SUCH_NAME", env=on(esc)).code == 3
    assert run_cli("secrets", "export", "notions", env=on(esc)).code == 2
