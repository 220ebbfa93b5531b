"""`memory`: look at single memories, add, pin, import and export them."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import NotFound, UsageError
from sophiactl.memory.base import AnyOf, Equals, StoreInfo, TimeRange, Where
from sophiactl.memory.index import searchable_text, write
from sophiactl.memory.judging import Judge
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.rows import Threader, parse_file
from sophiactl.model import MemoryClass, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sophiactl.wiring import Wiring

_WINDOW = 512
_FEW = 32
_SUGGESTIONS = 3


class Selection(msgspec.Struct, frozen=True):
    """Which memories are meant. Times are ISO 8601, `since` inclusive and `until` exclusive."""

    classes: tuple[MemoryClass, ...] = ()
    states: tuple[str, ...] = ()
    source: str | None = None
    thread: str | None = None
    tag: str | None = None
    pinned: bool | None = None
    since: str | None = None
    until: str | None = None

    def where(self) -> Where:
        """As a filter of the store."""
        conditions: list[Equals | AnyOf | TimeRange] = []
        if self.classes:
            conditions.append(AnyOf("class", tuple(item.value for item in self.classes)))
        if self.states:
            conditions.append(AnyOf("state", self.states))
        exact = (("source", self.source), ("thread", self.thread), ("tags", self.tag), ("pinned", self.pinned))
        conditions += [Equals(field, value) for field, value in exact if value is not None]
        if self.since or self.until:
            conditions.append(TimeRange("created_at", self.since, self.until))
        return Where(all=tuple(conditions))


class Stats(msgspec.Struct, frozen=True):
    """The collection in figures."""

    info: StoreInfo
    classes: dict[str, int]
    states: dict[str, int]
    pinned: int
    sources: dict[str, int]


class Written(msgspec.Struct, frozen=True):
    """Ids that were written; `existing` were there before."""

    ids: tuple[str, ...]
    existing: tuple[str, ...] = ()


class Rejected(msgspec.Struct, frozen=True):
    """A row that was not imported; `line` counts from 1."""

    line: int
    reason: str


class ImportReport(msgspec.Struct, frozen=True):
    """What was imported; `replaced` of the `imported` ones existed before."""

    collection: str
    imported: int
    replaced: int
    rejected: tuple[Rejected, ...]


def listing(selection: Selection, wiring: Wiring) -> Iterator[Record]:
    """Memories that match, streamed in the store's own order."""
    with wiring.store(purpose="memory list") as store:
        for point in store.scroll(selection.where()):
            yield point.record


def show(name: str, wiring: Wiring) -> Record:
    """One memory. A prefix of its id is enough when only one id begins with it. Raises `NotFound`."""
    with wiring.store(purpose="memory show") as store:
        found = store.get([name])
        if found:
            return found[0].record
        like = [point.record for point in store.scroll() if point.record.id.startswith(name)] if name else []
    if len(like) == 1:
        return like[0]
    if like:
        some = ", ".join(record.id for record in like[:_SUGGESTIONS])
        raise NotFound(f"{len(like)} memories begin with {name!r}: {some} …", hint="give more of the id")
    raise NotFound(f"no memory {name!r} in {wiring.collection!r}", hint="sophiactl memory list, or sophiactl search")


def add(records: Sequence[Record], wiring: Wiring, *, purpose: str = "memory add") -> Written:
    """Embed and write records. One whose id exists is replaced, but keeps its place, pin and accesses.

    A record whose words did not change keeps its vector and is not embedded again.
    """
    names = [record.id for record in records]
    with wiring.store(create=True, purpose=purpose) as store:
        old = {point.record.id: point for point in store.get(names, vectors=True)}
    vectors = {
        record.id: old[record.id].dense
        for record in records
        if record.id in old and searchable_text(old[record.id].record) == searchable_text(record)
    }
    fresh = [record for record in records if record.id not in vectors]
    if fresh:
        embedder = wiring.embedder(bulk=len(fresh) > _FEW)
        rows = embedder.embed([searchable_text(record) for record in fresh])
        vectors |= {record.id: row for record, row in zip(fresh, rows, strict=True)}
    merged = [_merged(old[record.id].record, record) if record.id in old else record for record in records]
    # The store is not held while texts are embedded, so that questions can be asked meanwhile.
    with wiring.store(create=True, purpose=purpose) as store:
        write(store, Lexicon.of(store.schema), merged, vectors, Judge(wiring.settings.memory.prune))
    return Written(tuple(names), tuple(old))


