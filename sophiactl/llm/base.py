"""What every chat model promises, what it is asked, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import msgspec

from sophiactl.model import Money, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Role = Literal["system", "user", "assistant", "tool"]


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn. `content` is a text, or parts as OpenAI's wire has them ({"type": "text"|"image_url", ...})."""

    role: Role
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class ChatRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request to one model. `model` is the provider's own name of it; `extra` goes into the body as it is."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    seed: int | None = None
    user: str | None = None
    trace_id: str | None = None
    metadata: dict[str, str] = {}
    extra: dict[str, Any] = {}


class Completion(msgspec.Struct, frozen=True, omit_defaults=True):
    """A whole answer.

    `model` is the one that really answered as the provider names it, `finish_reason` as on OpenAI's wire (`stop`,
    `length`, `tool_calls`, `content_filter`). `cost` is what the provider itself reported, else unknown here: prices
    are looked up by the chain. `latency` and `first_token` are seconds from the request's start.
    """

    text: str
    model: str
    provider: str
    usage: Usage = Usage()
    cost: Money = Money()
    finish_reason: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    response_id: str | None = None
    latency: float = 0.0
    first_token: float | None = None


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of a streamed answer. The last one carries `final`, with the whole text and the usage."""

    text: str = ""
    tool_calls: list[dict[str, Any]] | None = None
    final: Completion | None = None


class Deadlines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds. `first_byte` until the answer's first byte, `idle` between two pieces of a stream, `total` for all."""

    connect: float = 10.0
    first_byte: float = 60.0
    idle: float = 30.0
    total: float = 300.0


@runtime_checkable
class ChatModel(Protocol):
    """A provider's door to its models. Safe to use for many requests at once.

    Both calls raise only errors of `llm.failures` (subclasses of our tree that say whether, where and when to try
    again); no message of theirs ever holds a key. Cancelling a call, or closing the iterator, cuts the upstream.
    """

    provider: str

    async def complete(self, request: ChatRequest) -> Completion:
        """The whole answer."""

    def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """The answer as it comes; ends with the delta that carries `final`, or raises."""

    async def close(self) -> None:
        """Release connections; safe to call twice."""
