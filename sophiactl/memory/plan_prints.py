"""Which likenesses more than one memory has: 8 bytes a memory while they are counted, a copy's print afterwards."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PRINT: Final = re.compile(r"[0-9a-f]{16}")


class Prints:
    """The likenesses of one class; `seal` leaves only those that were added more than once."""

    def __init__(self) -> None:
        self._values = array("Q")

    def add(self, likeness: object) -> None:
        """Count one memory; what is no likeness of ours is nobody's copy."""
        if isinstance(likeness, str) and _PRINT.fullmatch(likeness):
            self._values.append(int(likeness, 16))

    def seal(self) -> None:
        """Keep what was added more than once."""
        if not self._values:
            return
        import numpy as np

        found = np.frombuffer(self._values, dtype=np.uint64).copy()
        found.sort()
        twice = np.unique(found[1:][found[1:] == found[:-1]])
        self._values = array("Q", twice.tobytes())

    def __contains__(self, likeness: object) -> bool:
        if not self._values or not isinstance(likeness, str) or not _PRINT.fullmatch(likeness):
            return False
        value = int(likeness, 16)
        place = bisect_left(self._values, value)
        return place < len(self._values) and self._values[place] == value

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        return (f"{value:016x}" for value in self._values)
