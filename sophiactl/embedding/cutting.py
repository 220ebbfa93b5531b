"""Blocks cut into pieces that fit the token budget, at sentences, lines, words; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.embedding.packing import Piece, pack
from sophiactl.embedding.streams import shared
from sophiactl.textspans import line_starts, sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sophiactl.embedding.base import Block, TokenCounter
    from sophiactl.embedding.streams import Span, Stream

# Cost of a cut: inside a sentence, a line, a block; between items that belong together; after a heading.
_CUT_SENTENCE, _CUT_LINE, _CUT_WORD, _CUT_ITEM, _CUT_HEADING = 0.5, 0.6, 1.5, 0.25, 10.0
# Cost of one passage over two sections, by the depth of the heading between them.
_CROSS = {1: 4.0, 2: 1.2}
_CROSS_DEEPER = 0.4
_GRAIN = 12
_LINEWISE = frozenset({"code", "table", "line", "front_matter"})


def pack_all(streams: Sequence[Stream], count: TokenCounter, budget: int) -> list[list[Span]]:
    """Spans of each stream that make passages of at most `budget` tokens."""
    texts = [block.text for stream in streams for block in stream.blocks]
    counts = iter(count(texts))
    whole = [_block_pieces(stream, [next(counts) for _ in stream.blocks]) for stream in streams]
    limits = [_limits(pieces, budget) for pieces in whole]
    refined = [_coarsened(pieces, budget // _GRAIN) for pieces in _refine(streams, whole, limits, count)]
    return [[(pieces[first].start, pieces[last - 1].end) for first, last in pack(pieces, budget)] for pieces in refined]


def _block_pieces(stream: Stream, counts: Sequence[int]) -> list[Piece]:
    pieces = []
    for number, (block, tokens) in enumerate(zip(stream.blocks, counts, strict=True)):
        after = stream.blocks[number + 1] if number + 1 < len(stream.blocks) else None
        before = stream.blocks[number - 1] if number else None
        start, end = stream.offsets[number], stream.offsets[number + 1]
        heading = block.kind == "heading"
        pieces.append(Piece(start, end, tokens, _cut_after(block, after), _cross(before, block), heading))
    return pieces


def _cut_after(block: Block, after: Block | None) -> float:
    if block.kind == "heading":
        return _CUT_HEADING
    together = after is not None and after.kind == block.kind and block.kind in {"list", "table", "line"}
    return _CUT_ITEM if together else 0.0


def _cross(before: Block | None, block: Block) -> float:
    """A passage may hold a heading and what is under it, not readily what stands before a heading."""
    if before is None or before.heading == block.heading or before.kind == "heading":
        return 0.0
    return _CROSS.get(shared(before.heading, block.heading) + 1, _CROSS_DEEPER)


def _limits(pieces: Sequence[Piece], budget: int) -> list[int]:
    """How large each piece may be so that the headings above it (or, at the very end, below it) fit with it."""
    limits = []
    above = 0
    for piece in pieces:
        limits.append(budget if piece.heading else max(budget - above, budget // 2, 1))
        above = above + piece.tokens if piece.heading else 0
    last = next((number for number in range(len(pieces) - 1, -1, -1) if not pieces[number].heading), None)
    if last is not None:
        below = sum(piece.tokens for piece in pieces[last + 1 :])
        limits[last] = max(limits[last] - below, budget // 2, 1)
    return limits


def _refine(
    streams: Sequence[Stream], whole: Sequence[list[Piece]], limits: Sequence[list[int]], count: TokenCounter
) -> list[list[Piece]]:
    """Cut what is too large, level by level; every level counts all its new pieces in one call."""
    entries = [list(zip(pieces, allowed, strict=True)) for pieces, allowed in zip(whole, limits, strict=True)]
    levels: list[tuple[Callable[[Stream, Piece], list[int]], float]] = [
        (_at_sentences, _CUT_SENTENCE),
        (_at_lines, _CUT_LINE),
    ]
    while any(_divisible(piece, limit) for stream in entries for piece, limit in stream):
        cutter, cost = levels.pop(0) if levels else (in_half, _CUT_WORD)
        cuts = [
            [cutter(stream, piece) if _divisible(piece, limit) else [] for piece, limit in held]
            for stream, held in zip(streams, entries, strict=True)
        ]
        entries = _recut(streams, entries, cuts, cost, count)
    return [[piece for piece, _ in stream] for stream in entries]


def _coarsened(pieces: Sequence[Piece], least: int) -> list[Piece]:
    """Join neighbours of a few tokens in one section: packing takes time by the number of pieces in a passage."""
    coarse: list[Piece] = []
    for piece in pieces:
        before = coarse[-1] if coarse else None
        tokens = piece.tokens + before.tokens if before else 0
        if before and before.cut < _CUT_HEADING and not (piece.cross or piece.heading) and tokens <= least:
            coarse[-1] = before._replace(end=piece.end, tokens=tokens, cut=piece.cut)
        else:
            coarse.append(piece)
    return coarse


def _divisible(piece: Piece, limit: int) -> bool:
    return piece.tokens > limit and piece.end - piece.start > 1


def _recut(
    streams: Sequence[Stream],
    entries: Sequence[list[tuple[Piece, int]]],
    cuts: Sequence[list[list[int]]],
    cost: float,
    count: TokenCounter,
) -> list[list[tuple[Piece, int]]]:
    spans = [
        stream.text[start:end]
        for stream, held, marks in zip(streams, entries, cuts, strict=True)
        for (piece, _), inner in zip(held, marks, strict=True)
        for start, end in _between(piece, inner)
    ]
    counts = iter(count(spans))
    return [
        [new for entry, inner in zip(held, marks, strict=True) for new in _children(entry, inner, cost, counts)]
        for held, marks in zip(entries, cuts, strict=True)
    ]


def _between(piece: Piece, cuts: Sequence[int]) -> list[Span]:
    return list(zip([piece.start, *cuts], [*cuts, piece.end], strict=True)) if cuts else []


def _children(
    entry: tuple[Piece, int], cuts: Sequence[int], cost: float, counts: Iterator[int]
) -> Iterator[tuple[Piece, int]]:
    piece, limit = entry
    if not cuts:
        yield entry
    for start, end in _between(piece, cuts):
        cut = piece.cut if end == piece.end else cost
        cross = piece.cross if start == piece.start else 0.0
        yield Piece(start, end, next(counts), cut, cross, piece.heading), limit


def _at_sentences(stream: Stream, piece: Piece) -> list[int]:
    if stream.blocks[stream.block_at(piece.start)].kind in _LINEWISE:
        return []
    return [piece.start + start for start, _ in sentences(stream.text[piece.start : piece.end])[1:]]


def _at_lines(stream: Stream, piece: Piece) -> list[int]:
    text = stream.text[piece.start : piece.end]
    return [piece.start + start for start in line_starts(text)[1:] if start < len(text)]


def in_half(stream: Stream, piece: Piece) -> list[int]:
    """The white space nearest to the middle, else the middle."""
    middle = (piece.start + piece.end) // 2
    reach = (piece.end - piece.start) // 4
    text = stream.text
    for distance in range(reach):
        for place in (middle - distance, middle + distance):
            if text[place - 1].isspace() and not text[place].isspace():
                return [place]
    return [middle]
