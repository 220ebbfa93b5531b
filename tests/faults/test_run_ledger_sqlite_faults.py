"""The ledger of runs on SQLite when its file is damaged, locked or not to be written, and when the disk is full."""

from __future__ import annotations

import ctypes
import os
import resource
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import Locked, StoreError
from sophiactl.runs.base import Call, RunsConfig
from sophiactl.runs.opening import FILE, open_ledger
from tests.run_ledgers import EVERYTHING, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.runs.base import RunLedger

pytestmark = pytest.mark.fault


class TestSqlite:
    def open(self, folder: Path) -> RunLedger:
        return open_ledger(RunsConfig(), folder, {})

    def test_no_database_at_all(self, tmp_path: Path) -> None:
        (tmp_path / FILE).write_bytes(b"this is no database, whatever its name says" * 100)
        with pytest.raises(StoreError, match="damaged") as caught:
            self.open(tmp_path)
        assert "move the file away" in (caught.value.hint or "")

    def test_pages_overwritten_in_the_middle(self, tmp_path: Path) -> None:
        ledger = self.open(tmp_path)
        for number in range(200):
            ledger.record(run(f"{number}", prompt="x" * 500, calls=(Call("m", "p"),)))
        ledger.close()
        data = bytearray((tmp_path / FILE).read_bytes())
        data[4096 * 4 : -4096] = b"\xaa" * (len(data) - 4096 * 5)
        (tmp_path / FILE).write_bytes(data)
        ledger = self.open(tmp_path)
        with pytest.raises(StoreError, match="damaged"):
            list(ledger.scan(EVERYTHING))
        with pytest.raises(StoreError):
            ledger.forget("2027-01-01")
        ledger.close()

    def test_a_file_cut_short(self, tmp_path: Path) -> None:
        ledger = self.open(tmp_path)
        for number in range(50):
            ledger.record(run(f"{number}", prompt="x" * 500))
        ledger.close()
        os.truncate(tmp_path / FILE, 9000)
        with pytest.raises(StoreError):
            list(self.open(tmp_path).scan(EVERYTHING))

    def test_written_by_a_newer_program(self, tmp_path: Path) -> None:
        self.open(tmp_path).close()
        db = sqlite3.connect(tmp_path / FILE)
        db.execute("PRAGMA user_version = 99")
        db.close()
        before = (tmp_path / FILE).read_bytes()
        with pytest.raises(StoreError, match="newer sophiactl"):
            self.open(tmp_path)
        assert (tmp_path / FILE).read_bytes() == before

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("in the way")
        with pytest.raises(StoreError, match="cannot be written"):
            self.open(tmp_path / "state")

    def test_only_the_owner_may_read_it(self, tmp_path: Path) -> None:
        ledger = self.open(tmp_path / "state")
        ledger.record(run("a", prompt="private"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
        ledger.close()
        assert modes == dict.fromkeys((FILE, f"{FILE}-wal", f"{FILE}-shm"), 0o600)
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700

    def test_forgotten_words_are_overwritten(self, tmp_path: Path) -> None:
        ledger = self.open(tmp_path)
        ledger.record(run("a", prompt="the merger of Acme and Globex"))
        ledger.record(run("b"))
        assert ledger.forget("2027-01-01") == 2
        ledger.close()
        assert b"Globex" not in (tmp_path / FILE).read_bytes()

    def test_a_read_only_folder(self, tmp_path: Path) -> None:
        self.open(tmp_path / "old").close()
        for folder in (tmp_path / "old", tmp_path / "new"):
            folder.mkdir(exist_ok=True)
            for path in folder.iterdir():
                path.chmod(0o400)
            folder.chmod(0o500)
            done = _child(folder, 1, preexec_fn=_give_up_privileges)
            folder.chmod(0o700)
            assert done.returncode == 3, done.stderr.decode()
            assert done.stdout.startswith(b"StoreError"), done.stdout.decode()
            assert b"move the file away" in done.stdout

    def test_a_full_disk_loses_nothing_that_was_acknowledged(self, tmp_path: Path) -> None:
        limit = 400_000
        done = _child(tmp_path, 500, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        assert done.returncode == 3, done.stderr.decode()
        *written, failure = done.stdout.decode().splitlines()
        assert failure.startswith("DiskFull no room left to write ")
        assert 0 < len(written) < 500
        ledger = self.open(tmp_path)
        found = {item.id: len(item.calls) for item in ledger.scan(EVERYTHING)}
        assert set(written) <= set(found)
        assert set(found.values()) == {2}
        ledger.record(run("after"))
        assert ledger.count(EVERYTHING) == len(found) + 1
        ledger.close()

    def test_no_room_for_the_first_page(self, tmp_path: Path) -> None:
        done = _child(tmp_path, 1, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
        assert done.returncode == 3, done.stderr.decode()
        assert done.stdout.startswith(b"DiskFull"), done.stdout.decode()

    def test_somebody_who_never_lets_go_is_said(self, tmp_path: Path) -> None:
        from sophiactl.runs.sqlite import SqliteLedger

        ledger = SqliteLedger(tmp_path / FILE, timeout=0.05)
        ledger.record(run("a"))
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Locked, match="busy") as caught:
            ledger.record(run("b"))
        assert caught.value.hint == "run it again"
        assert ledger.count(EVERYTHING) == 1
        other.execute("ROLLBACK")
        other.close()
        ledger.record(run("b"))
        assert ledger.count(EVERYTHING) == 2
        ledger.close()

    def test_an_interrupt_in_a_transaction_leaves_no_trace(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sophiactl.runs import sqlite

        ledger = self.open(tmp_path)

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(sqlite._Session, "many", interrupted)
            with pytest.raises(KeyboardInterrupt):
                ledger.record(run("a", calls=(Call("m", "p"),)))
        assert ledger.count(EVERYTHING) == 0
        ledger.record(run("a"))
        assert ledger.count(EVERYTHING) == 1
        ledger.close()


# Records until it fails; says what it was told, and ends with 3.
FILLER = """
import os, sys
from pathlib import Path
from sophiactl.errors import SophiaError
from sophiactl.runs.base import Call, Run, RunsConfig
from sophiactl.runs.opening import open_ledger

try:
    ledger = open_ledger(RunsConfig(), Path(sys.argv[1]), {})
    for number in range(int(sys.argv[2])):
        calls = (Call("m", "p"), Call("m", "p"))
        ledger.record(Run(f"{number}", "route", "2026-11-22T12:00:00Z", prompt="x" * 3000, calls=calls))
        print(number, flush=True)
except SophiaError as error:
    print(type(error).__name__, error, error.hint)
    sys.exit(3)
"""


def _child(folder: Path, count: int, preexec_fn: Callable[[], None]) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-B", "-c", FILLER, str(folder), str(count)]
    return subprocess.run(  # the child is limited, not the test itself
        command,
        capture_output=True,
        timeout=60,
        check=False,
        preexec_fn=preexec_fn,
    )


def _give_up_privileges() -> None:
    """Let permissions hold for root too: without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    if os.geteuid() == 0:
        library = ctypes.CDLL(None)
        for capability in (1, 2):
            library.prctl(24, capability, 0, 0, 0)
