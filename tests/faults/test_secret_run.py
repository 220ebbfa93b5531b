"""A program that is given secrets: its exit code, its signals, and what it is given."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.secret_runs import LISTENS, Runs, alive, descendants, eventually, read_until, state

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc"),
]

PYTHON = sys.executable


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


# How it ends


@pytest.mark.parametrize("mask", ["on", "off"])
@pytest.mark.parametrize("code", [0, 1, 2, 3, 9, 42, 75, 126, 127, 128, 130, 143, 255])
def test_exit_codes_are_kept(runs: Runs, code: int, mask: str) -> None:
    assert runs.run("sh", "-c", f"exit {code}", mask=mask).returncode == code


@pytest.mark.parametrize("number", [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 13, 14, 15, 31])
def test_a_signal_that_ends_it_is_told_as_shells_do(runs: Runs, number: int) -> None:
    done = runs.run("sh", "-c", f"kill -{number} $$", options={"preexec_fn": _no_core_file})
    assert done.returncode == 128 + number


def _no_core_file() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("no-such-program-here", 127, "there is no program"),
        ("./nowhere/program", 127, "there is no program"),
        ("/etc/passwd", 126, "Permission denied"),
        ("/tmp", 126, "Permission denied"),  # noqa: S108
        ("./no-interpreter", 126, "has no interpreter"),
        ("./no-format", 126, "has no interpreter"),
    ],
)
def test_what_cannot_be_started_ends_as_in_a_shell(
    runs: Runs, tmp_path: Path, program: str, code: int, said: str
) -> None:
    for name, text in (("no-interpreter", "#!/no/such/thing\n"), ("no-format", "echo hi\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    done = runs.run(program, options={"cwd": tmp_path}, files={"KEY": "content"})
    assert done.returncode == code
    assert said in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert not list(runs.runtime.iterdir())


@pytest.mark.parametrize(
    ("env", "code", "said"),
    [
        ({"BIG": "x" * 200_000}, 126, "BIG is larger than a variable may be"),
        ({f"V{n}": "x" * 100_000 for n in range(40)}, 126, "too large together"),
        ({"NUL": "canary-of-nul\0x"}, 3, "'NUL' cannot stand in an environment"),
        ({"HALF": "canary-of-half\ud800"}, 3, "'HALF' cannot stand in an environment"),
        ({"A=B": "canary-of-name"}, 3, "cannot stand in an environment"),
    ],
)
def test_an_environment_that_cannot_be_is_said_without_its_values(
    runs: Runs, env: dict[str, str], code: int, said: str
) -> None:
    done = runs.run("true", env={"PATH": os.environ["PATH"], **env}, files={"KEY": "content"})
    assert done.returncode == code
    assert said in done.stderr.decode()
    assert b"canary" not in done.stderr + done.stdout
    assert not list(runs.runtime.iterdir())


def test_a_mask_that_breaks_ends_the_program_and_removes_its_files(runs: Runs) -> None:
    with runs.started("sh", "-c", "echo $$; exec cat", files={"KEY": "content"}, mask="broken") as process:
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert b"a fault in the mask" in process.stderr.read()
    assert not list(runs.runtime.iterdir())
    assert not descendants(process.pid)


# Signals


def _line_of_two_numbers(descriptor: int) -> list[bytes]:
    seen = b""
    while not (found := re.search(rb"(?m)^(\d+) (\d+)$", seen)):
        seen += read_until(descriptor, b"\n")
    return list(found.groups())


TELLS = f"""{LISTENS}
got = 0
for number in listen(1, 2, 3, 10, 12, 15):
    os.write(2, b"got %d\\n" % number)
    got += 1
