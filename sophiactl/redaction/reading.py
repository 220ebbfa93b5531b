"""Texts reduced to the signs that count, with the way back to where those stand.

Quoting, wrapping and indenting put signs into a secret that are neither letters nor digits, so those are left out of
both sides before they are compared (`ALNUM`). A value of which little would remain is compared with its punctuation
(`MARKS`: only blanks, quotes and backslashes are left out), and one that is all quotes as it is (`EXACT`). All this is
done with the text as it is, and again with percent signs, backslash escapes, HTML entities and colour codes undone, as
deep as they are nested.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Sequence

DEEPEST = 3
_BLOCK = 512
_BYTES = bytes(range(256))


class Layer:
    """One way to reduce a text."""

    def __init__(self, drop: bytes, fold: bytes | None = None) -> None:
        self._drop = drop
        self._counts = bytes(sign not in drop for sign in _BYTES)
        self._fold = fold

    def of(self, text: bytes) -> bytes:
        """What of the text counts."""
        return text.translate(self._fold, self._drop)

    def flags(self, text: bytes) -> bytes:
        """For every sign of the text a 1 if it counts, or a 0."""
        return text.translate(self._counts)

    def kept(self, text: bytes, start: int, end: int) -> list[int]:
        """Positions of all signs that count, from `start` to `end`."""
        return list(compress(range(start, end), self.flags(text[start:end])))

    def gaps(self, text: bytes, most: int) -> Iterator[re.Match[bytes]]:
        """Stretches of more than `most` signs that do not count."""
        if self._drop and len(text) > most:
            signs = b"".join(b"\\x%02x" % sign for sign in self._drop)
            yield from _pattern(b"[%s]{%d,}" % (signs, most + 1)).finditer(text)


# Of non-ASCII signs (in UTF-8) most bytes count, but not those of borders of tables and of signs without width.
_ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + _BYTES[0x80:])
_BORDERS = b"\xe2\x80\x82\x83\x8b\x94\x95"
ALNUM = Layer(bytes(sign for sign in _BYTES if sign not in _ALNUM) + _BORDERS, _BYTES.lower())
MARKS = Layer(b"\\'\"\0 \t\r\n")
EXACT = Layer(b"")
LAYERS = (ALNUM, MARKS, EXACT)


class Places:
    """Positions of a reduced text's signs in the text, worked out around those that are asked for."""

    def __init__(self, layer: Layer, text: bytes) -> None:
        self._layer = layer
        self._text = text
        self._blocks: dict[int, list[int]] = {}
        self._ends: list[int] = []
        total = 0
        for start in range(0, len(text), _BLOCK):
            total += len(layer.of(text[start : start + _BLOCK]))
            self._ends.append(total)

    def __getitem__(self, index: int) -> int:
        block = bisect_right(self._ends, index)
        kept = self._blocks.get(block)
        if kept is None:
            start = block * _BLOCK
            kept = self._blocks[block] = self._layer.kept(self._text, start, min(start + _BLOCK, len(self._text)))
        return kept[index - (self._ends[block - 1] if block else 0)]

    def walls(self, most: int) -> list[int]:
        """The signs that stand more than `most` behind the one before."""
        return [self._count(gap.end()) for gap in self._layer.gaps(self._text, most)]

    def _count(self, end: int) -> int:
        """How many signs that count stand before `end`."""
        block = end // _BLOCK
        return (self._ends[block - 1] if block else 0) + len(self._layer.of(self._text[block * _BLOCK : end]))


class Level:
    """A text with some of its escapes undone; the text itself has no parent.

    `undone` has the escapes: where each stood in the parent, and how many bytes stand for it here.
    """

    def __init__(self, text: bytes, parent: Level | None = None, undone: Sequence[tuple[int, int, int]] = ()) -> None:
        self.text = text
        self.parent = parent
        self._undone = undone
        self._starts: list[int] = []

    def origin(self, index: int) -> tuple[int, int]:
        """The bytes of the original text that one byte here comes from."""
        if self.parent is None:
            return index, index + 1
        if not self._starts:
            grown = 0
            for start, end, size in self._undone:
                self._starts.append(start + grown)
                grown += size - (end - start)
        at = bisect_right(self._starts, index) - 1
        first, last = index, index + 1
        if at >= 0:
            start, end, size = self._undone[at]
            behind = index - self._starts[at] - size
            first, last = (start, end) if behind < 0 else (end + behind, end + behind + 1)
        return self.parent.origin(first)[0], self.parent.origin(last - 1)[1]

    def whole_escape(self, cut: int) -> int:
        """A position of the original text, moved to the start of the escape that it stands in."""
        if self.parent is None:
            return cut
        for first, last, _ in reversed(self._undone):
            start, end = self.parent.origin(first)[0], self.parent.origin(last - 1)[1]
            if end <= cut:
                break
            cut = min(cut, start)
        return cut


