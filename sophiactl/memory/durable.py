"""Files that must not lose what was acknowledged: an append is on the disk when it returns, or it has not happened."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Self

from sophiactl.errors import DiskFull, StoreError
from sophiactl.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TAIL = 2**16


class AppendFile:
    """A file of the owner's alone, open for appending. Raises `DiskFull` or `StoreError`, never `OSError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _failures(path):
            made = not path.exists()
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if made:
                sync_folder(path.parent)
            self.size = self._size()
        except BaseException:
            self.close()
            raise

    def append(self, *pieces: bytes) -> None:
        """Write the pieces and see them onto the disk; after an error the file is as it was before."""
        before = self.size
        try:
            with _failures(self.path):
                for piece in pieces:
                    self._write(piece)
                os.fsync(self._fd)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._fd, before)
            raise
        self.size = before + sum(len(piece) for piece in pieces)

    def cut(self, size: int) -> None:
        """Drop everything from this offset on."""
        with _failures(self.path):
            os.ftruncate(self._fd, size)
            os.fsync(self._fd)
        self.size = size

    def tail(self, most: int = _TAIL) -> bytes:
        """The last bytes of the file."""
        with _failures(self.path):
            return os.pread(self._fd, most, max(self.size - most, 0))

    def in_place(self) -> bool:
        """Whether the file is still to be found under its name: what is appended to a removed one is lost."""
        try:
            found, own = self.path.stat(), os.fstat(self._fd)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino) and own.st_size == self.size

    def close(self) -> None:
        """Close the file; safe to call twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _size(self) -> int:
        with _failures(self.path):
            return os.fstat(self._fd).st_size

    def _write(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Write a new content of a file, for its owner alone; the old one goes when the new one is on the disk."""
    with _failures(path):
        with whole_file(path, durable=True) as file:
            os.fchmod(file.fileno(), 0o600)
            yield file
        sync_folder(path.parent)


def removed(path: Path) -> None:
    """Remove a file so that it stays removed; one that is not there is no error."""
    with _failures(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """See the names of a folder onto the disk. Raises `StoreError`."""
    with _failures(folder):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def failed(path: Path, error: OSError) -> DiskFull | StoreError:
    """The error of ours for one of the operating system's about a file of pruning."""
    if error.errno in _NO_ROOM:
        return DiskFull(f"no room to write {path}", hint="free some space, then do it again: it goes on where it was")
    return StoreError(
        f"cannot use {path}: {error.strerror or error}",
        hint="the folder must be readable and writable; SOPHIACTL_HOME moves it elsewhere",
    )


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failed(path, error) from error
