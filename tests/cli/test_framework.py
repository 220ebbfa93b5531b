"""Parsing, dispatch, and what becomes of errors."""

from __future__ import annotations

import io
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.cli import dispatch, main
from sophiactl.cli.command import Context, Failure, Result, command
from sophiactl.cli.context import Environment
from sophiactl.cli.parameters import options
from sophiactl.cli.table import Row
from sophiactl.cli.typed import read, typed
from sophiactl.cli.words import ordered
from sophiactl.errors import DeadlineExceeded, ExitCode, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import RunCli

EXAMPLES = (("sophiactl probe", "try"), ("sophiactl probe x", "try x"))


@command(examples=EXAMPLES)
def probe(
    context: Context,
    word: Annotated[str | None, typer.Argument(help="a word")] = None,
    others: Annotated[list[str] | None, typer.Argument(help="more words")] = None,
    limit: Annotated[int, typer.Option("-k", "--limit", min=1, max=99, help="how many")] = 10,
    class_: Annotated[Literal["episodic", "semantic"] | None, typer.Option("--class", help="which")] = None,
    tag: Annotated[list[str] | None, typer.Option("-t", "--tag", help="tags")] = None,
    weight: Annotated[float | None, typer.Option("--weight", help="how heavy")] = None,
    *,
    stream: Annotated[bool, typer.Option("--stream", help="at once")] = False,
    agentic: Annotated[bool, typer.Option(" /--no-agentic", help="plain")] = True,
) -> Result:
    """Return what was parsed."""
    flags = {"json": context.flags.json, "verbose": context.flags.verbose, "config": context.flags.config}
    own = {"word": word, "others": others or [], "limit": limit, "class_": class_, "tag": tag or [], "weight": weight}
    return Result({**own, "stream": stream, "agentic": agentic, "flags": flags})


class Behaviour:
    """What the `act` command does in a test."""

    def __init__(self) -> None:
        self.act: Callable[[Context], Result] = lambda _context: Result()

    def run(self, context: Context) -> Result:
        return self.act(context)


@pytest.fixture
def behaviour(monkeypatch: pytest.MonkeyPatch) -> Behaviour:
    """Put `probe`, `act` and the group `box` (default: probe) into the command table."""
    made = Behaviour()
    module = ModuleType("a_test_command")
    module.__dict__["probe"] = probe
    module.__dict__["act"] = command(examples=EXAMPLES)(made.run)
    monkeypatch.setitem(sys.modules, "a_test_command", module)
    inner = Row("status", "Show it", "a_test_command:act")
    rows = (
        Row("probe", "Probe it", "a_test_command:probe"),
        Row("act", "Act", "a_test_command:act"),
        Row("box", "A box", "a_test_command:probe", (inner,)),
        Row("gone", "Not there", "a_module_that_is_not_there:gone"),
    )
    monkeypatch.setattr(dispatch, "TABLE", rows)
    return made


def parsed(run_cli: RunCli, *words: str) -> dict[str, Any]:
    ran = run_cli(*words, "--json") if "--" not in words else run_cli("--json", *words)
    assert ran.code == 0, ran.out
    data: dict[str, Any] = ran.json["data"]
    return data