sys.exit(100 + got)
"""


@pytest.mark.parametrize("handlers", [False, True])
@pytest.mark.parametrize("mask", ["on", "off"])
@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGTERM"])
def test_a_signal_reaches_it_once(runs: Runs, name: str, mask: str, handlers: bool) -> None:
    number = signal.Signals[name]
    with runs.started(PYTHON, "-c", TELLS, mask=mask, handlers=handlers) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        read_until(process.stderr.fileno(), b"\n")
        process.send_signal(number)
        read_until(process.stderr.fileno(), b"got %d\n" % number)
        process.stdin.close()
        assert process.wait(20) == 101


def test_many_signals_all_arrive(runs: Runs) -> None:
    with runs.started(PYTHON, "-c", TELLS) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        read_until(process.stderr.fileno(), b"\n")
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR2):
            process.send_signal(number)
            read_until(process.stderr.fileno(), b"got %d\n" % number)
        process.stdin.close()
        assert process.wait(20) == 104


@pytest.mark.parametrize("handlers", [False, True])
def test_stopping_and_going_on(runs: Runs, handlers: bool) -> None:
    with runs.started(PYTHON, "-c", TELLS, handlers=handlers) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        child = int(read_until(process.stderr.fileno(), b"\n").split()[1])
        process.send_signal(signal.SIGTSTP)
        eventually(lambda: state(child) == "T" and state(process.pid) == "T")
        process.send_signal(signal.SIGCONT)
        eventually(lambda: state(child) == "S" and state(process.pid) == "S")
        process.stdin.close()
        assert process.wait(20) == 100


def test_a_signal_that_was_ignored_stays_so(runs: Runs) -> None:
    """As `nohup` has it."""
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    with runs.started("sh", "-c", "echo ready; read line; exit 5", options=ignoring) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        read_until(process.stdout.fileno(), b"ready\n")
        process.send_signal(signal.SIGHUP)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.wait(20) == 5


def test_a_signal_gets_through_while_nobody_reads_the_output(runs: Runs) -> None:
    with runs.started("sh", "-c", 'trap "exit 33" TERM; yes & echo $! $$; wait') as process:
        assert process.stdout is not None
        noisy, shell = (int(one) for one in _line_of_two_numbers(process.stdout.fileno()))
        process.send_signal(signal.SIGTERM)
        eventually(lambda: not alive(shell))
        os.kill(noisy, signal.SIGKILL)
        process.stdout.close()
        assert process.wait(20) == 33


def test_it_has_the_signals_of_any_program(runs: Runs) -> None:
    done = runs.run("grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status")
    plain = subprocess.run(["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"], capture_output=True, check=True)
    assert done.stdout == plain.stdout


# What it is given


def test_it_has_exactly_the_environment_that_was_meant_for_it(runs: Runs) -> None:
    env = {"PATH": os.environ["PATH"], "A": "1", "EMPTY": "", "LINES": "x\ny", "BYTES": "\udcff\udc80é"}
    done = runs.run(PYTHON, "-c", "import os; os.write(1, open('/proc/self/environ', 'rb').read())", env=env)
    pairs = dict(pair.split(b"=", 1) for pair in done.stdout.rstrip(b"\0").split(b"\0"))
    assert pairs == {os.fsencode(name): os.fsencode(value) for name, value in env.items()}


def test_arguments_are_passed_as_they_are(runs: Runs) -> None:
    words = ["${TOKEN}", "$TOKEN", "${environmentVariables.TOKEN}", "a b", "", "'", "\n"]
    done = runs.run(PYTHON, "-c", "import sys; print(sys.argv[1:])", *words)
    assert eval(done.stdout) == words  # noqa: S307 - a list of texts that we asked for


def test_standard_input_is_ours(runs: Runs) -> None:
    data = os.urandom(300_000)
    with runs.started("wc", "-c") as process:
        out, _ = process.communicate(data, timeout=20)
    assert out.split() == [b"300000"]


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_do_no_harm(runs: Runs, tmp_path: Path, closed: tuple[int, ...]) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    command = f"cat; echo out; echo err >&2; echo done > {tmp_path}/done; exit 6"
    done = runs.run("sh", "-c", command, options={"preexec_fn": close})
    assert done.returncode == 6
    assert (tmp_path / "done").read_text() == "done\n"
    assert done.stdout == (b"" if 1 in closed else b"out\n")
    assert done.stderr == (b"" if 2 in closed else b"err\n")


def test_core_dumps_are_off_for_us_and_as_before_for_it(runs: Runs) -> None:
    import resource

    def allow() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (4096, resource.getrlimit(resource.RLIMIT_CORE)[1]))

    after = "import resource, ctypes; print('us', resource.getrlimit(4)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    program = "import resource, ctypes; print('it', resource.getrlimit(4)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("core dumps are forbidden altogether here")
    done = runs.run(PYTHON, "-c", program, after=after, options={"preexec_fn": allow})
    assert done.stdout.splitlines() == [b"it 4096 1", b"us 0 0"]
