"""The one door of connectors to HTTP: identity, limits, retries, paging, circuit breaker, budget, and clear errors.

    session = Session(Peer(...), web, ConnectorsConfig())
    answer = await session.call(Call("GET", "/users/me"), Deadline(10))
    async for page in session.pages(Call("GET", "/tasks"), following, Deadline.never()):
        ...

Every call is one that may be repeated: reads alone are made. `TooFast`, `ServiceDown` and `NoService` are tried again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.errors import (
    Garbled,
    KeyRefused,
    Malformed,
    NoService,
    QuotaSpent,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.connectors.limits import Breaker
from sophiactl.connectors.reading import decoded
from sophiactl.connectors.retry_after import retry_after
from sophiactl.connectors.session_calls import Answer, Call, CallRow, Peer, Tools, written
from sophiactl.connectors.session_turns import TooLate, Turns
from sophiactl.errors import ConfigError, DeadlineExceeded, SophiaError, Unreachable, UpstreamError
from sophiactl.redaction import REDACTOR
from sophiactl.web import HostRefused, TlsFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from sophiactl.connectors.config import ConnectorsConfig
    from sophiactl.connectors.deadline import Deadline
    from sophiactl.web import WebAnswer, WebRequest, WebSession

__all__ = ["Answer", "Call", "CallRow", "Peer", "Session", "Tools"]

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
LONGEST_CALL = 30.0
"""Seconds for one attempt; a page of a slow service takes its time, and a dead one must not take all of ours."""
FAIR_CALL = 1.0
"""Seconds without an answer that say something of the service, and not of our deadline."""
QUOTA_PAUSE = 900.0
"""Seconds after which a service that gave nothing more today is asked again, if it did not say when."""
SILENCES = 2
"""Attempts of a call that may end without an answer; more would keep all who wait for it."""
MOST_BYTES = 64 << 20
_NO_CONTENT = (204, 205)
_LOGIN, _WAITING, _SENDING = "had no login in", "was too busy with other calls for", "gave no answer in"
"""What a call is doing, in the words for when its time is over."""


class _Trial:
    """One call on its way: how often it was tried, how long it waited, and what it is doing."""

    def __init__(self, call: Call, began: float) -> None:
        self.call = call
        self.began = began
        self.sent = -math.inf
        self.doing = _WAITING
        self.retries = 0
        self.silences = 0
        self.waited = 0.0
        self.renewed = False
        self.identity = 0


class Session:
    """Calls to one service. Safe for many tasks of one event loop at once, in which it has to be made."""

    def __init__(self, peer: Peer, web: WebSession, config: ConnectorsConfig, tools: Tools | None = None) -> None:
        import asyncio

        self.peer = peer
        self._web = web
        self._config = config
        self._tools = tools or Tools()
        clock, sleep = self._tools.clock, self._tools.sleep or asyncio.sleep
        self._clock, self._sleep = clock, sleep
        self._turns = Turns(peer.limits, peer.concurrency, per_method=peer.per_method, clock=clock, sleep=sleep)
        self._breaker = Breaker(clock)
        self._probing = asyncio.Lock()
        self._made = 0
        self._spent: ServiceError | None = None
        self._spent_until = -math.inf
        self._renewing = asyncio.Lock()
        self._identities = 0  # how often the key was renewed
        self._not_renewed: ServiceError | None = None
        self._not_renewed_at = -math.inf

    @property
    def requests(self) -> int:
        """Requests made so far, each try counted."""
        return self._made

    async def call(self, call: Call, deadline: Deadline) -> Answer:
        """The answer, after retries within the deadline. Raises the errors of `connectors.errors`."""
        trial = _Trial(call, self._clock())
        outcome = "cancelled"
        try:
            answer = await self._within(trial, deadline)
            outcome = "ok"
        except SophiaError as error:
            outcome = error.code
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            self._note(trial, outcome)
        return answer

    async def pages(
        self, call: Call, following: Callable[[Answer], Call | None], deadline: Deadline
    ) -> AsyncIterator[Answer]:
        """The pages of a listing; `following` makes the call of the next one, None at the end.

        Raises `Malformed` before a call is made for the second time: cursors that lead round in circles, however wide,
        have no end. A service that hands out ever new cursors is followed: only the caller can tell that from much
        data, and a budget of requests (`connectors.requests`) ends it.
        """
        seen: set[int] = set()
        next_call: Call | None = call
        while next_call is not None:
            mark = hash(msgspec.json.encode(next_call))
            if mark in seen:
                raise self._error(Malformed, "gave the same cursor twice", hint="run it again; report it to the vendor")
            seen.add(mark)
            answer = await self.call(next_call, deadline)
            yield answer
            next_call = following(answer)

    async def _within(self, trial: _Trial, deadline: Deadline) -> Answer:
        import asyncio

        left = deadline.left()
        if left == math.inf:
            return await self._tried(trial, deadline)
        if left <= 0:
            raise self._error(NoService, "was not asked: the time was over")
        try:
            async with asyncio.timeout(left):
                return await self._tried(trial, deadline)
        except TimeoutError:
            if trial.doing == _SENDING and self._clock() - trial.sent >= FAIR_CALL:
                self._breaker.bad()
            raise self._error(NoService, f"{trial.doing} {left:.3g} s") from None

    async def _tried(self, trial: _Trial, deadline: Deadline) -> Answer:
        while True:
            try:
                answer = await self._attempt(trial, deadline)
                if answer is not None:
                    return answer
            except ServiceError as error:
                await self._before_retry(trial, error, deadline)

    async def _before_retry(self, trial: _Trial, error: ServiceError, deadline: Deadline) -> None:
        """Wait until the call may be tried again, or raise its error."""
        retryable = isinstance(error, TooFast | ServiceDown | NoService) and not error.stop
        if not retryable or trial.retries >= self._config.retries or trial.silences >= SILENCES:
            raise error
        pause = error.retry_after or self._tools.chance() * min(LONGEST_PAUSE, FIRST_PAUSE * 2**trial.retries)
        if pause > self._config.longest_wait or pause >= deadline.left():
            raise error
        trial.retries += 1
        if error.retry_after:
            return  # the limit is closed, and the call waits there with all others
        if isinstance(error, TooFast):
            self._turns.close(trial.call.limit, pause)
            return
        began, trial.doing = self._clock(), _WAITING
        await self._sleep(pause)
        trial.waited += self._clock() - began

    async def _attempt(self, trial: _Trial, deadline: Deadline) -> Answer | None:
        self._allowed()
        if not self._breaker.suspect():
            return await self._exchange(trial, deadline)
        async with self._probing:  # the first finds out for all others if the service is back
            self._allowed()
            if self._breaker.suspect():
                return await self._exchange(trial, deadline)
        return await self._exchange(trial, deadline)

    def _allowed(self) -> None:
        """Raise when the quota or the budget is spent, or the circuit is open."""
        if self._spent is not None:
            if self._clock() < self._spent_until:
                raise self._spent.again()
            self._spent = None
        if self._config.requests and self._made >= self._config.requests:
            hint = "raise connectors.requests, or run it again: a sync goes on where it was"
            raise self._error(QuotaSpent, f"was asked {self._made:,} times, which is the budget of a run", hint=hint)
        wait = self._breaker.open_for()
        if wait > 0:
            raise self._error(NoService, f"failed too often; not asked for another {wait:.0f} s", stop=True)

    async def _exchange(self, trial: _Trial, deadline: Deadline) -> Answer | None:
        """One request; None when the key was renewed and the call has to be repeated."""
        trial.identity, trial.doing = self._identities, _LOGIN
        request = written(trial.call, self.peer, await self.peer.identity())  # first: a login may need a turn itself
        began, trial.doing = self._clock(), _WAITING
        try:
            await self._turns.take(trial.call.limit, deadline.left(), self._config.longest_wait)
        except TooLate as late:
            what = f"may be asked again in {late.seconds:.0f} s, which is too late"
            raise self._error(TooFast, what, retry_after=late.seconds, stop=True) from None
        finally:
            trial.waited += self._clock() - began
        try:
            self._allowed()
            if trial.identity != self._identities:
                trial.identity = self._identities
                request = written(trial.call, self.peer, await self.peer.identity())
            answer = await self._send(trial, request)
        finally:
            self._turns.leave()
        return await self._read(trial, answer)

    async def _send(self, trial: _Trial, request: WebRequest) -> WebAnswer:
        self._made += 1
        trial.sent, trial.doing = self._clock(), _SENDING
        try:
            return await self._web.send(request, hosts=self.peer.hosts, deadline=LONGEST_CALL, most_bytes=MOST_BYTES)
        except HostRefused as error:
            self._made -= 1
            raise self._error(Malformed, f"points elsewhere: {error.message}", stop=True, hint=error.hint) from None
        except DeadlineExceeded:
            trial.silences += 1
            self._breaker.bad()  # each counts, since it kept a connection for so long
            raise self._error(NoService, f"gave no answer in {LONGEST_CALL:.0f} s") from None
        except TlsFailed as error:
            raise self._error(NoService, error.message, hint=error.hint, stop=True) from None
        except Unreachable as error:
            self._breaker.bad(trial.sent)
            raise self._error(NoService, error.message) from None
        except UpstreamError as error:
            raise self._error(Malformed, error.message) from None
        except ConfigError as error:  # a key with a line break in it
            self._made -= 1
            raise self._error(KeyRefused, f"was not asked: {error.message}") from None

    async def _read(self, trial: _Trial, answer: WebAnswer) -> Answer | None:
        value = decoded(answer.body)
        error = self._judged(answer, value)
        if error is None:
            self._breaker.good()
            self._turns.answered(trial.call.limit)
            return Answer({} if value is None else value, answer.headers, answer.status)
        self._take_note(trial, self._fit(error), answer.headers)
        if isinstance(error, KeyRefused) and self.peer.renew is not None and not trial.renewed:
            trial.renewed, trial.doing = True, _LOGIN
            await self._renew(trial, self.peer.renew)
            return None
        raise error

    def _judged(self, answer: WebAnswer, value: Any) -> ServiceError | None:
        """What the service's own reading makes of the answer; what no service does well is judged here."""
        if answer.status in _NO_CONTENT and not answer.body:
            return None
        if 300 <= answer.status < 400:
            return self._error(Malformed, f"redirects ({answer.status}), which is not followed with a key", stop=True)
        if answer.status < 300 and not isinstance(value, dict | list):
            kind = f"no JSON ({answer.content_type or 'of no type'})" if answer.body else "nothing"
            return self._error(Garbled, f"answered with {kind}, where JSON was due")
        return self.peer.judge(answer, value)

    def _fit(self, error: ServiceError) -> ServiceError:
        """The error as it may be shown: a service may have repeated our key in what it said."""
        error.service = self.peer.service
        error.message = REDACTOR.line(error.message)
        error.hint = REDACTOR.line(error.hint or error.advice.format(service=self.peer.service))
        error.args = (error.message,)
        return error

    def _take_note(self, trial: _Trial, error: ServiceError, headers: Mapping[str, str]) -> None:
        """What an error means for all other calls, which must know of it at once."""
        if isinstance(error, ServiceDown):
            self._breaker.bad(trial.sent)
        else:
            self._breaker.good()
        if isinstance(error, TooFast | ServiceDown | QuotaSpent) and error.retry_after is None:
            error.retry_after = retry_after(headers, self._tools.wall())
        if isinstance(error, QuotaSpent):
            self._spent, self._spent_until = error.again(), self._clock() + (error.retry_after or QUOTA_PAUSE)
        elif isinstance(error, TooFast):
            self._turns.refused(trial.call.limit, trial.sent)
        if error.retry_after and not isinstance(error, QuotaSpent):
            # All programs that wait for the same moment must not come in the same moment.
            seconds = error.retry_after + min(FIRST_PAUSE, error.retry_after) * self._tools.chance()
            self._turns.close(trial.call.limit, seconds, whole_service=not isinstance(error, TooFast))

    async def _renew(self, trial: _Trial, renew: Callable[[], Awaitable[None]]) -> None:
        """A new key, once for all calls that were sent with the old one; if that fails, it failed for all of them."""
        async with self._renewing:
            if trial.identity != self._identities:
                return
            if self._not_renewed is not None and self._not_renewed_at > trial.sent:
                raise self._not_renewed.again()
            try:
                await renew()
            except ServiceError as error:
                self._not_renewed, self._not_renewed_at = error.again(), self._clock()
                raise
            self._identities += 1

    def _error(
        self,
        kind: type[ServiceError],
        what: str,
        *,
        hint: str | None = None,
        retry_after: float | None = None,
        stop: bool | None = None,
    ) -> ServiceError:
        error = kind(f"{self.peer.service} {what}", service=self.peer.service, hint=hint, retry_after=retry_after)
        if stop is not None:
            error.stop = stop
        return error

    def _note(self, trial: _Trial, outcome: str) -> None:
        if self._tools.observe is not None:
            call, seconds = trial.call, round(self._clock() - trial.began, 6)
            waited = round(trial.waited, 6)
            row = CallRow(self.peer.service, call.method, call.shown_path, outcome, seconds, waited, trial.retries)
            self._tools.observe(row)
