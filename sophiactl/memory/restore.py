"""Bringing memories back from the archives: insert only, so that nothing newer is ever overwritten.

A memory comes back as it was, with its vectors. Doing it again, after a kill or not, changes nothing more.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import NotFound, SophiaError
from sophiactl.memory.archive import ArchiveReader, Damage
from sophiactl.memory.base import Equals, Where
from sophiactl.memory.frames import key_of
from sophiactl.memory.journal import Journal, Restored, Undone
from sophiactl.memory.merged_copies import forget_copies
from sophiactl.memory.moments import stamp
from sophiactl.memory.restore_choice import Archives, Wanted, cooled, left_alone
from sophiactl.memory.store_hold import StoreHold
from sophiactl.memory.tombstones import Erased, read_tombstones, short_hash
from sophiactl.model import MemoryState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sophiactl.memory.frames import Archived
    from sophiactl.memory.prune_folder import PruneFolder
    from sophiactl.memory.store_hold import OpenStore
    from sophiactl.model import Clock, Record

BATCH = 500
HOLD_SECONDS = 5.0


class DamagedArchive(msgspec.Struct, frozen=True):
    """A part of an archive that could not be read; the memories in it are not restored."""

    plan: str
    damage: Damage


class RestoreReport(msgspec.Struct, frozen=True):
    """What came back. `existing` were in the collection and were left as they are, `erased` are gone for good.

    `missing` of the ids that were asked for are in no archive and no journal; `missing_ids` names the first of them,
    unless very many were asked for. `noted` is False where the journals could not be written.
    """

    restored: int
    existing: int
    cooled_back: int
    missing: int
    missing_ids: tuple[str, ...]
    erased: int
    damaged: tuple[DamagedArchive, ...]
    plans: tuple[str, ...]
    noted: bool
    seconds: float


def restore(
    folder: PruneFolder,
    open_store: OpenStore,
    *,
    clock: Clock,
    progress: Callable[[int], None],
    plan_id: str | None = None,
    ids: Iterable[str] | None = None,
    since: str | None = None,
    wait: Callable[[float], None] = time.sleep,
    timer: Callable[[], float] = time.monotonic,
) -> RestoreReport:
    """Bring back what a plan took away, or these ids, or all since a time; given together, all must hold.

    The caller holds the folder's lock. `ids` may be ten million: 64 bits of each are kept. `progress` is told how many
    more were looked at. Raises `UsageError` for no choice or a bad time, `NotFound` for a plan that took nothing away.
    """
    began = timer()
    wanted = Wanted.of(plan_id, ids, since)
    archives = Archives.of(folder, plan_id)
    if not archives.plans:
        where = f"of plan {plan_id}" if plan_id else f"in {folder.archives}"
        raise NotFound(
            f"there is no archive {where}", hint="archives are kept for memory.prune.archive_days: sophiactl prune log"
        )
    with StoreHold(open_store, HOLD_SECONDS, wait=wait, timer=timer) as hold:
        run = _Run(folder, hold, wanted, Erased(read_tombstones(folder.tombstones)), clock, progress)
        for plan in archives.plans:
            run.plan(plan, has_archive=plan in archives.files)
        missing, named = run.absent()
    return RestoreReport(
        restored=run.restored,
        existing=run.existing,
        cooled_back=run.cooled_back,
        missing=missing,
        missing_ids=named,
        erased=run.erased,
        damaged=tuple(run.damaged),
        plans=tuple(run.plans),
        noted=run.noted,
        seconds=timer() - began,
    )


class _Run:
    def __init__(
        self,
        folder: PruneFolder,
        hold: StoreHold,
        wanted: Wanted,
        tombstones: Erased,
        clock: Clock,
        progress: Callable[[int], None],
    ) -> None:
        self.restored = self.existing = self.cooled_back = self.erased = 0
        self.damaged: list[DamagedArchive] = []
        self.plans: list[str] = []
        self.noted = True
        self._folder = folder
        self._hold = hold
        self._wanted = wanted
        self._tombstones = tombstones
        self._clock = clock
        self._progress = progress

    def plan(self, name: str, *, has_archive: bool) -> None:
        """Bring back what is wanted of one plan."""
        before = self.restored + self.cooled_back
        if has_archive:
            self._archived(name)
        self._cooled(name)
        if self.restored + self.cooled_back > before:
            self.plans.append(name)
        if self._wanted.whole_plan:
            self._note(name, Undone(stamp(self._clock())))

    def absent(self) -> tuple[int, tuple[str, ...]]:
        """How many of the ids that were asked for were not found at all, and which."""
        count, names = self._wanted.not_found()
        if not names:
            return count, ()
        there = {
            point.record.id
            for start in range(0, len(names), BATCH)
            for point in self._hold.store().get(names[start : start + BATCH])
        }
        self.existing += len(there)
        return count - len(there), tuple(name for name in names if name not in there)[:100]

    def _archived(self, name: str) -> None:
        archive = ArchiveReader(self._folder.archive(name))
        skipped = left_alone(self._folder.journal(name))
        chosen = self._wanted.frames(archive)
        window: list[Archived] = []
        for _, memory in archive.readable(chosen.has) if len(chosen) else ():
            key = key_of(memory.point.record.id)
            if memory.point.record.id in skipped:
                continue
            self._wanted.mark(short_hash(key))
            if self._tombstones.covers(key, memory.at):
                self.erased += 1
                continue
            window.append(memory)
            if len(window) == BATCH:
                self._insert(name, window)
                window = []
        if window:
            self._insert(name, window)
        self.damaged += [DamagedArchive(name, damage) for damage in archive.damaged]

    def _insert(self, plan: str, memories: Sequence[Archived]) -> None:
        store = self._hold.store()
        names = [memory.point.record.id for memory in memories]
        there = {point.record.id for point in store.get(names)}
        fresh = [memory.point for memory in memories if memory.point.record.id not in there]
        store.upsert(fresh, insert_only=True)
        forget_copies(
            store, [(one.point.record.id, one.merged_into) for one in memories if one.merged_into is not None]
        )
        self.restored += len(fresh)
        self.existing += len(memories) - len(fresh)
        if fresh:
            self._note(plan, Restored(stamp(self._clock()), tuple(point.record.id for point in fresh)))
        self._progress(len(memories))

    def _cooled(self, name: str) -> None:
        """Make active again what a plan has cooled and nobody has touched since."""
        for at, names in cooled(self._folder.journal(name), self._wanted):
            for one in names:
                self._wanted.mark(short_hash(key_of(one)))
            store = self._hold.store()
            cold = [point.record.id for point in store.get(names) if _is_cold(point.record, at)]
            if cold:
                fields = {"state": MemoryState.ACTIVE.value, "cooled_at": None}
                store.set_fields(cold, fields, only=Where(all=(Equals("cooled_at", at),)))
                back = [point.record.id for point in store.get(cold) if not _is_cold(point.record, at)]
                self.cooled_back += len(back)
                self._note(name, Restored(stamp(self._clock()), tuple(back)))
            self._progress(len(names))

    def _note(self, plan: str, event: Restored | Undone) -> None:
        """Write into the journal what came back. A folder that cannot be written to keeps nobody from restoring."""
        if not self.noted:
            return
        try:
            with Journal(self._folder.journal(plan)) as journal:
                journal.append(event)
        except SophiaError:
            self.noted = False


def _is_cold(record: Record, at: str) -> bool:
    return record.state == MemoryState.COLD and record.cooled_at == at
