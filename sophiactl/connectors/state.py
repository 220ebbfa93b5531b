"""What a sync has stored, and how far each service was read: one SQLite file a collection.

A row says that the store has acknowledged all passages of an item with that digest; a cursor, that it has acknowledged
everything before it. So a kill in between costs work that is done again, and loses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from sophiactl.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_ITEMS = """CREATE TABLE IF NOT EXISTS items (
    service TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, passages INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (service, id)
) WITHOUT ROWID"""
_SERVICES = """CREATE TABLE IF NOT EXISTS services (
    service TEXT PRIMARY KEY, cursor TEXT, done INTEGER NOT NULL, synced_at TEXT, reconciled_at TEXT
) WITHOUT ROWID"""
_STEPS = ((_ITEMS, _SERVICES),)
_HINT = "move the file away and run `sophiactl connectors sync` again: everything is read anew, nothing twice"
_PAGE = 1_000


class ItemRow(msgspec.Struct, frozen=True):
    """An item as it was stored: the digest of its content, and how many passages it has in the memory."""

    id: str
    digest: str
    passages: int


class ServiceRow(msgspec.Struct, frozen=True):
    """How far a service was read. `done`: its first full sync came to an end; times are ISO 8601.

    `reconciled_at` is when deletions were last looked for; a first full sync, which knows of none, counts as that.
    """

    service: str
    cursor: str | None = None
    done: bool = False
    synced_at: str | None = None
    reconciled_at: str | None = None


class SyncState:
    """Open state of one collection; one writer at a time (the job lock sees to that)."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, what="the sync state", steps=_STEPS, hint=_HINT)
        self._db = self._file.db

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def service(self, name: str) -> ServiceRow:
        """The row of a service; an empty one when it was never read."""
        columns = "service, cursor, done, synced_at, reconciled_at"
        with self._file.translated():
            row = self._db.execute(f"SELECT {columns} FROM services WHERE service = ?", (name,)).fetchone()  # noqa: S608
        return ServiceRow(row[0], row[1], bool(row[2]), row[3], row[4]) if row else ServiceRow(name)

    def items(self, service: str, ids: Sequence[str]) -> dict[str, ItemRow]:
        """Those of the items that were stored."""
        marks = ", ".join("?" * len(ids))
        query = f"SELECT id, digest, passages FROM items WHERE service = ? AND id IN ({marks})"  # noqa: S608 - marks alone
        with self._file.translated():
            rows = self._db.execute(query, (service, *ids)).fetchall()
        return {row[0]: ItemRow(*row) for row in rows}

    def ids(self, service: str) -> Iterator[str]:
        """Every id that was stored of a service, in order, read page by page."""
        last = ""
        while True:
            query = "SELECT id FROM items WHERE service = ? AND id > ? ORDER BY id LIMIT ?"
            with self._file.translated():
                rows = self._db.execute(query, (service, last, _PAGE)).fetchall()
            if not rows:
                return
            yield from (row[0] for row in rows)
            last = rows[-1][0]

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """Items and passages of each service."""
        with self._file.translated():
            rows = self._db.execute("SELECT service, count(*), sum(passages) FROM items GROUP BY service").fetchall()
        return {service: (items, passages) for service, items, passages in rows}

    def stored(self, service: str, rows: Iterable[ItemRow], at: str) -> None:
        """The store has acknowledged these items, whole."""
        values = [(service, row.id, row.digest, row.passages, at) for row in rows]
        with self._file.writing() as db:
            db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?)", values)

    def removed(self, service: str, ids: Iterable[str]) -> None:
        """The store has dropped these items."""
        with self._file.writing() as db:
            db.executemany("DELETE FROM items WHERE service = ? AND id = ?", [(service, name) for name in ids])

    def put(self, row: ServiceRow) -> None:
        """Write a service's row."""
        values = (row.service, row.cursor, int(row.done), row.synced_at, row.reconciled_at)
        with self._file.writing() as db:
            db.execute("INSERT OR REPLACE INTO services VALUES (?, ?, ?, ?, ?)", values)

    def reset(self) -> None:
        """Forget everything: the collection is gone or was made anew."""
        with self._file.writing() as db:
            db.execute("DELETE FROM items")
            db.execute("DELETE FROM services")
