"""The job ledger: which passages of which files are in the store, so that a killed job goes on where it was.

One SQLite file a collection. A passage is marked done only after the store has acknowledged it; a crash in between
means that it is written once more under the same id, never twice. Texts and vectors are not kept here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sophiactl.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_FILES = """CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, digest TEXT, settings TEXT, state TEXT, reason TEXT, at TEXT
) WITHOUT ROWID"""
_PASSAGES = """CREATE TABLE IF NOT EXISTS passages (
    id TEXT PRIMARY KEY, path TEXT NOT NULL, done INTEGER NOT NULL
) WITHOUT ROWID"""
_STEPS = ((_FILES, _PASSAGES, "CREATE INDEX IF NOT EXISTS passages_by_path ON passages (path)"),)
_HINT = "move the file away and run `sophiactl embed` again: it is rebuilt from the documents"


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
        self._file = SqliteFile(path, what="the job ledger", steps=_STEPS, hint=_HINT)
        self._db = self._file.db

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._file.close()

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
        with self._file.translated():
            rows = self._db.execute(f"SELECT {columns} FROM files {clause}", values)  # noqa: S608
            for row in rows:
                yield FileRow(*row)

    def passages(self, path: str) -> dict[str, bool]:
        """Ids of a file's passages, and whether the store has them."""
        with self._file.translated():
            rows = self._db.execute("SELECT id, done FROM passages WHERE path = ?", (path,)).fetchall()
        return {name: bool(done) for name, done in rows}

    def plan(self, row: FileRow, ids: Iterable[str]) -> None:
        """Note what a file holds now: passages known before keep their mark, new ones are still to do.

        Passages that the file held before and holds no longer stay listed until `forget` says that the store dropped
        them, so that a kill in between leaves no orphan.
        """
        with self._file.writing():
            self._put(row)
            self._db.executemany(
                "INSERT INTO passages (id, path, done) VALUES (?, ?, 0) ON CONFLICT (id) DO NOTHING",
                [(name, row.path) for name in ids],
            )

    def mark_done(self, ids: Iterable[str]) -> None:
        """The store has acknowledged these passages."""
        with self._file.writing():
            self._db.executemany("UPDATE passages SET done = 1 WHERE id = ?", [(name,) for name in ids])

    def forget(self, ids: Iterable[str]) -> None:
        """The store has dropped these passages."""
        with self._file.writing():
            self._db.executemany("DELETE FROM passages WHERE id = ?", [(name,) for name in ids])

    def put(self, row: FileRow) -> None:
        """Write a file's row."""
        with self._file.writing():
            self._put(row)

    def drop(self, path: str) -> None:
        """Forget a file and its passages; only after the store dropped them."""
        with self._file.writing():
            self._db.execute("DELETE FROM passages WHERE path = ?", (path,))
            self._db.execute("DELETE FROM files WHERE path = ?", (path,))

    def reset(self) -> None:
        """Forget everything: the collection is gone or was made anew."""
        with self._file.writing():
            self._db.execute("DELETE FROM passages")
            self._db.execute("DELETE FROM files")

    def counts(self) -> LedgerCounts:
        """How far the work is."""
        with self._file.translated():
            files = dict(self._db.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())
            done = dict(self._db.execute("SELECT done, count(*) FROM passages GROUP BY done").fetchall())
        return LedgerCounts(files, done.get(1, 0), done.get(0, 0))

    def _put(self, row: FileRow) -> None:
        values = (row.path, row.size, row.mtime_ns, row.digest, row.settings, row.state, row.reason, row.at)
        self._db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
