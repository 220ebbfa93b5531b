"""Keeps this process's memory, secrets and all, out of core dumps and away from debuggers."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4
_PR_SET_PDEATHSIG = 1
_before: list[tuple[int, int]] = []


def keep_memory_private() -> None:
    """From now on no core dump of this process is written; on Linux no other process of the user may read it either.

    Programs that it starts with `core_limit` are as before. May be called again.
    """
    core_limit()
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, _before[0][1]))
    control(_PR_SET_DUMPABLE, 0)


def core_limit() -> tuple[int, int]:
    """The limit of core dumps as it was before `keep_memory_private`."""
    if not _before:
        _before.append(resource.getrlimit(resource.RLIMIT_CORE))
    return _before[0]


def die_with_parent(signal: int) -> None:
    """Have Linux send this process the signal when its parent ends, however that comes about; elsewhere nothing."""
    control(_PR_SET_PDEATHSIG, signal)


def control(option: int, value: int) -> None:
    """Linux's `prctl`; elsewhere nothing. What fails is left as it is."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
