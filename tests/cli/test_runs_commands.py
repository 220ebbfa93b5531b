"""`sophiactl runs`, on a ledger in the home of the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import ExitCode
from sophiactl.runs.base import Call, Run, RunFilter, RunsConfig
from sophiactl.runs.opening import FILE, open_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunCli


def ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of a ledger with three runs, the last of them with its words."""
    folder = tmp_path / "home" / "state"
    ledger = open_ledger(RunsConfig(), folder, {})
    calls = (
        Call("gemini-2.5-flash", "portkey", error="rate_limited", latency=0.2),
        Call(
            "claude-sonnet-4", "openrouter", "fallback", input_tokens=1200, output_tokens=34, cost=0.0214, latency=1.5
        ),
    )
    ledger.record(
        Run(
            "8f3c01",
            "route",
            ago(100),
            tier="balanced",
            model="claude-sonnet-4",
            provider="openrouter",
            candidates=("gemini-2.5-flash", "claude-sonnet-4"),
            dropped=({"model": "local/llama", "reason": "context 8k < 12k needed"},),
            cost=0.0214,
            fallbacks=1,
            calls=calls,
        )
    )
    ledger.record(Run("8f3c02", "ask", ago(2), tier="simple", model="unpriced", session="s", calls=(Call("u", "p"),)))
    bell = "Which renewals\nare \x1b[2J due?"
    ledger.record(Run("77aa00", "route", ago(1), tier="premium", prompt=bell, answer="Two.", error="timeout"))
    ledger.close()
    return folder


def test_an_empty_ledger(run_cli: RunCli) -> None:
    ran = run_cli("runs", "list")
    assert (ran.code, ran.out, ran.err) == (0, "", "no runs found\n")
    assert run_cli("runs", "list", "--json").json["data"] == {"runs": []}


@pytest.mark.usefixtures("state")
class TestList:
    def test_newest_first_and_an_unknown_cost_is_no_zero(self, run_cli: RunCli) -> None:
        header, *lines = run_cli("runs", "list").out.splitlines()
        assert header.split() == ["run", "time", "(UTC)", "command", "tier", "model", "cost", "verdict", "error"]
        assert [line.split()[0] for line in lines] == ["77aa00", "8f3c02", "8f3c01"]
        assert lines[0].rstrip().endswith("timeout")
        assert "?" in lines[1]
        assert "claude-sonnet-4 (openrouter)" in lines[2]
        assert "$0.021" in lines[2]
        runs = run_cli("runs", "list", "--json").json["data"]["runs"]
        assert [item["cost"] for item in runs] == [None, None, 0.0214]

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            (["--since", "7d"], ["77aa00", "8f3c02"]),
            (["--until", "7d"], ["8f3c01"]),
            (["--tier", "balanced"], ["8f3c01"]),
            (["--model", "unpriced"], ["8f3c02"]),
            (["--session", "s"], ["8f3c02"]),
            (["--command", "route"], ["77aa00", "8f3c01"]),
            (["--failed"], ["77aa00"]),
            (["-n", "1"], ["77aa00"]),
            (["--tier", "simple", "--failed"], []),
        ],
    )
    def test_options_narrow_it_down(self, run_cli: RunCli, words: list[str], found: list[str]) -> None:
        ran = run_cli("runs", "list", *words, "--json")
        assert [item["id"] for item in ran.json["data"]["runs"]] == found

    def test_a_limit_that_was_reached_is_said(self, run_cli: RunCli) -> None:
        assert "--limit" in run_cli("runs", "list", "-n", "2").err
        assert run_cli("runs", "list").err == ""

    @pytest.mark.parametrize("words", [["--tier", "dear"], ["--since", "yesterday"], ["-n", "0"]])
    def test_wrong_values(self, run_cli: RunCli, words: list[str]) -> None:
        ran = run_cli("runs", "list", *words)
        assert (ran.code, ran.out) == (ExitCode.USAGE, "")
        assert "\nhint:  " in ran.err


@pytest.mark.usefixtures("state")
class TestShow:
    def test_a_beginning_is_enough_and_calls_are_a_table(self, run_cli: RunCli) -> None:
        ran = run_cli("runs", "show", "8f3c01")
        assert ran.code == 0
        facts, _, calls = ran.out.partition("\n\n")
        assert "gemini-2.5-flash, claude-sonnet-4" in facts
        assert "local/llama: context 8k < 12k needed" in facts
        header, first, second = calls.splitlines()
        assert "why" in header
        assert first.split() == ["1", "gemini-2.5-flash", "(portkey)", "chosen", "?", "?", "?", "0.20", "rate_limited"]
        assert second.split()[2:] == ["(openrouter)", "fallback", "1,200", "34", "$0.021", "1.50", "ok"]

    def test_kept_words_are_shown_but_cannot_drive_the_terminal(self, run_cli: RunCli) -> None:
        ran = run_cli("runs", "show", "77", "--no-color", terminal=True)
        assert "prompt:\nWhich renewals" in ran.out
        assert "answer:\nTwo.\n" in ran.out
        assert "\x1b" not in ran.out

    def test_every_field_is_in_the_data(self, run_cli: RunCli) -> None:
        data = run_cli("runs", "show", "8f3c02", "--json").json["data"]
        assert set(data) == set(Run.__struct_fields__)
        assert (data["cost"], data["calls"][0]["cost"]) == (None, None)

    def test_unknown_and_ambiguous(self, run_cli: RunCli) -> None:
        unknown = run_cli("runs", "show", "zz")
        assert (unknown.code, unknown.out) == (ExitCode.FAILED, "")
        assert "hint:  sophiactl runs list" in unknown.err
        assert run_cli("runs", "show", "8f3c").code == ExitCode.USAGE


