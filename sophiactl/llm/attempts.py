"""The record of one request's attempts, what they cost, and the one error that sums up why nobody answered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ExitCode, RateLimited, SophiaError
from sophiactl.llm.failures import (
    BadRequest,
    CallFailed,
    ContextTooLong,
    Filtered,
    OutOfCredit,
    Overloaded,
    Refused,
    Throttled,
    TooSlow,
)
from sophiactl.model import Money, Usage
from sophiactl.runs.base import Call, known_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sophiactl.llm.base import Completion
    from sophiactl.llm.budget import OverBudget
    from sophiactl.llm.cooldown import Cooling
    from sophiactl.llm.hops import Hop
    from sophiactl.llm.prices import PriceTable
    from sophiactl.model import Clock

# What a person can mend comes first, what only time mends last.
_TELLING = (Filtered, ContextTooLong, Refused, OutOfCredit, BadRequest, Throttled, TooSlow, Overloaded, CallFailed)
_NOT_BILLED = (Refused, OutOfCredit, Throttled, BadRequest)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a hop did not answer: it failed, is cooled, or would cost too much; none of them: it is not configured."""

    hop: Hop
    reason: str
    failure: CallFailed | None = None
    cooling: Cooling | None = None
    over: OverBudget | None = None

    @property
    def final(self) -> bool:
        """Whether nobody else shall be asked either."""
        return self.failure is not None and self.failure.again == "never"

    @property
    def kind(self) -> type[CallFailed] | None:
        """The failure behind it, as a kind that is made like all of our tree."""
        found = type(self.failure) if self.failure is not None else self.cooling.kind if self.cooling else None
        if found is None:
            return None
        return next(kind for kind in found.__mro__ if kind.__init__ is CallFailed.__init__)  # type: ignore[misc]

    @property
    def wait(self) -> float | None:
        """Seconds after which it may be tried again, if anybody said."""
        return self.cooling.left if self.cooling else self.failure.retry_after if self.failure else None


class Record:
    """The attempts of one request. `expected` is the estimate for the one under way, in US dollars."""

    def __init__(self, prices: PriceTable, clock: Clock, record: Callable[[Call], None] | None) -> None:
        self.calls: list[Call] = []
        self.expected: float | None = None
        self.at_least = 0.0
        self.fallbacks = 0
        self.open: Call | None = None
        self._prices = prices
        self._clock = clock
        self._record = record

    @property
    def taken(self) -> tuple[Call, ...]:
        """All attempts so far."""
        return tuple(self.calls)

    @property
    def total(self) -> Money:
        """What they cost together; unknown when any of them is."""
        return Money(known_sum([call.cost for call in self.calls]))

    def begin(self, hop: Hop, reason: str) -> Call:
        """An attempt begins."""
        at = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.open = Call(model=hop.model, provider=hop.provider, reason=reason, at=at)
        return self.open

    def answered(self, call: Call, hop: Hop, completion: Completion) -> Completion:
        """It succeeded; returns the answer with its cost, if that can be known."""
        usd = self._cost(hop, completion)
        real = self._prices.find(completion.model)
        done = _counted(
            msgspec.structs.replace(
                call,
                model=call.model if real is None else real.name,
                cost=usd,
                latency=completion.latency,
                first_token=completion.first_token,
                finish_reason=completion.finish_reason,
            ),
            completion.usage,
        )
        self._close(done)
        return msgspec.structs.replace(completion, cost=Money(usd))

    def failed(self, call: Call, hop: Hop, failure: CallFailed, latency: float) -> None:
        """It failed. What a broken answer cost is unknown, unless the provider had counted the tokens already."""
        usage = failure.usage
        usage = usage if isinstance(usage, Usage) else Usage()
        usd = 0.0 if hop.free or _not_billed(failure) else self._prices.cost(usage, hop.model)
        done = msgspec.structs.replace(call, cost=usd, latency=latency, error=failure.code)
        self._close(_counted(done, usage))

    def cancelled(self, call: Call, hop: Hop, latency: float) -> None:
        """The one who asked has gone."""
        usd = 0.0 if hop.free else None
        self._close(msgspec.structs.replace(call, cost=usd, latency=latency, error="cancelled"))

    def _cost(self, hop: Hop, completion: Completion) -> float | None:
        reported = completion.cost.usd
        if reported is not None and math.isfinite(reported) and reported >= 0:
            return reported
        return 0.0 if hop.free else self._prices.cost(completion.usage, completion.model)

    def _close(self, call: Call) -> None:
        self.open = None
        self.calls.append(call)
        # An attempt of unknown cost counts against the budget with what it was expected to cost.
        self.at_least += (self.expected or 0.0) if call.cost is None else call.cost
        if self._record is not None:
            self._record(call)


