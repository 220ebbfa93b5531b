"""How fast a service may be asked: token buckets, a circuit breaker, and a budget of requests. Clocks are injected."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.connectors.config import Limit


class Bucket:
    """A token bucket. `take` says how long to wait for a call, and books it: those who come later wait longer."""

    def __init__(self, limit: Limit, clock: Callable[[], float]) -> None:
        self._interval = limit.seconds / limit.calls
        self._slack = self._interval * max(0.0, limit.burst - 1)
        self._clock = clock
        self._next = 0.0
        self._closed_until = 0.0

    def take(self) -> float:
        """Seconds to wait before the next call."""
        now = self._clock()
        self._next = max(self._next, now - self._slack)
        at = max(self._next, self._closed_until)
        self._next += self._interval
        return max(0.0, at - now)

    def give_back(self) -> None:
        """The call that was booked last is not made."""
        self._next -= self._interval

    def close_for(self, seconds: float) -> None:
        """Nothing before `seconds` have passed: the service said so."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def closed_for(self) -> float:
        """Seconds for which the service wants no call."""
        return max(0.0, self._closed_until - self._clock())


class Breaker:
    """Opens after `most` failures in a row, for `seconds`; then one call may try."""

    def __init__(self, clock: Callable[[], float], most: int = 5, seconds: float = 30.0) -> None:
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self._failures = 0
        self._until = 0.0

    def open_for(self) -> float:
        """Seconds until a call may try again; 0 when it may now."""
        return max(0.0, self._until - self._clock())

    def good(self) -> None:
        """The service answered."""
        self._failures = 0

    def bad(self) -> None:
        """The service failed."""
        self._failures += 1
        if self._failures >= self._most:
            self._until = self._clock() + self._seconds
