"""Pruning on a disk that fills up, and two runs at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import DiskFull, Locked
from sophiactl.locks import FileLock
from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.journal import read_progress
from sophiactl.memory.prune_folder import PruneFolder
from tests.prune_stores import Place, line, point

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.fault

ROOT = Path(__file__).parents[2]

# A limit on the size of files stands for the disk here: it needs no rights, and the engine's own files are made before.
LIMITED = """
import resource, sys
from pathlib import Path
from sophiactl.errors import DiskFull
from sophiactl.memory import edge_folder
from sophiactl.memory.plan_file import read_header
from tests.prune_stores import Place
place = Place(Path(sys.argv[1]))
made = read_header(place.folder.plan("p1"))
settled = []
def progress(lines):
    settled.append(lines)
    if len(settled) == 2:
        size = place.folder.archive("p1").stat().st_size + int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    place.apply(made, progress=progress, batch=5)
except DiskFull as error:
    print(len(settled), error.hint)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("room", [0, 1, 7, 11, 500, 1999])
def test_a_disk_that_fills_up_while_the_archive_is_written(place: Place, room: int) -> None:
    place.fill([point(f"m{n}", n, text=f"text {n} " * 60) for n in range(30)])
    before = place.facts()
    made = place.plan([line(f"m{n}") for n in range(25)])
    command = [sys.executable, "-c", LIMITED, str(place.root), str(room)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.stderr == ""
    assert done.stdout == "2 free some space, then do it again: it goes on where it was\n"
    reader = ArchiveReader(place.folder.archive("p1"))
    assert len(list(reader.memories())) == 10
    assert reader.damaged == ()  # what was half written was taken back
    assert len(place.facts()) == 20
    report = place.apply(made)
    assert (report.archived, report.skipped, report.finished) == (25, {}, True)
    place.restore("p1")
    assert place.facts() == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB for the files of pruning."""
    disk = tmp_path / "prune"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_full_before_anything_is_written(small_disk: Path) -> None:
    place = Place(small_disk.parent)
    place.fill([point(f"m{n}", n) for n in range(10)])
    before = place.facts()
    made = place.plan([line(f"m{n}") for n in range(8)])
    filler = small_disk / "filler"
    facts = os.statvfs(small_disk)
    filler.write_bytes(bytes(facts.f_bavail * facts.f_frsize))
    with pytest.raises(DiskFull) as caught:
        place.apply(made)
    assert str(small_disk) in caught.value.message
    assert place.facts() == before
    filler.unlink()
    assert place.apply(made).archived == 8
    place.restore("p1")
    assert place.facts() == before


def test_a_disk_that_fills_up_with_every_further_batch(small_disk: Path) -> None:
    """Nothing is deleted that is not in the archive, wherever the room ends: in an archive or in a journal."""
    place = Place(small_disk.parent)
    place.fill([point(f"m{n}", n, text=f"text {n} " * 40) for n in range(60)])
    before = place.facts()
    made = place.plan([line(f"m{n}") for n in range(50)])
    facts = os.statvfs(small_disk)
    block = facts.f_frsize
    filler = small_disk / "filler"
    filler.write_bytes(bytes(facts.f_bavail * block))
    failures = 0
    while not (report := _tried(place, made)):
        failures += 1
        kept = (
            {one.point.record.id for one in ArchiveReader(place.folder.archive("p1")).memories()}
            if (place.folder.archive("p1").exists())
            else set()
        )
        assert set(place.facts()) | kept == set(before)
        os.truncate(filler, filler.stat().st_size - block)
    assert failures > 3
    assert report == 50
    place.restore("p1")
    assert place.facts() == before


def _tried(place: Place, made: object) -> int:
    try:
        return place.apply(made).archived  # type: ignore[arg-type]
    except DiskFull:
        return 0


# Two at once

HOLDER = """
import sys
from pathlib import Path
from sophiactl.locks import FileLock
from sophiactl.memory.plan_file import read_header
from tests.prune_stores import Place
place = Place(Path(sys.argv[1]))
with FileLock(place.folder.lock, purpose="sophiactl prune apply", timeout=0, what="the pruning of 'main'"):
    print("held", flush=True)
    sys.stdin.readline()
    print(place.apply(read_header(place.folder.plan("p1"))).archived, flush=True)
    sys.stdin.readline()
"""


def test_two_at_once_one_works_and_the_other_is_told_who(place: Place) -> None:
    place.fill([point(f"m{n}", n) for n in range(10)])
    place.plan([line(f"m{n}") for n in range(8)])
    command = [sys.executable, "-c", HOLDER, str(place.root)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            assert child.stdout.readline() == "held\n"
            second = FileLock(place.folder.lock, purpose="second", timeout=0, what="the pruning of 'main'")
            with pytest.raises(Locked) as caught:
                second.acquire()
            assert f"`sophiactl prune apply` (pid {child.pid}" in caught.value.message
            assert caught.value.exit_code == 75
            child.stdin.write("go\n")
            child.stdin.flush()
            assert child.stdout.readline() == "8\n"
        finally:
            child.kill()
    folder = PruneFolder(place.root / "prune", "main")
    assert read_progress(folder.journal("p1")).archived == 8
    second.acquire()
    second.release()
