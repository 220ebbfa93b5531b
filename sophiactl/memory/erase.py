"""Erasing memories for good: from the collection, from every archive, plan and journal; not to be undone.

Pinned and protected ones too: this is how the right to be forgotten is served. A process that dies at any point leaves
something that the same call finishes. What tells where a text has left traces goes last, so the order is:

1. what is left of the text elsewhere: sparse shares of neighbours, names of copies in their keepers;
2. the tombstones, which hold a hash of the text and no word of it;
3. the collection;
4. plans (one that named an erased memory is void and goes), journals (which keep a hash), archives.

Copies that gave way to an erased memory say the same, so those that are only in archives go with it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.base import AnyOf, Equals, Where
from sophiactl.memory.durable import removed
from sophiactl.memory.erase_files import clean_archive, clean_journal, names_any
from sophiactl.memory.erase_neighbours import Threads
from sophiactl.memory.frames import text_hash
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.merged_copies import drop_copies
from sophiactl.memory.moments import exact_stamp
from sophiactl.memory.store_hold import StoreHold
from sophiactl.memory.tombstones import Tombstone, bury, read_tombstones

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sophiactl.memory.prune_folder import PruneFolder
    from sophiactl.memory.store_hold import OpenStore
    from sophiactl.model import Clock, Record

BATCH = 500
HOLD_SECONDS = 5.0


class EraseReport(msgspec.Struct, frozen=True):
    """What was erased. `ids` are all that are gone, `copies` those of them that nobody named; `missing` were nowhere.

    Whoever keeps anything else about memories, such as the ledger of runs, must clear it of `ids`. `alike` are memories
    that were left and say the same as an erased one. `damaged` counts, by plan, bytes of archives that could not be
    read and went too.
    """

    ids: tuple[str, ...]
    from_collection: int
    from_archives: int
    copies: tuple[str, ...]
    missing: tuple[str, ...]
    alike: tuple[str, ...]
    neighbours: int
    keepers: int
    plans: tuple[str, ...]
    journals: int
    damaged: dict[str, int]
    seconds: float


def erase(
    ids: Iterable[str],
    open_store: OpenStore,
    folder: PruneFolder,
    *,
    clock: Clock,
    reason: str,
    wait: Callable[[float], None] = time.sleep,
    timer: Callable[[], float] = time.monotonic,
) -> EraseReport:
    """Erase memories everywhere. The caller holds the folder's lock; `reason` goes into the tombstones.

    Engines keep deleted data until they rebuild their files: the caller sees to that. Raises `DiskFull`, `StoreError`
    and what the store raises; doing it again goes on.
    """
    began = timer()
    asked = list(dict.fromkeys(ids))
    folder.prepare().sweep()
    with StoreHold(open_store, HOLD_SECONDS, wait=wait, timer=timer) as hold:
        found = _find(asked, folder, hold)
        threads, neighbours = _clear_neighbours(found, folder, hold)
        keepers = _clear_keepers(found, hold)
        alike = _alike(found, hold)
        earlier = _bury(found, folder, exact_stamp(clock()), reason)
        for names in _batches(list(found.gone)):
            hold.store().delete(names)
    plans = tuple(name for name in folder.all_plans() if names_any(folder.plan(name), found.gone))
    for name in plans:
        removed(folder.plan(name))
    journals = sum(clean_journal(folder.journal(name), found.gone) for name in folder.all_journals())
    archives = {
        name: clean_archive(folder.archive(name), set(found.gone), threads.refreshed) for name in folder.all_archives()
    }
    return EraseReport(
        ids=tuple(found.gone),
        from_collection=len(found.stored),
        from_archives=sum(dropped for dropped, _ in archives.values()),
        copies=tuple(name for name in found.gone if name not in found.asked),
        missing=tuple(name for name in asked if name not in found.hashes and name not in earlier),
        alike=alike,
        neighbours=neighbours,
        keepers=keepers,
        plans=plans,
        journals=journals,
        damaged={name: lost for name, (_, lost) in archives.items() if lost},
        seconds=timer() - began,
    )


class _Found:
    """What is to be erased: ids in order, every form of each memory that was found, and hashes of their texts."""

    def __init__(self, asked: Sequence[str]) -> None:
        self.asked = frozenset(asked)
        self.gone: dict[str, None] = dict.fromkeys(asked)
        self.stored: set[str] = set()
        self.forms: list[Record] = []
        self.hashes: dict[str, set[str]] = {}

    def take(self, record: Record) -> None:
        self.forms.append(record)
        self.hashes.setdefault(record.id, set()).add(text_hash(record.text).hex())


def _find(asked: Sequence[str], folder: PruneFolder, hold: StoreHold) -> _Found:
    """The memories, and the copies that gave way to them and are in archives alone."""
    found = _Found(asked)
    for names in _batches(asked):
        for point in hold.store().get(names):
            found.stored.add(point.record.id)
            found.take(point.record)
    for record in _archived(folder):
        if record.id in found.gone:
            found.take(record)
    copies = list(dict.fromkeys(name for form in found.forms for name in form.merged_from if name not in found.gone))
    alive = {point.record.id for names in _batches(copies) for point in hold.store().get(names)}
    wanted = set(copies) - alive
    for record in _archived(folder) if wanted else ():
        if record.id in wanted:
            found.gone[record.id] = None
            found.take(record)
    return found


def _clear_neighbours(found: _Found, folder: PruneFolder, hold: StoreHold) -> tuple[Threads, int]:
    """Refresh the sparse vectors of neighbours in the collection; those in archives are left to `clean_archive`."""
    threads = Threads(Lexicon.of(hold.store().schema), found.forms, found.gone)
    if not threads.names:
        return threads, 0
    for record in _archived(folder):
        threads.add(record)
    refreshed = 0
    for name in threads.names:
        store = hold.store()
        points = list(store.scroll(Where(all=(Equals("thread", name),)), vectors=True))
        for point in points:
            threads.add(point.record)
        fresh = [(point.record.id, sparse) for point in points if (sparse := threads.refreshed(point)) is not None]
        store.set_sparse(fresh)
        refreshed += len(fresh)
    return threads, refreshed


def _clear_keepers(found: _Found, hold: StoreHold) -> int:
    gone, changed = set(found.gone), 0
    for names in _batches([_as_filtered(name) for name in found.gone]):
        store = hold.store()
        for point in list(store.scroll(Where(all=(AnyOf("merged_from", tuple(names)),)))):
            if point.record.id not in gone:
                changed += drop_copies(store, point.record, gone)
    return changed


def _alike(found: _Found, hold: StoreHold) -> tuple[str, ...]:
    likenesses = sorted({form.likeness for form in found.forms if form.likeness is not None})
    return tuple(
        point.record.id
        for values in _batches(likenesses)
        for point in hold.store().scroll(Where(all=(AnyOf("likeness", tuple(values)),)))
        if point.record.id not in found.gone
    )


def _bury(found: _Found, folder: PruneFolder, at: str, reason: str) -> set[str]:
    """Write tombstones, unless a killed run did; ids that had one before."""
    known = {(stone.id, stone.sha256) for stone in read_tombstones(folder.tombstones) if stone.id in found.gone}
    bury(
        folder.tombstones,
        [
            Tombstone(name, digest, reason, at)
            for name, digests in found.hashes.items()
            for digest in sorted(digests)
            if (name, digest) not in known
        ],
    )
    return {name for name, _ in known}


def _archived(folder: PruneFolder) -> Iterator[Record]:
    for plan in folder.all_archives():
        for memory in ArchiveReader(folder.archive(plan)).memories():
            yield memory.point.record


def _as_filtered(name: str) -> str:
    """An id inside a list as filters see it: what has no UTF-8 form is stored there by its nearest text."""
    return name.encode(errors="replace").decode()


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]
