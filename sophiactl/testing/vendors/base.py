"""What all loopback vendors have in common: a key, rate limits that are watched, and a check of every request.

    with SlackVendor() as slack:
        slack.add_message("general", "ada", "Acme renews in March")
        slack.limit = Limited(calls=2, seconds=0.2)      # then 429 with Retry-After; who comes early is noted
        ... SOPHIACTL_CONNECTORS__SLACK__BASE_URL=slack.address, slack.secrets ...
        assert not slack.violations

State is kept in plain Python; methods that change it may be called while the server runs.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from sophiactl.testing.web_server import Reply, Seen, WebServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

_READ_BY_POST = re.compile(
    r"/(search|query|token|parameterizedSearch|extensive|transcript|assistant\.search\.context)$"
)


class Limited(NamedTuple):
    """At most `calls` in any `seconds`; then 429, with Retry-After if `say` (whole seconds, at least 1)."""

    calls: int
    seconds: float
    say: bool = True


class _Counter:
    """What came to one limit."""

    def __init__(self) -> None:
        self.recent: deque[float] = deque()
        self.told_at = 0.0
        self.closed_until = 0.0


class Vendor(WebServer):
    """One vendor. Subclasses name their service and answer in `serve`, which runs under the lock of the state.

    `check` is told of every request, those that meet a queued fault too, and names what is wrong with it (tests give a
    check against the vendor's API description). `violations` collects that, every write, whatever this vendor itself
    fails at, and every request that comes before the time that a Retry-After named, be it the limit's or a queued
    fault's. `grace` in seconds is for requests that were on their way while that was said.
    """

    service: ClassVar[str]
    grace = 0.15

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.check: Callable[[Seen], Sequence[str]] | None = None
        self.limit: Limited | None = None
        self.violations: list[str] = []
        self.lock = threading.RLock()
        self._counters: dict[str, _Counter] = {}

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
        """The vendor's own 429. `seconds` are whole ones, at least 1, when they are to be said."""
        headers = {"Retry-After": str(math.ceil(seconds))} if say else {}
        return Reply.json({"error": "rate limited"}, 429, **headers)

    def limited_by(self, seen: Seen) -> str:
        """The name of the limit that counts a request; one for the whole service, unless the vendor has more."""
        del seen
        return ""

    def writes(self, seen: Seen) -> bool:
        """Whether a request may change something: all but GET, and POST to paths that search, query or log in."""
        return seen.method != "GET" and not (seen.method == "POST" and _READ_BY_POST.search(seen.path))

    def answer(self, seen: Seen) -> Reply:
        """Limit, serve."""
        over = self._over(seen)
        return self.slow_down(over, say=bool(self.limit and self.limit.say)) if over else self.serve(seen)

    def _reply(self, seen: Seen) -> Reply:
        """Check, answer, and remember what was said about coming again."""
        with self.lock:
            counter = self._counters.setdefault(self.limited_by(seen), _Counter())
            try:
                self._watch(seen, counter)
                reply = super()._reply(seen)
            except Exception as error:  # a test should read it where it looks, and not in the log of a server
                self.violations.append(f"{seen.method} {seen.path}: the vendor failed: {error!r}")
                raise
            _remember(reply, counter)
            return reply

    def _watch(self, seen: Seen, counter: _Counter) -> None:
        now, asked = time.monotonic(), f"{seen.method} {seen.path}"
        if counter.told_at + self.grace < now < counter.closed_until:
            early = counter.closed_until - now
            self.violations.append(f"{asked}: came {early:.2f} s before Retry-After was over")
        if self.writes(seen):
            self.violations.append(f"{asked}: a write")
        if self.check is not None:
            self.violations += [f"{asked}: {wrong}" for wrong in self.check(seen)]

    def _over(self, seen: Seen) -> float:
        """Seconds that the caller has to wait, 0 when it may go on."""
        if self.limit is None:
            return 0.0
        counter, now = self._counters.setdefault(self.limited_by(seen), _Counter()), time.monotonic()
        if now < counter.closed_until:
            return float(math.ceil(counter.closed_until - now))
        while counter.recent and counter.recent[0] <= now - self.limit.seconds:
            counter.recent.popleft()
        if len(counter.recent) < self.limit.calls:
            counter.recent.append(now)
            return 0.0
        wait = counter.recent[0] + self.limit.seconds - now if counter.recent else self.limit.seconds
        return float(max(1, math.ceil(wait))) if self.limit.say else wait


def _remember(reply: Reply, counter: _Counter) -> None:
    """Until when nobody may come. Who came while it is closed and is told again learns nothing new."""
    said = next((value for name, value in reply.headers.items() if name.lower() == "retry-after"), "")
    now = time.monotonic()
    if reply.status in (429, 503, 529) and said.isdigit() and now >= counter.closed_until:
        counter.told_at = now
        counter.closed_until = now + float(said) - 0.02  # clocks of two threads
