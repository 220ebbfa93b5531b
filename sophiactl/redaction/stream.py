"""Takes secrets out of bytes that come piece by piece, wherever they are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.redaction.redactor import GONE

if TYPE_CHECKING:
    from sophiactl.redaction.redactor import Redactor

_MARK = GONE.encode()
_RELEASED = 3
_LINE_END = 7  # a line that is over is mostly no secret that goes on in the next one; a head is one from 8 signs on


class StreamRedactor:
    """One stream. However it is cut, the output put together is the same.

    Held back is only what could be the beginning of a secret, or of a part of one.
    """

    def __init__(self, redactor: Redactor, minimum: int) -> None:
        self._redactor = redactor
        self._minimum = minimum
        # What was seen and may matter still; up to `_written` it is out, from `_open` on it could begin a hit.
        self._seen = b""
        self._written = 0
        self._open = 0
        self._after_mark = False

    def feed(self, data: bytes) -> bytes:
        """Takes what came, returns what may go on."""
        if not self._redactor:
            return self.flush() + data
        self._seen += data
        scan = self._redactor.matcher(self._minimum).scan(self._seen)
        clean = self._released(scan.spans, scan.open_from)
        keep = scan.cut(self._written)
        self._seen = self._seen[keep:]
        self._written -= keep
        self._open = max(0, scan.open_from - keep)
        return clean

    def idle(self) -> bytes:
        """What may go on since nothing came for a while, such as a question that waits for its answer.

        That is at most three signs of what could still become a secret, seven where a line ends with them; if it does,
        the rest of it is taken out.
        """
        waiting = self._seen[self._open :]
        limit = _LINE_END if waiting.endswith(b"\n") else _RELEASED
        if len(waiting.strip()) > limit and not self._asks(waiting):
            return b""
        return self._released([], len(self._seen))

    def flush(self) -> bytes:
        """The rest, at the end of the stream."""
        spans = self._redactor.matcher(self._minimum).spans(self._seen) if self._redactor and self._seen else []
        clean = self._released(spans, len(self._seen))
        self._seen, self._written, self._open = b"", 0, 0
        return clean

    def _asks(self, waiting: bytes) -> bool:
        """Whether that is a question's end and no part of a secret, although some of its letters are."""
        return waiting.endswith(b" ") and waiting not in self._redactor.matcher(self._minimum).literal

    def _released(self, spans: list[tuple[int, int]], until: int) -> bytes:
        """What is not out yet, without the spans: all before `until`, and what is gone right behind it."""
        parts: list[bytes] = []
        for start, end in spans:
            if end <= self._written:
                continue
            if start > max(until, self._written):
                break
            if start > self._written:
                parts.append(self._seen[self._written : start])
                self._after_mark = False
            if not self._after_mark:
                parts.append(_MARK)
                self._after_mark = True
            self._written = end
        if until > self._written:
            parts.append(self._seen[self._written : until])
            self._after_mark, self._written = False, until
        return b"".join(parts)
