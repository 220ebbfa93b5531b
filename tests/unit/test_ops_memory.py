from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import NotFound, UsageError
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.rows import export_row
from sophiactl.model import MemoryClass
from sophiactl.ops import memory
from sophiactl.ops.memory import Selection, import_file, listing, new_record, set_pinned, show, stats
from sophiactl.ops.search import BatchQuery, SearchRequest, search, search_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sophiactl.memory.base import Point, SparseVector
    from sophiactl.ops.memory import ImportReport
    from sophiactl.wiring import Wiring

TALK = [
    {"id": "t1", "text": "Did the Acme contract come back?", "speaker": "Ann"},
    {"id": "t2", "text": "Yes, signed on Tuesday.", "speaker": "Bob"},
    {"id": "t3", "text": "Lunch at noon?", "speaker": "Ann"},
]


def lines(rows: Iterable[dict[str, Any]]) -> list[bytes]:
    return [json.dumps({"created_at": f"2026-03-01T09:0{n}:00Z", **row}).encode() for n, row in enumerate(rows)]


def load(wiring: Wiring, rows: Iterable[dict[str, Any]]) -> ImportReport:
    return import_file(lines(rows), wiring, lambda _: None)


def points(wiring: Wiring) -> dict[str, Point]:
    with wiring.store(purpose="test") as store:
        return {point.record.id: point for point in store.scroll(vectors=True)}


def weights(vector: SparseVector | None) -> dict[int, float]:
    assert vector is not None
    return {i: round(v, 3) for i, v in zip(vector.indices, vector.values, strict=True)}


def test_an_import_counts_and_names_bad_rows(wiring: Wiring) -> None:
    report = import_file([*lines(TALK), b"oops\n", b'{"id": "x"}'], wiring, lambda _: None)
    assert (report.imported, report.replaced) == (3, 0)
    assert [row.line for row in report.rejected] == [4, 5]


def test_importing_again_changes_nothing_but_the_revision(wiring: Wiring) -> None:
    load(wiring, TALK)
    before = points(wiring)
    assert load(wiring, TALK).replaced == 3
    after = points(wiring)
    for name, point in before.items():
        assert (after[name].dense == point.dense).all()
        assert weights(after[name].sparse) == weights(point.sparse)
        assert after[name].record.position == point.record.position


def test_turns_that_come_later_change_the_neighbours_words_only(
    make_wiring: Callable[..., Wiring], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row by row or all at once: the same sparse vectors, and no dense vector touched by a neighbour."""
    from sophiactl.memory.base import MemoryConfig

    session = [{**row, "session": "s"} for row in TALK]
    whole = make_wiring(memory=MemoryConfig(collection="whole"))
    parts = make_wiring(memory=MemoryConfig(collection="parts"))
    load(whole, session)
    for row in lines(session):
        import_file([row], parts, lambda _: None)
    expected, found = points(whole), points(parts)
    assert {n: weights(p.sparse) for n, p in found.items()} == {n: weights(p.sparse) for n, p in expected.items()}
    assert all((found[name].dense == expected[name].dense).all() for name in expected)


def test_a_small_window_gives_the_same_index(
    make_wiring: Callable[..., Wiring], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sophiactl.memory.base import MemoryConfig

    rows = [{"id": f"m{n}", "text": f"word{n} said here", "session": f"s{n // 4}"} for n in range(9)]
    whole = make_wiring(memory=MemoryConfig(collection="whole"))
    parts = make_wiring(memory=MemoryConfig(collection="parts"))
    load(whole, rows)
    monkeypatch.setattr(memory, "_WINDOW", 3)
    load(parts, rows)
    expected, found = points(whole), points(parts)
    assert {n: weights(p.sparse) for n, p in found.items()} == {n: weights(p.sparse) for n, p in expected.items()}


def test_a_turn_is_found_by_the_words_of_the_turn_before(wiring: Wiring) -> None:
    load(wiring, TALK)
    lexicon = Lexicon("english", 40.0)
    with wiring.store(purpose="test") as store:
        hits = [hit.id for hit in store.search_sparse(lexicon.query("Acme contract"), 3)]
    assert hits[:2] == ["t1", "t2"]


def test_an_export_can_be_imported_elsewhere(make_wiring: Callable[..., Wiring]) -> None:
    from sophiactl.memory.base import MemoryConfig

    first = make_wiring(memory=MemoryConfig(collection="first"))
    second = make_wiring(memory=MemoryConfig(collection="second"))
    load(first, [{**TALK[0], "access_count": 3, "pinned": True, "tags": ["acme"], "metadata": {"channel": "c"}}])
    rows = [export_row(record) for record in listing(Selection(), first)]
    import_file([json.dumps(row).encode() for row in rows], second, lambda _: None)
    assert [export_row(record) for record in listing(Selection(), second)] == rows


def test_selection_by_class_thread_and_time(wiring: Wiring) -> None:
    load(wiring, [*TALK, {"id": "f", "text": "Acme is in Berlin.", "tags": ["acme"]}])

    def ids(selection: Selection) -> set[str]:
        return {record.id for record in listing(selection, wiring)}

    assert ids(Selection(classes=(MemoryClass.SEMANTIC,))) == {"f"}
    assert ids(Selection(tag="acme")) == {"f"}
    assert ids(Selection(since="2026-03-01T09:01:00Z", until="2026-03-01T09:02:00Z")) == {"t2"}
    assert ids(Selection(pinned=True)) == set()


def test_show_takes_the_beginning_of_an_id(wiring: Wiring) -> None:
    load(wiring, [*TALK, {"id": "other", "text": "x y"}])
    assert show("oth", wiring).id == "other"
    with pytest.raises(NotFound, match="3 memories begin"):
        show("t", wiring)
    with pytest.raises(NotFound, match="no memory 'nope'"):
        show("nope", wiring)


def test_pinning_an_unknown_id_pins_nothing(wiring: Wiring) -> None:
    load(wiring, TALK)
    with pytest.raises(NotFound, match="nope"):
        set_pinned(["t1", "nope"], wiring, pinned=True)
    assert not show("t1", wiring).pinned
    set_pinned(["t1"], wiring, pinned=True)
    assert show("t1", wiring).pinned
    assert stats(wiring).pinned == 1
    set_pinned(["t1"], wiring, pinned=False)
    assert not show("t1", wiring).pinned


def test_stats_count_by_class(wiring: Wiring) -> None:
    load(wiring, [*TALK, {"id": "f", "text": "a fact"}])
    found = stats(wiring)
    assert (found.info.points, found.classes) == (4, {"episodic": 3, "semantic": 1})


def test_a_memory_without_words_is_refused(wiring: Wiring) -> None:
    with pytest.raises(UsageError):
        new_record("  \n", wiring, class_=MemoryClass.SEMANTIC)


def test_a_batch_gives_what_single_searches_give(wiring: Wiring) -> None:
    load(wiring, TALK)
    queries = [BatchQuery("a", "Acme contract"), BatchQuery("b", "lunch")]
    results = {result.id: result for result in search_batch(queries, wiring, k=2)}
    for query in queries:
        alone = search(SearchRequest(query.query, 2), wiring)
        assert [hit.id for hit in results[query.id].hits] == [hit.record.id for hit in alone.hits]


def test_searching_without_a_memory_says_so(wiring: Wiring) -> None:
    with pytest.raises(NotFound):
        search(SearchRequest("x"), wiring)
