"""Pieces of text packed into passages of a bounded size, at the places where a cut costs least; pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

# In units of one another. A passage has a cost, so that few are made; a small one costs up to 1 more, since it says
# little by itself. Two sections of one line each (20 tokens of 200) stay apart, sections of ten words come together.
_PASSAGE = 0.3
_SMALL_BELOW = 0.4
_HEADING_ALONE = 10.0


class Piece(NamedTuple):
    """A span that is not cut further.

    `cut` is the cost of ending a passage after it, `cross` that of a passage which holds it and the piece before it.
    """

    start: int
    end: int
    tokens: int
    cut: float = 0.0
    cross: float = 0.0
    heading: bool = False


def pack(pieces: Sequence[Piece], budget: int) -> list[tuple[int, int]]:
    """Ranges of `pieces` of least total cost, without a gap, each within `budget` tokens unless it is one piece."""
    count = len(pieces)
    best = [0.0, *[math.inf] * count]
    came_from = [0] * (count + 1)
    for last in range(1, count + 1):
        tokens, crossing, alone = 0, 0.0, True
        ending = pieces[last - 1].cut if last < count else 0.0
        for first in range(last - 1, -1, -1):
            piece = pieces[first]
            tokens += max(piece.tokens, 1)
            if tokens > budget and first < last - 1:
                break
            alone = alone and piece.heading
            cost = best[first] + ending + crossing + _cost(tokens, budget, alone)
            if cost < best[last]:
                best[last], came_from[last] = cost, first
            crossing += piece.cross
    return _walk_back(came_from)


def _cost(tokens: int, budget: int, alone: bool) -> float:
    floor = budget * _SMALL_BELOW
    small = max(0.0, 1 - tokens / floor) ** 2
    return _PASSAGE + small + (_HEADING_ALONE if alone else 0.0)


def _walk_back(came_from: list[int]) -> list[tuple[int, int]]:
    ranges = []
    last = len(came_from) - 1
    while last > 0:
        ranges.append((came_from[last], last))
        last = came_from[last]
    return ranges[::-1]
