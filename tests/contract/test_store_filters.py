"""Filters and facets, the same over every store."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sophiactl.errors import UsageError
from sophiactl.memory.base import AnyOf, Equals, HasId, Point, SparseVector, Store, TimeRange, Where
from sophiactl.model import MemoryClass, MemoryState, Record


def point(user: str, **fields: Any) -> Point:
    return Point(Record(id=user, text="", **fields), np.ones(4, dtype=np.float32), SparseVector())


def ids(store: Store, *conditions: Any, none: tuple[Any, ...] = ()) -> list[str]:
    where = Where(conditions, none)
    found = sorted(one.record.id for one in store.scroll(where))
    assert store.count(where) == len(found)
    return found


@pytest.fixture
def filled(store: Store) -> Store:
    store.upsert(
        [
            point("a", thread="t1", tags=("x", "y"), pinned=True, created_at="2026-01-01T00:00:00Z", position=1),
            point("b", thread="t2", tags=("y",), created_at="2026-01-01T12:00:00.5Z", class_=MemoryClass.EPISODIC),
            point("c", thread="t1", created_at="2026-01-02T00:00:00Z", state=MemoryState.COLD, accesses=3),
            point("d", created_at="not a time", source="caf\udce9", metadata={"team": "x", "n": 1, "flag": False}),
            point("e", metadata={"team": ["x", "z"], "a b.c[0]": "odd", 'q"r': "quote", "flag": True, "": "empty"}),
            point("f", metadata={"a b": {"c[0]": "odd"}, 'q"r': True, "ü-ß": 7}),
        ]
    )
    return store


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Equals("thread", "t1"), "ac"),
        (Equals("class", "episodic"), "b"),
        (Equals("class", MemoryClass.EPISODIC), "b"),
        (Equals("state", "cold"), "c"),
        (Equals("tags", "y"), "ab"),
        (Equals("pinned", True), "a"),
        (Equals("pinned", False), "bcdef"),
        (Equals("accesses", 3), "c"),
        (Equals("position", 1), "a"),
        (Equals("source", "caf\udce9"), "d"),
        (Equals("source", "caf?"), "d"),
        (Equals("metadata.team", "x"), "de"),
        (Equals("metadata.n", 1), "d"),
        (Equals("metadata.flag", True), "e"),
        (Equals("metadata.flag", False), "d"),
        (Equals("metadata.a b.c[0]", "odd"), "e"),
        (Equals('metadata.q"r', "quote"), "e"),
        (Equals('metadata.q"r', True), "f"),
        (Equals("metadata.ü-ß", 7), "f"),
        (Equals("metadata.", "empty"), "e"),
        (Equals("metadata.none", "x"), ""),
        (AnyOf("thread", ("t1", "t2", "zz")), "abc"),
        (AnyOf("tags", ("x", "zz")), "a"),
        (AnyOf("tags", ()), ""),
        (AnyOf("metadata.team", ("z",)), "e"),
        (AnyOf('metadata.q"r', ("quote", "other")), "e"),
        (TimeRange("created_at"), "abc"),
        (TimeRange("created_at", since="2026-01-01"), "abc"),
        (TimeRange("created_at", since="2026-01-01T00:00:00.000001Z"), "bc"),
        (TimeRange("created_at", until="2026-01-02"), "ab"),
        (TimeRange("created_at", "2026-01-01T12:00:00Z", "2026-01-01T12:00:01Z"), "b"),
        (TimeRange("created_at", "2026-01-01T14:00:00+02:00", "2026-01-01T23:59:59-01:00"), "bc"),
        (HasId(("a", "f", "zz")), "af"),
        (HasId(()), ""),
    ],
    ids=repr,
)
def test_conditions(filled: Store, condition: Any, expected: str) -> None:
    assert ids(filled, condition) == list(expected)
    assert ids(filled, none=(condition,)) == [name for name in "abcdef" if name not in expected]


def test_conditions_together(filled: Store) -> None:
    assert ids(filled, Equals("thread", "t1"), Equals("pinned", True)) == ["a"]
    assert ids(filled, Equals("thread", "t1"), none=(Equals("pinned", True), HasId(("f",)))) == ["c"]
    assert ids(filled) == list("abcdef")


@pytest.mark.parametrize("condition", [Equals("nope", 1), TimeRange("created_at", "soon"), Equals("position", 2**64)])
def test_filters_that_make_no_sense(filled: Store, condition: Any) -> None:
    with pytest.raises(UsageError):
        filled.count(Where((condition,)))


def test_facets(filled: Store) -> None:
    assert filled.facet("thread") == {"t1": 2, "t2": 1}
    assert filled.facet("tags") == {"y": 2, "x": 1}
    assert filled.facet("class") == {"semantic": 5, "episodic": 1}
    assert filled.facet("state", Where((Equals("thread", "t1"),))) == {"active": 1, "cold": 1}
    assert filled.facet("metadata.team") == {"x": 2, "z": 1}
    assert filled.facet("title") == {}
    assert list(filled.facet("thread", limit=1)) == ["t1"]
    assert filled.facet("thread", limit=0) == {}
    with pytest.raises(UsageError):
        filled.facet("nope")


def test_info(filled: Store) -> None:
    info = filled.info()
    assert info.points == 6
    assert info.schema == filled.schema
    assert info.collection.endswith("main")
    assert info.bytes_on_disk is None or info.bytes_on_disk > 0


def test_optimize_changes_no_answer(filled: Store) -> None:
    before = {field: filled.facet(field) for field in ("class", "tags", "thread")}
    filled.optimize()
    assert {field: filled.facet(field) for field in before} == before
    assert ids(filled, TimeRange("created_at", "2026-01-02")) == ["c"]
    assert ids(filled, Equals("metadata.flag", True)) == ["e"]
