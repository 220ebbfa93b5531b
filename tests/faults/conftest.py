from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

if TYPE_CHECKING:
    from pathlib import Path


class Program:
    """The real program in its own process, with a home of its own and the real model.

    The model's converted graph is shared by all homes of a test run: converting it is not what these tests are about.
    """

    def __init__(self, home: Path, graphs: Path) -> None:
        self.home = home
        (home / "cache").parent.mkdir(parents=True, exist_ok=True)
        (home / "cache").symlink_to(graphs)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SOPHIACTL_")},
            "SOPHIACTL_HOME": str(home),
            "SOPHIACTL_EMBEDDING__ENGINE": "onnx",
            "HOME": str(home),
        }

    def start(self, *words: str, cwd: Path | None = None, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "sophiactl", *words], env=self.env, cwd=cwd, **options)

    def run(self, *words: str, cwd: Path | None = None, **options: Any) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "sophiactl", *words]
        env = {**self.env, **options.pop("env", {})}
        return subprocess.run(command, env=env, cwd=cwd, capture_output=True, timeout=120, check=False, **options)

    def data(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr.decode()
        return msgspec.json.decode(done.stdout)["data"]


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model cache that all homes share."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture
def program(tmp_path: Path, graphs: Path) -> Program:
    """The program in a fresh home."""
    return Program(tmp_path / "home", graphs)


@pytest.fixture
def make_program(tmp_path: Path, graphs: Path) -> Any:
    """Programs with homes of different names."""
    return lambda name: Program(tmp_path / name, graphs)
