"""Lines and sentences of a text as offset spans; pure, shared by chunking and answering."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Span = tuple[int, int]

LINE_BREAK = re.compile(r"\r\n|\r|\n")

# A run of full stops or marks with closing quotes before white space; CJK stops need none after them.
_STOP = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_`]*+(?=\s)|[。！？｡]+[」』”’）)]*")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘]*$")
_OPENING = " \t\r\n\"'“‘«([*_`"
_FENCE = re.compile(r"\s*(?:```|~~~)")
_NEW_ITEM = re.compile(
    r"\s*(?:[-*+•–]\s|\d{1,3}[.)]\s|[#>|]|\[|"  # list item, heading, quote, table row, bracketed stamp
    r"\d{4}-\d\d-\d\d|\d{1,2}:\d\d|"  # a date or a time
    r"[^\W\d_][\w .'-]{0,30}:\s)"  # a label or speaker
)
_NUMBERED = re.compile(r"\s*\d{1,3}\.$")
_NARROW = 40

_TITLES_AND_SUCH = (
    "mr mrs ms dr prof st rev hon gen col sgt capt fig figs eq no nos vol vs e.g i.e cf ca al approx resp ed eds "
    "pp p sec ch dept est ext bzw z.b d.h nr"
)
_NEVER_LAST = frozenset(_TITLES_AND_SUCH.split())
_UNITS_AND_SUCH = "etc inc ltd co corp jr sr a.m p.m u.s u.k ph.d b.sc m.sc jan feb apr aug sept oct nov dec"
_MAYBE_LAST = frozenset(_UNITS_AND_SUCH.split())


def line_starts(text: str) -> list[int]:
    r"""Offset at which each line starts, the first being 0; `\n`, `\r\n` and `\r` end a line and nothing else does."""
    return [0, *(found.end() for found in LINE_BREAK.finditer(text))]


def line_at(starts: list[int], offset: int) -> int:
    """Number of the line, from 1, that holds `offset`; `starts` as `line_starts` gives them."""
    return bisect_right(starts, offset)


def count_breaks(text: str) -> int:
    """How many line ends a text holds."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def sentences(text: str) -> list[Span]:
    """Spans of the sentences of a text: in order, disjoint, without white space at their ends, covering all else.

    List items, headings, table rows and lines of fenced code stand for themselves; a wrapped line goes on.
    """
    cuts = sorted({*_line_cuts(text), *_stop_cuts(text), len(text)})
    spans = []
    start = 0
    for cut in cuts:
        piece = text[start:cut]
        body = piece.strip()
        if body:
            first = start + len(piece) - len(piece.lstrip())
            spans.append((first, first + len(body)))
        start = cut
    return spans


def _stop_cuts(text: str) -> Iterator[int]:
    for found in _STOP.finditer(text):
        if text[found.start()] in "。！？｡" or _ends_sentence(text, found):
            yield found.end()


def _ends_sentence(text: str, found: re.Match[str]) -> bool:
    follows = _next_letter(text, found.end())
    if follows.islower():
        return False
    if not found.group().startswith(".") or found.group().startswith(".."):
        return True
    word = _word_before(text, found.start())
    if word in _NEVER_LAST:
        # "No." ends an answer, "No. 5" counts.
        return word in {"no", "nos"} and not follows.isdigit()
    if word in _MAYBE_LAST:
        return follows.isupper()
    if len(word) == 1 and word.isalpha():
        return False
    return not _numbers_item(text, found.start())


def _next_letter(text: str, at: int) -> str:
    while at < len(text) and text[at] in _OPENING:
        at += 1
    return text[at : at + 1]


def _word_before(text: str, at: int) -> str:
    found = _LAST_WORD.search(text[max(0, at - 24) : at])
    return found.group().lower() if found else ""


def _numbers_item(text: str, at: int) -> bool:
    start = max(text.rfind("\n", max(0, at - 12), at), text.rfind("\r", max(0, at - 12), at)) + 1
    return at - start < 12 and _NUMBERED.fullmatch(text, start, at + 1) is not None


def _line_cuts(text: str) -> Iterator[int]:
    """Starts of the lines that begin something new, rather than going on with what was wrapped."""
    starts = line_starts(text)
    lines = [text[a:b].rstrip() for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    widths = _paragraph_widths(lines)
    fenced = False
    for number, (line, after) in enumerate(pairwise(lines)):
        if _FENCE.match(line):
            fenced = not fenced
        if fenced or not _goes_on(line, after, widths[number]):
            yield starts[number + 1]


def _goes_on(line: str, after: str, width: int) -> bool:
    if not line or not after or line.lstrip()[:1] in {"#", "|"} or _NEW_ITEM.match(after) or _FENCE.match(after):
        return False
    words = after.split(None, 1)
    if words[0][0].islower():
        return not line.endswith(":")
    # The wrapped line was full: the next word had no room on it.
    return width >= _NARROW and len(line) + 1 + len(words[0]) > width


def _paragraph_widths(lines: list[str]) -> list[int]:
    widths = [0] * len(lines)
    start = 0
    for number in range(len(lines) + 1):
        if number == len(lines) or not lines[number]:
            widest = max((len(line) for line in lines[start:number]), default=0)
            widths[start:number] = [widest] * (number - start)
            start = number + 1
    return widths
