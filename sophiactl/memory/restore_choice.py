"""Which of the memories in the archives are meant by a restore, in bounded memory."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, Self

import msgspec

from sophiactl.errors import UsageError
from sophiactl.memory.apply_guard import GONE
from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.frames import key_of
from sophiactl.memory.journal import Done, Intent, read_events
from sophiactl.memory.moments import seconds_of
from sophiactl.memory.tombstones import short_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sophiactl.memory.prune_folder import PruneFolder

_NAMED = 10_000
_WINDOW = 500


class Wanted:
    """A choice of memories. Of ids that were asked for it holds 64 bits each, and which were found.

    Two ids with the same 64 bits would both come back where one was asked for, which does no harm.
    """

    def __init__(self, plan_id: str | None, since: float | None, hashes: Any, names: list[str]) -> None:
        """Use `Wanted.of`."""
        self.whole_plan = plan_id is not None and since is None and hashes is None
        self._since = since
        self._hashes = hashes
        self._found = None if hashes is None else bytearray(len(hashes))
        self._names = names

    @classmethod
    def of(cls, plan_id: str | None, ids: Iterable[str] | None, since: str | None) -> Self:
        """The choice that a user made. Raises `UsageError` for none, or for a time that is none."""
        if plan_id is None and ids is None and since is None:
            raise UsageError("nothing was named to restore", hint="a plan, ids (--id) or a time (--since)")
        start = None if since is None else seconds_of(since)
        if since is not None and start is None:
            raise UsageError(f"{since!r} is no time", hint="write it as 2026-01-31 or 2026-01-31T09:00:00Z")
        hashes, names = (None, []) if ids is None else _hashed(ids)
        return cls(plan_id, start, hashes, names)

    def picks(self, key: int, at: str) -> bool:
        """Whether a memory of this short hash, taken away then, is meant and has not been found yet."""
        if self._since is not None and (seconds_of(at) or 0.0) < self._since:
            return False
        place = self._place(key)
        return place is None or (place >= 0 and not (self._found or b"")[place])

    def mark(self, key: int) -> None:
        """Note that a memory was found."""
        place = self._place(key)
        if place is not None and place >= 0 and self._found is not None:
            self._found[place] = 1

    def not_found(self) -> tuple[int, list[str]]:
        """How many ids were asked for and not found; their names too, unless very many were asked for."""
        if self._found is None:
            return 0, []
        names = [name for name in self._names if self.picks_id(name)]
        return self._found.count(0), names

    def picks_id(self, name: str) -> bool:
        """Whether this id was asked for and has not been found yet."""
        place = self._place(short_hash(key_of(name)))
        return place is not None and place >= 0 and self._found is not None and not self._found[place]

    def frames(self, archive: ArchiveReader) -> Offsets:
        """Where the wanted memories stand in an archive: of two of the same id, which a killed run leaves, the last."""
        offsets, keys = array("Q"), array("Q")
        for offset, found in archive.heads():
            key = short_hash(found.key)
            if self.picks(key, found.at):
                offsets.append(offset)
                keys.append(key)
        return Offsets.last_of_each(archive, offsets, keys)

    def _place(self, key: int) -> int | None:
        """Where an id stands among those asked for: -1 for nowhere, None where all are meant."""
        if self._hashes is None:
            return None
        import numpy as np

        place = int(np.searchsorted(self._hashes, np.uint64(key)))
        return place if place < len(self._hashes) and int(self._hashes[place]) == key else -1


class Offsets:
    """Places in an archive, asked for in ascending order."""

    def __init__(self, places: Any) -> None:
        self._places = places
        self._next = 0

    @classmethod
    def last_of_each(cls, archive: ArchiveReader, offsets: array[int], keys: array[int]) -> Self:
        """The last place of each key; where two keys are the same the ids themselves are compared."""
        import numpy as np

        places, hashes = np.array(offsets, dtype=np.uint64), np.array(keys, dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        same = hashes[order][1:] == hashes[order][:-1]
        double = np.zeros(len(places), dtype=bool)
        double[order[1:][same]] = double[order[:-1][same]] = True
        if not double.any():
            return cls(places)
        doubtful = set(places[double].tolist())
        last = {found.key: offset for offset, found in archive.heads() if offset in doubtful}
        chosen = np.concatenate([places[~double], np.array(sorted(last.values()), dtype=np.uint64)])
        return cls(np.sort(chosen))

    def __len__(self) -> int:
        return len(self._places)

    def has(self, offset: int) -> bool:
        """Whether this place is one of them; places before it are not asked for again."""
        while self._next < len(self._places) and int(self._places[self._next]) < offset:
            self._next += 1
        return self._next < len(self._places) and int(self._places[self._next]) == offset


class Archives(msgspec.Struct, frozen=True):
    """The plans to look at, the latest first; `files` are those that have an archive."""

    plans: tuple[str, ...]
    files: frozenset[str]

    @classmethod
    def of(cls, folder: PruneFolder, plan_id: str | None) -> Archives:
        """All plans that took something away, or only this one."""
        if plan_id is not None:
            files = [plan_id] if folder.archive(plan_id).exists() else []
            journals = [plan_id] if folder.journal(plan_id).exists() else []
        else:
            files, journals = folder.all_archives(), folder.all_journals()
        begun = {name: _began(folder, name, name in files) for name in {*files, *journals}}
        return cls(tuple(sorted(begun, key=lambda name: (begun[name], name), reverse=True)), frozenset(files))


def left_alone(journal: Path) -> frozenset[str]:
    """Ids that a plan left as they are, though some of them may stand in its archive.

    Those that were gone are none of them: what an archive holds of them was taken out by the plan after all.
    """
    events = read_events(journal)
    return frozenset(
        one.id for event in events if isinstance(event, Done) for one in event.skipped if one.reason != GONE
    )


def cooled(journal: Path, wanted: Wanted) -> Iterator[tuple[str, list[str]]]:
    """Ids that a plan has made cold and that are meant, in batches of the same time."""
    skipped = left_alone(journal)
    for event in read_events(journal):
        if isinstance(event, Intent):
            names = [
                name for name in event.cool if name not in skipped and wanted.picks(short_hash(key_of(name)), event.at)
            ]
            for start in range(0, len(names), _WINDOW):
                yield event.at, names[start : start + _WINDOW]


def _began(folder: PruneFolder, name: str, has_archive: bool) -> float:
    """When a plan was begun, as its archive says, or its journal."""
    if has_archive:
        for _, found in ArchiveReader(folder.archive(name)).heads():
            return seconds_of(found.at) or 0.0
    for event in read_events(folder.journal(name)):
        at = getattr(event, "at", None)
        return seconds_of(at) or 0.0 if at else 0.0
    return 0.0


def _hashed(ids: Iterable[str]) -> tuple[Any, list[str]]:
    import numpy as np

    names: list[str] = []

    def hashes() -> Iterator[int]:
        for name in ids:
            if len(names) <= _NAMED:
                names.append(name)
            yield short_hash(key_of(name))

    found = np.unique(np.fromiter(hashes(), dtype=np.uint64))
    return found, list(dict.fromkeys(names)) if len(names) <= _NAMED else []
