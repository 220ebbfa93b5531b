"""What reaches which stream, and in what form."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.cli.context import Context, Environment
from sophiactl.cli.flags import Flags
from sophiactl.cli.output import Output, Styled, encode
from sophiactl.cli.stdin import read_text_argument
from sophiactl.cli.terminal import clean, fit, wants_colour, width_of
from sophiactl.errors import InputError, NotFound, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunCli


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output(
    *, terminal: bool = False, flags: Flags | None = None, **env: str
) -> tuple[Output, io.StringIO, io.StringIO]:
    kind = Terminal if terminal else io.StringIO
    out, err = kind(), kind()
    environment = Environment(stdin=io.StringIO(), stdout=out, stderr=err, env=env, cwd="/", columns=80)
    return Output(environment, flags or Flags()), out, err


class TestHarmlessText:
    EVIL = "a\x1b]0;title\x07\x1b[2J\r\u202egnp.exe\x9b31m"

    def test_a_record_cannot_drive_the_terminal(self) -> None:
        shown, out, _ = output(terminal=True)
        shown.line(self.EVIL)
        shown.line(Styled(self.EVIL, "bold"))
        shown.table([(self.EVIL,)])
        text = out.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")
        assert not set("\x1b\x07\r\u202e\x9b") & set(text)
        assert "\\x1b]0;title" in text

    def test_a_pipe_gets_the_text_as_it_is(self) -> None:
        shown, out, _ = output()
        shown.line(self.EVIL)
        assert out.getvalue() == self.EVIL + "\n"

    def test_messages_are_always_cleaned(self) -> None:
        shown, _, err = output()
        shown.warning(self.EVIL)
        assert "\x1b" not in err.getvalue()

    @given(st.text())
    def test_clean_leaves_nothing_that_moves_the_cursor(self, text: str) -> None:
        kept = clean(text)
        assert all(char in "\n\t" or char.isprintable() or ord(char) >= 0xA0 for char in kept)
        if text.isprintable():
            assert kept == text

    @given(st.text(), st.integers(1, 40))
    def test_fit_never_exceeds_the_width(self, text: str, width: int) -> None:
        assert width_of(fit(text, width)) <= width


class TestColour:
    @pytest.mark.parametrize(
        ("terminal", "env", "no_color", "wanted"),
        [
            (True, {}, False, True),
            (False, {}, False, False),
            (True, {"NO_COLOR": "1"}, False, False),
            (True, {"NO_COLOR": ""}, False, True),
            (True, {"TERM": "dumb"}, False, False),
            (False, {"FORCE_COLOR": "1"}, False, True),
            (False, {"FORCE_COLOR": "0"}, False, False),
            (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
            (True, {"FORCE_COLOR": "1"}, True, False),
        ],
    )
    def test_rules(self, terminal: bool, env: dict[str, str], no_color: bool, wanted: bool) -> None:
        assert wants_colour(terminal=terminal, env=env, no_color=no_color) is wanted

    def test_errors_are_plain_in_a_pipe_and_painted_on_a_terminal(self, run_cli: RunCli) -> None:
        assert "\x1b" not in run_cli("nope").err
        assert "\x1b[1;31merror:" in run_cli("nope", terminal=True).err
        assert "\x1b" not in run_cli("nope", "--no-color", terminal=True).err


class TestStreams:
    def test_tables_align_wide_characters(self) -> None:
        shown, out, _ = output()
        shown.table([("日本", 1), ("a", 22), (None, "x\ny")], headers=("name", "n"), right={1})
        assert out.getvalue() == "name    n\n日本    1\na      22\n      x y\n"
        shown.table([])
        assert out.getvalue().count("\n") == 4

    def test_notes_are_silenced_by_quiet_and_details_need_verbose(self) -> None:
        loud, _, err = output(flags=Flags(verbose=1))
        loud.note("n")
        loud.detail("one")
        loud.detail("two", level=2)
        assert err.getvalue() == "n\none\n"
        still, _, err = output(flags=Flags(quiet=True))
        still.note("n")
        still.warning("w")
        assert err.getvalue() == "warning: w\n"

    def test_progress_stays_silent_without_a_terminal(self) -> None:
        shown, out, err = output()
        with shown.progress("reading", total=3) as progress:
            progress.advance()
            progress.update(label="x", total=4)
        assert (out.getvalue(), err.getvalue()) == ("", "")

    def test_progress_shows_on_a_terminal(self) -> None:
        shown, out, err = output(terminal=True, TERM="xterm")
        with shown.progress("reading [bold]x", total=2) as progress:
            progress.advance(2)
            progress.update(label="done [x]")
        assert "[bold]x" in err.getvalue() or "done [x]" in err.getvalue()
        assert out.getvalue() == ""

    def test_markdown_is_rendered_only_on_a_terminal(self) -> None:
        text = "# Title\n\nsome **bold** \x1b[2J text"
        piped, out, _ = output()
        piped.markdown(text)
        assert out.getvalue() == text + "\n"
        shown, out, _ = output(terminal=True, TERM="xterm")
        shown.markdown(text)
        assert "**" not in out.getvalue()
        assert "\x1b[2J" not in out.getvalue()

    def test_json_is_indented_on_a_terminal_only(self) -> None:
        piped, out, _ = output()
        piped.json({"a": [1]})
        assert out.getvalue() == '{"a":[1]}\n'
        shown, out, _ = output(terminal=True)
        shown.json({"a": [1]})
        assert out.getvalue() == '{\n  "a": [\n    1\n  ]\n}\n'

    def test_a_stream_that_is_not_unicode_gets_ascii_json(self) -> None:
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding="ascii")
        shown = Output(Environment(stdout=stream, stderr=io.StringIO(), env={}), Flags())
        shown.event({"a": "é😀"})
        assert msgspec.json.decode(raw.getvalue()) == {"a": "é😀"}

    @given(st.dictionaries(st.text(), st.text(st.characters())))
    def test_every_text_becomes_json(self, value: dict[str, str]) -> None:
        assert isinstance(msgspec.json.decode(encode(value)), dict)

    def test_halves_of_surrogate_pairs_become_json(self) -> None:
        decoded = msgspec.json.decode(encode({"file\udcff": ["\ud83d", ("x",)]}))
        assert decoded == {"file?": ["?", ["x"]]}


class Bytes(io.TextIOWrapper):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")


class Forbidden(io.StringIO):
    def read(self, *_arguments: object) -> str:
        raise AssertionError("stdin was read")


class Broken(io.StringIO):
    def read(self, *_arguments: object) -> str:
        raise OSError(5, "Input/output error")


def context(stdin: io.TextIOBase) -> Context:
    environment = Environment(stdin=stdin, stdout=io.StringIO(), stderr=io.StringIO(), env={}, cwd="/")  # type: ignore[arg-type]
    return Context(environment, Flags(), "ask")


def said(made: Context) -> str:
    err = made.environment.stderr
    assert isinstance(err, io.StringIO)
    return err.getvalue()


class TestTextArgument:
    def test_beside_an_argument_stdin_is_never_touched(self) -> None:
        assert read_text_argument(context(Forbidden()), "a question") == "a question"

    def test_stdin_without_argument_or_with_a_dash(self, tmp_path: Path) -> None:
        assert read_text_argument(context(io.StringIO("from stdin\n")), None) == "from stdin"
        assert read_text_argument(context(Bytes("\ufefffrom stdin é".encode())), "-") == "from stdin é"
        assert read_text_argument(context(io.StringIO("x")), None, "-") == "x"
        file = tmp_path / "q.txt"
        file.write_text("from a file", "utf-8")
        assert read_text_argument(context(Forbidden()), None, str(file)) == "from a file"

    def test_bytes_that_are_not_utf8_are_replaced_with_a_warning(self) -> None:
        made = context(Bytes(b"caf\xe9?"))
        assert read_text_argument(made, None) == "caf\ufffd?"
        assert "not UTF-8" in said(made)

    def test_what_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="empty"):
            read_text_argument(context(io.StringIO(" \n")), None, what="question")
        with pytest.raises(UsageError, match="empty"):
            read_text_argument(context(Forbidden()), "", what="question")
        with pytest.raises(UsageError, match="twice"):
            read_text_argument(context(Forbidden()), "a", "b")
        with pytest.raises(UsageError, match="longer than 10"):
            read_text_argument(context(io.StringIO("x" * 11)), None, limit=10)
        with pytest.raises(NotFound):
            read_text_argument(context(Forbidden()), None, str(tmp_path / "absent"))
        with pytest.raises(InputError):
            read_text_argument(context(Forbidden()), None, str(tmp_path))
        with pytest.raises(InputError, match="stdin"):
            read_text_argument(context(Broken()), None)

    def test_a_silent_stdin_is_announced(self) -> None:
        import threading

        noticed = threading.Event()

        class Notes(io.StringIO):
            def write(self, text: str) -> int:
                noticed.set()
                return super().write(text)

        class Silent(io.StringIO):
            def read(self, *_arguments: object) -> str:
                assert noticed.wait(10)
                return "at last"

        err = Notes()
        made = Context(Environment(stdin=Silent(), stdout=io.StringIO(), stderr=err, env={}), Flags(), "ask")
        assert read_text_argument(made, None, what="question", notice_after=0.01) == "at last"
        assert err.getvalue() == "waiting for the question on stdin\n"
