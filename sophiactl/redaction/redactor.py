"""Takes known secrets, in whatever form they appear, and whatever looks like a key out of texts."""

from __future__ import annotations

from typing import Any

GONE = "[redacted]"
LONGEST = 300


class Redactor:
    """Takes secrets out of texts. Safe to use from many threads."""

    def __init__(self, *values: str) -> None:
        self._values: set[str] = set()
        self.add(*values)

    def add(self, *values: str) -> None:
        """Know these secrets from now on. Cheap: forms are worked out when first needed."""
        self._values.update(value for value in values if value)

    def forget(self) -> None:
        """Know nothing any more (tests)."""
        self._values.clear()

    def text(self, text: str) -> str:
        """The text without known secrets, all else unchanged."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, GONE)
        return text

    def line(self, text: str, longest: int = LONGEST) -> str:
        """Text from elsewhere, fit to show: one line, without known secrets nor what looks like a key, cut short."""
        clean = " ".join(self.text(text).split())
        return clean if len(clean) <= longest else clean[: longest - 1] + "…"

    def data(self, value: Any) -> Any:
        """A value made of dicts, lists and texts, with every text in it redacted, keys of dicts included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.data(key): self.data(item) for key, item in value.items()}
        return [self.data(item) for item in value] if isinstance(value, list | tuple) else value


REDACTOR = Redactor()
