"""The ledger in an SQLite file: the default, for one machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sophiactl.runs.schema import migrations
from sophiactl.runs.tables import TableLedger
from sophiactl.sqlite_file import SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sophiactl.runs.tables import Session

T = TypeVar("T")
_HINT = "move the file away and a new ledger is begun; `sqlite3 FILE .recover` may still read the old one"


class SqliteLedger(TableLedger):
    """A ledger in one file. `timeout` is how long to wait, in seconds, while other processes write."""

    def __init__(self, path: Path, *, timeout: float = 30.0) -> None:
        steps = migrations("BINARY")
        self._file = SqliteFile(path, what="the ledger of runs", steps=steps, hint=_HINT, timeout=timeout)

    def _transact(self, work: Callable[[Session], T], *, write: bool) -> T:
        with self._file.writing() if write else self._file.reading() as db:
            return work(_Session(db))

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._file.close()


class _Session:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def rows(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        return self._db.execute(statement, values).fetchall()

    def run(self, statement: str, values: Sequence[object]) -> int:
        return self._db.execute(statement, values).rowcount

    def many(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        self._db.executemany(statement, rows)
