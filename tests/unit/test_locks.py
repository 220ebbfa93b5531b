from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sophiactl.errors import ExitCode, Locked, StoreError
from sophiactl.locks import FileLock

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 4, 9, 14, tzinfo=UTC)

HOLD = """
import sys
from pathlib import Path
from sophiactl.locks import FileLock
with FileLock(Path(sys.argv[1]), purpose="sophiactl embed", timeout=0):
    print("held", flush=True)
    sys.stdin.read()
"""


class Time:
    """A clock that moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def lock(path: Path, *, timeout: float = 0.0, purpose: str = "sophiactl embed", time: Time | None = None) -> FileLock:
    time = time or Time()
    return FileLock(path, purpose=purpose, timeout=timeout, clock=lambda: NOW, timer=lambda: time.now, sleep=time.sleep)


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "store" / "lock"
    with lock(path, purpose="sophiactl serve"), pytest.raises(Locked) as caught:
        lock(path).acquire()
    since = NOW.astimezone().strftime("%H:%M")
    assert caught.value.message == (
        f"the memory store is in use by `sophiactl serve` (pid {os.getpid()}, since {since})"
    )
    assert caught.value.hint is not None
    assert "--lock-timeout 60" in caught.value.hint
    assert caught.value.exit_code == ExitCode.LOCKED


def test_a_holder_since_yesterday_is_given_with_the_date(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    early = FileLock(path, purpose="p", timeout=0, clock=lambda: NOW - timedelta(days=1))
    with early, pytest.raises(Locked, match=r"since 2026-03-0[234] \d\d:\d\d"):
        lock(path).acquire()


def test_what_is_locked_is_said(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path), pytest.raises(Locked, match="the embedding job is in use by"):
        FileLock(path, purpose="p", timeout=0, what="the embedding job").acquire()


def test_waiting_pauses_longer_and_longer_and_never_past_the_limit(tmp_path: Path) -> None:
    path, time = tmp_path / "lock", Time()
    with lock(path), pytest.raises(Locked):
        lock(path, timeout=3.0, time=time).acquire()
    assert time.now == pytest.approx(3.0)
    assert time.pauses[0] < time.pauses[3]
    assert max(time.pauses) <= 0.25


def test_who_waits_gets_the_lock_when_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = lock(path)
    first.acquire()
    released_at = 1.0
    time = Time()

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if time.now >= released_at:
            first.release()

    second = FileLock(path, purpose="b", timeout=5.0, timer=lambda: time.now, sleep=sleep)
    with second:
        assert second.held
    assert released_at <= time.now < 2.0


def test_the_lock_ends_with_the_process_and_its_signature_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        holder = lock(path).holder()
        assert holder is not None
        assert holder.pid == child.pid
        assert holder.purpose == "sophiactl embed"
        child.send_signal(signal.SIGKILL)
    assert b"sophiactl embed" in path.read_bytes()
    assert lock(path).holder() is None
    with lock(path):
        pass


def test_a_released_lock_has_no_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    one = lock(path)
    one.acquire()
    assert lock(path).holder() is not None
    one.release()
    one.release()
    assert one.holder() is None
    assert path.read_bytes() == b""


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": "x"}', b"\xff\xfe", b"[]", b'{"pid":1,"purpose":"p"}'])
def test_a_signature_that_cannot_be_read_is_another_process(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lock"
    with lock(path):
        path.write_bytes(content)
        with pytest.raises(Locked, match="in use by another process"):
            lock(path).acquire()


def test_a_signature_cannot_draw_on_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path, purpose="evil\x1b[31m\nname" + "x" * 500), pytest.raises(Locked) as caught:
        lock(path).acquire()
    assert "\x1b" not in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200


def test_not_twice_by_the_same_object(tmp_path: Path) -> None:
    one = lock(tmp_path / "lock")
    with one, pytest.raises(StoreError, match="already held"):
        one.acquire()


def test_where_no_lock_file_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot lock the memory store") as caught:
        lock(tmp_path / "file" / "lock").acquire()
    assert not isinstance(caught.value, Locked)
    assert caught.value.hint is not None
    assert "SOPHIACTL_HOME" in caught.value.hint


def test_a_full_disk_does_not_keep_the_lock_from_being_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    path = tmp_path / "lock"
    with lock(path) as held:
        assert held.held
        with pytest.raises(Locked, match="another process"):
            lock(path).acquire()


def test_a_failing_acquire_leaves_no_descriptor_open(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            with pytest.raises(Locked):
                lock(path).acquire()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
