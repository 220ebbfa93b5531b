"""Sorting more than memory should hold: runs of sorted entries on disk, merged as they are read."""

from __future__ import annotations

import heapq
import json
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

Entry = tuple[Any, ...]

HELD: Final = 50_000
"""Entries that are held in memory at a time."""


class Sorter:
    """Takes entries in any order and gives them back sorted, once. A context manager.

    Entries are tuples of what JSON can hold, and are told apart before any field that may be None. The runs are
    nameless files in `folder`, gone with the process however it ends. Raises `OSError`.
    """

    def __init__(self, folder: Path, held: int = HELD) -> None:
        self._folder = folder
        self._most = held
        self._held: list[Entry] = []
        self._runs: list[IO[str]] = []
        self._open = ExitStack()

    def add(self, entry: Entry) -> None:
        """Take one entry."""
        self._held.append(entry)
        if len(self._held) >= self._most:
            self._spill()

    def __iter__(self) -> Iterator[Entry]:
        self._held.sort()
        held, self._held = self._held, []
        return heapq.merge(*map(_read, self._runs), held)

    def _spill(self) -> None:
        self._held.sort()
        run = self._open.enter_context(tempfile.TemporaryFile("w+", encoding="ascii", dir=self._folder))  # noqa: SIM115 - closed by `_open`
        run.writelines(f"{json.dumps(entry)}\n" for entry in self._held)
        run.seek(0)
        self._runs.append(run)
        self._held = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def _read(run: IO[str]) -> Iterator[Entry]:
    return (tuple(json.loads(line)) for line in run)
