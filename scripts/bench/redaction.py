"""What redaction costs: bytes a second through the redactor, beside the ways one would do it first.

300 secrets are known, in all their forms; the texts are lines of a log, of JSON and of base64, and a log that prints a
secret every 4 KiB. The rivals know eight forms of each secret, exact ones: a loop of `bytes.replace`, and one regular
expression of them all. Prints a table and writes `bench-results/redaction.json`; 1 when a budget is missed.

    python scripts/bench/redaction.py [MEGABYTES]
"""

from __future__ import annotations

import base64
import json
import platform
import random
import re
import string
import sys
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from sophiactl.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
SECRETS = 300
CHUNK = 65_536
BUDGET = 30.0
"""Megabytes a second of a log."""

_SIGNS = string.ascii_letters + string.digits


def secrets(rng: random.Random) -> list[str]:
    """Keys of usual shapes, made up."""
    shapes = ("xoxb-{:.12}-{:.24}", "sk-proj-{}", "{:.32}", "pat-eu1-{:.8}-{:.24}", "{:.20}/{:.10}+{:.9}=")
    return [
        shapes[number % len(shapes)].format(*("".join(rng.choices(_SIGNS, k=40)) for _ in range(3)))
        for number in range(SECRETS)
    ]


def texts(rng: random.Random, known: list[str], size: int) -> dict[str, bytes]:
    """What programs print, each of `size` bytes."""

    def token() -> str:
        return "".join(rng.choices(_SIGNS, k=9))

    def log(number: int) -> str:
        return f"2026-11-22T14:03:{number % 60:02} INFO worker[{number % 9}] id={token()} GET /items/{number} 3 ms\n"

    lines: dict[str, Callable[[int], str]] = {
        "log": log,
        "json": lambda number: (
            json.dumps({"at": number, "text": f'a "quoted"\nline, é, {token()}', "url": "/a%20b"}) + "\n"
        ),
        "base64": lambda _: base64.b64encode(rng.randbytes(57)).decode() + "\n",
        "log with secrets": lambda number: log(number) + ("" if number % 50 else f"token {rng.choice(known)}\n"),
    }
    return {name: "".join(line(number) for number in range(size // 60)).encode()[:size] for name, line in lines.items()}


def forms(value: str) -> set[bytes]:
    """Eight ways to write a value."""
    data = value.encode()
    inner = [base64.b64encode(b"x" * shift + data)[4 if shift else 0 : -4] for shift in range(3)]
    quoted = [urllib.parse.quote(value, safe="").encode(), json.dumps(value)[1:-1].replace("/", "\\/").encode()]
    return {data, data.hex().encode(), base64.urlsafe_b64encode(data), *inner, *quoted}


def speed(work: Callable[[bytes], object], text: bytes, chunk: int = CHUNK) -> float:
    """Megabytes of `text` a second of CPU time; the better of two runs."""
    best = 0.0
    for _ in range(2):
        start = time.process_time()
        for at in range(0, len(text), chunk):
            work(text[at : at + chunk])
        best = max(best, len(text) / 1e6 / max(time.process_time() - start, 1e-9))
    return best


def main() -> int:
    """Measure, print, write; 1 when a budget is missed."""
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 4) * 1e6)
    rng = random.Random(7)  # noqa: S311 - nothing here is a secret
    known = secrets(rng)
    redactor = Redactor(*known)
    start = time.process_time()
    redactor.raw(b"x")
    build = time.process_time() - start
    stream = redactor.stream(6)
    stream.feed(b"x")
    words = sorted({form for value in known for form in forms(value)}, key=len, reverse=True)
    pattern = re.compile(b"|".join(map(re.escape, words)))

    def replace(text: bytes) -> None:
        for word in words:
            text = text.replace(word, b"[redacted]")

    print(f"{SECRETS} secrets known after {build * 1000:.0f} ms\n")
    print(f"{'MB/s':<20}{'whole':>10}{'stream':>10}{'4 KiB':>10}{'replace':>10}{'regex':>10}")
    rows: list[dict[str, str | float]] = []
    missed = False
    for name, text in texts(rng, known, size).items():
        row = {
            "whole": speed(redactor.raw, text),
            "stream": speed(stream.feed, text),
            "stream_4k": speed(stream.feed, text, 4096),
            "replace": speed(replace, text[: CHUNK * 8]),
            "regex": speed(lambda part: pattern.sub(b"[redacted]", part), text[:CHUNK]),
        }
        rows.append({"text": name, **{key: round(value, 2) for key, value in row.items()}})
        print(f"{name:<20}" + "".join(f"{value:>10.1f}" for value in row.values()))
        missed |= name.startswith("log") and row["stream"] < BUDGET
    target = ROOT / "bench-results" / "redaction.json"
    target.parent.mkdir(exist_ok=True)
    facts = {"python": platform.python_version(), "machine": platform.machine(), "secrets": SECRETS, "rows": rows}
    target.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
