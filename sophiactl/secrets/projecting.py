"""Secrets that programs want as files: there while the program runs, and gone when it has ended, or we have.

The folder is ours alone and in memory where the system has such a place. A small guard process waits for our end and
removes the folder, so that nothing stays even after SIGKILL. Should both be killed at once, the next run sweeps up.

Files without any name (Linux's memfd) would need no guard, but are lost on many programs: their path cannot be
resolved, nothing can be written beside them, and children of programs that close inherited descriptors have them not.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sophiactl.errors import ConfigError, DiskFull, InputError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

_PREFIX = "sophiactl-run-"
_SHELL = "/bin/sh"
_GUARD = 'trap "" HUP INT QUIT TERM; read -r end; exec rm -rf -- "$1"'
_PATIENCE = 10.0


@contextmanager
def projected(files: Mapping[str, str | bytes]) -> Iterator[dict[str, str]]:
    """Files with these contents; gives the path of each.

    Raises `InputError` for a name that no file can have, `ConfigError` where there is no safe place, `DiskFull`.
    """
    if not files:
        yield {}
        return
    contents = {_sound(name): _bytes(name, content) for name, content in files.items()}
    guard = None
    try:
        folder, lock = _folder(_base())
    except OSError as error:
        raise _no_place(error) from None
    try:
        try:
            guard = _guard(folder)
            paths = {name: _write(folder, name, content) for name, content in contents.items()}
        except OSError as error:
            raise _no_place(error) from None
        yield paths
    finally:
        _remove(folder, guard)
        os.close(lock)


def _sound(name: str) -> str:
    if not (name.isascii() and name.isidentifier()):
        raise InputError(f"{name!r} is no name of a variable, so no file can be handed over by it")
    return name


def _bytes(name: str, content: str | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    try:
        return content.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InputError(f"{name} cannot be written to a file: it holds half of a sign") from None


def _no_place(error: OSError) -> ConfigError | DiskFull:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull("there is no room for the files that the program wants")
    hint = "set XDG_RUNTIME_DIR to a folder that is yours alone (chmod 700)"
    return ConfigError(f"files cannot be handed over safely: {error.strerror}: {error.filename}", hint=hint)


def _base() -> str:
    """A folder in memory where there is one."""
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    if own.startswith("/"):
        with suppress(OSError):
            state = os.stat(own)  # noqa: PTH116 - pathlib is not needed here
            if state.st_uid == os.geteuid() and not state.st_mode & 0o077 and os.access(own, os.W_OK | os.X_OK):
                return own
    if os.access("/dev/shm", os.W_OK | os.X_OK):  # noqa: S108 - the folder made in it is ours alone
        return "/dev/shm"  # noqa: S108
    return os.environ.get("TMPDIR") or "/tmp"  # noqa: S108


def _folder(base: str) -> tuple[str, int]:
    """A new folder and the lock that says that it is in use; it gets its name when it is locked."""
    _sweep(base)
    name = _PREFIX + secrets.token_hex(8)
    hidden, folder = os.path.join(base, f".{name}"), os.path.join(base, name)  # noqa: PTH118
    os.mkdir(hidden, 0o700)  # noqa: PTH102
    try:
        os.chmod(hidden, 0o700)  # noqa: PTH101 - whatever the umask is
        lock = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(hidden, folder)  # noqa: PTH104
        except OSError:
            os.close(lock)
            raise
    except OSError:
        os.rmdir(hidden)  # noqa: PTH106
        raise
    return folder, lock


def _sweep(base: str) -> None:
    """Remove folders of ours that nobody holds the lock of."""
    with suppress(OSError):
        for name in os.listdir(base):  # noqa: PTH208
            if name.startswith(_PREFIX):
                _sweep_one(os.path.join(base, name))  # noqa: PTH118


def _sweep_one(folder: str) -> None:
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _delete(folder)
        finally:
            os.close(lock)


def _guard(folder: str) -> subprocess.Popen[bytes]:
    """A process that removes the folder when our end of its input closes. It holds no secret and none of our files."""
    import subprocess

    return subprocess.Popen(  # noqa: S603 - a fixed program
        [_SHELL, "-c", _GUARD, "sophiactl-guard", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        start_new_session=True,
    )


def _write(folder: str, name: str, content: bytes) -> str:
    path = os.path.join(folder, name)  # noqa: PTH118
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
        os.fchmod(descriptor, 0o600)
        file.write(content)
    return path


def _remove(folder: str, guard: subprocess.Popen[bytes] | None) -> None:
    """Have the guard do its work; do it ourselves where it did not."""
    if guard is not None:
        import subprocess

        if guard.stdin is not None:
            guard.stdin.close()
        try:
            guard.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()
    if os.path.exists(folder):  # noqa: PTH110
        _delete(folder)


def _delete(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
