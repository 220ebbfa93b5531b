"""Tombstones: which memories are gone for good, since when and why. Never a word of them.

One JSON line each: `{"id":...,"sha256":...,"reason":...,"at":...,"plan":...}`; `sha256` is that of the text, `plan` the
one whose archive held the memory.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec

from sophiactl.memory.durable import AppendFile, failed
from sophiactl.memory.frames import key_of
from sophiactl.memory.moments import seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

EXPIRED = "archive expired"
"""The reason of a tombstone that stands for an archive whose time was over."""
_WINDOW = 1000


class Tombstone(msgspec.Struct, frozen=True, omit_defaults=True):
    """A memory that is gone for good."""

    id: str
    sha256: str
    reason: str
    at: str
    plan: str | None = None


class Erased:
    """Which memories no archive may bring back: those archived before they were erased.

    One that was written anew under the same id, and archived after that, is another memory.
    """

    def __init__(self, tombstones: Iterable[Tombstone]) -> None:
        self._latest: dict[int, float] = {}
        for stone in tombstones:
            key, moment = short_hash(key_of(stone.id)), seconds_of(stone.at)
            # A time that cannot be read stands for all times: what was erased stays so.
            self._latest[key] = max(self._latest.get(key, 0.0), float("inf") if moment is None else moment)

    def __len__(self) -> int:
        return len(self._latest)

    def covers(self, key: bytes, archived_at: str) -> bool:
        """Whether a memory of this id (see `frames.key_of`), archived then, has been erased since."""
        latest = self._latest.get(short_hash(key)) if self._latest else None
        return latest is not None and latest >= (seconds_of(archived_at) or 0.0)


def short_hash(key: bytes) -> int:
    """64 bits of an id: small enough for ten million of them, and two alike are not to be expected."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")


def read_tombstones(path: Path) -> Iterator[Tombstone]:
    """All tombstones; none where there is no file. A line that cannot be read is left out. Raises `StoreError`."""
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    yield msgspec.convert(json.loads(line), Tombstone)
                except (ValueError, TypeError, RecursionError):
                    continue
    except FileNotFoundError:
        return
    except OSError as error:
        raise failed(path, error) from error


def erased_ids(path: Path) -> frozenset[str]:
    """Ids of memories that somebody asked to erase; those whose time in an archive was over are not among them."""
    return frozenset(stone.id for stone in read_tombstones(path) if stone.reason != EXPIRED)


def bury(path: Path, tombstones: Iterable[Tombstone]) -> int:
    """Write tombstones; they are on the disk when this returns. How many. Raises `DiskFull` or `StoreError`."""
    written = 0
    with AppendFile(path) as file:
        if file.tail(1) not in {b"", b"\n"}:
            file.append(b"\n")
        window: list[bytes] = []
        for stone in tombstones:
            window.append(json.dumps(msgspec.to_builtins(stone), separators=(",", ":")).encode("ascii") + b"\n")
            written += 1
            if len(window) == _WINDOW:
                file.append(*window)
                window = []
        if window:
            file.append(*window)
    return written
