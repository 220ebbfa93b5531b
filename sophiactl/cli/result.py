"""What a command returns, and the envelope that `--json` prints.

A command never prints: it returns a `Result`, which the one renderer (`render.emit`) turns into text or JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from sophiactl.errors import ExitCode, SophiaError

Status = Literal["ok", "partial", "error"]
VERSION = 1


class Failure(msgspec.Struct, frozen=True):
    """An error as a value: what goes into `errors` of the envelope."""

    code: str
    message: str
    hint: str | None = None

    @classmethod
    def of(cls, error: SophiaError) -> Failure:
        """The same facts as the exception."""
        return cls(error.code, error.message, error.hint)


class Result(msgspec.Struct, frozen=True):
    """What a command found out.

    `data` is any value that msgspec can encode. `text` shows it to a person: a string, or a function that prints to the
    `Output` it is given. `messages` are notes for stderr, silenced by `-q`. `errors` are failures that did not stop the
    command. `status` None means: from the exit code and the errors. `printed` says that the answer already went out as
    a stream, so that only errors and the exit code are left to deliver. `revealed`: the answer holds secrets that the
    user asked to see.
    """

    data: Any = None
    text: str | Callable[[Any], None] | None = None
    messages: tuple[str, ...] = ()
    exit_code: int = ExitCode.OK
    errors: tuple[Failure, ...] = ()
    status: Status | None = None
    printed: bool = False
    revealed: bool = False

    def outcome(self) -> Status:
        """The status in force."""
        if self.status is not None:
            return self.status
        if self.exit_code == ExitCode.PARTIAL or (self.exit_code == ExitCode.OK and self.errors):
            return "partial"
        return "ok" if self.exit_code == ExitCode.OK else "error"


class Envelope(msgspec.Struct, frozen=True):
    """What `--json` prints, for success and for errors alike (`sophiactl help json`)."""

    version: int
    command: str
    status: Status
    exit_code: int
    data: Any
    errors: tuple[Failure, ...]


def envelope(command: str, result: Result) -> Envelope:
    """The envelope of a result."""
    return Envelope(VERSION, command, result.outcome(), int(result.exit_code), result.data, result.errors)


def failed(error: SophiaError) -> Result:
    """The result of a command that an error ended."""
    return Result(exit_code=error.exit_code, errors=(Failure.of(error),), status="error")
