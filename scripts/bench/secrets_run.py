"""What `secrets run` adds to a program that writes 50 MB: time from start to end, against the program by itself.

The program's output goes through a pipe to a reader that throws it away. 40 secrets are sought, one of them a private
key of many lines, each in all its forms. Rounds are interleaved, so that a busy machine slows all alike; the medians
count. A pass is at most 5 % added, or at least 30 MB/s. Also: a program that does nothing, with and without files.

    python scripts/bench/secrets_run.py [--rounds 5] [--output bench-results/secrets_run.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZE = 50_000_000
LEAST_MB_S, MOST_ADDED = 30.0, 0.05
ROOT = Path(__file__).resolve().parents[2]

DRIVER = """
import json, os, sys
from sophiactl.redaction import Redactor
from sophiactl.secrets.running import run_child
job = json.load(open(sys.argv[1]))
mask = Redactor(*job["secrets"]).stream if job["mask"] else None
sys.exit(run_child(sys.argv[2:], env=dict(os.environ), files=job["files"], mask=mask))
"""


def main() -> int:
    """Measure, print, write; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=ROOT / "bench-results" / "secrets_run.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), options.rounds)
    print(f"{'case':<34}{'seconds':>10}{'added':>10}{'MB/s':>8}")
    for row in rows:
        print(f"{row['case']:<34}{row['seconds']:>10}{row['added_seconds'] or '':>10}{row['mb_per_second'] or '':>8}")
    facts = {"python": platform.python_version(), "machine": platform.machine(), "rounds": options.rounds}
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps({**facts, "megabytes": SIZE / 1e6, "rows": rows}, indent=2) + "\n", "utf-8")
    return int(not all(row["ok"] for row in rows))


def measure(folder: Path, rounds: int) -> list[dict[str, object]]:
    """The rows: for each kind of output the program by itself, without a mask, and masked."""
    chance = random.Random(7)  # noqa: S311 - the same on every run
    secrets = made_up_secrets(chance)
    jobs = {}
    for name, job in {
        "unmasked": {"mask": False, "files": {}},
        "masked": {"mask": True, "files": {}},
        "masked, a file": {"mask": True, "files": {"KUBECONFIG": "x"}},
    }.items():
        jobs[name] = folder / f"{name}.json"
        jobs[name].write_text(json.dumps({**job, "secrets": secrets}))
    programs = {"nothing": ["true"]}
    for kind, text in outputs(chance, secrets).items():
        (folder / kind).write_bytes(text)
        programs[f"50 MB {kind}"] = ["cat", str(folder / kind)]
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for what, command in programs.items():
            seconds.setdefault((what, "by itself"), []).append(run(command))
            for how, job_file in jobs.items():
                if what == "nothing" or how != "masked, a file":
                    words = [sys.executable, "-c", DRIVER, str(job_file), *command]
                    seconds.setdefault((what, how), []).append(run(words))
    return rows({case: statistics.median(taken) for case, taken in seconds.items()})


def rows(medians: dict[tuple[str, str], float]) -> list[dict[str, object]]:
    """What is shown; the time to start is not counted into the throughput."""
    table: list[dict[str, object]] = []
    for (what, how), taken in medians.items():
        row: dict[str, object] = {"case": f"{what}, {how}", "seconds": round(taken, 3)}
        row |= {"added_seconds": None, "mb_per_second": None, "ok": True}
        if how != "by itself":
            by_itself = medians[what, "by itself"]
            row["added_seconds"] = round(taken - by_itself, 3)
            if what != "nothing":
                streaming = taken - medians["nothing", how] + medians["nothing", "by itself"]
                speed = SIZE / 1e6 / streaming
                row["mb_per_second"] = round(speed, 1)
                row["ok"] = speed >= LEAST_MB_S or streaming <= by_itself * (1 + MOST_ADDED)
        table.append(row)
    return table


def run(words: list[str]) -> float:
    """Seconds until the program has ended and all that it wrote is read."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    with (
        subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as program,
        subprocess.Popen(["/bin/cat"], stdin=program.stdout, stdout=subprocess.DEVNULL) as reader,
    ):
        if program.stdout is not None:
            program.stdout.close()
        if program.wait() or reader.wait():
            raise SystemExit(f"{words[0]} failed")
    return time.perf_counter() - began


def made_up_secrets(chance: random.Random) -> list[str]:
    """Forty, of the lengths that keys have."""
    signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    plain = ["".join(chance.choices(signs, k=chance.choice((20, 32, 40, 51, 64, 108)))) for _ in range(39)]
    lines = ["".join(chance.choices(signs, k=64)) for _ in range(25)]
    return [*plain, "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])]


def outputs(chance: random.Random, secrets: list[str]) -> dict[str, bytes]:
    """A log with a secret now and then, text as base64 has it, and random bytes."""
    words = [
        "error",
        "GET",
        "/api/v1/users",
        "200",
        "deploying",
        "2026-11-22T12:00:00Z",
        "the",
        "quick",
        "warn:",
        "id=8f3c",
    ]
    lines = [" ".join(chance.choices(words, k=12)) + "\n" for _ in range(2000)]
    lines += [f"using {secret}\n" for secret in secrets[:20]]
    chance.shuffle(lines)
    log = "".join(lines).encode()
    signs = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
    encoded = b"\n".join(bytes(chance.choices(signs, k=76)) for _ in range(3000)) + b"\n"
    noise = chance.randbytes(1_000_000)
    return {"log": _long(log), "base64": _long(encoded), "random bytes": _long(noise)}


def _long(piece: bytes) -> bytes:
    return (piece * (SIZE // len(piece) + 1))[:SIZE]


if __name__ == "__main__":
    sys.exit(main())
