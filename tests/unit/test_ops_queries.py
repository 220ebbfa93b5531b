"""Questions in the ledger of runs: remembered, read back, asked again and forgotten, on real stores and ledgers."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.agent.events import Warned
from sophiactl.errors import StoreError, UsageError
from sophiactl.memory.base import Equals, MemoryConfig, TimeRange, Where
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.policy import PruneConfig
from sophiactl.memory.retrieval import Retriever
from sophiactl.memory.verify import verify
from sophiactl.ops import queries
from sophiactl.ops.ask import AskRequest, ask
from sophiactl.ops.embed import EmbedRequest, embed
from sophiactl.ops.queries import Asked, forget_queries, from_file, remember, remembered
from sophiactl.ops.search import BatchQuery, SearchRequest, search, search_batch
from sophiactl.runs.base import Run, RunFilter, RunsConfig
from sophiactl.runs.keeping import prompt_hash
from sophiactl.runs.opening import FILE
from sophiactl.settings import Settings
from sophiactl.testing import HashingEmbedder
from sophiactl.wiring import Wiring
from tests.unit.conftest import NOON

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sophiactl.agent.events import Final

UNDO = "How do I undo a prune?"
SPARSE = Lexicon("english", 40.0).query(UNDO)


@pytest.fixture
def filled(wiring: Wiring, docs: Path) -> Wiring:
    embed(EmbedRequest((str(docs),)), wiring)
    return wiring


def runs(wiring: Wiring) -> list[Run]:
    with closing(wiring.models.ledger()) as ledger:
        return ledger.runs(RunFilter())


def with_settings(wiring: Wiring, **sections: msgspec.Struct) -> Wiring:
    """The same memory and ledger under other settings."""
    return Wiring(Settings(**sections), wiring.paths, env={}, clock=lambda: NOON, embedder=wiring.embedder())


def at(wiring: Wiring, time: datetime) -> Wiring:
    """The same at another time."""
    return Wiring(wiring.settings, wiring.paths, env={}, clock=lambda: time, embedder=wiring.embedder())


def answered(wiring: Wiring, question: str = UNDO, where: Where | None = None) -> Final:
    *events, final = ask(AskRequest(question, where), wiring)
    assert not [event for event in events if isinstance(event, Warned)]
    return final  # type: ignore[return-value]  # the last one always is


def note(wiring: Wiring, name: str, **fields: Any) -> None:
    """Remember a question as if it had been asked."""
    values = {"question": name, "vector": wiring.embedder().embed([name])[0], "terms": SPARSE, "hits": ()}
    assert remember(name, "search", Asked(**{**values, **fields}), wiring) is None


class TestRemembering:
    def test_a_search_is_a_run_without_its_words(self, filled: Wiring) -> None:
        report = search(SearchRequest(UNDO), filled)
        [run] = runs(filled)
        assert (run.id, run.command, run.at) == (report.run, "search", "2026-11-22T12:00:00Z")
        assert (run.prompt_hash, run.prompt, run.answer) == (prompt_hash(UNDO), None, None)
        assert report.unrecorded is None
        assert set(run.details) == {"collection", "model", "vector", "terms", "hits"}
        assert run.details["collection"] == "main"
        assert run.details["model"] == filled.model.revision
        assert run.details["terms"] == list(SPARSE.indices)
        assert run.details["hits"] == [hit.record.id for hit in report.hits][:10]
        stored = (filled.paths.state / FILE).read_bytes()
        assert not [word for word in (b"undo a prune", UNDO.encode()) if word in stored]

    def test_an_answer_is_a_run_with_what_it_cited(self, filled: Wiring) -> None:
        final = answered(filled)
        [run] = runs(filled)
        assert (run.id, run.command, run.answer) == (final.run, "ask", None)
        assert run.details["cited"] == list(dict.fromkeys(citation.id for citation in final.citations))
        assert set(run.details["cited"]) <= set(run.details["hits"])

    def test_words_are_kept_where_the_ledger_keeps_words(self, filled: Wiring) -> None:
        wiring = with_settings(filled, runs=RunsConfig(store_text=True))
        final = answered(wiring)
        search(SearchRequest("timer"), wiring)
        kept = {run.command: (run.prompt, run.answer) for run in runs(wiring)}
        assert kept == {"ask": (UNDO, final.answer), "search": ("timer", None)}

    def test_only_the_first_ten_hits_are_kept(self, wiring: Wiring) -> None:
        note(wiring, "q", hits=tuple(map(str, range(30))))
        assert runs(wiring)[0].details["hits"] == list(map(str, range(10)))

    def test_nothing_is_remembered_where_the_settings_forbid_it(self, filled: Wiring) -> None:
        wiring = with_settings(filled, memory=MemoryConfig(remember_queries=False))
        assert answered(wiring).citations
        assert search(SearchRequest(UNDO), wiring).unrecorded is None
        assert not (wiring.paths.state / FILE).exists()

    def test_a_batch_is_not_remembered(self, filled: Wiring) -> None:
        assert list(search_batch([BatchQuery("1", UNDO)], filled, k=3))
        assert not (filled.paths.state / FILE).exists()

    def test_a_question_that_fails_is_not_remembered(self, filled: Wiring) -> None:
        with pytest.raises(UsageError):
            search(SearchRequest(UNDO, where=Where(all=(Equals("nothing", "x"),))), filled)
        assert not (filled.paths.state / FILE).exists()


class TestALedgerThatFails:
    def test_one_that_cannot_be_opened_is_a_note(self, filled: Wiring) -> None:
        (filled.paths.state / FILE).mkdir()
        report = search(SearchRequest(UNDO), filled)
        assert report.hits
        assert "ledger" in (report.unrecorded or "")
        *events, final = ask(AskRequest(UNDO), filled)
        [warned] = [event for event in events if isinstance(event, Warned)]
        assert warned.message.startswith("not recorded: the ledger of runs")
        assert final.answer  # type: ignore[union-attr]

    def test_one_that_is_busy_is_not_waited_for(self, filled: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
        search(SearchRequest("first"), filled)
        monkeypatch.setattr(queries, "_PATIENCE", 0.05)
        with closing(sqlite3.connect(filled.paths.state / FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            report = search(SearchRequest(UNDO), filled)
            assert report.hits
            assert report.unrecorded == "the ledger of runs did not answer within 0.05 s"
            other.execute("ROLLBACK")
        for worker in threading.enumerate():
            if worker.name == "remember":
                worker.join(20)
                assert not worker.is_alive()

    def test_a_mistake_of_our_own_is_not_hushed_up(self, filled: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_arguments: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(queries, "keep", broken)
        with pytest.raises(ZeroDivisionError):
            search(SearchRequest(UNDO), filled)


class TestReadingBack:
    def test_a_question_comes_back_as_it_was_asked(self, filled: Wiring) -> None:
        final = answered(filled)
        found = remembered(filled)
        [query] = found.queries
        assert found.left_out() is None
        assert (query.id, query.at, query.deep, query.where) == (final.run, "2026-11-22T12:00:00Z", False, Where())
        assert query.terms == SPARSE
        assert query.cited == tuple(dict.fromkeys(citation.id for citation in final.citations))
        vector = filled.embedder().embed([UNDO])[0]
        assert query.vector.dtype == np.float32
        assert float(query.vector @ vector) == pytest.approx(1.0, abs=1e-3)

    def test_filter_and_depth_come_back_too(self, filled: Wiring) -> None:
        where = Where(
            all=(Equals("class", "semantic"), TimeRange("created_at", since="2026-01-01T00:00:00Z")),
            none=(Equals("pinned", value=True),),
        )
        search(SearchRequest(UNDO, where=where, deep=True), filled)
        [query] = remembered(filled).queries
        assert (query.where, query.deep) == (where, True)

    def test_what_it_finds_again_is_what_it_found(self, filled: Wiring) -> None:
        """Down to the order: half precision is enough."""
        questions = (UNDO, "Where do secrets come from?", "night timer", "old memories")
        hits = {(one := search(SearchRequest(text), filled)).run: one.hits for text in questions}
        with filled.store(purpose="test") as store:
            retriever = Retriever(store, Lexicon.of(store.schema), filled.settings.memory.retrieval)
            report = verify(retriever, remembered(filled).queries, lambda _: False)
            assert (report.queries, report.overlap) == (4, 1.0)
            best = {found[0].record.id for found in hits.values()}
            lossy = verify(retriever, remembered(filled).queries, best.__contains__)
        assert {loss.query for loss in lossy.losses} == set(hits)

    def test_the_newest_come_first_and_no_more_than_wanted(self, wiring: Wiring) -> None:
        for hour in range(8):
            note(at(wiring, NOON.replace(hour=hour)), f"q{hour}")
        assert [query.id for query in remembered(wiring, 3).queries] == ["q7", "q6", "q5"]
        assert len(remembered(wiring).queries) == 8
        few = with_settings(wiring, memory=MemoryConfig(prune=PruneConfig(recall_queries=2)))
        assert [query.id for query in remembered(few).queries] == ["q7", "q6"]

    def test_answers_and_searches_are_merged_by_time(self, wiring: Wiring) -> None:
        with closing(wiring.models.ledger()) as ledger:
            for number in range(6):
                note(wiring, f"q{number}")
                [run] = [run for run in ledger.runs(RunFilter()) if run.id == f"q{number}"]
                command = "ask" if number % 2 else "search"
                ledger.record(msgspec.structs.replace(run, command=command, at=f"2026-11-0{number + 1}T00:00:00Z"))
        assert [query.id for query in remembered(wiring, 4).queries] == ["q5", "q4", "q3", "q2"]

    def test_questions_of_other_memories_and_models_are_counted_and_said(self, wiring: Wiring) -> None:
        note(wiring, "ours")
        note(with_settings(wiring, memory=MemoryConfig(collection="other")), "theirs")
        older = Wiring(wiring.settings, wiring.paths, env={}, clock=lambda: NOON, embedder=HashingEmbedder(name="old"))
        note(older, "old")
        note(wiring, "short", vector=np.ones(3, dtype=np.float32))
        note(wiring, "no number", vector=np.full(128, np.nan, dtype=np.float32))
        with closing(wiring.models.ledger()) as ledger:
            ledger.record(Run("plain", "ask", wiring.now()))
            ledger.record(Run("foreign", "search", wiring.now(), details={"collection": 7}))
            ledger.record(
                Run("odd", "search", wiring.now(), details={"collection": "main", "model": "m", "terms": [-1]})
            )
            ledger.record(Run("routed", "route", wiring.now()))
        found = remembered(wiring)
        assert [query.id for query in found.queries] == ["ours"]
        assert (found.elsewhere, found.outdated, found.without) == (1, 1, 5)
        assert found.left_out() == (
            "past questions that cannot be asked again: 1 asked another memory, 1 were embedded by another model, "
            "5 hold no vector"
        )

    def test_many_of_another_memory_do_not_hide_ours(self, wiring: Wiring) -> None:
        other = with_settings(wiring, memory=MemoryConfig(collection="other"))
        note(wiring, "a")
        for number in range(20):
            note(other, f"b{number:02}")
        found = remembered(wiring, 2)
        assert ([query.id for query in found.queries], found.elsewhere) == (["a"], 20)

    def test_the_same_question_counts_once_with_all_it_ever_cited(self, wiring: Wiring) -> None:
        with closing(wiring.models.ledger()) as ledger:
            for number, cited in enumerate((("m1",), ("m2", "m1"))):
                note(wiring, UNDO, cited=cited)
                [run] = [run for run in ledger.runs(RunFilter()) if run.id == UNDO]
                ledger.record(msgspec.structs.replace(run, id=f"q{number}"))
                ledger.forget("1990-01-01T00:00:00Z")
        [query] = remembered(wiring, 3).queries
        assert set(query.cited) == {"m1", "m2"}

    @given(names=st.lists(st.text(min_size=1), max_size=4, unique=True))
    def test_every_id_comes_back(self, names: list[str]) -> None:
        assert [queries._id(queries._name(name)) for name in names] == names

    def test_ids_that_are_no_text_come_back_from_the_ledger(self, wiring: Wiring) -> None:
        odd = ("half \ud800", "nul \x00", "two\nlines", '["list"]')
        note(wiring, "q", cited=odd, hits=odd)
        assert remembered(wiring).queries[0].cited == odd


class TestForgetting:
    def test_what_was_erased_is_gone_from_the_questions(self, filled: Wiring) -> None:
        wiring = with_settings(filled, runs=RunsConfig(store_text=True))
        final = answered(wiring)
        found = search(SearchRequest("secrets"), wiring)
        cited = final.citations[0].id
        assert cited in {hit.record.id for hit in found.hits}
        assert forget_queries(wiring, ["unknown"]) == 0
        assert forget_queries(wiring, [cited]) == 2
        left = {run.command: run for run in runs(wiring)}
        for run in left.values():
            assert (run.prompt, run.answer) == (None, None)
            assert cited not in (*run.details.get("hits", ()), *run.details.get("cited", ()))
        assert (left["ask"].prompt_hash, "vector" in left["ask"].details) == (None, False)
        assert left["search"].prompt_hash == prompt_hash("secrets")
        assert [query.id for query in remembered(wiring).queries] == [found.run]
        assert forget_queries(wiring, [cited]) == 0
        stored = b"".join(file.read_bytes() for file in wiring.paths.state.glob(f"{FILE}*"))
        assert UNDO.encode() not in stored
        assert final.citations[0].quote.encode() not in stored

    def test_a_filter_that_an_erased_memory_passed_is_about_it(self, wiring: Wiring) -> None:
        note(wiring, "filtered", hits=("m1", "m2"), where=Where(all=(Equals("author", "Ann"),)))
        note(wiring, "open", hits=("m1", "m2"))
        assert forget_queries(wiring, ["m1"]) == 2
        left = {run.id: run.details for run in runs(wiring)}
        assert left["filtered"] == {"collection": "main", "model": wiring.model.revision, "hits": ["m2"]}
        assert left["open"]["hits"] == ["m2"]
        assert [query.id for query in remembered(wiring).queries] == ["open"]

    def test_other_memories_and_other_runs_are_left_alone(self, wiring: Wiring) -> None:
        other = with_settings(wiring, memory=MemoryConfig(collection="other"))
        note(other, "theirs", hits=("m1",))
        with closing(wiring.models.ledger()) as ledger:
            ledger.record(Run("routed", "route", wiring.now(), prompt="about m1", details={"hits": ["m1"]}))
        before = runs(wiring)
        assert forget_queries(wiring, ["m1"]) == 0
        assert runs(wiring) == before

    def test_an_id_that_is_no_text_is_forgotten_too(self, wiring: Wiring) -> None:
        note(wiring, "q", hits=("half \ud800", "m1"))
        assert forget_queries(wiring, {"half \ud800"}) == 1
        assert runs(wiring)[0].details["hits"] == ["m1"]

    def test_a_ledger_that_fails_is_told(self, wiring: Wiring) -> None:
        (wiring.paths.state / FILE).mkdir(parents=True)
        with pytest.raises(StoreError):
            forget_queries(wiring, ["m1"])


class TestAFile:
    def test_rows_become_questions(self) -> None:
        lines = [
            b'\xef\xbb\xbf{"id": "a", "query": " Who renews? ", "cited": ["m1", "m2"]}\n',
            b"\n",
            b'{"id": 7, "query": "' + UNDO.encode() + b'", "more": 1}',
        ]
        embedder = HashingEmbedder()
        first, second = from_file(lines, embedder, Lexicon("english", 40.0))
        assert (first.id, first.cited, second.id, second.cited) == ("a", ("m1", "m2"), "7", ())
        assert np.array_equal(first.vector, embedder.embed(["Who renews?"])[0])
        assert second.terms == SPARSE

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            pytest.param(b"not json", "line 2: JSON", id="no JSON"),
            pytest.param(b"[]", "line 2: Expected `object`", id="no object"),
            pytest.param(b'{"id": "b"}', "line 2: Object missing required field `query`", id="no query"),
            pytest.param(b'{"query": "x"}', "line 2: Object missing required field `id`", id="no id"),
            pytest.param(b'{"id": "b", "query": 3}', r"line 2: Expected `str`", id="a number for a query"),
            pytest.param(b'{"id": "b", "query": "x", "cited": "m1"}', r"line 2: Expected `array`", id="cited is text"),
            pytest.param(b'{"id": "b", "query": " "}', "the query of line 2 is empty", id="an empty query"),
            pytest.param(b'{"id": "b", "query": "\xff"}', "line 2", id="no UTF-8"),
        ],
    )
    def test_a_line_that_will_not_do_is_named(self, line: bytes, said: str) -> None:
        with pytest.raises(UsageError, match=said) as caught:
            from_file([b'{"id": "a", "query": "x"}', line], HashingEmbedder(), Lexicon("english", 40.0))
        assert caught.value.hint

    def test_a_file_without_questions_or_with_far_too_many_is_refused(self) -> None:
        lexicon = Lexicon("english", 40.0)
        with pytest.raises(UsageError, match="holds no questions"):
            from_file([b"\n"], HashingEmbedder(), lexicon)
        rows = (b'{"id": %d, "query": "x"}' % number for number in range(queries.MOST_LINES + 1))
        with pytest.raises(UsageError, match="line 10001: more than 10,000"):
            from_file(rows, HashingEmbedder(), lexicon)
