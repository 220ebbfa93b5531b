"""What can be seen of a prompt without a model: its form, and hashes of its words.

Pure and of the standard library alone: numpy costs more to import than the whole decision may. Work is bounded by
reading the head and the tail of a long prompt; only its length is taken from the whole.
"""

from __future__ import annotations

import re
import zlib
from math import log1p
from typing import TYPE_CHECKING, NamedTuple

from sophiactl.routing.signs import GROUP_NAMES, GROUPS_OF_WORD

if TYPE_CHECKING:
    from collections.abc import Sequence

FEATURE_VERSION = 1
BUCKETS = 1 << 16
RANKS = 1 << 17
HEAD, TAIL = 4_000, 2_000
UNKNOWN_RANK = 15

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.,]\d+)*")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffd\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")
# Every repetition is bounded or cannot overlap with what follows: 6,000 line breaks must not cost seconds.
_SENTENCE_END = re.compile(r"[.!?。！？](?=\s|$)|\n[ \t]{0,8}\n")
_OPTION = re.compile(r"^[ \t]{0,12}(?:\(?[A-Ja-j][).:]|[-*•])\s", re.MULTILINE)
_STEP = re.compile(r"^[ \t]{0,12}\(?\d{1,2}[).:]\s|\([a-e]\)|\([ivx]{1,4}\)", re.MULTILINE)
_LATEX = re.compile(r"\\[a-zA-Z]+|\$")
_MATHS = re.compile(r"[=+^<>≤≥≠±×÷√∑∫∏π∞∈∂°%]|(?<=[\w)])\s?[*/]\s?(?=[\w(])")
_CODE = re.compile(
    r"```|[{};]|\w\(|\w\.\w{1,40}\(|[=!<>]=|->|=>|"
    r"^[ \t]{0,40}(?:def|return|class|import|for|while|if|elif|else|assert|try)\b[^\n]{0,160}:[ \t]{0,8}$",
    re.MULTILINE,
)
_LOOP = re.compile(
    r"^[ \t]{0,40}(?:for|while)\b[^\n]{0,160}:[ \t]{0,8}$|\.(?:append|join|split|replace|sort|pop|items)\(",
    re.MULTILINE,
)
_BRACKET = re.compile(r"[()\[\]{}]")
_QUOTED = re.compile(r"[\"“”«»]|(?<!\w)'|'(?!\w)")

_FORM_NAMES = (
    "length",
    "information",
    "words per sentence",
    "sentences",
    "lines",
    "questions",
    "options",
    "numbered parts",
    "numbers",
    "digits",
    "large or decimal numbers",
    "maths notation",
    "LaTeX",
    "code",
    "loops and calls",
    "nesting",
    "quotations",
    "rare words",
    "rarest words",
    "word length",
    "long words",
    "repeated words",
    "names",
    "acronyms and symbols",
    "other scripts",
)
FEATURE_NAMES: tuple[str, ...] = (*_FORM_NAMES, *(f"{name} words" for name in GROUP_NAMES))


class Reading(NamedTuple):
    """A prompt as read: visible text of bounded length, its words as written, and their 32-bit hashes in lower case."""

    length: int
    text: str
    words: list[str]
    hashes: list[int]


def read(prompt: str) -> Reading:
    """Cut, clean and split a prompt; any string will do, lone surrogates and control characters included."""
    text = prompt if len(prompt) <= HEAD + TAIL else f"{prompt[:HEAD]}\n{prompt[-TAIL:]}"
    text = _INVISIBLE.sub("", text)
    words = _WORD.findall(text)
    crc = zlib.crc32
    hashes = [crc(word.lower().encode("utf-8", "surrogatepass")) for word in words]
    return Reading(len(prompt), text, words, hashes)


def structure(reading: Reading, ranks: bytes) -> list[float]:
    """The form of a prompt, one number for each of FEATURE_NAMES; `ranks` are the rarity classes of words by hash."""
    return [*_form(reading, ranks), *_groups(reading.words)]


def terms(reading: Reading) -> dict[int, float]:
    """Buckets of the words and of the pairs of neighbours, each with its damped count; the vector has length 1."""
    counts: dict[int, int] = {}
    mask = BUCKETS - 1
    before = 0
    for value in reading.hashes:
        word = (value ^ (value >> 16)) & mask
        counts[word] = counts.get(word, 0) + 1
        if before:
            pair = ((before * 0x9E3779B1) ^ value) & 0xFFFFFFFF
            pair = (pair ^ (pair >> 15)) & mask
            counts[pair] = counts.get(pair, 0) + 1
        before = value
    damped = {bucket: log1p(count) for bucket, count in counts.items()}
    norm = sum(value * value for value in damped.values()) ** 0.5 or 1.0
    return {bucket: value / norm for bucket, value in damped.items()}


def _form(reading: Reading, ranks: bytes) -> list[float]:
    text, words = reading.text, reading.words
    size, count = len(text) or 1, len(words) or 1
    count_of = text.count
    digits = sum(map(count_of, "0123456789"))
    alphabetic = [word for word in words if not word[0].isdigit()]
    numbers = len(words) - len(alphabetic)
    large = sum(1 for word in words if word[0].isdigit() and len(word) > 2)
    sentences = len(_SENTENCE_END.findall(text)) + 1
    lengths = list(map(len, alphabetic))
    return [
        log1p(reading.length),
        log1p(len(zlib.compress(text.encode("utf-8", "surrogatepass"), 1))),
        log1p(len(words) / sentences),
        log1p(sentences),
        log1p(count_of("\n")),
        log1p(count_of("?")),
        log1p(len(_OPTION.findall(text))),
        log1p(len(_STEP.findall(text))),
        log1p(numbers),
        digits / size,
        log1p(large),
        log1p(len(_MATHS.findall(text))),
        log1p(len(_LATEX.findall(text))),
        log1p(len(_CODE.findall(text))),
        log1p(len(_LOOP.findall(text))),
        _depth(text),
        log1p(len(_QUOTED.findall(text))),
        *_rarity(reading, ranks),
        sum(lengths) / (len(lengths) or 1),
        sum(1 for length in lengths if length >= 9) / count,
        1 - len(set(reading.hashes)) / count if words else 0.0,
        sum(1 for word in alphabetic if word[0].isupper() and word[1:].islower()) / count,
        sum(1 for word in alphabetic if word.isupper()) / count,
        0.0 if text.isascii() else sum(1 for char in text if char > "\u024f") / size,
    ]


def _groups(words: Sequence[str]) -> list[float]:
    counts = [0] * len(GROUP_NAMES)
    groups_of = GROUPS_OF_WORD.get
    for word in words:
        for group in groups_of(word.lower(), ()):
            counts[group] += 1
    return [log1p(count) for count in counts]


def _rarity(reading: Reading, ranks: bytes) -> tuple[float, float]:
    """Mean rarity class of the words, and that of the rarest tenth; numbers do not count."""
    mask = RANKS - 1
    found = sorted(
        [
            ranks[value & mask]
            for word, value in zip(reading.words, reading.hashes, strict=True)
            if not word[0].isdigit()
        ],
        reverse=True,
    )
    if not found:
        return 0.0, 0.0
    top = found[: len(found) // 10 + 1]
    return sum(found) / len(found), sum(top) / len(top)


def _depth(text: str) -> float:
    deepest = depth = 0
    for bracket in _BRACKET.findall(text):
        depth = depth + 1 if bracket in "([{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return log1p(deepest)
