from __future__ import annotations

import json
import math
import uuid
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import InvalidVector, StoreError, StoreMismatch, UsageError
from sophiactl.memory.base import AnyOf, CollectionSchema, Equals, HasId, NumberRange, SparseVector, TimeRange
from sophiactl.memory.filters import Among, Between, Match, MatchAny, Span, clause
from sophiactl.memory.payload import FIELDS, decode, encode, encode_fields, facet_value, row, row_keys, user_id
from sophiactl.memory.points import PointIds, check_name, check_schema, checked_rows, checked_sparse, read_schema
from sophiactl.model import Locator, MemoryClass, MemoryState, Record

ANY_TEXT = st.text(st.characters(codec=None))
"""Any string of Python's, lone surrogates and NUL included."""

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3))
SMALL = st.integers(-(2**63), 2**63 - 1)
TIMES = st.none() | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
MAYBE = st.none() | ANY_TEXT

RECORDS = st.builds(
    Record,
    id=ANY_TEXT,
    text=ANY_TEXT,
    class_=st.sampled_from(MemoryClass),
    state=st.sampled_from(MemoryState),
    created_at=TIMES,
    updated_at=TIMES,
    title=MAYBE,
    author=MAYBE,
    source=MAYBE,
    url=MAYBE,
    locator=st.none() | st.builds(Locator, page=st.none() | SMALL, heading=MAYBE, line=st.none() | SMALL),
    thread=MAYBE,
    position=st.none() | SMALL,
    pinned=st.booleans(),
    accesses=SMALL,
    last_accessed=TIMES,
    rev=SMALL,
    tags=st.lists(ANY_TEXT, max_size=3).map(tuple),
    metadata=st.dictionaries(ANY_TEXT, VALUES, max_size=4),
    keep_score=st.none() | st.floats(0, 1),
    keep_bucket=st.none() | st.integers(0, 255),
    keep_model=MAYBE,
    likeness=MAYBE,
    merged_from=st.lists(ANY_TEXT, max_size=3).map(tuple),
    cooled_at=TIMES,
)

IDS = PointIds("main")


def through_json(payload: dict[str, Any]) -> dict[str, Any]:
    """What an engine does to a payload; strict, as they are."""
    found: dict[str, Any] = json.loads(json.dumps(payload, allow_nan=False, ensure_ascii=False).encode())
    return found


@given(RECORDS)
def test_a_record_comes_back_exactly(record: Record) -> None:
    assert decode(through_json(encode(record))) == record


@given(RECORDS)
def test_an_engine_can_hold_every_value(record: Record) -> None:
    payload = encode(record)

    def check(value: Any, depth: int) -> None:
        assert depth < 40
        if isinstance(value, dict):
            for key, item in value.items():
                key.encode()
                check(item, depth + 1)
        elif isinstance(value, list | tuple):
            for item in value:
                check(item, depth + 1)
        elif isinstance(value, str):
            value.encode()
        elif isinstance(value, float):
            assert math.isfinite(value)
        elif isinstance(value, int):
            assert -(2**63) <= value < 2**63

    check(payload, 0)


@given(RECORDS, RECORDS)
def test_setting_every_field_makes_one_record_the_other(old: Record, new: Record) -> None:
    new = msgspec.structs.replace(new, id=old.id)
    fields = {name: getattr(new, name.replace("class", "class_")) for name in FIELDS if name != "id"}
    assert decode(through_json({**encode(old), **encode_fields(fields)})) == new


@given(RECORDS, st.lists(st.sampled_from(sorted(FIELDS)), unique=True))
def test_a_row_is_a_part_of_the_record(record: Record, fields: list[str]) -> None:
    whole, keys = through_json(encode(record)), row_keys(fields)
    json_form = json.loads(json.dumps(msgspec.to_builtins(record)))
    held = {name: value for name, value in json_form.items() if value is not None}
    found = row({key: value for key, value in whole.items() if key in keys})
    assert repr(found) == repr({name: found[name] for name in found if name in fields})
    for name in fields:
        if name in held and held[name] not in ([], {}):
            assert repr(found[name]) == repr(held[name])


@given(RECORDS)
def test_the_id_is_read_without_the_rest(record: Record) -> None:
    assert user_id(through_json(encode(record))) == record.id


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, 2**64, -(2**63) - 1, 1e308, 5e-324, -3.681203664508997e-197, -0.0]
)
def test_numbers_that_engines_change(value: float) -> None:
    payload = through_json(encode(Record(id="a", text="", metadata={"k": value})))
    found = decode(payload).metadata["k"]
    assert found == value
    assert math.copysign(1, found) == math.copysign(1, value)
    assert type(found) is type(value)


def test_nan_comes_back() -> None:
    assert math.isnan(decode(through_json(encode(Record(id="a", text="", metadata={"k": math.nan})))).metadata["k"])


