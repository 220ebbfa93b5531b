"""`embed`: documents into the memory. Idempotent, resumable, following what changed and what is gone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sophiactl.ops.embed_job import EmbedJob, NoProgress, SkippedFile

if TYPE_CHECKING:
    from sophiactl.embedding.ledger import FileRow
    from sophiactl.memory.base import StoreInfo
    from sophiactl.ops.embed_job import Progress
    from sophiactl.wiring import Wiring


class EmbedRequest(msgspec.Struct, frozen=True):
    """Files and folders to embed. `force` reads every file again, whatever the ledger says."""

    paths: tuple[str, ...]
    force: bool = False


class EmbedReport(msgspec.Struct, frozen=True):
    """What was done. `passages` is how many the files named now hold together; `seconds` is wall time.

    `skipped` names files that should have been read, `ignored` counts those that are no documents, by reason.
    """

    collection: str
    files: int
    new: int
    changed: int
    unchanged: int
    deleted: int
    passages: int
    written: int
    kept: int
    removed: int
    skipped: tuple[SkippedFile, ...]
    ignored: dict[str, int]
    warnings: tuple[SkippedFile, ...]
    seconds: float
    engine: str | None = None


def embed(request: EmbedRequest, wiring: Wiring, progress: Progress | None = None) -> EmbedReport:
    """Bring the memory in line with the files and folders named.

    Raises `Locked` when another job works on the collection, `UsageError` for a path that does not exist, `DiskFull`,
    `ModelError` and `StoreError`. A file that cannot be read is skipped, counted and named.
    """
    began = time.monotonic()
    with wiring.job_lock("embed"), wiring.ledger() as ledger:
        job = EmbedJob(wiring, ledger, progress or NoProgress(), force=request.force)
        job.run([Path(path) for path in request.paths])
    tally = job.tally
    return EmbedReport(
        collection=wiring.collection,
        files=tally.new + tally.changed + tally.unchanged,
        new=tally.new,
        changed=tally.changed,
        unchanged=tally.unchanged,
        deleted=tally.deleted,
        passages=tally.passages,
        written=tally.written,
        kept=tally.kept,
        removed=tally.removed,
        skipped=tuple(tally.skipped),
        ignored=dict(tally.ignored),
        warnings=tuple(tally.warnings),
        seconds=round(time.monotonic() - began, 3),
        engine=job.engine,
    )


class FileStatus(msgspec.Struct, frozen=True):
    """A file of the ledger that needs another run, and why: `changed`, `deleted`, `pending`."""

    path: str
    state: str


class EmbedStatus(msgspec.Struct, frozen=True):
    """How far embedding is. `running` names the job that holds the collection now."""

    collection: str
    files: int
    passages: int
    pending: int
    due: tuple[FileStatus, ...]
    running: str | None = None


def status(wiring: Wiring) -> EmbedStatus:
    """What the ledger says, compared with the files as they are now."""
    if not wiring.ledger_path.exists():
        return EmbedStatus(wiring.collection, 0, 0, 0, ())
    with wiring.ledger() as ledger:
        counts, rows = ledger.counts(), ledger.files()
    holder = wiring.job_lock("embed status").holder()
    return EmbedStatus(
        collection=wiring.collection,
        files=len(rows),
        passages=counts.passages_done,
        pending=counts.passages_pending,
        due=tuple(FileStatus(row.path, state) for row in rows if (state := _due(row)) is not None),
        running=f"{holder.purpose} (pid {holder.pid}, since {holder.since})" if holder else None,
    )


def _due(row: FileRow) -> str | None:
    try:
        found = Path(row.path).stat()
    except OSError:
        return "deleted"
    if row.state != "done":
        return row.state
    return None if (found.st_size, found.st_mtime_ns) == (row.size, row.mtime_ns) else "changed"


def optimize(wiring: Wiring) -> StoreInfo:
    """Build the engine's search indexes; worth it beyond about 200,000 memories."""
    with wiring.job_lock("embed optimize"), wiring.store(purpose="embed optimize") as store:
        store.optimize()
        return store.info()
