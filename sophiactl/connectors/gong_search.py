"""The text search that Gong does not have: calls by how many words of a question they speak of. Pure."""

from __future__ import annotations

import re
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from sophiactl.connectors.gong_text import call_id, names_of, summary_of
from sophiactl.connectors.gong_windows import moment_of
from sophiactl.connectors.reading import mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMON = frozenset(
    {
        *("a", "about", "all", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "call"),
        *("calls", "can", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how"),
        *("i", "if", "in", "is", "it", "its", "me", "my", "of", "on", "or", "our", "she", "so"),
        *("that", "the", "their", "them", "they", "this", "to", "was", "we", "were", "what", "when", "where", "which"),
        *("who", "why", "will", "with", "would", "you", "your"),
    }
)
_LONG = 4
"""A word of so many letters is found within others too: renewal in renewals."""


def words_of(query: str) -> tuple[str, ...]:
    """The words of a question that say something, each once; all of them when none does."""
    found = tuple(dict.fromkeys(re.findall(r"\w+", query.casefold())))
    telling = tuple(word for word in found if word not in _COMMON)
    return tuple(_stem(word) for word in telling or found)


class Best:
    """The best calls so far, at most `limit`: those with the most words of the question, then the latest."""

    def __init__(self, query: str, limit: int) -> None:
        self._words = words_of(query)
        self._limit = max(0, limit)
        self._ids: set[str] = set()
        self.total: int | None = None
        self._calls: dict[str, tuple[int, int, dict[str, Any]]] = {}

    @property
    def seen(self) -> int:
        """How many calls were looked at, of `total`."""
        return len(self._ids)

    def add(self, calls: Sequence[dict[str, Any]]) -> None:
        """Look at some more calls."""
        for call in calls:
            number = call_id(call)
            if not number:
                continue
            self._ids.add(number)
            matched = self._matched(call)
            if matched:
                started = moment_of(mapping(call.get("metaData")).get("started")) or 0
                self._calls[number] = (matched, started, call)
        if len(self._calls) > self._limit:
            best = nlargest(self._limit, self._calls.items(), key=lambda entry: (*entry[1][:2], entry[0]))
            self._calls = dict(best)

    def calls(self) -> list[dict[str, Any]]:
        """The calls, best first."""
        return [entry[2] for _, entry in sorted(self._calls.items(), key=lambda e: (*e[1][:2], e[0]), reverse=True)]

    def _matched(self, call: dict[str, Any]) -> int:
        told = f"{summary_of(call)}\n{names_of(call)}".casefold()
        tokens = set(re.findall(r"\w+", told))
        return sum(word in tokens or (_within(word) and word in told) for word in self._words)


def _stem(word: str) -> str:
    return word[:-1] if len(word) > _LONG and word.endswith("s") and not word.endswith("ss") else word


def _within(word: str) -> bool:
    """Languages without spaces have their words within others, however short."""
    return len(word) >= _LONG or not word.isascii()
