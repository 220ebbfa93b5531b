"""The process around a run: signals, the time limit, and a stdout whose reader went away."""

from __future__ import annotations

import atexit
import gc
import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class TimesUp(KeyboardInterrupt):
    """`--timeout` has passed. Like Ctrl-C it is no `Exception`, so that nothing on the way swallows it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def leave_quickly() -> None:
    """Spare the interpreter's last garbage collection: the memory of a process that ends is given back as a whole.

    It would go through every object of every module, a tenth of the time of a short command.
    """
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the program the way Ctrl-C does, so that everything is put away."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not in the main thread: somebody else is in charge of signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def finishing() -> Iterator[Callable[[], bool]]:
    """For work that ends between two steps: SIGTERM and the first Ctrl-C only make the function given answer True.

    A second Ctrl-C ends the program as ever.
    """
    asked = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not in the main thread: somebody else is in charge of signals
        yield lambda: False
        return
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `TimesUp` in the main thread after so many seconds; None means no limit."""
    if seconds is None:
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimesUp(seconds)

    try:
        before = signal.signal(signal.SIGALRM, stop)
    except ValueError:
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def reader_is_gone(stream: TextIO) -> bool:
    """Whether it is this stream whose pipe was closed, and not some connection of a command."""
    import select

    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):  # no file behind it
        return True


def abandon(stream: TextIO) -> None:
    """Let what the stream still holds go nowhere, so that the interpreter's last flush cannot complain."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
