"""A command line that runs inside the test, with its own streams, environment and home."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pytest

from sophiactl.cli import main
from sophiactl.cli.context import Environment

if TYPE_CHECKING:
    from pathlib import Path


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return msgspec.json.decode(self.out, type=dict[str, Any])


class RunCli(Protocol):
    def __call__(
        self,
        *words: str,
        stdin: str = "",
        env: dict[str, str] | None = None,
        terminal: bool = False,
        columns: int = 100,
    ) -> Ran: ...


@pytest.fixture
def run_cli(tmp_path: Path) -> RunCli:
    """Run `sophiactl WORDS` in-process, in an empty folder with an empty home."""
    work = tmp_path / "work"
    work.mkdir()

    def run(
        *words: str,
        stdin: str = "",
        env: dict[str, str] | None = None,
        terminal: bool = False,
        columns: int = 100,
    ) -> Ran:
        kind = Terminal if terminal else io.StringIO
        out, err = kind(), kind()
        environment = Environment(
            stdin=io.StringIO(stdin),
            stdout=out,
            stderr=err,
            env={"SOPHIACTL_HOME": str(tmp_path / "home"), **(env or {})},
            cwd=str(work),
            columns=columns,
        )
        code = main(list(words), environment)
        return Ran(code, out.getvalue(), err.getvalue())

    return run
