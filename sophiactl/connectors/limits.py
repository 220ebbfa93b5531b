"""How fast a service may be asked: token buckets and a circuit breaker. Pure; clocks are injected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.connectors.config import Limit

_NOTHING = 1e-6
"""Seconds that clocks and rounding disagree about: less than that is no wait."""
_MOST = 1e9
_SLOWEST = 60.0
"""Seconds between two calls, at the worst that `slower` makes of it."""


class Bucket:
    """A token bucket: in no time of t seconds are more than burst + rate * t calls spent.

    `wait` books nothing, so that a call that gives up leaves no trace. `slower` and `faster` find the rate of a service
    that allows less than it says: half the rate after each refusal, and little by little back.

    Raises `ConfigError` for a limit that lets no call through.
    """

    def __init__(self, limit: Limit, clock: Callable[[], float]) -> None:
        if not (limit.calls > 0 and limit.seconds >= 0 and limit.burst >= 0):
            raise ConfigError(
                f"a limit of {limit.calls:g} calls in {limit.seconds:g} s lets nothing through",
                hint="calls has to be more than 0 in connectors.SERVICE.limits",
            )
        self.interval = limit.seconds / limit.calls
        self._slack = self.interval * max(0.0, min(limit.burst, _MOST) - 1)
        self._clock = clock
        self._full = 0.0  # when the bucket would be full again, had nobody called since
        self._closed_until = 0.0
        self._pace = 1.0
        self._slowed = float("-inf")

    def wait(self, ahead: int = 0) -> float:
        """Seconds until a call may be made, after `ahead` others that wait already."""
        opens = max(self._full - self._slack, self._closed_until)
        seconds = opens + ahead * self.interval * self._pace - self._clock()
        return seconds if seconds > _NOTHING else 0.0

    def spend(self) -> None:
        """A call is made now."""
        self._full = max(self._full, self._clock()) + self.interval * self._pace

    def close_for(self, seconds: float) -> None:
        """Nothing before `seconds` have passed: the service said so. Then one after the other, not all at once."""
        until = self._clock() + seconds
        self._closed_until = max(self._closed_until, until)
        self._full = max(self._full, until + self._slack)

    def closed_for(self) -> float:
        """Seconds for which the service wants no call."""
        return max(0.0, self._closed_until - self._clock())

    def slower(self, sent: float) -> None:
        """A call that was sent then was refused; those that were on their way together count once."""
        if sent >= self._slowed:
            self._slowed = self._clock()
            slowest = max(1.0, _SLOWEST / self.interval) if self.interval else 1.0
            self._pace = min(slowest, self._pace * 2)

    def faster(self) -> None:
        """A call was answered."""
        self._pace = max(1.0, self._pace * 0.97)


class Breaker:
    """Opens after `most` failures in a row, for `seconds`; then the service is suspect until a call is answered."""

    def __init__(self, clock: Callable[[], float], most: int = 5, seconds: float = 30.0) -> None:
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self._failures = 0
        self._last = float("-inf")
        self._until = 0.0

    def suspect(self) -> bool:
        """Whether one call at a time should find out if the service is back."""
        return self._failures >= self._most

    def open_for(self) -> float:
        """Seconds until a call may try again; 0 when it may now."""
        return max(0.0, self._until - self._clock()) if self.suspect() else 0.0

    def good(self) -> None:
        """The service answered."""
        self._failures = 0

    def bad(self, sent: float | None = None) -> None:
        """The service failed a call. Those that were on their way together when it did count once, if `sent` tells."""
        if sent is None or sent >= self._last:
            self._failures += 1
            self._last = self._clock()
        if self.suspect():
            self._until = self._clock() + self._seconds
