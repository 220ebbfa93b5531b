"""`ask`: a question in, a stream of events out, the last of which is the cited answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from sophiactl.agent.citations import verified
from sophiactl.agent.events import EvidenceFound, EvidenceItem, Final, Started, Token
from sophiactl.agent.extractive import Extract, extract
from sophiactl.errors import NotFound
from sophiactl.memory.base import Where
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.retrieval import Retriever, active
from sophiactl.model import Money, Usage
from sophiactl.ops.search import checked_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sophiactl.agent.events import AnswerEvent
    from sophiactl.memory.base import Store
    from sophiactl.model import Citation, Evidence
    from sophiactl.wiring import Wiring

NOTHING_FOUND = "Nothing in the memory answers this."


class AskRequest(msgspec.Struct, frozen=True):
    """A question, and which memories may answer it."""

    question: str
    where: Where | None = None


def ask(request: AskRequest, wiring: Wiring) -> Iterator[AnswerEvent]:
    """Answer from the memory. Raises `UsageError`, `NotFound` (no memory yet) and `StoreError`.

    Without a model the answer is an extract: verbatim sentences, each cited. Only records that were cited count as
    accessed.
    """
    began = time.monotonic()
    question = checked_query(request.question, "question")
    run = wiring.new_id()
    yield Started(run=run, question=question, collection=wiring.collection)
    embedder = wiring.embedder()
    vector = embedder.embed([question])[0]
    config = wiring.settings.agent
    with wiring.store(purpose="ask") as store:
        scope = active(request.where)
        searched = store.count(scope)
        if not searched:
            raise NotFound(
                f"the memory {wiring.collection!r} holds nothing to search",
                hint="put documents into it first: sophiactl embed PATH",
            )
        lexicon = Lexicon.of(store.schema)
        retriever = Retriever(store, lexicon, wiring.settings.memory.retrieval)
        evidence = retriever.search(question, vector, config.passages, scope)
        yield EvidenceFound(items=tuple(_item(found) for found in evidence), searched=searched)
        answer = extract(question, vector, evidence, embed=embedder.embed, lexicon=lexicon, config=config)
        yield from _tokens(answer)
        citations = verified(answer.citations, {found.record.id: found.record for found in evidence})
        _count_accesses(store, evidence, citations, wiring)
    yield Final(
        run=run,
        answer="\n\n".join(answer.paragraphs) or NOTHING_FOUND,
        citations=citations,
        kind="extract" if answer.paragraphs else "none",
        usage=Usage(),
        money=Money(0.0),
        dropped=len(answer.citations) - len(citations),
        passages=len(evidence),
        searched=searched,
        seconds=round(time.monotonic() - began, 3),
    )


def _item(found: Evidence) -> EvidenceItem:
    record = found.record
    return EvidenceItem(
        id=record.id, score=round(found.score, 4), source=record.source, title=record.title, locator=record.locator
    )


def _tokens(answer: Extract) -> Iterator[Token]:
    for place, paragraph in enumerate(answer.paragraphs or (NOTHING_FOUND,)):
        yield Token(("\n\n" if place else "") + paragraph)


def _count_accesses(store: Store, evidence: Sequence[Evidence], citations: Sequence[Citation], wiring: Wiring) -> None:
    """Count each cited record once an answer."""
    cited = {citation.id for citation in citations}
    now = wiring.now()
    for found in evidence:
        if found.record.id in cited:
            store.set_fields([found.record.id], {"accesses": found.record.accesses + 1, "last_accessed": now})
