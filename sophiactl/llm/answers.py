"""From OpenAI's wire to our types: whole answers, and streams put together piece by piece. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.llm.base import Completion, Delta
from sophiactl.llm.classify import broken, filtered, from_error
from sophiactl.llm.sse import Parser, TooLong
from sophiactl.model import Money, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sophiactl.llm.classify import Peer
    from sophiactl.llm.sse import Event

DONE = b"[DONE]"
_BOM = b"\xef\xbb\xbf"
_BROKE_OFF = "broke off in the middle of the answer"
_LARGEST = 1 << 53
_NUMBER = (int, float)


class Body(msgspec.Struct):
    """What is read of an answer or a piece of one. Types are checked field by field: providers differ."""

    id: Any = None
    model: Any = None
    choices: Any = None
    usage: Any = None
    error: Any = None


_DECODER = msgspec.json.Decoder(Body)


def decode(data: bytes) -> Body | None:
    """The answer's fields; None when it is no JSON object."""
    try:
        return _DECODER.decode(data.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def whole(data: bytes, asked: str, peer: Peer, now: Callable[[], datetime]) -> Completion:
    """The answer of a body that was read to its end. Raises `CallFailed`."""
    body = decode(data)
    if body is None:
        raise broken(peer, "answered with something that is no JSON object")
    if body.error:
        raise from_error(peer, body.error, now=now())
    choice = _first(body.choices)
    if choice is None:
        raise broken(peer, "answered without any choice")
    if choice.get("error"):
        raise from_error(peer, choice["error"], now=now())
    message = choice.get("message")
    if not isinstance(message, dict):
        raise broken(peer, "answered without a message")
    calls = message.get("tool_calls") or None
    finish = _string(choice.get("finish_reason"))
    text = _content(message)
    _refuse_unfinished(finish, text, peer, now)
    return Completion(
        text=text,
        model=_string(body.model) or asked,
        provider=peer.provider,
        usage=read_usage(body.usage),
        cost=read_cost(body.usage),
        finish_reason=finish,
        tool_calls=calls if isinstance(calls, list) else None,
        response_id=_string(body.id),
    )


class _Call:
    """A tool call that is still coming: its arguments arrive in fragments."""

    def __init__(self) -> None:
        self.id = ""
        self.kind = "function"
        self.name = ""
        self.arguments: list[str] = []

    def whole(self) -> dict[str, Any]:
        function = {"name": self.name, "arguments": "".join(self.arguments)}
        return {"id": self.id, "type": self.kind, "function": function}


class Stream:
    """Puts a streamed answer together: `feed` it bytes until `done`, then ask for the `final` answer.

    `limit` is the most characters of an answer, `event_limit` the most bytes of one event.
    """

    def __init__(
        self, asked: str, peer: Peer, now: Callable[[], datetime], *, limit: int = 32 << 20, event_limit: int = 8 << 20
    ) -> None:
        self._events = Parser(event_limit)
        self._asked = asked
        self._peer = peer
        self._now = now
        self._limit = limit
        self._size = 0
        self._parts: list[str] = []
        self._calls: dict[int | str, _Call] = {}
        self._seen = False
        self._last = Body()
        self._finish: str | None = None
        self.done = False

    @property
    def text(self) -> str:
        """What has arrived so far."""
        return "".join(self._parts)

    def feed(self, chunk: bytes) -> Iterator[Delta]:
        """What a piece of the stream adds; an empty one says that the stream is over. Raises `CallFailed`."""
        try:
            events = self._events.feed(chunk) if chunk else self._events.close()
        except TooLong:
            raise broken(self._peer, "sent more than is taken of one event") from None
        for event in events:
            if not chunk and event.data.strip() != DONE and decode(event.data) is None:
                raise broken(self._peer, _BROKE_OFF)
            delta = self._take(event)
            if delta is not None:
                yield delta
            if self.done:
                return

    def _take(self, event: Event) -> Delta | None:
        """What an event adds; None when nothing that is shown. Raises `CallFailed`."""
        data = event.data
        if data.startswith(b"[") and data.strip() == DONE:
            self.done = True
            return None
        body = decode(data)
        if body is None:
            raise broken(self._peer, "sent an event that is no JSON object")
        if body.error or event.name == "error":
            raise from_error(self._peer, body.error or msgspec.json.decode(data), now=self._now())
        self._note(body)
        choice = _first(body.choices)
        return None if choice is None else self._choice(choice)

    def final(self) -> Completion:
        """The whole answer, once the stream is over. Raises `Broken` when its end never came."""
        if not self.done and self._finish is None:
            raise broken(self._peer, _BROKE_OFF)
        if not self._seen:
            raise broken(self._peer, "answered without any choice")
        text = self.text
        _refuse_unfinished(self._finish, text, self._peer, self._now)
        return Completion(
            text=text,
            model=_string(self._last.model) or self._asked,
            provider=self._peer.provider,
            usage=read_usage(self._last.usage),
            cost=read_cost(self._last.usage),
            finish_reason=self._finish,
            tool_calls=[call.whole() for call in self._calls.values()] or None,
            response_id=_string(self._last.id),
        )

    def _note(self, body: Body) -> None:
        last = self._last
        last.id = body.id or last.id
        last.model = body.model or last.model
        last.usage = body.usage or last.usage

    def _choice(self, choice: dict[str, Any]) -> Delta | None:
        self._seen = True
        if choice.get("error"):
            raise from_error(self._peer, choice["error"], now=self._now())
        self._finish = _string(choice.get("finish_reason")) or self._finish
        piece = choice.get("delta")
        if not isinstance(piece, dict):
            return None
        text, calls = _content(piece), piece.get("tool_calls")
        calls = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
        for call in calls:
            self._join(call)
        if text:
            self._grow(len(text))
            self._parts.append(text)
        return Delta(text=text, tool_calls=calls or None) if text or calls else None

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._limit:
            raise broken(self._peer, "sent more than is taken of one answer")

    def _join(self, piece: dict[str, Any]) -> None:
        """Add a piece to its tool call: arguments come in fragments, the rest once."""
        call = self._place(piece)
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call.id = call.id or _string(piece.get("id")) or ""
        call.kind = _string(piece.get("type")) or call.kind
        call.name = call.name or _string(function.get("name")) or ""
        if arguments := _string(function.get("arguments")):
            self._grow(len(arguments))
            call.arguments.append(arguments)

    def _place(self, piece: dict[str, Any]) -> _Call:
        """The call that a piece belongs to: by index, or for servers that send none, by a new id."""
        index: Any = piece.get("index")
        if not isinstance(index, int):
            last = next(reversed(self._calls), None)
            same = last is not None and _string(piece.get("id")) in {None, self._calls[last].id}
            index = last if same else f"call {len(self._calls)}"
        call: _Call = self._calls.setdefault(index, _Call())
        return call


def read_usage(usage: Any) -> Usage:
    """Tokens as we count them; what a provider does not say stays unknown.

    xAI and Google leave reasoning out of `completion_tokens` though it is billed as output; their total has it.
    """
    if not isinstance(usage, dict):
        return Usage()
    given, taken = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    total = _count(usage.get("total_tokens"))
    if given is not None and taken is not None and total is not None:
        taken = max(taken, total - given)
    cached = _count(_inside(usage, "prompt_tokens_details", "cached_tokens"))
    return Usage(
        input_tokens=given,
        output_tokens=taken,
        cached_tokens=_count(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        reasoning_tokens=_count(_inside(usage, "completion_tokens_details", "reasoning_tokens")),
    )


def read_cost(usage: Any) -> Money:
    """What the provider charges for the call, as OpenRouter reports it.

    With a key of one's own (`is_byok`) its `cost` is only the fee: the upstream's bill is added, or all is unknown.
    """
    if not isinstance(usage, dict):
        return Money()
    cost = _amount(usage.get("cost"))
    if cost is not None and usage.get("is_byok") is True:
        upstream = _amount(_inside(usage, "cost_details", "upstream_inference_cost"))
        return Money(None if upstream is None else cost + upstream)
    return Money(cost)


def _refuse_unfinished(finish: str | None, text: str, peer: Peer, now: Callable[[], datetime]) -> None:
    if finish == "error":
        raise from_error(peer, {"message": "the model broke off"}, now=now())
    if finish == "content_filter" and not text:
        raise filtered(peer)


def _first(choices: Any) -> dict[str, Any] | None:
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else None


def _content(message: dict[str, Any]) -> str:
    """The text, also of servers that answer in parts; a refusal in the model's own words is its answer."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(_string(part.get("text")) or "" for part in content if isinstance(part, dict))
    return _string(content) or _string(message.get("refusal")) or ""


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _inside(value: dict[str, Any], outer: str, inner: str) -> Any:
    nested = value.get(outer)
    return nested.get(inner) if isinstance(nested, dict) else None


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, _NUMBER) or not 0 <= value < _LARGEST:
        return None
    return int(value)


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, _NUMBER) or not math.isfinite(value) or value < 0:
        return None
    return float(value)
