"""Holding a store for long work without keeping others out of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from sophiactl.locks import LONGEST_PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from sophiactl.memory.base import Store

    OpenStore = Callable[[], AbstractContextManager[Store]]

GAP = LONGEST_PAUSE + 0.05
"""Seconds to stand back for: whoever waits for the lock looks at it at least that often."""


class StoreHold:
    """A store that is opened when it is asked for, and given back every `seconds` so that others can ask questions."""

    def __init__(
        self,
        open_store: OpenStore,
        seconds: float,
        *,
        wait: Callable[[float], None],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_store = open_store
        self._seconds = seconds
        self._wait = wait
        self._timer = timer
        self._opened: AbstractContextManager[Store] | None = None
        self._store: Store | None = None
        self._since = 0.0

    def store(self) -> Store:
        """The store. One that was asked for earlier may be closed by this."""
        if self._store is not None and self._timer() - self._since < self._seconds:
            return self._store
        if self._opened is not None:
            self.pause(GAP)
        self._opened = self._open_store()
        self._store = self._opened.__enter__()
        self._since = self._timer()
        return self._store

    def pause(self, seconds: float) -> None:
        """Wait; the store is given back for any time in which somebody else could use it."""
        if seconds >= GAP:
            self.release()
        self._wait(seconds)

    def release(self) -> None:
        """Give the store back, if it is held."""
        opened, self._opened, self._store = self._opened, None, None
        if opened is not None:
            opened.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._opened, self._store = self._opened, None, None
        if opened is not None:
            opened.__exit__(kind, error, trace)
