"""One request's way through the hops: attempts, pauses, fallbacks, and the events that tell of them.

Once a piece of the answer has gone out, a break is the end of it: nothing begins anew behind the reader's back.
"""

from __future__ import annotations

import random
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sophiactl.clock import utc_now
from sophiactl.llm.attempts import Record, Stop, gave_up, why
from sophiactl.llm.budget import OverBudget, Spent, check
from sophiactl.llm.events import Answered, Attempted, CutOff, FellBack, GaveUp, Piece, Retrying, Skipped
from sophiactl.llm.failures import Broken, CallFailed, TooSlow
from sophiactl.llm.hops import estimate_tokens
from sophiactl.llm.retries import pause

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from sophiactl.llm.base import ChatModel, ChatRequest, Completion, Delta
    from sophiactl.llm.cooldown import Cooldowns
    from sophiactl.llm.events import ChainEvent
    from sophiactl.llm.hops import ChainConfig, Hop
    from sophiactl.llm.prices import PriceTable
    from sophiactl.llm.retries import RetryBudget
    from sophiactl.model import Clock
    from sophiactl.runs.base import Call

_T = TypeVar("_T")


async def _sleep(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)


def no_spending() -> Spent:
    """For those who keep no ledger."""
    return Spent()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Time and chance, replaced in tests. `chance` gives numbers in [0, 1)."""

    timer: Callable[[], float] = time.monotonic
    clock: Clock = utc_now
    sleep: Callable[[float], Awaitable[None]] = _sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Tools:
    """What all requests of a chain share."""

    providers: Mapping[str, ChatModel]
    key_names: Mapping[str, str]
    config: ChainConfig
    prices: PriceTable
    cooldowns: Cooldowns
    retries: RetryBudget
    around: Surroundings


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the chain; the fields are those of `Chain.complete`."""

    request: ChatRequest
    reason: str
    input_tokens: int | None
    spent: Callable[[], Spent]
    record: Callable[[Call], None] | None
    streaming: bool


class OutOfTime(TooSlow):
    """The request's own time is over; no fault of the provider that was being asked."""


