"""`route --execute`: decide, ask the model, look at a cheap answer a second time, and record what it all cost."""

from __future__ import annotations

from contextlib import AsyncExitStack, closing
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import SophiaError
from sophiactl.llm.base import ChatRequest, Message
from sophiactl.llm.budget import Spent
from sophiactl.llm.events import Answered, ChainEvent, Piece
from sophiactl.model import Money, Usage
from sophiactl.ops.repeats import Repeats
from sophiactl.ops.route import previous, record_of, timed
from sophiactl.routing.base import Decision
from sophiactl.routing.decide import ladder
from sophiactl.routing.escalation import escalation_score
from sophiactl.routing.judge import check_for, judge_messages, parse_verdict, response_format
from sophiactl.runs.answers import CachedAnswer
from sophiactl.runs.base import Call, known_sum
from sophiactl.runs.keeping import keep

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from sophiactl.llm.chain import Chain
    from sophiactl.routing.base import RouteRequest
    from sophiactl.runs.base import Run, RunLedger
    from sophiactl.wiring import Wiring

_DAY = timedelta(days=1)


class Decided(msgspec.Struct, frozen=True, tag="decided", tag_field="event"):
    """Which model was chosen, before it is asked."""

    run: str
    decision: Decision


class Escalated(msgspec.Struct, frozen=True, tag="escalated", tag_field="event"):
    """The cheap answer was not good enough: the model `to` is asked. `check` is agreement, judge or signals."""

    to: str
    check: str
    score: float


class Warned(msgspec.Struct, frozen=True, tag="warning", tag_field="event"):
    """Something is not in order, but does not stop the answer."""

    message: str


class Executed(msgspec.Struct, frozen=True, tag="final", tag_field="event"):
    """The answer, and which model gave it for what `reason`: `cache`, `escalation`, or in words.

    `cost` adds up all calls of the run; None when that of one of them is unknown. An answer from the cache has no
    calls, costs nothing, and names the model that had given it.
    """

    run: str
    text: str
    decision: Decision
    model: str
    provider: str
    reason: str
    usage: Usage
    cost: Money
    fallbacks: int
    escalated: bool
    calls: tuple[Call, ...]


ExecuteEvent = Decided | Escalated | Warned | Executed | ChainEvent


async def execute(request: RouteRequest, wiring: Wiring) -> AsyncGenerator[ExecuteEvent, None]:
    """Answer a prompt with the model it needs, as events; the last is `Executed`.

    Raises what `route` raises, `ConfigError` (exit 3) when no provider is configured, `RateLimited` over the budget,
    and the most telling failure when nobody answers. Whatever happens is in the ledger, with what it cost.
    """
    async with AsyncExitStack() as stack:
        repeats = stack.enter_context(closing(Repeats(request, wiring)))
        ledger = stack.enter_context(closing(wiring.models.ledger()))
        run = wiring.new_id()
        before = previous(request, ledger)
        decision, spent = timed(request, wiring, before)
        found = repeats.find(question(request, decision.model), decision, before)
        work: _Execution | _Repetition
        if found is not None:
            work = _Repetition(found, wiring, ledger, decision)
        else:
            chain = wiring.models.chain()
            stack.push_async_callback(chain.close)
            work = _Execution(request, wiring, chain, ledger, decision)
        yield Decided(run, decision)
        for message in repeats.told():
            yield Warned(message)
        row = record_of(run, "route --execute", request, decision, spent, wiring)
        try:
            async for event in work.events():
                yield event
            final = work.final(run)
        except SophiaError as error:
            work.keep(row, error=error.code)
            raise
        except BaseException:
            work.keep(row, error="interrupted")
            raise
        try:
            work.keep(row, final)
        except SophiaError as error:  # the answer is there and paid for: it is not taken back
            yield Warned(f"this run is not in the ledger: {error.message}")
        repeats.keep(work.repeatable())
        for message in repeats.told():
            yield Warned(message)
        yield final