@pytest.mark.usefixtures("behaviour")
class TestParsing:
    def test_defaults(self, run_cli: RunCli) -> None:
        data = parsed(run_cli, "probe")
        assert (data["word"], data["others"], data["limit"], data["tag"]) == (None, [], 10, [])
        assert (data["stream"], data["agentic"], data["class_"]) == (False, True, None)

    @pytest.mark.parametrize("words", [["-k", "5"], ["-k5"], ["--limit", "5"], ["--limit=5"]])
    def test_a_value_in_every_form(self, run_cli: RunCli, words: list[str]) -> None:
        assert parsed(run_cli, "probe", "x", *words)["limit"] == 5
        assert parsed(run_cli, "probe", *words, "x")["word"] == "x"

    def test_options_between_words(self, run_cli: RunCli) -> None:
        data = parsed(run_cli, "probe", "a", "--tag", "x", "b", "-t", "y", "c", "--stream", "--no-agentic")
        assert (data["word"], data["others"]) == ("a", ["b", "c"])
        assert (data["tag"], data["stream"], data["agentic"]) == (["x", "y"], True, False)

    def test_everything_after_two_dashes_is_a_word(self, run_cli: RunCli) -> None:
        assert parsed(run_cli, "probe", "--", "--stream", "-x")["others"] == ["-x"]
        assert parsed(run_cli, "probe", "-")["word"] == "-"

    def test_negative_numbers_are_words_and_values(self, run_cli: RunCli) -> None:
        assert parsed(run_cli, "probe", "-5")["word"] == "-5"
        assert parsed(run_cli, "probe", "--weight", "-0.5")["weight"] == -0.5

    def test_global_options_before_and_after(self, run_cli: RunCli) -> None:
        before = run_cli("--json", "-v", "--config", "d", "probe", "x").json["data"]
        after = run_cli("probe", "x", "--json", "-v", "--config=d").json["data"]
        assert before == after
        assert run_cli("-v", "probe", "-v", "--json").json["data"]["flags"]["verbose"] == 2
        assert run_cli("probe", "-vv", "--json").json["data"]["flags"]["verbose"] == 2

    @pytest.mark.parametrize(
        ("words", "message", "hint"),
        [
            (["probe", "--limt", "5"], "--limt", "did you mean --limit?"),
            (["probe", "--limit"], "needs a value", "--help"),
            (["probe", "--limit", "--stream"], "needs a value, but --stream", "--limit=--stream"),
            (["probe", "--limit", "five"], "a whole number, not 'five'", "--help"),
            (["probe", "--limit", "100"], "between 1 and 99", "--help"),
            (["probe", "--weight", "nan"], "a finite number", "--help"),
            (["probe", "--stream=yes"], "takes no value", "--help"),
            (["probe", "--class", "semantc"], "cannot be 'semantc'", "did you mean semantic?"),
            (["probe", "-x"], "no option -x", "--help"),
            (["act", "word"], "takes no further argument", "--help"),
            (["prob"], "no command 'prob'", "did you mean probe?"),
            (["zzzzzz"], "no command 'zzzzzz'", "--help"),
            (["probe", "--timeout", "0"], "at least 0.001", "--help"),
            (["--nope", "probe"], "--nope", "--help"),
        ],
    )
    def test_mistakes_are_explained(self, run_cli: RunCli, words: list[str], message: str, hint: str) -> None:
        ran = run_cli(*words)
        assert ran.code == ExitCode.USAGE
        first, second = ran.err.splitlines()
        assert message in first
        assert hint in second
        envelope = run_cli(*words, "--json")
        assert envelope.code == ExitCode.USAGE
        assert message in envelope.json["errors"][0]["message"]

    def test_a_group_falls_through_to_its_default(self, run_cli: RunCli) -> None:
        assert parsed(run_cli, "box", "some/path", "other")["others"] == ["other"]
        assert parsed(run_cli, "box", "-k", "3", "path")["limit"] == 3
        assert parsed(run_cli, "box", "--json", "path")["word"] == "path"
        assert parsed(run_cli, "box", "./status")["word"] == "./status"
        assert run_cli("box", "status", "--json").json["command"] == "box status"
        assert run_cli("box", "--json", "status").json["command"] == "box status"
        assert "box status" in run_cli("box", "--help").out

    def test_help_is_given_however_faulty_the_rest(self, run_cli: RunCli) -> None:
        page = run_cli("probe", "--help").out
        for words in (["--help", "probe", "--nope"], ["probe", "--limit", "x", "--help"], ["-h", "probe", "--limit"]):
            assert run_cli(*words).out == page, words
        assert run_cli("probe", "--help", "--limit", "0", "--json").json["data"]["help"] == page

    def test_a_value_is_never_taken_for_a_global_option(self, run_cli: RunCli) -> None:
        assert parsed(run_cli, "probe", "-t-q", "--tag=--json", "x")["tag"] == ["-q", "--json"]
        assert run_cli("probe", "--tag", "--quiet").code == ExitCode.USAGE
        ran = run_cli("probe", "--json", "--", "--quiet", "-h")
        assert (ran.json["data"]["word"], ran.json["data"]["others"]) == ("--quiet", ["-h"])

    def test_clusters_mix_global_and_own_options(self, run_cli: RunCli) -> None:
        data = parsed(run_cli, "probe", "-vvk5", "-qttag")
        assert (data["limit"], data["tag"], data["flags"]["verbose"]) == (5, ["tag"], 2)

    def test_a_module_that_is_not_there_breaks_only_itself(self, run_cli: RunCli) -> None:
        assert run_cli("--help").code == 0
        ran = run_cli("gone")
        assert (ran.code, "not part of this installation" in ran.err) == (1, True)


