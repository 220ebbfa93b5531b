from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from sophiactl.errors import InvalidVector, NotFound, StoreError, StoreMismatch, UsageError
from sophiactl.memory.base import CollectionSchema, Equals, HasId, Point, SparseVector, Store, TimeRange, Where
from sophiactl.model import Locator, MemoryClass, MemoryState, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Store]

EMPTY = SparseVector()


def point(user: str, dense: Any = (1, 0, 0, 0), sparse: SparseVector = EMPTY, **fields: Any) -> Point:
    return Point(Record(id=user, text=f"text of {user}", **fields), np.asarray(dense, dtype=np.float32), sparse)


def ids(store: Store, *conditions: Any, none: tuple[Any, ...] = ()) -> list[str]:
    where = Where(conditions, none)
    found = sorted(one.record.id for one in store.scroll(where))
    assert store.count(where) == len(found)
    return found


RICH = Record(
    id="ünï \x00 id",
    text="Ein Text\x00 mit allem: 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    class_=MemoryClass.SOURCE,
    state=MemoryState.COLD,
    created_at="2026-01-02T03:04:05Z",
    updated_at="2026-01-02T03:04:05.678Z",
    title="",
    author="caf\udce9",
    source="a/b.md",
    url="https://example.com/?q=1#x",
    locator=Locator(page=3, heading="A › B", line=1, end_line=2, start=0, end=9),
    thread="t",
    position=0,
    pinned=True,
    accesses=7,
    last_accessed="2026-02-02T00:00:00Z",
    rev=3,
    tags=("x", "y"),
    keep_score=0.123456,
    keep_bucket=31,
    keep_model="learned-1",
    likeness="0f" * 16,
    merged_from=("b", "caf\udce9", "\n"),
    cooled_at="2026-03-02T00:00:00Z",
    metadata={
        "f": 0.1,
        "ulp": -3.681203664508997e-197,
        "big": 2**100,
        "n": None,
        "l": [1, True, "x", {"y": []}],
        "e": {},
    },
)


HOSTILE = ["caf\udce9", "line\nbreak", "\x00", "", '"; DROP', "ünï 𝔘", "a" * 5000, "[]", "\udc00\ud800"]


def test_it_is_a_store(store: Store) -> None:
    assert isinstance(store, Store)


def test_a_record_and_its_vectors_come_back(store: Store) -> None:
    store.upsert([Point(RICH, np.array([3, 0, 4, 0], dtype=np.float32), SparseVector((1, 4_000_000_000), (0.5, 2.0)))])
    (found,) = store.get([RICH.id], vectors=True)
    assert found.record == RICH
    assert found.dense.dtype == np.float32
    np.testing.assert_allclose(found.dense, [0.6, 0, 0.8, 0], atol=1e-6)
    assert found.sparse == SparseVector((1, 4_000_000_000), (0.5, 2.0))


def test_vectors_come_only_when_asked_for(store: Store) -> None:
    store.upsert([point("a")])
    (found,) = store.get(["a"])
    assert found.dense is None
    assert found.sparse is None


def test_get_keeps_the_order_and_leaves_out_the_unknown(store: Store) -> None:
    store.upsert([point(name) for name in "abc"])
    assert [one.record.id for one in store.get(["c", "zz", "a"])] == ["c", "a"]
    assert store.get([]) == []


def test_upsert_replaces_and_the_last_of_two_wins(store: Store) -> None:
    store.upsert([point("a", title="old", author="somebody")])
    store.upsert([point("a", title="newer"), point("a", title="newest", dense=(0, 1, 0, 0))])
    (found,) = store.get(["a"], vectors=True)
    assert (found.record.title, found.record.author) == ("newest", None)
    np.testing.assert_allclose(found.dense, [0, 1, 0, 0])
    assert store.count() == 1


def test_insert_only_leaves_what_is_there(store: Store) -> None:
    store.upsert([point("a", title="old")])
    store.upsert([point("a", title="new"), point("b", title="first"), point("b", title="second")], insert_only=True)
    assert [one.record.title for one in store.get(["a", "b"])] == ["old", "first"]


def test_nothing_is_something_to_write(store: Store) -> None:
    store.upsert([])
    store.delete([])
    store.set_fields([], {"pinned": True})
    store.set_sparse([])
    assert store.count() == 0


@pytest.mark.parametrize("bad", [[math.nan, 0, 0, 0], [math.inf, 0, 0, 0], [1, 0, 0], [], [[1, 0, 0, 0]]])
def test_a_bad_vector_is_refused_before_anything_is_written(store: Store, bad: Any) -> None:
    with pytest.raises(InvalidVector):
        store.upsert([point("good"), point("bad", dense=bad)])
    with pytest.raises(InvalidVector):
        store.search_dense(np.asarray(bad, dtype=np.float32), 5)
    assert store.count() == 0


