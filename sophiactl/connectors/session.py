"""The one door of connectors to HTTP: identity, limits, retries, paging, circuit breaker, budget, and clear errors.

    session = Session(Peer(...), web, ConnectorsConfig())
    answer = await session.call(Call("GET", "/users/me"), Deadline(10))
    async for page in session.pages(Call("GET", "/tasks"), following, Deadline.never()):
        ...

Every call is one that may be repeated: reads alone are made.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from sophiactl.connectors.config import Limit
from sophiactl.connectors.errors import (
    Malformed,
    NoService,
    QuotaSpent,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.connectors.limits import Breaker, Bucket
from sophiactl.connectors.retry_after import retry_after
from sophiactl.errors import DeadlineExceeded, Unreachable, UpstreamError
from sophiactl.web import HostRefused, TlsFailed, WebAnswer, WebRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sophiactl.connectors.config import ConnectorsConfig
    from sophiactl.connectors.deadline import Deadline
    from sophiactl.web import WebSession

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
LONGEST_CALL = 30.0
"""Seconds for one attempt; a page of a slow service takes its time, and a dead one must not take all of ours."""
MOST_BYTES = 64 << 20
_COMMON = Limit(10.0, 1.0, 10.0)


class Call(msgspec.Struct, frozen=True):
    """One request. `path` is joined to the base URL; a whole URL is taken as it is, if its host may be asked.

    `params` go into the query, `json` or `form` into the body. `limit` names the vendor's rate-limit bucket (a Slack
    method); empty is the service's common one.
    """

    method: str
    path: str
    params: Mapping[str, str | int | list[str]] = {}
    json: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = {}
    limit: str = ""


class Answer(msgspec.Struct, frozen=True):
    """A good answer: its JSON (an object or a list) and its headers with names in lower case."""

    json: Any
    headers: dict[str, str]
    status: int = 200


class Peer(msgspec.Struct, frozen=True):
    """What a session needs to know of a service.

    `identity` gives the headers that carry the key, anew for each call; it may do a login first. `renew` is called once
    when a key that worked before is refused (Salesforce), and the call is then repeated once. `judge` reads an answer,
    whatever its status, with its JSON (None when it has none): None when it is good (a 404 may be: Gong's "no calls"),
    else the error that it is. `limits` are the service's own rates by bucket, `all` for the common one. `hosts` may be
    asked, and no others.
    """

    service: str
    base_url: str
    hosts: tuple[str, ...]
    identity: Callable[[], Awaitable[Mapping[str, str]]]
    judge: Callable[[WebAnswer, Any], ServiceError | None]
    limits: Mapping[str, Limit] = {}
    renew: Callable[[], Awaitable[None]] | None = None
    concurrency: int = 8


class CallRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of one call, for metrics and the ledger. `outcome` is `ok` or the code of an error; no secrets."""

    service: str
    method: str
    path: str
    outcome: str
    seconds: float
    waited: float = 0.0
    retries: int = 0


class Tools(msgspec.Struct, frozen=True):
    """What tests replace: `clock` in seconds, `sleep`, `chance` from 0 to 1, `wall` in seconds since 1970."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] | None = None
    chance: Callable[[], float] = random.random
    wall: Callable[[], float] = time.time
    observe: Callable[[CallRow], None] | None = None


class _Trial:
    """One call on its way: how often it was tried, and how long it waited."""

    def __init__(self, call: Call, began: float) -> None:
        self.call = call
        self.began = began
        self.retries = 0
        self.waited = 0.0
        self.renewed = False


class Session:
    """Calls to one service. Safe for many tasks of one event loop at once."""

    def __init__(self, peer: Peer, web: WebSession, config: ConnectorsConfig, tools: Tools | None = None) -> None:
        self.peer = peer
        self._web = web
        self._config = config
        self._tools = tools or Tools()
        self._buckets: dict[str, Bucket] = {}
        self._breaker = Breaker(self._tools.clock)
        self._made = 0
        self._spent: ServiceError | None = None
        self._gate: Any = None

    @property
    def requests(self) -> int:
        """Requests made so far."""
        return self._made

    async def call(self, call: Call, deadline: Deadline) -> Answer:
        """The answer, after retries within the deadline. Raises the errors of `connectors.errors`."""
        trial = _Trial(call, self._tools.clock())
        try:
            answer = await self._tried(trial, deadline)
        except ServiceError as error:
            self._note(trial, error.code)
            raise
        self._note(trial, "ok")
        return answer

    async def pages(
        self, call: Call, following: Callable[[Answer], Call | None], deadline: Deadline
    ) -> AsyncIterator[Answer]:
        """The pages of a listing; `following` makes the call of the next one, None at the end.

        Raises `Malformed` when the same call comes again: a cursor that leads round in circles has no end.
        """
        seen: set[int] = set()
        following_call: Call | None = call
        while following_call is not None:
            mark = hash(msgspec.json.encode(following_call))
            if mark in seen:
                raise self._error(Malformed, "gave the same cursor twice", hint="run it again; report it to the vendor")
            seen.add(mark)
            answer = await self.call(following_call, deadline)
            yield answer
            following_call = following(answer)

    async def _tried(self, trial: _Trial, deadline: Deadline) -> Answer:
        while True:
            try:
                return await self._once(trial, deadline)
            except ServiceError as error:
                await self._before_retry(trial, error, deadline)

    async def _before_retry(self, trial: _Trial, error: ServiceError, deadline: Deadline) -> None:
        """Wait until the call may be tried again, or raise its error."""
        if error.stop and isinstance(error, QuotaSpent):
            self._spent = error
        retryable = isinstance(error, TooFast | ServiceDown | NoService) and not error.stop
        if not retryable or trial.retries >= self._config.retries:
            raise error
        bucket = self._bucket(trial.call.limit)
        pause = error.retry_after
        if pause is None:
            ceiling = min(LONGEST_PAUSE, FIRST_PAUSE * 2**trial.retries)
            pause = ceiling * (0.5 + self._tools.chance() / 2)
        elif pause > 0:  # all who wait for the same moment must not come in the same moment
            pause += min(FIRST_PAUSE, pause) * self._tools.chance()
        if pause > self._config.longest_wait or pause >= deadline.left():
            raise error
        if error.retry_after is not None:
            bucket.close_for(error.retry_after)
        trial.retries += 1
        await self._wait(trial, pause)

    async def _once(self, trial: _Trial, deadline: Deadline) -> Answer:
        answer = None
        while answer is None:
            await self._turn(trial, deadline)
            async with self._slot():
                # While it waited its turn, another call may have been told to come later: that holds for all.
                if self._bucket(trial.call.limit).closed_for() <= 0:
                    answer = await self._send(await self._request(trial.call), deadline)
        return await self._read(trial, answer, deadline)

    async def _turn(self, trial: _Trial, deadline: Deadline) -> None:
        """Wait for the rate limit. Raises when the budget is spent or the circuit is open."""
        if self._spent is not None:
            raise self._spent
        if self._config.requests and self._made >= self._config.requests:
            hint = "raise connectors.requests, or run it again: a sync goes on where it was"
            raise self._error(QuotaSpent, f"was asked {self._made:,} times, which is the budget of a run", hint=hint)
        wait = self._breaker.open_for()
        if wait > 0:
            raise self._error(NoService, f"failed too often; not asked for another {wait:.0f} s", stop=True)
        bucket = self._bucket(trial.call.limit)
        wait = bucket.take()
        if wait >= deadline.left() or wait > self._config.longest_wait:
            bucket.give_back()
            raise self._error(
                TooFast, f"may be asked again in {wait:.0f} s, which is too late", retry_after=wait, stop=True
            )
        if wait > 0:
            await self._wait(trial, wait)

    async def _wait(self, trial: _Trial, seconds: float) -> None:
        import asyncio

        trial.waited += seconds
        await (self._tools.sleep or asyncio.sleep)(seconds)

    def _slot(self) -> Any:
        import asyncio

        if self._gate is None:
            self._gate = asyncio.Semaphore(self.peer.concurrency)
        return self._gate

    async def _request(self, call: Call) -> WebRequest:
        base = self.peer.base_url.rstrip("/")
        url = call.path if "://" in call.path else f"{base}/{call.path.lstrip('/')}"
        if call.params:
            url += f"{'&' if '?' in url else '?'}{urlencode(call.params, doseq=True)}"
        headers = {"Accept": "application/json", **await self.peer.identity(), **call.headers}
        body = None
        if call.json is not None:
            body = msgspec.json.encode(call.json)
            headers["Content-Type"] = "application/json"
        elif call.form is not None:
            body = urlencode(call.form).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return WebRequest(call.method, url, headers, body)

    async def _send(self, request: WebRequest, deadline: Deadline) -> WebAnswer:
        self._made += 1
        seconds = min(LONGEST_CALL, deadline.left())
        try:
            return await self._web.send(request, hosts=self.peer.hosts, deadline=seconds, most_bytes=MOST_BYTES)
        except HostRefused as error:
            raise self._error(Malformed, f"points elsewhere: {error.message}", stop=True, hint=error.hint) from None
        except DeadlineExceeded:
            self._breaker.bad()
            raise self._error(NoService, f"gave no answer in {seconds:.0f} s") from None
        except TlsFailed as error:
            raise self._error(NoService, error.message, hint=error.hint, stop=True) from None
        except Unreachable as error:
            self._breaker.bad()
            raise self._error(NoService, error.message, hint=error.hint) from None
        except UpstreamError as error:
            raise self._error(Malformed, error.message) from None

    async def _read(self, trial: _Trial, answer: WebAnswer, deadline: Deadline) -> Answer:
        value = answer.json()
        error = self._judged(answer, value)
        if error is None:
            self._breaker.good()
            return Answer(value, answer.headers, answer.status)
        if error.retry_after is None and isinstance(error, TooFast | ServiceDown):
            error.retry_after = retry_after(answer.headers, self._tools.wall())
        error.service = self.peer.service
        if isinstance(error, ServiceDown):
            self._breaker.bad()
        else:
            self._breaker.good()
        if answer.status == 401 and self.peer.renew is not None and not trial.renewed:
            trial.renewed = True
            await self.peer.renew()
            return await self._once(trial, deadline)
        raise error

    def _judged(self, answer: WebAnswer, value: Any) -> ServiceError | None:
        """What the service's own reading makes of the answer; what no service does well is judged here."""
        if 300 <= answer.status < 400:
            return self._error(Malformed, f"redirects ({answer.status}), which is not followed with a key", stop=True)
        error = self.peer.judge(answer, value)
        if error is None and answer.status < 300 and not isinstance(value, dict | list):
            kind = answer.content_type or "nothing that says what it is"
            return self._error(ServiceDown, f"answered with something that is no JSON ({kind})")
        return error

    def _bucket(self, name: str) -> Bucket:
        if name not in self._buckets:
            limits = self.peer.limits
            limit = limits.get(name) or limits.get("all") or _COMMON
            self._buckets[name] = Bucket(limit, self._tools.clock)
        return self._buckets[name]

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
            seconds = self._tools.clock() - trial.began
            path = trial.call.path.partition("?")[0]
            row = CallRow(
                self.peer.service, trial.call.method, path, outcome, round(seconds, 6), trial.waited, trial.retries
            )
            self._tools.observe(row)