def question(request: RouteRequest, model: str) -> ChatRequest:
    """What a model is asked."""
    message = Message(role="user", content=request.prompt)
    return ChatRequest(model, (message,), max_tokens=request.max_output)


class _Repetition:
    """A run that gives an answer of the cache and calls nobody."""

    def __init__(self, answer: CachedAnswer, wiring: Wiring, ledger: RunLedger, decision: Decision) -> None:
        self.answer = answer
        self.wiring = wiring
        self.ledger = ledger
        self.decision = decision

    async def events(self) -> AsyncIterator[ExecuteEvent]:
        """The answer, in one piece."""
        yield Piece(self.answer.text)

    def final(self, run: str) -> Executed:
        """What the run came to: no tokens, no cost."""
        return Executed(
            run=run,
            text=self.answer.text,
            decision=self.decision,
            model=self.answer.model,
            provider=self.answer.provider,
            reason="cache",
            usage=Usage(0, 0, 0, 0),
            cost=Money(0.0),
            fallbacks=0,
            escalated=False,
            calls=(),
        )

    def repeatable(self) -> None:
        """Nothing new to keep: an answer does not stay for longer because it is asked for often."""

    def keep(self, row: Run, final: Executed | None = None, *, error: str | None = None) -> None:
        """Record the run. What it would have cost on another model stays out: the saving is the router's own."""
        whole = msgspec.structs.replace(
            row,
            answer=final.text if final else None,
            model=self.answer.model,
            provider=self.answer.provider,
            cost=0.0,
            error=error,
            details={"cache": "hit"},
        )
        keep(whole, self.ledger, self.wiring.settings.runs, self.wiring.clock())


