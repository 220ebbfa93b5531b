"""Filters and facets, the same over every store."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest

from sophiactl.errors import UsageError
from sophiactl.memory.base import AnyOf, Equals, HasId, NumberRange, Point, SparseVector, Store, TimeRange, Where
from sophiactl.memory.payload import dumps
from sophiactl.model import MemoryClass, MemoryState, Record


def point(user: str, **fields: Any) -> Point:
    return Point(Record(id=user, text="", **fields), np.ones(4, dtype=np.float32), SparseVector())


def ids(store: Store, *conditions: Any, none: tuple[Any, ...] = ()) -> list[str]:
    where = Where(conditions, none)
    found = sorted(one.record.id for one in store.scroll(where))
    assert store.count(where) == len(found)
    return found


COLD: dict[str, Any] = {"keep_score": 0.123456, "keep_bucket": 31, "cooled_at": "2026-03-01T00:00:00Z"}


@pytest.fixture
def filled(store: Store) -> Store:
    store.upsert(
        [
            point("a", thread="t1", tags=("x", "y"), pinned=True, created_at="2026-01-01T00:00:00Z", position=1),
            point("b", thread="t2", tags=("y",), created_at="2026-01-01T12:00:00.5Z", class_=MemoryClass.EPISODIC),
            point("c", thread="t1", created_at="2026-01-02T00:00:00Z", state=MemoryState.COLD, accesses=3, **COLD),
            point("d", created_at="not a time", source="caf\udce9", metadata={"team": "x", "n": 1, "flag": False}),
            point("e", metadata={"team": ["x", "z"], "a b.c[0]": "odd", 'q"r': "quote", "flag": True, "": "empty"}),
            point("f", metadata={"a b": {"c[0]": "odd"}, 'q"r': True, "ü-ß": 7}, keep_score=0.25, keep_bucket=64),
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
        (TimeRange("cooled_at", until="2026-03-01T00:00:01Z"), "c"),
        (NumberRange("keep_score"), "cf"),
        (NumberRange("keep_score", 0.123456, 0.123456), "c"),
        (NumberRange("keep_score", most=0.2499999), "c"),
        (NumberRange("keep_score", least=0.25), "f"),
        (NumberRange("keep_score", 0.25, 0.2), ""),
        (NumberRange("keep_bucket", 30.5, 63.9), "c"),
        (NumberRange("keep_bucket", 31.5, 64.5), "f"),
        (NumberRange("keep_bucket", -math.inf, math.inf), "cf"),
        (NumberRange("keep_bucket", least=math.inf), ""),
        (NumberRange("accesses", most=-math.inf), ""),
        (NumberRange("accesses", least=1), "c"),
        (NumberRange("position", 1, 1), "a"),
        (NumberRange("metadata.n", 0.5, 1.5), "d"),
        (NumberRange("metadata.team"), ""),
        (NumberRange("metadata.flag", 0, 1), ""),
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


@pytest.mark.parametrize(
    "condition",
    [
        Equals("nope", 1),
        TimeRange("created_at", "soon"),
        Equals("position", 2**64),
        NumberRange("nope", 1),
        NumberRange("pinned", 0),
        NumberRange("created_at"),
        NumberRange("keep_score", math.nan),
    ],
)
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


# Partial reads


def test_rows_are_parts_of_records_as_in_json(filled: Store) -> None:
    wanted = ("id", "class", "rev", "keep_score", "source", "tags", "metadata", "locator", "cooled_at")
    found = {row["id"]: row for row in filled.rows(wanted)}
    for one in filled.scroll():
        whole = json.loads(dumps(msgspec.to_builtins(one.record)))
        assert found[one.record.id] == {name: whole[name] for name in wanted if whole[name] not in (None, [], {})}
    assert len(found) == 6


def test_rows_hold_exact_values(store: Store) -> None:
    odd: dict[str, Any] = {"keep_score": 0.1234567890123456789, "likeness": "\ud800", "merged_from": ("\udcff", "b")}
    hostile = ["caf\udce9", "line\nbreak", "\x00", "", "ünï"]
    store.upsert([point(name, metadata={"big": 2**70}, **odd) for name in hostile])
    found = list(store.rows(["id", "keep_score", "likeness", "merged_from", "metadata"]))
    assert sorted(row["id"] for row in found) == sorted(hostile)
    for row in found:
        del row["id"]
        assert row == {**odd, "merged_from": ["\udcff", "b"], "metadata": {"big": 2**70}}


def test_rows_without_what_was_taken_away(store: Store) -> None:
    store.upsert([point("a", keep_score=0.5, tags=("x",)), point("b", keep_score=0.5)])
    store.set_fields(["a"], {"keep_score": None, "tags": []})
    assert sorted(map(len, store.rows(["keep_score", "tags"]))) == [0, 1]
    assert {row["id"]: row.get("keep_score") for row in store.rows(["id", "keep_score"])} == {"a": None, "b": 0.5}


def test_rows_are_in_the_order_of_scroll_whatever_the_page(filled: Store) -> None:
    order = [one.record.id for one in filled.scroll()]
    for page in (0, 1, 2, 5, 6, 7):
        assert [row["id"] for row in filled.rows(["id"], page=page)] == order
    assert [row["id"] for row in filled.rows(["id"], Where((Equals("thread", "t1"),)))] == [
        name for name in order if name in "ac"
    ]
    assert list(filled.rows([])) == [{}] * 6


def test_rows_of_fields_that_no_record_has(filled: Store) -> None:
    for field in ("nope", "metadata.team", "_pinned", "_exact_id", ""):
        with pytest.raises(UsageError):
            list(filled.rows(["id", field]))


def test_histograms(filled: Store) -> None:
    assert filled.histogram("accesses") == {0: 5, 3: 1}
    assert filled.histogram("keep_bucket") == {31: 1, 64: 1}
    assert filled.histogram("position") == {1: 1}
    assert filled.histogram("rev", Where((Equals("thread", "t1"),))) == {1: 2}
    assert filled.histogram("keep_bucket", Where((Equals("state", "cold"),))) == {31: 1}
    assert filled.histogram("keep_bucket", Where((HasId(()),))) == {}
    filled.set_fields(["c"], {"keep_bucket": None})
    assert filled.histogram("keep_bucket") == {64: 1}
    for field in ("keep_score", "pinned", "class", "metadata.n", "nope"):
        with pytest.raises(UsageError):
            filled.histogram(field)


def test_a_histogram_of_very_many_values(store: Store) -> None:
    store.upsert([point(f"n{place}", accesses=place) for place in range(4100)])
    assert store.histogram("accesses") == dict.fromkeys(range(4100), 1)


def test_a_store_that_nobody_writes_to_is_not_busy(filled: Store) -> None:
    assert filled.busy() is None


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