def test_points_without_vectors_are_refused(store: Store) -> None:
    record = Record(id="a", text="a")
    with pytest.raises(InvalidVector):
        store.upsert([Point(record, None, EMPTY)])
    with pytest.raises(InvalidVector):
        store.upsert([Point(record, np.ones(4, dtype=np.float32), None)])
    with pytest.raises(InvalidVector):
        store.upsert([point("a", sparse=SparseVector((1,), (math.nan,)))])


def test_a_record_that_cannot_be_stored_stops_the_whole_write(store: Store) -> None:
    with pytest.raises(StoreError):
        store.upsert([point("good"), point("bad", metadata={"k": object()})])
    assert store.count() == 0


def test_delete(store: Store) -> None:
    store.upsert([point(name) for name in "abc"])
    store.delete(["a", "zz", "a"])
    assert ids(store) == ["b", "c"]


def test_a_guarded_delete_takes_only_what_matches(store: Store) -> None:
    store.upsert([point("a", pinned=True), point("b", rev=2), point("c"), point("d")])
    store.delete(["a", "b", "c", "zz"], only=Where(none=(Equals("pinned", True),)))
    assert ids(store) == ["a", "d"]
    store.delete(["a"], only=Where((Equals("rev", 9),)))
    store.delete(["a"], only=Where(none=(Equals("rev", 1),)))
    store.delete(["a"], only=Where((HasId(("d",)),)))
    store.delete(["a"], only=Where((HasId(()),)))
    assert ids(store) == ["a", "d"]
    store.delete(["a"], only=Where((Equals("rev", 1),), (Equals("rev", 9),)))
    assert ids(store) == ["d"]
    store.delete(["d"], only=Where())
    assert ids(store) == []


def test_a_guarded_delete_spares_what_changed_since(store: Store) -> None:
    store.upsert([point(name) for name in HOSTILE])
    store.set_fields(HOSTILE[:1], {"rev": 2})
    store.set_fields(HOSTILE[1:2], {"accesses": 1, "last_accessed": "2026-05-01T00:00:00Z"})
    store.set_fields(HOSTILE[2:3], {"pinned": True})
    unread = TimeRange("last_accessed", since="2026-04-30T00:00:00Z")
    store.delete([*HOSTILE, "unknown"], only=Where((Equals("rev", 1),), (Equals("pinned", True), unread)))
    assert ids(store) == sorted(HOSTILE[:3])


@pytest.mark.parametrize("bad", [Where((Equals("nope", 1),)), Where((TimeRange("created_at", "soon"),))])
def test_a_guard_that_makes_no_sense_changes_nothing(store: Store, bad: Where) -> None:
    store.upsert([point("a")])
    with pytest.raises(UsageError):
        store.delete(["a"], only=bad)
    with pytest.raises(UsageError):
        store.set_fields(["a"], {"rev": 5}, only=bad)
    assert store.get(["a"])[0].record.rev == 1


def test_more_points_than_one_batch(store: Store) -> None:
    names = [f"n{place:04}" for place in range(1203)]
    store.upsert([point(name) for name in names])
    assert store.count() == 1203
    assert len(store.get(names)) == 1203
    assert sorted(one.record.id for one in store.scroll(page=100)) == names
    store.set_fields(names, {"state": "cold"})
    store.set_fields(names, {"rev": 9}, only=Where((Equals("state", "active"),)))
    assert store.count(Where((Equals("rev", 9),))) == 0
    store.delete(names[:600], only=Where((Equals("state", "cold"),)))
    store.delete(names[600:1200])
    assert ids(store) == names[1200:]


def test_scroll_pages_are_complete_and_sorted_alike_each_time(store: Store) -> None:
    store.upsert([point(name, sparse=SparseVector((1,), (1.0,))) for name in "abcdefg"])
    once = [one.record.id for one in store.scroll(page=2)]
    again = [one.record.id for one in store.scroll(page=3, vectors=True)]
    assert once == again
    assert sorted(once) == list("abcdefg")
    assert all(one.sparse == SparseVector((1,), (1.0,)) for one in store.scroll(vectors=True))


def test_set_fields_changes_only_them(store: Store) -> None:
    store.upsert([Point(RICH, np.ones(4, dtype=np.float32), SparseVector((3,), (1.0,)))])
    changed: dict[str, Any] = {
        "accesses": 8,
        "pinned": False,
        "title": None,
        "metadata": {},
        "tags": ["z"],
        "class": MemoryClass.EPISODIC,
    }
    store.set_fields([RICH.id, "unknown"], changed)
    (found,) = store.get([RICH.id], vectors=True)
    assert found.record == msgspec.structs.replace(
        RICH, accesses=8, pinned=False, title=None, metadata={}, tags=("z",), class_=MemoryClass.EPISODIC
    )
    assert found.sparse == SparseVector((3,), (1.0,))
    np.testing.assert_allclose(found.dense, [0.5] * 4)
    assert store.count() == 1
    assert ids(store, Equals("pinned", True)) == []
    assert ids(store, Equals("pinned", False)) == [RICH.id]


