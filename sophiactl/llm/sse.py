"""Server-sent events from bytes, whatever pieces they come in (WHATWG HTML, section 9.2.6). Pure."""

from __future__ import annotations

import msgspec

_BOM = b"\xef\xbb\xbf"
_CR = 13


class Event(msgspec.Struct, frozen=True):
    """One event; lines of data are joined by a newline. `name` is empty unless the stream named it."""

    data: bytes
    name: str = ""


class TooLong(Exception):
    """An event is longer than allowed."""


class Parser:
    """Feed it bytes, get events. Lines end in LF, CRLF or CR; comments, ids and retry times are passed over.

    An event longer than `limit` bytes raises `TooLong`.
    """

    def __init__(self, limit: int = 8 << 20) -> None:
        self._limit = limit
        self._rest: list[bytes] = []
        self._held = 0
        self._data: list[bytes] = []
        self._size = 0
        self._name = ""
        self._skip_lf = False
        self._first = True

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this piece completes."""
        if self._skip_lf and chunk:
            # The LF of a CRLF that was cut in two; its line has been dealt with at the CR.
            self._skip_lf = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if not chunk:
            return []
        if b"\n" not in chunk and b"\r" not in chunk:
            self._hold(chunk)
            return []
        lines = chunk.splitlines()
        if self._rest:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest.clear()
            self._held = 0
        self._skip_lf = chunk[-1] == _CR
        if not chunk.endswith((b"\n", b"\r")):
            self._hold(lines.pop())
        return self._take(lines)

    def close(self) -> list[Event]:
        """The stream is over: the event that its last blank line is missing of, if there is one."""
        line = b"".join(self._rest)
        self._rest.clear()
        self._held = 0
        return self._take([line, b""] if line else [b""])

    def _hold(self, part: bytes) -> None:
        self._held += len(part)
        if self._held + self._size > self._limit:
            raise TooLong
        self._rest.append(part)

    def _take(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for line in lines:
            if self._first:
                self._first = False
                line = line.removeprefix(_BOM)  # noqa: PLW2901 - only the stream's first line can have it
            if not line:
                if self._data:
                    events.append(Event(b"\n".join(self._data), self._name))
                    self._data.clear()
                    self._size = 0
                self._name = ""
            elif line.startswith(b"data:"):
                self._add(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line == b"data":
                self._add(b"")
            elif line.startswith(b"event:"):
                self._name = line[6:].removeprefix(b" ").decode("utf-8", "replace")
        return events

    def _add(self, data: bytes) -> None:
        self._size += len(data) + 1
        if self._size > self._limit:
            raise TooLong
        self._data.append(data)
