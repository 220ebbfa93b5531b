"""Line ranges that a reader found, made into blocks that follow one another without a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sophiactl.embedding.base import Block
from sophiactl.textspans import count_breaks, line_starts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class LineRange(NamedTuple):
    """Lines `first` up to but not including `last`, counted from 0, and what they are."""

    first: int
    last: int
    kind: str = "paragraph"
    heading: tuple[str, ...] = ()


class Lines:
    """A text and the offsets of its lines."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = line_starts(text)
        self._ends = [*self.starts[1:], len(text)]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> str:
        return self.text[self.starts[number] : self._ends[number]]

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))

    def end(self, number: int) -> int:
        """Offset after line `number`, its line end included."""
        return self._ends[number]


def blocks_of(lines: Lines, ranges: Iterable[LineRange]) -> tuple[Block, ...]:
    """Blocks of these ranges, which are in order.

    Each block runs up to the next one, blank lines between them included, so that blocks joined give the text itself.
    Lines that no range covers but that hold something become paragraphs of the heading before them: nothing is lost.
    """
    filled = list(_fill(lines, ranges))
    ends = (*(lines.starts[after.first] for after in filled[1:]), len(lines.text))
    return tuple(_block(lines, found, end) for found, end in zip(filled, ends, strict=False))


def _fill(lines: Lines, ranges: Iterable[LineRange]) -> Iterator[LineRange]:
    done = 0
    heading: tuple[str, ...] = ()
    for found in ranges:
        first = max(found.first, done)
        if found.last <= first:
            continue
        yield from _uncovered(lines, done, first, heading)
        if not _blank(lines, first, found.last):
            yield found._replace(first=first)
        done, heading = found.last, found.heading
    yield from _uncovered(lines, done, len(lines), heading)


def _uncovered(lines: Lines, first: int, last: int, heading: tuple[str, ...]) -> Iterator[LineRange]:
    while first < last and not lines[first].strip():
        first += 1
    if first < last:
        yield LineRange(first, last, "paragraph", heading)


def _blank(lines: Lines, first: int, last: int) -> bool:
    return not lines.text[lines.starts[first] : lines.end(min(last, len(lines)) - 1)].strip()


def _block(lines: Lines, found: LineRange, end: int) -> Block:
    start = lines.starts[found.first]
    text = lines.text[start:end]
    line = found.first + 1
    return Block(
        text=text,
        start=start,
        end=end,
        line=line,
        end_line=line + count_breaks(text.rstrip()),
        heading=found.heading,
        kind=found.kind,
    )
