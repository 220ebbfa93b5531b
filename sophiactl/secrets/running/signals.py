r"""Signals as something that is read, with who sent them, while a child runs.

Keys on a terminal (Ctrl-C, Ctrl-\, Ctrl-Z) send to all processes of the foreground at once: a child that shares our
group has the signal already and must not get it twice. Linux tells such signals from those of other processes.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
WATCHED = (*PASSED_ON, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, signal.SIGCHLD)

_BY_KEY = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH})
_RECORD = 128
_SI_KERNEL = 0x80
_SET_SIZE = 128
_CLOSE_ON_EXEC_NONBLOCKING = 0o2000000 | 0o4000


class Caught(NamedTuple):
    """A signal. `by_terminal`: sent by a key, to our whole group. `sender` is a process id, 0 where it is not known."""

    number: int
    by_terminal: bool = False
    sender: int = 0


class Signals(Protocol):
    """Watches signals between `with` and its end; those that were ignored stay so, as `nohup` wants."""

    def __enter__(self) -> Self:
        """Watch from now on."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Watch no more."""

    def fileno(self) -> int:
        """Can be read when there is something to `read`."""

    def read(self) -> Sequence[Caught]:
        """What was caught since; never waits."""

    def release(self) -> None:
        """In a child between fork and exec: have signals as they were."""

    def suspend(self) -> None:
        """Stop this process as Ctrl-Z does; returns when it goes on."""


def watch_signals() -> Signals:
    """The best watch that this system has. For the main thread alone, and no other thread may be about."""
    return _Descriptor() if sys.platform == "linux" else _Handlers()


def _heeded() -> list[signal.Signals]:
    return [number for number in WATCHED if signal.getsignal(number) is not signal.SIG_IGN]


class _Descriptor:
    """Linux's signalfd: signals are held back, and read with their senders."""

    def __init__(self) -> None:
        self._numbers = _heeded()
        self._before: set[int] = set()
        self._descriptor = -1

    def __enter__(self) -> Self:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        chosen = ctypes.create_string_buffer(_SET_SIZE)
        libc.sigemptyset(chosen)
        for number in self._numbers:
            libc.sigaddset(chosen, int(number))
        # SIGTTOU is held back and never read, so that setting the terminal up does not stop us.
        self._before = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])}
        signal.pthread_sigmask(signal.SIG_BLOCK, [*self._numbers, signal.SIGTTOU])
        self._descriptor = libc.signalfd(-1, chosen, _CLOSE_ON_EXEC_NONBLOCKING)
        if self._descriptor < 0:
            self.release()
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.read()
        os.close(self._descriptor)
        self.release()

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> list[Caught]:
        caught = []
        with suppress(BlockingIOError):
            while record := os.read(self._descriptor, _RECORD):
                number, _, code, sender = memoryview(record)[:16].cast("i")
                caught.append(Caught(number, code == _SI_KERNEL and number in _BY_KEY, sender))
        return caught

    def release(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def suspend(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTSTP])
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTSTP])


class _Handlers:
    """Handlers that leave a note. Who sent a signal is guessed: in the foreground it was a key."""

    def __init__(self) -> None:
        self._numbers = _heeded()
        self._before: dict[signal.Signals, signal._HANDLER] = {}
        self._note, self._wake, self._wakened_before = -1, -1, -1

    def __enter__(self) -> Self:
        self._note, self._wake = os.pipe()
        os.set_blocking(self._note, False)
        os.set_blocking(self._wake, False)
        self._wakened_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in self._numbers:
            self._before[number] = signal.signal(number, lambda *_: None)
        self._before[signal.SIGTTOU] = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakened_before)
        os.close(self._note)
        os.close(self._wake)

    def fileno(self) -> int:
        return self._note

    def read(self) -> list[Caught]:
        numbers = b""
        with suppress(BlockingIOError):
            while piece := os.read(self._note, 64):
                numbers += piece
        foreground = in_foreground()
        return [Caught(number, foreground and number in _BY_KEY) for number in numbers]

    def release(self) -> None:
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)  # handlers end with exec by themselves

    def suspend(self) -> None:
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)


def in_foreground() -> bool:
    """Whether our process group is the one that the terminal listens to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
