"""Files of a program that is given secrets: private, usable, and gone, however we end."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from tests.secret_runs import Runs, alive, command_lines, descendants, eventually, read_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc"),
]

PYTHON = sys.executable


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


SHOWS = 'printf "%s\\n" "$KUBECONFIG"; cat "$KUBECONFIG"; stat -c "%a %F" "$KUBECONFIG" "$(dirname "$KUBECONFIG")"'


def test_files_are_private_and_gone_afterwards(runs: Runs) -> None:
    done = runs.run("sh", "-c", SHOWS, files={"KUBECONFIG": "apiVersion: v1\n", "OTHER": "x"})
    path, content, *modes = done.stdout.decode().splitlines()
    assert path.startswith(str(runs.runtime))
    assert content == "apiVersion: v1"
    assert modes == ["600 regular file", "700 directory"]
    assert not list(runs.runtime.iterdir())


def test_their_modes_do_not_hang_on_the_umask(runs: Runs) -> None:
    done = runs.run("sh", "-c", SHOWS, files={"KUBECONFIG": "x\n"}, options={"umask": 0o777})
    assert done.stdout.decode().splitlines()[-2:] == ["600 regular file", "700 directory"]


def test_programs_that_it_starts_have_the_files_too(runs: Runs) -> None:
    """Even such as close what they inherit, resolve paths, or write beside a file before they replace it."""
    program = """
import os, pathlib, subprocess, sys
path = pathlib.Path(os.environ["KUBECONFIG"]).resolve(strict=True)
sys.stdout.write(subprocess.run(["cat", path], capture_output=True, text=True).stdout)
path.with_suffix(".lock").write_text("")
path.with_suffix(".new").write_text("new")
path.with_suffix(".new").replace(path)
print(path.read_text())
"""
    done = runs.run(PYTHON, "-c", program, files={"KUBECONFIG": "old\n"})
    assert done.stdout.decode().split() == ["old", "new"], done.stderr.decode()
    assert not list(runs.runtime.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL])
def test_no_file_stays_however_we_end(runs: Runs, number: signal.Signals) -> None:
    with runs.started("sh", "-c", "echo $$ $KEY; exec sleep 60", files={"KEY": "canary-of-file"}) as process:
        assert process.stdout is not None
        child, path = read_until(process.stdout.fileno(), b"\n").decode().split()
        assert os.path.exists(path)  # noqa: PTH110
        process.send_signal(number)
        process.wait(20)
        eventually(lambda: not list(runs.runtime.iterdir()))
        eventually(lambda: not alive(int(child)))
        eventually(lambda: not descendants(process.pid))


def test_no_file_stays_when_our_whole_group_is_killed(runs: Runs) -> None:
    with runs.started("sh", "-c", "echo ready; exec sleep 60", files={"KEY": "canary-of-file"}) as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"\n")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
        eventually(lambda: not list(runs.runtime.iterdir()))


def test_what_stayed_when_the_guard_was_killed_too_is_swept_up(runs: Runs) -> None:
    with runs.started("sh", "-c", "echo ready; exec sleep 60", files={"KEY": "canary-of-file"}) as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"\n")
        (guard,) = _guards(runs.runtime)
        os.kill(guard, signal.SIGKILL)
        process.kill()
        process.wait(20)
    assert list(runs.runtime.glob("*/KEY"))
    with runs.started("sh", "-c", "echo ready; cat", files={"KEY": "x"}) as living:
        assert living.stdout is not None
        read_until(living.stdout.fileno(), b"\n")
        assert len(list(runs.runtime.iterdir())) == 1
        assert runs.run("true", files={"KEY": "y"}).returncode == 0
        assert len(list(runs.runtime.glob("*/KEY"))) == 1, "another run's files were taken away"


def test_a_guard_that_was_killed_is_stood_in_for(runs: Runs) -> None:
    with runs.started("sh", "-c", "echo ready; read line", files={"KEY": "x"}) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        read_until(process.stdout.fileno(), b"\n")
        os.kill(_guards(runs.runtime)[0], signal.SIGKILL)
        process.stdin.close()
        assert process.wait(20) == 1  # of `read` at the end of its input
    assert not list(runs.runtime.iterdir())


def test_nothing_of_us_is_on_any_command_line(runs: Runs) -> None:
    program = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    value, content = secrets.token_hex(), secrets.token_hex()
    env = {"PATH": os.environ["PATH"], "VALUE": value}
    done = runs.run("sh", "-c", program, files={"KEY": content}, env=env, mask="off")
    assert b"sophiactl-guard" in done.stdout
    assert content.encode() not in done.stdout
    assert value.encode() not in done.stdout


@pytest.mark.parametrize("mode", [0o750, 0o701])
def test_a_runtime_folder_that_others_may_enter_is_not_used(runs: Runs, mode: int) -> None:
    runs.runtime.chmod(mode)
    done = runs.run("sh", "-c", SHOWS, files={"KUBECONFIG": "x\n"})
    assert not done.stdout.decode().startswith(str(runs.runtime))
    assert done.stdout.decode().splitlines()[-2:] == ["600 regular file", "700 directory"]


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".", "A B"])
def test_a_file_gets_no_odd_name(runs: Runs, name: str) -> None:
    done = runs.run("true", files={name: "canary-of-file"})
    assert done.returncode == 3
    assert b"no name of a variable" in done.stderr
    assert b"canary" not in done.stderr
    assert not list(runs.runtime.iterdir())


def _guards(folder: Path) -> list[int]:
    return [pid for pid, words in command_lines().items() if "sophiactl-guard" in words and str(folder) in words]
