"""The ledger of runs when writers are killed in the middle, and when PostgreSQL's server goes away."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import DiskFull, Locked, StoreError, Unreachable
from sophiactl.runs.base import Call, RunsConfig
from sophiactl.runs.opening import open_ledger
from sophiactl.runs.stats import route_stats
from tests.postgres_server import PASSWORD, PostgresServer, shut_down, start_server
from tests.run_ledgers import ENV, EVERYTHING, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sophiactl.runs.base import RunLedger

pytestmark = pytest.mark.fault

PROCESSES, RUNS, CALLS = 20, 50, 3

# Says each id on stdout once the ledger has acknowledged it. Costs are eighths: their sums are exact.
WRITER = """
import os, sys
from pathlib import Path
from sophiactl.runs.base import Call, Run, RunsConfig
from sophiactl.runs.opening import open_ledger

folder, url, part, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.write(1, b"ready\\n")
sys.stdin.readline()
ledger = open_ledger(RunsConfig(url=url), folder, os.environ)
for number in range(count):
    calls = tuple(Call(f"m{n}", "p", cost=0.125, latency=0.5, input_tokens=number) for n in range(3))
    name = f"{part:02}-{number:02}"
    details = {"n": number}
    ledger.record(Run(name, "route", "2026-11-22T12:00:00Z", cost=0.375, details=details, calls=calls))
    os.write(1, f"{name}\\n".encode())
