"""Answers that may be given again: in one file, for a limited time, up to a limited size.

Nothing that is wrong with the file stops a question: the cache then holds nothing, and says why in `warnings`.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sophiactl.errors import DiskFull, SophiaError, StoreError
from sophiactl.locks import FileLock
from sophiactl.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.model import Clock

T = TypeVar("T")
FILE = "answers.db"
_WHAT = "the cache of answers"
_PATIENCE = 2.0
"""Seconds. Asking the model anew is better than waiting long for the file."""
_ROW = 256
"""Bytes that a row takes beside its text, indexes included."""
_STEPS = (
    (
        (
            "CREATE TABLE answers (key TEXT PRIMARY KEY, at REAL NOT NULL, size INTEGER NOT NULL, model TEXT NOT NULL, "
            "provider TEXT NOT NULL, digest TEXT NOT NULL, text BLOB NOT NULL)"
        ),
        "CREATE INDEX answers_by_age ON answers (at, size)",
    ),
)
# The newest rows that fit stay; of rows written in the same instant the later one is the newer.
_TRIM = (
    "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM (SELECT rowid, SUM(size) OVER "
    "(ORDER BY at DESC, rowid DESC ROWS UNBOUNDED PRECEDING) AS reached FROM answers) WHERE reached > ?)"
)
# Written too early or too late: after the clock was set back, nobody knows how old such an answer is.
_STALE = "at <= ? OR at > ?"
# A file that SQLite cannot read, or in which a table or column is missing.
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")


class CachedAnswer(msgspec.Struct, frozen=True):
    """An answer as it was given, and who gave it."""

    text: str
    model: str
    provider: str


class AnswerCache:
    """Answers by key, for `hours`, at most `most_mb` million bytes; the oldest go first.

    Safe with many processes at once. No method raises for the file's sake; a damaged one is moved aside.
    """

    def __init__(self, path: Path, clock: Clock, *, hours: float = 24.0, most_mb: float = 64.0) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._clock = clock
        self._keep = timedelta(hours=hours).total_seconds()
        self._most = int(most_mb * 1e6)
        self._file: SqliteFile | None = None
        self._seen: int | None = None
        self._off = False

    def get(self, key: str) -> CachedAnswer | None:
        """The answer under that key, if it is there, whole, and not too old."""
        return self._tried(lambda file: self._read(file, key))

    def put(self, key: str, answer: CachedAnswer) -> None:
        """Keep an answer, in the place of an older one of the same key; one larger than the whole cache is left out."""
        data = answer.text.encode("utf-8", "surrogatepass")
        size = len(data) + _ROW
        if size > self._most:
            return
        row = (key, self._now(), size, answer.model, answer.provider, _digest(key, answer.model, answer.provider, data))

        def write(file: SqliteFile) -> None:
            with file.writing() as db:
                self._drop_stale(db)
                db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, data))
                (total,) = db.execute("SELECT SUM(size) FROM answers").fetchone()
                if total > self._most:
                    db.execute(_TRIM, (self._most,))

        self._tried(write)

    def forget(self) -> int:
        """Delete what is too old; returns how many."""

        def write(file: SqliteFile) -> int:
            with file.writing() as db:
                return self._drop_stale(db)

        return self._tried(write) or 0

    def close(self) -> None:
        """Release the file; safe to call twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, file: SqliteFile, key: str) -> CachedAnswer | None:
        bounds = self._bounds()
        with file.reading() as db:
            row = db.execute(
                f"SELECT model, provider, digest, text FROM answers WHERE key = ? AND NOT ({_STALE})",  # noqa: S608
                (key, *bounds),
            ).fetchone()
            (stale,) = db.execute(f"SELECT EXISTS (SELECT 1 FROM answers WHERE {_STALE})", bounds).fetchone()  # noqa: S608
        if stale:  # words are not kept for longer than was said because nothing new is written
            with file.writing() as db:
                self._drop_stale(db)
        return None if row is None else _checked(key, *row)

    def _drop_stale(self, db: sqlite3.Connection) -> int:
        return db.execute(f"DELETE FROM answers WHERE {_STALE}", self._bounds()).rowcount  # noqa: S608

    def _bounds(self) -> tuple[float, float]:
        now = self._now()
        return now - self._keep, now

    def _now(self) -> float:
        return self._clock().timestamp()

    def _tried(self, work: Callable[[SqliteFile], T]) -> T | None:
        """What the work gives; None where the file does not let it, on a new file where the old one is damaged."""
        for again in (True, False):
            if self._off:
                break
            try:
                return work(self._opened())
            except (StoreError, DiskFull) as error:
                self.close()
                if not (again and _is_damaged(error) and self._moved_aside()):
                    self._off = True
                    self.warnings.append(f"the answer is not cached: {error.message}")
        return None

    def _opened(self) -> SqliteFile:
        if self._file is None:
            before = self._seen = _inode(self.path)
            hint = "delete the file: it only saves asking again"
            self._file = SqliteFile(self.path, what=_WHAT, steps=_STEPS, hint=hint, timeout=_PATIENCE)
            self._seen = before or _inode(self.path)
        return self._file

    def _moved_aside(self) -> bool:
        """Put the damaged file away, unless another process did it in the meantime; whether that worked."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        lock = FileLock(
            self.path.with_name(f"{self.path.name}.lock"), purpose="sophiactl route", timeout=_PATIENCE, what=_WHAT
        )
        try:
            with lock:
                if _inode(self.path) != self._seen:
                    return True
                self.path.replace(aside)
                for side in ("-wal", "-shm"):
                    self.path.with_name(self.path.name + side).unlink(missing_ok=True)
        except (OSError, SophiaError):
            return False
        self.warnings.append(f"{_WHAT} was damaged and is now {aside}; a new one is begun")
        return True


def _checked(key: str, model: object, provider: object, digest: object, data: object) -> CachedAnswer | None:
    """The row as an answer; None unless it is exactly what was written, as SQLite has no checksums of its own."""
    if not (isinstance(model, str) and isinstance(provider, str) and isinstance(data, bytes)):
        return None
    if digest != _digest(key, model, provider, data):
        return None
    return CachedAnswer(data.decode("utf-8", "surrogatepass"), model, provider)


def _digest(key: str, model: str, provider: str, data: bytes) -> str:
    return hashlib.sha256(msgspec.json.encode((key, model, provider)) + data).hexdigest()


def _is_damaged(error: SophiaError) -> bool:
    cause = error.__cause__
    # Python itself, which gives its errors no name, refuses words that are no UTF-8.
    name = getattr(cause, "sqlite_errorname", None) or "SQLITE_ERROR"
    return isinstance(cause, sqlite3.DatabaseError) and name.startswith(_DAMAGED)


def _inode(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_ino
    return None
