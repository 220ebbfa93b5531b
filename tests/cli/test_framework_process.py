"""The command line as a process: pipes, signals, a full disk, odd encodings, a shell's completion."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-m", "sophiactl"]
# Waits on stdin inside a command of ours, so that a signal can find it there.
WAITING = """
import sys
from types import ModuleType
from sophiactl.cli import dispatch, main
from sophiactl.cli.command import Result, command
from sophiactl.cli.table import Row
@command(examples=())
def wait(context):
    print("ready", file=sys.stderr, flush=True)
    sys.stdin.read()
    return Result({"done": True})
module = ModuleType("waiting")
module.wait = wait
sys.modules["waiting"] = module
dispatch.TABLE = (Row("wait", "Wait", "waiting:wait"),)
sys.exit(main())
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SOPHIACTL_", "PYTHON"))}
    return {**kept, "SOPHIACTL_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}


def shell(script: str, env: dict[str, str], **more: Any) -> subprocess.CompletedProcess[str]:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    env = {**env, "PY": sys.executable}
    return subprocess.run(
        [bash, "-c", script], env=env, capture_output=True, text=True, check=False, timeout=60, **more
    )


@pytest.mark.parametrize("words", ["--help", "config show", "help exit-codes --json"])
def test_a_closed_pipe_is_quiet(env: dict[str, str], words: str) -> None:
    ran = shell(
        f'set -o pipefail; "$PY" -m sophiactl {words} | head -c 1 | head -1 >/dev/null; echo "${{PIPESTATUS[0]}}"', env
    )
    assert (ran.stdout, ran.stderr) == ("0\n", "")


def test_a_pipe_that_was_closed_before_the_start_is_quiet(env: dict[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run([*CLI, "--help"], env=env, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["config", "show", "--json"], ["nope", "--json"]])
def test_a_full_disk_under_stdout_is_reported(env: dict[str, str], words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run([*CLI, *words], env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode in {1, 2}
    assert ran.stderr.startswith("error: ")
    assert "Exception ignored" not in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_signal_ends_with_130(env: dict[str, str], number: signal.Signals, as_json: bool) -> None:
    words = ["wait", "--json"] if as_json else ["wait"]
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, *words],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    if as_json:
        assert msgspec.json.decode(out)["errors"][0]["code"] == "interrupted"
    else:
        assert (out, err.startswith("error: stopped")) == ("", True)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_encoding_of_stdout_breaks_printing(env: dict[str, str], encoding: str) -> None:
    env = {**env, "PYTHONIOENCODING": encoding, "SOPHIACTL_MEMORY__COLLECTION": "日本 é"}
    plain = subprocess.run([*CLI, "config", "show"], env=env, capture_output=True, check=False)
    assert (plain.returncode, plain.stderr) == (0, b"")
    answer = subprocess.run([*CLI, "config", "show", "--json"], env=env, capture_output=True, check=False)
    assert msgspec.json.decode(answer.stdout)["data"]["settings"]["memory"]["collection"] == "日本 é"


def test_bytes_in_arguments_that_are_not_utf8_are_survived(env: dict[str, str]) -> None:
    for words in (["caf\udce9"], ["config", "show", "\udcff", "--json"]):
        ran = subprocess.run([*CLI, *words], env=env, capture_output=True, check=False)
        assert ran.returncode == 2
        assert b"Traceback" not in ran.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_survived(env: dict[str, str], closed: str) -> None:
    assert shell(f'"$PY" -m sophiactl config show {closed}', env).returncode == 0
    assert shell(f'"$PY" -m sophiactl nope {closed}', env).returncode == 2


def test_a_deleted_working_folder_is_survived(env: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    ran = shell(f'cd "{folder}" && rmdir "{folder}" && "$PY" -m sophiactl config show', env)
    assert (ran.returncode, "memory.collection" in ran.stdout) == (0, True)


def test_bash_completes_commands_options_and_choices(env: dict[str, str], tmp_path: Path) -> None:
    command = tmp_path / "bin" / "sophiactl"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sophiactl "$@"\n', "utf-8")
    command.chmod(0o755)
    env = {**env, "PATH": f"{command.parent}:{env['PATH']}"}
    script = 'eval "$(sophiactl completion bash)"\n'
    for line in ("sophiactl conf", "sophiactl config sh", "sophiactl config show --or", "sophiactl completion z"):
        words = line.split()
        quoted = " ".join(f"'{word}'" for word in words)
        script += f'COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _sophiactl; echo "${{COMPREPLY[*]}}"\n'
    ran = shell(script + "complete -p sophiactl\n", env)
    assert ran.stderr == ""
    *completed, registered = ran.stdout.splitlines()
    assert completed == ["config", "show", "--origin", "zsh"]
    assert "_sophiactl" in registered


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_scripts_parse_in_their_shell(env: dict[str, str], tmp_path: Path, name: str) -> None:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    script = subprocess.run([*CLI, "completion", name], env=env, capture_output=True, check=True)
    file = tmp_path / "script"
    file.write_bytes(script.stdout)
    assert subprocess.run([found, "-n", str(file)], capture_output=True, check=False).stderr == b""
