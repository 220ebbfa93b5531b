"""The process of the made-up company: one at a time, started anew when it is dead, gone when it is told to go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.errors import UpstreamError
from sophiactl.ops.demo import Company, Demo
from sophiactl.paths import Paths
from sophiactl.testing.vendors.company import VENDORS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.conftest import Program

COMMAND = [sys.executable, "-m", "sophiactl.testing.vendors"]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    home = tmp_path / "home"
    made = Demo(Paths(home / "config", home / "state", home / "cache"))
    yield made
    made.stop()
    assert made.running() is None


def answers(company: Company) -> bool:
    """Whether the first service is there: it refuses who has no key."""
    address = next(iter(company.vendors.values())).address
    try:
        urllib.request.urlopen(f"{address}/api/auth.test", timeout=10).close()  # noqa: S310 - loopback
    except urllib.error.HTTPError as error:
        error.close()
    except urllib.error.URLError:
        return False
    return True


class TestDemo:
    def test_is_started_once_and_ends(self, demo: Demo) -> None:
        company, started = demo.start(os.environ)
        assert started
        assert set(company.vendors) == set(VENDORS)
        assert answers(company)
        again, started = demo.start(os.environ)
        assert (again, started) == (company, False)
        assert demo.stop()
        assert not demo.stop()
        assert not answers(company)
        assert not (demo.folder / "vendors.json").exists()

    def test_its_files_are_the_owners_alone(self, demo: Demo) -> None:
        demo.start(os.environ)
        assert (demo.folder / "vendors.json").stat().st_mode & 0o777 == 0o600

    def test_is_no_child_and_has_its_own_session(self, demo: Demo) -> None:
        company, _ = demo.start(os.environ)
        assert os.getsid(company.pid) == company.pid != os.getsid(0)

    def test_is_started_anew_when_it_was_killed(self, demo: Demo) -> None:
        company, _ = demo.start(os.environ)
        os.kill(company.pid, signal.SIGKILL)
        wait_until_gone(demo)
        assert (demo.folder / "vendors.json").exists(), "a killed process leaves its file"
        again, started = demo.start(os.environ)
        assert started
        assert again.pid != company.pid
        assert answers(again)

    def test_is_started_anew_when_its_file_is_damaged(self, demo: Demo) -> None:
        company, _ = demo.start(os.environ)
        (demo.folder / "vendors.json").write_bytes(b"{")
        again, started = demo.start(os.environ)
        assert started
        assert again.pid != company.pid

    def test_another_process_of_that_number_is_left_alone(self, demo: Demo) -> None:
        demo.folder.mkdir(parents=True)
        (demo.folder / "vendors.lock").write_text(f'{{"pid":{os.getpid()},"purpose":"","since":""}}')
        (demo.folder / "vendors.json").write_bytes(msgspec.json.encode(Company(os.getpid(), {})))
        assert demo.running() is None
        assert not demo.stop()

    def test_many_at_once_start_one(self, demo: Demo) -> None:
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: Demo(paths_of(demo)).start(os.environ), range(4)))
        assert len({company.pid for company, _ in made}) == 1
        assert [started for _, started in made].count(True) == 1

    def test_says_why_it_cannot_start(self, demo: Demo) -> None:
        (demo.folder / "vendors.json").mkdir(parents=True)
        with pytest.raises(UpstreamError, match=r"cannot be started: .*vendors\.json"):
            demo.start(os.environ)


class TestModule:
    def test_ends_when_stdin_closes(self, tmp_path: Path) -> None:
        with started(tmp_path) as process:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(20) == 0
        assert not (tmp_path / "vendors.json").exists()

    def test_ends_at_sigterm(self, tmp_path: Path) -> None:
        with started(tmp_path) as process:
            process.terminate()
            assert process.wait(20) == 0
        assert not (tmp_path / "vendors.json").exists()

    def test_ends_when_its_hours_are_over(self, tmp_path: Path) -> None:
        with subprocess.Popen([*COMMAND, tmp_path, "--hours", "0.0001"], stdin=subprocess.PIPE) as process:
            assert process.wait(30) == 0

    def test_second_one_is_told_of_the_first(self, tmp_path: Path) -> None:
        with started(tmp_path) as process:
            done = subprocess.run(
                [*COMMAND, tmp_path, "--background"], capture_output=True, timeout=30, check=False, text=True
            )
            assert done.returncode == 1
            assert f"in use by `sophiactl init --demo` (pid {process.pid}" in done.stderr
            assert "Traceback" not in done.stderr
            process.terminate()


def test_newcomer_sees_six_services(program: Program, tmp_path: Path) -> None:
    """The whole way: start, read, look, ask, start anew, end."""
    work = tmp_path / "work"
    work.mkdir()
    try:
        made = told(program, work, "init", "--demo")
        assert {one["service"] for one in made["synced"]["services"] if one["new"]} == set(VENDORS)
        secrets = [line.partition("=")[2] for line in (work / ".env.demo").read_text().splitlines()[1:]]
        assert not [value for value in secrets if value in msgspec.json.encode(made).decode()]
        again = told(program, work, "init", "--demo")
        assert (again["pid"], again["started"]) == (made["pid"], False)
        assert sum(one["new"] + one["removed"] for one in again["synced"]["services"]) == 0
        valid = program.run("secrets", "validate", "--profile", "demo", cwd=work)
        assert valid.returncode == 0, valid.stdout.decode()
        found = told(program, work, "connectors", "search", "--profile", "demo", "acme")
        assert {one["service"] for one in found["services"] if one["items"]} == set(VENDORS)
        answer = program.run("ask", "--profile", "demo", "Why is the renewal of Acme Robotics at risk?", cwd=work)
        assert answer.returncode == 0
        assert b"Acme Robotics" in answer.stdout
        assert answer.stdout.count(b"https://") > 1
        assert told(program, work, "init", "--demo", "--stop") == {"stopped": True}
        anew = told(program, work, "init", "--demo")
        assert anew["started"]
        assert sum(one["new"] for one in anew["synced"]["services"]) == 0, "the same story, not a second one"
    finally:
        program.run("init", "--demo", "--stop", cwd=work)


EARLIER = """
import sys
from datetime import timedelta
from sophiactl.clock import utc_now
import sophiactl.testing.vendors.__main__ as vendors