def _merged(old: Record, new: Record) -> Record:
    return msgspec.structs.replace(
        new,
        position=old.position if new.position is None else new.position,
        pinned=old.pinned or new.pinned,
        accesses=max(old.accesses, new.accesses),
        last_accessed=max(old.last_accessed or "", new.last_accessed or "") or None,
        merged_from=tuple(dict.fromkeys((*old.merged_from, *new.merged_from))),
        rev=old.rev + 1,
    )


def import_file(lines: Iterable[bytes], wiring: Wiring, progress: Callable[[int], None]) -> ImportReport:
    """Embed and write the rows of a JSONL file; bad rows are left out, counted and named.

    `progress` is told how many more were acknowledged. A record keeps its id, so doing it again after a kill changes
    nothing.
    """
    rejected: list[Rejected] = []
    imported = replaced = 0
    with wiring.job_lock("memory import"):
        for window in _windows(_rows(lines, wiring, rejected)):
            written = add(_unique(window), wiring, purpose="memory import")
            imported += len(written.ids)
            replaced += len(written.existing)
            progress(len(written.ids))
    return ImportReport(wiring.collection, imported, replaced, tuple(rejected))


def _rows(lines: Iterable[bytes], wiring: Wiring, rejected: list[Rejected]) -> Iterator[Record]:
    threader = Threader(timedelta(minutes=wiring.settings.memory.thread_gap_minutes))
    for number, row in parse_file(iter(lines), wiring.now()):
        if isinstance(row, Record):
            yield threader.place(row)
        else:
            rejected.append(Rejected(number, row.message))


def _windows(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Batches to write at once. A thread at the border goes whole into the next one, unless it fills a batch alone."""
    window: list[Record] = []
    for record in records:
        window.append(record)
        if len(window) < _WINDOW:
            continue
        last = record.thread
        border = next((n + 1 for n in range(len(window) - 1, -1, -1) if last is None or window[n].thread != last), 0)
        border = border or len(window)
        yield window[:border]
        window = window[border:]
    if window:
        yield window


def _unique(records: list[Record]) -> list[Record]:
    """The last record of each id: as if they had been written one after the other."""
    return list({record.id: record for record in records}.values())


def set_pinned(names: Sequence[str], wiring: Wiring, *, pinned: bool) -> Written:
    """Protect memories from forgetting, or lift that. Raises `NotFound` for unknown ids, and then changes none."""
    with wiring.store(purpose="memory pin") as store:
        records = {point.record.id: point.record for point in store.get(names)}
        missing = [name for name in names if name not in records]
        if missing:
            raise NotFound(
                f"no such memory: {', '.join(missing)}", hint="nothing was changed; see sophiactl memory list"
            )
        by_revision: dict[int, list[str]] = defaultdict(list)
        for record in records.values():
            if record.pinned != pinned:
                by_revision[record.rev].append(record.id)
        for revision, changed in by_revision.items():
            store.set_fields(changed, {"pinned": pinned, "rev": revision + 1, "updated_at": wiring.now()})
    return Written(tuple(records))


def stats(wiring: Wiring) -> Stats:
    """Count memories by class, state and source."""
    with wiring.store(purpose="memory stats") as store:
        return Stats(
            info=store.info(),
            classes=store.facet("class"),
            states=store.facet("state"),
            pinned=store.count(Where(all=(Equals("pinned", value=True),))),
            sources=store.facet("source", limit=10),
        )


def new_record(text: str, wiring: Wiring, *, class_: MemoryClass, **fields: object) -> Record:
    """A record made now. Raises `UsageError` when the text is empty."""
    if not text.strip():
        raise UsageError("the text is empty", hint="give the text as an argument or on standard input")
    return msgspec.convert(
        {"id": wiring.new_id(), "created_at": wiring.now(), **fields, "text": text.strip(), "class": class_.value},
        Record,
    )
