"""Carrying a plan out: exactly what it names, and of that only what is as it was when the plan was made.

Each batch takes these steps, and a process that dies between any two of them loses nothing:

1. read the memories with their vectors and judge them anew (`apply_guard`);
2. append what goes to the archive and see it onto the disk;
3. write the intent into the journal;
4. delete, the engine itself sparing what has changed by then, and read back what is left;
5. write into the journal what became of each.

Whoever takes the plan up again begins with the first batch that has no fifth step: what is in the archive and gone from
the store was done, all else is judged anew.
"""

from __future__ import annotations

import math
import time
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import Locked, StoreError, UsageError
from sophiactl.memory.apply_batch import BatchWork, done_earlier
from sophiactl.memory.archive import ArchiveWriter
from sophiactl.memory.journal import Finished, Journal, Progress, Skipped, Start, read_progress
from sophiactl.memory.moments import stamp
from sophiactl.memory.plan_file import check_plan, read_lines
from sophiactl.memory.store_hold import StoreHold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sophiactl.memory.plan_file import Header, Line
    from sophiactl.memory.prune_folder import PruneFolder
    from sophiactl.memory.store_hold import OpenStore
    from sophiactl.model import Clock, Record

AGAIN = "make a new plan: sophiactl prune plan"


class ApplyReport(msgspec.Struct, frozen=True):
    """What became of a plan, earlier runs of it included; only `seconds` are those of this run.

    `skipped` counts by reason, `named` are the first of them; `left` are the lines of the plan not yet settled.
    """

    plan: str
    archived: int
    cooled: int
    merged: int
    skipped: dict[str, int]
    named: tuple[Skipped, ...]
    left: int
    finished: bool
    seconds: float
    archive_bytes: int


def apply(
    plan_path: Path,
    header: Header,
    open_store: OpenStore,
    folder: PruneFolder,
    *,
    clock: Clock,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
    wait: Callable[[float], None],
    spared: Callable[[Record], str | None] = lambda _: None,
    rate: float = 0.0,
    batch: int = 500,
    hold_seconds: float = 5.0,
    fence: Callable[[], int] | None = None,
    timer: Callable[[], float] = time.monotonic,
) -> ApplyReport:
    """Carry a plan out, or go on where an earlier run was stopped. The caller holds the folder's lock.

    `spared` says why a memory is protected, `progress` is told how many more lines are settled, `stop` is asked before
    each batch, `fence` gives the token of a lease and raises `Locked` once it is lost. `rate` is the most lines a
    second, 0 for no limit; `wait` waits. The store is given back every `hold_seconds`. Raises `UsageError` for a plan
    that was changed or undone, `Locked`, `DiskFull`, `StoreError` and what the store raises; doing it again goes on.
    """
    began = timer()
    if check_plan(plan_path).sha256 != header.sha256:
        raise UsageError(f"plan {header.id} is no more the one that was read", hint=AGAIN)
    folder.prepare()
    past = _past(folder, header)
    if not past.finished:
        with (
            Journal(folder.journal(header.id)) as journal,
            ArchiveWriter(folder.archive(header.id), sound=past.size) as archive,
            StoreHold(open_store, hold_seconds, wait=wait, timer=timer) as hold,
        ):
            token = _token(fence, past.token)
            journal.append(Start(header.id, header.sha256, token, stamp(clock())))
            earlier = done_earlier(folder.archive(header.id), header.id, past)
            work = BatchWork(header, journal, archive, earlier, clock=clock, spared=spared)
            pace = _Pace(rate, hold, timer)
            lines = islice(read_lines(plan_path), past.upto, None)
            for chunk in _chunks(lines, _batch_size(batch, rate), past):
                if stop():
                    break
                token = _token(fence, token)
                past = work.settle(hold.store(), chunk, past, token)
                progress(len(chunk))
                pace.keep(len(chunk))
            else:
                journal.append(Finished(stamp(clock())))
    return _report(folder, header, timer() - began)


class _Pace:
    """Waits after each batch so that no more lines a second are settled than allowed."""

    def __init__(self, rate: float, hold: StoreHold, timer: Callable[[], float]) -> None:
        self._rate = rate
        self._hold = hold
        self._timer = timer
        self._began = timer()
        self._settled = 0

    def keep(self, lines: int) -> None:
        self._settled += lines
        if self._rate > 0:
            ahead = self._settled / self._rate - (self._timer() - self._began)
            if ahead > 0:
                self._hold.pause(ahead)


def _past(folder: PruneFolder, header: Header) -> Progress:
    past = read_progress(folder.journal(header.id))
    if past.sha not in {None, header.sha256}:
        raise UsageError(f"another plan was begun under the id {header.id}", hint=AGAIN)
    if past.undone:
        raise UsageError(f"plan {header.id} was undone by a restore", hint=AGAIN)
    begun = past.open is not None and past.open.archive
    if (past.archived or begun) and not folder.archive(header.id).exists():
        raise StoreError(
            f"the archive of plan {header.id} is gone: {folder.archive(header.id)}",
            hint="it holds memories that left the collection; bring it back, or make a new plan: sophiactl prune plan",
        )
    return past


def _token(fence: Callable[[], int] | None, last: int) -> int:
    if fence is None:
        return last
    token = fence()
    if token < last:
        raise Locked(f"another run has taken this plan over (token {last}, ours is {token})", hint="let it finish")
    return token


def _batch_size(batch: int, rate: float) -> int:
    """Lines in a batch: no more than may be settled in a second."""
    return max(min(batch, math.ceil(rate)) if rate > 0 else batch, 1)


def _chunks(lines: Iterator[Line], size: int, past: Progress) -> Iterator[list[Line]]:
    """The lines in batches; one that was begun has the lines that it had then."""
    first = size if past.open is None else past.open.upto - past.upto
    chunk = list(islice(lines, first))
    while chunk:
        yield chunk
        chunk = list(islice(lines, size))


def _report(folder: PruneFolder, header: Header, seconds: float) -> ApplyReport:
    found = read_progress(folder.journal(header.id))
    archive = folder.archive(header.id)
    return ApplyReport(
        plan=header.id,
        archived=found.archived,
        cooled=found.cooled,
        merged=found.merged,
        skipped=found.skipped,
        named=found.named,
        left=max(sum(header.counts.values()) - found.upto, 0),
        finished=found.finished,
        seconds=seconds,
        archive_bytes=archive.stat().st_size if archive.exists() else 0,
    )
