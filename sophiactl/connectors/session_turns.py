"""Whose turn it is: a line of waiting calls for each rate limit, and so many calls on their way at once.

Nothing is booked ahead. Only the first of a line waits for its limit, and takes its token in the moment it is sent, so
that limits hold however long a call waited for a free slot, a `Retry-After` that arrives meanwhile holds for all who
wait, and a call that is given up leaves nothing behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.connectors.config import Limit
from sophiactl.connectors.limits import Bucket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

COMMON = Limit(10.0, 1.0, 10.0)


class TooLate(Exception):
    """A turn would come after `seconds`, which is too late."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _Line:
    """Calls that wait for one limit."""

    def __init__(self, bucket: Bucket) -> None:
        import asyncio

        self.bucket = bucket
        self.head = asyncio.Lock()
        self.waiting = 0

    def wait(self) -> float:
        return self.bucket.wait(self.waiting)


class Turns:
    """Turns of one service, in one event loop.

    `limits` are its rates by name, `all` the common one. With `per_method`, each name is a limit of its own, as fast as
    `all` unless it is given; else the common one counts every call, those with a name of their own too.
    """

    def __init__(
        self,
        limits: Mapping[str, Limit],
        slots: int,
        *,
        per_method: bool,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        import asyncio

        self._limits = limits
        self._per_method = per_method
        self._clock = clock
        self._sleep = sleep
        self._slots = asyncio.Semaphore(max(1, slots))
        self._lines = {name: _Line(Bucket(limit, clock)) for name, limit in {"all": COMMON, **limits}.items()}
        self._closed_until = 0.0

    async def take(self, name: str, left: float, longest: float) -> None:
        """Return in the moment a call may be sent; then it has to be ended with `leave`.

        Raises `TooLate` as soon as it is known that the turn comes after `left` seconds, or that the service makes us
        wait for more than `longest`.
        """
        lines, end = self._of(name), self._clock() + left
        if not self._slots.locked() and not any(line.wait() for line in lines):
            await self._slot(lines, end, longest)
            return
        wait = max(line.wait() for line in lines)
        if wait >= left:
            raise TooLate(wait)
        await self._stand(lines, lines, end, longest)

    def leave(self) -> None:
        """The call that had its turn is over."""
        self._slots.release()

    def close(self, name: str, seconds: float, *, whole_service: bool = False) -> None:
        """Nothing before `seconds` have passed: the service said so for this name, or for everything."""
        lines = self._of(name)
        if whole_service or not self._per_method:
            self._closed_until = max(self._closed_until, self._clock() + seconds)
            lines = tuple(self._lines.values())
        for line in lines:
            line.bucket.close_for(seconds)

    def refused(self, name: str, sent: float) -> None:
        """The service found a call too fast that was sent then."""
        for line in self._of(name):
            line.bucket.slower(sent)

    def answered(self, name: str) -> None:
        """The service answered a call."""
        for line in self._of(name):
            line.bucket.faster()

    def _of(self, name: str) -> Sequence[_Line]:
        """The lines that a call stands in, one after the other."""
        line = self._lines.get(name or "all")
        if not self._per_method:
            common = self._lines["all"]
            return (common,) if line is None or line is common else (line, common)
        if line is None:
            line = self._lines[name] = _Line(Bucket(self._limits.get("all", COMMON), self._clock))
            line.bucket.close_for(self._closed_until - self._clock())
        return (line,)

    async def _stand(self, lines: Sequence[_Line], ahead: Sequence[_Line], end: float, longest: float) -> None:
        """Stand in one line after the other, and keep the place at the head of each until the call is sent."""
        if not ahead:
            await self._slot(lines, end, longest)
            return
        line = ahead[0]
        line.waiting += 1
        try:
            async with line.head:
                await self._pause((line,), end, longest)
                await self._stand(lines, ahead[1:], end, longest)
        finally:
            line.waiting -= 1

    async def _slot(self, lines: Sequence[_Line], end: float, longest: float) -> None:
        await self._slots.acquire()
        while any(line.bucket.wait() for line in lines):  # a Retry-After came in: let others have the slot
            self._slots.release()
            await self._pause(lines, end, longest)
            await self._slots.acquire()
        for line in lines:
            line.bucket.spend()

    async def _pause(self, lines: Sequence[_Line], end: float, longest: float) -> None:
        while (wait := max(line.bucket.wait() for line in lines)) > 0:
            if wait > longest or wait >= end - self._clock():
                raise TooLate(wait)
            await self._sleep(wait)