vendors.utc_now = lambda: utc_now() - timedelta(days=3)
sys.exit(vendors.main([sys.argv[1], "--background"]))
"""


def test_company_of_another_day_takes_the_place_of_the_old_one(program: Program, tmp_path: Path) -> None:
    """Slack's ids are times, so that the same story has others when it is told anew: the old ones go."""
    command = [sys.executable, "-c", EARLIER, str(program.home / "state/demo")]
    assert subprocess.run(command, env=program.env, timeout=60, check=False).returncode == 0
    try:
        old = told(program, tmp_path, "init", "--demo")
        told(program, tmp_path, "init", "--demo", "--stop")
        new = told(program, tmp_path, "init", "--demo")
    finally:
        program.run("init", "--demo", "--stop", cwd=tmp_path)
    assert (old["started"], new["started"]) == (False, True)
    slack = next(one for one in new["synced"]["services"] if one["service"] == "slack")
    assert slack["new"] == slack["removed"] == slack["read"] > 0
    others = [one for one in new["synced"]["services"] if one["service"] != "slack"]
    assert [one["service"] for one in others if one["new"] or one["removed"] or not one["changed"]] == []


def told(program: Program, cwd: Path, *words: str) -> Any:
    done = program.run(*words, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout)["data"]


def paths_of(demo: Demo) -> Paths:
    home = demo.folder.parent.parent
    return Paths(home / "config", home / "state", home / "cache")


def wait_until_gone(demo: Demo) -> None:
    pause = threading.Event()
    for _ in range(200):
        if demo.running() is None:
            return
        pause.wait(0.05)
    raise AssertionError("the process is still there")


def started(folder: Path) -> subprocess.Popen[bytes]:
    """The module in the foreground, once its file is there."""
    process = subprocess.Popen([*COMMAND, folder], stdin=subprocess.PIPE)
    pause = threading.Event()
    for _ in range(400):
        if (folder / "vendors.json").exists() or process.poll() is not None:
            break
        pause.wait(0.05)
    assert (folder / "vendors.json").exists()
    return process