def test_deep_nesting_comes_back_but_the_engine_never_sees_it() -> None:
    nested: Any = 1
    for _ in range(300):
        nested = {"k": [nested]}
    payload = encode(Record(id="a", text="", metadata=nested))
    assert decode(payload).metadata == nested
    depth, value = 0, payload["metadata"]
    while isinstance(value, dict | list) and value:
        value, depth = value["k"] if isinstance(value, dict) else value[0], depth + 1
    assert depth < 40


def test_empty_fields_are_not_stored_and_those_that_filters_need_always_are() -> None:
    assert encode(Record(id="a", text="")) == {
        "id": "a",
        "text": "",
        "class": "semantic",
        "state": "active",
        "pinned": False,
        "_pinned": 0,
        "accesses": 0,
        "rev": 1,
    }


def test_an_empty_text_is_not_the_same_as_none() -> None:
    assert decode(encode(Record(id="a", text="", title="", locator=Locator()))) == Record(
        id="a", text="", title="", locator=Locator()
    )


@pytest.mark.parametrize("value", [object(), {1, object()}, 10**5000], ids=["object", "set", "huge"])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(StoreError):
        encode(Record(id="a", text="", metadata={"k": value}))


def test_metadata_that_contains_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["k"] = loop
    with pytest.raises(StoreError):
        encode(Record(id="a", text="", metadata=loop))


@pytest.mark.parametrize("fields", [{"accesses": 2**63}, {"last_accessed": "\ud800"}])
def test_a_plain_field_out_of_range_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="cannot be stored"):
        encode_fields(fields)


@pytest.mark.parametrize("fields", [{"id": "b"}, {"class_": "source"}, {"nope": 1}, {"class": "x"}, {"text": None}])
def test_fields_that_cannot_be_set(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        encode_fields(fields)


@pytest.mark.parametrize(
    "payload", [None, {}, {"id": 5, "text": "x"}, {"id": "a"}, {"id": "a", "text": "", "_exact_text": "{"}]
)
def test_what_another_program_wrote_is_named(payload: dict[str, Any] | None) -> None:
    with pytest.raises(StoreError):
        decode(payload)


def test_a_facet_reads_the_exact_value() -> None:
    payload = encode(Record(id="a", text="", source="caf\udce9", metadata={"k": 2**70, "team": "a"}))
    assert facet_value(payload, "source") == "caf\udce9"
    assert facet_value(payload, "metadata.team") == "a"
    assert facet_value(payload, "metadata.none") is None


# Point ids


@given(st.text(), st.from_regex(r"\A[a-z][a-z0-9._-]{0,9}\Z"))
def test_point_ids_are_uuid5(user: str, collection: str) -> None:
    namespace = uuid.uuid5(uuid.UUID("b1d1f0c4-6a35-5f0e-9c57-2f5f0d6f7e11"), collection)
    assert PointIds(collection)(user) == str(uuid.uuid5(namespace, user))


def test_point_ids_never_change() -> None:
    # Stored collections depend on it.
    assert PointIds("main")("a") == "6922dde0-d433-50d0-ae3d-7b2c0b2badaa"


def test_odd_names_have_ids_too() -> None:
    assert uuid.UUID(IDS("caf\udce9")).version == 5


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a" * 101, "a b", "ü", "a\n"])
def test_names_that_no_collection_may_have(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


# Vectors


def test_rows_are_unit_vectors_and_zero_stays_zero() -> None:
    rows = checked_rows([[3.0, 4.0], [0.0, 0.0], [1e300, 1e300], [1e-300, 0.0]], 2)
    assert rows.dtype == np.float32
    half: float = 0.5**0.5
    assert np.allclose(rows, np.array([[0.6, 0.8], [0, 0], [half, half], [1, 0]]), atol=1e-6)


@given(st.integers(0, 2**32), st.integers(1, 1024), st.floats(-30, 30))
def test_unit_vectors_stay_as_they_are(seed: int, dimension: int, power: float) -> None:
    rows = np.random.default_rng(seed).normal(size=(20, dimension)) * 10.0**power
    once = checked_rows(list(rows.astype(np.float32)), dimension)
    again = checked_rows(list(once), dimension)
    assert again.tobytes() == once.tobytes()
    squares = (once.astype(np.float64) ** 2).sum(axis=1)
    # The engine leaves alone what is this near to 1.
    assert np.abs(squares - 1).max() < 1e-6


@pytest.mark.parametrize(("length", "left"), [(1 + 3e-7, True), (1 - 3e-7, True), (1 + 1e-6, False), (0.5, False)])
def test_only_what_is_nearly_a_unit_vector_stays(length: float, *, left: bool) -> None:
    row = np.array([0.6 * length, 0.8 * length], dtype=np.float32)
    assert (checked_rows([row], 2)[0].tobytes() == row.tobytes()) is left


def test_zeros_keep_their_sign() -> None:
    row = np.array([0.0, -0.0, 0.0], dtype=np.float32)
    assert checked_rows([row], 3)[0].tobytes() == row.tobytes()


@pytest.mark.parametrize("vector", [None, [1.0], [[1.0, 2.0]], [math.nan, 0.0], [math.inf, 0.0], 5.0])
def test_vectors_that_are_refused(vector: Any) -> None:
    with pytest.raises(InvalidVector):
        checked_rows([[1.0, 0.0], vector], 2)


@pytest.mark.parametrize(
    ("indices", "values"),
    [
        ((1,), ()),
        ((1, 1), (1.0, 1.0)),
        ((2, 1), (1.0, 1.0)),
        ((-1,), (1.0,)),
        ((2**32,), (1.0,)),
        ((1,), (math.nan,)),
        ((1, 2), (1.0, math.nan)),
        ((1,), (math.inf,)),
        ((1, 2), (math.inf, -math.inf)),
        ((1,), (1e39,)),
    ],
)
def test_sparse_vectors_that_are_refused(indices: tuple[int, ...], values: tuple[float, ...]) -> None:
    with pytest.raises(InvalidVector):
        checked_sparse(SparseVector(indices, values))


def test_a_missing_sparse_vector_is_refused() -> None:
    with pytest.raises(InvalidVector):
        checked_sparse(None)


# Filters


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Equals("thread", "t"), Match("thread", "t")),
        (Equals("class", MemoryClass.SOURCE), Match("class", "source")),
        (Equals("position", 3), Match("position", 3)),
        (Equals("pinned", True), Match("_pinned", 1)),
        (Equals("text", True), Among([])),
        (Equals("metadata.a b.c[0]", "x"), Match('metadata."a b.c[0]"', "x")),
        (Equals("metadata.flag", False), Match("_terms_metadata", '"flag"=false')),
        (Equals('metadata.q"r', "x"), Match("_terms_metadata", '"q\\"r"="x"')),
        (Equals("source", "caf\udce9"), Match("_exact_source", '"caf\\udce9"')),
        (AnyOf("tags", ("a", "b")), MatchAny("tags", ["a", "b"])),
        (AnyOf("tags", ()), Among([])),
        (NumberRange("keep_score", 0.1, 0.5), Span("keep_score", 0.1, 0.5)),
        (NumberRange("keep_bucket", 0.1, 31.9), Span("keep_bucket", 1.0, 31.0)),
        (NumberRange("rev", None, math.inf), Span("rev", None, None)),
        (NumberRange("metadata.a", 0.1), Span('metadata."a"', 0.1, None)),
        (NumberRange("rev", 2, 1), Among([])),
        (HasId(("a", "a")), Among([IDS("a")])),
        (
            TimeRange("created_at", "2026-01-31", "2026-01-31T10:00:00+02:00"),
            Between("created_at", "2026-01-31T00:00:00.000000Z", "2026-01-31T08:00:00.000000Z"),
        ),
    ],
)
def test_conditions_become_clauses(condition: Any, expected: Any) -> None:
    assert clause(condition, IDS, booleans=False) == expected


