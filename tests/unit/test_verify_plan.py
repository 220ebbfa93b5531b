"""Past questions asked again without the memories of a plan, against really taking them out of a real store."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.memory.base import CollectionSchema, Equals, Point, RetrievalConfig, SparseVector, Where
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.memory.retrieval import Retriever, searched
from sophiactl.memory.verify import IdSet, Query, RecallReport, Replay, deciding, verdict, verify
from sophiactl.model import MemoryState, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sophiactl.memory.base import Store, Vector
    from sophiactl.memory.retrieval import Ranked

DIMENSION = 8
SCHEMA = CollectionSchema(model="m", revision="r", dimension=DIMENSION)
LEXICON = Lexicon.of(SCHEMA)
TERMS = 6


def unit(random: np.random.Generator) -> Vector:
    vector = random.standard_normal(DIMENSION, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def memories(count: int, random: np.random.Generator) -> list[Point]:
    """Memories that share few words, no two alike; every third is a conversation's."""
    made = []
    for number in range(count):
        terms = sorted({int(term) for term in random.integers(0, TERMS, 3)})
        weights = tuple(float(weight) for weight in random.uniform(0.5, 2.0, len(terms)))
        kind = {"class": "episodic" if number % 3 == 0 else "semantic"}
        record = msgspec.convert({"id": f"m{number}", "text": "-", **kind}, Record)
        made.append(Point(record, unit(random), SparseVector(tuple(terms), weights)))
    return made


def question(
    random: np.random.Generator, terms: int, *, where: Where | None = None, cited: Sequence[str] = ()
) -> Query:
    chosen = tuple(sorted(int(term) for term in random.permutation(TERMS)[:terms]))
    sparse = SparseVector(chosen, (1.0,) * terms)
    return Query("q", unit(random), sparse, tuple(cited), where=where or Where())


@contextmanager
def opened(points: Sequence[Point]) -> Iterator[Store]:
    with (
        tempfile.TemporaryDirectory() as folder,
        EdgeStore.open(Path(folder), "main", SCHEMA, create=True, lock_timeout=1, purpose="a test") as store,
    ):
        store.upsert(points)
        yield store


def asked(retriever: Retriever, query: Query, k: int) -> list[Ranked]:
    """What the search itself gives, from its own lists of candidates."""
    where, depth = searched(query.where, deep=query.deep), retriever.depth(k)
    return retriever.fused(retriever.dense(query.vector, depth, where), retriever.lexical(query.terms, depth, where), k)


def close(ranked: Sequence[Ranked]) -> list[tuple[str, object]]:
    return [(item.id, pytest.approx(item.score, abs=1e-4)) for item in ranked]


def plain(ranked: Sequence[Ranked]) -> list[tuple[str, float]]:
    return [(item.id, item.score) for item in ranked]


@pytest.fixture(scope="module")
def points() -> list[Point]:
    return memories(40, np.random.default_rng(7))


@pytest.fixture(scope="module")
def store(points: list[Point]) -> Iterator[Store]:
    """One store for all examples, each of which leaves it as it was: to make one takes a second."""
    with opened(points) as made:
        yield made


plans = st.sets(st.integers(0, 39)).map(lambda numbers: {f"m{number}" for number in numbers})
seeds = st.integers(0, 2**32).map(np.random.default_rng)


class TestAgainstTheStore:
    @given(
        random=seeds,
        planned=plans,
        candidates=st.integers(1, 12),
        diversity=st.sampled_from([0.0, 0.3]),
        episodic=st.booleans(),
    )
    def test_it_is_what_the_search_gives_when_they_are_cold(
        self,
        store: Store,
        random: np.random.Generator,
        planned: set[str],
        candidates: int,
        diversity: float,
        episodic: bool,
    ) -> None:
        retriever = Retriever(store, LEXICON, RetrievalConfig(candidates=candidates, diversity=diversity))
        where = Where(all=(Equals("class", "episodic"),)) if episodic else None
        queries = [question(random, terms, where=where) for terms in (0, 1, 3)]
        replay = Replay(retriever, planned.__contains__, 4)
        found = [replay.rankings(query) for query in queries]
        assert [plain(before) for before, _ in found] == [plain(asked(retriever, query, 4)) for query in queries]
        store.set_fields(sorted(planned), {"state": MemoryState.COLD.value})
        try:
            after = [plain(asked(retriever, query, 4)) for query in queries]
        finally:
            store.set_fields(sorted(planned), {"state": MemoryState.ACTIVE.value})
        assert [plain(ranking) for _, ranking in found] == after

    @settings(max_examples=40)
    @given(random=seeds, planned=plans, candidates=st.integers(1, 12))
    def test_it_is_what_the_search_gives_when_they_are_deleted(
        self, store: Store, points: list[Point], random: np.random.Generator, planned: set[str], candidates: int
    ) -> None:
        """With one term: its document frequency, which a deletion changes, is then a factor that z-scores cancel."""
        retriever = Retriever(store, LEXICON, RetrievalConfig(candidates=candidates))
        query = question(random, 1)
        _, after = Replay(retriever, planned.__contains__, 4).rankings(query)
        store.delete(sorted(planned))
        try:
            really = asked(retriever, query, 4)
        finally:
            store.upsert([point for point in points if point.record.id in planned])
        assert plain(after) == close(really)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(6)


@pytest.fixture
def retriever(store: Store) -> Retriever:
    return Retriever(store, LEXICON, RetrievalConfig(candidates=12))


def top(retriever: Retriever, query: Query, k: int = 10) -> list[str]:
    return [item.id for item in asked(retriever, query, k)]


