"""Planning, applying and restoring in a process of their own, killed at random moments: nothing is ever lost.

SOPHIACTL_TEST_KILLS says how many kills there are; 200 is what a release is tried with.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.base import Equals, Where
from sophiactl.memory.plan_file import check_plan
from sophiactl.model import MemoryState
from tests.prune_stores import Place, a_mixed_memory, facts_of

if TYPE_CHECKING:
    from sophiactl.memory.base import Point
    from sophiactl.memory.plan_file import Header, Line

pytestmark = pytest.mark.fault

# Read while tests are collected: none of them sees the caller's environment.
KILLS = int(os.environ.get("SOPHIACTL_TEST_KILLS", "12"))
ROOT = Path(__file__).parents[2]
SIZE = 300

CHILD = """
import sys
from pathlib import Path
from sophiactl.memory.plan_file import read_header
from tests.prune_stores import Place, a_mixed_memory
root, what, name, batch, seed = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
place = Place(root)
print("ready", flush=True)
if what == "plan":
    place.plan(a_mixed_memory(300, seed)[1], name)
elif what == "apply":
    place.apply(read_header(place.folder.plan(name)), batch=batch, hold_seconds=0.05)
else:
    place.restore(name)
print("ended", flush=True)
"""


class Killer:
    """Starts the work in a process of its own and kills it at a random moment, by time or by how much is written."""

    def __init__(self, place: Place, seed: int, chance: random.Random) -> None:
        self.kills = {"plan": 0, "apply": 0, "restore": 0}
        self._place = place
        self._seed = seed
        self._chance = chance
        self._span = {"plan": 0.05, "apply": 1.0, "restore": 0.2}

    def spares_plan(self) -> bool:
        """Whether this time nobody is killed while a plan is written: it is the least of the three."""
        return self._chance.random() < 0.6

    def run(self, what: str, name: str) -> bool:
        """Whether it was killed before it came to an end."""
        batch = self._chance.randint(2, 9)
        words = [str(self._place.root), what, name, str(batch), str(self._seed)]
        command = [sys.executable, "-c", CHILD, *words]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            began = time.monotonic()
            self._await_moment(child, what, name)
            child.send_signal(signal.SIGKILL)
            ended = child.stdout.read() == "ended\n"
        took = time.monotonic() - began
        if ended:
            self._span[what] = took  # so that the next moment is within the work
        else:
            self.kills[what] += 1
        return not ended

    def _await_moment(self, child: subprocess.Popen[str], what: str, name: str) -> None:
        journal = self._place.folder.journal(name)
        grown = self._chance.randint(1, 25_000) + _size(journal)
        end = time.monotonic() + self._chance.uniform(0, self._span[what])
        by_size = what == "apply" and self._chance.random() < 0.5
        while child.poll() is None and (_size(journal) < grown if by_size else time.monotonic() < end):
            os.sched_yield()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def unmoved(found: Point) -> bytes:
    """A memory but for what pruning itself may change of it."""
    record = msgspec.structs.replace(found.record, state=MemoryState.ACTIVE, cooled_at=None, merged_from=())
    return facts_of(msgspec.structs.replace(found, record=record))


def everything(place: Place, plan: str) -> dict[str, bytes]:
    """What is in the store or, failing that, in the archive."""
    path = place.folder.archive(plan)
    memories = ArchiveReader(path).memories() if path.exists() else ()
    found = {memory.point.record.id: unmoved(memory.point) for memory in memories}
    with place.store() as store:
        return found | {one.record.id: unmoved(one) for one in store.scroll(vectors=True)}


def round_of_kills(place: Place, killer: Killer, chance: random.Random, name: str, lines: list[Line]) -> None:
    """One plan from its making to its undoing, with kills on the way; all must be as before at its end."""
    before = place.facts()
    bare = everything(place, name)
    made = planned(place, killer, name, lines)
    cut_off = False
    for _ in range(chance.randint(1, 3)):
        killer.run("apply", name)
        assert everything(place, name) == bare
        cut_off = chance.random() < 0.3
    if not cut_off:
        report = place.apply(made, batch=chance.randint(2, 400))
        assert report.finished
        assert (report.archived + report.cooled, report.skipped) == (len(lines), {})
        assert len(place.facts()) == len(before) - report.archived
    for _ in range(chance.randint(0, 1)):
        killer.run("restore", name)
        assert everything(place, name) == bare
    place.restore(name)
    assert place.facts() == before
    assert ArchiveReader(place.folder.archive(name)).damaged == ()
    with place.store() as store:  # what filters find is what is there: by them a search looks for active memories
        states = Counter(one.record.state.value for one in store.scroll())
        found = {state: store.count(Where(all=(Equals("state", state),))) for state in states}
    assert found == states


def planned(place: Place, killer: Killer, name: str, lines: list[Line]) -> Header:
    """A plan, perhaps after a kill: it is then there as a whole, or not at all."""
    if killer.spares_plan():
        return place.plan(lines, name)
    if killer.run("plan", name) and not place.folder.plan(name).exists():
        return place.plan(lines, name)
    return check_plan(place.folder.plan(name))


def test_nothing_is_lost_whenever_the_process_is_killed(tmp_path: Path) -> None:
    seed = random.Random().randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")  # shown when the test fails
    chance = random.Random(seed)
    points, lines = a_mixed_memory(SIZE, seed)
    place = Place(tmp_path)
    place.fill(points)
    start = place.facts()
    assert len(start) == SIZE
    killer = Killer(place, seed, chance)
    for number in range(20 * KILLS):
        round_of_kills(place, killer, chance, f"p{number}", lines)
        if sum(killer.kills.values()) >= KILLS:
            break
    sys.stdout.write(f"{killer.kills}\n")
    assert sum(killer.kills.values()) >= KILLS
    assert place.facts() == start
