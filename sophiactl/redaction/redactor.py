"""Takes known secrets, in whatever form they appear, and whatever looks like a key out of texts."""

from __future__ import annotations

from _thread import allocate_lock
from typing import TYPE_CHECKING, Any

from sophiactl.redaction.weakness import MINIMUM, weakness

if TYPE_CHECKING:
    from sophiactl.redaction.matching import Matcher
    from sophiactl.redaction.stream import StreamRedactor

GONE = "[redacted]"
LONGEST = 300


class Redactor:
    """Takes secrets out of texts. Safe to use from many threads.

    Values that are too short or too common (`weakness`) stay in texts, since without them nothing could be read.
    """

    def __init__(self, *values: str) -> None:
        self._values: set[str] = set()
        self._matchers: dict[int, Matcher] = {}
        self._lock = allocate_lock()
        self.add(*values)

    def add(self, *values: str) -> None:
        """Know these secrets from now on. Cheap: their forms are worked out when they are first needed."""
        with self._lock:
            before = len(self._values)
            self._values.update(value for value in values if value)
            if len(self._values) != before:
                self._matchers = {}

    def forget(self) -> None:
        """Know nothing any more (tests)."""
        with self._lock:
            self._values.clear()
            self._matchers = {}

    def __bool__(self) -> bool:
        """Whether it knows any secret."""
        return bool(self._values)

    def weak(self, minimum: int = MINIMUM) -> int:
        """How many of the known secrets are not taken out; `weakness` and `Secret.weakness` say which, and why."""
        with self._lock:
            return sum(bool(weakness(value, minimum)) for value in self._values)

    def matcher(self, minimum: int = MINIMUM) -> Matcher:
        """What finds the known secrets of at least `minimum` characters."""
        found = self._matchers.get(minimum)
        if found is None:
            from sophiactl.redaction.matching import Matcher

            with self._lock:
                matchers = self._matchers
                found = matchers.get(minimum)
                if found is None:
                    found = matchers[minimum] = Matcher(self._values, minimum)
        return found

    def text(self, text: str) -> str:
        """The text without known secrets, all else unchanged."""
        if not self._values:
            return text
        raw = text.encode("utf-8", "surrogatepass")
        clean = self.raw(raw)
        return text if clean is raw else clean.decode("utf-8", "surrogatepass")

    def raw(self, data: bytes) -> bytes:
        """Bytes without known secrets, whatever else they hold."""
        spans = self.matcher().spans(data) if self._values else []
        if not spans:
            return data
        parts, read = [], 0
        for start, end in spans:
            parts.append(data[read:start])
            read = end
        return GONE.encode().join((*parts, data[read:]))

    def line(self, text: str, longest: int = LONGEST) -> str:
        """Text from elsewhere, fit to show: one line, without known secrets nor what looks like a key, cut short."""
        from sophiactl.redaction.looks import one_line, without_keys

        clean = without_keys(self.text(one_line(text)), GONE)
        return clean if len(clean) <= longest else clean[: longest - 1] + "…"

    def data(self, value: Any) -> Any:
        """A value made of dicts, lists, tuples, sets, structs and texts, with every text in it redacted, keys included.

        A number that tells a secret becomes a text; what else there is, such as dates, is given back as it is.
        """
        if not self._values or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.raw(value)
        if isinstance(value, int | float):
            text = str(value)
            return value if self.text(text) == text else GONE
        if isinstance(value, dict):
            return {self.data(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list | set | frozenset):
            return type(value)(map(self.data, value))
        if isinstance(value, tuple):
            items = map(self.data, value)
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return self._struct(value) if hasattr(value, "__struct_fields__") else value

    def _struct(self, value: Any) -> Any:
        from msgspec.structs import replace

        before = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {name: clean for name, item in before.items() if (clean := self.data(item)) is not item}
        return replace(value, **changed) if changed else value

    def stream(self, minimum: int = 4) -> StreamRedactor:
        """For bytes that come piece by piece, such as a child's output."""
        from sophiactl.redaction.stream import StreamRedactor

        return StreamRedactor(self, minimum)


REDACTOR = Redactor()
