"""Shared vocabulary of all packages. Every type is frozen; none does I/O."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    Clock = Callable[[], datetime]


class MemoryClass(StrEnum):
    """What a memory is; decides its lifetime."""

    WORKING = "working"
    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"
    SOURCE = "source"


class MemoryState(StrEnum):
    """Where a memory is. Only `active` ones are searched by default."""

    ACTIVE = "active"
    COLD = "cold"
    ARCHIVED = "archived"
    ERASED = "erased"


class Locator(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place inside a source, precise enough to open it there.

    `line` and `end_line` count from 1, `page` from 1; `start` and `end` are offsets in characters of the decoded text
    (of the page's text layer for PDF), half open.
    """

    page: int | None = None
    heading: str | None = None
    line: int | None = None
    end_line: int | None = None
    start: int | None = None
    end: int | None = None

    def describe(self) -> str:
        """`page 3`, `Prune › Undo, line 212`: as a person would say it; empty when nothing is known."""
        parts = [f"page {self.page}"] if self.page is not None else []
        if self.heading:
            parts.append(self.heading)
        if self.line is not None:
            parts.append(f"line {self.line}")
        return ", ".join(parts)


class Record(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """One memory: a passage of a document, a message, a fact.

    `id` is the user's own string. Times are ISO 8601 in UTC with a `Z`. `thread` names the document, session or
    conversation the record belongs to and `position` its place there: the neighbours that retrieval looks at.
    `accesses` counts answers that cited the record, never mere search hits. `rev` grows with every change.

    What pruning goes by is written with the record, so that a plan need not read texts: `keep_score` is the worth of
    its words (0 to 1) as `keep_model` judges it, `keep_bucket` the same in 256 steps, and `likeness` is shared by
    records that say the same. `merged_from` names the copies that gave way to this one, `cooled_at` when it went cold.
    """

    id: str
    text: str
    class_: MemoryClass = MemoryClass.SEMANTIC
    state: MemoryState = MemoryState.ACTIVE
    created_at: str | None = None
    updated_at: str | None = None
    title: str | None = None
    author: str | None = None
    source: str | None = None
    url: str | None = None
    locator: Locator | None = None
    thread: str | None = None
    position: int | None = None
    pinned: bool = False
    accesses: int = 0
    last_accessed: str | None = None
    rev: int = 1
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    keep_score: float | None = None
    keep_bucket: int | None = None
    keep_model: str | None = None
    likeness: str | None = None
    merged_from: tuple[str, ...] = ()
    cooled_at: str | None = None


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record that retrieval found for a question, with the score it was ranked by (higher is better, unbounded)."""

    record: Record
    score: float
    dense: float | None = None
    lexical: float | None = None


class Citation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A numbered source of an answer; `quote` stands verbatim in the record named by `id`, whose `state` it tells."""

    number: int
    id: str
    quote: str
    source: str | None = None
    title: str | None = None
    url: str | None = None
    locator: Locator | None = None
    state: MemoryState = MemoryState.ACTIVE


class Gap(msgspec.Struct, frozen=True):
    """A place that was not searched, and why; a failure never loses the question."""

    service: str
    code: str
    message: str
    hint: str | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens of a model call; None where the provider did not say.

    `cached_tokens` are part of `input_tokens`, `reasoning_tokens` part of `output_tokens`.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Money(msgspec.Struct, frozen=True):
    """An amount in US dollars; None means unknown, which is never shown as 0."""

    usd: float | None = None
