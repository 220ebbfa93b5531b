"""A point in time by which something has to be done."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Deadline:
    """Counts down on a clock of seconds that tests replace. `Deadline.never()` has no end."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    @classmethod
    def never(cls) -> Deadline:
        """One that does not come."""
        return cls(math.inf)

    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - self._clock())

    def passed(self) -> bool:
        """Whether it is over."""
        return self.left() <= 0
