"""Whether to try again in the same place, and after how long. Pure: the random number is given."""

from __future__ import annotations

import msgspec


class RetryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Retries in place. `most` is the limit for one hop of one request.

    Over time, `share` of all requests may be retries, with a `reserve` for the first ones: when a provider is down for
    everybody, retries must not multiply the load. Pauses in seconds double from `first_pause` to `longest_pause`, each
    of a random length up to that ("full jitter"). A provider that asks for a pause longer than `longest_wait` is left
    for the next one.
    """

    most: int = 2
    share: float = 0.2
    reserve: float = 10.0
    first_pause: float = 0.5
    longest_pause: float = 8.0
    longest_wait: float = 20.0


class RetryBudget:
    """An account that requests pay into and retries draw on."""

    def __init__(self, config: RetryConfig) -> None:
        self._config = config
        self._balance = config.reserve

    def deposit(self) -> None:
        """A request begins."""
        self._balance = min(self._balance + self._config.share, max(self._config.reserve, 1.0))

    def withdraw(self) -> bool:
        """Pay for one retry; False when the account does not hold it."""
        # Ten tenths must buy one retry, whatever binary fractions add up to.
        if self._balance < 1 - 1e-9:
            return False
        self._balance -= 1
        return True


def pause(config: RetryConfig, attempt: int, retry_after: float | None, chance: float) -> float:
    """Seconds to wait after the `attempt`-th failure (from 1); `chance` is a random number in [0, 1).

    A pause that the provider asked for is the least; the jitter comes on top, so that not all come back at once.
    """
    ceiling = min(config.longest_pause, config.first_pause * 2.0 ** min(attempt - 1, 32))
    jitter = ceiling * chance
    return jitter if retry_after is None else max(0.0, retry_after) + min(jitter, config.first_pause)
