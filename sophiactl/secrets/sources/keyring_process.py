"""One question to the system's keyring, asked by a child process that is dead when the deadline is over."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

CHILD = Path(__file__).with_name("keyring_child.py").absolute()
LONGEST_ANSWER = 64 * 2**20
_BURIAL = 0.3  # seconds that the system may take to end a process that was killed


class Answer(msgspec.Struct, frozen=True):
    """What the child says. `kind` is `ok`, or a row of `keyring_state`; only `values` holds any."""

    kind: str
    detail: str = ""
    backend: str = ""
    values: dict[str, str] = {}
    deleted: bool = False

    def __repr__(self) -> str:
        return f"Answer({self.kind!r}, {self.backend!r})"


def ask_keyring(
    work: str, service: str, names: list[str], env: Mapping[str, str], timeout: float, **more: str
) -> Answer:
    """Start the child, ask it, and end it with all that it has started. Never raises, but for an interrupt.

    `timeout` in seconds covers everything. The child is isolated from PYTHON* and the working folder, but it sees the
    same packages as this process, and `env` for the keyring's own settings.
    """
    import subprocess

    deadline = time.monotonic() + timeout
    path = [folder for folder in sys.path if Path(folder).is_absolute()]
    request = {"work": work, "service": service, "names": names, "timeout": timeout, "path": path, **more}
    try:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and file
            [sys.executable, "-I", CHILD],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(env),
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Answer("unstarted", getattr(error, "strerror", None) or type(error).__name__)
    try:
        return _exchange(process, _framed(msgspec.json.encode(request)), deadline)
    except EOFError:
        _end(process)
        return Answer("died", _cause(process.returncode))
    finally:
        _end(process)


def _framed(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text


def _exchange(process: subprocess.Popen[bytes], request: bytes, deadline: float) -> Answer:
    import selectors

    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    unsent, got = memoryview(request), bytearray()
    os.set_blocking(process.stdin.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdin, selectors.EVENT_WRITE)
        ready.register(process.stdout, selectors.EVENT_READ)
        while (wanted := _length(got)) is None or len(got) < wanted:
            left = deadline - time.monotonic()
            if left <= 0:
                return Answer("silent")
            for key, _ in ready.select(left):
                if key.fileobj is process.stdout:
                    got += _some(key.fd)
                elif not (unsent := unsent[_taken(key.fd, unsent) :]):
                    # It stays open until the end: the child takes its closing for our death.
                    ready.unregister(process.stdin)
    try:
        return msgspec.json.decode(got[4:wanted], type=Answer)
    except msgspec.DecodeError:
        return Answer("died", "after half an answer")


def _length(got: bytearray) -> int | None:
    """How long the whole message is, once that is known."""
    if len(got) < 4:
        return None
    size = int.from_bytes(got[:4], "big")
    if size > LONGEST_ANSWER:
        raise EOFError
    return 4 + size


def _some(fd: int) -> bytes:
    data = os.read(fd, 2**16)
    if not data:
        raise EOFError
    return data


def _taken(fd: int, data: memoryview) -> int:
    try:
        return os.write(fd, data)
    except BrokenPipeError:  # it has died: its stdout tells
        return len(data)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and what it started, which is in its process group; leave no zombie."""
    import subprocess

    if process.returncode is not None:
        return
    # Before the wait: until then nothing else can have the number of the group.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_BURIAL)


def _cause(status: int | None) -> str:
    if status is None or status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"
