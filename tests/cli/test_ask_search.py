"""`ask` and `search` as commands: cold memories, and the ledger that remembers questions."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.runs.base import RunFilter, RunsConfig
from sophiactl.runs.opening import FILE, open_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.runs.base import Run
    from tests.cli.conftest import RunCli

pytestmark = pytest.mark.usefixtures("memory")
FORGETFUL = {"SOPHIACTL_MEMORY__REMEMBER_QUERIES": "false"}


@pytest.fixture
def cold(tmp_path: Path, memory: Path) -> str:
    """Makes a memory cold; returns its id."""
    folder = tmp_path / "home" / "state" / "memory"
    with EdgeStore.open(folder, "main", None, create=False, lock_timeout=1, purpose="a test") as store:
        store.set_fields(["m1"], {"state": "cold"})
    return "m1"


def questions(tmp_path: Path) -> list[Run]:
    with closing(open_ledger(RunsConfig(), tmp_path / "home" / "state", {})) as ledger:
        return [run for run in ledger.runs(RunFilter()) if run.command in {"ask", "search"}]


class TestCold:
    def test_search_leaves_them_out_and_marks_them_when_asked_for(self, run_cli: RunCli, cold: str) -> None:
        assert cold not in run_cli("search", "Acme renews in March", "--ids").out.split()
        assert "(cold)" not in run_cli("search", "Acme renews in March").out
        deep = run_cli("search", "Acme renews in March", "--deep")
        first, _, *others = deep.out.splitlines()
        assert first.endswith("m1 (cold)")
        assert not [line for line in others if "(cold)" in line]

    def test_json_has_the_state(self, run_cli: RunCli, cold: str) -> None:
        hits = run_cli("search", "Acme renews in March", "--deep", "--json").json["data"]["hits"]
        assert {hit["record"]["id"]: hit["record"]["state"] for hit in hits if hit["record"]["id"] in {"m1", "m2"}} == {
            "m1": "cold",
            "m2": "active",
        }

    def test_a_batch_can_be_deep_too(self, run_cli: RunCli, cold: str) -> None:
        def found(*words: str) -> list[str]:
            row = '{"id": 1, "query": "Acme renews in March"}\n'
            line = run_cli("search", "--batch", "-", "-k", "9", *words, stdin=row).out
            return [hit["id"] for hit in msgspec.json.decode(line)["hits"]]

        assert cold not in found()
        assert found("--deep")[0] == cold

    def test_ask_lets_them_answer_only_when_told(self, run_cli: RunCli, cold: str) -> None:
        question = "When does Acme renew?"
        assert cold not in {item["id"] for item in run_cli("ask", question, "--json").json["data"]["citations"]}
        deep = run_cli("ask", question, "--deep", "--json").json["data"]["citations"]
        assert (deep[0]["id"], deep[0]["state"]) == (cold, "cold")
        shown = run_cli("ask", question, "--deep").out
        assert "  [1] m1 (cold)" in shown.splitlines()
        assert shown.count("(cold)") == 1


class TestRemembering:
    def test_a_question_is_in_the_ledger_under_the_run_that_the_answer_names(
        self, run_cli: RunCli, tmp_path: Path
    ) -> None:
        asked = run_cli("ask", "When does Acme renew?", "--json").json["data"]["run"]
        sought = run_cli("search", "Globex", "--json").json["data"]
        assert sought["unrecorded"] is None
        assert {run.id: run.command for run in questions(tmp_path)} == {asked: "ask", sought["run"]: "search"}

    def test_nothing_is_in_the_ledger_where_the_settings_forbid_it(self, run_cli: RunCli, tmp_path: Path) -> None:
        assert run_cli("ask", "When does Acme renew?", env=FORGETFUL).code == 0
        assert run_cli("search", "Globex", env=FORGETFUL).code == 0
        assert questions(tmp_path) == []

    @pytest.mark.parametrize("words", [["ask", "When does Acme renew?"], ["search", "Globex"]])
    def test_a_ledger_that_is_damaged_takes_no_answer_away(
        self, words: list[str], run_cli: RunCli, tmp_path: Path
    ) -> None:
        whole = run_cli(*words, env=FORGETFUL)
        (tmp_path / "home" / "state" / FILE).write_bytes(b"no ledger " * 1000)
        ran = run_cli(*words)
        assert (ran.code, ran.out) == (0, whole.out)
        assert "not recorded: the ledger of runs" in ran.err
        assert "not recorded" not in run_cli(*words, "-q").err

    def test_a_stream_of_events_says_so_before_the_last(self, run_cli: RunCli, tmp_path: Path) -> None:
        (tmp_path / "home" / "state" / FILE).write_bytes(b"no ledger " * 1000)
        ran = run_cli("ask", "When does Acme renew?", "--json", "--stream")
        *_, warning, final = map(msgspec.json.decode, ran.out.splitlines())
        assert (warning["event"], final["event"]) == ("warning", "final")
        assert warning["message"].startswith("not recorded: the ledger of runs")
