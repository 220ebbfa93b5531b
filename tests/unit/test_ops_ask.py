from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sophiactl.agent.base import AgentConfig
from sophiactl.agent.events import EvidenceFound, Final, Started, Token
from sophiactl.errors import NotFound, UsageError
from sophiactl.memory.base import Equals, Where
from sophiactl.ops.ask import NOTHING_FOUND, AskRequest, ask
from sophiactl.ops.embed import EmbedRequest, embed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.agent.events import AnswerEvent
    from sophiactl.model import Record
    from sophiactl.wiring import Wiring


@pytest.fixture
def filled(wiring: Wiring, docs: Path) -> Wiring:
    embed(EmbedRequest((str(docs),)), wiring)
    return wiring


def answer(wiring: Wiring, question: str, where: Where | None = None) -> tuple[list[AnswerEvent], Final]:
    events = list(ask(AskRequest(question, where), wiring))
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
