"""What a call to a model costs on our side: this program's client, OpenAI's, and litellm, on one server on loopback.

    python scripts/bench/client.py [--rounds 12] [--calls 100] [--output bench-results/client.json]

All clients run in one process, one call after the other, in rounds of alternating order; the server has a process of
its own. CPU is user and system time of the client's process per call, the median of the rounds; `added` is the median
call's time less that of a bare request over a socket that stays open. Clients that are not installed are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sophiactl.llm.base import ChatRequest, Message
from sophiactl.llm.config import ProviderConfig
from sophiactl.llm.openai_wire import OpenAIWire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Call = Callable[[], Awaitable[str]]

RAW, OURS, OPENAI, LITELLM = "bare socket", "sophiactl", "openai", "litellm"
TARGETS = {OPENAI: 8, LITELLM: 30}
MOST_ADDED_MS = 0.5
PROMPT = "What did we promise Acme about the renewal, and who owns it?"
KEY = "sk-bench"


def main() -> int:
    """Measure and report; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--calls", type=int, default=100, help="calls of each client in a round")
    parser.add_argument("--output", type=Path, default=Path("bench-results/client.json"))
    options = parser.parse_args()
    with subprocess.Popen(
        [sys.executable, "-m", "sophiactl.testing.upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None  # noqa: S101 - it is a pipe
        assert server.stdin is not None  # noqa: S101
        address = server.stdout.readline().strip()
        try:
            rows = summary(asyncio.run(measure(address, options.rounds, options.calls)))
        finally:
            server.stdin.close()
    missed = report(rows)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    setting = {"rounds": options.rounds, "calls": options.calls, "python": platform.python_version()}
    setting |= {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "versions": versions()}
    options.output.write_text(json.dumps({"setting": setting, "clients": rows, "missed": missed}, indent=2) + "\n")
    return 1 if missed else 0


@asynccontextmanager
async def clients(address: str) -> AsyncIterator[dict[str, Call]]:
    """One call of each client that is installed, by name."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    model = OpenAIWire("bench", ProviderConfig(base_url=address, api_key_name="KEY"), {"KEY": KEY})
    request = ChatRequest(model="mock", messages=(Message("user", PROMPT),))
    messages: list[Any] = [{"role": "user", "content": PROMPT}]

    async def ours() -> str:
        return (await model.complete(request)).text

    found: dict[str, Call] = {RAW: bare(reader, writer, parts.path, messages), OURS: ours}
    client: Any = None
    if find_spec("openai"):
        import openai

        client = openai.AsyncOpenAI(base_url=address, api_key=KEY)
        found[OPENAI] = lambda: openais(client, messages)
    if find_spec("litellm"):
        found[LITELLM] = litellms(address, messages)
    try:
        yield found
    finally:
        writer.close()
        await model.close()
        if client is not None:
            await client.close()


def bare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, messages: list[Any]) -> Call:
    """The same request as bytes on an open socket: what no client can be below."""
    body = json.dumps({"model": "mock", "messages": messages}).encode()
    head = f"POST {path}/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"

    async def call() -> str:
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length:")[2].split(b"\r\n")[0])
        text: str = json.loads(await reader.readexactly(length))["choices"][0]["message"]["content"]
        return text

    return call


async def openais(client: Any, messages: list[Any]) -> str:
    """One call of OpenAI's client."""
    answer = await client.chat.completions.create(model="mock", messages=messages)
    text: str = answer.choices[0].message.content
    return text


def litellms(address: str, messages: list[Any]) -> Call:
    """One call of litellm, its price map read from its package."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True

    async def call() -> str:
        answer: Any = await litellm.acompletion(
            model="openai/mock", messages=messages, api_base=address, api_key=KEY, num_retries=0
        )
        text: str = answer.choices[0].message.content
        return text

    return call


async def measure(address: str, rounds: int, calls: int) -> dict[str, list[dict[str, float]]]:
    """CPU in microseconds and median wall time in milliseconds of a call, of every round."""
    found: dict[str, list[dict[str, float]]] = {}
    async with clients(address) as table:
        answers = {name: [await call() for _ in range(20)][-1] for name, call in table.items()}
        if len(set(answers.values())) != 1 or not answers[RAW]:
            raise SystemExit(f"the clients do not agree on the answer: {answers}")
        gc.collect()
        gc.freeze()  # the heap of one client is not to slow the collections of another
        for number in range(rounds):
            names = list(table)
            for name in names if number % 2 else reversed(names):
                found.setdefault(name, []).append(await one_round(table[name], calls))
                await asyncio.sleep(0.05)  # what a client still does in the background is not the next one's
    return found


async def one_round(call: Call, calls: int) -> dict[str, float]:
    """Calls in sequence; one before the clock starts opens the connection again where it was closed."""
    await call()
    times = []
    began = time.process_time()
    for _ in range(calls):
        start = time.perf_counter()
        await call()
        times.append(time.perf_counter() - start)
    return {"cpu_us": (time.process_time() - began) / calls * 1e6, "p50_ms": statistics.median(times) * 1e3}


def summary(found: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Medians over the rounds, and each client against ours; the time added is taken round by round."""
    floor = [part["p50_ms"] for part in found[RAW]]
    ours = [part["cpu_us"] for part in found[OURS]]
    rows = {}
    for name, parts in found.items():
        rows[name] = {
            "cpu_us": statistics.median(part["cpu_us"] for part in parts),
            "cpu_ratio": statistics.median(part["cpu_us"] / own for part, own in zip(parts, ours, strict=True)),
            "p50_ms": statistics.median(part["p50_ms"] for part in parts),
            "added_ms": statistics.median(part["p50_ms"] - low for part, low in zip(parts, floor, strict=True)),
        }
    return rows


def report(rows: dict[str, dict[str, float]]) -> list[str]:
    """Print the table; returns the targets that are missed."""
    print(f"{'client':14}{'CPU us/call':>14}{'x ours':>10}{'p50 ms':>10}{'added ms':>10}")
    for name, row in rows.items():
        print(f"{name:14}{row['cpu_us']:14.0f}{row['cpu_ratio']:10.1f}{row['p50_ms']:10.3f}{row['added_ms']:10.3f}")
    missed = [
        f"CPU is 1/{rows[name]['cpu_ratio']:.1f} of {name}'s, target 1/{least}"
        for name, least in TARGETS.items()
        if name in rows and rows[name]["cpu_ratio"] < least
    ]
    if rows[OURS]["added_ms"] > MOST_ADDED_MS:
        missed.append(f"{rows[OURS]['added_ms']:.3f} ms are added to a call, target {MOST_ADDED_MS}")
    missed += [f"{name} is not installed and was not measured" for name in TARGETS if name not in rows]
    for line in missed:
        print(f"missed: {line}")
    return missed


def versions() -> dict[str, str]:
    """What was compared."""
    return {name: version(name) for name in ("aiohttp", "openai", "httpx", "litellm") if find_spec(name)}


if __name__ == "__main__":
    raise SystemExit(main())
