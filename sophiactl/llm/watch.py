"""The deadlines of one call, and what is said when one has passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sophiactl.llm.failures import TooSlow

if TYPE_CHECKING:
    import asyncio

    from sophiactl.llm.base import Deadlines
    from sophiactl.llm.classify import Peer

Phase = Literal["connect", "first_byte", "idle", "total"]

_TOO_SLOW: dict[Phase, str] = {
    "connect": "could not be connected to",
    "first_byte": "did not begin to answer",
    "idle": "sent nothing more",
    "total": "did not finish",
}


class Watch:
    """The deadlines of one call to `peer`. Only waits on the network count, not the time the caller takes."""

    def __init__(self, deadlines: Deadlines, peer: Peer) -> None:
        import asyncio

        self._timeout_at = asyncio.timeout_at
        self._time = asyncio.get_running_loop().time
        self.deadlines = deadlines
        self.peer = peer
        self._started = self._time()
        self._end = self._started + deadlines.total
        self._phase: Phase = "connect"

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self._time() - self._started

    def until(self, phase: Literal["first_byte", "idle"]) -> asyncio.Timeout:
        """A context that raises `TimeoutError` when this phase, or the whole call, has lasted too long."""
        limit = self._time() + (self.deadlines.idle if phase == "idle" else self.deadlines.first_byte)
        self._phase = "total" if self._end <= limit else phase
        return self._timeout_at(min(limit, self._end))

    def too_slow(self, phase: Phase | None = None) -> TooSlow:
        """The failure of this phase, or of the one that was waited in last."""
        phase = phase or self._phase
        limit: float = getattr(self.deadlines, phase)
        return TooSlow(
            f"{self.peer.provider} ({self.peer.host}) {_TOO_SLOW[phase]} within {limit:g} s ({phase})",
            hint=f"raise deadlines.{phase} of {self.peer.provider}, or use another provider",
        )