def test_an_engine_that_matches_booleans_is_asked_for_them() -> None:
    assert clause(Equals("pinned", True), IDS, booleans=True) == Match("pinned", True)
    assert clause(Equals("metadata.f", True), IDS, booleans=True) == Match('metadata."f"', True)


@pytest.mark.parametrize(
    "condition",
    [
        Equals("nope", 1),
        Equals("position", 2**63),
        TimeRange("created_at", "yesterday"),
        TimeRange('metadata.q"r', "2026-01-01"),
        AnyOf("source", ("plain", "caf\udce9")),
    ],
)
def test_conditions_that_make_no_sense(condition: Any) -> None:
    with pytest.raises(UsageError):
        clause(condition, IDS, booleans=False)


# Schemas

SCHEMA = CollectionSchema(model="mini", revision="a" * 64, dimension=384)


def test_the_stored_schema_wins_where_it_may() -> None:
    wanted = msgspec.structs.replace(SCHEMA, average_length=99.0)
    assert check_schema("main", SCHEMA, wanted) is SCHEMA
    assert check_schema("main", SCHEMA, None) is SCHEMA


@pytest.mark.parametrize(
    "change", [{"model": "maxi"}, {"revision": "b" * 64}, {"dimension": 8}, {"language": "german"}]
)
def test_another_model_is_refused_and_both_are_named(change: dict[str, Any]) -> None:
    other = msgspec.structs.replace(SCHEMA, **change)
    with pytest.raises(StoreMismatch) as caught:
        check_schema("main", SCHEMA, other)
    assert str(next(iter(change.values())))[:8] in caught.value.message
    assert "mini" in caught.value.message
    assert caught.value.hint is not None
    assert "--collection" in caught.value.hint


def test_a_newer_layout_is_refused_even_if_it_looks_different() -> None:
    with pytest.raises(StoreMismatch, match="layout 99"):
        read_schema({"version": 99, "something": "else"}, "main")


@pytest.mark.parametrize("raw", [None, [], {}, {"version": "x"}, {"version": 1}, {"version": 1, "model": 3}])
def test_a_schema_that_says_nothing(raw: Any) -> None:
    with pytest.raises(StoreError):
        read_schema(raw, "main")