def test_set_fields_under_a_guard(store: Store) -> None:
    store.upsert([point("a", rev=2), point("b"), point("c", pinned=True), point("d")])
    unchanged = Where((Equals("rev", 1), Equals("state", "active")), (Equals("pinned", True),))
    store.set_fields(["a", "b", "c", "zz"], {"state": "cold", "cooled_at": "2026-05-01T00:00:00Z"}, only=unchanged)
    store.set_fields(["a", "b", "c", "d"], {"title": "never"}, only=Where((HasId(()),)))
    assert ids(store, Equals("state", "cold")) == ["b"]
    assert ids(store, TimeRange("cooled_at", since="2026-05-01")) == ["b"]
    (cold,) = store.get(["b"], vectors=True)
    assert cold.record == Record(id="b", text="text of b", state=MemoryState.COLD, cooled_at="2026-05-01T00:00:00Z")
    np.testing.assert_array_equal(cold.dense, np.array([1, 0, 0, 0], dtype=np.float32))
    store.set_fields(["a", "b"], {"state": "active", "cooled_at": None}, only=Where((Equals("state", "cold"),)))
    assert ids(store, Equals("state", "active")) == list("abcd")
    assert ids(store, TimeRange("cooled_at")) == []


def test_set_fields_keeps_exact_values_exact(store: Store) -> None:
    store.upsert([point("a", metadata={"big": 2**90}, source="caf\udce9")])
    store.set_fields(["a"], {"metadata": {"big": 5}, "source": "plain"})
    assert store.get(["a"])[0].record.metadata == {"big": 5}
    assert store.get(["a"])[0].record.source == "plain"
    store.set_fields(["a"], {"metadata": {"big": 2**91}, "source": "\udcff"})
    assert store.get(["a"])[0].record.metadata == {"big": 2**91}
    assert store.get(["a"])[0].record.source == "\udcff"


