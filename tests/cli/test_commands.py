"""What the commands say, on which stream, with the real model on a small memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.cli.dispatch import load
from sophiactl.cli.parameters import options
from sophiactl.cli.table import walk
from sophiactl.cli.typed import typed
from sophiactl.errors import ExitCode, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunCli

QUESTION = "How do I undo a prune?"
OPENS_THE_MEMORY = ("ask", "search", "embed", "embed optimize", *(path for path, _ in walk() if "memory " in path))


def pinned(run_cli: RunCli) -> set[str]:
    found = run_cli("memory", "list", "--pinned", "--json").json["data"]["memories"]
    return {record["id"] for record in found}


@pytest.mark.usefixtures("memory")
class TestAsk:
    def test_a_pipe_gets_the_answer_and_its_sources_only(self, run_cli: RunCli) -> None:
        ran = run_cli("ask", QUESTION)
        answer, _, sources = ran.out.partition("\n\n")
        assert "sophiactl prune restore" in answer
        assert sources.splitlines()[0].startswith("  [1] ")
        assert "guide.md" in sources
        [summary] = ran.err.splitlines()
        assert summary.startswith("extracts, no model configured · ")
        assert run_cli("ask", QUESTION, "-q").err == ""
        assert run_cli("ask", "--file", "-", stdin=QUESTION).out == ran.out

    def test_a_terminal_gets_the_same_answer_as_a_stream(self, run_cli: RunCli) -> None:
        piped, shown = run_cli("ask", QUESTION, "--no-color"), run_cli("ask", QUESTION, "--no-color", terminal=True)
        assert shown.out == piped.out

    def test_an_answer_cannot_drive_the_terminal(self, run_cli: RunCli) -> None:
        ran = run_cli("ask", "What rings the bell of the terminal?", "--no-color", terminal=True)
        assert "\\x1b[2J" in ran.out
        assert not {"\x1b", "\x07"} & set(ran.out)

    def test_events_are_one_json_object_a_line(self, run_cli: RunCli) -> None:
        ran = run_cli("ask", QUESTION, "--json", "--stream")
        events = [msgspec.json.decode(line) for line in ran.out.splitlines()]
        assert (ran.err, events[0]["event"], events[-1]["event"]) == ("", "started", "final")

    def test_an_error_after_the_first_words_has_its_own_line(
        self, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sophiactl.agent.events import EvidenceFound, Token
        from sophiactl.ops import ask

        def broken(*_arguments: object) -> Iterator[Any]:
            yield EvidenceFound((), 0)
            yield Token("The first words")
            raise StoreError("the memory went away", hint="ask again")

        monkeypatch.setattr(ask, "ask", broken)
        ran = run_cli("ask", QUESTION, "--stream")
        assert (ran.code, ran.out) == (ExitCode.FAILED, "The first words\n")
        assert ran.err.startswith("error: the memory went away")


@pytest.mark.usefixtures("memory")
class TestMemory:
    def test_ids_come_from_words_a_file_and_stdin(self, run_cli: RunCli, tmp_path: Path) -> None:
        file = tmp_path / "ids.txt"
        file.write_text("m2\n\n m1 \n", "utf-8")
        assert run_cli("memory", "pin", "--file", str(file)).out == "pinned m2, m1\n"
        assert pinned(run_cli) == {"m1", "m2"}
        assert run_cli("memory", "unpin", "m1", "--file", "-", stdin="m1\nm2\n").out == "unpinned m1, m2\n"
        assert pinned(run_cli) == set()

    def test_many_ids_are_counted(self, run_cli: RunCli) -> None:
        rows = "".join(f'{{"id": "n{number}", "text": "Note {number}."}}\n' for number in range(12))
        assert run_cli("memory", "import", "-", stdin=rows).code == 0
        ids = "".join(f"n{number}\n" for number in range(12))
        assert run_cli("memory", "pin", "--file", "-", stdin=ids).out == "pinned 12 memories\n"
        assert len(pinned(run_cli)) == 12

    def test_no_ids_is_a_usage_error_and_an_unknown_one_changes_nothing(self, run_cli: RunCli) -> None:
        assert run_cli("memory", "pin").code == ExitCode.USAGE
        assert run_cli("memory", "pin", "--file", "-", stdin="m1\nnothing\n").code == ExitCode.FAILED
        assert pinned(run_cli) == set()

    def test_what_is_exported_can_be_imported(self, run_cli: RunCli) -> None:
        exported = run_cli("memory", "export", "--class", "episodic", "--class", "semantic").out
        assert {msgspec.json.decode(line)["id"] for line in exported.splitlines()} == {"m1", "m2"}
        ran = run_cli("memory", "import", "-", "--collection", "copy", stdin=exported)
        assert (ran.code, ran.out) == (0, "2 memories (0 of them replaced), 0 rows rejected\n")
        copied = run_cli("memory", "export", "--collection", "copy").out
        assert sorted(copied.splitlines()) == sorted(exported.splitlines())

    def test_selections_select(self, run_cli: RunCli) -> None:
        def ids(*words: str) -> set[str]:
            return {item["id"] for item in run_cli("memory", "list", *words, "--json").json["data"]["memories"]}

        assert ids("--class", "episodic") == {"m1"}
        assert ids("--class", "episodic", "--class", "semantic", "--until", "2026-01-02T12:00") == {"m1"}
        assert ids("--state", "cold") == set()
        assert len(ids("--all")) > 2 > len(ids("-n1"))

    def test_search_finds_and_filters(self, run_cli: RunCli) -> None:
        assert run_cli("search", "Acme renews", "--ids", "-k1").out == "m1\n"
        assert run_cli("search", "renews", "--ids", "--filter", "class=semantic").out == "m2\n"
        assert run_cli("search", "renews", "--filter", "class").code == ExitCode.USAGE
        batch = run_cli("search", "--batch", "-", "-k", "1", stdin='{"id": 7, "query": "Globex"}\n')
        [line] = map(msgspec.json.decode, batch.out.splitlines())
        assert (line["id"], [hit["id"] for hit in line["hits"]]) == ("7", ["m2"])


@pytest.mark.parametrize("path", OPENS_THE_MEMORY)
def test_every_command_that_opens_the_memory_can_wait_for_it(path: str) -> None:
    row = dict(walk())[path]
    names = options(typed(load(row)))
    assert {"--lock-timeout", "--collection"} <= set(names)


def test_lock_timeout_says_how_long_to_wait(run_cli: RunCli, memory: Path, tmp_path: Path) -> None:
    from sophiactl.locks import FileLock

    [place] = (tmp_path / "home" / "state" / "memory").iterdir()
    with FileLock(place / "lock", purpose="a test", timeout=1):
        ran = run_cli("memory", "stats", "--lock-timeout", "0")
    assert (ran.code, "--lock-timeout" in ran.err) == (ExitCode.LOCKED, True)
    assert run_cli("memory", "stats", "--lock-timeout", "-1").code == ExitCode.USAGE


@pytest.mark.parametrize("words", [("models", "list"), ("doctor",), ("memory", "stats"), ("config", "show")])
@pytest.mark.usefixtures("memory")
def test_every_line_of_a_table_ends(run_cli: RunCli, words: tuple[str, ...]) -> None:
    for model in ("all-MiniLM-L6-v2", "nobody-knows-it"):
        ran = run_cli(*words, env={"SOPHIACTL_EMBEDDING__MODEL": model})
        assert ran.out.endswith("\n") or ran.out == ""
        assert ran.err.endswith("\n") or ran.err == ""
