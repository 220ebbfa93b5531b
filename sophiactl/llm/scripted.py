"""A chat model that answers from a script: what tests of everything above it run on. It ships with the library."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.llm.base import ChatRequest, Completion, Delta
from sophiactl.llm.failures import CallFailed
from sophiactl.model import Money, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable


class Reply(msgspec.Struct, frozen=True):
    """An answer to give. `pieces` is how it streams (by default in words); `model` is the one that claims to answer.

    `delay` seconds pass before the first piece, `gap` between two. With `failure` the stream breaks after its pieces;
    a whole answer then fails with it at once.
    """

    text: str = ""
    pieces: tuple[str, ...] | None = None
    model: str | None = None
    usage: Usage = Usage()
    cost: float | None = None
    finish_reason: str | None = "stop"
    tool_calls: list[dict[str, Any]] | None = None
    delay: float = 0.0
    gap: float = 0.0
    failure: Any = None


class ScriptEnded(AssertionError):
    """More was asked than the script has; a fault of the test, so the chain does not take it for a provider's."""


class ScriptedModel:
    """Gives the steps of a script in turn: a text, a `Reply`, or a failure to raise. Keeps what it was asked.

    With `repeat` the last step is given for ever. Time passes through `sleep` and is read from `timer`.
    """

    def __init__(
        self,
        provider: str,
        script: Iterable[str | Reply | CallFailed],
        *,
        repeat: bool = False,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.provider = provider
        self.requests: list[ChatRequest] = []
        self.closed = 0
        self.cut = 0
        self._script = list(script)
        self._repeat = repeat
        self._sleep = sleep
        self._timer = timer

    async def complete(self, request: ChatRequest) -> Completion:
        """The next step of the script, whole."""
        reply, started = self._next(request), self._timer()
        await self._pass(reply.delay + reply.gap * max(0, len(_pieces(reply)) - 1))
        if reply.failure is not None:
            raise reply.failure
        return self._completion(request, reply, started, None)

    async def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """The next step of the script, in pieces."""
        reply, started, first = self._next(request), self._timer(), None
        try:
            await self._pass(reply.delay)
            for number, piece in enumerate(_pieces(reply)):
                await self._pass(reply.gap if number else 0.0)
                first = self._timer() - started if first is None else first
                yield Delta(text=piece)
            if reply.failure is not None:
                raise reply.failure
            if reply.tool_calls:
                yield Delta(tool_calls=reply.tool_calls)
        except GeneratorExit:
            self.cut += 1
            raise
        yield Delta(final=self._completion(request, reply, started, first))

    async def close(self) -> None:
        """Counts how often it was called."""
        self.closed += 1

    def _next(self, request: ChatRequest) -> Reply:
        self.requests.append(request)
        if not self._script:
            raise ScriptEnded(f"{self.provider}: request {len(self.requests)} is past the end of the script")
        step = self._script[0] if self._repeat and len(self._script) == 1 else self._script.pop(0)
        if isinstance(step, CallFailed):
            return Reply(failure=step)
        return Reply(text=step) if isinstance(step, str) else step

    async def _pass(self, seconds: float) -> None:
        if seconds <= 0:
            return
        if self._sleep is not None:
            await self._sleep(seconds)
            return
        import asyncio

        await asyncio.sleep(seconds)

    def _completion(self, request: ChatRequest, reply: Reply, started: float, first: float | None) -> Completion:
        return Completion(
            text=reply.text or "".join(_pieces(reply)),
            model=reply.model or request.model,
            provider=self.provider,
            usage=reply.usage,
            cost=Money(reply.cost),
            finish_reason=reply.finish_reason,
            tool_calls=reply.tool_calls,
            response_id=f"{self.provider}-{len(self.requests)}",
            latency=self._timer() - started,
            first_token=first,
        )


def _pieces(reply: Reply) -> list[str]:
    """The pieces a reply streams in; joined they are its text."""
    if reply.pieces is not None:
        return list(reply.pieces)
    words = reply.text.split(" ")
    return [word if not number else f" {word}" for number, word in enumerate(words)] if reply.text else []
