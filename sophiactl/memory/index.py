"""Writing records so that retrieval finds them: what is embedded, and whose neighbours they are."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.memory.base import Equals, Point, Where

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sophiactl.memory.base import SparseVector, Store, Vector
    from sophiactl.memory.judging import Judge
    from sophiactl.memory.lexical import Lexicon
    from sophiactl.model import Record


def searchable_context(record: Record) -> str:
    """What a reader would know before reading the text: title and headings, without saying a heading twice."""
    heading = record.locator.heading if record.locator else None
    title = record.title
    if heading and title and (heading == title or heading.startswith(f"{title} › ")):
        title = None
    return " › ".join(part for part in (title, heading) if part)


def searchable_text(record: Record) -> str:
    """What is embedded and indexed for a record: its context, its author and its text."""
    context = searchable_context(record)
    text = f"{record.author}: {record.text}" if record.author and not _speaks(record) else record.text
    return f"{context}\n{text}" if context else text


def _speaks(record: Record) -> bool:
    return record.text.startswith(f"{record.author}:")


def write(
    store: Store, lexicon: Lexicon, records: Sequence[Record], vectors: Mapping[str, Vector], judge: Judge
) -> None:
    """Upsert records, each with the sparse shares of its neighbours, and refresh the neighbours already stored.

    `vectors` holds an L2-normalised row for each record's id. A record without `position` goes behind the last of its
    thread, in order of time. `judge` says what each is worth.
    """
    points: list[Point] = []
    rejudged: dict[str, dict[str, Any]] = {}
    refreshed: list[tuple[str, SparseVector]] = []
    for members, fresh in _threads(store, records):
        wanted = _around([member.id in fresh for member in members])
        for place in wanted:
            member, before = members[place], members[place - 1] if place else None
            window = [searchable_text(near) for near in members[max(0, place - 1) : place + 2]]
            sparse = lexicon.thread(window)[min(place, 1)]
            if member.id in fresh:
                points.append(Point(record=judge(member, before), dense=vectors[member.id], sparse=sparse))
            else:
                refreshed.append((member.id, sparse))
                rejudged[member.id] = judge.changed(member, before)
    store.upsert(points)
    if refreshed:
        store.set_sparse(refreshed)
    set_judged(store, rejudged)


def set_judged(store: Store, changes: Mapping[str, dict[str, Any]]) -> None:
    """Write what `Judge.changed` found of stored records, by their ids."""
    for name, fields in changes.items():
        if fields:
            store.set_fields([name], fields)


def _threads(store: Store, records: Sequence[Record]) -> Iterator[tuple[list[Record], set[str]]]:
    """Each thread touched by `records`: its members in order, old and new, and the ids of the new ones."""
    written = {record.id for record in records}  # one that moves is no member of its old thread any more
    alone = [record for record in records if record.thread is None]
    for record in alone:
        yield [record], {record.id}
    threaded = sorted((record for record in records if record.thread is not None), key=lambda r: r.thread or "")
    for thread, group in groupby(threaded, key=lambda record: record.thread or ""):
        fresh = list(group)
        names = {record.id for record in fresh}
        stored = [p.record for p in store.scroll(Where(all=(Equals("thread", thread),))) if p.record.id not in written]
        yield _in_order(stored, fresh), names


def _in_order(stored: list[Record], fresh: list[Record]) -> list[Record]:
    last = max((r.position for r in (*stored, *fresh) if r.position is not None), default=-1)
    placed = [*stored, *(r for r in fresh if r.position is not None)]
    unplaced = sorted((r for r in fresh if r.position is None), key=lambda r: r.created_at or "")
    placed += [msgspec.structs.replace(r, position=last + 1 + n) for n, r in enumerate(unplaced)]
    return sorted(placed, key=lambda r: (r.position or 0, r.created_at or "", r.id))


def _around(fresh: list[bool]) -> list[int]:
    """Places of the new members and of the neighbours whose context they change."""
    near = {place + step for place, new in enumerate(fresh) if new for step in (-1, 0, 1)}
    return sorted(place for place in near if 0 <= place < len(fresh))
