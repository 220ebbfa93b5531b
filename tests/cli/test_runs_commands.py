"""`sophiactl runs`, on a ledger in the home of the command line."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import ExitCode
from sophiactl.runs.base import Call, Run, RunFilter, RunsConfig, ServiceCall
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


@pytest.fixture
def asked(state: Path) -> Path:
    """The same ledger, after a sync that went well and a check of which a service failed."""
    page = ServiceCall("slack", "ok", "GET", "conversations.history", seconds=0.5, waited=0.25, retries=1)
    calls = (
        page,
        ServiceCall("notion", "timeout", "POST", "/v1/search", seconds=3.0),
        page,
        ServiceCall("notion", "timeout", "POST", "/v1/search", seconds=3.5),
        *(ServiceCall("gong", "not_found", "GET", f"/v2/calls/{number}\x1b[2J") for number in range(11)),
    )
    ledger = open_ledger(RunsConfig(), state, {})
    ledger.record(Run("c0ffee", "connectors sync", ago(0.5), service_calls=(page,)))
    ledger.record(Run("c0ffff", "connectors check", ago(0.4), error="timeout", service_calls=calls))
    ledger.close()
    return state


@pytest.mark.usefixtures("asked")
class TestServiceCalls:
    def test_a_list_counts_them_and_speaks_of_no_cost(self, run_cli: RunCli) -> None:
        header, check, sync, *others = run_cli("runs", "list").out.splitlines()
        assert header.endswith("service calls")
        assert check.split()[3:] == ["connectors", "check", "timeout", "15", "to", "3", "services,", "13", "failed"]
        assert sync.split()[3:] == ["connectors", "sync", "1", "to", "slack"]
        assert len(others) == 3
        assert "?" in others[1], "what a model cost is still unknown there"
        data = run_cli("runs", "list", "--command", "connectors check", "--json").json["data"]["runs"]
        assert [(one["service"], one["outcome"], one["calls"]) for one in data[0]["service_calls"]] == [
            ("gong", "not_found", 11),
            ("notion", "timeout", 2),
            ("slack", "ok", 2),
        ]

    def test_one_run_sums_them_up_for_each_service_and_names_what_failed(self, run_cli: RunCli) -> None:
        ran = run_cli("runs", "show", "c0ffff", "--no-color", terminal=True)
        facts, services, failed = ran.out.split("\n\n")
        assert [line.split()[0] for line in facts.splitlines()] == ["id", "command", "at", "error"]
        header, gong, notion, slack = services.splitlines()
        assert header.split() == ["service", "calls", "failed", "retries", "waited", "seconds", "errors"]
        assert gong.split() == ["gong", "11", "11", "0", "0.00", "0.00", "11", "not_found"]
        assert notion.split() == ["notion", "2", "2", "0", "0.00", "6.50", "2", "timeout"]
        assert slack.split() == ["slack", "2", "0", "2", "0.50", "1.00"]
        _, first, *rest = failed.splitlines()
        assert first.split() == ["notion", "POST", "/v1/search", "timeout", "2"]
        assert len(rest) == 9
        assert "and 2 more" in ran.err
        assert "\x1b" not in ran.out

    def test_the_data_have_each_of_them(self, run_cli: RunCli) -> None:
        data = run_cli("runs", "show", "c0ffff", "--json").json["data"]
        assert set(data) == set(Run.__struct_fields__)
        assert len(data["service_calls"]) == 15
        assert set(data["service_calls"][0]) == set(ServiceCall.__struct_fields__)
        assert run_cli("runs", "show", "8f3c02", "--json").json["data"]["service_calls"] == []

    def test_they_are_no_requests(self, run_cli: RunCli) -> None:
        assert run_cli("route", "stats", "--json").json["data"]["requests"] == 3
        assert [one["id"] for one in run_cli("runs", "list", "--failed", "--json").json["data"]["runs"]] == [
            "c0ffff",
            "77aa00",
        ]


class TestMetrics:
    @pytest.mark.usefixtures("asked")
    def test_they_are_printed_as_a_collector_reads_them(self, run_cli: RunCli) -> None:
        ran = run_cli("runs", "metrics")
        assert (ran.code, ran.err) == (0, "")
        lines = ran.out.splitlines()
        for line in (
            "# TYPE sophia_requests_total counter",
            'sophia_requests_total{command="connectors check",status="timeout"} 1',
            'sophia_routing_decisions_total{model="claude-sonnet-4",tier="balanced"} 1',
            'sophia_cost_total{model="claude-sonnet-4"} 0.0214',
            'sophia_business_service_calls_total{outcome="not_found",service="gong"} 11',
            'sophia_business_service_retries_total{service="slack"} 3',
        ):
            assert line in lines
        assert ran.out.endswith("\n")
        assert not ran.out.endswith("\n\n")

    @pytest.mark.usefixtures("asked")
    def test_as_data(self, run_cli: RunCli) -> None:
        data = run_cli("runs", "metrics", "--json").json["data"]
        assert data["file"] is None
        [cost] = [one for one in data["samples"] if one["name"] == "sophia_cost_total"]
        assert (cost["labels"], cost["value"], cost["kind"]) == ({"model": "claude-sonnet-4"}, 0.0214, "counter")

    @pytest.mark.usefixtures("asked")
    def test_a_file_for_a_collector_is_readable_for_it_whatever_the_mask(self, run_cli: RunCli, tmp_path: Path) -> None:
        file = tmp_path / "collected" / "sophia.prom"
        file.parent.mkdir()
        before = os.umask(0o077)
        try:
            ran = run_cli("runs", "metrics", "--output", str(file))
        finally:
            os.umask(before)
        assert ran.code == 0
        assert ran.out.endswith(f" samples in {file}\n")
        assert file.read_text("utf-8") == run_cli("runs", "metrics").out
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
        assert list(file.parent.iterdir()) == [file]
        quiet = run_cli("runs", "metrics", "-q", "-o", str(file))
        assert (quiet.code, quiet.out, quiet.err) == (0, "", "")

    @pytest.mark.usefixtures("asked")
    def test_a_file_that_cannot_be_written_is_said(self, run_cli: RunCli, tmp_path: Path) -> None:
        for file in (tmp_path / "nowhere" / "sophia.prom", tmp_path):
            ran = run_cli("runs", "metrics", "--output", str(file))
            assert (ran.code, ran.out) == (ExitCode.FAILED, "")
            assert f"{file} cannot be written" in ran.err
            assert "hint:  choose another --output" in ran.err

    @pytest.mark.usefixtures("asked")
    def test_forgetting_makes_no_counter_fall(self, run_cli: RunCli) -> None:
        before = run_cli("runs", "metrics").out
        assert run_cli("runs", "forget", "--before", "2100-01-01", "--yes").code == 0
        assert run_cli("runs", "metrics").out == before

    def test_an_empty_ledger(self, run_cli: RunCli, tmp_path: Path) -> None:
        ran = run_cli("runs", "metrics")
        assert (ran.code, ran.out, ran.err) == (0, "", "no runs found\n")
        file = tmp_path / "sophia.prom"
        assert run_cli("runs", "metrics", "--output", str(file)).out == f"0 samples in {file}\n"
        assert file.read_bytes() == b""


@pytest.mark.parametrize(
    "words", [["list"], ["show", "8f"], ["search", "x"], ["forget", "--older-than", "1d", "--yes"], ["metrics"]]
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