def levels(text: bytes, *, whole: bool = True) -> Iterator[tuple[Level, int]]:
    """The text, and the text with escapes undone as long as there are any; and how much of each is certain.

    In a text that is not `whole` an escape at its end may go on. Each kind of escape has its turn, since what is one to
    one program is text to the next.
    """
    level, refused = Level(text), 0
    for turn in range(DEEPEST * len(_KINDS)):
        if refused == 0:
            end = len(level.text) if whole else partial_escape(level.text)
            yield level, end
        deeper = unescaped(level, end, *_KINDS[turn % len(_KINDS)])
        level, refused = (level, refused + 1) if deeper is None else (deeper, 0)
        if refused == len(_KINDS):
            return


def unescaped(level: Level, end: int, marks: tuple[bytes, ...], escapes: bytes) -> Level | None:
    """The next deeper level, of the text until `end`, with escapes of one kind undone; None where there are none."""
    if not any(mark in level.text for mark in marks):
        return None
    undone: list[tuple[int, int, int]] = []

    def undo(found: re.Match[bytes]) -> bytes:
        sign = _decoded(found)
        if sign is None:
            return found[0]
        undone.append((*found.span(), len(sign)))
        return sign

    text = _pattern(escapes).sub(undo, level.text[:end])
    return Level(text, level, undone) if undone else None


def partial_escape(text: bytes) -> int:
    """Where an escape begins that may go on behind the end of the text; the text's length where there is none."""
    tail = text[-_LONGEST:]
    if not (b"%" in tail or b"\\" in tail or b"&" in tail or b"\x1b" in tail):
        return len(text)
    found = _pattern(_PARTIAL).search(tail)
    return len(text) if found is None else len(text) - len(tail) + found.start()


_LONGEST = 40
_LETTERS = dict(zip(b"abfnrtve0", b"\a\b\f\n\r\t\v\x1b\0", strict=True))
_compiled: dict[bytes, re.Pattern[bytes]] = {}
_signs: dict[bytes, bytes | None] = {}


def _pattern(text: bytes) -> re.Pattern[bytes]:
    """A regular expression, in which HH is a byte, HHHH half a word, and DHHH a surrogate, in hexadecimal digits."""
    if text not in _compiled:
        import re

        _compiled[text] = re.compile(text.replace(b"D", b"[dD]").replace(b"H", b"[0-9a-fA-F]"))
    return _compiled[text]


# Colours; URLs and pages; programs.
_KINDS: tuple[tuple[tuple[bytes, ...], bytes], ...] = (
    ((b"\x1b",), rb"\x1b\[[0-9;?]*[A-Za-z]"),
    (
        (b"%", b"&"),
        rb"""(?x)
          % (?: (?P<byte>HH) | u (?P<hex>HHHH) )
        | & (?: \# (?P<number>[0-9]{1,7}) | \#[xX] (?P<code>H{1,6}) | (?P<name>[a-zA-Z][a-zA-Z0-9]{1,31}) ) ;
        """,
    ),
    (
        (b"\\",),
        rb"""(?x)
        \\ (?: u (?P<pair>D[89ABab]HH \\{1,8}u D[C-Fc-f]HH) | u (?P<hex>HHHH) | U (?P<long>HHHHHHHH)
          | u\{ (?P<code>H{1,6}) \} | x (?P<byte>HH) | (?P<octal>[0-3][0-7][0-7]) | (?P<letter>[abfnrtve0]) )
        """,
    ),
)


_PARTIAL = rb"""(?x)
    (?: % (?: H | u H{0,3} )?
      | \\ (?: u D[89ABab]HH (?: \\{1,8} (?: u H{0,3} )? )? | u H{0,3} | U H{0,7} | u\{ H{0,6} | x H? | [0-3][0-7]? )?
      | & (?: \# [0-9xX]? H{0,7} | [a-zA-Z][a-zA-Z0-9]{0,31} )?
      | \x1b (?: \[ [0-9;?]{0,16} )?
    ) \Z
"""


def _decoded(found: re.Match[bytes]) -> bytes | None:
    """The bytes that an escape stands for; None for what only looks like one."""
    escape = found[0]
    try:
        return _signs[escape]
    except KeyError:
        pass
    if len(_signs) > 4096:
        _signs.clear()
    sign = _signs[escape] = _meaning(found)
    return sign


def _meaning(found: re.Match[bytes]) -> bytes | None:
    kind = found.lastgroup
    if kind is None:
        return b""  # a colour
    text = found[kind]
    if kind == "byte":
        return bytes((int(text, 16),))
    if kind == "octal":
        return bytes((int(text, 8),))
    if kind == "letter":
        return bytes((_LETTERS[text[0]],))
    if kind == "name":
        return _named(text)
    if kind == "pair":
        return _sign(0x10000 + ((int(text[:4], 16) - 0xD800) << 10) + int(text[-4:], 16) - 0xDC00)
    return _sign(int(text, 10 if kind == "number" else 16))


def _sign(number: int) -> bytes | None:
    return chr(number).encode("utf-8", "surrogatepass") if number < 0x110000 else None


def _named(name: bytes) -> bytes | None:
    from html.entities import html5

    sign = html5.get(name.decode() + ";")
    return None if sign is None else sign.encode()
