"""Requests to Pulumi's API within one time limit, asked again where that is safe."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from sophiactl.clock import utc_now
from sophiactl.errors import DeadlineExceeded, Unreachable
from sophiactl.web import NotConnected, TlsFailed, WebAnswer, WebRequest

if TYPE_CHECKING:
    from sophiactl.web import WebSession

RETRIES = 4
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
_MOST_BYTES = 32 << 20


async def _sleep(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)


class Times(msgspec.Struct, frozen=True):
    """Clocks and the way to wait; replaced in tests."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = _sleep


class Caller:
    """Sends requests to one host; `seconds` are for all of them together."""

    def __init__(self, session: WebSession, seconds: float, times: Times | None = None) -> None:
        self._session = session
        self._times = times or Times()
        self._seconds = seconds
        self._end = self._times.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left."""
        return self._end - self._times.monotonic()

    async def call(self, request: WebRequest, host: str, *, retries: int = RETRIES) -> WebAnswer:
        """The answer, whatever its status.

        GET is asked again after a lost connection, 429 and 5xx, as the CLI does it; anything else only when the server
        cannot have acted: no connection came about, or it said 429, or 503 and when to come back. A wait that would
        not end in time is not begun. Raises `Unreachable`, `TlsFailed`, `DeadlineExceeded`, `TooLarge`.
        """
        wait = FIRST_WAIT_S
        for attempt in range(retries + 1):
            left = self.left()
            if left <= 0:
                raise DeadlineExceeded(
                    f"{host} gave no answer in {self._seconds:g} s", hint="raise secrets.esc.timeout"
                )
            outcome = await self._once(request, host, left)
            pause = self._pause(request.method, outcome, wait)
            if pause is None or attempt == retries or pause >= self.left():
                break
            await self._times.sleep(pause)
            wait = min(wait * 2, LONGEST_WAIT_S)
        if isinstance(outcome, WebAnswer):
            return outcome
        raise outcome

    async def _once(self, request: WebRequest, host: str, left: float) -> WebAnswer | Unreachable:
        try:
            return await self._session.send(request, hosts=[host], deadline=left, most_bytes=_MOST_BYTES)
        except Unreachable as error:
            return error
        except DeadlineExceeded:
            raise DeadlineExceeded(
                f"{host} gave no answer in {self._seconds:g} s", hint="check the network, or raise secrets.esc.timeout"
            ) from None

    def _pause(self, method: str, outcome: WebAnswer | Unreachable, wait: float) -> float | None:
        """Seconds to wait before it is asked again, None when it is not."""
        is_read = method in {"GET", "HEAD"}
        if isinstance(outcome, TlsFailed):
            return None  # a certificate does not get better
        if isinstance(outcome, Unreachable):
            return wait if is_read or isinstance(outcome, NotConnected) else None
        after = retry_after(outcome, self._times.now())
        if outcome.status == 429 or (outcome.status == 503 and after is not None):
            return wait if after is None else after
        if is_read and 500 <= outcome.status < 600:
            return wait if after is None else after
        return None


def retry_after(answer: WebAnswer, now: datetime) -> float | None:
    """Seconds that the server asks to wait, from `Retry-After` as a number or a date; None when it says nothing."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
        return max((when - now).total_seconds(), 0.0)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
