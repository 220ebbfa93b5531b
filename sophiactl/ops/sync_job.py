"""The job behind `connectors sync`: changes of the services into the memory, batch by batch, over a state on disk.

A cursor is kept only after the store has acknowledged everything before it; what a kill interrupts is read again and
written under the same ids. Services are read side by side; one batch is stored at a time.
"""

from __future__ import annotations

import time
from bisect import bisect
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from sophiactl.connectors.base import Checkpoint, Item, Removed, Skipped, Upsert
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.state import ItemRow, ServiceRow
from sophiactl.embedding.passages import settings_mark
from sophiactl.errors import SophiaError
from sophiactl.memory.base import Equals, Where
from sophiactl.memory.index import searchable_text, set_judged, write
from sophiactl.memory.judging import DERIVED, Judge
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.prune_folder import PruneFolder
from sophiactl.memory.tombstones import erased_ids
from sophiactl.ops.embed_job import merged
from sophiactl.ops.item_records import digest, record_ids, records

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
    from datetime import datetime

    from sophiactl.connectors.base import Change, Connector, Cost
    from sophiactl.connectors.state import SyncState
    from sophiactl.embedding.base import TextEmbedder
    from sophiactl.memory.base import Store
    from sophiactl.model import Record
    from sophiactl.web import WebSession
    from sophiactl.wiring import Wiring

BATCH = 512
"""Items stored at a time: what a kill may cost to do again."""
NAMED = 100


class SyncPlan(msgspec.Struct, frozen=True):
    """What a sync does. `limit` items a service (0: all); `since` reads what is younger, whatever was read before."""

    since: str | None = None
    limit: int = 0
    dry_run: bool = False
    reconcile: bool = False


class Progress(Protocol):
    """Told how far the work is."""

    def begin(self, service: str, cost: Cost | None) -> None:
        """A service is read; `cost` is what its first full sync will take."""

    def advance(self, service: str, items: int) -> None:
        """So many more items were read and stored."""


@dataclass(slots=True)
class Tally:
    """What was done with one service. `read` counts items as they came, the overlap among them."""

    service: str
    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    passages: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    named: list[Skipped] = field(default_factory=list)
    done: bool = False
    seconds: float = 0.0
    cost: Cost | None = None
    error: SophiaError | None = None


@dataclass(slots=True)
class Batch:
    """Changes that wait to be stored, each item once."""

    items: dict[str, Item] = field(default_factory=dict)
    gone: dict[str, None] = field(default_factory=dict)

    def take(self, change: Upsert | Removed) -> None:
        """The later word on an item holds."""
        if isinstance(change, Upsert):
            self.gone.pop(change.item.id, None)
            self.items[change.item.id] = change.item
        else:
            self.items.pop(change.id, None)
            self.gone[change.id] = None

    def __len__(self) -> int:
        return len(self.items) + len(self.gone)


