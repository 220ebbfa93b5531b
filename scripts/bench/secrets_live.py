"""How long all live checks take together, measured by the slowest of them: 17 services, on loopback.

    python scripts/bench/secrets_live.py [--rounds 9] [--delay 0.2] [--output bench-results/secrets_live.json]

Every service answers after a delay of its own, up to `--delay` seconds. A round is one run of all checks with a session
and connections of its own, as `secrets validate --live` has; `slowest` is the longest of the checks alone, each made in
a run by itself. The servers are threads of this process. Fails when the median ratio is above the target.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sophiactl import registry
from sophiactl.redaction import Secret
from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import runner
from sophiactl.secrets.live.base import Probe
from sophiactl.testing.identity_postgresql import IdentityPostgres
from sophiactl.testing.identity_server import IdentityServer
from sophiactl.testing.web_server import Reply
from sophiactl.web import WebSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.testing.web_server import Seen

TARGET = 1.5


class Slow(IdentityServer):
    """Each vendor takes its own time."""

    def __init__(self, longest: float) -> None:
        super().__init__()
        self.waits = {name: longest * (1 + place) / 17 for place, name in enumerate(registry.VERIFIERS)}

    def answer(self, seen: Seen) -> Reply:
        """The vendor's answer, late."""
        reply = super().answer(seen)
        wait = self.waits[seen.path.split("/")[1]]
        return Reply(reply.status, reply.body, reply.headers, wait, reply.ending)


def main() -> int:
    """Measure and report; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds that the slowest service takes")
    parser.add_argument("--output", type=Path, default=Path("bench-results/secrets_live.json"))
    options = parser.parse_args()
    with Slow(options.delay) as server, IdentityPostgres() as postgres:
        postgres.delay = options.delay
        asked = probes(server, postgres)
        took(asked)  # imports and the first connections are no part of it
        rows = [row(asked) for _ in range(options.rounds)]
    ratio = statistics.median(one["together"] / one["slowest"] for one in rows)
    verdict = "ok" if ratio <= TARGET else "missed"
    print(f"{len(asked)} live checks take {ratio:.2f}x the slowest one (target {TARGET}x): {verdict}")
    for one in rows:
        print(f"  together {one['together'] * 1000:6.0f} ms   slowest alone {one['slowest'] * 1000:6.0f} ms")
    setting = {"rounds": options.rounds, "delay": options.delay, "python": platform.python_version()}
    setting |= {"machine": f"{platform.machine()}, {os.cpu_count()} cores"}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"setting": setting, "rounds": rows, "ratio": ratio}, indent=2) + "\n")
    return 0 if ratio <= TARGET else 1


def probes(server: IdentityServer, postgres: IdentityPostgres) -> list[Probe]:
    """A good probe of every service."""
    found = []
    for service in registry.VERIFIERS:
        if service == "postgresql":
            values, base = {"SOPHIACTL_RUNS_PASSWORD": postgres.password}, postgres.url()
        else:
            values, base = server.values(service), server.url(service)
        held = {name: Secret(value) for name, value in values.items()}
        found.append(Probe(service, held, base, ("127.0.0.1",), 10.0, allow_loopback=True, fixed=True))
    return found


def row(asked: Sequence[Probe]) -> dict[str, float]:
    """All together, and the slowest alone."""
    return {"together": took(asked), "slowest": max(took([one]) for one in asked)}


def took(asked: Sequence[Probe]) -> float:
    """Seconds for one run of these checks; every one of them must be good."""

    async def work() -> float:
        start = time.perf_counter()
        async with WebSession(proxies={}) as session:
            checks = await runner.run(asked, session)
        seconds = time.perf_counter() - start
        bad = [check.service for check in checks if check.verdict is not Verdict.VALID]
        if bad:
            raise SystemExit(f"not valid: {', '.join(bad)}")
        return seconds

    return asyncio.run(work())


if __name__ == "__main__":
    raise SystemExit(main())
