"""What every command promises. One that joins the table is covered at once, and fails until it has a sample here."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from sophiactl.cli.dispatch import load, locate
from sophiactl.cli.help_topics import TOPICS, page
from sophiactl.cli.parameters import parameters
from sophiactl.cli.table import TABLE, Row, find, walk
from sophiactl.cli.typed import GLOBAL, read, typed
from sophiactl.errors import ExitCode
from sophiactl.redaction import Secret
from sophiactl.secrets.sources.keyring import KeyringSource
from sophiactl.testing.vendors.slack import SlackVendor
from tests.keyring_vault import vault_env

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunCli

PRUNED = {"SOPHIACTL_MEMORY__PRUNE__CLASSES__EPISODIC__MIN_KEEP": "0"}
"""Lets the one conversation of the `memory` fixture go."""
_PLANNED = ["prune plan --fraction 0.5 --output {work}/plan.jsonl"]
BEFORE = {
    "prune verify": _PLANNED,
    "prune apply": _PLANNED,
    "prune restore": [*_PLANNED, "prune apply {work}/plan.jsonl --allow-fraction"],
}
"""What has to be done before a sample."""

FIELDS = ["version", "command", "status", "exit_code", "data", "errors"]

PASSED_ON = {"secrets run"}
"""Commands that print what another program prints."""

# A way to call each command that works offline, on the memory of the `memory` fixture.
SAMPLES: dict[str, list[str]] = {
    "ask": ["How do I undo a prune?"],
    "search": ["renewal"],
    "embed": ["{docs}/guide.md"],
    "embed status": [],
    "embed optimize": [],
    "route": ["--explain", "Compare these two contracts"],
    "route score": ["--input", "{docs}/labelled.jsonl"],
    "route eval": ["--data", "{docs}/labelled.jsonl"],
    "route train": ["--data", "{docs}/labelled.jsonl", "--output", "own.route"],
    "route calibrate": ["--data", "{docs}/labelled.jsonl", "--strong-share", "0.3", "--output", "own.route"],
    "route stats": [],
    "route feedback": ["8f3c", "good"],
    "runs list": [],
    "runs show": ["8f3c"],
    "runs search": ["renewal"],
    "runs metrics": [],
    "runs forget": ["--older-than", "90d"],
    "memory list": [],
    "memory show": ["m1"],
    "memory add": ["Initech renews in May.", "--id", "m3"],
    "memory pin": ["m1"],
    "memory unpin": ["m1", "m2"],
    "memory import": ["{docs}/rows.jsonl"],
    "memory export": ["--class", "episodic"],
    "memory stats": [],
    "memory erase": ["m1", "--yes"],
    "prune": [],
    "prune plan": ["--fraction", "0.5", "--output", "{work}/half.jsonl"],
    "prune verify": ["{work}/plan.jsonl"],
    "prune apply": ["{work}/plan.jsonl", "--allow-fraction"],
    "prune restore": ["--id", "m1"],
    "prune explain": ["m1"],
    "prune log": [],
    "models list": [],
    "models pull": ["--base-url", "http://127.0.0.1:9"],
    "models path": [],
    "init": [],
    "doctor": [],
    "secrets validate": ["asana"],
    "secrets list": [],
    "secrets get": ["SLACK_BOT_TOKEN"],
    "secrets set": ["NOTION_API_KEY", "--from-env", "GIVEN"],
    "secrets unset": ["ASANA_ACCESS_TOKEN"],
    "secrets run": ["--", "true"],
    "secrets export": ["--reveal"],
    "secrets diff": ["environment", "environment"],
    "secrets doctor": [],
    "secrets schema": [],
    "connectors list": [],
    "connectors check": ["slack"],
    "connectors search": ["slack", "renewal"],
    "connectors sync": ["slack"],
    "config show": [],
    "config path": [],
    "config init": [],
    "completion": ["bash"],
    "help": ["exit-codes"],
}


def _rows() -> list[tuple[str, Row]]:
    return walk()


def _present(row: Row) -> bool:
    return find_spec(row.target.partition(":")[0]) is not None


PRESENT = [pytest.param(path, row, id=path) for path, row in _rows() if _present(row)]


def test_every_command_has_a_sample() -> None:
    assert set(SAMPLES) == {path for path, _ in _rows()}


def test_names_are_unique_and_summaries_fit_a_line() -> None:
    paths = [path for path, _ in _rows()]
    assert len(paths) == len(set(paths))
    for path, row in _rows():
        assert 5 < len(row.summary) < 60, path
        assert not row.summary.endswith("."), path


@pytest.mark.parametrize(("path", "row"), PRESENT)
def test_declared_parameters_are_those_of_the_function(path: str, row: Row) -> None:
    import inspect

    declared = load(row)
    known = [item for item in parameters(typed(declared)) if item.name not in GLOBAL]
    _, *taken = inspect.signature(declared.function).parameters
    assert taken == [item.name for item in known]
    assert all(item.help for item in known), path
    arguments = [item for item in known if not item.names]
    assert not any(item.required for item in arguments[1:] if not arguments[0].required)
    assert not any(item.multiple for item in arguments[:-1])


def _command_lines(text: str) -> list[list[str]]:
    """The words of every `sophiactl ...` in a line of shell."""
    parts = re.findall(r"sophiactl ((?:'[^']*'|\"[^\"]*\"|[^'\"|<>;)])*)", text)
    return [shlex.split(part) for part in parts]


@pytest.mark.parametrize(("path", "row"), PRESENT)
def test_examples_are_valid_command_lines(path: str, row: Row) -> None:
    for line, note in load(row).examples:
        assert note
        for words in _command_lines(line):
            target = locate(words)
            assert target.row is not None, line
            assert target.row.target, line
            assert not read(typed(load(target.row)), target.path, [*target.front, *target.rest]).extra, line


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_command_lines_of_topics_are_valid(topic: str) -> None:
    for line in re.findall(r"^  sophiactl .*$", page(topic), re.MULTILINE):
        for words in _command_lines(line.strip().partition("   ")[0]):
            target = locate(words)
            assert target.row is not None, line
            assert not read(typed(load(target.row)), target.path, [*target.front, *target.rest]).extra, line


@pytest.mark.parametrize(("path", "row"), PRESENT)
def test_help_starts_with_the_summary_and_examples(run_cli: RunCli, path: str, row: Row) -> None:
    ran = run_cli(*path.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    summary, _, rest = ran.out.partition("\n\n")
    assert summary == f"{row.summary}."
    assert rest.startswith("Examples:\n")
    assert rest.count(f"sophiactl {path}") >= 2
    assert 1 <= len(load(row).examples) <= 5
    assert "Usage: sophiactl " in rest
    assert run_cli(*path.split(), "-h").out == ran.out


@pytest.mark.parametrize(("path", "row"), PRESENT)
def test_help_fits_a_narrow_terminal(run_cli: RunCli, path: str, row: Row) -> None:
    lines = run_cli(*path.split(), "--help", columns=60).out.splitlines()
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize(("path", "row"), PRESENT)
@pytest.mark.parametrize("order", ["json first", "json last", "json in front of the command"])
def test_a_wrong_option_gives_an_envelope(run_cli: RunCli, path: str, row: Row, order: str) -> None:
    words = path.split()
    line = {
        "json first": [*words, "--json", "--no-such-option"],
        "json last": [*words, "--no-such-option", "--json"],
        "json in front of the command": ["--json", *words, "--no-such-option"],
    }[order]
    ran = run_cli(*line)
    assert ran.code == ExitCode.USAGE
    assert list(ran.json) == FIELDS
    assert ran.json["command"] == path
    assert (ran.json["status"], ran.json["exit_code"], ran.json["data"]) == ("error", 2, None)
    [error] = ran.json["errors"]
    assert list(error) == ["code", "message", "hint"]
    assert error["code"] == "usage"
    assert "--no-such-option" in error["message"]
    assert error["hint"]


@pytest.mark.parametrize(("path", "row"), PRESENT)
def test_a_wrong_option_is_explained(run_cli: RunCli, path: str, row: Row) -> None:
    ran = run_cli(*path.split(), "--no-such-option")
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err.startswith("error: ")
    assert "\nhint:  " in ran.err
    assert "Traceback" not in ran.err


@pytest.fixture
def company(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables of a company that has Slack, a keyring with one secret in it, and one to be put there."""
    env = vault_env(tmp_path / "vault") | {"SOPHIACTL_HOME": str(tmp_path / "home")}
    keyring = KeyringSource("", "always", 10.0, tmp_path / "home" / "state", env)
    keyring.store("ASANA_ACCESS_TOKEN", Secret("2/1204839275610394/1208847362519047:8b3e1f60c9d2a74b5e80f13c6d9a2b47"))
    given = {"GIVEN": "ntn_" + "58203947161" + "Zk4mQ8tYw2Lp7RxVb3NcHd5FsGjK9aE1uTo"}
    with SlackVendor() as slack:
        slack.add_user("ada", "Ada Lovelace")
        slack.add_channel("general")
        slack.add_message("general", "ada", "The renewal is signed")
        yield {**env, **given, **slack.secrets, "SOPHIACTL_CONNECTORS__SLACK__BASE_URL": slack.address}


