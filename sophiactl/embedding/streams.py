"""Runs of blocks that may share a passage, and a place in them; pure."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sophiactl.embedding.base import Block, Document

Span = tuple[int, int]


class Stream(NamedTuple):
    """Blocks of a page, a row or a whole text, their joined text, and where in it each begins (and the last ends)."""

    blocks: Sequence[Block]
    text: str
    offsets: Sequence[int]

    def block_at(self, offset: int) -> int:
        """Number of the block that holds this place of the text."""
        return bisect_right(self.offsets, offset, hi=len(self.blocks)) - 1


def streams_of(document: Document) -> Iterator[Stream]:
    """The streams of a document: a passage never spans two pages or two rows."""
    held: list[Block] = []
    for block in document.blocks:
        if held and (held[-1].page != block.page or block.kind == "row"):
            yield _stream(held)
            held = []
        held.append(block)
    if held:
        yield _stream(held)


def _stream(blocks: Sequence[Block]) -> Stream:
    offsets = [0]
    for block in blocks:
        offsets.append(offsets[-1] + len(block.text))
    return Stream(tuple(blocks), "".join(block.text for block in blocks), offsets)


def shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many headings two paths have in common, from the outermost on."""
    depth = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        depth += 1
    return depth
