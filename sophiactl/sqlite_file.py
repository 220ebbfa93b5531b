"""One way to keep tables in an SQLite file: safe with many processes, migrated forward, failures in our own errors."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sophiactl.errors import DiskFull, Locked, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sophiactl.errors import SophiaError

# SQLite calls only ENOSPC "full": a quota or a size limit shows as a failed write.
_NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_PAUSE = 0.02


class SqliteFile:
    """An open file. `what` names it in messages, `hint` says what helps when it is unusable.

    `steps[n]` are the statements that lead from version n to n + 1. Raises `StoreError` (damaged, not writable, or
    written by a newer program), `DiskFull`, and `Locked` when others kept it busy for `timeout` seconds.
    """

    def __init__(
        self, path: Path, *, what: str, steps: Sequence[Sequence[str]], hint: str, timeout: float = 10.0
    ) -> None:
        self.path = path
        self._what = what
        self._hint = hint
        self._timeout = timeout
        self._alone = threading.RLock()
        with self.translated():
            _make(path)
            # `check_same_thread` is off because `_alone` does its work: a server records from its threads.
            self.db = sqlite3.connect(path, isolation_level=None, timeout=timeout, check_same_thread=False)
            try:
                self._prepare(steps)
            except BaseException:
                self.db.close()
                raise

    def close(self) -> None:
        """Release the file; safe to call twice."""
        with self._alone:
            self.db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: everything inside is written, or nothing."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the file for all that is read inside; writers are not held up."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Failures of SQLite and of the file system become ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(error) from error
        except OSError as error:
            import errno

            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise self._full() from error
            raise StoreError(f"{self.path.parent} cannot be written: {error.strerror}", hint=self._hint) from error

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._alone, self.translated():
            self.db.execute(begin)
            try:
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                # SQLite has already rolled back after some failures, a full disk among them.
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def _prepare(self, steps: Sequence[Sequence[str]]) -> None:
        self._version(len(steps))  # before anything is changed in a file that is not ours to change
        self._use_wal()
        for pragma in ("synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
            self.db.execute(f"PRAGMA {pragma}")
        if self._version(len(steps)) == len(steps):
            return
        with self.writing() as db:
            # Another process may have done it while this one waited for the lock.
            for step in steps[self._version(len(steps)) :]:
                for statement in step:
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {len(steps)}")

    def _version(self, newest: int) -> int:
        (version,) = self.db.execute("PRAGMA user_version").fetchone()
        if version > newest:
            raise StoreError(
                f"{self._what} {self.path} was written by a newer sophiactl",
                hint="update sophiactl, or move the file",
            )
        return int(version)

    def _use_wal(self) -> None:
        """Switch to WAL. SQLite does not wait for others here: processes that start together have to try again."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                (mode,) = self.db.execute("PRAGMA journal_mode").fetchone()
                if mode != "wal":
                    self.db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if not _name(error).startswith(_BUSY) or time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _failure(self, error: sqlite3.Error) -> SophiaError:
        name = _name(error)
        if name.startswith(_NO_ROOM):
            return self._full()
        if name.startswith(_BUSY):
            return Locked(
                f"{self._what} {self.path} is busy: others kept writing for {self._timeout:g} s", hint="run it again"
            )
        if name.startswith(_DAMAGED):
            return StoreError(f"{self._what} {self.path} is damaged: {error}", hint=self._hint)
        return StoreError(f"{self._what} {self.path} cannot be used: {error}", hint=self._hint)

    def _full(self) -> DiskFull:
        return DiskFull(f"no room left to write {self.path}", hint="free some space and run again; nothing was lost")


def _make(path: Path) -> None:
    """Make folder and file, readable by their owner only; SQLite gives its side files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or ""
