"""What can be seen of a memory without a model or a network: its words, its form, and what it says.

Pure and of the standard library alone, at a bounded cost: only the head of a long text is read. The word groups are
about a few languages; names, numbers, rarity and length count in any script.
"""

from __future__ import annotations

import re
from itertools import chain
from math import exp, log1p
from typing import TYPE_CHECKING, NamedTuple

from sophiactl.memory.worth_lexicon import RAREST, word_count
from sophiactl.memory.worth_words import GROUP_NAMES

if TYPE_CHECKING:
    from sophiactl.memory.worth_lexicon import Lexicon, Word

HEAD = 4_000

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|\d+(?:[.,:/-]\d+)*")
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*(?:\s+|$)|[。！？]+|\n+")
_BREAK = re.compile(r"[.!?…:\n\"“(\[。！？]")
_LINK = re.compile(r"https?://|www\.|\w@[\w-]{1,64}\.\w|[$€£¥]\s?\d|\d\s?[$€£¥%]")
_OPENING = frozenset(
    """what what's whats where where's when who who's why how how's which do does did are is was were have has can could
    would will u wyd hbu wbu""".split()  # noqa: SIM905 - a column of strings says it no better
)
FORM_NAMES = (
    "length",
    "information",
    "rarity",
    "rarest words",
    "asked-about words",
    "most asked-about word",
    "asked-about on average",
    "names",
    "digits",
    "links and amounts",
    "question",
    "statement",
    "exclamations",
    "repetition",
    "answers a question",
    "echo",
    "chatter",
)
FEATURE_NAMES: tuple[str, ...] = (*FORM_NAMES, *(f"{name} words" for name in GROUP_NAMES))
_COURTESY, _FUNCTION = GROUP_NAMES.index("courtesy"), GROUP_NAMES.index("function")
_SATURATED = tuple(1 - exp(-count / 1.5) for count in range(40))
_COMMON, _CONTENT, _PROPER = 3, 6, 13


class Reading(NamedTuple):
    """A text as read: its visible head, its words as written, the same in lower case, and what is known of them."""

    text: str
    words: list[str]
    lower: list[str]
    known: list[Word]


def read(text: str, lexicon: Lexicon) -> Reading:
    """Cut and split a text; any string will do, lone surrogates and control characters included."""
    head = text[:HEAD].replace("’", "'")
    words = WORD.findall(head)
    lower = [word.lower() for word in words]
    known = [lexicon.look_up(word) for word in lower]
    return Reading(head, words, lower, known)


def features(reading: Reading, previous: Reading | None = None) -> list[float]:
    """One number for each of FEATURE_NAMES."""
    asked, said = _asked(reading)
    groups = [0] * len(GROUP_NAMES)
    for number in chain.from_iterable([word.groups for word in reading.known]):
        groups[number] += 1
    answers, echo = _beside(reading, previous)
    count = len(reading.words) or 1
    return [
        *_words(reading),
        _saturated(_names(reading)),
        _saturated(sum(1 for word in reading.words if word[0].isdigit())),
        _saturated(len(_LINK.findall(reading.text))),
        asked / (asked + said) if asked else 0.0,
        log1p(said),
        _saturated(reading.text.count("!") + reading.text.count("！")) if reading.words else 0.0,
        1 - len(set(reading.lower)) / count if reading.words else 0.0,
        answers,
        echo,
        (groups[_COURTESY] + 0.5 * groups[_FUNCTION]) / count,
        *(_saturated(value) for value in groups),
    ]


def _saturated(count: int) -> float:
    return _SATURATED[count] if count < len(_SATURATED) else 1.0


def _words(reading: Reading) -> list[float]:
    """Length, rarity, and how much of it people ask about."""
    distinct = dict(zip(reading.lower, reading.known, strict=True))
    entries = list(distinct.values())
    runs = [word_count(word) for word in distinct]
    rarity = [entry.rarity for entry in entries]
    asked = [(entry.asked, run) for entry, run in zip(entries, runs, strict=True) if entry.asked is not None]
    values = [value for value, _ in asked]
    mass = sum([(value - 4) * run for value, run in zip(rarity, runs, strict=True) if value > 4])
    return [
        log1p(min(200.0, len(reading.words) + sum(runs) - len(runs))),
        log1p(mass / (RAREST - 4)),
        sum(rarity) / (len(rarity) or 1) / RAREST,
        sum(sorted(rarity, reverse=True)[:3]) / 3 / RAREST,
        log1p(sum([value * run for value, run in asked if value > 0])),
        max(values, default=-2.0),
        sum(values) / len(values) if values else -1.0,
    ]


def _asked(reading: Reading) -> tuple[float, float]:
    """Words in sentences that ask, and in sentences that say; a question is known by its mark or by how it opens."""
    text = reading.text
    asked = said = start = 0
    for match in _SENTENCE_END.finditer(text):
        words = text.count(" ", start, match.start()) + 1
        if "?" in match.group() or "？" in match.group():
            asked += words
        elif match.start() > start:
            said += words
        start = match.end()
    if text[start:].strip():
        said += text.count(" ", start) + 1
    if not asked and len(reading.lower) > 2 and reading.lower[0] in _OPENING and _addresses(reading.lower[1:4]):
        return said, 0
    return asked, said


def _addresses(words: list[str]) -> bool:
    return any(word in {"you", "u", "your", "ya", "are", "is", "was", "do", "does", "did"} for word in words)


def _beside(reading: Reading, previous: Reading | None) -> tuple[float, float]:
    """How far the text answers the one before, and the share of content words taken over from it.

    A question is a reader's own word for what is worth knowing; one of few content words ("How are you?") less so.
    """
    if previous is None:
        return 0.0, 0.0
    content = {word for word, entry in zip(reading.lower, reading.known, strict=True) if entry.rarity > _CONTENT}
    echo = len(content.intersection(previous.lower)) / len(content) if content else 0.0
    if "?" not in previous.text and "？" not in previous.text:
        return 0.0, echo
    last = 1.0 if previous.text.rstrip().endswith(("?", "？")) else 0.5
    meant = sum(1 for entry in previous.known if entry.rarity >= _CONTENT)
    return last * min(1.0, 0.4 + 0.2 * meant), echo


def _names(reading: Reading) -> int:
    """Words with a capital inside a sentence, or rare ones at its head; none where most words are all capitals."""
    words = reading.words
    if sum(1 for word in words if len(word) > 1 and word.isupper()) * 2 > len(words):
        return 0
    found = position = 0
    for place, word in enumerate(words):
        at = reading.text.find(word, position)
        if word[0].isupper() and reading.known[place].rarity > _COMMON:
            opens = not place or _BREAK.search(reading.text, position, at) is not None
            found += not opens or reading.known[place].rarity >= _PROPER
        position = at + len(word)
    return found
