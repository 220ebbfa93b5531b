"""Whatever was raised -> an error of our tree, with a message and a hint."""

from __future__ import annotations

import errno

from sophiactl.cli.process import TimesUp
from sophiactl.errors import DeadlineExceeded, DiskFull, Interrupted, SophiaError


class OutOfMemory(SophiaError):
    """The machine's memory is not enough for what was asked."""

    code = "out_of_memory"


class Unexpected(SophiaError):
    """An error that nobody foresaw."""

    code = "unexpected"


def explained(error: BaseException) -> SophiaError:
    """The error as one of ours."""
    if isinstance(error, SophiaError):
        return error
    if isinstance(error, TimesUp):
        return DeadlineExceeded(f"not done within {error.seconds:g} s", hint="raise --timeout, or leave it out")
    if isinstance(error, KeyboardInterrupt):
        return Interrupted("stopped before the end", hint="run the command again; what was acknowledged is kept")
    if isinstance(error, MemoryError):
        return OutOfMemory("this machine has not enough memory left", hint="give less at once, or stop other programs")
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        place = f": {error.filename}" if error.filename else ""
        return DiskFull(f"no room left on the disk{place}", hint="free some space, then run the command again")
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Unexpected(f"unexpected: {text}", hint="the same command with --debug shows where it happened")
