"""Batches of similar length and bounded size: little padding, and activations that stay in the processor's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from sophiactl.embedding.base import Matrix

    Ids = NDArray[np.int32]
    Run = Callable[[Ids, Ids], Matrix]

WINDOW = 8192


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Groups of indices, longest first; rows times the longest row stay within `budget`, one row always fits."""
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    start = 0
    while start < len(order):
        rows = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + rows]
        start += rows


def padded(rows: Sequence[Sequence[int]]) -> tuple[Ids, Ids]:
    """Token ids padded with 0 on the right, and the mask that says which are real; both (rows, longest) int32."""
    import numpy as np

    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), dtype=np.int32)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask


def _each(work: Callable[[list[int]], Matrix], todo: list[list[int]], workers: int) -> Iterable[Matrix]:
    if workers == 1 or len(todo) == 1:
        return map(work, todo)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, todo))


def embed_texts(
    texts: Sequence[str],
    encode: Callable[[Sequence[str]], list[list[int]]],
    run: Run,
    dimension: int,
    budget: int,
    workers: int = 1,
) -> Matrix:
    """Vectors of `texts` in their order, tokenised by `encode`, computed by `run`, `budget` tokens at a time.

    `run` is called from `workers` threads at once: a core that works on a batch of its own never waits for the others,
    as it would where all of them share every multiplication. Goes window by window, so that the token ids of a huge
    list are not all in memory. Raises `ModelError` when a vector is not finite.
    """
    import numpy as np

    vectors = np.empty((len(texts), dimension), dtype=np.float32)
    for start in range(0, len(texts), WINDOW):
        rows = encode(texts[start : start + WINDOW])
        todo = list(batches([len(row) for row in rows], budget))
        results = _each(lambda batch: run(*padded([rows[index] for index in batch])), todo, workers)  # noqa: B023
        for batch, found in zip(todo, results, strict=True):
            vectors[[start + index for index in batch]] = found
    if not np.isfinite(vectors).all():
        raise ModelError("the model gave vectors that are not finite", hint="sophiactl models list --verify")
    return vectors
