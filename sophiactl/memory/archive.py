"""Archives: files of frames that only grow, from which every undamaged memory can be read whatever befell the rest.

A frame that was damaged is skipped and reported, and reading goes on at the next one that is whole (see `frames`).
"""

from __future__ import annotations

import errno
import os
import zlib
from typing import TYPE_CHECKING, Self

import msgspec

from sophiactl.errors import StoreError
from sophiactl.memory.durable import AppendFile, failed
from sophiactl.memory.frames import HEADER, MAGIC, Head, checksum, head, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from sophiactl.memory.frames import Archived

_CHUNK = 2**20
_BLOCK = 4096


class Damage(msgspec.Struct, frozen=True):
    """A part of an archive that cannot be read."""

    offset: int
    bytes: int


class ArchiveReader:
    """Reads an archive from its start, as often as asked. `damaged` holds what the last complete reading met.

    Raises `StoreError` where there is no such file or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged: tuple[Damage, ...] = ()

    def bodies(self) -> Iterator[tuple[int, bytes]]:
        """Each whole frame: its offset and its body."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise failed(self.path, error) from error
        try:
            yield from self._scan(fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)

    def heads(self) -> Iterator[tuple[int, Head]]:
        """Each memory's place and head, without the memory."""
        strange: list[Damage] = []
        for offset, body in self.bodies():
            found = head(body)
            if found is None:
                strange.append(Damage(offset, HEADER.size + len(body)))
            else:
                yield offset, found
        self._add(strange)

    def memories(self) -> Iterator[Archived]:
        """Each memory."""
        for _, memory in self.readable():
            yield memory

    def readable(self, wanted: Callable[[int], bool] = lambda _: True) -> Iterator[tuple[bytes, Archived]]:
        """Each memory whose place is wanted, with its body."""
        strange: list[Damage] = []
        for offset, body in self.bodies():
            if not wanted(offset):
                continue
            try:
                found = unpack(body)
            except StoreError:
                strange.append(Damage(offset, HEADER.size + len(body)))
            else:
                yield body, found
        self._add(strange)

    def _add(self, strange: list[Damage]) -> None:
        self.damaged = tuple(sorted((*self.damaged, *strange), key=lambda damage: damage.offset))

    def _scan(self, fd: int, size: int) -> Iterator[tuple[int, bytes]]:
        damaged: list[Damage] = []
        at, end = 0, 0  # `end` is where the last whole frame ended
        while at < size:
            body = _body_at(fd, at, size)
            if body is None:
                at = _next_magic(fd, at + 1, size)
                continue
            if at > end:
                damaged.append(Damage(end, at - end))
            yield at, body
            at = end = at + HEADER.size + len(body)
        if size > end:
            damaged.append(Damage(end, size - end))
        self.damaged = tuple(damaged)


class ArchiveWriter:
    """An archive open for appending; only for who holds the lock of the folder.

    What a killed process left unfinished at the end is cut off, never anything before `sound`: that many bytes have
    been acknowledged. Raises `DiskFull` or `StoreError`.
    """

    def __init__(self, path: Path, *, sound: int = 0) -> None:
        self._file = AppendFile(path)
        try:
            if self._file.size:
                self._mend(sound)
        except BaseException:
            self._file.close()
            raise

    @property
    def size(self) -> int:
        """Bytes in the archive."""
        return self._file.size

    def append(self, memories: Sequence[Archived]) -> None:
        """Write memories; they are on the disk when this returns, and in a file that can be found."""
        self.append_frames([pack(memory) for memory in memories])

    def append_frames(self, frames: Sequence[bytes]) -> None:
        """Write frames of `frames.pack`."""
        self._file.append(*frames)
        if not self._file.in_place():
            raise StoreError(
                f"the archive {self._file.path} was moved, removed or changed by another program",
                hint="nothing more is deleted without an archive; bring it back, then do it again",
            )

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def _mend(self, sound: int) -> None:
        reader = ArchiveReader(self._file.path)
        for _ in reader.bodies():
            pass
        tail = reader.damaged[-1] if reader.damaged else None
        if tail is None or tail.offset + tail.bytes < self._file.size or tail.offset < sound:
            return
        if _unfinished(self._file.path, tail):
            self._file.cut(tail.offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _body_at(fd: int, at: int, size: int) -> bytes | None:
    """The body of a whole frame that begins here."""
    header = _read(fd, at, HEADER.size)
    if len(header) < HEADER.size:
        return None
    magic, length, crc = HEADER.unpack(header)
    if magic != MAGIC or at + HEADER.size + length > size:
        return None
    start = at + HEADER.size
    if length > _CHUNK and not _is_sound(fd, start, length, crc):
        return None
    body = _read(fd, start, length)
    return body if len(body) == length and checksum(body) == crc else None


def _is_sound(fd: int, start: int, length: int, crc: int) -> bool:
    """Whether a long body has this checksum, without holding it: a damaged header may claim any length."""
    found = checksum(b"", length)
    for at in range(start, start + length, _CHUNK):
        found = zlib.crc32(_read(fd, at, min(_CHUNK, start + length - at)), found)
    return found == crc


def _next_magic(fd: int, at: int, size: int) -> int:
    """Where the next frame may begin; the size of the file when there is none."""
    while at < size:
        block = _BLOCK - at % _BLOCK
        chunk = _read(fd, at, _CHUNK) or _read(fd, at, block)
        if not chunk:  # a part of the disk that cannot be read
            at += block
            continue
        found = chunk.find(MAGIC)
        if found >= 0:
            return at + found
        at += max(len(chunk) - len(MAGIC) + 1, 1)
    return size


def _read(fd: int, at: int, length: int) -> bytes:
    pieces = []
    try:
        while length > 0:
            piece = os.pread(fd, min(length, 2**30), at)
            if not piece:
                break
            pieces.append(piece)
            at, length = at + len(piece), length - len(piece)
    except OSError as error:
        if error.errno != errno.EIO:
            raise StoreError(f"an archive cannot be read: {error.strerror or error}") from error
        return b""
    return b"".join(pieces)


def _unfinished(path: Path, tail: Damage) -> bool:
    """Whether the end of an archive is what a write leaves that was cut short: a frame begun, or zeros."""
    try:
        with path.open("rb") as file:
            file.seek(tail.offset)
            data = file.read(tail.bytes)
    except OSError as error:
        raise failed(path, error) from error
    if not data.strip(b"\0"):
        return True
    if len(data) < HEADER.size:
        return MAGIC.startswith(data[: len(MAGIC)])
    magic, length, _ = HEADER.unpack_from(data)
    return bool(magic == MAGIC and HEADER.size + length > len(data))
