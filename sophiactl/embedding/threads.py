"""What the processor offers: threads for this process, and whether it multiplies bfloat16 by itself."""

from __future__ import annotations

import os
from pathlib import Path

_BF16 = frozenset({"avx512_bf16", "amx_bf16"})


def thread_count(configured: int) -> int:
    """`configured`, or one for each core this process may run on."""
    if configured > 0:
        return configured
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has bfloat16 instructions; False where it cannot be told."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not _BF16.isdisjoint(flags)
