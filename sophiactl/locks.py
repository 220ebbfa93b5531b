"""One process at a time: a file lock that knows who holds it.

The lock is the operating system's own (`flock`), so it ends with the process however that ends. The JSON inside the
file only names the holder for the message; it is never believed when nobody holds the lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from sophiactl.clock import utc_now
from sophiactl.errors import Locked, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from sophiactl.model import Clock

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.25
_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock, and since when (ISO 8601, UTC)."""

    pid: int
    purpose: str
    since: str


class FileLock:
    """An exclusive lock on `path`, waited for up to `timeout` seconds. Not re-entrant; use as a context manager.

    `what` is the thing protected, as the message calls it. Raises `Locked` when the time is over, `StoreError` when the
    file cannot be made or locked at all.
    """

    def __init__(
        self,
        path: Path,
        *,
        purpose: str,
        timeout: float,
        what: str = "the memory store",
        clock: Clock = utc_now,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path = path
        self.purpose = purpose
        self.timeout = timeout
        self.what = what
        self._clock = clock
        self._timer = timer
        self._sleep = sleep
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd is not None

    def acquire(self) -> None:
        """Take the lock or raise `Locked`; the folder of the lock file is made where it is missing."""
        if self._fd is not None:
            raise StoreError(f"the lock on {self.what} is already held by this run")
        fd = self._open()
        try:
            self._wait(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        self._sign(fd)

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        with suppress(OSError):
            os.ftruncate(fd, 0)
        os.close(fd)

    def holder(self) -> Holder | None:
        """Who holds the lock now; None when it is free, or when the holder has not signed."""
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except OSError:
            return None
        try:
            # Shared, so that two who only ask never see each other.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _read(fd)
        else:
            return None
        finally:
            os.close(fd)

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable(error) from error

    def _wait(self, fd: int) -> None:
        deadline = self._timer() + self.timeout
        pause = FIRST_PAUSE
        while not self._try(fd):
            left = deadline - self._timer()
            if left <= 0:
                holder = self.holder()
                # Somebody who only asked for the holder may have been in the way for an instant.
                if holder is None and self._try(fd):
                    return
                raise self._locked(holder)
            self._sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def _try(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise self._unusable(error) from error
        return True

    def _sign(self, fd: int) -> None:
        holder = Holder(os.getpid(), self.purpose, self._clock().strftime("%Y-%m-%dT%H:%M:%SZ"))
        # A full disk must not keep anybody from reading: the signature is only for the message.
        with suppress(OSError):
            os.ftruncate(fd, 0)
            os.pwrite(fd, msgspec.json.encode(holder), 0)

    def _locked(self, holder: Holder | None) -> Locked:
        by = "another process" if holder is None else self._describe(holder)
        return Locked(f"{self.what} is in use by {by}", hint="wait for it: --lock-timeout 60")

    def _describe(self, holder: Holder) -> str:
        purpose = "".join(letter for letter in holder.purpose if letter.isprintable())[:80]
        try:
            since = datetime.fromisoformat(holder.since).astimezone()
        except ValueError:
            return f"`{purpose}` (pid {holder.pid})"
        today = since.date() == self._clock().astimezone().date()
        return f"`{purpose}` (pid {holder.pid}, since {since.strftime('%H:%M' if today else '%Y-%m-%d %H:%M')})"

    def _unusable(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot lock {self.what}: {self.path}: {error.strerror or error}",
            hint="the folder must be writable; SOPHIACTL_HOME moves it elsewhere",
        )

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _read(fd: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(fd, 4096, 0), type=Holder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
