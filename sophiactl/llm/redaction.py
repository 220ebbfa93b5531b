"""Upstream text made fit to show: one line, short, and without keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 300
GONE = "[redacted]"
_PREFIX = 8
# More than is ever shown, so that patterns see whole keys, yet a huge page costs nothing.
_READ = 20_000
_KEYS = re.compile(
    r"""
      \b(?:bearer|basic)[ ]+[^\s"',;<>]+
    | \b(?:sk|pk|rk|pplx|xai|gsk|fw|r8|hf|nvapi|ghp|github_pat|xoxb|xoxp)[-_][\w*.-]{4,}
    | \bAIza[\w-]{10,}
    | \beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Redactor:
    """Takes known keys, and whatever looks like one, out of a text."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        # Upstreams echo keys cut short too: what begins like a key goes as a whole.
        longest_first = sorted({key for key in keys if key}, key=len, reverse=True)
        parts = [re.escape(key) for key in longest_first]
        parts += [re.escape(key[:_PREFIX]) + r"[^\s\"'<>]*" for key in longest_first if len(key) >= 2 * _PREFIX]
        self._known = re.compile("|".join(parts)) if parts else None

    def __call__(self, text: str, longest: int = LONGEST) -> str:
        """The text on one line, without keys, cut to `longest` characters."""
        # Cleaned first: a sign that is dropped later could join two halves of a key.
        clean = " ".join("".join(char if char.isprintable() else " " for char in text[:_READ]).split())
        if self._known is not None:
            clean = self._known.sub(GONE, clean)
        clean = _KEYS.sub(GONE, clean)
        return clean if len(clean) <= longest else clean[: longest - 1] + "…"
