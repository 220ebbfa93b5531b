"""`ask`: a question in, a stream of events out, the last of which is the cited answer."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from sophiactl.agent.citations import verified
from sophiactl.agent.events import EvidenceFound, EvidenceItem, Final, Started, Token, Warned
from sophiactl.agent.extractive import Extract, extract
from sophiactl.errors import NotFound
from sophiactl.memory.base import Where
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.retrieval import Retriever, searched
from sophiactl.model import Money, Usage
from sophiactl.ops.queries import Asked, checked_query, remember

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sophiactl.agent.events import AnswerEvent
    from sophiactl.memory.base import Store
    from sophiactl.model import Evidence, Record
    from sophiactl.wiring import Wiring

NOTHING_FOUND = "Nothing in the memory answers this."
ACCESS_EVERY = timedelta(minutes=15)
"""A memory counts as accessed at most so often: a conversation about it is one access."""


class AskRequest(msgspec.Struct, frozen=True):
    """A question, and which memories may answer it; `deep` lets cold ones answer too."""

    question: str
    where: Where | None = None
    deep: bool = False


def ask(request: AskRequest, wiring: Wiring) -> Iterator[AnswerEvent]:
    """Answer from the memory. Raises `UsageError`, `NotFound` (no memory yet) and `StoreError`.

    Without a model the answer is an extract: verbatim sentences, each cited. Only records that were cited count as
    accessed. The question is remembered in the ledger of runs; when that fails a `Warned` comes before the `Final`.
    """
    began = time.monotonic()
    question = checked_query(request.question, "question")
    run = wiring.new_id()
    yield Started(run=run, question=question, collection=wiring.collection)
    embedder = wiring.embedder()
    vector = embedder.embed([question])[0]
    config = wiring.settings.agent
    with wiring.store(purpose="ask") as store:
        scope = searched(request.where, deep=request.deep)
        count = store.count(scope)
        if not count:
            raise NotFound(
                f"the memory {wiring.collection!r} holds nothing to search",
                hint="put documents into it first: sophiactl embed PATH",
            )
        lexicon = Lexicon.of(store.schema)
        retriever = Retriever(store, lexicon, wiring.settings.memory.retrieval)
        evidence = retriever.search(question, vector, config.passages, scope)
        yield EvidenceFound(items=tuple(_item(found) for found in evidence), searched=count)
        answer = extract(question, vector, evidence, embed=embedder.embed, lexicon=lexicon, config=config)
        yield from _tokens(answer)
        records = {found.record.id: found.record for found in evidence}
        citations = verified(answer.citations, records)
        cited = {citation.id: records[citation.id] for citation in citations}
        _count_accesses(store, cited.values(), wiring)
    text = "\n\n".join(answer.paragraphs) or NOTHING_FOUND
    asked = Asked(
        question, vector, lexicon.query(question), tuple(records), tuple(cited), text, request.where, request.deep
    )
    unrecorded = remember(run, "ask", asked, wiring)
    if unrecorded is not None:
        yield Warned(f"not recorded: {unrecorded}")
    yield Final(
        run=run,
        answer=text,
        citations=citations,
        kind="extract" if answer.paragraphs else "none",
        usage=Usage(),
        money=Money(0.0),
        dropped=len(answer.citations) - len(citations),
        passages=len(evidence),
        searched=count,
        seconds=round(time.monotonic() - began, 3),
    )


def _item(found: Evidence) -> EvidenceItem:
    record = found.record
    return EvidenceItem(
        id=record.id,
        score=round(found.score, 4),
        source=record.source,
        title=record.title,
        locator=record.locator,
        state=record.state,
    )


def _tokens(answer: Extract) -> Iterator[Token]:
    for place, paragraph in enumerate(answer.paragraphs or (NOTHING_FOUND,)):
        yield Token(("\n\n" if place else "") + paragraph)


def _count_accesses(store: Store, cited: Iterable[Record], wiring: Wiring) -> None:
    """Count each cited record once an answer, and once in `ACCESS_EVERY`. Their revision stays."""
    now = wiring.clock()
    by_count: dict[int, list[str]] = defaultdict(list)
    for record in cited:
        if not _just_accessed(record, now):
            by_count[record.accesses + 1].append(record.id)
    for count, ids in by_count.items():
        store.set_fields(ids, {"accesses": count, "last_accessed": wiring.now()})


def _just_accessed(record: Record, now: datetime) -> bool:
    if record.last_accessed is None:
        return False
    try:
        last = datetime.fromisoformat(record.last_accessed)
    except ValueError:
        return False
    last = last.replace(tzinfo=UTC) if last.tzinfo is None else last
    # Also a little in the future: the clocks of two hosts differ. One that is far ahead was wrong, and is put right.
    return abs(now - last) < ACCESS_EVERY