ledger.close()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that these tests may kill; it runs when each begins."""
    running = start_server()
    yield running
    shut_down(running)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("server").new_database() if request.param == "postgres" else ""


class Writer:
    """A process that writes, once it is told to go."""

    def __init__(self, folder: Path, url: str, part: int) -> None:
        command = [sys.executable, "-c", WRITER, str(folder), url, str(part), str(RUNS)]
        pipe = subprocess.PIPE
        # Without buffers of ours, in which lines would be lost to `communicate`.
        self.process = subprocess.Popen(
            command, env={**os.environ, **ENV}, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0
        )

    def ready(self) -> None:
        assert self._line() == b"ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    def kill_after(self, lines: int) -> list[str]:
        """Wait for so many acknowledged runs, kill -9, and give all that it has acknowledged by then."""
        seen = [self._line() for _ in range(lines)]
        self.process.send_signal(signal.SIGKILL)
        out, _ = self.process.communicate(timeout=60)
        return [line.decode().strip() for line in [*seen, *out.splitlines(keepends=True)] if line.endswith(b"\n")]

    def acknowledged(self) -> list[str]:
        out, error = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, error.decode()
        return out.decode().split()

    def _line(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture
def writers(tmp_path: Path, url: str) -> Iterator[list[Writer]]:
    started = [Writer(tmp_path, url, part) for part in range(PROCESSES)]
    yield started
    for writer in started:
        writer.process.kill()
        writer.process.communicate()


def test_twenty_processes_write_at_once_and_one_is_killed(writers: list[Writer], tmp_path: Path, url: str) -> None:
    for writer in writers:
        writer.ready()
    for writer in writers:
        writer.go()
    victim = random.choice(writers)
    killed = victim.kill_after(random.randrange(1, RUNS - 5))
    acknowledged = {name for writer in writers if writer is not victim for name in writer.acknowledged()}
    assert len(acknowledged) == (PROCESSES - 1) * RUNS

    ledger = open_ledger(RunsConfig(url=url), tmp_path, ENV)
    found = list(ledger.scan(EVERYTHING))
    names = {item.id for item in found}
    # The victim may have been killed between the commit and the word about it: one run more, and that whole.
    assert acknowledged | set(killed) <= names
    assert len(names - acknowledged - set(killed)) <= 1
    assert all(len(item.calls) == CALLS and item.calls[0].input_tokens == item.details["n"] for item in found)
    assert ledger.spent("2026-01-01") == 0.375 * len(found)
    figures = route_stats(found)
    assert (figures.requests, figures.cost, figures.calls) == (len(found), 0.375 * len(found), 3 * len(found))
    ledger.record(run("after"))
    ledger.close()


def test_replacing_is_never_seen_half_done(tmp_path: Path, url: str) -> None:
    """One process replaces a run again and again while this one reads it."""
    program = WRITER.replace('f"{part:02}-{number:02}"', '"same"').replace("range(3)", "range(number % 7)")
    command = [sys.executable, "-c", program, str(tmp_path), url, "0", "300"]
    ledger = open_ledger(RunsConfig(url=url), tmp_path, ENV)
    with subprocess.Popen(command, env={**os.environ, **ENV}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.flush()
        seen = set()
        while writer.poll() is None:
            found = ledger.get("same")
            if found is not None:
                assert [call.input_tokens for call in found.calls] == [found.details["n"]] * (found.details["n"] % 7)
                seen.add(found.details["n"])
    assert writer.returncode == 0
    assert len(seen) > 1
    ledger.close()


class TestPostgres:
    @pytest.fixture
    def ledger(self, server: PostgresServer, tmp_path: Path) -> Iterator[RunLedger]:
        opened = open_ledger(RunsConfig(url=server.new_database()), tmp_path, ENV)
        yield opened
        opened.close()

    def test_a_server_that_comes_back_goes_unnoticed(self, server: PostgresServer, ledger: RunLedger) -> None:
        ledger.record(run("a", calls=(Call("m", "p"),)))
        server.kill()
        server.start()
        ledger.record(run("b"))
        server.kill()
        server.start()
        assert [item.id for item in ledger.scan(EVERYTHING)] == ["a", "b"]
        assert len(ledger.runs(EVERYTHING)[1].calls) == 1

    def test_a_server_that_stays_away_is_said_and_then_found_again(
        self, server: PostgresServer, ledger: RunLedger
    ) -> None:
        ledger.record(run("a"))
        server.kill()
        try:
            for _ in range(2):
                with pytest.raises(Unreachable) as caught:
                    ledger.record(run("b"))
                assert PASSWORD not in f"{caught.value} {caught.value.__cause__}"
                assert caught.value.hint
        finally:
            server.start()
        assert ledger.count(EVERYTHING) == 1

    def test_a_connection_cut_between_two_pages(self, server: PostgresServer, ledger: RunLedger) -> None:
        for number in range(6):
            ledger.record(run(f"{number}"))
        scan = ledger.scan(EVERYTHING, page=2)
        first = next(scan).id
        self.cut(server)
        assert [first, *(item.id for item in scan)] == [str(number) for number in range(6)]

    def test_a_connection_cut_inside_a_transaction(
        self, server: PostgresServer, ledger: RunLedger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sophiactl.runs import postgres

        many, cuts = postgres._Session.many, iter([True])

        def cut_once(session: Any, statement: str, rows: Any) -> None:
            if next(cuts, False):
                self.cut(server)
            many(session, statement, rows)

        monkeypatch.setattr(postgres._Session, "many", cut_once)
        whole = run("a", calls=(Call("m", "p"), Call("n", "p")))
        ledger.record(whole)
        assert ledger.get("a") == whole

    def test_a_lock_that_is_held_too_long(
        self, server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import psycopg

        from sophiactl.runs import postgres

        monkeypatch.setattr(postgres, "_LIMITS", "SET lock_timeout = '50ms'")
        url = server.new_database()
        ledger = open_ledger(RunsConfig(url=url), tmp_path, ENV)
        ledger.record(run("a"))
        with psycopg.connect(url, password=PASSWORD) as other:
            other.execute("LOCK TABLE runs")
            with pytest.raises(Locked):
                ledger.record(run("b"))
        ledger.record(run("b"))
        assert ledger.count(EVERYTHING) == 2
        ledger.close()

    def test_states_that_no_test_can_bring_about_have_their_class(self) -> None:
        from psycopg import errors

        from sophiactl.errors import AuthError, DeadlineExceeded
        from sophiactl.runs.postgres_errors import translated

        expected = {
            errors.DiskFull: DiskFull,
            errors.QueryCanceled: DeadlineExceeded,
            errors.DeadlockDetected: Locked,
            errors.TooManyConnections: Unreachable,
            errors.CannotConnectNow: Unreachable,
            errors.InvalidPassword: AuthError,
            errors.UntranslatableCharacter: StoreError,
        }
        for kind, ours in expected.items():
            found = translated(kind(f"words with {PASSWORD}"), "here", password=PASSWORD, password_name="NAME")  # noqa: S106
            assert type(found) is ours
            assert PASSWORD not in str(found)

    @staticmethod
    def cut(server: PostgresServer) -> None:
        server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND application_name = 'sophiactl'"
        )
