"""A program that is given secrets on a terminal: it has one too, and ours is as it was afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.secret_runs import LISTENS, TOKEN, Runs, alive, command_lines, descendants, eventually, read_until, state

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc"),
]

PYTHON = sys.executable


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


class Screen:
    """What a person at a terminal has: a shell's session with one job in its foreground, keys and a screen."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid, self.descriptor = pid, descriptor

    def until(self, wanted: bytes, seconds: float = 20) -> bytes:
        return read_until(self.descriptor, wanted, seconds)

    def keys(self, typed: bytes) -> None:
        os.write(self.descriptor, typed)

    def size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def attributes(self) -> list[Any]:
        return termios.tcgetattr(self.descriptor)

    def job(self) -> int:
        """The process of ours that the shell started."""
        eventually(lambda: descendants(self.pid))
        return descendants(self.pid)[0]


# As a shell with job control: its job has a group of its own and the terminal; stopped, it goes on at Enter.
SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    for redirect in filter(None, sys.argv[1].split(",")):
        number, path = redirect.split(":")
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), int(number))
    os.execv(sys.argv[2], sys.argv[2:])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        break
    os.tcsetpgrp(0, os.getpgrp())
    print("stopped", flush=True)
    sys.stdin.readline()
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
os.tcsetpgrp(0, os.getpgrp())
print("ended", os.waitstatus_to_exitcode(status), flush=True)
sys.stdin.readline()
"""


@contextmanager
def screen(runs: Runs, *command: str, redirected: str = "", **job: Any) -> Iterator[Screen]:
    words = runs.words(*command, **job)
    env = runs.env
    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(PYTHON, [PYTHON, "-c", SHELL, redirected, *words], env)  # noqa: S606
    try:
        yield Screen(pid, descriptor)
    finally:
        for one in (*descendants(pid), pid):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        os.close(descriptor)
        os.waitpid(pid, 0)


LOOKS = """
import os, sys
print("terminal", [os.isatty(number) for number in (0, 1, 2)], os.get_terminal_size(1), os.tcgetpgrp(0) == os.getpgrp())
print("token", os.environ["TOKEN"])
"""


def test_it_has_a_terminal_of_our_size_and_is_masked(runs: Runs) -> None:
    with screen(runs, "sh", "-c", f"read start; {PYTHON} -c '{LOOKS}'; exit 5", secrets=[TOKEN]) as seen:
        seen.size(33, 111)
        before = seen.attributes()
        eventually(lambda: not seen.attributes()[3] & termios.ICANON)
        seen.keys(b"go\r")
        shown = seen.until(b"ended 5")
        assert b"terminal [True, True, True] os.terminal_size(columns=111, lines=33) True\r\n" in shown
        assert b"token [redacted]\r\n" in shown
        assert TOKEN.encode() not in shown
        assert seen.attributes() == before


def test_a_new_size_is_told(runs: Runs) -> None:
    program = f"""{LISTENS}
for _ in listen(signal.SIGWINCH):
    os.write(1, b"now %d %d\\n" % os.get_terminal_size(1))
"""
    with screen(runs, PYTHON, "-c", program) as seen:
        seen.until(b"ready")
        seen.size(44, 122)
        seen.until(b"now 122 44")
        seen.keys(b"end\r")
        seen.until(b"ended 0")


def test_what_is_typed_is_shown_once_and_arrives(runs: Runs) -> None:
    with screen(runs, "sh", "-c", 'printf "name: "; read name; echo "<$name>"') as seen:
        seen.until(b"name: ")
        seen.keys(b"wrong\x15right\r")
        shown = seen.until(b"ended 0")
        assert shown.count(b"right") == 2
        assert b"<right>" in shown


def test_a_password_is_not_shown(runs: Runs) -> None:
    with screen(runs, PYTHON, "-c", "import getpass; print(len(getpass.getpass('pass: ')))") as seen:
        seen.until(b"pass: ")
        eventually(lambda: not seen.attributes()[3] & termios.ICANON)
        seen.keys(b"hidden-word\r")
        shown = seen.until(b"ended 0")
        assert b"11" in shown
        assert b"hidden" not in shown


@pytest.mark.parametrize(("key", "number"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
@pytest.mark.parametrize("piped", [False, True])
def test_a_key_that_interrupts_reaches_it_once(runs: Runs, key: bytes, number: int, piped: bool) -> None:
    """Also where only our errors are on the terminal, and it shares our group."""
    program = f"""{LISTENS}
got = []
for number in listen({int(number)}):
    got.append(number)
    os.write(2, b"got it\\n")
sys.exit(10 * len(got) + got[0])
"""
    with screen(runs, PYTHON, "-c", program, redirected="1:/dev/null" if piped else "") as seen:
        seen.until(b"ready")
        seen.keys(key)
        seen.until(b"got it")
        seen.keys(b"\r")
        seen.until(b"ended %d" % (10 + number))


@pytest.mark.parametrize("piped", [False, True])
def test_ctrl_z_stops_both_and_they_go_on(runs: Runs, piped: bool) -> None:
    program = """