class _Execution:
    """The calls of one run."""

    def __init__(
        self, request: RouteRequest, wiring: Wiring, chain: Chain, ledger: RunLedger, decision: Decision
    ) -> None:
        self.request = request
        self.wiring = wiring
        self.chain = chain
        self.ledger = ledger
        self.decision = decision
        self.calls: list[Call] = []
        self.answer: Answered | None = None
        self.asked = decision.model
        self.escalated = False
        self.doubtful = False

    async def events(self) -> AsyncIterator[ExecuteEvent]:
        """Ask the chosen model; where its answer can be checked, check before anything of it is shown."""
        stronger = self._stronger()
        if stronger is None or not self.wiring.settings.routing.escalation.enabled:
            async for event in self._streamed(self.decision.model, "chosen"):
                yield event
            return
        cheap = await self._asked(self.decision.model, "chosen")
        check, score = await self._checked(cheap.completion.text)
        if score < self.wiring.settings.routing.escalation.threshold:
            self.answer = cheap
            yield Piece(cheap.completion.text)
            return
        self.escalated, self.asked = True, stronger
        yield Escalated(stronger, check, round(score, 4))
        async for event in self._streamed(stronger, "escalation"):
            yield event

    def _stronger(self) -> str | None:
        """Where a simple prompt would be escalated to: the strongest model that fits; None for any other tier."""
        cards = [card for card in self.wiring.models.cards() if card.name in self.decision.candidates]
        chosen = next((card for card in cards if card.name == self.decision.model), None)
        best = next(iter(ladder("premium", cards)), None) if cards else None
        if chosen is None or best is None or chosen.tier != "simple" or best.name == chosen.name:
            return None
        return best.name

    async def _streamed(self, model: str, reason: str) -> AsyncIterator[ChainEvent]:
        asked = question(self.request, model)
        stream = self.chain.stream(
            asked,
            reason=reason,
            input_tokens=self.decision.prompt_tokens,
            spent=self._spent,
            record=self.calls.append,
        )
        async for event in stream:
            if isinstance(event, Answered):
                self.answer = event
            yield event

    async def _asked(self, model: str, reason: str) -> Answered:
        asked = question(self.request, model)
        return await self.chain.complete(
            asked,
            reason=reason,
            input_tokens=self.decision.prompt_tokens,
            spent=self._spent,
            record=self.calls.append,
        )

    async def _checked(self, answer: str) -> tuple[str, float]:
        """How the cheap answer was checked, and how much a stronger model is worth asking, in [0, 1].

        A second opinion that cannot be had leaves the signs in the answer itself.
        """
        second = self.wiring.settings.routing.escalation
        outputs = [answer]
        if second.peer:
            try:
                outputs.append((await self._asked(second.peer, "agreement")).completion.text)
            except SophiaError:
                outputs, self.doubtful = [answer], True
        check = check_for(self.request.prompt, outputs, judge=bool(second.judge))
        if check == "judge":
            try:
                return check, await self._judged(answer, second.judge)
            except SophiaError:
                check, self.doubtful = "signals", True
        return check, escalation_score(self.request.prompt, outputs, self.decision.score)

    async def _judged(self, answer: str, judge: str) -> float:
        messages = tuple(
            Message(role=role, content=text)  # type: ignore[arg-type]  # roles of the judge's own template
            for role, text in judge_messages(self.request.prompt, answer)
        )
        asked = ChatRequest(judge, messages, temperature=0.0, response_format=response_format())
        verdict = await self.chain.complete(asked, reason="judge", spent=self._spent, record=self.calls.append)
        return parse_verdict(verdict.completion.text).score

    def _spent(self) -> Spent:
        """What the budget has to know: this run's calls, and what the ledger has of the session and of the last day."""
        if not self.wiring.settings.llm.chain.budget.limited:
            return Spent()
        here = sum(call.cost or 0.0 for call in self.calls)
        since = (self.wiring.clock() - _DAY).isoformat()
        session = self.request.session
        of_session = self.ledger.spent("1970-01-01T00:00:00Z", session=session) if session else 0.0
        return Spent(session=of_session + here, day=self.ledger.spent(since) + here)

    def final(self, run: str) -> Executed:
        """What the run came to."""
        if self.answer is None:
            raise AssertionError("a chain ends with an answer or an error")
        found = self.answer
        return Executed(
            run=run,
            text=found.completion.text,
            decision=self.decision,
            model=found.hop.model,
            provider=found.hop.provider,
            reason="escalation" if self.escalated and not found.fallbacks else found.reason,
            usage=found.completion.usage,
            cost=Money(known_sum([call.cost for call in self.calls if call.error is None])),
            fallbacks=found.fallbacks,
            escalated=self.escalated,
            calls=tuple(self.calls),
        )

    def repeatable(self) -> CachedAnswer | None:
        """The answer, if it may be given again: whole, checked as the settings want, by the model that was meant."""
        if self.answer is None or self.doubtful or self.answer.hop.model != self.asked:
            return None
        given, hop = self.answer.completion, self.answer.hop
        if given.finish_reason != "stop" or given.tool_calls or not given.text.strip():
            return None
        return CachedAnswer(given.text, hop.model, hop.provider)

    def keep(self, row: Run, final: Executed | None = None, *, error: str | None = None) -> None:
        """Record the run with all its calls. A ledger that fails must not take the answer with it."""
        costs = [call.cost for call in self.calls if call.error is None or call.cost is not None]
        whole = msgspec.structs.replace(
            row,
            answer=final.text if final else None,
            model=final.model if final else row.model,
            provider=final.provider if final else row.provider,
            cost=known_sum(costs) if costs else None,
            premium_cost=self._premium_cost() if final else None,
            escalated=self.escalated,
            fallbacks=final.fallbacks if final else 0,
            error=error,
            calls=tuple(self.calls),
        )
        keep(whole, self.ledger, self.wiring.settings.runs, self.wiring.clock())

    def _premium_cost(self) -> float | None:
        """What the answer's own tokens would have cost on the first premium model, at list price."""
        premium = self.wiring.settings.routing.tiers.premium
        if self.answer is None or not premium:
            return None
        return self.wiring.models.prices.cost(self.answer.completion.usage, premium[0])