class TestFailures:
    def raising(self, behaviour: Behaviour, error: BaseException) -> None:
        def act(_context: Context) -> Result:
            raise error

        behaviour.act = act

    @pytest.mark.parametrize(
        ("error", "code", "name", "message"),
        [
            (NotFound("no record x", hint="memory list"), 1, "not_found", "no record x"),
            (KeyboardInterrupt(), 130, "interrupted", "stopped"),
            (MemoryError(), 1, "out_of_memory", "memory"),
            (OSError(28, "No space left on device", "/x"), 1, "disk_full", "/x"),
            (ZeroDivisionError("division"), 1, "unexpected", "unexpected: ZeroDivisionError: division"),
            (DeadlineExceeded("late"), 7, "timeout", "late"),
        ],
    )
    def test_errors_become_envelopes_and_words(
        self, run_cli: RunCli, behaviour: Behaviour, error: BaseException, code: int, name: str, message: str
    ) -> None:
        self.raising(behaviour, error)
        ran = run_cli("act", "--json")
        assert (ran.code, ran.json["exit_code"], ran.json["status"]) == (code, code, "error")
        assert ran.json["errors"][0]["code"] == name
        assert message in ran.json["errors"][0]["message"]
        plain = run_cli("act")
        assert (plain.code, plain.out) == (code, "")
        assert plain.err.startswith("error: ")
        assert "Traceback" not in plain.err

    def test_debug_shows_the_traceback(self, run_cli: RunCli, behaviour: Behaviour) -> None:
        self.raising(behaviour, ZeroDivisionError("division"))
        ran = run_cli("act", "--debug", "--json")
        assert "Traceback" in ran.err
        assert ran.json["errors"][0]["code"] == "unexpected"

    def test_timeout_ends_a_command_that_hangs(self, run_cli: RunCli, behaviour: Behaviour) -> None:
        import threading

        def act(_context: Context) -> Result:
            threading.Event().wait(30)
            return Result()

        behaviour.act = act
        ran = run_cli("act", "--timeout", "0.05", "--json")
        assert (ran.code, ran.json["errors"][0]["code"]) == (ExitCode.TIMEOUT, "timeout")

    def test_partial_results_warn_and_keep_the_answer(self, run_cli: RunCli, behaviour: Behaviour) -> None:
        failure = Failure("input", "a.pdf cannot be read", "open it")
        behaviour.act = lambda _context: Result({"n": 1}, "one", ("a note",), errors=(failure,))
        ran = run_cli("act")
        assert (ran.code, ran.out) == (0, "one\n")
        assert ran.err == "warning: a.pdf cannot be read\nhint:    open it\na note\n"
        assert run_cli("act", "--json").json["status"] == "partial"
        assert "a note" not in run_cli("act", "-q").err

    def test_findings_exit_with_one_and_keep_the_answer(self, run_cli: RunCli, behaviour: Behaviour) -> None:
        behaviour.act = lambda _context: Result({"n": 1}, "2 findings", exit_code=ExitCode.FAILED, status="ok")
        ran = run_cli("act", "--json")
        assert (ran.code, ran.json["status"], ran.json["data"]) == (1, "ok", {"n": 1})

    def test_a_stream_prints_events_and_no_envelope(self, run_cli: RunCli, behaviour: Behaviour) -> None:
        def act(context: Context) -> Result:
            context.output.event({"event": "started"})
            return Result(printed=True)

        behaviour.act = act
        assert run_cli("act", "--json").out == '{"event":"started"}\n'


class TestVersionAndBareCalls:
    def test_version(self, run_cli: RunCli) -> None:
        from sophiactl import __version__

        assert run_cli("--version").out == f"sophiactl {__version__}\n"
        assert run_cli("--version", "--json").json["data"] == {"version": __version__}

    def test_version_is_that_of_the_project(self) -> None:
        import tomllib
        from pathlib import Path

        from sophiactl import __version__

        project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
        assert project["project"]["version"] == __version__

    def test_no_words_show_the_help(self, run_cli: RunCli) -> None:
        assert run_cli().out == run_cli("--help").out
        assert run_cli().code == 0

    def test_a_group_alone_is_a_usage_error(self, run_cli: RunCli) -> None:
        ran = run_cli("config")
        assert (ran.code, "show, path, init" in ran.err) == (ExitCode.USAGE, True)


PROGRAM, PROBE = typed(), typed(probe)
WORDS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["--json", "-v", "-vq", "--", "-", "--config", "--timeout", "1", "config", "show", "help", "-h"]),
)


@given(st.lists(WORDS, max_size=6))
def test_no_command_line_crashes_the_parser(words: list[str]) -> None:
    target = dispatch.locate(words)
    assert len(target.front) + len(target.path.split()) + len(target.rest) == len(words)
    for known in (PROGRAM, PROBE):
        try:
            reading = read(known, "probe", words)
        except UsageError as error:
            hint = error.hint
        else:
            hint = "none is needed"
            assert set(reading.extra) <= set(words)
        assert hint


@given(st.lists(WORDS, max_size=6))
def test_no_word_is_lost_or_invented(words: list[str]) -> None:
    try:
        kept = ordered(words, options(PROGRAM), "help")
    except UsageError:
        return
    assert sorted(kept) in (sorted(words), sorted([*words, "--"]))
    assert ordered(kept, options(PROGRAM), "help") == kept


@given(st.text(max_size=200))
def test_any_question_reaches_the_command_after_two_dashes(text: str) -> None:
    assert read(PROBE, "probe", ["--", text]).values["word"] == text


def test_a_second_interrupt_while_reporting_still_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    from sophiactl.cli import app

    def interrupted(*_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "_guarded", interrupted)
    streams = Environment(stdin=io.StringIO(), stdout=io.StringIO(), stderr=io.StringIO(), env={}, cwd="/")
    assert main(["--help"], streams) == 130
