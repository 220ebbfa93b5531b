"""What pruning costs as a memory grows, on the embedded store.

    python scripts/bench/prune_scale.py [--memories 100000,1000000] [--fraction 0.2] [--folder DIR] [--output FILE]

Fills a collection (384-d unit vectors, sparse vectors of 12 terms, payloads as a chat import makes them) and plans in a
process of its own: by a fraction, by the settings, and with every worth taken anew from the texts; then the first plan
is applied and restored. CPU seconds, the highest resident memory (anonymous, and of mapped files), time a memory, and
the growth from the first size to the last.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sophiactl.memory.apply import apply
from sophiactl.memory.base import CollectionSchema, Point, SparseVector
from sophiactl.memory.judging import Judge
from sophiactl.memory.plan_file import read_header
from sophiactl.memory.planning import PlanRequest, make_plan
from sophiactl.memory.policy import PruneConfig
from sophiactl.memory.prune_folder import PruneFolder
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.memory.restore import restore
from sophiactl.model import MemoryClass, Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

DIMENSION = 384
BATCH = 2000
SCHEMA = CollectionSchema(model="benchmark", revision="0" * 64, dimension=DIMENSION)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SAID = """ann bob berlin deal march contract invoice renewal call slides budget demo risk owner draft thanks ok carla
sounds good tomorrow meeting garden dog kitchen train ticket price offer answer question maybe later moved started job
sister birthday party guitar river book really nice great love weekend"""
WORDS = SAID.split()
CLASSES = [MemoryClass.EPISODIC] * 8 + [MemoryClass.SEMANTIC, MemoryClass.WORKING]
REQUESTS: dict[str, dict[str, Any]] = {
    "fraction": {"fraction": 0.2},
    "settings": {},
    "texts": {"fraction": 0.2, "policy": "density"},
}
STEPS = ("apply", "restore")


def records(number: int) -> Iterator[Record]:
    """Turns of many chats over two years; one in twenty says what another says."""
    dice = random.Random(number)  # noqa: S311 - the same memories every time
    judge = Judge(PruneConfig())
    for place in range(number):
        said = dice.choices(WORDS, k=dice.randint(3, 24))
        if place % 20 == 0:
            said = [*WORDS[:8], str(place % 1000)]
        made = NOW - timedelta(days=dice.uniform(0, 730))
        cited = dice.random() < 0.05
        yield judge(
            Record(
                id=f"chat-{place // 40}/{place}",
                text=" ".join(said),
                class_=dice.choice(CLASSES),
                created_at=made.strftime("%Y-%m-%dT%H:%M:%SZ"),
                author=dice.choice(("Ann", "Bob", "Carla")),
                thread=f"chat-{place // 40}",
                position=place % 40,
                pinned=dice.random() < 0.01,
                accesses=dice.randint(1, 9) if cited else 0,
                last_accessed=(NOW - timedelta(days=dice.uniform(0, 200))).strftime("%Y-%m-%dT%H:%M:%SZ")
                if cited
                else None,
                metadata={"session": f"s{place // 40}", "channel": "general", "turn": place % 40},
            )
        )


def fill(folder: Path, number: int) -> None:
    """Make the collection."""
    noise = np.random.default_rng(number)
    dice = random.Random(number)  # noqa: S311
    with EdgeStore.open(folder, "b", SCHEMA, create=True, lock_timeout=0, purpose="benchmark") as store:
        batch: list[Record] = []
        for record in records(number):
            batch.append(record)
            if len(batch) == BATCH or record.id.endswith(f"/{number - 1}"):
                store.upsert(_points(batch, noise, dice))
                batch = []


def _points(batch: list[Record], noise: np.random.Generator, dice: random.Random) -> list[Point]:
    dense = noise.standard_normal((len(batch), DIMENSION), dtype=np.float32)
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    terms = [tuple(sorted(dice.sample(range(50_000), 12))) for _ in batch]
    return [
        Point(record, row, SparseVector(term, (1.0,) * 12))
        for record, row, term in zip(batch, dense, terms, strict=True)
    ]


class Watched:
    """The highest memory of this process, anonymous and of mapped files, looked at every 20 ms."""

    def __init__(self) -> None:
        self.anonymous = self.mapped = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            self.anonymous = max(self.anonymous, int(lines["RssAnon"].split()[0]) / 1024)
            self.mapped = max(self.mapped, int(lines["RssFile"].split()[0]) / 1024)


def measure(folder: Path, name: str, fraction: float) -> dict[str, Any]:
    """One plan, in this process."""
    options = REQUESTS[name].copy()
    if "fraction" in options:
        options["fraction"] = fraction
    with Watched() as watched:
        begun, wall = time.process_time(), time.perf_counter()
        with EdgeStore.open(folder, "b", SCHEMA, create=False, lock_timeout=0, purpose="benchmark") as store:
            opened = time.process_time()
            path = folder / "plans" / f"{name}.jsonl"
            made = make_plan(
                store, PruneConfig(), PlanRequest(**options), path=path, plan_id=name, now=NOW, place=str(folder)
            )
        ended = time.process_time()
    header = made.header
    return {
        "plan": name,
        "memories": header.before,
        "lines": sum(header.counts.values()),
        "reasons": header.reasons,
        "left": made.left,
        "cpu_s": round(ended - opened, 2),
        "open_cpu_s": round(opened - begun, 2),
        "wall_s": round(time.perf_counter() - wall, 2),
        "us_a_memory": round((ended - opened) / max(header.before, 1) * 1e6, 2),
        "anonymous_mb": round(watched.anonymous, 1),
        "mapped_mb": round(watched.mapped, 1),
        "plan_mb": round(path.stat().st_size / 2**20, 1),
    }


def carry_out(folder: Path, name: str) -> dict[str, Any]:
    """Apply the plan by fraction, or restore it, in this process."""
    path, pruned = folder / "plans" / "fraction.jsonl", PruneFolder(folder / "prune", "b").prepare()
    header = read_header(path)
    clock = lambda: NOW  # noqa: E731 - the memories' own time

    def opened() -> EdgeStore:
        return EdgeStore.open(folder, "b", SCHEMA, create=False, lock_timeout=0, purpose="benchmark")

    with Watched() as watched:
        begun, wall = time.process_time(), time.perf_counter()
        if name == "apply":
            done = apply(
                path,
                header,
                opened,
                pruned,
                clock=clock,
                progress=lambda _: None,
                stop=lambda: False,
                wait=time.sleep,
            )
            moved, size = done.archived, done.archive_bytes
        else:
            moved = restore(pruned, opened, clock=clock, progress=lambda _: None, plan_id=header.id).restored
            size = pruned.archive(header.id).stat().st_size
        ended, over = time.process_time(), time.perf_counter()
    return {
        "plan": name,
        "memories": header.before,
        "lines": moved,
        "cpu_s": round(ended - begun, 2),
        "wall_s": round(over - wall, 2),
        "a_second": round(moved / (over - wall)),
        "us_a_memory": round((ended - begun) / max(moved, 1) * 1e6, 2),
        "anonymous_mb": round(watched.anonymous, 1),
        "mapped_mb": round(watched.mapped, 1),
        "archive_mb": round(size / 2**20, 1),
    }


def alone(folder: Path, name: str, fraction: float) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--measure", name, "--folder", str(folder), "--fraction", str(fraction)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memories", default="100000", help="sizes, joined by commas")
    parser.add_argument("--fraction", type=float, default=0.2)
    parser.add_argument("--folder", type=Path, help="where to make the collections, or an existing one to measure")
    parser.add_argument(
        "--measure", choices=(*REQUESTS, *STEPS), help="measure one step on an existing collection, as JSON"
    )
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    if args.measure:
        step = args.measure
        done = carry_out(args.folder, step) if step in STEPS else measure(args.folder, step, args.fraction)
        print(json.dumps(done))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        for number in map(int, args.memories.split(",")):
            folder = Path(place) / str(number)
            begun = time.perf_counter()
            fill(folder, number)
            print(f"{number} memories made in {time.perf_counter() - begun:.0f} s", flush=True)
            for name in (*REQUESTS, *STEPS):
                rows.append(alone(folder, name, args.fraction))
                print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    for name in (*REQUESTS, *STEPS):
        found = [row for row in rows if row["plan"] == name]
        growth = found[-1]["us_a_memory"] / found[0]["us_a_memory"]
        print(f"{name}: time a memory grows by {growth:.2f} from {found[0]['memories']} to {found[-1]['memories']}")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
