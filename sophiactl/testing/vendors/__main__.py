"""`python -m sophiactl.testing.vendors FOLDER`: a made-up company on loopback, for trying things out.

Starts every vendor, fills it, writes FOLDER/vendors.json (addresses and secrets by name, for its owner alone), and
serves until stdin closes, SIGTERM or SIGINT comes, or `--hours` are over. With `--background` it comes back when the
company is there, and a process of its own session goes on. FOLDER/vendors.lock is held meanwhile: one at a time.
"""

from __future__ import annotations

import argparse
import os
import selectors
import signal
import sys
import time
from contextlib import ExitStack, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sophiactl.clock import utc_now
from sophiactl.errors import SophiaError
from sophiactl.locks import FileLock
from sophiactl.paths import ensure_dir
from sophiactl.testing.vendors.company import VENDORS, fill
from sophiactl.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.testing.vendors.base import Vendor

HOURS = 12.0
_PURPOSE = "sophiactl init --demo"
_ROOM = 0.2  # seconds for who looks whether the lock is free


class Place(msgspec.Struct, frozen=True):
    """Where a vendor is, and what it takes for a secret."""

    address: str
    secrets: dict[str, str]

    def __repr__(self) -> str:
        return f"Place({self.address!r})"


class Started(msgspec.Struct, frozen=True):
    """What stands in `vendors.json`."""

    pid: int
    vendors: dict[str, Place]


def main(words: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser("python -m sophiactl.testing.vendors", description="A made-up company on loopback")
    parser.add_argument("folder", type=Path, help="where vendors.json goes")
    parser.add_argument("--background", action="store_true", help="come back, and go on without a terminal")
    parser.add_argument("--hours", type=float, default=HOURS, help=f"end after so many ({HOURS:g})")
    given = parser.parse_args(words)
    if given.background:
        return _in_background(given.folder, given.hours)
    return _guarded(given.folder, given.hours, sys.stdin.fileno(), None)


def _in_background(folder: Path, hours: float) -> int:
    """Fork before there is any thread; the parent waits until the child has written its file, or says why not."""
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        answer = os.read(ready, 4_096)
        if answer != b"ok":
            sys.stderr.write((answer or b"it ended at once").decode("utf-8", "replace"))
        return 0 if answer == b"ok" else 1
    os.close(ready)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    code = _guarded(folder, hours, None, told)
    os._exit(code)


def _guarded(folder: Path, hours: float, stdin: int | None, told: int | None) -> int:
    """Serve; an error goes to who waits for us, else to stderr."""
    try:
        _serve(folder, hours, stdin, told)
    except (SophiaError, OSError) as error:
        text = f"{error}".encode()
        with suppress(OSError):  # whoever started us may be gone
            os.write(2 if told is None else told, text)
        return 1
    return 0


def _serve(folder: Path, hours: float, stdin: int | None, told: int | None) -> None:
    ending, wake = os.pipe()
    os.set_blocking(wake, False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(wake)
    file = ensure_dir(folder) / "vendors.json"
    lock = FileLock(folder / "vendors.lock", purpose=_PURPOSE, timeout=_ROOM, what="the made-up company")
    with lock, ExitStack() as stack:
        vendors = [stack.enter_context(vendor) for vendor in _made()]
        now = utc_now()
        for vendor in vendors:
            fill(vendor, now)
        stack.callback(file.unlink, missing_ok=True)
        write(file, Started(os.getpid(), {one.service: Place(one.address, one.secrets) for one in vendors}))
        if told is not None:
            os.write(told, b"ok")
        _wait(ending, stdin, hours * 3_600)


def _made() -> list[Vendor]:
    found = []
    for target in VENDORS.values():
        module, _, name = target.partition(":")
        if find_spec(module) is not None:
            found.append(getattr(import_module(module), name)())
    return found


def write(file: Path, started: Started) -> None:
    """Put the file in place whole, for its owner alone. Raises `OSError`."""
    before = os.umask(0o077)
    try:
        with whole_file(file) as stream:
            stream.write(msgspec.json.encode(started))
    finally:
        os.umask(before)


def _wait(ending: int, stdin: int | None, seconds: float) -> None:
    """Until a signal comes, stdin closes, or the time is over."""
    deadline = time.monotonic() + seconds
    with selectors.PollSelector() as selector:  # unlike epoll it takes files too
        selector.register(ending, selectors.EVENT_READ)
        if stdin is not None:
            selector.register(stdin, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if key.fd == ending or not os.read(key.fd, 4_096):
                    return


if __name__ == "__main__":
    sys.exit(main())
