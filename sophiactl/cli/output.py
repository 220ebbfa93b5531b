"""All printing. The answer and JSON go to stdout; notes, warnings, errors and progress to stderr.

Secrets that the run came to know are taken out of both, unless the command was told to reveal them.

Text of records is never trusted: on a terminal its control characters are spelled out. In a pipe the answer goes out as
it is, for the next program. Styles are given beside the text, never inside it, so that nothing can smuggle them in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.cli.terminal import clean, is_terminal, pad, paint, wants_colour, width_of
from sophiactl.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from contextlib import AbstractContextManager

    from sophiactl.cli.context import Environment
    from sophiactl.cli.flags import Flags
    from sophiactl.cli.progress import Progress
    from sophiactl.cli.result import Failure


class Styled(msgspec.Struct, frozen=True):
    """A piece of a line with a style such as `bold` or `dim red`; plain where the stream has no colour."""

    text: str
    style: str


class Output:
    """The streams of one run, and the rules for them."""

    def __init__(self, environment: Environment, flags: Flags) -> None:
        self.environment = environment
        self.flags = flags
        env, no_color = environment.env, flags.no_color
        self.terminal = is_terminal(environment.stdout)
        self.talks_to_terminal = is_terminal(environment.stderr)
        self.colour = wants_colour(terminal=self.terminal, env=env, no_color=no_color)
        self.talk_colour = wants_colour(terminal=self.talks_to_terminal, env=env, no_color=no_color)
        self.reveals = False

    @property
    def width(self) -> int:
        """Columns of the terminal, 80 where there is none."""
        return self.environment.width

    def line(self, *parts: str | Styled, end: str = "\n") -> None:
        """Print a line of the answer, made of plain and styled pieces."""
        self.environment.stdout.write("".join(self._shown(part) for part in parts) + end)

    def stream(self, text: str) -> None:
        """Print a piece of the answer at once, without a newline."""
        self.line(text, end="")
        self.environment.stdout.flush()

    def table(self, rows: Iterable[Sequence[object]], headers: Sequence[str] = (), right: Collection[int] = ()) -> None:
        """Print rows in aligned columns; `right` names the columns, from 0, that are aligned to the right."""
        cells = [[_cell(value) for value in row] for row in rows]
        lines = [list(headers), *cells] if headers else cells
        widths = [max(map(width_of, column)) for column in zip(*lines, strict=True)] if lines else []
        for number, row in enumerate(lines):
            text = "  ".join(pad(cell, widths[i], right=i in right) for i, cell in enumerate(row)).rstrip()
            self.line(Styled(text, "bold") if headers and number == 0 else text)

    def markdown(self, text: str) -> None:
        """Print markdown, rendered on a terminal that has colour and as written elsewhere."""
        if not (self.terminal and self.colour):
            self.line(text.rstrip("\n"))
            return
        from rich.console import Console
        from rich.markdown import Markdown

        env = self.environment.env
        console = Console(file=self.environment.stdout, width=self.width, force_terminal=True, _environ=env)
        console.print(Markdown(clean(self._kept(text)), hyperlinks=False))

    def json(self, value: Any) -> None:
        """Print a value as JSON: on one line, or indented on a terminal."""
        encoded = encode(self._data(value))
        self.raw_json(msgspec.json.format(encoded, indent=2) if self.terminal else encoded)

    def event(self, value: Any) -> None:
        """Print one line of NDJSON and flush it."""
        self.raw_json(encode(self._data(value)))
        self.environment.stdout.flush()

    def exactly(self, data: bytes) -> None:
        """Write bytes of the answer as they are: what a command was told to reveal."""
        binary = getattr(self.environment.stdout, "buffer", None)
        if binary is None:
            self.environment.stdout.write(data.decode("utf-8", "surrogateescape"))
        else:
            self.environment.stdout.flush()
            binary.write(data)

    def raw_json(self, encoded: bytes) -> None:
        """Print encoded JSON; only ASCII where the stream cannot show more."""
        text = encoded.decode()
        encoding = getattr(self.environment.stdout, "encoding", None) or "utf-8"
        if encoding.lower().replace("-", "") != "utf8" and not text.isascii():
            import json

            text = json.dumps(msgspec.json.decode(encoded), separators=(",", ":"))
        self.environment.stdout.write(text + "\n")

    def note(self, text: str) -> None:
        """Say something on stderr that `-q` silences."""
        if not self.flags.quiet:
            self._talk(text, "dim")

    def detail(self, text: str, level: int = 1) -> None:
        """Say something on stderr only with `-v` (or `-vv` for level 2)."""
        if self.flags.verbose >= level:
            self._talk(text, "dim")

    def warning(self, text: str, hint: str | None = None) -> None:
        """Warn on stderr; `-q` does not silence it."""
        self._report("warning:", "yellow", text, hint)

    def error(self, failure: Failure) -> None:
        """Report an error on stderr: one line what happened, one what helps."""
        self._report("error:", "red", failure.message, failure.hint)

    def progress(self, label: str, total: int | None = None) -> AbstractContextManager[Progress]:
        """A progress bar (a spinner without `total`) on stderr, shown only on a terminal and not with `-q`."""
        from sophiactl.cli import progress

        if not self.talks_to_terminal or self.flags.quiet or self.environment.env.get("TERM") == "dumb":
            return progress.silent()
        return progress.shown(
            self.environment.stderr, clean(label), total, self.environment.env, colour=self.talk_colour
        )

    def _shown(self, part: str | Styled) -> str:
        text = self._kept(part if isinstance(part, str) else part.text)
        text = clean(text) if self.terminal else text
        return paint(text, part.style) if self.colour and isinstance(part, Styled) else text

    def _kept(self, text: str) -> str:
        return text if self.reveals else REDACTOR.text(text)

    def _data(self, value: Any) -> Any:
        return value if self.reveals or not REDACTOR else REDACTOR.data(value)

    def _report(self, label: str, style: str, text: str, hint: str | None) -> None:
        self._say(label, f"bold {style}", text)
        if hint:
            self._say("hint:".ljust(len(label)), "bold", hint)

    def _say(self, label: str, style: str, text: str) -> None:
        self._write(f"{paint(label, style) if self.talk_colour else label} {clean(text)}")

    def _talk(self, text: str, style: str) -> None:
        self._write(paint(clean(text), style) if self.talk_colour else clean(text))

    def _write(self, text: str) -> None:
        try:
            self.environment.stderr.write(REDACTOR.text(text) + "\n")
            self.environment.stderr.flush()
        except (OSError, ValueError):  # nobody listens: the exit code still tells
            return


def encode(value: Any) -> bytes:
    """The value as JSON. Halves of surrogate pairs, which JSON cannot carry, become U+FFFD."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_mended(msgspec.to_builtins(value)))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, list | tuple) else value


def _cell(value: object) -> str:
    return "" if value is None else clean(str(value)).replace("\n", " ").replace("\t", " ")
