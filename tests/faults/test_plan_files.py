"""Plans when the disk is full, the folder cannot be written, or the process dies."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sophiactl.errors import DiskFull, StoreError
from sophiactl.memory.plan_file import check_plan, read_lines
from tests.plan_stores import config, memory, plan

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]
LIMIT = 64 * 1024
LONG = "x" * 1000

PLANNER = """
import sys
from pathlib import Path
from tests.plan_stores import ListStore, config, memory, plan

class Slow(ListStore):
    def rows(self, fields, where=None, *, page=5000):
        for number, row in enumerate(super().rows(fields)):
            if number == int(sys.argv[2]) and len(self.read) == 2:
                print("reading", flush=True)
                sys.stdin.read()
            yield row

from sophiactl.memory import planning
whole = planning.Sorter
planning.Sorter = lambda folder: whole(folder, held=10)
store = Slow([memory(f"m{place:04}") for place in range(500)])
plan(store, config(), Path(sys.argv[1]), filtered=False)
print("done", flush=True)
"""


def test_a_full_disk_leaves_no_plan_and_the_old_one_whole(tmp_path: Path) -> None:
    records = [memory(f"{LONG}{place}") for place in range(200)]
    made, _ = plan(records[:3], config(), tmp_path)
    before = made.path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        with pytest.raises(DiskFull, match="no room"):
            plan(records, config(), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert made.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["p1.jsonl"]
    assert check_plan(made.path) == made.header


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreError, match="cannot be written"):
        plan([memory("a")], config(), folder)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("no folder")
    with pytest.raises(StoreError):
        plan([memory("a")], config(), tmp_path / "plans")


@pytest.mark.parametrize("place", [0, 40, 499])
def test_a_killed_planner_leaves_nothing_but_the_old_plan(tmp_path: Path, place: int) -> None:
    made, lines = plan([memory("a")], config(), tmp_path)
    command = [sys.executable, "-c", PLANNER, str(tmp_path), str(place)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"reading\n"
        child.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["p1.jsonl"]
    assert check_plan(made.path) == made.header
    assert list(read_lines(made.path)) == lines
