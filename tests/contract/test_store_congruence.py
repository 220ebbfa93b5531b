"""The same calls to the embedded store and to the server (or its stand-in), and the same answers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sophiactl.memory.base import (
    AnyOf,
    Equals,
    HasId,
    Hit,
    NumberRange,
    Point,
    SparseVector,
    Store,
    TimeRange,
    Where,
)
from sophiactl.memory.payload import FIELDS
from sophiactl.model import MemoryClass, MemoryState, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Store]

NAMES = [f"id {place}" for place in range(25)]
TERMS = range(1, 12)
TOLERANCE = 1e-4


class Chance:
    """Random arguments of every kind, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def names(self, most: int = 6) -> list[str]:
        return self.random.choices([*NAMES, "unknown"], k=self.random.randint(0, most))

    def dense(self) -> Any:
        return np.array([self.random.uniform(-1, 1) for _ in range(4)], dtype=np.float32)

    def sparse(self) -> SparseVector:
        indices = sorted(self.random.sample(TERMS, self.random.randint(0, 5)))
        return SparseVector(tuple(indices), tuple(self.random.uniform(0.1, 3) for _ in indices))

    def fields(self) -> dict[str, Any]:
        pick = self.random.choice
        every: dict[str, Any] = {
            "class": pick(list(MemoryClass)).value,
            "state": pick(list(MemoryState)).value,
            "thread": pick([None, "t1", "t2", "t3"]),
            "source": pick([None, "a.md", "caf\udce9"]),
            "created_at": pick([None, "2026-01-01T00:00:00Z", "2026-02-01T10:00:00.25Z", "2026-03-01T00:00:00Z"]),
            "pinned": pick([True, False]),
            "accesses": pick([0, 1, 5]),
            "tags": pick([[], ["x"], ["x", "y"]]),
            "keep_score": pick([None, 0.123456, 0.5, 0.987654321987654]),
            "keep_bucket": pick([None, 0, 31, 32, 255]),
            "cooled_at": pick([None, "2026-02-02T00:00:00Z"]),
            "merged_from": pick([[], ["a", "caf\udce9"]]),
            "metadata": pick([{}, {"flag": True}, {"flag": False, "n": 3}, {'q"r': "v"}, {"a.b": ["x", 1, None]}]),
        }
        return dict(self.random.sample(sorted(every.items()), self.random.randint(0, len(every))))

    def point(self) -> Point:
        given = {"class_" if name == "class" else name: value for name, value in self.fields().items()}
        for field in ("tags", "merged_from"):
            given[field] = tuple(given.get(field, ()))
        name = self.random.choice(NAMES)
        for field, kind in (("class_", MemoryClass), ("state", MemoryState)):
            if field in given:
                given[field] = kind(given[field])
        return Point(Record(id=name, text=f"text {self.random.random()}", **given), self.dense(), self.sparse())

    def condition(self) -> Any:
        return self.random.choice(
            [
                Equals("state", "active"),
                Equals("class", "episodic"),
                Equals("pinned", self.random.random() < 0.5),
                Equals("accesses", 1),
                Equals("metadata.flag", self.random.random() < 0.5),
                Equals("metadata.n", 3),
                Equals("metadata.a.b", "x"),
                Equals('metadata.q"r', "v"),
                Equals("source", "caf\udce9"),
                NumberRange("keep_score", most=0.5),
                NumberRange("keep_bucket", 31.5, 200),
                NumberRange("accesses", least=0.5),
                TimeRange("cooled_at", "2026-01-15"),
                AnyOf("thread", ("t1", "t3")),
                AnyOf("tags", ("y",)),
                TimeRange("created_at", "2026-01-15", None),
                TimeRange("created_at", None, "2026-02-01T10:00:00.25Z"),
                HasId(tuple(self.names(12))),
            ]
        )

    def where(self) -> Where:
        def some() -> tuple[Any, ...]:
            return tuple(self.condition() for _ in range(self.random.choice([0, 0, 1, 2])))

        return Where(some(), some())


def change(chance: Chance) -> Callable[[Store], None]:
    """One random change, to be applied to both stores."""
    kind = chance.random.choice(
        ["upsert", "upsert", "insert", "delete", "guarded", "fields", "guarded fields", "sparse"]
    )
    points = [chance.point() for _ in range(chance.random.randint(1, 8))]
    names, fields, where = chance.names(), chance.fields(), chance.where()
    vectors = [(name, chance.sparse()) for name in dict.fromkeys(names)]
    changes: dict[str, Callable[[Store], None]] = {
        "upsert": lambda store: store.upsert(points),
        "insert": lambda store: store.upsert(points, insert_only=True),
        "delete": lambda store: store.delete(names),
        "guarded": lambda store: store.delete(names, only=where),
        "fields": lambda store: store.set_fields(names, fields),
        "guarded fields": lambda store: store.set_fields(names, fields, only=where),
        "sparse": lambda store: store.set_sparse(vectors),
    }
    return changes[kind]


def contents(store: Store, where: Where) -> dict[str, Point]:
    return {point.record.id: point for point in store.scroll(where, vectors=True, page=7)}


def same_points(one: dict[str, Point], other: dict[str, Point]) -> None:
    assert one.keys() == other.keys()
    for name, point in one.items():
        assert point.record == other[name].record
        mine, theirs = point.sparse, other[name].sparse
        assert mine is not None
        assert theirs is not None
        assert mine.indices == theirs.indices
        assert mine.values == pytest.approx(theirs.values, abs=TOLERANCE)
        np.testing.assert_allclose(point.dense, other[name].dense, atol=TOLERANCE)


def same_hits(one: list[Hit], other: list[Hit]) -> None:
    """The same scores in the same order; ids as well, except among those that tie with the last."""
    assert [hit.score for hit in one] == pytest.approx([hit.score for hit in other], abs=TOLERANCE)
    assert [hit.score for hit in one] == sorted((hit.score for hit in one), reverse=True)
    if one:
        edge = one[-1].score + 2 * TOLERANCE
        assert {hit.id for hit in one if hit.score > edge} == {hit.id for hit in other if hit.score > edge}


@pytest.mark.parametrize("seed", range(6))
def test_the_same_calls_give_the_same_answers(open_pair: tuple[Open, Open], seed: int) -> None:
    chance = Chance(seed)
    open_edge, open_server = open_pair
    with open_edge() as edge, open_server() as server:
        for _ in range(25):
            apply, where, names = change(chance), chance.where(), chance.names()
            apply(edge)
            apply(server)
            same_points(contents(edge, where), contents(server, where))
            assert edge.count(where) == server.count(where)
            assert edge.get(names) == server.get(names)
            for field in ("class", "state", "thread", "tags", "metadata.a.b", "source"):
                assert edge.facet(field, where) == server.facet(field, where)
            for field in ("accesses", "rev", "position", "keep_bucket"):
                assert edge.histogram(field, where) == server.histogram(field, where)
            wanted = chance.random.sample(sorted(FIELDS), 5)
            mine, theirs = ({row["id"]: row for row in one.rows(["id", *wanted], where)} for one in (edge, server))
            assert mine == theirs
            dense, sparse, limit = chance.dense(), chance.sparse(), chance.random.randint(1, 30)
            same_hits(edge.search_dense(dense, limit, where), server.search_dense(dense, limit, where))
            same_hits(edge.search_sparse(sparse, limit, where), server.search_sparse(sparse, limit, where))
        everything = contents(edge, Where())
        same_points(everything, contents(server, Where()))
    with open_edge() as edge:
        same_points(contents(edge, Where()), everything)
