"""The habits of the project: locks, scripts, sizes, and the walls that tests run inside."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import sophiactl

if TYPE_CHECKING:
    from sophiactl.embedding.base import TextEmbedder

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("lock", "install", "try", "test", "check", "without_secrets")
HASH = "0" * 64


def _check_lock() -> Any:
    spec = importlib.util.spec_from_file_location("check_lock", ROOT / "scripts" / "check_lock.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def check_lock() -> Any:
    return _check_lock()


def _sources() -> list[Path]:
    return [path for folder in ("sophiactl", "tests", "scripts") for path in sorted((ROOT / folder).rglob("*.py"))]


# Locks


def test_locks_are_complete_hashed_and_in_step(check_lock: Any) -> None:
    assert check_lock.problems() == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--index-url https://example.org/simple", "names a place"),
        ("-e .", "names a place"),
        ("demo @ https://example.org/demo-1-py3-none-any.whl", "names a place"),
        ("./wheels/demo-1-py3-none-any.whl", "names a place"),
        ("demo>=1 \\\n    --hash=sha256:" + HASH, "demo is not pinned"),
        ("demo==1", "demo has no hash"),
        ("litellm==1.82.7 \\\n    --hash=sha256:" + HASH, "must not be used"),
        ("LiteLLM==1.82.8 \\\n    --hash=sha256:" + HASH, "must not be used"),
    ],
)
def test_a_bad_line_is_found(check_lock: Any, line: str, complaint: str) -> None:
    text = line if complaint == "names a place" else f"# comment\n{line}\n    # via demo\n"
    lines = [found for found in _forms(check_lock, text) if complaint in found]
    assert lines
    assert lines[0].startswith("x.lock: ")


def _forms(check_lock: Any, text: str) -> list[str]:
    """What `form` says of a text, of which a line that names a place may be no requirement at all."""
    found: list[str] = []
    checks = check_lock.form("x.lock", text)
    try:
        found.extend(checks)
    except ValueError:
        assert found, "refused before it was reported"
    return found


def test_a_good_line_is_not_complained_about(check_lock: Any) -> None:
    text = f"demo==1.0 ; sys_platform == 'darwin' \\\n    --hash=sha256:{HASH}\n    # via -r pyproject.toml\n"
    assert list(check_lock.form("x.lock", text)) == []


def test_locks_that_disagree_are_found(check_lock: Any) -> None:
    one = check_lock.read_lock(f"a==1\nb==1 \\\n    --hash=sha256:{HASH}\n")
    other = check_lock.read_lock(f"b==1 \\\n    --hash=sha256:{'1' * 64}\n")
    found = list(check_lock.agreement(one, other))
    assert len(found) == 2
    assert "lacks a" in found[0]
    assert "b is not the one" in found[1]


@pytest.mark.parametrize("package", ["torch", "transformers", "nvidia-cublas", "triton"])
def test_heavy_packages_stay_out_of_the_default_lock(check_lock: Any, package: str) -> None:
    pins = check_lock.read_lock(f"{package}==1 \\\n    --hash=sha256:{HASH}\n")
    assert any("too heavy" in found for found in check_lock.agreement(pins, pins))


def test_a_dependency_that_no_lock_names_is_found(check_lock: Any) -> None:
    pins = check_lock.read_lock((ROOT / "requirements-test.lock").read_text())
    del pins["pluggy"]  # needed by pytest, not by us
    assert any(re.match(r"x: pytest needs pluggy", found) for found in check_lock.completeness("x", ["pytest"], pins))
    assert list(check_lock.completeness("x", ["pytest<1"], pins)) == [
        f"x: pyproject.toml needs pytest<1, the lock has {pins['pytest'].version}"
    ]
    assert list(check_lock.completeness("x", ["nothing-of-the-kind; python_version < '3'"], pins)) == []


def test_another_version_than_the_locked_one_is_found(check_lock: Any) -> None:
    pins = check_lock.read_lock("pytest==0.1\nno-such-thing==1\nelsewhere==1 ; sys_platform == 'win32'\n")
    first, second = check_lock.installed("x", pins)
    assert "pytest 0.1 is locked" in first
    assert "none is installed" in second


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("AGPL-3.0-or-later", True),
        ("GPL-2.0-only", True),
        ("MIT AND GPL-3.0-or-later", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("GNU Affero General Public License v3", True),
        ("", True),
        ("MIT OR GPL-2.0-only", False),
        ("LGPL-3.0-only", False),
        ("BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("Apache-2.0", False),
    ],
)
def test_licences(check_lock: Any, monkeypatch: pytest.MonkeyPatch, said: str, refused: bool) -> None:
    monkeypatch.setattr(check_lock, "licence", lambda _: said)
    assert bool(list(check_lock.licences(["pytest"]))) is refused


# Scripts


@pytest.mark.parametrize("name", [f"scripts/{name}" for name in SCRIPTS] + [".ci/run"])
def test_scripts_parse_and_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / name)], check=True)


@pytest.mark.parametrize(("name", "most"), [("check", 12), ("test", 12), ("try", 40), ("install", 40), ("lock", 40)])
def test_scripts_are_short(name: str, most: int) -> None:
    assert len((ROOT / "scripts" / name).read_text().splitlines()) <= most


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the scripts and locks, but no environment."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("bench", "__pycache__"))
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    for name in ("pyproject.toml", "requirements.lock", "requirements-test.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def _bash(clone: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *command],
        cwd=clone,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_install_says_which_pythons_it_looked_for(clone: Path) -> None:
    done = _bash(clone, "scripts/install", "requirements.lock", PYTHON="no-such-python")
    assert done.returncode == 3
    assert "no Python 3.11, 3.12 or 3.13 with ensurepip among: no-such-python" in done.stderr
    assert "hint:" in done.stderr
    assert not (clone / ".venv").exists()


@pytest.fixture
def recording(clone: Path) -> Path:
    """A stand-in for the environment's Python that notes what it is asked for; returns its notes."""
    (clone / ".venv" / "bin").mkdir(parents=True)
    python, notes = clone / ".venv" / "bin" / "python", clone / "notes"
    python.write_text(f'#!/bin/sh\necho "$*" >> "{notes}"\n')
    python.chmod(0o755)
    return notes


