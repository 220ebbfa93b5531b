"""Documents to passages: whole blocks of one section up to a token budget, each with its exact place; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.embedding.cutting import in_half, pack_all
from sophiactl.embedding.locating import passage, trimmed
from sophiactl.embedding.packing import Piece
from sophiactl.embedding.streams import streams_of
from sophiactl.errors import ConfigError
from sophiactl.textspans import sentences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.embedding.base import Document, Passage, TokenCounter
    from sophiactl.embedding.streams import Span, Stream


def split(document: Document, count_tokens: TokenCounter, budget: int, overlap: int = 0) -> list[Passage]:
    """Passages of a document in reading order, together holding all its text, each of at most `budget` tokens.

    Whole blocks of one section are packed; one that is too large is cut at sentence ends, then lines, then words, then
    anywhere. With `overlap`, a passage that goes on in a section begins with up to that many tokens of whole sentences
    of the one before. `text` stands verbatim at `locator.start:locator.end` but in formats whose text is extracted (see
    `documents.EXTRACTED`), where the offsets are those of the blocks it is from. Raises `ConfigError` for a budget
    below 1.
    """
    if budget < 1:
        raise ConfigError(f"passages of {budget} tokens cannot be made", hint="set embedding.chunk_tokens to 1 or more")
    overlap = max(0, min(overlap, budget // 2))
    streams = list(streams_of(document))
    packed = _within_budget(streams, pack_all(streams, count_tokens, budget - overlap), count_tokens, budget)
    if overlap:
        packed = _overlapped(streams, packed, count_tokens, budget, overlap)
    return [passage(document, stream, span) for stream, spans in zip(streams, packed, strict=True) for span in spans]


def _within_budget(
    streams: Sequence[Stream], packed: list[list[Span]], count: TokenCounter, budget: int
) -> list[list[Span]]:
    """Halve what is still too large: a tokenizer may count a whole higher than the sum of its parts."""
    while True:
        packed = [_filled(stream, spans) for stream, spans in zip(streams, packed, strict=True)]
        texts = [stream.text[a:b] for stream, spans in zip(streams, packed, strict=True) for a, b in spans]
        counts = iter(count(texts))
        over = [[next(counts) > budget and b - a > 1 for a, b in spans] for spans in packed]
        if not any(any(flags) for flags in over):
            return packed
        packed = [
            [
                part
                for span, large in zip(spans, flags, strict=True)
                for part in (_halves(stream, span) if large else [span])
            ]
            for stream, spans, flags in zip(streams, packed, over, strict=True)
        ]


def _filled(stream: Stream, spans: list[Span]) -> list[Span]:
    """The spans that hold more than white space, without that at their ends."""
    return [
        (start, end) for start, end in (trimmed(stream.text, span) for span in spans) if stream.text[start:end].strip()
    ]


def _halves(stream: Stream, span: Span) -> list[Span]:
    start, end = span
    cuts = in_half(stream, Piece(start, end, 0))
    return [(start, cuts[0]), (cuts[0], end)]


def _overlapped(
    streams: Sequence[Stream], packed: list[list[Span]], count: TokenCounter, budget: int, overlap: int
) -> list[list[Span]]:
    options = [
        [_earlier(stream, before, span) for before, span in zip([None, *spans], spans, strict=False)]
        for stream, spans in zip(streams, packed, strict=True)
    ]
    texts = []
    for stream, spans, starts in zip(streams, packed, options, strict=True):
        for (start, end), places in zip(spans, starts, strict=True):
            texts += [text for place in places for text in (stream.text[place:start], stream.text[place:end].strip())]
    counts = iter(count(texts))
    result = []
    for spans, starts in zip(packed, options, strict=True):
        widened = []
        for (start, end), places in zip(spans, starts, strict=True):
            fitting = [place for place in places if (next(counts) <= overlap) & (next(counts) <= budget)]
            widened.append((min(fitting, default=start), end))
        result.append(widened)
    return result


def _earlier(stream: Stream, before: Span | None, span: Span) -> list[int]:
    """Starts of the last sentences of the passage before, if this one goes on in the same section."""
    if before is None:
        return []
    block = stream.blocks[stream.block_at(span[0])]
    previous = stream.blocks[stream.block_at(span[0] - 1)]
    if block.heading != previous.heading or previous.kind == "heading":
        return []
    return [before[0] + start for start, _ in sentences(stream.text[before[0] : before[1]])[1:]][-8:]
