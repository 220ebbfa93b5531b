"""Taking an erased text's words out of its neighbours, whose sparse vectors hold a share of them (see `lexical`).

A neighbour is refreshed from the texts that remain on either side of it, in the collection or in an archive. Who
stands beside an erased memory is one, and so is who holds a term of it that is none of its own: others may have stood
in between once.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from sophiactl.memory.index import searchable_text
from sophiactl.model import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sophiactl.memory.base import Point, SparseVector
    from sophiactl.memory.lexical import Lexicon


class _Thread(msgspec.Struct, frozen=True):
    """A thread without what is erased: its members in order, where each stands, and who stood beside an erased one."""

    members: list[Record]
    places: dict[str, int]
    beside: set[str]
    terms: set[int]


class Threads:
    """The threads that erased memories stood in. Members are given first, then `refreshed` may be asked."""

    def __init__(self, lexicon: Lexicon, erased: Sequence[Record], gone: Iterable[str]) -> None:
        """`erased` are all known forms of the erased memories, `gone` their ids."""
        self._lexicon = lexicon
        self._gone = frozenset(gone)
        self._erased: dict[str, list[Record]] = defaultdict(list)
        for record in erased:
            if record.thread is not None:
                self._erased[record.thread].append(record)
        self._members: dict[str, dict[str, Record]] = {name: {} for name in self._erased}
        self._threads: dict[str, _Thread] = {}

    @property
    def names(self) -> list[str]:
        """The threads concerned, sorted."""
        return sorted(self._erased)

    def add(self, record: Record) -> None:
        """Make a member known; of two of the same id the later counts."""
        if record.thread in self._members and record.id not in self._gone:
            self._members[record.thread][record.id] = record

    def refreshed(self, point: Point) -> SparseVector | None:
        """The sparse vector without what came from erased texts; None where it may stay as it is."""
        record, sparse = point.record, point.sparse
        if record.thread not in self._erased or record.id in self._gone or sparse is None:
            return None
        thread = self._thread(record.thread)
        own = self._lexicon.document(searchable_text(record))
        strange = (set(sparse.indices) - set(own.indices)) & thread.terms
        if not strange and record.id not in thread.beside:
            return None
        place = thread.places[record.id]
        window = [*thread.members[max(place - 1, 0) : place], record, *thread.members[place + 1 : place + 2]]
        fresh = self._lexicon.thread([searchable_text(near) for near in window])[min(place, 1)]
        return None if _same(fresh, sparse) else fresh

    def _thread(self, name: str) -> _Thread:
        if name not in self._threads:
            self._threads[name] = self._made(name)
        return self._threads[name]

    def _made(self, name: str) -> _Thread:
        erased = self._erased[name]
        members = sorted(self._members[name].values(), key=_order)
        everyone = sorted([*members, *erased], key=_order)
        beside = {
            near.id
            for place, record in enumerate(everyone)
            if record.id in self._gone
            for near in everyone[max(place - 1, 0) : place + 2]
        }
        terms = {index for record in erased for index in self._lexicon.document(searchable_text(record)).indices}
        return _Thread(members, {record.id: place for place, record in enumerate(members)}, beside - self._gone, terms)


def _order(record: Record) -> tuple[int, str, str]:
    return record.position or 0, record.created_at or "", record.id


def _same(one: SparseVector, other: SparseVector) -> bool:
    """Whether two vectors are the same to an engine, which keeps 32 bits of a weight."""
    import numpy as np

    return one.indices == other.indices and bool(
        np.array_equal(np.asarray(one.values, dtype=np.float32), np.asarray(other.values, dtype=np.float32))
    )
