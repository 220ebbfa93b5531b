"""Output of a program that is given secrets: masked wherever it is cut, else as it was, and in time."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.secret_runs import PEM, TOKEN, Runs, alive, eventually, read_until

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


def test_binary_output_is_not_touched(runs: Runs) -> None:
    program = (
        "import os, sys; sys.stdout.buffer.write(bytes(range(256)) * 4000); os.write(2, bytes(range(255, -1, -1)))"
    )
    done = runs.run(PYTHON, "-c", program, secrets=["Zq9-secret-that-does-not-occur"])
    assert done.stdout == bytes(range(256)) * 4000
    assert done.stderr == bytes(range(255, -1, -1))


FORMS = {
    "raw": TOKEN,
    "percent": quote(TOKEN, safe=""),
    "base64": base64.b64encode(TOKEN.encode()).decode(),
    "base64-inside": base64.b64encode(b"user:" + TOKEN.encode()).decode()[8:],
    "hex": TOKEN.encode().hex(),
    "pem": PEM,
    "pem-crlf": PEM.replace("\n", "\r\n"),
    "pem-json": PEM.replace("\n", "\\n"),
    "pem-line": PEM.splitlines()[3],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", [1, 2])
def test_a_secret_written_byte_by_byte_is_masked(runs: Runs, form: str, where: int) -> None:
    program = f"""
import os, sys
for byte in b"before " + {FORMS[form]!r}.encode() + b" after\\n":
    os.write({where}, bytes([byte]))
"""
    done = runs.run(PYTHON, "-c", program, secrets=[TOKEN, PEM])
    shown = done.stdout if where == 1 else done.stderr
    assert shown.startswith(b"before ")
    assert shown.endswith(b" after\n")
    for size in (6, 8, 12):
        pieces = {FORMS[form][at : at + size] for at in range(0, len(FORMS[form]) - size, size)}
        assert not [piece for piece in pieces if piece.strip("-\r\n") == piece and piece.encode() in shown]


def test_an_environment_that_is_printed_is_masked(runs: Runs) -> None:
    done = runs.run(
        "env", env={"PATH": os.environ["PATH"], "TOKEN": TOKEN, "KEY": PEM, "HARMLESS": "shown"}, secrets=[TOKEN, PEM]
    )
    assert b"HARMLESS=shown" in done.stdout
    assert TOKEN.encode() not in done.stdout
    assert b"MIIEvQ" not in done.stdout


def test_without_a_mask_all_is_as_it_was(runs: Runs) -> None:
    done = runs.run("sh", "-c", "echo $TOKEN; echo $TOKEN >&2", mask="off")
    assert done.stdout == done.stderr == TOKEN.encode() + b"\n"


def test_one_place_for_both_keeps_their_order(runs: Runs) -> None:
    program = "i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"
    done = runs.run("sh", "-c", program, options={"stderr": subprocess.STDOUT})
    assert done.stdout.decode().splitlines() == [f"{kind} {n}" for n in range(300) for kind in ("out", "err")]


def test_a_prompt_without_line_end_appears_at_once(runs: Runs) -> None:
    with runs.started(
        "sh", "-c", 'printf "Password for %s: " "$USER"; read answer; echo got $answer', secrets=[TOKEN, PEM]
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        read_until(process.stdout.fileno(), b": ", seconds=5)
        process.stdin.write(b"yes\n")
        process.stdin.flush()
        read_until(process.stdout.fileno(), b"got yes\n", seconds=5)
        assert process.wait(20) == 0


def test_what_it_leaves_in_the_background_is_not_waited_for(runs: Runs) -> None:
    began = time.monotonic()
    with runs.started("sh", "-c", "sleep 60 & echo started; exit 4") as process:
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 4
    assert out == b"started\n"
    assert time.monotonic() - began < 5


def test_all_that_it_wrote_is_there_although_nobody_read_it_before_its_end(runs: Runs, tmp_path: Path) -> None:
    program = f"import sys; sys.stdout.write('x' * 50_000 + 'last'); sys.stdout.flush(); open('{tmp_path}/end', 'w')"
    with runs.started("sh", "-c", f'sleep 60 & exec {PYTHON} -c "{program}"') as process:
        assert process.stdout is not None
        eventually((tmp_path / "end").exists)
        assert process.stdout.read() == b"x" * 50_000 + b"last"


def test_a_background_program_that_never_stops_writing_does_not_hold_us(runs: Runs) -> None:
    began = time.monotonic()
    done = runs.run("sh", "-c", "yes & echo $! >&2; exit 5", options={"stdout": subprocess.DEVNULL})
    assert done.returncode == 5
    assert time.monotonic() - began < 15
    eventually(lambda: not alive(int(done.stderr)))  # of SIGPIPE


def test_a_reader_that_is_gone_ends_it_as_ever(runs: Runs) -> None:
    with runs.started("yes") as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"y\n")
        process.stdout.close()
        assert process.wait(20) == 128 + signal.SIGPIPE
