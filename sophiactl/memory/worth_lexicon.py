"""What is known of a word beforehand: how rare it is, how often people ask about its like, and what it says."""

from __future__ import annotations

import base64
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from sophiactl.memory.worth_words import GROUP_NAMES, GROUPS_OF_WORD

if TYPE_CHECKING:
    from collections.abc import Mapping

RAREST = 15
"""Class of a word outside the lexicon; 0 is the commonest."""
LEVELS = 62
COURTESY = GROUP_NAMES.index("courtesy")

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# By their last letter.
_ENDINGS = {
    "s": ("'s", "s", "es"),
    "g": ("ing",),
    "d": ("ed", "'d"),
    "r": ("er",),
    "y": ("ly",),
    "l": ("'ll",),
    "e": ("'re", "'ve"),
}
_LAUGHING = 5
_ELONGATED = re.compile(r"(.)\1{2,}")
_LAUGHTER = re.compile(
    r"(?:a?(?:ha|he|hi|ho|ja|je|xa|ах|ха){2,}[hajx]?|l+o+l+z?|lma+o+|ro+fl|k{3,}|w{4,}|哈+|呵+|ㅋ+|ㅎ+|笑+)"
)
# Scripts from here on set no spaces between words.
_UNSPACED = "\u0e00"
_HANGUL = ("\uac00", "\ud7a4")


class Word(NamedTuple):
    """`rarity` 0-15; `asked` in spreads from a typical word, None when nothing is known; `groups` of worth_words."""

    rarity: float
    asked: float | None
    groups: tuple[int, ...]


class Lexicon:
    """Looks words up in lower case, by their stem where the form itself is not known."""

    def __init__(self, words: Mapping[str, tuple[int, float | None]]) -> None:
        groups = GROUPS_OF_WORD
        self._words = {word: Word(rank, asked, groups.get(word, ())) for word, (rank, asked) in words.items()}
        for word, members in groups.items():
            if word not in self._words:
                self._words[word] = Word(5 if COURTESY in members or len(word) < 4 else 9, None, members)

    def look_up(self, word: str) -> Word:
        """What is known of `word`."""
        return self._words.get(word) or self._derived(word)

    def _derived(self, word: str) -> Word:
        if word[0].isdigit():
            return NUMBER
        if word >= _UNSPACED and not _HANGUL[0] <= word < _HANGUL[1]:
            return LAUGHTER if _LAUGHTER.fullmatch(word) else UNSPACED
        for ending in _ENDINGS.get(word[-1], ()):
            if word.endswith(ending):
                stem = word[: -len(ending)]
                found = self._words.get(stem) or self._words.get(stem + "e") or self._undoubled(stem)
                if found is not None:
                    return found._replace(rarity=min(RAREST, found.rarity + 1))
        if len(set(word)) <= _LAUGHING and _LAUGHTER.fullmatch(word):
            return LAUGHTER
        if _ELONGATED.search(word):
            shorter = [self._words.get(_ELONGATED.sub(form, word)) for form in (r"\1", r"\1\1")]
            if known := [entry for entry in shorter if entry is not None]:
                return min(known, key=lambda entry: entry.rarity)
        return unknown(word)

    def _undoubled(self, stem: str) -> Word | None:
        return self._words.get(stem[:-1]) if len(stem) > 3 and stem[-1] == stem[-2] else None


NUMBER = Word(11, 1.0, ())
LAUGHTER = Word(3, -2.0, (COURTESY,))
UNSPACED = Word(10, 0.5, ())


def unknown(word: str) -> Word:
    """A word of another language, a name, or a slip of the finger: the longer, the more it is taken to mean."""
    return Word(min(RAREST, 5 + len(word)), 0.3 if len(word) > 2 else None, ())


def word_count(word: str) -> float:
    """About how many words a run of letters is: scripts without spaces write two characters a word."""
    return max(1.0, len(word) / 2) if word >= _UNSPACED and not _HANGUL[0] <= word < _HANGUL[1] else 1.0


def pack(words: Mapping[str, tuple[int, float | None]]) -> str:
    """A lexicon as text: words in lines by rank, each with one character for its `asked` value; inverse of `unpack`."""
    lines: list[list[str]] = [[] for _ in range(RAREST + 1)]
    for word, (rank, asked) in sorted(words.items()):
        lines[rank].append(word + ("!" if asked is None else _DIGITS[_level(asked)]))
    data = "\n".join(" ".join(line) for line in lines)
    return base64.b85encode(zlib.compress(data.encode(), 9)).decode("ascii")


def unpack(packed: str) -> dict[str, tuple[int, float | None]]:
    """The words with their rank and `asked` value."""
    data = zlib.decompress(base64.b85decode(packed)).decode()
    values: dict[str, float | None] = {digit: (level - 31) / 8 for level, digit in enumerate(_DIGITS)}
    values["!"] = None
    return {
        entry[:-1]: (rank, values[entry[-1]]) for rank, line in enumerate(data.split("\n")) for entry in line.split()
    }


def _level(asked: float) -> int:
    return max(0, min(LEVELS - 1, round(asked * 8) + 31))
