"""Ridge regression over hashed words and a few dense columns, in blocks that numpy does well; training only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sophiactl.routing.features import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Vector = NDArray[Any]

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
LOOKED_AT = 1_500
"""Rows that the strength of the ridge is chosen on: its leave-one-out error needs a decomposition of that size."""
_STEPS = 200
_CLOSE = 1e-6


class Table(NamedTuple):
    """Rows of `weights[BUCKETS] | dense columns`. Row i holds the entries from starts[i] up to starts[i + 1]."""

    buckets: Vector
    values: Vector
    starts: Vector
    dense: Vector

    def dot(self, weights: Vector) -> Vector:
        """The weighted sum of each row."""
        import numpy as np

        # The leading zero makes sums of empty rows empty.
        sums = np.append(0.0, np.cumsum(self.values * weights[self.buckets]))
        found: Vector = sums[self.starts[1:]] - sums[self.starts[:-1]] + self.dense @ weights[BUCKETS:]
        return found

    def spread(self, amounts: Vector) -> Vector:
        """The transpose of `dot`: each row's amount spread over its entries."""
        import numpy as np

        repeated = np.repeat(amounts, np.diff(self.starts))
        words = np.bincount(self.buckets, weights=self.values * repeated, minlength=BUCKETS)
        return np.concatenate([words, amounts @ self.dense])

    def head(self, count: int) -> Table:
        """The first rows."""
        end = int(self.starts[min(count, len(self.dense))])
        return Table(self.buckets[:end], self.values[:end], self.starts[: count + 1], self.dense[:count])


def table(terms: Sequence[tuple[Vector, Vector]], factors: Vector, dense: Vector) -> Table:
    """Rows of (buckets, values), each value times the factor of its bucket, beside dense columns."""
    import numpy as np

    buckets = np.concatenate([row for row, _ in terms]).astype(np.int64)
    values = np.concatenate([row for _, row in terms]) * factors[buckets]
    starts = np.append(0, np.cumsum([len(row) for row, _ in terms]))
    return Table(buckets, values, starts, dense)


def gram(rows: Table) -> Vector:
    """Products of all rows with each other."""
    import numpy as np

    products: Vector = rows.dense @ rows.dense.T
    weights = np.zeros(BUCKETS + rows.dense.shape[1])
    for index in range(len(products)):
        part = slice(int(rows.starts[index]), int(rows.starts[index + 1]))
        weights[rows.buckets[part]] = rows.values[part]
        products[index] += rows.dot(weights)
        weights[rows.buckets[part]] = 0.0
    return products


def choose_ridge(rows: Table, wanted: Vector) -> tuple[float, Vector]:
    """The strength with the least leave-one-out error, and the left-out predictions it makes for the rows given."""
    import numpy as np

    mean = wanted.mean()
    values, vectors = np.linalg.eigh(gram(rows))
    values = np.maximum(values, 0.0)
    turned = vectors.T @ (wanted - mean)
    best: tuple[float, float, Vector] | None = None
    for strength in STRENGTHS:
        kept = values / (values + strength)
        leverage = np.minimum((vectors**2) @ kept + 1 / len(wanted), 0.99)
        missed = (wanted - mean - vectors @ (kept * turned)) / (1 - leverage)
        error = float((missed**2).mean())
        if best is None or error < best[0]:
            best = (error, strength, wanted - missed)
    assert best is not None  # noqa: S101 - STRENGTHS is not empty
    return best[1], best[2]


def solve(rows: Table, wanted: Vector, strength: float) -> Vector:
    """Weights of the ridge, by conjugate gradients; `wanted` is centred here."""
    import numpy as np

    residual = rows.spread(wanted - wanted.mean())
    weights = np.zeros_like(residual)
    direction, size = residual.copy(), float(residual @ residual)
    enough = _CLOSE**2 * size
    for _ in range(_STEPS):
        if size <= enough:
            break
        pushed = rows.spread(rows.dot(direction)) + strength * direction
        step = size / float(direction @ pushed)
        weights += step * direction
        residual -= step * pushed
        previous, size = size, float(residual @ residual)
        direction = residual + (size / previous) * direction
    return weights