@pytest.mark.parametrize("path", [path for path in SAMPLES if path not in PASSED_ON])
def test_success_gives_an_envelope(
    run_cli: RunCli, memory: Path, tmp_path: Path, path: str, request: pytest.FixtureRequest
) -> None:
    words = [word.format(docs=memory, work=tmp_path) for word in SAMPLES[path]]
    env = request.getfixturevalue("company") if path.startswith(("secrets", "connectors")) else PRUNED
    for line in BEFORE.get(path, ()):
        assert run_cli(*line.format(work=tmp_path).split(), env=env).code == 0
    ran = run_cli(*path.split(), *words, "--json", "--quiet", env=env)
    assert (ran.code, ran.err) == (0, "")
    assert list(ran.json) == FIELDS
    assert (ran.json["version"], ran.json["command"], ran.json["status"]) == (1, path, "ok")
    assert (ran.json["exit_code"], ran.json["errors"]) == (0, [])
    assert isinstance(ran.json["data"], dict)
    assert ran.out.count("\n") == 1


@pytest.mark.parametrize("path", sorted(PASSED_ON))
def test_what_is_passed_on_has_no_envelope(run_cli: RunCli, path: str) -> None:
    assert run_cli(*path.split(), "--json", *SAMPLES[path]).code == ExitCode.USAGE


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE if row.rows])
def test_groups_explain_themselves(run_cli: RunCli, row: Row) -> None:
    if row.target and not _present(row):
        assert run_cli(row.name).code == ExitCode.FAILED
        return
    ran = run_cli(row.name, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"{row.summary}.\n\nExamples:\n")
    for item in row.rows:
        assert item.summary in ran.out
        assert find(item.name, row.rows) is item
