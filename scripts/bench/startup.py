"""CPU time of starting the program, as a ratio to `python -c pass`.

Runs are interleaved, so that a busy machine slows all of them alike; the medians are compared. CPU time is what the
child process used in user and system mode. Prints a table and writes `bench-results/startup.json`.

    python scripts/bench/startup.py [ROUNDS]
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BARE = "python -c pass"
CASES: dict[str, tuple[list[str], float | None]] = {
    BARE: (["-c", "pass"], None),
    "sophiactl --version": (["-m", "sophiactl", "--version"], 10),
    "sophiactl --help": (["-m", "sophiactl", "--help"], 10),
    "sophiactl config show --help": (["-m", "sophiactl", "config", "show", "--help"], 10),
    "sophiactl config show --json": (["-m", "sophiactl", "config", "show", "--json"], 12),
    'sophiactl route "..."': (["-m", "sophiactl", "route", "How do I sort a list in Python?"], 12),
    "sophiactl secrets validate": (["-m", "sophiactl", "secrets", "validate"], 12),
}


def forty_secrets() -> dict[str, str]:
    """Forty well-formed secrets, as variables."""
    sys.path.insert(0, str(ROOT))
    from tests.secret_sets import good_set

    found: dict[str, str] = {}
    for seed in range(1_000):
        found = {**good_set(seed), **found} if len(found) < 40 else found
    return dict(list(found.items())[:40])


def cpu_seconds(arguments: list[str], home: str) -> float:
    """User and system time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    secrets = forty_secrets() if "secrets" in arguments else {}
    env = {**os.environ, "SOPHIACTL_HOME": home, "PYTHONPATH": str(ROOT), **secrets}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # the first, uncounted round compiles; users start compiled code
    # Forty names drawn at random may not go together; what is wrong with them is found all the same.
    subprocess.run([sys.executable, *arguments], check=not secrets, stdout=subprocess.DEVNULL, env=env, cwd=home)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(rounds: int) -> dict[str, float]:
    """Median CPU milliseconds of each case; a first round fills the caches and is not counted."""
    samples: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as home:
        for number in range(rounds + 1):
            for name, (arguments, _) in CASES.items():
                taken = cpu_seconds(arguments, home)
                if number:
                    samples[name].append(taken * 1000)
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> int:
    """Measure, print, write; 1 when a budget is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    medians = measure(rounds)
    rows = [
        {"case": name, "cpu_ms": round(value, 2), "ratio": round(value / medians[BARE], 2), "budget": CASES[name][1]}
        for name, value in medians.items()
    ]
    print(f"{'case':<32}{'CPU ms':>8}{'ratio':>8}{'budget':>8}")
    for row in rows:
        print(f"{row['case']:<32}{row['cpu_ms']:>8}{row['ratio']:>8}{row['budget'] or '':>8}")
    target = ROOT / "bench-results" / "startup.json"
    target.parent.mkdir(exist_ok=True)
    facts = {"python": platform.python_version(), "machine": platform.machine(), "rounds": rounds, "rows": rows}
    target.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    return int(
        any(CASES[name][1] is not None and medians[name] / medians[BARE] > (CASES[name][1] or 0) for name in CASES)
    )


if __name__ == "__main__":
    sys.exit(main())
