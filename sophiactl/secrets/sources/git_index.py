"""Whether git tracks a file, read from its index: starting git costs more than all else that is checked here.

The format is git's `gitformat-index`, versions 2 to 4. Nothing here says no more than "not known".
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = 12
_MODES = frozenset({0o100644, 0o100755, 0o120000})
_MODE_AT = 24  # in the fixed part of an entry
_EXTENDED = 0x4000
_LONGEST_NAME = 0x0FFF
_HASHES = (20, 32)  # SHA-1, SHA-256
_FIXED = 42  # bytes of an entry before its name, without the hash: ten numbers and the flags
_MOST_BYTES = 256 << 20
_GIT_SECONDS = 2.0


def is_tracked(path: Path) -> bool | None:
    """Whether the file at this real path is in the index of the work tree around it; None where that is not known."""
    found = _work_tree(path.parent)
    if found is None:
        return False
    top, index = found
    name = os.fsencode(path.relative_to(top))
    try:
        if any(file.name.startswith("sharedindex.") for file in index.parent.iterdir()):
            return _ask_git(top, path)
        if not index.is_file():
            return None if index.exists() else False  # without one, nothing was added yet
        with index.open("rb") as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                return None
            return holds(file.read(), name)
    except (OSError, ValueError):
        return None


def holds(data: bytes, name: bytes) -> bool | None:
    """Whether an index file's bytes have an entry of this name; None where they are no index that is known."""
    version = int.from_bytes(data[4:8], "big")
    if data[:4] != b"DIRC" or version not in {2, 3, 4}:
        return None
    if version < 4:
        return _find(data, name)
    answers = (_walk(data, name, size) for size in _HASHES)
    return next((answer for answer in answers if answer is not None), None)


def _work_tree(folder: Path) -> tuple[Path, Path] | None:
    """The top of the work tree around a folder, and its index file."""
    for top in (folder, *folder.parents):
        dot_git = top / ".git"
        if dot_git.is_dir():
            return top, dot_git / "index"
        if dot_git.is_file():  # a linked work tree, or a submodule
            return top, _linked(dot_git) / "index"
    return None


def _linked(dot_git: Path) -> Path:
    try:
        with dot_git.open("rb") as file:
            line = file.read(4096)
    except OSError:
        line = b""
    # Without the word it is no such file, and what is below it does not exist.
    return dot_git.parent / os.fsdecode(line[7:].strip()) if line.startswith(b"gitdir:") else dot_git


def _find(data: bytes, name: bytes) -> bool:
    """Versions 2 and 3 hold whole names: look for the bytes, and see whether what is before them is an entry's."""
    wanted = min(len(name), _LONGEST_NAME)
    at = data.find(name + b"\0", _HEADER)
    while at >= 0:
        for extra in (0, 2):  # version 3 has two more bytes of flags in some entries
            flags = int.from_bytes(data[at - 2 - extra : at - extra], "big")
            if flags & _LONGEST_NAME == wanted and bool(flags & _EXTENDED) == bool(extra):
                starts = (at - extra - _FIXED - size for size in _HASHES)
                if any(start >= _HEADER and (start - _HEADER) % 8 == 0 and _sound(data, start) for start in starts):
                    return True
        at = data.find(name + b"\0", at + 1)
    return False


def _walk(data: bytes, name: bytes, hash_size: int) -> bool | None:
    """Version 4 shortens each name by what it shares with the one before; entries stand in the order of names."""
    at, before = _HEADER, b""
    for _ in range(int.from_bytes(data[8:12], "big")):
        if not _sound(data, at, gitlinks=True):
            return None
        at += _FIXED + hash_size
        at += 2 if data[at - 2] & (_EXTENDED >> 8) else 0
        cut, at = _offset(data, at)
        end = data.find(b"\0", at)
        if end < 0 or cut > len(before):
            return None
        before = before[: len(before) - cut] + data[at:end]
        if before >= name:
            return before == name
        at = end + 1
    return False


def _sound(data: bytes, start: int, *, gitlinks: bool = False) -> bool:
    mode = int.from_bytes(data[start + _MODE_AT : start + _MODE_AT + 4], "big")
    return mode in _MODES or (gitlinks and mode in {0o160000, 0o040000})


def _offset(data: bytes, at: int) -> tuple[int, int]:
    """A number as git writes offsets: seven bits a byte, and one more for each byte that follows."""
    value = data[at] & 0x7F if at < len(data) else 0
    while at < len(data) and data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F if at < len(data) else 0)
    return value, at + 1


def _ask_git(top: Path, path: Path) -> bool | None:
    """For an index in two files, which only git itself puts together."""
    import subprocess

    # The repository's settings must not name a program that is run here.
    safe = ("-c", "core.fsmonitor=false", "--literal-pathspecs", "-C", str(top))
    command = ["git", *safe, "ls-files", "--error-unmatch", "--", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {0: True, 1: False}.get(done.returncode)