@pytest.mark.parametrize("fields", [{"id": "b"}, {"nope": 1}, {"accesses": "x"}])
def test_fields_that_cannot_be_set(store: Store, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        store.set_fields(["a"], fields)


def test_set_sparse_leaves_the_dense_vector(store: Store) -> None:
    store.upsert([point("a", (0, 1, 0, 0), SparseVector((1,), (1.0,))), point("b")])
    store.set_sparse([("a", SparseVector((2,), (3.0,))), ("unknown", EMPTY), ("b", SparseVector((2,), (1.0,)))])
    (found,) = store.get(["a"], vectors=True)
    assert found.sparse == SparseVector((2,), (3.0,))
    np.testing.assert_allclose(found.dense, [0, 1, 0, 0])
    assert [hit.id for hit in store.search_sparse(SparseVector((2,), (1.0,)), 5)] == ["a", "b"]
    assert store.search_sparse(SparseVector((1,), (1.0,)), 5) == []
    assert store.count() == 2


def test_dense_search_is_by_cosine(store: Store) -> None:
    store.upsert([point("far", (0, 0, 1, 0)), point("near", (9, 1, 0, 0)), point("middle", (1, 1, 0, 0))])
    hits = store.search_dense(np.array([2, 0, 0, 0], dtype=np.float32), 2)
    assert [hit.id for hit in hits] == ["near", "middle"]
    assert hits[1].score == pytest.approx(0.5**0.5, abs=1e-5)
    assert store.search_dense(np.ones(4, dtype=np.float32), 0) == []


def test_an_empty_sparse_vector_is_no_document(store: Store) -> None:
    word = SparseVector((1,), (1.0,))
    store.upsert([point(name, sparse=word) for name in "abc"])
    before = store.search_sparse(word, 1)[0].score
    store.upsert([point(name) for name in "defg"])
    assert store.search_sparse(word, 1)[0].score == pytest.approx(before, abs=1e-6)
    store.upsert([point("b")])
    store.set_sparse([("c", EMPTY), ("d", EMPTY), ("unknown", EMPTY)])
    assert [hit.id for hit in store.search_sparse(word, 9)] == ["a"]
    assert [one.sparse for one in store.get(["b", "c", "d"], vectors=True)] == [EMPTY] * 3
    assert store.search_dense(np.array([1, 0, 0, 0], dtype=np.float32), 99)[6:] != []


def test_document_frequencies_follow_what_is_there(store: Store) -> None:
    def word(*terms: int) -> SparseVector:
        return SparseVector(terms, (1.0,) * len(terms))

    def score(term: int) -> float:
        return store.search_sparse(word(term), 1)[0].score

    store.upsert([point(name, sparse=word(1)) for name in "abcdefgh"])
    store.upsert([point(name, sparse=word(1, 2)) for name in "ab"])
    store.set_sparse([("c", word(2)), ("d", EMPTY)])
    store.delete(["e", "f"])
    # Left: a and b with both terms, c with the second, g and h with the first.
    assert score(1) == pytest.approx(math.log(1.5 / 4.5 + 1), abs=1e-5)
    assert score(2) == pytest.approx(math.log(2.5 / 3.5 + 1), abs=1e-5)


def test_sparse_search_weighs_rare_terms(store: Store) -> None:
    common, rare = 1, 2
    store.upsert([point(name, sparse=SparseVector((common,), (1.0,))) for name in "abc"])
    store.upsert([point("d", sparse=SparseVector((common, rare), (1.0, 1.0))), point("e")])
    hits = store.search_sparse(SparseVector((common, rare), (1.0, 1.0)), 10)
    assert hits[0].id == "d"
    assert {hit.id for hit in hits} == {"a", "b", "c", "d"}
    # Four points have words; the formula is ln((n - df + 0.5) / (df + 0.5) + 1).
    assert hits[0].score == pytest.approx(math.log(0.5 / 4.5 + 1) + math.log(3.5 / 1.5 + 1), abs=1e-5)
    assert store.search_sparse(EMPTY, 10) == []


def test_searches_are_filtered(store: Store) -> None:
    word = SparseVector((1,), (1.0,))
    store.upsert([point("a", (1, 0, 0, 0), word, state=MemoryState.COLD), point("b", (1, 1, 0, 0), word)])
    active = Where((Equals("state", "active"),))
    query = np.array([1, 0, 0, 0], dtype=np.float32)
    assert [hit.id for hit in store.search_dense(query, 5)] == ["a", "b"]
    assert [hit.id for hit in store.search_dense(query, 5, active)] == ["b"]
    assert [hit.id for hit in store.search_sparse(word, 5, active)] == ["b"]
    assert [hit.id for hit in store.search_dense(query, 5, Where((HasId(("zz",)),)))] == []


# Opening


def test_what_is_stored_is_there_after_reopening(open_store: Open) -> None:
    with open_store() as one:
        one.upsert([point("a")])
    with open_store(None, create=False) as two:
        assert [found.record.id for found in two.scroll()] == ["a"]
        assert (two.schema.model, two.schema.dimension) == ("mini", 4)


@pytest.mark.parametrize("create", [True, False])
def test_a_collection_that_does_not_exist(open_store: Open, *, create: bool) -> None:
    with pytest.raises(NotFound) as caught:
        open_store(None, create=create)
    assert caught.value.hint is not None
    assert "sophiactl embed PATH" in caught.value.hint


@pytest.mark.parametrize("change", [{"model": "maxi"}, {"revision": "b" * 64}, {"dimension": 5}])
def test_another_model_is_refused(open_store: Open, change: dict[str, Any]) -> None:
    schema = CollectionSchema(model="mini", revision="a" * 64, dimension=4)
    open_store(schema).close()
    with pytest.raises(StoreMismatch):
        open_store(msgspec.structs.replace(schema, **change))
    open_store(schema).close()


def test_a_newer_layout_is_refused(open_store: Open) -> None:
    schema = CollectionSchema(model="mini", revision="a" * 64, dimension=4, version=2)
    with pytest.raises(StoreMismatch, match="layout 2"):
        open_store(schema)


def test_collections_do_not_mix(open_store: Open) -> None:
    with open_store() as one, open_store(name="other") as two:
        one.upsert([point("a")])
        two.upsert([point("b")])
        assert (ids(one), ids(two)) == (["a"], ["b"])


def test_closed_twice_and_not_used_after(open_store: Open) -> None:
    one = open_store()
    one.close()
    one.close()
    with pytest.raises(StoreError, match="closed"):
        one.count()
    with pytest.raises(StoreError, match="closed"):
        one.upsert([point("a")])
    with pytest.raises(StoreError, match="closed"):
        next(iter(one.scroll()))


def test_a_name_that_no_collection_may_have(open_store: Open) -> None:
    with pytest.raises(UsageError):
        open_store(name="../up")


def test_a_real_server_is_under_contract(real_server: Open) -> None:
    """Skipped without one, which says that the rest of this file ran on the stand-in alone."""
    with real_server() as opened:
        assert opened.info().engine == "qdrant-server"
