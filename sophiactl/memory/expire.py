"""Archives whose time is over: their memories become tombstones, and the file goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.durable import removed
from sophiactl.memory.frames import key_of, name_of
from sophiactl.memory.journal import Restored, read_events
from sophiactl.memory.moments import exact_stamp, seconds_of
from sophiactl.memory.restore_choice import left_alone
from sophiactl.memory.tombstones import EXPIRED, Tombstone, bury, read_tombstones

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from sophiactl.memory.prune_folder import PruneFolder

_DAY = 86_400.0


class ExpireReport(msgspec.Struct, frozen=True):
    """What expired: the plans whose archives went, the memories that are gone for good with them, the bytes freed."""

    plans: tuple[str, ...]
    erased: int
    bytes: int


def expire_archives(folder: PruneFolder, now: datetime, archive_days: float) -> ExpireReport:
    """Turn archives that have not grown for so many days into tombstones. The caller holds the folder's lock.

    Memories that a plan left alone, or that came back, get none. Raises `DiskFull` or `StoreError`; a process that
    dies in between leaves the archive for the next time.
    """
    limit = now.timestamp() - archive_days * _DAY
    plans, erased, freed = [], 0, 0
    for name in folder.all_archives():
        path = folder.archive(name)
        facts = path.stat()
        # The time of the file is cheap to ask; the times inside are what counts, should a backup have changed it.
        if facts.st_mtime > limit or _latest(path) > limit:
            continue
        erased += bury(folder.tombstones, _tombstones(folder, name, exact_stamp(now)))
        removed(path)
        plans.append(name)
        freed += facts.st_size
    return ExpireReport(tuple(plans), erased, freed)


def _latest(path: Path) -> float:
    return max((seconds_of(found.at) or 0.0 for _, found in ArchiveReader(path).heads()), default=0.0)


def _tombstones(folder: PruneFolder, plan: str, at: str) -> Iterator[Tombstone]:
    """One for each memory of an archive that is nowhere else, unless a killed run wrote it."""
    journal = folder.journal(plan)
    back = {key_of(name) for event in read_events(journal) if isinstance(event, Restored) for name in event.ids}
    known = {key_of(stone.id) for stone in read_tombstones(folder.tombstones) if stone.plan == plan}
    seen = back | known | {key_of(name) for name in left_alone(journal)}
    for _, found in ArchiveReader(folder.archive(plan)).heads():
        if found.key not in seen:
            seen.add(found.key)
            yield Tombstone(name_of(found.key), found.sha256.hex(), EXPIRED, at, plan)
