"""Which providers are left alone for a while, why, and until when.

A key that is refused or out of credit cools its whole provider; everything else cools one model there. A model that
failed often is let in again by a single trial: if that fails too, the pause grows.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from sophiactl.clock import utc_now
from sophiactl.llm.failures import BadRequest, CallFailed, Filtered, OutOfCredit, Refused, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.model import Clock


class CooldownConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a provider is left alone; all times in seconds.

    `failures` within `window` cool a model for `first`, then for `growth` times longer after each trial that fails, up
    to `longest`. A pause that the provider asks for is kept, up to `longest_retry_after`.
    """

    failures: int = 3
    window: float = 60.0
    first: float = 15.0
    growth: float = 2.0
    longest: float = 600.0
    longest_retry_after: float = 3600.0
    out_of_credit: float = 900.0
    refused: float = 900.0


class Cooling(msgspec.Struct, frozen=True):
    """Why something is left alone: the failure behind it, how many seconds are left, and when they end."""

    subject: str
    why: str
    left: float
    until: datetime
    kind: type[CallFailed]

    def __str__(self) -> str:
        return f"{self.subject} is left alone until {self.until.strftime('%H:%M:%S')} UTC: {self.why}"


class _State(msgspec.Struct):
    """What is known of one provider or one model there."""

    failures: deque[float] = msgspec.field(default_factory=deque)
    until: float | None = None
    why: str = ""
    kind: type[CallFailed] = CallFailed
    # How often in a row the breaker has opened; 0: closed.
    opened: int = 0
    trial: float | None = None


class Cooldowns:
    """The memory of failures, for one process. Not for several threads."""

    def __init__(
        self, config: CooldownConfig, *, timer: Callable[[], float] = time.monotonic, clock: Clock = utc_now
    ) -> None:
        self._config = config
        self._timer = timer
        self._clock = clock
        self._states: dict[tuple[str, str | None], _State] = {}

    def cooling(self, provider: str, model: str) -> Cooling | None:
        """Why this may not be called now, or None. Changes nothing."""
        for key in ((provider, None), (provider, model)):
            state = self._states.get(key)
            if state is not None and (left := self._left(state)) > 0:
                subject = provider if key[1] is None else f"{model} via {provider}"
                until = self._clock() + timedelta(seconds=left)
                return Cooling(subject, state.why, left, until, state.kind)
        return None

    def admit(self, provider: str, model: str) -> Cooling | None:
        """As `cooling`; when it is None and a model had been cooled, the caller has its one trial."""
        found = self.cooling(provider, model)
        state = self._states.get((provider, model))
        if found is None and state is not None and state.opened:
            state.trial = self._timer()
        return found

    def succeeded(self, provider: str, model: str) -> None:
        """It answered: all is forgiven."""
        self._states.pop((provider, None), None)
        self._states.pop((provider, model), None)

    def released(self, provider: str, model: str) -> None:
        """The call ended and says nothing about the provider (cancelled, or the request's own fault)."""
        state = self._states.get((provider, model))
        if state is not None:
            state.trial = None

    def failed(self, provider: str, model: str, failure: CallFailed) -> Cooling | None:
        """Note a failure; returns the pause that now holds, if any."""
        config = self._config
        if isinstance(failure, OutOfCredit):
            wait = max(config.out_of_credit, self._asked(failure))
            self._cool((provider, None), wait, f"out of credit{_status(failure)}", failure)
        elif isinstance(failure, Refused):
            self._cool((provider, None), config.refused, f"the key was refused{_status(failure)}", failure)
        elif isinstance(failure, Throttled) and failure.retry_after is not None:
            wait = self._asked(failure)
            self._cool((provider, model), wait, f"it asked for {wait:g} s{_status(failure)}", failure)
        elif isinstance(failure, (BadRequest, Filtered)):
            self.released(provider, model)
        else:
            self._count((provider, model), failure)
        return self.cooling(provider, model)

    def _asked(self, failure: CallFailed) -> float:
        return min(max(failure.retry_after or 0.0, 0.0), self._config.longest_retry_after)

    def _cool(self, key: tuple[str, str | None], seconds: float, why: str, failure: CallFailed) -> None:
        state = self._states.setdefault(key, _State())
        state.trial = None
        until = self._timer() + seconds
        # Of two pauses the longer one holds: a late answer to an old request must not shorten it.
        if state.until is None or until >= state.until:
            state.until, state.why, state.kind = until, why, type(failure)

    def _count(self, key: tuple[str, str | None], failure: CallFailed) -> None:
        config, now = self._config, self._timer()
        state = self._states.setdefault(key, _State())
        state.failures.append(now)
        while state.failures and state.failures[0] < now - config.window:
            state.failures.popleft()
        # Failures of calls that began before the pause are no trial.
        trial_failed = state.opened > 0 and state.trial is not None
        if not trial_failed and (len(state.failures) < max(1, config.failures) or self._left(state) > 0):
            return
        wait = min(config.longest, config.first * config.growth ** min(state.opened, 64))
        times = "again" if trial_failed else f"{len(state.failures)} times in {config.window:g} s"
        self._cool(key, wait, f"it failed {times}, last with: {failure.message}", failure)
        state.opened += 1
        state.failures.clear()

    def _left(self, state: _State) -> float:
        now = self._timer()
        # Less than a microsecond is what sums of binary fractions are off by.
        if state.until is not None and state.until - now > 1e-6:
            return state.until - now
        # Half open: while one tries, the others wait, but not for ever if that one is never heard of again.
        if state.opened and state.trial is not None:
            return max(0.0, state.trial + self._config.first - now)
        return 0.0


def _status(failure: CallFailed) -> str:
    return "" if failure.status is None else f" (status {failure.status})"
