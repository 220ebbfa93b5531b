"""No secret leaves by any channel: every command that looks at secrets, and every text that comes from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.secrets.dotenv_syntax import quote
from sophiactl.testing.esc_server import EscServer
from sophiactl.testing.identity_server import IdentityServer
from sophiactl.testing.web_server import Reply
from tests.canaries import CANARIES, ENCODINGS, leaks
from tests.secret_sets import catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Ran, RunCli

NAMES = [
    name
    for name, found in sorted(catalogue().index.items())
    if not any(known.spec.public or known.spec.retired for known in found)
]
HELD = dict(zip(NAMES, CANARIES.values(), strict=False))
"""A canary under each name; most do not belong there, so that there is much to say about them."""

LOOKING: dict[str, tuple[str, ...]] = {
    "validate": ("validate",),
    "validate json": ("validate", "--json"),
    "validate verbose": ("validate", "-vv", "--debug"),
    "validate every format": ("validate", "--format", "table,github,json=a.json,junit=a.xml,sarif=a.sarif,gitlab=a.gl"),
    "validate in a profile": ("validate", "--profile", "staging", "--json"),
    "validate one service": ("validate", "slack", "notion", "--max-age", "1d"),
    "list": ("list", "--all"),
    "list json": ("list", "--json"),
    "get": ("get", NAMES[0]),
    "get json": ("get", NAMES[0], "--json"),
    "get nothing": ("get", "NO_SUCH_SECRET", "--debug"),
    "doctor": ("doctor",),
    "doctor json": ("doctor", NAMES[1], "--json", "--debug"),
    "schema": ("schema",),
    "diff": ("diff", ".env", "environment", "--all"),
    "diff json": ("diff", ".env", ".env", "--all", "--json"),
    "export refused": ("export", "--json"),
    "export what docker cannot carry": ("export", "--format", "docker"),
    "set what is wrong": ("set", "NOTION_API_KEY", "--debug"),
    "an unknown option": ("validate", "--nonsense"),
}
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "config show": ("config", "show", "--origin"),
    "config show json": ("config", "show", "--json"),
    "route": ("route", "--explain", "How do I sort a list?"),
    "runs list": ("runs", "list", "--json"),
    "connectors list": ("connectors", "list", "--json"),
    "models list": ("models", "list"),
    "help": ("help", "environment"),
}


def dotenv(work: Path) -> None:
    (work / ".env").write_text("".join(f"{name}={quote(value)}\n" for name, value in HELD.items()))


def everything(ran: Ran, folder: Path) -> bytes:
    """What was said, and every file that a run left behind."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".env"]
    return b"\n".join(
        [ran.out.encode("utf-8", "replace"), ran.err.encode("utf-8", "replace"), *(f.read_bytes() for f in files)]
    )


def test_the_corpus_is_large_enough() -> None:
    assert len(CANARIES) >= 25
    assert len(ENCODINGS) >= 14
    assert len(HELD) >= 25


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in LOOKING.items()])
def test_commands_that_look_at_secrets(run_cli: RunCli, tmp_path: Path, words: tuple[str, ...]) -> None:
    dotenv(tmp_path / "work")
    ran = run_cli("secrets", *words, stdin=CANARIES["hubspot"])
    assert "unexpected" not in ran.err, ran.err
    assert leaks(everything(ran, tmp_path), HELD) == []


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in ELSEWHERE.items()])
def test_commands_in_an_environment_full_of_secrets(run_cli: RunCli, tmp_path: Path, words: tuple[str, ...]) -> None:
    dotenv(tmp_path / "work")
    env = {name: value for name, value in HELD.items() if "\0" not in value}
    assert leaks(everything(run_cli(*words, env=env), tmp_path), HELD) == []


@pytest.mark.parametrize("how", ENCODINGS)
def test_a_service_that_repeats_what_it_was_sent(run_cli: RunCli, tmp_path: Path, how: str) -> None:
    """In every form, in the words and in the fields that a live check shows."""
    secret = CANARIES["notion"]
    (tmp_path / "work" / ".env").write_text(f"NOTION_API_KEY={secret}\n")
    said = ENCODINGS[how](secret)
    user = {"object": "user", "type": "bot", "id": said, "name": said, "bot": {"workspace_name": f"of {said}"}}
    with IdentityServer() as server:
        for status, body in ((200, user), (401, {"object": "error", "code": "unauthorized", "message": said})):
            server.says["notion"] = Reply.json(body, status)
            env = {"SOPHIACTL_SECRETS__LIVE__BASE_URLS__NOTION": server.url("notion")}
            words = (
                "secrets",
                "validate",
                "notion",
                "--live",
                "-vv",
                "--format",
                "table,github,junit=j.xml,sarif=s.json",
            )
            ran = run_cli(*words, env=env)
            assert leaks(everything(ran, tmp_path), {"notion": secret}) == []


@pytest.mark.parametrize("how", ENCODINGS)
def test_a_source_that_repeats_its_token(run_cli: RunCli, tmp_path: Path, how: str) -> None:
    with EscServer() as server:
        said = ENCODINGS[how](server.token)
        server.queue(Reply.json({"code": 400, "message": said, "diagnostics": [{"summary": said, "path": said}]}, 400))
        env = {**server.environ, "SOPHIACTL_SECRETS__ESC__ENVIRONMENTS": "acme/sophia/prod"}
        ran = run_cli("secrets", "validate", "--debug", env=env)
        assert leaks(everything(ran, tmp_path), {"pulumi": server.token}) == []


@pytest.mark.parametrize("how", ENCODINGS)
def test_the_ledger_keeps_words_without_secrets(run_cli: RunCli, tmp_path: Path, how: str) -> None:
    """A prompt may hold a key, and the settings may say that prompts are kept."""
    secret = CANARIES["openrouter"]
    env = {"SOPHIACTL_RUNS__STORE_TEXT": "true", "OPENROUTER_API_KEY": secret}
    ran = run_cli("route", f"Why is {ENCODINGS[how](secret)} refused?", "--debug", env=env)
    assert ran.code == 0
    assert leaks(everything(ran, tmp_path), {"openrouter": secret}) == []
    kept = run_cli("runs", "list", "--json").json["data"]
    assert "refused" in msgspec.json.encode(kept).decode()


@pytest.mark.parametrize("form", ["shell", "dotenv", "json", "yaml", "github-env", "systemd"])
def test_what_is_revealed_is_asked_for_alone(run_cli: RunCli, tmp_path: Path, form: str) -> None:
    """`export slack` holds Slack's secrets, and no others."""
    dotenv(tmp_path / "work")
    own = {name for name in HELD if name.startswith("SLACK_")}
    ran = run_cli("secrets", "export", "slack", "--format", form)
    others: dict[str, Any] = {name: value for name, value in HELD.items() if name not in own}
    assert leaks(ran.out + ran.err, others) == []