class SyncJob:
    """One run over some services."""

    def __init__(self, wiring: Wiring, state: SyncState, plan: SyncPlan, progress: Progress) -> None:
        self._wiring = wiring
        self._state = state
        self._plan = plan
        self._progress = progress
        self._config = wiring.settings.embedding
        self._lexicon = Lexicon.of(wiring.schema)
        self._judge = Judge(wiring.settings.memory.prune)
        self._mark = settings_mark(wiring.settings.embedding, wiring.model)
        # What somebody asked to erase stays away, although the service still has it.
        self._erased = erased_ids(PruneFolder(wiring.paths.state / "prune", wiring.collection).tombstones)
        self._embedder: TextEmbedder | None = None
        self._turn: asyncio.Lock | None = None
        self._fatal: BaseException | None = None

    async def run(self, services: Sequence[str]) -> list[Tally]:
        """Read all services; what one of them cannot do is in its tally. Raises what the store raises."""
        import asyncio

        from sophiactl.web import WebSession

        self._turn = asyncio.Lock()
        try:
            async with WebSession() as session, asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._service(name, session)) for name in services]
        except BaseExceptionGroup as several:
            raise _first(several) from None
        return [task.result() for task in tasks]

    async def _service(self, name: str, session: WebSession) -> Tally:
        tally, began = Tally(name), time.monotonic()
        connector: Connector | None = None
        try:
            connector = self._wiring.connectors.open(name, session)
            await self._read(connector, tally)
        except Exception as error:
            if error is self._fatal:  # the store's, and so of all services
                raise
            tally.error = _told(name, error)
        finally:
            if connector is not None:
                await connector.close()
            tally.seconds = round(time.monotonic() - began, 3)
        return tally

    async def _read(self, connector: Connector, tally: Tally) -> None:
        row = self._state.service(tally.service)
        cursor, since = row.cursor, self._plan.since
        if since is not None or cursor is None:
            cursor = None
            deadline = Deadline(self._wiring.settings.connectors.timeout)
            tally.cost = await connector.cost(since, deadline)
        self._progress.begin(tally.service, tally.cost)
        # What lies between an older cursor and `since` was not read: the older one has to stay.
        keep = since is None or row.cursor is None
        await self._follow(connector.changes(cursor, since=since), tally, keep=keep)
        if self._reconcile_due(row) and not self._plan.limit and tally.done:
            known = list(self._state.ids(tally.service))
            await self._follow(connector.reconcile(known), tally, keep=False, limit=0)
            if not self._plan.dry_run:
                kept = self._state.service(tally.service)
                self._state.put(msgspec.structs.replace(kept, reconciled_at=self._wiring.now()))

    async def _follow(
        self, changes: AsyncIterator[Change], tally: Tally, *, keep: bool, limit: int | None = None
    ) -> None:
        """Store what comes; `keep` the cursor of each checkpoint, once everything before it is stored."""
        most = self._plan.limit if limit is None else limit
        batch = Batch()
        async with aclosing(cast("AsyncGenerator[Change, None]", changes)) as stream:
            async for change in stream:
                if isinstance(change, Checkpoint):
                    await self._store(batch, tally)
                    batch = Batch()
                    self._reached(change, tally, keep=keep)
                    if most and tally.read >= most:
                        break
                elif isinstance(change, Skipped):
                    tally.skipped[change.code] += 1
                    tally.named += [change] if len(tally.named) < NAMED else []
                else:
                    batch.take(change)
                    if len(batch) >= BATCH:
                        await self._store(batch, tally)
                        batch = Batch()
            await self._store(batch, tally)

    def _reached(self, point: Checkpoint, tally: Tally, *, keep: bool) -> None:
        tally.done = point.done
        if self._plan.dry_run or not keep:
            return
        before = self._state.service(tally.service)
        self._state.put(
            ServiceRow(
                tally.service,
                point.cursor,
                before.done or point.done,
                self._wiring.now() if point.done else before.synced_at,
                before.reconciled_at or (self._wiring.now() if point.done else None),
            )
        )

    def _reconcile_due(self, row: ServiceRow) -> bool:
        if self._plan.reconcile:
            return True
        days = self._wiring.settings.connectors.reconcile_days
        last = row.reconciled_at
        if last is None or days <= 0:
            return False
        return (self._wiring.clock() - _moment(last)).total_seconds() >= days * 86_400

    async def _store(self, batch: Batch, tally: Tally) -> None:
        import asyncio

        if not len(batch):
            return
        assert self._turn is not None  # noqa: S101 - made by `run`
        async with self._turn:
            work = asyncio.to_thread(self._write, batch, tally)
            try:
                await asyncio.shield(work)
            except Exception as error:
                self._fatal = error
                raise
        self._progress.advance(tally.service, len(batch))

    def _write(self, batch: Batch, tally: Tally) -> None:
        service = tally.service
        known = self._state.items(service, [*batch.items, *batch.gone])
        marks = {name: digest(item, self._mark) for name, item in batch.items.items()}
        changed = [item for name, item in batch.items.items() if name not in known or known[name].digest != marks[name]]
        gone = [known[name] for name in batch.gone if name in known]
        tally.read += len(batch.items)
        tally.unchanged += len(batch.items) - len(changed)
        tally.new += sum(item.id not in known for item in changed)
        tally.changed += sum(item.id in known for item in changed)
        tally.removed += len(gone)
        if self._plan.dry_run or not (changed or gone):
            return
        config = self._config
        made = {
            item.id: records(item, self._wiring.count_tokens, config.chunk_tokens, config.overlap_tokens)
            for item in changed
        }
        fresh = [record for group in made.values() for record in group if record.id not in self._erased]
        self._announce(service, made, known)
        stale = [
            name
            for row in (*(known[name] for name in made if name in known), *gone)
            for name in record_ids(service, row.id, row.passages)[len(made.get(row.id, ())) :]
        ]
        self._replace(fresh, stale)
        tally.passages += len(fresh)
        now = self._wiring.now()
        self._state.stored(service, [ItemRow(name, marks[name], len(group)) for name, group in made.items()], now)
        self._state.removed(service, [row.id for row in gone])

    def _announce(self, service: str, made: Mapping[str, Sequence[Record]], known: Mapping[str, ItemRow]) -> None:
        """Note before the store is touched what it may come to hold: after a kill nothing is left over there."""
        rows = []
        for name, group in made.items():
            before = known[name].passages if name in known else 0
            rows.append(ItemRow(name, "", max(before, len(group))))
        self._state.stored(service, rows, self._wiring.now())

    def _replace(self, fresh: Sequence[Record], stale: Sequence[str]) -> None:
        """Write the records and drop the stale ones; the store is open for that alone."""
        vectors = {}
        if fresh:
            if self._embedder is None:
                self._embedder = self._wiring.embedder(bulk=True)
            rows = self._embedder.embed([searchable_text(record) for record in fresh])
            vectors = {record.id: row for record, row in zip(fresh, rows, strict=True)}
        with self._wiring.store(create=True, purpose="connectors sync") as store:
            names = [*(record.id for record in fresh), *stale]
            old = {point.record.id: point.record for point in store.get(names)}
            now = {record.id: _spot(record) for record in fresh}
            left = [record for name, record in old.items() if now.get(name) != _spot(record)]
            _rejoin(store, self._lexicon, self._judge, left)
            if stale:
                store.delete(list(stale))
            if fresh:
                write(store, self._lexicon, _merged(old, fresh), vectors, self._judge)


