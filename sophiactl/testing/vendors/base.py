"""What all loopback vendors have in common: a key, rate limits that are watched, and a check of every request.

    with SlackVendor() as slack:
        slack.add_message("general", "ada", "Acme renews in March")
        slack.limit = Limited(calls=2, seconds=0.2)      # then 429 with Retry-After; who comes early is noted
        ... SOPHIACTL_CONNECTORS__SLACK__BASE_URL=slack.address, slack.secrets ...
        assert not slack.violations

State is kept in plain Python; methods that change it may be called while the server runs.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from sophiactl.testing.web_server import Reply, Seen, WebServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence


class Limited(NamedTuple):
    """At most `calls` in any `seconds`; then 429, with Retry-After if `say` (whole seconds, at least 1)."""

    calls: int
    seconds: float
    say: bool = True


class Vendor(WebServer):
    """One vendor. Subclasses name their service and answer in `serve`, which runs under the lock of the state.

    `check` is told of every request and names what is wrong with it (tests give a check against the vendor's API
    description); `violations` collects that, every write, and every request that came before Retry-After was over.
    """

    service: ClassVar[str]

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.check: Callable[[Seen], Sequence[str]] | None = None
        self.limit: Limited | None = None
        self.violations: list[str] = []
        self.lock = threading.RLock()
        self._recent: deque[float] = deque()
        self._closed_until = 0.0

    @property
    def address(self) -> str:
        """What goes into `connectors.SERVICE.base_url`."""
        return self.base_url

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets that this vendor takes, by the names of the catalogue."""
        raise NotImplementedError

    def serve(self, seen: Seen) -> Reply:
        """The answer, as the vendor gives it, to a request that is within the limits."""
        raise NotImplementedError

    def slow_down(self, seconds: float, *, say: bool) -> Reply:
        """The vendor's own 429."""
        headers = {"Retry-After": str(max(1, round(seconds)))} if say else {}
        return Reply.json({"error": "rate limited"}, 429, **headers)

    def answer(self, seen: Seen) -> Reply:
        """Check, limit, serve."""
        with self.lock:
            if self.check is not None:
                self.violations += [f"{seen.method} {seen.path}: {wrong}" for wrong in self.check(seen)]
            over = self._over()
            return self.slow_down(over, say=bool(self.limit and self.limit.say)) if over else self.serve(seen)

    def _over(self) -> float:
        """Seconds that the caller has to wait, 0 when it may go on."""
        if self.limit is None:
            return 0.0
        now = time.monotonic()
        if now < self._closed_until:
            self.violations.append(f"a request {self._closed_until - now:.2f} s before Retry-After was over")
            return self._closed_until - now
        while self._recent and self._recent[0] <= now - self.limit.seconds:
            self._recent.popleft()
        if len(self._recent) < self.limit.calls:
            self._recent.append(now)
            return 0.0
        wait = self._recent[0] + self.limit.seconds - now
        if self.limit.say:
            wait = float(max(1, round(wait)))
            self._closed_until = now + wait - 0.02  # clocks of two threads
        return wait
