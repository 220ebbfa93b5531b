"""A keyring backend that hangs, crashes or prints: the answer comes in time, and nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import ConfigError, DeadlineExceeded
from sophiactl.redaction import Secret
from tests.keyring_vault import vault_env, vault_source

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.fault

NAMES = frozenset({"A_TOKEN"})


def alive(pid: int) -> bool:
    """Whether a process still runs; one that is dead and only waits to be collected does not."""
    seen = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not seen.stdout.strip().startswith("Z") and bool(seen.stdout.strip())


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.02)
    return True


def pids_of(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def children() -> list[str]:
    seen = subprocess.run(["ps", "-A", "-o", "ppid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=2) for line in seen.stdout.splitlines()]
    return [row[2] for row in rows if row[0] == str(os.getpid()) and "ps -A" not in row[2]]


@pytest.mark.parametrize("backend", ["Hanging", "Stuck"])
def test_a_hanging_backend_is_killed_with_all_that_it_started(tmp_path: Path, backend: str) -> None:
    before = children()
    source = vault_source(tmp_path, backend, timeout=2.0)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="did not answer within 2 s"):
        source.read(NAMES)
    assert time.monotonic() - start < 2.6
    assert within(1.0, lambda: not any(alive(pid) for pid in pids_of(tmp_path)))
    assert children() == before  # no zombie either


def test_a_silent_keyring_is_not_asked_again(tmp_path: Path) -> None:
    source = vault_source(tmp_path, "Hanging", timeout=1.5)
    with pytest.raises(DeadlineExceeded):
        source.read(NAMES)
    start = time.monotonic()
    assert source.state().timed_out
    for again in (lambda: source.read(NAMES), lambda: source.delete("A_TOKEN")):
        with pytest.raises(DeadlineExceeded):
            again()
    assert time.monotonic() - start < 0.5


def test_storing_ends_in_time_and_remembers_that_it_is_unknown(tmp_path: Path) -> None:
    source = vault_source(tmp_path, "Hanging", timeout=1.5)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        source.store("A_TOKEN", Secret("a-canary"))
    assert time.monotonic() - start < 2.1
    assert vault_source(tmp_path, mode="auto").read(frozenset()).others.keys() == {"A_TOKEN"}


def test_a_deadline_that_is_over_is_over(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        vault_source(tmp_path, timeout=0.0).read(NAMES)
    assert time.monotonic() - start < 0.5


def test_a_crash_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    before = children()
    with pytest.raises(ConfigError, match="ended by SIGSEGV"):
        vault_source(tmp_path, "Crashing").read(NAMES)
    assert children() == before


def test_what_a_backend_prints_is_not_taken_for_the_answer(tmp_path: Path) -> None:
    source = vault_source(tmp_path, "Shouting")
    source.store("A_TOKEN", Secret("canary-one"))
    assert source.read(NAMES).held["A_TOKEN"].value.reveal() == "canary-one"


def test_nobody_sees_the_value_in_the_process(tmp_path: Path) -> None:
    source = vault_source(tmp_path, "Snooping", env={"PYTHONPATH": str(tmp_path / "evil"), "PYTHONSTARTUP": "evil.py"})
    source.store("A_TOKEN", Secret("a-canary"))
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert "a-canary" not in json.dumps(seen)
    assert seen["limit"] == [0, 0]
    assert seen["group"]
    assert seen["cwd"] == "/"
    assert not any("evil" in folder for folder in seen["path"])
    assert seen.get("dumpable", 0) == 0


def test_nothing_of_the_working_folder_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("keyring", "json", "secretstorage"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.setattr(sys, "path", ["", ".", *sys.path])
    vault_source(tmp_path).read(NAMES)
    assert not (tmp_path / "ran").exists()


def test_no_interpreter_is_a_reason_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    with pytest.raises(ConfigError, match="no process can be started"):
        vault_source(tmp_path).read(NAMES)


# The end of the parent is the end of the child


PARENT = """
import os, signal, sys
from pathlib import Path
from sophiactl.secrets.sources.keyring import KeyringSource
if sys.argv[2] == "INT":
    signal.signal(signal.SIGINT, signal.default_int_handler)
KeyringSource("", "always", 60.0, Path(sys.argv[1], "state"), os.environ).read(frozenset({"A"}))
"""


@pytest.mark.parametrize(
    ("name", "backend"), [("INT", "Hanging"), ("INT", "Stuck"), ("TERM", "Hanging"), ("KILL", "Hanging")]
)
def test_the_child_ends_with_its_parent(tmp_path: Path, name: str, backend: str) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), name]
    parent = subprocess.Popen(command, env=vault_env(tmp_path, backend), stderr=subprocess.DEVNULL)
    assert within(30.0, (tmp_path / "pids").exists)
    assert all(alive(pid) for pid in pids_of(tmp_path))
    parent.send_signal(getattr(signal, f"SIG{name}"))
    parent.wait(10)
    assert within(3.0, lambda: not any(alive(pid) for pid in pids_of(tmp_path)))


def test_an_orphan_that_cannot_notice_ends_by_its_own_alarm(tmp_path: Path) -> None:
    code = PARENT.replace("60.0", "4.0")
    command = [sys.executable, "-c", code, str(tmp_path), "KILL"]
    parent = subprocess.Popen(command, env=vault_env(tmp_path, "Stuck"))
    assert within(30.0, (tmp_path / "pids").exists)
    parent.kill()
    parent.wait(10)
    (pid,) = pids_of(tmp_path)
    assert within(8.0, lambda: not alive(pid))
