"""The job behind `embed`: reads, splits, embeds and stores, window by window, over a ledger that survives a kill."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from sophiactl.embedding.ledger import FileRow, JobLedger
from sophiactl.embedding.passages import read_file, settings_mark
from sophiactl.embedding.scan import Found, scan
from sophiactl.errors import InputError, NotFound, SophiaError
from sophiactl.memory.base import Point
from sophiactl.memory.index import searchable_text
from sophiactl.memory.judging import Judge
from sophiactl.memory.lexical import Lexicon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.embedding.base import TextEmbedder
    from sophiactl.memory.base import SparseVector, Store
    from sophiactl.model import Record
    from sophiactl.wiring import Wiring

WINDOW = 128
"""Passages embedded and acknowledged at a time: what a kill may cost to do again."""


class SkippedFile(msgspec.Struct, frozen=True):
    """A file that was not embedded, or not wholly, and why."""

    path: str
    reason: str


class Progress(Protocol):
    """Told how far the work is; a terminal draws a bar of it."""

    def total(self, files: int) -> None:
        """So many files are to be read."""

    def advance(self, files: int, passages: int) -> None:
        """So many more files are finished and passages acknowledged."""


class NoProgress:
    """Draws nothing."""

    def total(self, files: int) -> None:
        """Ignore."""

    def advance(self, files: int, passages: int) -> None:
        """Ignore."""


@dataclass(slots=True)
class Tally:
    """What a job did so far."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    passages: int = 0
    written: int = 0
    kept: int = 0
    removed: int = 0
    skipped: list[SkippedFile] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    warnings: list[SkippedFile] = field(default_factory=list)


@dataclass(slots=True)
class Write:
    """A passage with its term weights, waiting for its vector."""

    record: Record
    sparse: SparseVector


@dataclass(slots=True)
class OpenFile:
    """A file whose passages are not all acknowledged yet."""

    row: FileRow
    stale: tuple[str, ...]
    waiting: int


