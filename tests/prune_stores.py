"""Small memories to prune, and a look at everything that a store holds, to the last bit."""

from __future__ import annotations

import random
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from sophiactl.memory import prune_folder
from sophiactl.memory.apply import apply
from sophiactl.memory.base import CollectionSchema, Point, SparseVector
from sophiactl.memory.payload import encode
from sophiactl.memory.plan_file import Header, Line, write_plan
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.memory.restore import restore
from sophiactl.model import MemoryClass, MemoryState, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sophiactl.memory.apply import ApplyReport
    from sophiactl.memory.base import Store
    from sophiactl.memory.restore import RestoreReport

DIMENSION = 8
SCHEMA = CollectionSchema(model="mini", revision="a" * 64, dimension=DIMENSION)
CREATED = "2026-03-01T09:00:00Z"
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


class Place:
    """A collection on the embedded engine with its folder of pruning, and a clock that moves on when it is read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = prune_folder.PruneFolder(root / "prune", "main")
        self.opened = 0
        self.waited: list[float] = []
        self._now = NOW
        with self.store():
            pass

    def clock(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    @contextmanager
    def store(self) -> Iterator[Store]:
        self.opened += 1
        options: dict[str, Any] = {"create": True, "lock_timeout": 10, "purpose": "a test"}
        with EdgeStore.open(self.root / "memory", "main", SCHEMA, **options) as store:
            yield store

    def fill(self, points: Sequence[Point]) -> None:
        with self.store() as store:
            store.upsert(points)

    def facts(self) -> dict[str, bytes]:
        """Every memory as bytes: its record, its dense and its sparse vector."""
        with self.store() as store:
            return {point.record.id: facts_of(point) for point in store.scroll(vectors=True)}

    def records(self) -> dict[str, Record]:
        with self.store() as store:
            return {point.record.id: point.record for point in store.scroll()}

    def plan(self, lines: Iterable[Line], name: str = "p1") -> Header:
        self.folder.prepare()
        return write_plan(self.folder.plan(name), header(name), lines)

    def apply(self, made: Header, **options: Any) -> ApplyReport:
        settings: dict[str, Any] = {
            "clock": self.clock,
            "progress": lambda _: None,
            "stop": lambda: False,
            "wait": self.waited.append,
            "batch": 3,
        }
        return apply(self.folder.plan(made.id), made, self.store, self.folder, **(settings | options))

    def restore(self, plan_id: str | None = None, **options: Any) -> RestoreReport:
        settings: dict[str, Any] = {"clock": self.clock, "progress": lambda _: None, "wait": self.waited.append}
        return restore(self.folder, self.store, plan_id=plan_id, **(settings | options))


def header(name: str = "p1") -> Header:
    return Header(
        id=name,
        collection="main",
        place="here",
        config="0" * 64,
        model="1",
        policies={"episodic": "learned"},
        created=CREATED,
        expires="2026-03-08T09:00:00Z",
        before=0,
    )


def point(name: str, number: int = 0, **fields: Any) -> Point:
    chance = random.Random(number)
    fields = {"class_": MemoryClass.EPISODIC, "created_at": "2025-01-01T00:00:00Z", **fields}
    row = np.array([chance.uniform(-1, 1) for _ in range(DIMENSION)], dtype=np.float32)
    weights = {chance.randrange(2**32): chance.uniform(0.1, 3) for _ in range(chance.randrange(5))}
    indices = tuple(sorted(weights))
    sparse = SparseVector(indices, tuple(weights[index] for index in indices))
    return Point(Record(id=name, text=fields.pop("text", f"text of {name}"), **fields), row, sparse)


def line(name: str, **fields: Any) -> Line:
    usual: dict[str, Any] = {"rev": 1, "class_": "episodic", "score": 0.1, "action": "archive", "reason": "worth"}
    return Line(id=name, **(usual | fields))


def facts_of(found: Point) -> bytes:
    assert found.sparse is not None
    return msgspec.msgpack.encode([encode(found.record), repr(found.record), found.dense.tobytes(), repr(found.sparse)])


def a_mixed_memory(size: int, seed: int) -> tuple[list[Point], list[Line]]:
    """Memories of every kind, and a plan that archives, cools and merges about half of them."""
    chance = random.Random(seed)
    points: list[Point] = []
    lines: list[Line] = []
    for number in range(size):
        name = chance.choice((f"m{number}", f"ünï {number}\n", f"odd \udce9 {number}"))
        rev = chance.randint(1, 3)
        fields: dict[str, Any] = {"rev": rev, "thread": f"t{number % 7}", "position": number}
        if chance.random() < 0.3:
            fields["metadata"] = {"n": chance.random(), "l": [1, "x", None], "big": 2**70}
        if chance.random() < 0.2 and points:
            keeper = chance.choice(points).record
            if keeper.likeness and not any(one.id == keeper.id for one in lines):
                points.append(point(name, number, likeness=keeper.likeness, **fields))
                lines.append(line(name, rev=rev, reason="duplicate", near_dup_of=keeper.id))
                continue
        kind = chance.random()
        cold = kind < 0.15
        if cold:
            fields |= {"state": MemoryState.COLD, "cooled_at": "2026-01-01T00:00:00Z"}
        points.append(point(name, number, likeness=f"like {number}", **fields))
        if kind < 0.35:
            lines.append(line(name, rev=rev, reason="cold" if cold else "expired"))
        elif kind < 0.5:
            lines.append(line(name, rev=rev, action="cool"))
    # A keeper must stay: its own line came before the copy was made.
    kept = {one.near_dup_of for one in lines}
    return points, [one for one in lines if one.id not in kept]
