"""A terminal of its own for the child, when ours is one: programs show colours, prompts and progress as ever."""

from __future__ import annotations

import fcntl
import os
import termios
import tty
from contextlib import suppress
from typing import Any

_LOCAL, _SIGNS = 3, 6  # of what tcgetattr gives


class ChildTerminal:
    """`master` is our side, `slave` the child's. `ours` is the terminal that the child sees through it.

    With `typed`, our terminal passes every key on as it is, from `attend` to `close`.
    """

    def __init__(self, ours: int, *, typed: bool) -> None:
        self._ours = ours
        self._saved: list[Any] | None = termios.tcgetattr(ours) if typed else None
        self._is_raw = False
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        with suppress(termios.error):
            termios.tcsetattr(self.slave, termios.TCSANOW, termios.tcgetattr(ours))
        self.resize()

    def resize(self) -> None:
        """Make the child's terminal as large as ours; the kernel tells the child."""
        with suppress(OSError):
            size = fcntl.ioctl(self._ours, termios.TIOCGWINSZ, b"\0" * 8)
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def attend(self) -> bool:
        """Whether our terminal listens to us. It then hands over each key at once, without echo or meaning of its own.

        Another job may have it for a while, between Ctrl-Z and `fg`.
        """
        if not self._listens():
            self._is_raw = False
            return False
        if self._saved is not None and not self._is_raw:
            tty.setraw(self._ours, termios.TCSADRAIN)
            self._is_raw = True
        return True

    def restore(self) -> None:
        """Have our terminal as it was."""
        if self._saved is not None and self._is_raw and self._listens():
            with suppress(termios.error):
                termios.tcsetattr(self._ours, termios.TCSADRAIN, self._saved)
        self._is_raw = False

    def close(self) -> None:
        """Have our terminal as it was, and give up the child's."""
        self.restore()
        os.close(self.master)

    def take(self) -> None:
        """In the child between fork and exec, in a session of its own: make it the child's controlling terminal."""
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def stop_at(self, typed: bytes, group: int) -> int:
        """Where the key stands that would stop `group`, the child's first one; -1 for nowhere.

        The kernel does not stop a session's first group, as nobody in the session could have it go on. We can.
        """
        with suppress(OSError, termios.error):
            state = termios.tcgetattr(self.master)
            if state[_LOCAL] & termios.ISIG and os.tcgetpgrp(self.master) == group:
                key: bytes = state[_SIGNS][termios.VSUSP]
                return -1 if key == b"\0" else typed.find(key)
        return -1

    def _listens(self) -> bool:
        try:
            return os.tcgetpgrp(self._ours) == os.getpgrp()
        except OSError:
            return False
