"""Text as it stands on a page to paragraphs: wrapped lines joined, words put together over a hyphen; pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sophiactl.textspans import LINE_BREAK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# PDFium puts one of these in place of a hyphen at a line's end, and drops the line end.
_MARK = "\ufffe"
_MARKS = re.compile(r"[\x02\ufffe\u00ad](?:\r\n|\r|\n)?")
_BROKEN_WORD = re.compile(r"([^\W\d_]+)[-\u2010](?:\r\n|\r|\n)[ \t]*(?=[^\W_])")
_JOINT = re.compile(rf"([^\W_]*){_MARK}([^\W_]*)")
_WORD = re.compile(r"[^\W_]+(?:[-\u2010][^\W_]+)*")
_ITEM = re.compile(r"\s*(?:[-*•‣▪–]\s|\(?\d{1,3}[.)]\s|\(?[a-z]\)\s)")
_ENDS = (".", "!", "?", ":", "。", "！", "？", '."', ".”", ".)")
_NARROW = 40
_FULL = 0.85


class Vocabulary:
    """The words of a document: they tell a hyphen that belongs to a word from one that only broke the line."""

    def __init__(self, pages: Iterable[str]) -> None:
        self._words: set[str] = set()
        for page in pages:
            self._words.update(found.group().lower() for found in _WORD.finditer(page))

    def join(self, left: str, right: str) -> str:
        """Two parts of a word that stood on two lines."""
        if (left + right).lower() in self._words:
            return left + right
        if f"{left}-{right}".lower() in self._words or not (left[-1:].islower() and right[:1].islower()):
            return f"{left}-{right}"
        return left + right


def paragraphs(text: str, vocabulary: Vocabulary) -> Iterator[str]:
    """Paragraphs of a page's text, each on one line."""
    text = _BROKEN_WORD.sub(rf"\1{_MARK}", _MARKS.sub(_MARK, text.replace("\0", "")))
    lines = [" ".join(line.split()) for line in LINE_BREAK.split(text)]
    width = max((len(line) for line in lines), default=0)
    held: list[str] = []
    for line in lines:
        if held and not (line and _goes_on(held[-1], line, width)):
            yield _joined(held, vocabulary)
            held = []
        if line:
            held.append(line)
    if held:
        yield _joined(held, vocabulary)


def _joined(lines: list[str], vocabulary: Vocabulary) -> str:
    return _JOINT.sub(lambda found: vocabulary.join(found.group(1), found.group(2)), " ".join(lines))


def _goes_on(line: str, after: str, width: int) -> bool:
    if _ITEM.match(after):
        return False
    word = after.split(None, 1)[0]
    if word[0].islower():
        return not line.endswith(":")
    full = len(line) + 1 + len(word) > width * _FULL
    return full and width >= _NARROW and not (line.endswith(_ENDS) and len(line) < width * _FULL)
