"""The job ledger: which passages of which files are in the store, so that a killed job goes on where it was.

One SQLite file a collection. A passage is marked done only after the store has acknowledged it; a crash in between
means that it is written once more under the same id, never twice. Texts and vectors are not kept here.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sophiactl.errors import DiskFull, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, digest TEXT, settings TEXT, state TEXT, reason TEXT, at TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passages (id TEXT PRIMARY KEY, path TEXT NOT NULL, done INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS passages_by_path ON passages (path);
"""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file as it was last read. `state` is `pending`, `done` or `failed` (then `reason` says why)."""

    path: str
    size: int
    mtime_ns: int
    digest: str
    settings: str
    state: str
    reason: str | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """Files by state, and passages in the store and still to do."""

    files: dict[str, int]
    passages_done: int
    passages_pending: int


class JobLedger:
    """Open ledger of one collection; one writer at a time (the job lock sees to that)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
            try:
                self._migrate()
            except BaseException:
                self._db.close()
                raise

    def _migrate(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise StoreError(
                f"the job ledger {self._path} was written by a newer sophiactl",
                hint="update sophiactl, or move the file",
            )
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def file(self, path: str) -> FileRow | None:
        """The row of one file."""
        return next(self._files("WHERE path = ?", (path,)), None)

    def files(self) -> list[FileRow]:
        """All files, by path."""
        return list(self._files("ORDER BY path", ()))

    def _files(self, clause: str, values: Sequence[object]) -> Iterator[FileRow]:
        columns = "path, size, mtime_ns, digest, settings, state, reason, at"
        with self._translated():
            rows = self._db.execute(f"SELECT {columns} FROM files {clause}", values)  # noqa: S608
            for row in rows:
                yield FileRow(*row)

    def passages(self, path: str) -> dict[str, bool]:
        """Ids of a file's passages, and whether the store has them."""
        with self._translated():
            rows = self._db.execute("SELECT id, done FROM passages WHERE path = ?", (path,)).fetchall()
        return {name: bool(done) for name, done in rows}

    def plan(self, row: FileRow, ids: Iterable[str]) -> None:
        """Note what a file holds now: passages known before keep their mark, new ones are still to do.

        Passages that the file held before and holds no longer stay listed until `forget` says that the store dropped
        them, so that a kill in between leaves no orphan.
        """
        with self._transaction():
            self._put(row)
            self._db.executemany(
                "INSERT INTO passages (id, path, done) VALUES (?, ?, 0) ON CONFLICT (id) DO NOTHING",
                [(name, row.path) for name in ids],
            )

    def mark_done(self, ids: Iterable[str]) -> None:
        """The store has acknowledged these passages."""
        with self._transaction():
            self._db.executemany("UPDATE passages SET done = 1 WHERE id = ?", [(name,) for name in ids])

    def forget(self, ids: Iterable[str]) -> None:
        """The store has dropped these passages."""
        with self._transaction():
            self._db.executemany("DELETE FROM passages WHERE id = ?", [(name,) for name in ids])

    def put(self, row: FileRow) -> None:
        """Write a file's row."""
        with self._transaction():
            self._put(row)

    def drop(self, path: str) -> None:
        """Forget a file and its passages; only after the store dropped them."""
        with self._transaction():
            self._db.execute("DELETE FROM passages WHERE path = ?", (path,))
            self._db.execute("DELETE FROM files WHERE path = ?", (path,))

    def reset(self) -> None:
        """Forget everything: the collection is gone or was made anew."""
        with self._transaction():
            self._db.execute("DELETE FROM passages")
            self._db.execute("DELETE FROM files")

    def counts(self) -> LedgerCounts:
        """How far the work is."""
        with self._translated():
            files = dict(self._db.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())
            done = dict(self._db.execute("SELECT done, count(*) FROM passages GROUP BY done").fetchall())
        return LedgerCounts(files, done.get(1, 0), done.get(0, 0))

    def _put(self, row: FileRow) -> None:
        values = (row.path, row.size, row.mtime_ns, row.digest, row.settings, row.state, row.reason, row.at)
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise DiskFull(
                    f"no room left to write {self._path}", hint="free some space and run again; nothing was lost"
                ) from error
            raise StoreError(f"the job ledger {self._path} cannot be used: {error}", hint=_HINT) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(f"the job ledger {self._path} is damaged: {error}", hint=_HINT) from error
        except OSError as error:
            raise StoreError(f"{self._path.parent} cannot be written: {error.strerror}", hint=_HINT) from error


_HINT = "move the file away and run `sophiactl embed` again: it is rebuilt from the documents"
