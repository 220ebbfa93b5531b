"""A command line that runs inside the test, with its own streams, environment and home."""

from __future__ import annotations

import io
import shutil
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pytest

from sophiactl.cli import main
from sophiactl.cli.context import Environment
from sophiactl.runs.base import Run, RunsConfig
from sophiactl.runs.opening import open_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.embedding.base import TextEmbedder

GUIDE = """# Prune

## Undo

Run `sophiactl prune restore` with the plan's name to undo a prune.

## Evil

A prune of the terminal prints \x1b[2J and rings the bell \x07 when nobody looks.
"""
ROWS = """{"id": "m1", "text": "Acme renews in March.", "class": "episodic", "created_at": "2026-01-02T00:00:00Z"}
{"id": "m2", "text": "Globex renews in June.", "class": "semantic", "created_at": "2026-01-03T00:00:00Z"}
"""


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


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory, model_cache: Path, embedder: TextEmbedder) -> Path:
    """A home with a document and two rows in its memory, made once by the commands themselves with the real model."""
    from sophiactl.embedding.base import EmbeddingConfig
    from sophiactl.embedding.weights import cached_folder, locate

    base = tmp_path_factory.mktemp("memory")
    package = locate(EmbeddingConfig(), model_cache)
    pulled = cached_folder(package.name, base / "cache")
    pulled.parent.mkdir(parents=True)
    pulled.symlink_to(package.path, target_is_directory=True)
    for entry in model_cache.iterdir():
        (base / "cache" / entry.name).symlink_to(entry)
    (base / "guide.md").write_text(GUIDE, "utf-8")
    (base / "rows.jsonl").write_text(ROWS, "utf-8")
    (base / "labelled.jsonl").write_text(labelled_rows(), "utf-8")
    for words in (["embed", str(base / "guide.md")], ["memory", "import", str(base / "rows.jsonl")]):
        err = io.StringIO()
        streams = Environment(stdin=io.StringIO(), stdout=err, stderr=err, env={"SOPHIACTL_HOME": str(base)}, cwd="/")
        assert main(words, streams) == 0, err.getvalue()
    with closing(open_ledger(RunsConfig(), base / "state", {})) as ledger:
        ledger.record(Run("8f3c", "route", "2026-11-22T12:00:00Z", model="gemini-2.5-flash", tier="simple"))
    return base


def labelled_rows() -> str:
    """Prompts, easy and hard, with what a weak and a strong model scored on them."""
    rows = []
    for number in range(120):
        hard = number % 3 == 0
        prompt = (
            f"Prove in {number + 2} steps that x^{number} + 1 is bounded." if hard else f"Say hello, number {number}."
        )
        rows.append(msgspec.json.encode({"prompt": prompt, "weak_score": 0.2 if hard else 0.9, "strong_score": 0.9}))
    return b"\n".join(rows).decode()


@pytest.fixture
def memory(made_home: Path, tmp_path: Path) -> Path:
    """The home of `run_cli`, with a copy of that memory in it; returns the folder of the documents."""
    home = tmp_path / "home"
    shutil.copytree(made_home / "state", home / "state")
    (home / "cache").symlink_to(made_home / "cache", target_is_directory=True)
    return made_home
