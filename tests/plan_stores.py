"""Memories to plan for, and a store that holds them in a list, in the order given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.memory.base import EVERYTHING, CollectionSchema, HasId, Point, StoreInfo
from sophiactl.memory.plan_file import read_lines
from sophiactl.memory.planning import PlanRequest, make_plan
from sophiactl.memory.policy import ClassPolicies, ClassPolicy, PruneConfig
from sophiactl.memory.worth import MODEL_VERSION, keep_bucket
from sophiactl.model import MemoryClass, MemoryState, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sophiactl.memory.base import Store, Where
    from sophiactl.memory.plan_file import Line
    from sophiactl.memory.planning import Planned

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCHEMA = CollectionSchema(model="mini", revision="a" * 64, dimension=4)


def days_ago(days: float) -> str:
    return (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def memory(name: str, worth: float | None = 0.1, *, age: float = 400, **fields: Any) -> Record:
    """An old talk of this worth, judged as it would be when written."""
    known: dict[str, Any] = {
        "class_": MemoryClass.EPISODIC,
        "created_at": days_ago(age),
        "keep_score": worth,
        "keep_bucket": None if worth is None else keep_bucket(worth),
        "keep_model": None if worth is None else f"learned-{MODEL_VERSION}",
    }
    return Record(id=name, text=f"text of {name}", **{**known, **fields})


def config(class_: str = "episodic", *, policy: dict[str, Any] | None = None, **settings: Any) -> PruneConfig:
    """Settings under which one class forgets, all of it in one run unless told otherwise."""
    own = ClassPolicy(**{"policy": "learned", "ttl_days": 180.0, "min_keep": 0, **(policy or {})})
    others = dict.fromkeys((name.value for name in MemoryClass), ClassPolicy())
    classes = ClassPolicies(**{**others, class_: own})
    return PruneConfig(**{"max_fraction": 1.0, "classes": classes, **settings})


class ListStore:
    """As much of a store as a plan reads; `bad` fields take the place of those of a record."""

    schema = SCHEMA

    def __init__(self, records: Sequence[Record], bad: dict[str, dict[str, Any]] | None = None) -> None:
        self.records = list(records)
        self.bad = bad or {}
        self.read: list[tuple[str, ...]] = []
        self.emptied_after: int | None = None

    def rows(self, fields: Sequence[str], where: Where = EVERYTHING, *, page: int = 5000) -> Iterator[dict[str, Any]]:
        del page
        self.read.append(tuple(fields))
        if self.emptied_after is not None and len(self.read) > self.emptied_after:
            return
        wanted = None
        for condition in where.all:
            assert isinstance(condition, HasId), "this double filters by id alone"
            wanted = set(condition.ids)
        for record in self.records:
            if wanted is None or record.id in wanted:
                stored = {**msgspec.to_builtins(record), **self.bad.get(record.id, {})}
                yield {name: stored[name] for name in fields if stored.get(name) is not None}

    def get(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        del vectors
        found = {record.id: record for record in self.records}
        return [Point(found[name]) for name in ids if name in found]

    def info(self) -> StoreInfo:
        return StoreInfo("list", "main", len(self.records), SCHEMA, "here", 1000 * len(self.records))


def plan(
    store: Store | ListStore | Sequence[Record],
    settings: PruneConfig,
    folder: Path,
    *,
    name: str = "p1",
    filtered: bool | None = None,
    now: datetime = NOW,
    **request: Any,
) -> tuple[Planned, list[Line]]:
    """Make a plan and read its lines."""
    held: Any = store if hasattr(store, "rows") else ListStore(store)
    path = folder / f"{name}.jsonl"
    wanted = PlanRequest(**request)
    made = make_plan(held, settings, wanted, path=path, plan_id=name, now=now, place="here", filtered=filtered)
    return made, list(read_lines(path))


def ids(lines: Sequence[Line]) -> list[str]:
    return [line.id for line in lines]


COLD = MemoryState.COLD
