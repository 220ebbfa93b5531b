from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.agent.base import AgentConfig
from sophiactl.agent.citations import cite, verified
from sophiactl.agent.extractive import Extract, extract
from sophiactl.memory.lexical import Lexicon
from sophiactl.model import Citation, Evidence, Locator, Record
from sophiactl.testing import HashingEmbedder

EMBEDDER = HashingEmbedder(dimension=128)
LEXICON = Lexicon("english", 40.0)


def evidence(*texts: str) -> list[Evidence]:
    return [
        Evidence(
            record=Record(id=f"p{n}", text=text, locator=Locator(line=1, end_line=9, start=0, end=len(text))),
            score=-float(n),
        )
        for n, text in enumerate(texts)
    ]


def answer(question: str, *texts: str, config: AgentConfig | None = None) -> Extract:
    vector = EMBEDDER.embed([question])[0]
    chosen = config or AgentConfig(min_relevance=0.1)
    return extract(question, vector, evidence(*texts), embed=EMBEDDER.embed, lexicon=LEXICON, config=chosen)


def test_the_sentence_that_answers_is_quoted_alone() -> None:
    found = answer("Who owns the audit?", "Lunch is at noon. Bob owns the audit. The sky was grey.")
    assert found.paragraphs[0].startswith("Bob owns the audit.")
    assert found.citations[0].quote == "Bob owns the audit."


def test_an_announcement_is_quoted_with_what_it_announces() -> None:
    found = answer(
        "How is a prune undone?", "A prune is undone so:\n\n    sophiactl prune restore\n\nNothing else matters."
    )
    assert found.citations[0].quote == "A prune is undone so:\n\n    sophiactl prune restore"


def test_an_announcement_of_nothing_is_no_answer() -> None:
    assert answer("exit codes", "Exit codes:").paragraphs == ()


def test_a_table_s_head_is_no_answer_but_its_rows_are() -> None:
    table = "| code | meaning |\n| --- | --- |\n| 74 | input lost |\n| 75 | the lock is held |\n"
    found = answer("What is the meaning of code 75?", table, config=AgentConfig(min_relevance=-1, sentences=1))
    assert [citation.quote for citation in found.citations] == ["| 75 | the lock is held |"]


def test_prose_is_shown_on_one_line_and_quoted_as_it_stands() -> None:
    found = answer("Who owns the audit?", "Bob owns\nthe audit since March.")
    assert found.paragraphs == ("Bob owns the audit since March. [1]",)
    assert found.citations[0].quote == "Bob owns\nthe audit since March."


def test_a_rare_word_of_the_question_outweighs_common_ones() -> None:
    config = AgentConfig(min_relevance=-1, sentences=1, diversity=0)
    texts = [f"The exit code {n} means trouble number {n}." for n in (1, 2, 3, 75)]
    assert "75" in answer("What does the exit code 75 mean?", " ".join(texts), config=config).citations[0].quote


def test_the_same_words_in_two_passages_are_quoted_once() -> None:
    found = answer("Who owns the audit?", "Bob owns the audit.", "Bob  owns the AUDIT.")
    assert len(found.citations) == 1


def test_nothing_relevant_is_no_answer() -> None:
    config = AgentConfig(min_relevance=0.9)
    assert answer("Which whale sings?", "Invoices are due in May.", config=config) == Extract((), ())
    assert answer("Which whale sings?") == Extract((), ())


@given(st.lists(st.text(max_size=120), max_size=4), st.text(min_size=1, max_size=40))
def test_whatever_is_quoted_stands_in_its_passage(texts: list[str], question: str) -> None:
    found = answer(question, *texts, config=AgentConfig(min_relevance=-1))
    records = {item.record.id: item.record for item in evidence(*texts)}
    assert verified(found.citations, records) == found.citations
    for citation in found.citations:
        assert citation.locator is not None
        assert citation.locator.start is not None
        record = records[citation.id]
        assert record.text[citation.locator.start : citation.locator.end] == citation.quote
    numbers = [int(found_number) for text in found.paragraphs for found_number in re.findall(r" \[(\d+)\]\Z", text)]
    assert numbers == list(range(1, len(found.paragraphs) + 1))


def test_a_citation_knows_its_line() -> None:
    record = Record(id="r", text="one\ntwo\nthree", locator=Locator(line=10, end_line=12, start=100, end=113))
    assert cite(1, record, 4, 7).locator == Locator(line=11, end_line=11, start=104, end=107)


def test_a_passage_of_extracted_text_is_cited_as_a_whole() -> None:
    place = Locator(page=3, line=10, end_line=12, start=100, end=500)
    record = Record(id="r", text="one\ntwo\nthree", locator=place)
    assert cite(1, record, 4, 7).locator == place


@pytest.mark.parametrize("quote", ["never said", "  ", "Bob owns the audit!"])
def test_a_quote_that_does_not_stand_there_is_dropped(quote: str) -> None:
    record = Record(id="r", text="Bob owns the audit.")
    good = Citation(number=1, id="r", quote="Bob   owns\nthe audit")
    bad = Citation(number=2, id="r", quote=quote)
    elsewhere = msgspec.structs.replace(good, id="unknown")
    assert verified([good, bad, elsewhere], {"r": record}) == (good,)