def _told(service: str, error: Exception) -> SophiaError:
    """The error as it is told; one that is none of ours is a mistake of the connector's."""
    if isinstance(error, SophiaError):
        return error
    return SophiaError(f"{service} cannot be read: {type(error).__name__}", hint="report it with --debug's output")


def _place(record: Record) -> tuple[int, str, str]:
    """What a thread is ordered by."""
    return record.position or 0, record.created_at or "", record.id


def _spot(record: Record) -> tuple[str | None, tuple[int, str, str]]:
    """The thread and the place in it."""
    return record.thread, _place(record)


def _rejoin(store: Store, lexicon: Lexicon, judge: Judge, left: Collection[Record]) -> None:
    """Those who stood beside records that leave their places stand beside each other; before these are dropped."""
    names = {record.id for record in left}
    for thread in sorted({record.thread for record in left if record.thread}):
        points = store.scroll(Where(all=(Equals("thread", thread),)))
        members = sorted((point.record for point in points if point.record.id not in names), key=_place)
        gaps = {bisect(members, _place(record), key=_place) for record in left if record.thread == thread}
        beside = sorted({place for gap in gaps for place in (gap - 1, gap) if 0 <= place < len(members)})
        shares, judged = [], {}
        for place in beside:
            window = [searchable_text(near) for near in members[max(0, place - 1) : place + 2]]
            shares.append((members[place].id, lexicon.thread(window)[min(place, 1)]))
            judged[members[place].id] = judge.changed(members[place], members[place - 1] if place else None)
        if shares:
            store.set_sparse(shares)
            set_judged(store, judged)


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of the exceptions, however deep it is."""
    error: BaseException = several
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _merged(old: Mapping[str, Record], fresh: Sequence[Record]) -> list[Record]:
    """The records with what people and answers added; one whose content is stored already keeps its revision."""
    found = []
    for record in fresh:
        before = old.get(record.id)
        after = merged(before, record)
        found.append(before if before is not None and _same(before, after) else after)
    return found


def _same(before: Record, after: Record) -> bool:
    """Whether nothing differs but what follows from the words and the count of changes."""
    kept = {name: getattr(before, name) for name in ("rev", *DERIVED)}
    return msgspec.structs.replace(after, **kept) == before


def _moment(text: str) -> datetime:
    from datetime import datetime

    return datetime.fromisoformat(text)
