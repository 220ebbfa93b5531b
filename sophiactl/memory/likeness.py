"""Which memories say the same: a print of what is said, shared by copies that differ in form only.

Case, punctuation, spacing, contractions and filler words do not matter, nor whether a phrase stands at the front or at
the end. Numbers, negations, names, signs such as `<` or `€`, the author and the order of words otherwise do: "Ann owes
Bob" is no copy of "Bob owes Ann". A copy that is missed costs a little room, a wrong one a memory.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Final
from unicodedata import category, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LEAST_CONTENT: Final = 5.0
"""Different words of content that a text must hold: two times "thanks, see you!" are two memories."""

READ: Final = 65_536
"""Characters of a text that are read word by word; what follows is compared as it stands."""

MOVABLE: Final = 64
"""Words in which a phrase may have moved between front and end; a longer text is compared in order."""

_SAID_FOR_EASE = """
    a an the and ah aha actually also anyway anyways aw basically btw dear er erm haha hahaha hehe hello hey hi hmm huh
    just kindly literally lol mhm oh ok okay please pls really so thanks uh uhm um very wow yeah yep yes
    啊 呢 吧 哦 嗯 呀 嘛"""
_FILLERS = frozenset(_SAID_FOR_EASE.split())
_SAID_FOR_FORM = """
    about after again all am any are as at be because been before being but by can could did do does done for from get
    go got had has have he her here hers him his how i if in into is it its it's let's many may me might mine more most
    much must my no nor not of off on one or our ours out over own shall she should some such than that that's their
    theirs them then there there's these they this those through to too under until up us was we well were what what's
    when where which while who whom whose why will with would you your yours"""
_FORM = frozenset(_SAID_FOR_FORM.split())
_WRITTEN_OUT = {
    "can't": "can not",
    "won't": "will not",
    "shan't": "shall not",
    "cannot": "can not",
    "cant": "can not",
    "dont": "do not",
    "doesnt": "does not",
    "didnt": "did not",
    "isnt": "is not",
    "arent": "are not",
    "wasnt": "was not",
    "werent": "were not",
    "couldnt": "could not",
    "wouldnt": "would not",
    "shouldnt": "should not",
    "im": "i am",
    "ive": "i have",
}
_ENDINGS = {"n't": "not", "'m": "am", "'re": "are", "'ll": "will", "'ve": "have"}

# Scripts that put no space between words: every character stands for itself, and two make about a word.
_UNSPACED = "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
_UNSPACED += "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'", "‘": "'", "＇": "'", "−": "-"})
_SIGNS = frozenset(("Sc", "Sm", "So"))


def likeness(text: str, author: str | None) -> str | None:
    """A print of 16 hexadecimal digits that records share which say the same; None for a text that says too little."""
    head, rest = text[:READ], text[READ:]
    words = list(_words(head))
    if not rest and _content(words) < LEAST_CONTENT:
        return None
    if not rest and len(words) <= MOVABLE:
        words = _from_least(words)
    digest = blake2b(digest_size=8)
    for part in (_folded(author or "").strip(), *words):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    if rest:
        digest.update(b"\1" + " ".join(rest.split()).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _words(text: str) -> Iterator[str]:
    """What is said, word by word: folded, written out, without fillers."""
    folded = _folded(text)
    found = _pattern("", "").findall(folded) if folded.isascii() else _own_pattern(folded).findall(folded)
    for word in found:
        for part in _written_out(word):
            if part not in _FILLERS:
                yield part


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    characters = set(text)
    # Compatible forms are one, but 10² is not 102 and 3½ not 31/2.
    form: Final = "NFC" if any(category(letter) == "No" for letter in characters) else "NFKC"
    unseen = {ord(letter): None for letter in characters if category(letter) == "Cf"}
    plain = normalize(form, text.translate(_APOSTROPHES).translate(unseen))
    return normalize("NFC", plain.casefold())


def _own_pattern(text: str) -> re.Pattern[str]:
    """The pattern of words for a text that is not plain ASCII: with the marks and signs that stand in it."""
    kinds = {letter: category(letter) for letter in set(text) if not letter.isascii()}
    marks = (x for x, kind in kinds.items() if kind.startswith("M") and not _IS_UNSPACED.match(x))
    signs = (x for x, kind in kinds.items() if kind in _SIGNS or kind == "No")
    return _pattern(_listed(marks), _listed(signs))


def _listed(letters: Iterable[str]) -> str:
    return "".join(re.escape(letter) for letter in sorted(letters))


@lru_cache(maxsize=64)
def _pattern(marks: str, signs: str) -> re.Pattern[str]:
    """Words with their marks and apostrophes, numbers with what stands inside them, single signs and characters."""
    letter = rf"(?:(?![{_UNSPACED}])[^\W_]{f'|[{marks}]' if marks else ''})"
    inside = rf"(?:(?<=\d)[.,:/-](?=\d){letter}+|'{letter}+)"
    word = rf"(?:(?<!\w)-(?=[\d.]))?\.?(?={letter}){letter}+{inside}*[+#%]*"
    return re.compile(rf"[{_UNSPACED}]|{word}|[$<>=~^+{signs}]")


def _written_out(word: str) -> list[str]:
    whole = _WRITTEN_OUT.get(word)
    if whole is not None:
        return whole.split()
    if "'" in word:
        for ending, meant in _ENDINGS.items():
            if word.endswith(ending) and len(word) > len(ending):
                return [word.removesuffix(ending), meant]
    return [word]


def _content(words: list[str]) -> float:
    """How many different words there are beyond those that only give form."""
    different = set(words) - _FORM
    single = sum(1 for word in different if _IS_UNSPACED.match(word))
    return len(different) - single / 2


def _from_least(words: list[str]) -> list[str]:
    """The words as a ring, read from where that gives the least sequence: a phrase moved to the front is the same."""
    if not words:
        return words
    least = min(words)
    starts = (place for place, word in enumerate(words) if word == least)
    return min(list(chain(words[start:], words[:start])) for start in starts)
