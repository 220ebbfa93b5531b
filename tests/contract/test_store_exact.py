"""What is read from a store and written back is the same, bit for bit, over every store."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sophiactl.memory.base import Point, SparseVector, Store
from sophiactl.memory.payload import encode
from sophiactl.model import MemoryState, Record

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
DENSE = st.lists(FLOATS, min_size=4, max_size=4)
SPARSE = st.dictionaries(st.integers(0, 2**32 - 1), FLOATS, max_size=6).map(
    lambda terms: SparseVector(tuple(sorted(terms)), tuple(terms[term] for term in sorted(terms)))
)


@pytest.fixture
def exact(request: pytest.FixtureRequest) -> bool:
    """The client's local mode, our stand-in for a server, normalises each vector again; the engine does not."""
    return bool(request.node.callspec.params["open_store"] != "local mode")


def bits(point: Point) -> tuple[bytes, bytes, bytes, tuple[int, ...]]:
    assert point.sparse is not None
    values = np.array(point.sparse.values, dtype=np.float64).tobytes()
    payload = repr(sorted(encode(point.record).items())).encode("utf-8", "surrogatepass")
    return payload, point.dense.tobytes(), values, point.sparse.indices


@given(dense=DENSE, sparse=SPARSE)
@example(dense=[0.0, -0.0, 0.0, 0.0], sparse=SparseVector())
@example(dense=[1e-45, 0.0, 0.0, 0.0], sparse=SparseVector((0, 2**32 - 1), (-0.0, 1e-45)))
@example(dense=[3.4e38, 3.4e38, -3.4e38, 3.4e38], sparse=SparseVector((7,), (-3.4028234663852886e38,)))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_point_goes_round_unchanged(store: Store, exact: bool, dense: list[float], sparse: SparseVector) -> None:
    store.delete(["a"])
    record = Record(id="a", text="t", title="x", keep_score=0.1 + 0.2, metadata={"big": 2**70}, source="\udce9")
    store.upsert([Point(record, np.array(dense, dtype=np.float32), sparse)])
    store.set_fields(["a"], {"title": None, "tags": ["y"]})
    (first,) = store.get(["a"], vectors=True)
    store.upsert([first])
    (replaced,) = store.get(["a"], vectors=True)
    store.delete(["a"])
    store.upsert([replaced], insert_only=True)
    (again,) = store.get(["a"], vectors=True)
    if exact:
        assert bits(first) == bits(replaced) == bits(again)
    else:
        np.testing.assert_allclose(again.dense, first.dense, rtol=2e-7)
        assert (again.record, again.sparse) == (first.record, first.sparse)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_points_go_round_unchanged(store: Store, exact: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(300, 4)) * 10.0 ** rng.integers(-30, 30, (300, 1))).astype(np.float32)
    store.upsert([Point(Record(id=f"{at}", text="t"), row, SparseVector()) for at, row in enumerate(rows)])
    first = list(store.scroll(vectors=True))
    store.delete([point.record.id for point in first])
    assert store.count() == 0
    store.upsert(first, insert_only=True)
    again = list(store.scroll(vectors=True))
    if exact:
        assert list(map(bits, again)) == list(map(bits, first))
    assert [point.record for point in again] == [point.record for point in first]


def test_a_point_that_is_there_is_not_overwritten_by_a_restore(store: Store) -> None:
    old = Point(Record(id="a", text="old"), np.array([1, 2, 3, 4], dtype=np.float32), SparseVector((1,), (0.3,)))
    store.upsert([old])
    (kept,) = store.get(["a"], vectors=True)
    newer = msgspec.structs.replace(kept, record=Record(id="a", text="new", state=MemoryState.COLD, rev=2))
    store.upsert([newer])
    (before,) = store.get(["a"], vectors=True)
    store.upsert([kept], insert_only=True)
    (after,) = store.get(["a"], vectors=True)
    assert bits(after) == bits(before)


@pytest.mark.parametrize("optimized", [False, True])
def test_scrubbing_changes_nothing(store: Store, exact: bool, optimized: bool) -> None:
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(40, 4)).astype(np.float32)
    vectors = [SparseVector((at % 5, 9), (1.0, 0.5)) if at % 3 else SparseVector() for at in range(40)]
    store.upsert([Point(Record(id=f"\udce9{at}", text="t"), rows[at], vectors[at]) for at in range(40)])
    if optimized:
        store.optimize()
    store.delete([f"\udce9{at}" for at in range(0, 40, 4)])
    before = list(map(bits, store.scroll(vectors=True)))
    found = [hit.id for hit in store.search_dense(rows[1], 10)]
    assert store.scrub() is exact  # a server sees to it by itself
    if exact:
        assert list(map(bits, store.scroll(vectors=True))) == before
    assert [hit.id for hit in store.search_dense(rows[1], 10)] == found
    assert len(store.search_sparse(SparseVector((9,), (1.0,)), 40)) == sum(1 for at in range(40) if at % 3 and at % 4)
    store.upsert([Point(Record(id="new", text="t"), rows[0], SparseVector())])
    assert store.count() == 31
