"""Starting the program, or saying why that failed, with the exit code that a shell gives."""

from __future__ import annotations

import errno
import os
import resource
import signal
from typing import TYPE_CHECKING

from sophiactl.errors import InputError, SophiaError
from sophiactl.secrets.running.privacy import core_limit, die_with_parent

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence

    from sophiactl.secrets.running.signals import Signals
    from sophiactl.secrets.running.terminal import ChildTerminal

NOT_FOUND = 127
NOT_RUNNABLE = 126

_LONGEST = 131_072
"""Bytes of one variable on Linux, with its name and the NUL at its end."""


class NotStarted(SophiaError):
    """The program could not be started; `status` is the exit code that a shell gives then."""

    code = "not_started"

    def __init__(self, message: str, *, hint: str | None = None, status: int = NOT_FOUND) -> None:
        super().__init__(message, hint=hint)
        self.status = status


def start(
    command: Sequence[str],
    env: Mapping[str, str],
    streams: tuple[int | None, int | None, int | None],
    signals: Signals,
    terminal: ChildTerminal | None,
) -> subprocess.Popen[bytes]:
    """The program, started with exactly this environment; None among `streams` is ours. Raises `NotStarted`.

    On Linux it does not outlive us.
    """
    import subprocess

    try:
        return subprocess.Popen(  # noqa: S603 - what the user asked to run
            list(command),
            env=env,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            start_new_session=terminal is not None,
            preexec_fn=_preparation(signals, terminal),  # noqa: PLW1509 - there is no other thread
        )
    except OSError as error:
        raise _failure(command[0], error, env) from None


def require_environment(env: Mapping[str, str]) -> None:
    """Raises `InputError` for what no environment can hold."""
    for name, value in env.items():
        try:
            sound = bool(name) and "=" not in name and b"\0" not in os.fsencode(name) + os.fsencode(value)
        except UnicodeEncodeError:
            sound = False
        if not sound:
            raise InputError(f"{name!r} cannot stand in an environment", hint="leave it out, or hand it over as a file")


def _preparation(signals: Signals, terminal: ChildTerminal | None) -> Callable[[], None]:
    """What is left to do in the child between fork and exec."""
    limit, parent = core_limit(), os.getpid()

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, limit)
        if terminal is not None:
            terminal.take()
        die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:  # it ended before that was asked for
            os._exit(NOT_RUNNABLE)
        signals.release()

    return prepare


def _failure(program: str, error: OSError, env: Mapping[str, str]) -> NotStarted:
    if error.errno == errno.E2BIG:
        return _too_large(program, env)
    if error.errno == errno.ENOENT and not ("/" in program and os.path.exists(program)):  # noqa: PTH110
        hint = "check its name, and PATH in the environment that it is given"
        return NotStarted(f"there is no program {program}", hint=hint)
    if error.errno in {errno.ENOENT, errno.ENOEXEC}:
        hint = "its first line names the interpreter, as in #!/bin/sh"
        return NotStarted(f"{program} has no interpreter", hint=hint, status=NOT_RUNNABLE)
    mend = f"chmod +x {program}" if error.errno == errno.EACCES and os.path.isfile(program) else None  # noqa: PTH113
    return NotStarted(f"{program} cannot be run: {error.strerror}", hint=mend, status=NOT_RUNNABLE)


def _too_large(program: str, env: Mapping[str, str]) -> NotStarted:
    hint = "hand large values over as files"
    for name, value in env.items():
        if len(os.fsencode(name)) + len(os.fsencode(value)) + 2 > _LONGEST:
            message = f"{program} cannot be run: {name} is larger than a variable may be ({_LONGEST // 1024} KiB)"
            return NotStarted(message, hint=hint, status=NOT_RUNNABLE)
    message = f"{program} cannot be run: its arguments and environment are too large together"
    return NotStarted(message, hint=hint, status=NOT_RUNNABLE)