class EmbedJob:
    """One run over the files; collects passages over file borders so that batches are full."""

    def __init__(self, wiring: Wiring, ledger: JobLedger, progress: Progress, *, force: bool) -> None:
        self._wiring = wiring
        self._ledger = ledger
        self._progress = progress
        self._force = force
        self._embedder: TextEmbedder | None = None
        self._window: list[Write] = []
        self._open: dict[str, OpenFile] = {}
        self.tally = Tally()
        schema = wiring.schema
        self._lexicon = Lexicon.of(schema)
        self._judge = Judge(wiring.settings.memory.prune)
        self._mark = settings_mark(wiring.settings.embedding, wiring.model)

    @property
    def engine(self) -> str | None:
        """Name of the embedding engine, None when nothing had to be embedded."""
        return self._embedder.engine if self._embedder else None

    def run(self, paths: Sequence[Path]) -> None:
        """Work through the files and folders, and through the files that are gone."""
        found = self._scan(paths)
        if not found and not self._ledger.files():
            return  # nothing to embed is no reason to create a memory
        with self._store() as store:
            fresh = store.count() == 0
        if fresh:
            self._ledger.reset()  # the collection was removed or made anew: what the ledger says of it is void
        self._drop_deleted(paths, {str(item.path) for item in found})
        self._progress.total(len(found))
        for item in found:
            self._take(item)
            while len(self._window) >= WINDOW:
                self._flush(WINDOW)
        self._flush(len(self._window))

    def _store(self) -> Store:
        """Open for one batch only, so that questions can be asked while a long job runs."""
        return self._wiring.store(create=True, purpose="embed")

    def _scan(self, paths: Sequence[Path]) -> list[Found]:
        config = self._wiring.settings.embedding
        found: list[Found] = []
        limit = int(config.max_file_mb * 1_000_000)
        for item in scan(paths, include=config.include, exclude=config.exclude, max_bytes=limit):
            if isinstance(item, Found):
                found.append(msgspec.structs.replace(item, path=item.path.resolve()))
            elif item.notable:
                self.tally.skipped.append(SkippedFile(str(item.path), item.reason))
            else:
                self.tally.ignored[item.kind] += 1
        return found

    def _take(self, item: Found) -> None:
        path = str(item.path)
        try:
            known = self._ledger.file(path)
            row = self._row(item)
            if known and not self._force and (known.state, _stamp(known)) == ("done", _stamp(row)):
                self._unchanged(path)
                return
            self._read(row, known)
        except (InputError, NotFound) as error:  # NotFound: it went away after the scan
            self.tally.skipped.append(SkippedFile(path, _reason(error, Path(path))))
            self._progress.advance(1, 0)

    def _row(self, item: Found) -> FileRow:
        try:
            found = item.path.stat()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}") from error
        return FileRow(
            str(item.path), found.st_size, found.st_mtime_ns, "", self._mark, "pending", at=self._wiring.now()
        )

    def _unchanged(self, path: str) -> None:
        self.tally.unchanged += 1
        self.tally.passages += len(self._ledger.passages(path))
        self._progress.advance(1, 0)

    def _read(self, row: FileRow, known: FileRow | None) -> None:
        read = read_file(Path(row.path), self._wiring.settings.embedding, self._wiring.count_tokens)
        self.tally.warnings += [SkippedFile(row.path, warning) for warning in read.warnings]
        row = replace(row, digest=read.digest)
        done = known is not None and known.state == "done"
        if known and done and not self._force and (known.digest, known.settings) == (row.digest, row.settings):
            self._ledger.put(replace(row, state="done"))  # touched, not changed
            self._unchanged(row.path)
            return
        self._plan(row, read.records, resumed=not done)

    def _plan(self, row: FileRow, records: tuple[Record, ...], *, resumed: bool) -> None:
        before = self._ledger.passages(row.path)
        ids = {record.id for record in records}
        self._ledger.plan(row, ids)
        sparse = self._lexicon.thread([searchable_text(record) for record in records])
        judged = self._judge.in_order(records)
        writes = [Write(record, vector) for record, vector in zip(judged, sparse, strict=True)]
        done = set() if self._force else {name for name, is_done in before.items() if is_done} & ids
        kept = self._refresh([write for write in writes if write.record.id in done])
        waiting = [write for write in writes if write.record.id not in kept]
        self.tally.passages += len(records)
        if before and not resumed:
            self.tally.changed += 1
        else:
            self.tally.new += 1
        stale = tuple(name for name in before if name not in ids)
        self._open[row.path] = OpenFile(row, stale, len(waiting))
        self._window += waiting
        if not waiting:
            self._finish([row.path])

    def _refresh(self, writes: list[Write]) -> set[str]:
        """Give passages whose words did not change their new place and neighbours; they keep their vectors.

        Returns the ids that the store had; the others must be embedded again.
        """
        if not writes:
            return set()
        with self._store() as store:
            stored = {point.record.id: point for point in store.get([w.record.id for w in writes], vectors=True)}
            store.upsert(
                [
                    Point(record=merged(old.record, write.record), dense=old.dense, sparse=write.sparse)
                    for write in writes
                    if (old := stored.get(write.record.id)) is not None
                ]
            )
        self.tally.kept += len(stored)
        return set(stored)

    def _flush(self, size: int) -> None:
        """Embed the first `size` waiting passages, store them, and only then mark them done."""
        batch, self._window = self._window[:size], self._window[size:]
        if batch:
            if self._embedder is None:
                self._embedder = self._wiring.embedder(bulk=True)
            vectors = self._embedder.embed([searchable_text(write.record) for write in batch])
            with self._store() as store:
                old = {point.record.id: point.record for point in store.get([write.record.id for write in batch])}
                store.upsert(
                    [
                        Point(record=merged(old.get(w.record.id), w.record), dense=vector, sparse=w.sparse)
                        for w, vector in zip(batch, vectors, strict=True)
                    ]
                )
            self._ledger.mark_done([write.record.id for write in batch])
            self.tally.written += len(batch)
            self._progress.advance(0, len(batch))
        for write in batch:
            self._open[write.record.thread or ""].waiting -= 1
        self._finish([path for path, file in self._open.items() if file.waiting == 0])

    def _finish(self, paths: Sequence[str]) -> None:
        closing = [self._open.pop(path) for path in paths if path in self._open]
        stale = [name for file in closing for name in file.stale]
        self._remove(stale)
        for file in closing:
            self._ledger.put(replace(file.row, state="done"))
        self._progress.advance(len(closing), 0)

    def _remove(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        with self._store() as store:
            store.delete(ids)
        self._ledger.forget(ids)
        self.tally.removed += len(ids)

    def _drop_deleted(self, paths: Sequence[Path], present: set[str]) -> None:
        roots = [path.resolve() for path in paths]
        for row in self._ledger.files():
            path = Path(row.path)
            below = any(root == path or root in path.parents for root in roots)
            if below and row.path not in present and not path.exists():
                self._remove(list(self._ledger.passages(row.path)))
                self._ledger.drop(row.path)
                self.tally.deleted += 1


def _reason(error: SophiaError, path: Path) -> str:
    """What is wrong, without the name of the file, which is said beside it."""
    return error.message.removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")


def _stamp(row: FileRow) -> tuple[int, int, str]:
    """What a file is known by without reading it."""
    return row.size, row.mtime_ns, row.settings


def merged(old: Record | None, new: Record) -> Record:
    """The record as the file says it now, with what people and answers have added to it."""
    if old is None:
        return new
    return msgspec.structs.replace(
        new,
        pinned=old.pinned,
        accesses=old.accesses,
        last_accessed=old.last_accessed,
        tags=old.tags,
        state=old.state,
        cooled_at=old.cooled_at,
        merged_from=old.merged_from,
        rev=old.rev + 1,
    )
