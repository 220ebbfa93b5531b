"""What an answer is made of while it comes: one stream for the terminal, NDJSON and, later, HTTP and MCP."""

from __future__ import annotations

import msgspec

from sophiactl.model import Citation, Gap, Locator, MemoryState, Money, Usage


class Started(msgspec.Struct, frozen=True, tag="started", tag_field="event"):
    """The question was understood and the search begins. `run` identifies this answer."""

    run: str
    question: str
    collection: str


class EvidenceItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A passage that will be read, without its text."""

    id: str
    score: float
    source: str | None = None
    title: str | None = None
    locator: Locator | None = None
    state: MemoryState = MemoryState.ACTIVE


class EvidenceFound(msgspec.Struct, frozen=True, tag="evidence", tag_field="event"):
    """The passages found, best first, out of `searched` in all."""

    items: tuple[EvidenceItem, ...]
    searched: int


class GapFound(msgspec.Struct, frozen=True, tag="gap", tag_field="event"):
    """A place that could not be searched; the answer goes on without it."""

    gap: Gap


class Token(msgspec.Struct, frozen=True, tag="token", tag_field="event"):
    """The next piece of the answer's text."""

    text: str


class Warned(msgspec.Struct, frozen=True, tag="warning", tag_field="event"):
    """Something is not in order, but does not stop the answer."""

    message: str


class Final(msgspec.Struct, frozen=True, tag="final", tag_field="event"):
    """The whole answer. `kind` is `extract` (verbatim sentences, no model) or `none` (nothing relevant was found).

    Every citation's quote was looked up in its record; `dropped` counts those that were not found there.
    """

    run: str
    answer: str
    citations: tuple[Citation, ...]
    kind: str
    usage: Usage
    money: Money
    model: str | None = None
    gaps: tuple[Gap, ...] = ()
    dropped: int = 0
    passages: int = 0
    searched: int = 0
    seconds: float = 0.0


AnswerEvent = Started | EvidenceFound | GapFound | Token | Warned | Final
