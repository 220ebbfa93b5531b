"""Bytes on their way from the child to one of our outputs, and from our terminal to the child."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE = 0.1
"""Seconds without output after which what a mask held back is let go, so that a prompt appears."""

_AT_ONCE = 65_536
_PIPE_BUF = 4096  # a pipe that can be written to takes as much without making us wait
_MOST_TYPED = 65_536


class Mask(Protocol):
    """Takes secrets out of a stream of bytes; a `StreamRedactor`."""

    def feed(self, data: bytes) -> bytes:
        """What can be let go now that this came."""

    def idle(self) -> bytes:
        """What can be let go now that nothing came for a while."""

    def flush(self) -> bytes:
        """All that is left, at the end."""


class Flow:
    """From `source` to `sink`. One piece is under way at a time: a slow reader slows the child down."""

    def __init__(self, source: int, sink: int, mask: Mask | None) -> None:
        self.source, self.sink = source, sink
        self.open = True
        self.taken = 0
        self._mask = mask
        self._piece = memoryview(b"")
        self._step = _AT_ONCE if stat.S_ISREG(os.fstat(sink).st_mode) else _PIPE_BUF
        self._heard: float | None = None

    @property
    def under_way(self) -> bool:
        """Whether there is something to write."""
        return bool(self._piece)

    def read(self, now: float) -> None:
        """Take what the source has; at its end let go of the rest."""
        try:
            data = os.read(self.source, _AT_ONCE)
        except OSError:  # a terminal whose other side is closed
            data = b""
        if not data:
            self.end()
            return
        self.taken += len(data)
        self._heard = now
        self._piece = memoryview(self._mask.feed(data) if self._mask else data)

    def write(self) -> None:
        """Write a bit; a reader that is gone ends the flow, so that the child learns of it as it would by itself."""
        try:
            self._piece = self._piece[os.write(self.sink, self._piece[: self._step]) :]
        except OSError:
            self._piece, self._mask = memoryview(b""), None
            self.end()

    def release(self, now: float) -> float | None:
        """Let go of what was held back for long enough; the seconds until there is something to let go."""
        if self._heard is None or self._mask is None or self._piece or not self.open:
            return None
        left = self._heard + IDLE - now
        if left > 0:
            return left
        self._heard = None
        self._piece = memoryview(self._mask.idle())
        return None

    def end(self) -> None:
        """Read no more; what is still to be written stays."""
        if self.open:
            self.open = False
            os.close(self.source)
            rest = self._mask.flush() if self._mask else b""
            self._piece = memoryview(bytes(self._piece) + rest)


class Typing:
    """From our terminal to the child's.

    `stop_at` says where in what was typed the key stands that is to stop the child (-1: nowhere); `stop` does it.
    """

    def __init__(self, source: int, sink: int, stop_at: Callable[[bytes], int], stop: Callable[[], None]) -> None:
        self.source, self.sink = source, sink
        self.open = True
        self._typed = b""
        self._stop_at, self._stop = stop_at, stop

    @property
    def under_way(self) -> bool:
        """Whether there is something to write."""
        return bool(self._typed)

    @property
    def wanted(self) -> bool:
        """Whether more can be taken."""
        return self.open and len(self._typed) < _MOST_TYPED

    def read(self) -> None:
        """Take what was typed."""
        try:
            data = os.read(self.source, _AT_ONCE)
        except OSError:
            data = b""
        self.open = bool(data)
        self._typed += data

    def write(self) -> None:
        """Hand a bit on to the child, which may not want it."""
        stop = self._stop_at(self._typed)
        if stop == 0:
            self._typed = self._typed[1:]
            self._stop()
            return
        try:
            self._typed = self._typed[os.write(self.sink, self._typed[:stop] if stop > 0 else self._typed) :]
        except BlockingIOError:
            return
        except OSError:
            self._typed, self.open = b"", False
