"""Small files that hold secrets: opened without waiting, followed only where that is safe, read up to a limit."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

MOST_BYTES = 1 << 20

_TRIES = 3  # a kubelet may swap the folder behind a link while it is followed


class Content(NamedTuple):
    """A file that was read; `path` is where it really stands."""

    data: bytes
    path: str
    mode: int
    owner: int

    def __repr__(self) -> str:
        return f"Content({self.path!r}, {len(self.data)} bytes)"


class Refusal(NamedTuple):
    """Why a file that is there was not read: `rule` as in `Trouble`, what it is (`is a folder`), and what helps."""

    rule: str
    what: str
    fix: str


def read_file(path: str | Path) -> Content | Refusal | None:
    """The file at a path that the user chose, wherever its links lead; None where there is none."""
    try:
        return _content(os.open(path, _FLAGS), path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # What is too long for a path is none, and may be a secret that was put in its place.
        return None if error.errno == errno.ENAMETOOLONG else _unreadable(error)
    except ValueError:  # a NUL in the path
        return None


def read_inside(folder: Path, name: str) -> Content | Refusal | None:
    """The file `name` of a folder; links are followed as long as they stay inside. None where there is none."""
    path = folder / name
    for _ in range(_TRIES):
        try:
            return _content(os.open(path, _FLAGS | os.O_NOFOLLOW), path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno != errno.ELOOP:
                return _unreadable(error)
        try:
            return _followed(folder, path)
        except FileNotFoundError:
            continue
        except OSError as error:
            return _unreadable(error)
    return Refusal("symlink", "is a link that leads to nothing", "put the file itself there, or remove the link")


def text_of(content: Content) -> str | Refusal:
    """The secret that is a file's whole content, without the one line end that editors and `echo` put behind it.

    More than one line end is kept, and so is other white space: then it was meant, or is worth a finding.
    """
    data = content.data
    if data.endswith(b"\n"):
        data = data[: -2 if data.endswith(b"\r\n") else -1]
    fix = "store text as UTF-8 without NUL, and what is no text as base64"
    if b"\0" in data:
        return Refusal("encoding", "holds a NUL, so it is no text", fix)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Refusal("encoding", "is no UTF-8 text", fix)


_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def _followed(folder: Path, path: Path) -> Content | Refusal:
    root, real = os.path.realpath(folder), os.path.realpath(path)
    if os.path.commonpath([root, real]) != root:
        what = f"is a link out of its folder, to {real}, and is not followed"
        return Refusal("symlink", what, "put the file itself there")
    return _content(_walked(root, Path(real).relative_to(root).parts), real)


def _walked(root: str, parts: tuple[str, ...]) -> int:
    """Open step by step without following anything, so that what was checked is what is opened."""
    at = os.open(root, _FLAGS | os.O_DIRECTORY)
    for part in parts:
        above = at
        try:
            at = os.open(part, _FLAGS | os.O_NOFOLLOW, dir_fd=above)
        finally:
            os.close(above)
    return at


def _content(descriptor: int, path: str | Path) -> Content | Refusal:
    """Read what is open, and close it."""
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return Refusal("unreadable", f"is {_kind(found.st_mode)}, no file", "put a plain file there")
        if found.st_size <= MOST_BYTES:
            data = _read(descriptor)
            if len(data) <= MOST_BYTES:
                return Content(data, os.path.realpath(path), found.st_mode, found.st_uid)
        return Refusal("too-large", f"is larger than {MOST_BYTES >> 20} MiB and not read", "keep secrets alone in it")
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    pieces, left = [], MOST_BYTES + 1
    while left > 0 and (piece := os.read(descriptor, left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    return next((kind for check, kind in kinds if check(mode)), "a device")


def _unreadable(error: OSError) -> Refusal:
    """For an error of the system, whose text holds no content."""
    if error.errno == errno.ENXIO:
        return Refusal("unreadable", "is a socket, no file", "put a plain file there")
    if error.errno == errno.ELOOP:
        return Refusal("symlink", "is a link that leads back to itself", "put the file itself there")
    reason = (error.strerror or type(error).__name__).lower()
    denied = isinstance(error, PermissionError)
    fix = "let this user read it: chmod or chown" if denied else "put a readable file there"
    return Refusal("unreadable", f"cannot be read: {reason}", fix)