def test_install_does_nothing_the_second_time(clone: Path, recording: Path) -> None:
    assert _bash(clone, "scripts/install", "requirements.lock").returncode == 0
    pips = [line for line in recording.read_text().splitlines() if line.startswith("-m pip")]
    assert [("--require-hashes" in line, "--editable" in line) for line in pips] == [(True, False), (False, True)]
    assert all("--no-deps" in line for line in pips)

    recording.unlink()
    assert _bash(clone, "scripts/install", "requirements.lock").returncode == 0
    assert "pip" not in recording.read_text()

    with (clone / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert _bash(clone, "scripts/install", "requirements.lock").returncode == 0
    assert "pip" in recording.read_text()


def test_the_test_environment_serves_for_the_default_one_too(clone: Path, recording: Path) -> None:
    assert _bash(clone, "scripts/install", "requirements-test.lock").returncode == 0
    recording.unlink()
    assert _bash(clone, "scripts/install", "requirements.lock").returncode == 0
    assert "pip" not in recording.read_text()


def test_a_failed_install_is_not_taken_for_done(clone: Path, recording: Path) -> None:
    python = clone / ".venv" / "bin" / "python"
    python.write_text(python.read_text() + 'case "$*" in *--editable*) exit 9 ;; esac\n')
    assert _bash(clone, "scripts/install", "requirements.lock").returncode == 9
    recording.unlink()
    assert _bash(clone, "scripts/install", "requirements.lock").returncode == 9
    assert "pip" in recording.read_text()


def test_ci_does_not_run_without_the_real_data(clone: Path) -> None:
    done = _bash(clone, ".ci/run", SOPHIACTL_SHARED=str(clone / "absent"))
    assert done.returncode == 3
    assert "absent" in done.stderr


# Source


def test_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert sophiactl.__version__ == version
    assert re.search(rf"^## \[(Unreleased|{re.escape(version)})\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"


def test_every_test_file_has_a_name_of_its_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


# Walls


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 80)])
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_the_network_is_closed(network_attempts: list[str], address: tuple[str, int], method: str) -> None:
    with socket.socket() as sock, pytest.raises(AssertionError, match="loopback only"):
        getattr(sock, method)(address)
    assert network_attempts.pop() == address[0]


def test_the_network_is_closed_to_datagrams(network_attempts: list[str]) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock, pytest.raises(AssertionError):
        sock.sendto(b"", ("2001:db8::1", 53))
    assert network_attempts.pop() == "2001:db8::1"


def test_names_are_not_looked_up(network_attempts: list[str]) -> None:
    with pytest.raises(AssertionError):
        socket.create_connection(("example.org", 443))
    with pytest.raises(AssertionError):
        asyncio.run(_open_connection())
    assert network_attempts == ["example.org", "example.org"]
    network_attempts.clear()


async def _open_connection() -> None:
    await asyncio.open_connection("example.org", 443)


def test_loopback_is_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1])).close()
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)


def test_the_home_is_empty_and_own(isolated_environment: Path) -> None:
    assert Path.home() == isolated_environment
    assert Path.cwd().is_relative_to(isolated_environment)
    assert not list(Path.cwd().iterdir())
    assert {name for name in os.environ if name.startswith("SOPHIACTL_")} == {"SOPHIACTL_HOME", "SOPHIACTL_SHARED"}


def test_the_real_embedder_is_there(embedder: TextEmbedder, warm_home: Path) -> None:
    assert embedder.embed(["one", "two"]).shape == (2, embedder.info.dimension)
    assert list((warm_home / "cache" / "graphs").iterdir())
