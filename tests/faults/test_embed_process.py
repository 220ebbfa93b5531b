"""`embed` as a process: killed, interrupted, started twice, out of room."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.fault

_WORDS = """
renewal contract budget customer invoice pipeline forecast meeting quarter Berlin pricing security audit migration
database backup incident owner deadline approval vendor discount roadmap hiring onboarding support ticket latency
"""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough text to be embedding for some seconds, the same on every run."""
    folder = tmp_path_factory.mktemp("corpus")
    chance = random.Random(7)
    for number in range(30):
        parts = [f"# Report {number}"]
        for section in range(14):
            text = " ".join(chance.choices(_WORDS.split(), k=130))
            parts.append(f"## Part {section}\n\nReport {number} part {section}: {text}.")
        (folder / f"report{number:02}.md").write_text("\n\n".join(parts) + "\n")
    return folder


def facts(program: Any) -> list[tuple[object, ...]]:
    """The memory's content; `rev` may count an interrupted write twice."""
    rows = program.data("memory", "export")["memories"]
    return sorted((row["id"], row["text"], row["source"], row["position"], str(row["locator"])) for row in rows)


def answer(program: Any) -> tuple[str, list[str]]:
    final = program.data("ask", "What does report 7 part 3 say of the audit?")
    return final["answer"], [citation["id"] for citation in final["citations"]]


def hits(program: Any) -> list[tuple[str, float]]:
    found = program.data("search", "vendor discount approval", "-k", "50")["hits"]
    return [(hit["record"]["id"], round(hit["score"], 3)) for hit in found]


def test_ten_kills_at_random_moments_end_like_an_undisturbed_run(
    make_program: Callable[[str], Any], corpus: Path
) -> None:
    calm, rough = make_program("calm"), make_program("rough")
    began = time.monotonic()
    assert calm.run("embed", str(corpus)).returncode == 0
    span = time.monotonic() - began
    chance = random.Random()
    acknowledged: set[object] = set()
    for _ in range(10):
        process = rough.start("embed", str(corpus), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=chance.uniform(0.1, span * 0.6))
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        if (rough.home / "state" / "memory" / "main" / "collection.json").exists():
            now = {row[0] for row in facts(rough)}
            assert acknowledged <= now, "a passage that was there is gone"
            acknowledged = now
    done = rough.data("embed", str(corpus))
    assert done["passages"] == len(facts(calm))
    assert facts(rough) == facts(calm)
    assert hits(rough) == hits(calm)
    assert answer(rough) == answer(calm)
    assert rough.data("embed", str(corpus))["written"] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_job_says_so_and_goes_on_later(program: Any, corpus: Path, number: signal.Signals) -> None:
    process = program.start("embed", str(corpus), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ledger = program.home / "state" / "jobs" / "main.db"
    deadline = time.monotonic() + 60
    while not ledger.exists() and process.poll() is None and time.monotonic() < deadline:
        os.sched_yield()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert err.startswith(b"error: ")
    assert b"Traceback" not in err
    assert program.run("embed", str(corpus)).returncode == 0
    assert program.data("embed", "status")["pending"] == 0


def test_a_second_job_names_the_first_and_ends_with_75(program: Any, corpus: Path) -> None:
    first = program.start("embed", str(corpus), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lock = program.home / "state" / "jobs" / "main.lock"
    deadline = time.monotonic() + 60
    while not (lock.exists() and lock.read_bytes()) and time.monotonic() < deadline:
        os.sched_yield()
    second = program.run("embed", str(corpus), "--lock-timeout", "0")
    waiting = program.run("embed", str(corpus), "--lock-timeout", "100")
    assert first.wait() == 0
    assert second.returncode == 75
    assert f"pid {first.pid}" in second.stderr.decode()
    assert "sophiactl embed" in second.stderr.decode()
    assert waiting.returncode == 0
    assert program.data("embed", "status")["pending"] == 0


def test_questions_are_answered_while_a_job_runs(program: Any, corpus: Path) -> None:
    (corpus.parent / "first.md").write_text("The vault code is kept by the audit team.")
    assert program.run("embed", str(corpus.parent / "first.md")).returncode == 0
    job = program.start("embed", str(corpus), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lock = program.home / "state" / "jobs" / "main.lock"
    deadline = time.monotonic() + 60
    while not (lock.exists() and lock.read_bytes()) and time.monotonic() < deadline:
        os.sched_yield()
    asked = program.run("ask", "Who keeps the vault code?")
    still_running = job.poll() is None
    assert job.wait() == 0
    assert asked.returncode == 0, asked.stderr.decode()
    assert still_running
    assert b"audit team" in asked.stdout


def test_no_room_left_is_said_and_nothing_acknowledged_is_lost(program: Any, corpus: Path) -> None:
    """A limit on file sizes stands for a full disk: both make a write fail half-way."""
    small = corpus / "report00.md"
    assert program.run("embed", str(small)).returncode == 0
    before = facts(program)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    failed = program.run("embed", str(corpus), preexec_fn=limit)
    assert failed.returncode != 0
    assert failed.stderr.startswith(b"error: "), failed.stderr.decode()
    assert b"Traceback" not in failed.stderr
    assert set(before) <= set(facts(program))
    assert program.run("embed", str(corpus)).returncode == 0
    assert len(facts(program)) == program.data("embed", str(corpus))["passages"]