class TestReport:
    def test_an_empty_plan_loses_nothing(self, retriever: Retriever, random: np.random.Generator) -> None:
        queries = [question(random, 2) for _ in range(6)]
        queries = [msgspec.structs.replace(query, cited=tuple(top(retriever, query)[:4])) for query in queries]
        report = verify(retriever, queries, lambda _: False)
        assert (report.queries, report.overlap, report.median, report.interval) == (6, 1.0, 1.0, (1.0, 1.0))
        assert (report.cited, report.cited_recall, report.losses) == (24, 1.0, ())

    def test_shares_and_the_worst_losses(self, retriever: Retriever, random: np.random.Generator) -> None:
        first, second = (msgspec.structs.replace(question(random, 2), id=name) for name in ("first", "second"))
        best, others = top(retriever, first), top(retriever, second)
        gone = {*best[:5], "m-unknown"}
        _, after = Replay(retriever, gone.__contains__, 10).rankings(second)
        kept = len(set(others) & {item.id for item in after})
        first = msgspec.structs.replace(first, cited=(best[0], best[9], "forgotten long ago"))
        report = verify(retriever, [second, first], gone.__contains__)
        assert report.losses[0].query == "first"
        assert (report.losses[0].overlap, report.losses[0].ids, report.losses[0].cited) == (
            0.5, tuple(best[:5]), (best[0],)
        )  # fmt: skip
        assert report.overlap == pytest.approx((0.5 + kept / 10) / 2)
        assert (report.cited, report.cited_recall) == (2, 0.5)
        low, high = report.interval or (1.0, 0.0)
        assert low <= (report.overlap or 0) <= high

    def test_a_question_that_finds_nothing_today_says_nothing(
        self, retriever: Retriever, random: np.random.Generator
    ) -> None:
        nothing = question(random, 1, where=Where(all=(Equals("class", "working"),)))
        report = verify(retriever, [nothing], lambda _: True)
        assert (report.queries, report.empty, report.overlap, report.cited_recall) == (0, 1, None, None)

    def test_a_plan_of_everything_leaves_nothing(self, retriever: Retriever, random: np.random.Generator) -> None:
        report = verify(retriever, [question(random, 2)], lambda _: True)
        assert (report.queries, report.overlap) == (1, 0.0)

    def test_a_deep_question_is_asked_among_cold_memories(self, random: np.random.Generator) -> None:
        with opened(memories(8, random)) as store:
            store.set_fields(["m1"], {"state": MemoryState.COLD.value})
            retriever = Retriever(store, LEXICON, RetrievalConfig())
            query = msgspec.structs.replace(question(random, 1), cited=("m1",))
            assert verify(retriever, [query], {"m1"}.__contains__).overlap == 1.0
            report = verify(retriever, [msgspec.structs.replace(query, deep=True)], {"m1"}.__contains__)
            assert (report.overlap, report.cited_recall) == (7 / 8, 0.0)

    def test_only_the_worst_are_named(self, retriever: Retriever, random: np.random.Generator) -> None:
        queries = [question(random, 2) for _ in range(25)]
        report = verify(retriever, queries, lambda name: name.endswith(("0", "2", "4")))
        overlaps = [loss.overlap for loss in report.losses]
        assert len(overlaps) == 10
        assert overlaps == sorted(overlaps)
        assert (report.overlap or 0) > overlaps[0]


def report_of(
    *, queries: int = 10, overlap: float = 0.5, cited: int = 0, cited_recall: float | None = None
) -> RecallReport:
    return RecallReport(10, queries, 0, overlap, overlap, (overlap, overlap), cited, cited_recall, ())


@pytest.mark.parametrize(
    ("report", "share", "passes"),
    [
        pytest.param(report_of(overlap=0.9), 0.9, True, id="at the bound"),
        pytest.param(report_of(overlap=0.9 - 1e-12), 0.9 - 1e-12, True, id="a rounding below it"),
        pytest.param(report_of(overlap=0.89), 0.89, False, id="below it"),
        pytest.param(report_of(overlap=1.0, cited=20, cited_recall=0.5), 0.5, False, id="enough cited hits"),
        pytest.param(report_of(overlap=0.5, cited=20, cited_recall=1.0), 1.0, True, id="what was cited is kept"),
        pytest.param(report_of(overlap=1.0, cited=19, cited_recall=0.5), 1.0, True, id="too few cited hits"),
        pytest.param(report_of(queries=5, overlap=0.1), 0.1, False, id="enough questions"),
        pytest.param(report_of(queries=4, overlap=1.0, cited=30, cited_recall=1.0), None, None, id="too few questions"),
    ],
)
def test_which_share_decides(report: RecallReport, share: float | None, passes: bool | None) -> None:
    assert deciding(report) == share
    assert verdict(report, 0.9, planned=0.0) is passes


def test_mere_hits_may_go_as_fast_as_memories_do() -> None:
    found, cited = report_of(overlap=0.73), report_of(overlap=0.73, cited=20, cited_recall=0.89)
    assert [verdict(found, 0.9, planned) for planned in (0.1, 0.2)] == [False, True]
    assert [verdict(cited, 0.9, planned) for planned in (0.2, 0.9)] == [False, False]


@given(st.sets(st.text(), max_size=50), st.text())
def test_a_set_of_hashes_holds_what_a_set_holds(names: set[str], other: str) -> None:
    hashed = IdSet(names)
    assert len(hashed) == len(names)
    assert all(name in hashed for name in names)
    assert (other in hashed) == (other in names)


def test_a_set_of_hashes_takes_halves_of_surrogate_pairs() -> None:
    assert "\ud800" in IdSet(["\ud800", "a\nb"])
