"""The real `run_child` in a process of its own, told what to do by a file."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "xoxb-1234567890-abcdefghijkl"  # noqa: S105
PEM = "-----BEGIN PRIVATE KEY-----\n" + "".join(f"MIIEvQIBADANBgkqhkiG9w0BAQE{n:02}FAASCBK\n" for n in range(9))
PEM += "-----END PRIVATE KEY-----\n"

DRIVER = """
import json, os, sys
from sophiactl.errors import SophiaError
from sophiactl.redaction import Redactor
from sophiactl.secrets.running import NotStarted, child, run_child, signals

job = json.load(open(sys.argv[1]))
redactor = Redactor(*job["secrets"])
if job["handlers"]:
    child.watch_signals = signals._Handlers

class Broken:
    def feed(self, data):
        raise RuntimeError("a fault in the mask")

mask = {"on": redactor.stream, "off": None, "broken": Broken}[job["mask"]]
try:
    code = run_child(sys.argv[2:], env=job["env"], files=job["files"], mask=mask, pty=job["pty"])
except NotStarted as error:
    print(f"error: {error.message} | {error.hint}", file=sys.stderr)
    code = error.status
except SophiaError as error:
    print(f"error: {error.message} | {error.hint}", file=sys.stderr)
    code = 3
if job["after"]:
    exec(job["after"])
sys.exit(code)
"""


LISTENS = """
import os, select, signal, sys

heard, wake = os.pipe()
os.set_blocking(wake, False)
signal.set_wakeup_fd(wake)

def listen(*numbers):
    'Signals as they come, until something is read or the input ends; a handler alone may be late for a read.'
    for number in numbers:
        signal.signal(number, lambda *_: None)
    os.write(2, b"ready %d\\n" % os.getpid())
    while True:
        ready, _, _ = select.select([heard, 0], [], [])
        if heard in ready:
            yield from os.read(heard, 64)
        else:
            os.read(0, 1000)
            return
"""


class Runs:
    """Starts the driver; `runtime` is where it puts files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.runtime = folder / "runtime"
        self.runtime.mkdir(mode=0o700)
        self._count = 0

    def words(self, *command: str, **job: Any) -> list[str]:
        """The command line that runs `command` by the driver."""
        self._count += 1
        path = self._folder / f"job{self._count}.json"
        own = {"PATH": os.environ["PATH"], "TOKEN": TOKEN}
        usual: dict[str, Any] = {"env": own, "files": {}, "secrets": [], "mask": "on", "pty": None, "after": ""}
        path.write_text(json.dumps({"handlers": False, **usual, **job}))
        return [sys.executable, "-c", DRIVER, str(path), *command]

    @property
    def env(self) -> dict[str, str]:
        """The driver's own environment."""
        return {**os.environ, "XDG_RUNTIME_DIR": str(self.runtime), "PYTHONPATH": str(Path(__file__).parents[1])}

    def run(
        self, *command: str, options: dict[str, Any] | None = None, **job: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run to the end."""
        words = self.words(*command, **job)
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.run(words, env=self.env, timeout=60, check=False, **{**streams, **(options or {})})

    @contextmanager
    def started(
        self, *command: str, options: dict[str, Any] | None = None, **job: Any
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start it in a process group of its own; nothing of it is left at the end."""
        words = self.words(*command, **job)
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE}
        with subprocess.Popen(words, env=self.env, process_group=0, **{**streams, **(options or {})}) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def read_until(descriptor: int, wanted: bytes, seconds: float = 20) -> bytes:
    """What comes until `wanted` is there; what came is in the message when it does not."""
    seen = b""
    end = time.monotonic() + seconds
    while wanted not in seen:
        ready, _, _ = select.select([descriptor], [], [], max(end - time.monotonic(), 0))
        assert ready, f"{wanted!r} did not come, only {seen!r}"
        try:
            piece = os.read(descriptor, 65_536)
        except OSError:
            piece = b""
        assert piece, f"the end came before {wanted!r}: {seen!r}"
        seen += piece
    return seen


def eventually(check: Any, seconds: float = 10) -> None:
    """Wait until `check` is true."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not check():
        assert time.monotonic() < end, "it did not come about"
        pause.wait(0.01)


def state(pid: int) -> str:
    """The state of a process as one letter, empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    """Whether it runs; one that nobody has waited for yet does not."""
    return state(pid) not in {"", "Z", "X"}


def command_lines() -> dict[int, str]:
    """All processes with their words."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def descendants(pid: int) -> list[int]:
    """The processes that this one started and that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == pid and alive(int(folder.name)):
                found.append(int(folder.name))
    return found
