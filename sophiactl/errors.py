"""Every error of the program, one tree.

    SophiaError
    ├── UsageError            a flag, argument or input file is wrong
    ├── ConfigError           a setting is missing or not allowed
    │   └── ExtraMissing      an optional dependency is not installed
    ├── NotFound              a record, file or model that was named does not exist
    ├── InputError            a document or import row cannot be read
    ├── StoreError            the memory store refused or failed
    │   ├── StoreMismatch     the collection was made with another model or schema
    │   ├── InvalidVector     a vector holds NaN or has the wrong dimension
    │   └── Locked            another process holds the lock
    ├── ModelError            weights are absent, damaged or do not fit
    ├── AuthError             a service refused the credential
    ├── Unreachable           a service or host does not answer
    ├── RateLimited           a service or a budget says: later
    ├── DeadlineExceeded      a time limit passed
    ├── UpstreamError         a service answered with a failure
    ├── DiskFull              the disk has no room left
    └── Interrupted           Ctrl-C or SIGTERM

Each has a stable `code` (for `--json` and scripts), a `message` that says what happened, a `hint` that names the
command or setting that mends it, and an exit code.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Process exit codes; the same on every command (`sophiactl help exit-codes`)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_CONFIGURED = 3
    AUTH = 4
    UNREACHABLE = 5
    RATE_LIMITED = 6
    TIMEOUT = 7
    UPSTREAM = 8
    PARTIAL = 9
    LOCKED = 75
    INTERRUPTED = 130


class SophiaError(Exception):
    """Base of all errors that a user may see."""

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint))


def _rebuild(kind: type[SophiaError], message: str, hint: str | None) -> SophiaError:
    return kind(message, hint=hint)


class UsageError(SophiaError):
    """A flag, argument or input file is wrong."""

    code = "usage"
    exit_code = ExitCode.USAGE


class ConfigError(SophiaError):
    """A setting is missing or not allowed."""

    code = "config"
    exit_code = ExitCode.NOT_CONFIGURED


class ExtraMissing(ConfigError):
    """An optional dependency is not installed."""

    code = "extra_missing"

    def __init__(self, message: str, *, hint: str | None = None, extra: str | None = None) -> None:
        if extra is not None and hint is None:
            hint = f"pip install 'sophiactl[{extra}]'"
        super().__init__(message, hint=hint)


class NotFound(SophiaError):
    """A record, file or model that was named does not exist."""

    code = "not_found"


class InputError(SophiaError):
    """A document or import row cannot be read."""

    code = "input"


class StoreError(SophiaError):
    """The memory store refused or failed."""

    code = "store"


class StoreMismatch(StoreError):
    """The collection was made with another embedding model or schema."""

    code = "store_mismatch"
    exit_code = ExitCode.NOT_CONFIGURED


class InvalidVector(StoreError):
    """A vector holds NaN or infinity, or has the wrong dimension."""

    code = "invalid_vector"


class Locked(StoreError):
    """Another process holds the lock; the message names it."""

    code = "locked"
    exit_code = ExitCode.LOCKED


class ModelError(SophiaError):
    """Model weights are absent, damaged or do not fit."""

    code = "model"
    exit_code = ExitCode.NOT_CONFIGURED


class AuthError(SophiaError):
    """A service refused the credential."""

    code = "auth"
    exit_code = ExitCode.AUTH


class Unreachable(SophiaError):
    """A service or host does not answer."""

    code = "unreachable"
    exit_code = ExitCode.UNREACHABLE


class RateLimited(SophiaError):
    """A service, or our own budget, says: later."""

    code = "rate_limited"
    exit_code = ExitCode.RATE_LIMITED


class DeadlineExceeded(SophiaError):
    """A time limit passed."""

    code = "timeout"
    exit_code = ExitCode.TIMEOUT


class UpstreamError(SophiaError):
    """A service answered with a failure."""

    code = "upstream"
    exit_code = ExitCode.UPSTREAM


class DiskFull(SophiaError):
    """The disk has no room left; what was acknowledged before is safe."""

    code = "disk_full"


class Interrupted(SophiaError):
    """Ctrl-C or SIGTERM; what was acknowledged before is safe."""

    code = "interrupted"
    exit_code = ExitCode.INTERRUPTED
