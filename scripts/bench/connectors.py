"""What reading a service costs: 50,000 records in bounded memory, and six searches side by side.

    python scripts/bench/connectors.py [--records 50000] [--rounds 5] [--output bench-results/connectors.json]

The service is the loopback Slack in a process of its own. `read` follows its changes and drops them; `sync` is what
`connectors sync` does, with the embedded store and an embedder without a model, so that the client itself is measured.
Each is a process of its own, whose peak memory the kernel tells. A fan-out searches services that answer late, together
and one by one. Fails when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Upsert
from sophiactl.connectors.config import ConnectorsConfig, Limit, SlackConfig
from sophiactl.ops.connectors import search
from sophiactl.ops.sync import sync
from sophiactl.ops.sync_job import SyncPlan
from sophiactl.paths import Paths
from sophiactl.registry import CONNECTORS
from sophiactl.settings import Settings, load_settings
from sophiactl.testing import HashingEmbedder
from sophiactl.testing.vendors.slack import SlackVendor
from sophiactl.web import WebSession, run
from sophiactl.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection

    from sophiactl.connectors.base import Cost
    from sophiactl.testing.vendors.base import Vendor
    from sophiactl.testing.web_server import Reply, Seen

MEMORY_TARGET = 300.0
FAN_OUT_TARGET = 1.3
CHANNELS = 10
_WORDS = ("renewal", "contract", "budget", "customer", "invoice", "pipeline", "forecast", "meeting", "pricing", "audit")
_MONDAY = 1_772_438_400
_FREE = {"all": Limit(100_000.0, 1.0, 100_000.0)}


class Quiet:
    """Progress that nobody looks at."""

    def begin(self, service: str, cost: Cost | None) -> None:
        """Nothing."""

    def advance(self, service: str, items: int) -> None:
        """Nothing."""


def main() -> int:
    """Measure and report; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds that each answer takes in the fan-out")
    parser.add_argument("--output", type=Path, default=Path("bench-results/connectors.json"))
    options = parser.parse_args()
    fan_out = fanned(options.rounds, options.delay)
    ratio = statistics.median(one["together"] / one["slowest"] for one in fan_out["rounds"])
    print(f"{len(fan_out['services'])} searches take {ratio:.2f}x the slowest one (target {FAN_OUT_TARGET}x)")
    rows = volume(options.records)
    for name, row in rows.items():
        print(
            f"{name}: {row['records']:,} records in {row['seconds']:.1f} s, {row['cpu_us']:.0f} us of CPU a record, "
            f"peak {row['peak_mb']:.0f} MB, of which {row['base_mb']:.0f} MB at the start"
        )
    setting = {"python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    setting |= {"records": options.records, "rounds": options.rounds, "delay": options.delay}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    found = {"setting": setting, "volume": rows, "fan_out": fan_out, "ratio": ratio}
    options.output.write_text(json.dumps(found, indent=2) + "\n")
    fits = all(row["peak_mb"] <= MEMORY_TARGET for row in rows.values())
    print("ok" if fits and ratio <= FAN_OUT_TARGET else "missed")
    return 0 if fits and ratio <= FAN_OUT_TARGET else 1


def volume(records: int) -> dict[str, dict[str, float]]:
    """Both ways to read, each in a process of its own, from one service in another."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    vendor = context.Process(target=serve, args=(theirs, records))
    vendor.start()
    address, secrets = ours.recv()
    try:
        rows = {}
        for part in ("read", "sync"):
            with context.Pool(1) as pool:
                rows[part] = pool.apply(measured, (part, address, secrets))
            if rows[part]["records"] < records:
                raise SystemExit(f"{part}: {rows[part]['records']:,} records came instead of {records:,}")
        return rows
    finally:
        ours.send("stop")
        vendor.join()


def serve(pipe: Connection, records: int) -> None:
    """A Slack with so many messages, until it is told to stop."""
    with SlackVendor() as slack:
        for number in range(records):
            words = " ".join(_WORDS[(number * step) % len(_WORDS)] for step in range(1, 12))
            slack.add_message(
                f"room-{number % CHANNELS}", f"user-{number % 50}", f"{number}: {words}", at=_MONDAY + number
            )
        pipe.send((slack.address, slack.secrets))
        pipe.recv()


def measured(part: str, address: str, secrets: Mapping[str, str]) -> dict[str, float]:
    """One way to read everything: time, CPU of this process, and its peak memory."""
    config = SlackConfig(base_url=address, limits=_FREE)
    with tempfile.TemporaryDirectory() as folder:
        wiring = wired(Path(folder), ConnectorsConfig(slack=config), secrets)
        wiring.embedder().embed(["imports are no part of it"])
        base, began, used = peak_mb(), time.perf_counter(), time.process_time()
        if part == "read":
            records = run(dropped(wiring))
        else:
            [row] = sync(["slack"], SyncPlan(), wiring, Quiet()).services
            if row.error is not None:
                raise SystemExit(row.error.message)
            records = row.new
        cpu, seconds = time.process_time() - used, time.perf_counter() - began
    return {
        "records": records,
        "seconds": seconds,
        "cpu_us": cpu / max(records, 1) * 1e6,
        "peak_mb": peak_mb(),
        "base_mb": base,
    }


async def dropped(wiring: Wiring) -> int:
    """How many items the changes of Slack have; none is kept."""
    count = 0
    async with WebSession() as session:
        connector = wiring.connectors.open("slack", session)
        async for change in connector.changes(None):
            count += isinstance(change, Upsert)
        await connector.close()
    return count


def fanned(rounds: int, delay: float) -> dict[str, Any]:
    """Searches together, and the slowest alone, of all services that have a loopback vendor."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        vendors = [stack.enter_context(vendor) for name in CONNECTORS if (vendor := slow(name, delay)) is not None]
        names = [vendor.service for vendor in vendors]
        secrets = {name: value for vendor in vendors for name, value in vendor.secrets.items()}
        config: dict[str, Any] = {
            vendor.service: {"base_url": vendor.address, "limits": msgspec.to_builtins(_FREE)} for vendor in vendors
        }
        connectors = msgspec.convert({**config, "search_timeout": 30.0}, ConnectorsConfig)
        took(Path(folder), connectors, secrets, names)  # imports are no part of it
        rows = []
        for _ in range(rounds):
            alone = {name: took(Path(folder), connectors, secrets, [name]) for name in names}
            together = took(Path(folder), connectors, secrets, names)
            rows.append({"together": together, "slowest": max(alone.values()), "alone": alone})
    return {"services": names, "rounds": rows}


def took(folder: Path, config: ConnectorsConfig, secrets: Mapping[str, str], services: list[str]) -> float:
    """Seconds of one search, as a command makes it; all services must have answered."""
    wiring = wired(folder, config, secrets)
    began = time.perf_counter()
    found = search("Acme", services, 10, wiring)
    seconds = time.perf_counter() - began
    if found.gaps:
        raise SystemExit(f"{found.gaps[0].service}: {found.gaps[0].message}")
    return seconds


def slow(service: str, delay: float) -> Vendor | None:
    """The vendor of a service, each of its answers late; None when there is none."""
    name = CONNECTORS[service].rpartition(":")[2].replace("Connector", "Vendor")
    try:
        kind: Any = getattr(import_module(f"sophiactl.testing.vendors.{service}"), name)
    except ModuleNotFoundError:
        return None

    class Slow(kind):  # type: ignore[misc]
        def answer(self, seen: Seen) -> Reply:
            reply: Reply = super().answer(seen)
            return replace(reply, delay=delay)

    made: Vendor = Slow()
    return made


def wired(folder: Path, config: ConnectorsConfig, secrets: Mapping[str, str]) -> Wiring:
    """The parts, in a home of their own."""
    paths = Paths(folder / "config", folder / "state", folder / "cache")
    shipped = load_settings(env={"SOPHIACTL_HOME": str(folder)}, cwd=str(folder), sections=("secrets",)).settings
    settings = Settings(connectors=config, secrets=shipped.secrets)
    return Wiring(settings, paths, env=secrets, cwd=str(folder), embedder=HashingEmbedder(), sources=("environment",))


def peak_mb() -> float:
    """Peak resident memory of this process, as the kernel tells it."""
    status = Path("/proc/self/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
