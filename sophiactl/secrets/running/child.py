"""Standing between a program and the world until it ends."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from sophiactl.secrets.projecting import projected
from sophiactl.secrets.running.privacy import keep_memory_private
from sophiactl.secrets.running.signals import in_foreground, watch_signals
from sophiactl.secrets.running.starting import require_environment, start
from sophiactl.secrets.running.streams import Flow, Typing

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence

    from sophiactl.secrets.running.signals import Caught, Signals
    from sophiactl.secrets.running.streams import Mask
    from sophiactl.secrets.running.terminal import ChildTerminal

QUIET = 0.3
"""Seconds without output after the program's end, after which what it left in the background is not waited for."""

_HEARTBEAT = 1.0
_LONGEST_DRAIN = 3.0
_LARGEST_PIPE = 1 << 20  # what an ended program can have left to be read
_IN, _OUT, _ERR = 0, 1, 2


def run_child(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    files: Mapping[str, str | bytes] | None = None,
    mask: Callable[[], Mask] | None = None,
    pty: bool | None = None,
) -> int:
    """Run `command` with exactly the environment `env`; gives its exit code, 128 + N where signal N ended it.

    Each of `files` is a file while it runs, whose path stands in the variable of that name. `mask` makes the masks of
    its output and of its errors; without it both go where ours go, untouched. `pty` gives it a terminal of its own;
    None: when our output is one. Standard input is ours. Arguments are passed as they are: nothing is put into them.

    For the main thread, with no other about. Raises `NotStarted`, `InputError` for what no environment can hold,
    `ConfigError` or `DiskFull` where files cannot be handed over.
    """
    keep_memory_private()
    _open_streams()
    with ExitStack() as stack:
        signals = stack.enter_context(watch_signals())
        whole = {**env, **stack.enter_context(projected(files or {}))}
        require_environment(whole)
        terminal = _terminal(pty) if mask else None
        if terminal is not None:
            stack.callback(terminal.close)
        run = _Run(signals, terminal)
        stack.callback(run.finish)
        return run.to_the_end(command, whole, mask)


