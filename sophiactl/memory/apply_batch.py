"""One batch of a plan, from judging to the journal (the steps are told in `apply`)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import StoreError
from sophiactl.memory.apply_guard import (
    COPY_GONE,
    GONE,
    LAST_COPY,
    MEANWHILE,
    UNPACKABLE,
    copy_refusal,
    refusal,
    unchanged,
)
from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.frames import Archived, Head, key_of, name_of, pack
from sophiactl.memory.journal import Done, Intent, Progress, Skipped
from sophiactl.memory.merged_copies import tell_of_copies
from sophiactl.memory.moments import exact_stamp, stamp
from sophiactl.model import MemoryState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sophiactl.memory.archive import ArchiveWriter
    from sophiactl.memory.base import Point, Store
    from sophiactl.memory.journal import Journal
    from sophiactl.memory.plan_file import Header, Line
    from sophiactl.model import Clock, Record


class _Chosen:
    """What becomes of each line of a batch, while it is found out."""

    def __init__(self) -> None:
        self.archive: dict[str, Point] = {}
        self.frames: list[bytes] = []
        self.cool: dict[str, Record] = {}
        self.merges: dict[str, str] = {}  # copy -> the one that stays and is told of it
        self.skipped: list[Skipped] = []
        self.archived = 0
        self.cooled = 0
        self.merged = 0

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append(Skipped(name, reason))


class BatchWork:
    """Settles batches of one plan."""

    def __init__(
        self,
        header: Header,
        journal: Journal,
        archive: ArchiveWriter,
        earlier: Earlier,
        *,
        clock: Clock,
        spared: Callable[[Record], str | None],
    ) -> None:
        self._header = header
        self._journal = journal
        self._archive = archive
        self._clock = clock
        self._spared = spared
        self._earlier = earlier.heads
        self._keepers = set(earlier.keepers)

    def settle(self, store: Store, lines: Sequence[Line], past: Progress, token: int) -> Progress:
        """Carry out one batch; returns where the plan stands then."""
        upto, batch = past.upto + len(lines), past.batch + 1
        now = stamp(self._clock())
        chosen = self._choose(store, lines, past.open, batch)
        self._archive.append_frames(chosen.frames)
        intent = Intent(batch, upto, token, now, tuple(chosen.archive), tuple(chosen.cool), self._archive.size)
        if past.open is not None:
            intent = _continued(intent, past.open)
        self._journal.append(intent)
        self._delete(store, chosen)
        self._cool(store, chosen, intent.at)
        self._merge(store, chosen)
        done = Done(batch, upto, now, chosen.archived, chosen.cooled, chosen.merged, tuple(chosen.skipped))
        self._journal.append(done)
        return msgspec.structs.replace(past, upto=upto, batch=batch, open=None, size=self._archive.size)

    def _choose(self, store: Store, lines: Sequence[Line], begun: Intent | None, batch: int) -> _Chosen:
        chosen = _Chosen()
        points = {point.record.id: point for point in store.get([line.id for line in lines], vectors=True)}
        wanted = {line.near_dup_of for line in lines if line.near_dup_of is not None}
        keepers = _records(store, sorted(wanted))
        going = {line.id for line in lines if line.action == "archive"}
        for line in lines:
            point = points.get(line.id)
            if line.id in chosen.archive or line.id in chosen.cool:
                continue
            if point is None:
                self._absent(chosen, line)
            elif begun is not None and _was_cooled(point.record, begun):
                chosen.cooled += 1
            else:
                reason = self._refusal(line, point.record, keepers, going)
                if reason is not None:
                    chosen.skip(line.id, reason)
                elif line.action == "cool":
                    chosen.cool[line.id] = point.record
                else:
                    self._pack(chosen, line, point, keepers, batch)
        return chosen

    def _absent(self, chosen: _Chosen, line: Line) -> None:
        """A memory that is not in the store: taken out by a killed run that could not say so, or by others."""
        found = self._earlier.get(key_of(line.id))
        if found is None:
            chosen.skip(line.id, GONE)
            return
        chosen.archived += 1
        if found.into is not None:
            chosen.merges[line.id] = name_of(found.into)

    def _refusal(self, line: Line, record: Record, keepers: Mapping[str, Record], going: set[str]) -> str | None:
        reason = refusal(line, record, self._header.created, self._spared)
        if reason is None and line.action == "archive" and record.id in self._keepers:
            return LAST_COPY
        if reason is None and line.near_dup_of is not None:
            gone = line.near_dup_of in going
            return copy_refusal(record, None if gone else keepers.get(line.near_dup_of))
        return reason

    def _pack(self, chosen: _Chosen, line: Line, point: Point, keepers: Mapping[str, Record], batch: int) -> None:
        keeper = keepers.get(line.near_dup_of) if line.near_dup_of is not None else None
        into = keeper.id if keeper is not None and line.id not in keeper.merged_from else None
        moment = exact_stamp(self._clock())
        try:
            frame = pack(Archived(point, self._header.id, batch, moment, into))
        except StoreError:
            chosen.skip(line.id, UNPACKABLE)
            return
        chosen.frames.append(frame)
        chosen.archive[line.id] = point
        if keeper is not None:
            self._keepers.add(keeper.id)
        if into is not None:
            chosen.merges[line.id] = into

    def _delete(self, store: Store, chosen: _Chosen) -> None:
        groups: dict[tuple[int, str | None], list[str]] = defaultdict(list)
        for name, point in chosen.archive.items():
            groups[point.record.rev, point.record.cooled_at].append(name)
        for (rev, cooled_at), names in groups.items():
            store.delete(names, only=unchanged(rev, cooled_at, self._header.created))
        stayed = _records(store, list(chosen.archive))
        chosen.archived += len(chosen.archive) - len(stayed)
        for name in stayed:
            chosen.merges.pop(name, None)
            chosen.skip(name, MEANWHILE)

    def _cool(self, store: Store, chosen: _Chosen, now: str) -> None:
        groups: dict[tuple[int, str | None], list[str]] = defaultdict(list)
        for record in chosen.cool.values():
            groups[record.rev, record.cooled_at].append(record.id)
        for (rev, cooled_at), names in groups.items():
            only = unchanged(rev, cooled_at, self._header.created)
            store.set_fields(names, {"state": MemoryState.COLD.value, "cooled_at": now}, only=only)
        after = _records(store, list(chosen.cool))
        for name in chosen.cool:
            found = after.get(name)
            if found is not None and found.state == MemoryState.COLD and found.cooled_at == now:
                chosen.cooled += 1
            else:
                chosen.skip(name, GONE if found is None else MEANWHILE)

    def _merge(self, store: Store, chosen: _Chosen) -> None:
        """Tell those that stay of the copies that went for them. One whose copy vanished this instant comes back."""
        groups: dict[str, list[str]] = defaultdict(list)
        for copy, keeper in chosen.merges.items():
            groups[keeper].append(copy)
        keepers = _records(store, list(groups))
        for keeper, copies in groups.items():
            if keeper in keepers:
                tell_of_copies(store, keepers[keeper], copies)
                chosen.merged += len(copies)
                continue
            back = [chosen.archive[copy] for copy in copies if copy in chosen.archive]
            store.upsert(back, insert_only=True)
            chosen.archived -= len(back)
            for point in back:
                chosen.skip(point.record.id, COPY_GONE)


class Earlier(msgspec.Struct, frozen=True):
    """What an archive holds of a plan that is taken up again: heads by key, and ids of those that copies gave way to.

    Of batches that are settled there are no heads: a plan may be long.
    """

    heads: dict[bytes, Head] = {}
    keepers: frozenset[str] = frozenset()


def done_earlier(archive: Path, plan: str, past: Progress) -> Earlier:
    """What earlier runs of a plan have archived."""
    heads: dict[bytes, Head] = {}
    keepers: set[str] = set()
    for _, found in ArchiveReader(archive).heads() if archive.exists() else ():
        if found.plan == plan:
            if found.batch > past.batch:
                heads[found.key] = found
            if found.into is not None:
                keepers.add(name_of(found.into))
    return Earlier(heads, frozenset(keepers))


def _records(store: Store, names: Sequence[str]) -> dict[str, Record]:
    return {point.record.id: point.record for point in store.get(names)} if names else {}


def _was_cooled(record: Record, begun: Intent) -> bool:
    """Whether a killed run has cooled it: its intent says that it would, at this very time."""
    return record.state == MemoryState.COLD and record.cooled_at == begun.at and record.id in begun.cool


def _continued(intent: Intent, begun: Intent) -> Intent:
    """The intent of a batch taken up again: all that was or will be done to its memories, and under one time."""
    return msgspec.structs.replace(
        intent,
        at=begun.at,
        archive=tuple(dict.fromkeys((*begun.archive, *intent.archive))),
        cool=tuple(dict.fromkeys((*begun.cool, *intent.cool))),
    )
