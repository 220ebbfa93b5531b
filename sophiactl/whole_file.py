"""Files that are written whole or not at all: a reader sees the old one or the new one, never half of it."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def whole_file(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Write beside `path` and take its place at the end; nothing is left behind when the block, or the disk, fails.

    With `durable` the bytes are on the disk before the old file goes. Raises `OSError`.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def write_cache(path: Path, data: bytes) -> bool:
    """Write a cache file, and its folder where it is missing; False where that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(data)
    except OSError:
        return False
    return True