import os, sys
os.write(2, b"ready\\n")
sys.stdin.readline()
os.write(2, b"went on\\n")
"""
    with screen(runs, PYTHON, "-c", program, redirected="1:/dev/null" if piped else "") as seen:
        before = seen.attributes()
        seen.until(b"ready")
        job = seen.job()
        (child,) = descendants(job)
        seen.keys(b"\x1a")
        seen.until(b"stopped")
        eventually(lambda: state(job) == state(child) == "T")
        assert seen.attributes()[3] == before[3], "the terminal is not as it was while we are stopped"
        seen.keys(b"\r")
        eventually(lambda: state(job) == "S" and state(child) == "S")
        seen.keys(b"\r")
        seen.until(b"went on")
        seen.until(b"ended 0")


def is_in_front(process: int) -> bool:
    """Whether it is `sleep` itself, not the fork that becomes it, and its group the terminal's foreground one."""
    name, _, facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")
    _, _, group, _, _, front, *_ = facts.split()
    return name.endswith("(sleep") and group == front


def test_a_shell_in_it_has_its_own_jobs(runs: Runs) -> None:
    """There Ctrl-Z stops the shell's job, not the shell."""
    with screen(
        runs,
        "bash",
        "--norc",
        "-i",
        env={"PATH": os.environ["PATH"], "TOKEN": TOKEN, "PS1": "ready$ "},
        secrets=[TOKEN],
    ) as seen:
        seen.until(b"ready$ ")
        seen.keys(b"sleep 60\r")
        job = seen.job()
        (child,) = descendants(job)
        # Only once the job has the terminal does Ctrl-Z reach it and not the shell, which ignores it.
        eventually(lambda: any(map(is_in_front, descendants(child))))
        seen.keys(b"\x1a")
        seen.until(b"Stopped")
        seen.keys(b"kill -9 %1; echo $TOKEN; disown; exit 9\r")
        shown = seen.until(b"ended 9")
        assert b"[redacted]" in shown
        assert TOKEN.encode() not in shown


@pytest.mark.parametrize("redirected", ["0:/dev/null", "2:{folder}/errors", "0:/dev/null,2:{folder}/errors"])
def test_only_what_is_a_terminal_becomes_one(runs: Runs, tmp_path: Path, redirected: str) -> None:
    program = (
        "import os; print([os.isatty(number) for number in (0, 1, 2)]); os.write(2, b'token ' + os.environb[b'TOKEN'])"
    )
    with screen(runs, PYTHON, "-c", program, redirected=redirected.format(folder=tmp_path), secrets=[TOKEN]) as seen:
        shown = seen.until(b"ended 0")
        assert str(["0:" not in redirected, True, "2:" not in redirected]).encode() in shown
        if "2:" in redirected:
            assert (tmp_path / "errors").read_bytes() == b"token [redacted]"
        else:
            assert b"token [redacted]" in shown


def test_no_terminal_where_our_output_is_none(runs: Runs, tmp_path: Path) -> None:
    program = "import os; print([os.isatty(number) for number in (0, 1, 2)])"
    with screen(runs, PYTHON, "-c", program, redirected=f"1:{tmp_path}/out") as seen:
        seen.until(b"ended 0")
        assert (tmp_path / "out").read_text() == "[True, False, False]\n"


@pytest.mark.parametrize("wanted", [True, False])
def test_a_terminal_is_made_or_not_as_asked_for(runs: Runs, wanted: bool) -> None:
    done = runs.run("sh", "-c", "test -t 1 && echo yes || echo no", pty=wanted)
    assert done.stdout.strip() == (b"yes" if wanted else b"no")


def test_the_terminal_is_as_it_was_after_a_signal(runs: Runs) -> None:
    with screen(runs, "sh", "-c", "echo ready; exec sleep 60") as seen:
        before = seen.attributes()
        seen.until(b"ready")
        eventually(lambda: not seen.attributes()[3] & termios.ICANON)
        os.kill(seen.job(), signal.SIGTERM)
        seen.until(b"ended 143")
        assert seen.attributes() == before


def test_it_ends_when_the_terminal_is_closed(runs: Runs) -> None:
    with screen(runs, "sh", "-c", "echo ready; exec sleep 60", files={"KEY": "x"}) as seen:
        seen.until(b"ready")
        job = seen.job()
        eventually(lambda: any(words.startswith("sleep") for _, words in _children(job)))
        (child,) = [pid for pid, words in _children(job) if words.startswith("sleep")]
        os.close(seen.descriptor)
        seen.descriptor = os.open(os.devnull, os.O_RDWR)
        eventually(lambda: not alive(child) and not alive(job))
        eventually(lambda: not list(runs.runtime.iterdir()))
        os.dup2(os.open(os.devnull, os.O_RDWR), seen.descriptor)


def _children(pid: int) -> list[tuple[int, str]]:
    words = command_lines()
    return [(one, words[one]) for one in descendants(pid) if one in words and "guard" not in words[one]]
