from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.agent.base import AgentConfig
from sophiactl.agent.events import EvidenceFound, Final, Started, Token
from sophiactl.errors import NotFound, UsageError
from sophiactl.memory.base import Equals, Where
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.model import MemoryState
from sophiactl.ops.ask import ACCESS_EVERY, NOTHING_FOUND, AskRequest, ask
from sophiactl.ops.embed import EmbedRequest, embed
from sophiactl.wiring import Wiring
from tests.unit.conftest import NOON

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sophiactl.agent.events import AnswerEvent
    from sophiactl.model import Record


@pytest.fixture
def filled(wiring: Wiring, docs: Path) -> Wiring:
    embed(EmbedRequest((str(docs),)), wiring)
    return wiring


def answer(
    wiring: Wiring, question: str, where: Where | None = None, *, deep: bool = False
) -> tuple[list[AnswerEvent], Final]:
    events = list(ask(AskRequest(question, where, deep), wiring))
    final = events[-1]
    assert isinstance(final, Final)
    return events, final


def records(wiring: Wiring) -> list[Record]:
    with wiring.store(purpose="test") as store:
        return [point.record for point in store.scroll()]


def test_the_answer_quotes_its_source_word_for_word(filled: Wiring, docs: Path) -> None:
    _, final = answer(filled, "How do I undo a prune?")
    assert final.kind == "extract"
    first = final.citations[0]
    assert "sophiactl prune restore" in first.quote
    text = (docs / "prune.md").read_text()
    assert first.locator is not None
    assert text[first.locator.start : first.locator.end] == first.quote
    assert text.splitlines()[(first.locator.line or 0) - 1].startswith("Run `sophiactl prune restore")


def test_events_come_in_order_and_the_tokens_are_the_answer(filled: Wiring) -> None:
    events, final = answer(filled, "How do I undo a prune?")
    assert [type(event) for event in events[:2]] == [Started, EvidenceFound]
    assert "".join(event.text for event in events if isinstance(event, Token)) == final.answer


def test_every_number_in_the_answer_is_a_citation(filled: Wiring) -> None:
    _, final = answer(filled, "How do I undo a prune?")
    numbers = {citation.number for citation in final.citations}
    assert numbers == set(range(1, len(numbers) + 1))
    assert all(f"[{number}]" in final.answer for number in numbers)
    assert final.dropped == 0


def test_only_cited_memories_count_as_accessed(filled: Wiring) -> None:
    _, final = answer(filled, "How do I undo a prune?")
    cited = {citation.id for citation in final.citations}
    for record in records(filled):
        assert record.accesses == (1 if record.id in cited else 0)
        assert (record.last_accessed is not None) == (record.id in cited)


def at(wiring: Wiring, time: datetime) -> Wiring:
    """The same memory at another time."""
    return Wiring(wiring.settings, wiring.paths, env={}, clock=lambda: time, embedder=wiring.embedder())


def test_a_memory_counts_once_in_a_quarter_of_an_hour(filled: Wiring) -> None:
    _, final = answer(filled, "How do I undo a prune?")
    cited = final.citations[0].id

    def accesses(time: datetime) -> tuple[int, str | None, int]:
        again = at(filled, time)
        assert cited in {citation.id for citation in answer(again, "How do I undo a prune?")[1].citations}
        [record] = [record for record in records(again) if record.id == cited]
        return record.accesses, record.last_accessed, record.rev

    first = (1, "2026-11-22T12:00:00Z", 1)
    assert accesses(NOON) == first
    assert accesses(NOON + ACCESS_EVERY - timedelta(seconds=1)) == first
    assert accesses(NOON - timedelta(minutes=1)) == first  # the clock of another host
    assert accesses(NOON + ACCESS_EVERY) == (2, "2026-11-22T12:15:00Z", 1)
    assert accesses(NOON + timedelta(minutes=29)) == (2, "2026-11-22T12:15:00Z", 1)
    assert accesses(NOON - timedelta(days=400)) == (3, "2025-10-18T12:00:00Z", 1)  # the other clock was wrong


def test_accesses_are_counted_in_one_go_a_count(filled: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, dict[str, Any]]] = []
    really = EdgeStore.set_fields

    def counted(store: EdgeStore, ids: Sequence[str], fields: dict[str, Any], **more: Any) -> None:
        written.append((len(ids), fields))
        really(store, ids, fields, **more)

    monkeypatch.setattr(EdgeStore, "set_fields", counted)
    question = "How do I undo a prune, and where do secrets come from?"
    _, final = answer(filled, question)
    cited = {citation.id for citation in final.citations}
    assert len(cited) > 1
    assert written == [(len(cited), {"accesses": 1, "last_accessed": "2026-11-22T12:00:00Z"})]
    written.clear()
    answer(filled, question)
    assert written == []


def test_cold_memories_answer_only_when_they_are_asked_for(filled: Wiring) -> None:
    _, before = answer(filled, "How do I undo a prune?")
    cold = {citation.id for citation in before.citations}
    with filled.store(purpose="test") as store:
        store.set_fields(sorted(cold), {"state": "cold"})
    _, after = answer(filled, "How do I undo a prune?")
    assert not cold & {citation.id for citation in after.citations}
    assert after.searched == before.searched - len(cold)
    _, deep = answer(filled, "How do I undo a prune?", deep=True)
    assert (deep.answer, deep.searched) == (before.answer, before.searched)
    assert {citation.state for citation in deep.citations} == {MemoryState.COLD}
    assert [msgspec.structs.replace(c, state=MemoryState.ACTIVE) for c in deep.citations] == list(before.citations)


def test_a_question_about_nothing_here_is_answered_so(make_wiring: Callable[..., Wiring], docs: Path) -> None:
    wiring = make_wiring(agent=AgentConfig(min_relevance=0.9))
    embed(EmbedRequest((str(docs),)), wiring)
    _, final = answer(wiring, "Which whale sings deepest?")
    assert (final.answer, final.kind, final.citations) == (NOTHING_FOUND, "none", ())


def test_a_filter_narrows_what_may_answer(filled: Wiring, docs: Path) -> None:
    source = str(docs / "secrets.txt")
    _, final = answer(filled, "How do I undo a prune?", Where(all=(Equals("source", source),)))
    assert {citation.source for citation in final.citations} <= {source}


def test_an_empty_memory_says_what_to_do(wiring: Wiring) -> None:
    with pytest.raises(NotFound) as caught:
        list(ask(AskRequest("anything"), wiring))
    assert "sophiactl embed" in (caught.value.hint or "")


@pytest.mark.parametrize("question", ["", " \n\t", "x" * 100_000])
def test_no_question_and_far_too_long_ones_are_refused(filled: Wiring, question: str) -> None:
    with pytest.raises(UsageError):
        list(ask(AskRequest(question), filled))


@pytest.mark.parametrize("question", ["???", "\u200b\u200b?", "wie geht's 🙂", "a\x00b"])
def test_odd_questions_break_nothing(filled: Wiring, question: str) -> None:
    _, final = answer(filled, question)
    assert final.answer