@pytest.mark.usefixtures("state")
class TestSearch:
    def test_words_are_found_and_it_is_said_that_none_are_kept(self, run_cli: RunCli) -> None:
        ran = run_cli("runs", "search", "RENEWALS")
        assert ran.out.splitlines()[0].startswith("77aa00")
        assert "texts are not kept" in ran.err
        data = run_cli("runs", "search", "renewals", "--json").json["data"]
        assert ([item["id"] for item in data["runs"]], data["store_text"]) == (["77aa00"], False)

    def test_nothing_is_said_where_they_are_kept(self, run_cli: RunCli) -> None:
        ran = run_cli("runs", "search", "renewals", env={"SOPHIACTL_RUNS__STORE_TEXT": "true"})
        assert (ran.code, ran.err) == (0, "")

    def test_nothing_found(self, run_cli: RunCli) -> None:
        ran = run_cli("runs", "search", "elephants")
        assert (ran.code, ran.out) == (0, "")
        assert "nothing found" in ran.err
        assert run_cli("runs", "search", "").code == ExitCode.USAGE


class TestForget:
    def test_it_is_a_dry_run_until_told_otherwise(self, run_cli: RunCli, state: Path) -> None:
        planned = run_cli("runs", "forget", "--older-than", "90d")
        assert planned.out.startswith("1 run from before ")
        assert planned.out.endswith("would be deleted\n")
        assert "--yes" in planned.err
        data = run_cli("runs", "forget", "--older-than", "90d", "--json").json["data"]
        assert (data["runs"], data["dry_run"]) == (1, True)
        done = run_cli("runs", "forget", "--older-than", "90d", "--yes")
        assert (done.err, done.out.endswith("Z deleted\n")) == ("", True)
        ledger = open_ledger(RunsConfig(), state, {})
        assert [run.id for run in ledger.scan(RunFilter())] == ["8f3c02", "77aa00"]
        ledger.close()

    def test_by_date(self, run_cli: RunCli, state: Path) -> None:
        data = run_cli("runs", "forget", "--before", "2100-01-01", "--yes", "--json").json["data"]
        assert data == {"before": "2100-01-01T00:00:00Z", "runs": 3, "dry_run": False}

    @pytest.mark.parametrize(
        "words", [[], ["--before", "7d", "--older-than", "7d"], ["--older-than", "2026-01-01"], ["--before", "soon"]]
    )
    def test_what_is_not_clear_deletes_nothing(self, run_cli: RunCli, state: Path, words: list[str]) -> None:
        ran = run_cli("runs", "forget", *words, "--yes")
        assert ran.code == ExitCode.USAGE
        assert "hint:  " in ran.err
        ledger = open_ledger(RunsConfig(), state, {})
        assert ledger.count(RunFilter()) == 3
        ledger.close()


@pytest.mark.parametrize(
    "words", [["list"], ["show", "8f"], ["search", "x"], ["forget", "--older-than", "1d", "--yes"]]
)
def test_a_damaged_ledger_is_said_without_a_traceback(run_cli: RunCli, state: Path, words: list[str]) -> None:
    (state / FILE).write_bytes(b"no database" * 1000)
    ran = run_cli("runs", *words)
    assert (ran.code, ran.out) == (ExitCode.FAILED, "")
    assert ran.err.startswith("error: the ledger of runs ")
    assert "\nhint:  move the file away" in ran.err


def test_a_ledger_on_a_server_that_is_not_there(run_cli: RunCli) -> None:
    ran = run_cli("runs", "list", env={"SOPHIACTL_RUNS__URL": "postgresql://me@127.0.0.1:9/x"})
    assert ran.code == ExitCode.UNREACHABLE
    assert "\nhint:  " in ran.err


def test_a_password_in_the_url_is_refused_and_not_shown(run_cli: RunCli) -> None:
    ran = run_cli("runs", "list", env={"SOPHIACTL_RUNS__URL": "postgresql://me:hunter2@127.0.0.1/x"})
    assert ran.code == ExitCode.NOT_CONFIGURED
    assert "hunter2" not in ran.out + ran.err
