"""The program in poor surroundings: no home, a read-only one, closed pipes, odd encodings, another model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

pytestmark = pytest.mark.fault


@pytest.fixture
def filled(program: Any, tmp_path: Path) -> Any:
    document = tmp_path / "notes.md"
    document.write_text(
        "# Notes\n\nThe audit is in March.\n\n## Owner\n\nBob owns the audit. Zoë helps: naïve café ✓.\n"
    )
    assert program.run("embed", str(document)).returncode == 0
    return program


def test_a_closed_pipe_is_no_error(filled: Any) -> None:
    command = f"{sys.executable} -m sophiactl memory list --all | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=filled.env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr == b""
    assert len(done.stdout.splitlines()) == 1


def test_help_of_a_group_into_a_closed_pipe(program: Any) -> None:
    command = f"{sys.executable} -m sophiactl help environment | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=program.env, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_without_home_the_account_s_folder_is_used_or_it_is_said(program: Any) -> None:
    env = {name: value for name, value in program.env.items() if name not in {"HOME", "SOPHIACTL_HOME"}}
    command = [sys.executable, "-m", "sophiactl", "config", "path", "--json"]
    done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode in {0, 3}
    assert msgspec.json.decode(done.stdout)["status"] in {"ok", "error"}


def test_a_home_that_is_a_file_is_an_error_with_a_way_out(program: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("not a folder")
    document = tmp_path / "a.md"
    document.write_text("Some words to embed.")
    done = program.run("embed", str(document), env={"SOPHIACTL_HOME": str(blocked)})
    assert done.returncode in {1, 3}
    assert done.stderr.startswith(b"error: ")
    assert b"hint: " in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to, such as /proc")
def test_a_read_only_home_is_said(program: Any, tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("Some words to embed.")
    done = program.run("embed", str(document), env={"SOPHIACTL_HOME": "/proc/self/nowhere"})
    assert done.returncode in {1, 3}
    assert b"hint: " in done.stderr
    assert b"SOPHIACTL_HOME" in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_of_the_output_breaks_an_answer(filled: Any, encoding: str) -> None:
    done = filled.run("ask", "Who owns the audit?", env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0, done.stderr.decode()
    assert b"Bob owns the audit" in done.stdout


def test_another_model_is_refused_and_named(filled: Any, tmp_path: Path) -> None:
    path = filled.home / "state" / "memory" / "main" / "collection.json"
    text = path.read_text()
    path.write_text(text.replace("all-MiniLM-L6-v2", "some-other-model"))
    done = filled.run("ask", "Who owns the audit?")
    assert done.returncode == 3
    assert b"some-other-model" in done.stderr
    assert b"all-MiniLM-L6-v2" in done.stderr
    path.write_text(text)
    assert filled.run("ask", "Who owns the audit?").returncode == 0


def test_a_damaged_collection_is_said_without_a_traceback(filled: Any) -> None:
    path = filled.home / "state" / "memory" / "main" / "collection.json"
    path.write_text(path.read_text()[:20])
    done = filled.run("memory", "stats")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr


def test_damaged_weights_are_refused(program: Any, tmp_path: Path) -> None:
    folder = Path(program.data("models", "path")["path"])
    copy = tmp_path / "model"
    copy.mkdir()
    for file in folder.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 0xFF
    weights.write_bytes(data)
    done = program.run("ask", "anything", env={"SOPHIACTL_EMBEDDING__MODEL_PATH": str(copy)})
    assert done.returncode == 3
    assert b"model.safetensors" in done.stderr


def test_a_question_from_stdin_and_an_empty_one(filled: Any) -> None:
    assert b"Bob owns" in filled.run("ask", input=b"Who owns the audit?\n").stdout
    empty = filled.run("ask", input=b"")
    assert empty.returncode == 2
    assert b"empty" in empty.stderr
    long = filled.run("ask", input=b"x" * 100_000)
    assert long.returncode == 2


def test_events_are_one_json_object_a_line(filled: Any) -> None:
    done = filled.run("ask", "Who owns the audit?", "--json", "--stream")
    events = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events][:2] == ["started", "evidence"]
    assert events[-1]["event"] == "final"
    assert os.linesep.encode() in done.stdout
    text = "".join(event["text"] for event in events if event["event"] == "token")
    assert text == events[-1]["answer"]