def _open_streams() -> None:
    """Write what is still to be written by us; a standard stream that is closed is an empty one from here on."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    for number in (_IN, _OUT, _ERR):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number is free


def _terminal(wanted: bool | None) -> ChildTerminal | None:
    """A terminal for the program where ours is one that listens to us, or where one is wanted."""
    if wanted is False or not (wanted or (os.isatty(_OUT) and in_foreground())):
        return None
    from sophiactl.secrets.running.terminal import ChildTerminal

    typed = os.isatty(_IN)
    return ChildTerminal(_IN if typed else _OUT, typed=typed)


class _Run:
    """One program from its start to its end."""

    def __init__(self, signals: Signals, terminal: ChildTerminal | None) -> None:
        self._signals, self._terminal = signals, terminal
        self._process: subprocess.Popen[bytes] | None = None
        self._flows: list[Flow] = []
        self._typing: Typing | None = None
        self._active = 0.0
        self._ended_at: float | None = None
        self._taken_at_end = 0

    def to_the_end(self, command: Sequence[str], env: Mapping[str, str], mask: Callable[[], Mask] | None) -> int:
        """Start it, serve it, give its exit code."""
        theirs: list[int] = []
        try:
            streams = self._streams(mask, theirs)
            self._process = process = start(command, env, streams, self._signals, self._terminal)
        finally:
            for end in theirs:
                os.close(end)
        while not self._is_done():
            self._step(process)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def finish(self) -> None:
        """Leave nothing behind, however it came to this."""
        for flow in self._flows:
            flow.end()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            self._process.wait()

    # Streams

    def _streams(self, mask: Callable[[], Mask] | None, theirs: list[int]) -> tuple[int | None, int | None, int | None]:
        """The program's streams; `theirs` are the ends to be closed on our side once it has them."""
        if mask is None:
            return None, None, None
        if self._terminal is None:
            out = self._pipe(_OUT, mask, theirs)
            # One pipe where both go to one place, so that they stay in order.
            return None, out, out if os.path.sameopenfile(_OUT, _ERR) else self._pipe(_ERR, mask, theirs)
        slave = self._terminal.slave
        theirs.append(slave)
        self._flows.append(Flow(os.dup(self._terminal.master), _OUT, mask()))
        error = slave if os.isatty(_ERR) else self._pipe(_ERR, mask, theirs)
        if not os.isatty(_IN):
            return None, slave, error
        self._typing = Typing(_IN, self._terminal.master, self._stop_at, self._stop)
        return slave, slave, error

    def _pipe(self, sink: int, mask: Callable[[], Mask], theirs: list[int]) -> int:
        source, into = os.pipe()
        theirs.append(into)
        self._flows.append(Flow(source, sink, mask()))
        return into

    # Serving

    def _is_done(self) -> bool:
        """Whether it has ended and all that it wrote is written."""
        if self._ended_at is None:
            return False
        if any(flow.under_way for flow in self._flows):
            return False
        now = time.monotonic()
        taken = sum(flow.taken for flow in self._flows) - self._taken_at_end
        endless = now - self._ended_at > _LONGEST_DRAIN and taken > _LARGEST_PIPE
        if endless or now - self._active > QUIET:
            for flow in self._flows:
                flow.end()
        return not any(flow.open or flow.under_way for flow in self._flows)

    def _step(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until something can be done, and do it."""
        poll, waits = select.poll(), [QUIET / 3 if self._ended_at is not None else _HEARTBEAT]
        poll.register(self._signals.fileno(), select.POLLIN)
        now = time.monotonic()
        for flow in self._flows:
            left = flow.release(now)
            waits += [] if left is None else [left]
            if flow.under_way:
                poll.register(flow.sink, select.POLLOUT)
            elif flow.open:
                poll.register(flow.source, select.POLLIN)
        self._register_typing(poll)
        ready = {number for number, _ in poll.poll(max(min(waits), 0) * 1000)}
        self._move(ready)
        if self._signals.fileno() in ready:
            for caught in self._signals.read():
                self._heed(caught, process)
        if self._ended_at is None and process.poll() is not None:
            self._ended_at = self._active = time.monotonic()
            self._taken_at_end = sum(flow.taken for flow in self._flows)

    def _register_typing(self, poll: select.poll) -> None:
        if self._typing is None or self._terminal is None or self._ended_at is not None:
            return
        if self._terminal.attend() and self._typing.wanted:
            poll.register(self._typing.source, select.POLLIN)
        if self._typing.under_way:
            poll.register(self._typing.sink, select.POLLOUT)

    def _move(self, ready: set[int]) -> None:
        for flow in self._flows:
            if flow.under_way and flow.sink in ready:
                flow.write()
                self._active = time.monotonic()
            elif flow.open and not flow.under_way and flow.source in ready:
                self._active = time.monotonic()
                flow.read(self._active)
        if self._typing is not None:
            if self._typing.source in ready:
                self._typing.read()
            if self._typing.under_way:
                self._typing.write()

    # Signals

    def _heed(self, caught: Caught, process: subprocess.Popen[bytes]) -> None:
        shared = self._terminal is None
        if caught.number == signal.SIGWINCH and self._terminal is not None:
            self._terminal.resize()
        elif caught.number == signal.SIGTSTP:
            if shared and not caught.by_terminal:
                process.send_signal(signal.SIGTSTP)
            self._stop()
        elif caught.number != signal.SIGCHLD and caught.sender != process.pid and not (shared and caught.by_terminal):
            process.send_signal(caught.number)

    def _stop_at(self, typed: bytes) -> int:
        if self._terminal is None or self._process is None:
            return -1
        return self._terminal.stop_at(typed, self._process.pid)

    def _stop(self) -> None:
        """Stop as Ctrl-Z does, with a program in a session of its own stopped by us; go on when we may."""
        if self._terminal is None or self._process is None:
            self._signals.suspend()
            return
        self._terminal.restore()
        self._tell_group(signal.SIGSTOP)
        self._signals.suspend()
        self._terminal.resize()
        self._tell_group(signal.SIGCONT)

    def _tell_group(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(OSError):
                os.killpg(self._process.pid, number)