def _counted(call: Call, usage: Usage) -> Call:
    return msgspec.structs.replace(call, **msgspec.structs.asdict(usage))


def _not_billed(failure: CallFailed) -> bool:
    """Turned away at the door, or never there: no token was made, and no provider bills that."""
    never_there = failure.exit_code is ExitCode.UNREACHABLE
    turned_away = never_there or isinstance(failure, _NOT_BILLED) or failure.status in {503, 529}
    return turned_away and not failure.text and failure.usage is None


def why(stops: Sequence[Stop], hop: Hop) -> str:
    """Why `hop` answered, given what stopped before it."""
    others = [stop for stop in _last_of_each(stops) if stop.hop != hop]
    if not others:
        return f"{hop.model} was chosen"
    return "fallback: " + "; ".join(f"{stop.hop}: {stop.reason}" for stop in others)


def gave_up(model: str, stops: Sequence[Stop], *, out_of_time: bool) -> SophiaError:
    """One error for all hops: of the kind of the most telling one, with every hop and its reason in the message."""
    listed = _last_of_each(stops)
    telling = min(listed, key=_rank)
    kind = TooSlow if out_of_time else telling.kind
    message = telling.reason
    if len(listed) > 1 or out_of_time:
        head = f"no answer for {model} in time" if out_of_time else f"no model answered for {model}"
        message = f"{head}: " + "; ".join(f"{stop.hop}: {stop.reason}" for stop in listed)
    if kind is None:
        return RateLimited(message, hint=_hint(telling, None))
    failure = telling.failure
    waits = [stop.wait for stop in listed if stop.wait is not None]
    return kind(
        message,
        hint=_hint(telling, kind),
        status=failure.status if failure is not None and not out_of_time else None,
        retry_after=min(waits) if waits else None,
    )


def _last_of_each(stops: Sequence[Stop]) -> list[Stop]:
    return list({stop.hop: stop for stop in stops}.values())


def _rank(stop: Stop) -> int:
    if stop.over is not None:
        return _TELLING.index(OutOfCredit)
    if stop.kind is None:
        return len(_TELLING)
    return next(place for place, kind in enumerate(_TELLING) if issubclass(stop.kind, kind))


def _hint(telling: Stop, kind: type[CallFailed] | None) -> str:
    if telling.over is not None:
        return telling.over.hint
    if telling.failure is not None and telling.failure.hint and kind is telling.kind:
        return telling.failure.hint
    provider = telling.hop.provider
    hints: dict[type[CallFailed] | None, str] = {
        Refused: f"check the key of {provider}: sophiactl secrets validate {provider}",
        OutOfCredit: f"add credit at {provider}, or name a fallback for {telling.hop.model} in llm.chain.fallbacks",
        ContextTooLong: "send less text, or choose a model with a larger context window",
        TooSlow: "allow more time with --timeout, or name a faster fallback in llm.chain.fallbacks",
    }
    return hints.get(kind, f"try again later, or name a fallback for {telling.hop.model} in llm.chain.fallbacks")