class Walk:
    """One request on its way."""

    def __init__(self, tools: Tools, hops: Sequence[Hop], asked: Asked) -> None:
        self.tools = tools
        self.hops = hops
        self.asked = asked
        self.around = tools.around
        self.deadline = self.around.timer() + tools.config.total
        self.input_tokens = estimate_tokens(asked.request) if asked.input_tokens is None else asked.input_tokens
        self.record = Record(tools.prices, self.around.clock, asked.record)
        self.stops: list[Stop] = []
        self.emitted: list[str] = []

    async def events(self) -> AsyncGenerator[ChainEvent, None]:
        """All that happens; raises at the end when nobody answered."""
        self.tools.retries.deposit()
        before: Hop | None = None
        for hop in self.hops:
            if before is not None and self.left() <= 0:
                break
            stop = self.refusal(hop)
            if stop is not None:
                self.stops.append(stop)
                yield Skipped(hop, stop.reason)
                before = before or hop
                continue
            if before is not None:
                self.record.fallbacks += 1
                yield FellBack(before, hop, self.stops[-1].reason)
            async with aclosing(self.at(hop, fallback=before is not None)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, Answered):
                        return
            before = hop
            if self.stops[-1].final:
                break
        error = gave_up(self.asked.request.model, self.stops, out_of_time=self.left() <= 0)
        yield GaveUp(error.code, error.message, self.record.taken, self.record.total)
        raise error

    def left(self) -> float:
        """Seconds until the request's own deadline."""
        return self.deadline - self.around.timer()

    def refusal(self, hop: Hop) -> Stop | None:
        """Why the hop is not tried at all. The budget comes first: the one trial after a cooldown must not be lost."""
        if hop.provider not in self.tools.providers:
            name = self.tools.key_names.get(hop.provider)
            return Stop(hop, "it is not configured" + (f" (set {name})" if name else ""))
        over = self.over_budget(hop)
        if over is not None:
            return Stop(hop, over.message, over=over)
        cooling = self.tools.cooldowns.admit(hop.provider, hop.model)
        return None if cooling is None else Stop(hop, str(cooling), cooling=cooling)

    def over_budget(self, hop: Hop) -> OverBudget | None:
        """What the budget has against one more attempt there."""
        config = self.tools.config
        output = config.assumed_output if self.asked.request.max_tokens is None else self.asked.request.max_tokens
        estimate = 0.0 if hop.free else self.tools.prices.estimate(hop.model, self.input_tokens, output)
        self.record.expected = estimate
        return check(config.budget, self.asked.spent(), model=hop.model, estimate=estimate, call=self.record.at_least)

    async def at(self, hop: Hop, *, fallback: bool) -> AsyncGenerator[ChainEvent, None]:
        """All attempts at one hop; ends without an answer when the next hop is to be tried."""
        reason = "fallback" if fallback else self.asked.reason
        attempt = 1
        while True:
            yield Attempted(hop, attempt, reason)
            try:
                async with aclosing(self.attempt(hop, reason)) as events:
                    async for event in events:
                        yield event
            except CallFailed as failure:
                seconds = self.failed(hop, failure, attempt)
                if self.emitted:
                    yield self.cut_off(hop, failure)
                    raise
            else:
                return
            if seconds is None:
                return
            yield Retrying(hop, seconds, self.stops[-1].reason)
            await self.around.sleep(seconds)
            if not self.may_retry(hop):
                return
            attempt += 1

    def failed(self, hop: Hop, failure: CallFailed, attempt: int) -> float | None:
        """Note the failure; returns the seconds until another attempt in the same place, None: there shall be none."""
        self.stops.append(Stop(hop, failure.message, failure=failure))
        cooldowns, retry = self.tools.cooldowns, self.tools.config.retry
        if isinstance(failure, OutOfTime):
            cooldowns.released(hop.provider, hop.model)
            return None
        cooling = cooldowns.failed(hop.provider, hop.model, failure)
        if self.emitted or failure.again != "here" or attempt > retry.most:
            return None
        seconds = pause(retry, attempt, failure.retry_after, self.around.chance())
        cooled = 0.0 if cooling is None else cooling.left
        if (failure.retry_after or 0.0) > retry.longest_wait or seconds >= self.left() or seconds < cooled:
            return None
        return seconds if self.tools.retries.withdraw() else None

    def may_retry(self, hop: Hop) -> bool:
        """Whether, after the pause, time and budget allow another attempt; and nobody else has found it down since."""
        stop = self.refusal(hop)
        if stop is not None:
            self.stops.append(stop)
        return stop is None and self.left() > 0

    def cut_off(self, hop: Hop, failure: CallFailed) -> CutOff:
        """The event for a stream that broke while it was being read."""
        failure.text = "".join(self.emitted)
        return CutOff(hop, failure.text, failure.code, failure.message, self.record.taken, self.record.total)

    async def attempt(self, hop: Hop, reason: str) -> AsyncGenerator[ChainEvent, None]:
        """One call. Raises `CallFailed`; whatever happens, it is recorded."""
        started = self.around.timer()
        call = self.record.begin(hop, reason)
        try:
            async with aclosing(self.ask(hop)) as answers:
                async for answer in answers:
                    if isinstance(answer, Piece):
                        self.emitted.append(answer.text)
                        yield answer
                    else:
                        completion = self.record.answered(call, hop, answer)
                        self.tools.cooldowns.succeeded(hop.provider, hop.model)
                        yield self.answered(hop, completion)
                        return
        except CallFailed as failure:
            self.record.failed(call, hop, failure, self.around.timer() - started)
            raise
        finally:
            # Neither answered nor failed: the one who asked has gone.
            if self.record.open is call:
                self.record.cancelled(call, hop, self.around.timer() - started)
                self.tools.cooldowns.released(hop.provider, hop.model)

    def answered(self, hop: Hop, completion: Completion) -> Answered:
        """The event for an answer."""
        record = self.record
        return Answered(hop, completion, record.taken, record.total, record.fallbacks, why(self.stops, hop))

    async def ask(self, hop: Hop) -> AsyncGenerator[Piece | Completion, None]:
        """The provider's answer, under the request's own deadline."""
        model = self.tools.providers[hop.provider]
        request = msgspec.structs.replace(self.asked.request, model=hop.name)
        if not self.asked.streaming:
            yield await self.in_time(model.complete(request))
            return
        deltas = model.stream(request)
        try:
            while (delta := await self.in_time(_next(deltas))) is not None:
                if delta.text or delta.tool_calls:
                    yield Piece(delta.text, delta.tool_calls)
                if delta.final is not None:
                    yield delta.final
                    return
        finally:
            close = getattr(deltas, "aclose", None)
            if close is not None:
                # Cutting the upstream must not hide why it is cut.
                with suppress(CallFailed):
                    await close()
        raise Broken(f"{hop.provider} ended the stream without an end", hint="try again")

    async def in_time(self, awaitable: Awaitable[_T]) -> _T:
        """Await within what is left of the request's time. Raises `OutOfTime`."""
        import asyncio

        limit = asyncio.timeout(max(0.0, self.left()))
        try:
            async with limit:
                return await awaitable
        except TimeoutError:
            if not limit.expired():
                raise
        raise OutOfTime(f"the request's {self.tools.config.total:g} s are over")


async def _next(deltas: AsyncIterator[Delta]) -> Delta | None:
    return await anext(deltas, None)
