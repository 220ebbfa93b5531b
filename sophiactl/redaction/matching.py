"""Finds many words in a text at once, also in one of which only a part has come yet."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from sophiactl.redaction.forms import SCRAP, Books
from sophiactl.redaction.reading import Places, levels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sophiactl.redaction.forms import Book
    from sophiactl.redaction.reading import Layer, Level

GAP = 64
"""Most signs that do not count between two that belong together: a line's end, indentation, a table's border."""

Span = tuple[int, int]
_END = b"\0"
_AFTER = sys.maxsize
# Where a hit begins depends on what stands right before it.
_CONTEXT = 1024
_TAIL = 1024
_KEY = 8
_BLANKS = frozenset(b" \t\r\n")
_INDEXED = 1 << 20


class Scan(NamedTuple):
    """What a text holds. Spans are sorted and do not touch each other.

    From `open_from` on it may still change with what follows; `keep_from` is what has to be seen again then.
    """

    spans: list[Span]
    open_from: int
    keep_from: int
    levels: list[Level]

    def cut(self, written: int) -> int:
        """Where the text may be cut off, if all before `written` is done with: never inside an escape."""
        at = min(self.keep_from, max(0, written - _CONTEXT))
        for level in reversed(self.levels):
            at = level.whole_escape(at)
        return at


class Matcher:
    """All words of a set of values. Immutable, so that threads may share it."""

    def __init__(self, values: Iterable[str], minimum: int) -> None:
        values = list(values)
        books = Books(values, minimum)
        self._searches = [_Search(book) for book in books.by_layer.values() if book.words]
        self.literal = _END.join(value.encode("utf-8", "surrogatepass") for value in values)

    def spans(self, text: bytes) -> list[Span]:
        """Where secrets stand in a text that is whole."""
        if not self._searches:
            return []
        found = [hits for level, _ in levels(text) for search in self._searches if (hits := search.hits(level))]
        return merged([_whole_signs(text, span) for hits in found for span in hits.spans])

    def scan(self, text: bytes) -> Scan:
        """Where secrets stand in a text that goes on."""
        found: list[Span] = []
        open_from = keep_from = _last_sign(text)
        every: list[Level] = []
        for level, end in levels(text, whole=False) if self._searches else ():
            every.append(level)
            if (sure := _last_sign(level.text[:end])) < len(level.text):
                open_from = min(open_from, level.origin(sure)[0])
            for search in self._searches:
                if hits := search.hits(level):
                    found += hits.spans
                    keep_from = min(keep_from, hits.keep_from)
                for until in {end, len(level.text)}:
                    begin, keep = search.pending(level, until)
                    open_from, keep_from = min(open_from, begin), min(keep_from, keep)
        open_from = _sign_at(text, open_from)[0] if open_from < len(text) else open_from
        return Scan(merged([_whole_signs(text, span) for span in found]), open_from, keep_from, every)


class _Hits(NamedTuple):
    """Spans of the original text, and from where on it has to be seen again since a hit at its end may grow."""

    spans: list[Span]
    keep_from: int


class _Search:
    """Looks for the words of one layer."""

    def __init__(self, book: Book) -> None:
        from ahocorasick_rs import BytesAhoCorasick

        self._layer: Layer = book.layer
        words = list(book.words)
        self._owners = list(book.words.values())
        self._forms = book.forms
        self._reach = max(map(len, words))
        self._machine = BytesAhoCorasick(words)
        self._texts = book.texts or words
        self._beginnings: _Beginnings | None = None

    def hits(self, level: Level) -> _Hits | None:
        """Where words stand in a text, grown along the forms that they are part of."""
        text = self._layer.of(level.text)
        found = self._machine.find_matches_as_indexes(text, overlapping=True)
        if not found:
            return None
        places = Places(self._layer, level.text)
        spans, alive = self._grown(text, found, [])
        # Where the signs of a span stand far apart, it is looked for again between walls, which take time to find.
        if any(places[high - 1] - places[low] - (high - 1 - low) > GAP for low, high in spans):
            spans, alive = self._grown(text, found, places.walls(GAP))
        origins = []
        for low, high in spans:
            low = _after_scrap(level.text, [places[at] for at in range(low, min(high, low + SCRAP + 1))], low)  # noqa: PLW2901
            first, last = _whole_signs(level.text, (places[low], places[high - 1] + 1))
            origins.append((level.origin(first)[0], level.origin(last - 1)[1]))
        return _Hits(origins, level.origin(places[alive])[0] if alive < len(text) else _AFTER)

    def pending(self, level: Level, until: int) -> Span:
        """Where that begins which may become a hit with what follows, and the last that has to be seen again."""
        if self._beginnings is None:
            self._beginnings = _Beginnings(self._texts)
        start = max(0, until - _TAIL)
        text = self._layer.of(level.text[start:until])
        count = self._beginnings.longest(text)
        if count == len(text) and start:
            start = 0
            count = self._beginnings.longest(self._layer.of(level.text[:until]))
        if not count:
            return _AFTER, _AFTER
        places = self._layer.kept(level.text, start, until)
        first, after = len(places) - count, until
        if until - places[first] - count > GAP:
            for index in range(len(places) - 1, first - 1, -1):
                if after - places[index] - 1 > GAP:
                    first = index + 1
                    break
                after = places[index]
        if first == len(places):
            return _AFTER, _AFTER
        keep = level.origin(places[max(first, len(places) - self._reach)])[0]
        begin = _after_scrap(level.text, [*places[first : first + SCRAP + 1], until][: SCRAP + 1], first)
        return (level.origin(places[begin])[0] if begin < len(places) else _AFTER), keep

    def _grown(self, text: bytes, found: list[tuple[int, int, int]], walls: list[int]) -> tuple[list[Span], int]:
        """Spans of the reduced text, and the first word at its end that may grow further."""
        spans: list[Span] = []
        known: dict[tuple[int, int], Span] = {}
        alive = len(text)
        walls = [0, *walls, len(text)]
        low, high = walls[0], walls[-1]
        first = last = 0
        for number, start, end in found:
            if len(walls) > 2:
                at = bisect_right(walls, start)
                low, high = walls[at - 1], walls[at]
                if end > high:
                    continue
            if start < last:
                first, last = min(first, start), end
            else:
                spans.append((first, last))
                first, last = start, end
            for form, offset in self._owners[number]:
                line = form, start - offset
                reached = known.get(line, (0, 0))[1]
                if reached < end:
                    whole = self._forms[form]
                    reached = end + _same_after(text, end, high, whole, offset + end - start)
                    spans.append((start - _same_before(text, start, low, whole, offset), reached))
                known[line] = start, reached
            if end == len(text):
                alive = min(alive, start)
        # Those that only touch stay apart: what stands between them is part of neither.
        spans = merged([*spans[1:], (first, last)], touching=1) if last else []
        return spans, min(alive, *(start for start, reached in known.values() if reached == len(text)), alive)


def _after_scrap(text: bytes, places: list[int], first: int) -> int:
    """The first sign of a hit that counts: a few letters before a blank are the end of something else.

    Else every line and every question would have to wait until it is known what follows it.
    """
    for at in range(1, len(places)):
        if not _BLANKS.isdisjoint(text[places[at - 1] + 1 : places[at]]):
            return first + at
    return first


class _Beginnings:
    """Texts, to look up how much of another's end is found in them."""

    def __init__(self, texts: Iterable[bytes]) -> None:
        # A form's last sign begins nothing.
        self._text = _END.join(text[:-1] for text in texts)
        # All that follows eight signs long, sorted: most ends are found nowhere, and this tells it without a search.
        keys: set[int] = set()
        if len(self._text) <= _INDEXED:
            padded = self._text + bytes(2 * _KEY)
            for start in range(_KEY):
                part = array("Q", padded[start : start + len(self._text) // _KEY * _KEY + _KEY])
                if sys.byteorder == "little":
                    part.byteswap()
                keys.update(part)
        self._keys = array("Q", sorted(keys))

    def longest(self, text: bytes) -> int:
        """How much of the end of `text` stands somewhere in these."""
        low, high = 0, 1
        if self._keys:
            while low < min(_KEY, len(text)) and self._has(text[-low - 1 :]):
                low += 1
            if low < _KEY:
                return low
            high = 2 * _KEY
        while high <= len(text) and text[-high:] in self._text:
            low, high = high, high * 2
        high = min(high, len(text) + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if text[-middle:] in self._text else (low, middle)
        return low

    def _has(self, piece: bytes) -> bool:
        wanted = int.from_bytes(piece, "big")
        unused = 8 * (_KEY - len(piece))
        at = bisect_left(self._keys, wanted << unused)
        return at < len(self._keys) and self._keys[at] >> unused == wanted


def _same_after(text: bytes, at: int, end: int, form: bytes, offset: int) -> int:
    count, most, step = 0, min(end - at, len(form) - offset), 64
    while count + step <= most and text[at + count : at + count + step] == form[offset + count : offset + count + step]:
        count += step
    while count < most and text[at + count] == form[offset + count]:
        count += 1
    return count


def _same_before(text: bytes, at: int, start: int, form: bytes, offset: int) -> int:
    count, most = 0, min(at - start, offset)
    while count < most and text[at - count - 1] == form[offset - count - 1]:
        count += 1
    return count


def merged(spans: list[Span], touching: int = 0) -> list[Span]:
    """Spans in their order, those that overlap, by `touching` at least, as one."""
    spans.sort()
    result: list[Span] = []
    for start, end in spans:
        if result and start + touching <= result[-1][1]:
            result[-1] = result[-1][0], max(end, result[-1][1])
        else:
            result.append((start, end))
    return result


def _sign_at(text: bytes, index: int) -> Span:
    """The UTF-8 sequence that a byte is part of, as far as it is there; the byte alone where it is of none."""
    start = index
    while start > max(0, index - 3) and 0x80 <= text[start] < 0xC0:
        start -= 1
    size = 4 if text[start] >= 0xF0 else 3 if text[start] >= 0xE0 else 2 if text[start] >= 0xC0 else 1
    if start + size <= index:
        return index, index + 1
    end = start + 1
    while end < min(start + size, len(text)) and 0x80 <= text[end] < 0xC0:
        end += 1
    return start, max(end, index + 1)


def _whole_signs(text: bytes, span: Span) -> Span:
    start, end = span
    start = start if text[start] < 0x80 else _sign_at(text, start)[0]
    return start, end if text[end - 1] < 0x80 else _sign_at(text, end - 1)[1]


def _last_sign(text: bytes) -> int:
    """Where the last sign begins if some of its bytes are still to come; else the text's length."""
    if not text or text[-1] < 0x80:
        return len(text)
    start, _ = _sign_at(text, len(text) - 1)
    size = 4 if text[start] >= 0xF0 else 3 if text[start] >= 0xE0 else 2 if text[start] >= 0xC0 else 1
    return start if len(text) - start < size else len(text)
