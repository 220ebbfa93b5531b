"""`connectors sync` as a process: killed, interrupted, started twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.vendors.slack import SlackVendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.fault

_LINE = (
    "renewal contract budget customer invoice pipeline forecast meeting quarter Berlin pricing security audit vendor"
)
_WORDS = _LINE.split()
_MONDAY = 1_772_438_400


@pytest.fixture
def vendors() -> Iterator[tuple[SlackVendor, NotionVendor]]:
    """A Slack and a Notion with some hundred things in them, the same on every run."""
    chance = random.Random(7)
    with SlackVendor() as slack, NotionVendor() as notion:
        for channel in range(4):
            name = f"room-{channel}"
            slack.add_channel(name)
            for number in range(15):
                text = f"Message {number} of room {channel}: {' '.join(chance.choices(_WORDS, k=20))}."
                first = slack.add_message(name, "ada", text, at=_MONDAY + 900 * number)
                if number % 5 == 0:
                    slack.add_message(
                        name, "grace", f"On {number} I agree.", thread=first, at=_MONDAY + 900 * number + 9
                    )
        for number in range(12):
            parts = [f"## Part {part}\n\n{' '.join(chance.choices(_WORDS, k=150))}." for part in range(3)]
            notion.add_page(f"Page {number}", markdown="\n\n".join(parts), author="Ada", at="2026-03-02T09:00:00Z")
        yield slack, notion


def ready(program: Any, vendors: tuple[SlackVendor, NotionVendor]) -> Any:
    """The program, told where the vendors are; their pages are small, so that there is much to be killed in."""
    free = "limits: {all: {calls: 1000, seconds: 1, burst: 1000}}"
    (program.home / "config").mkdir(parents=True)
    (program.home / "config" / "connectors.yaml").write_text("".join(f"{v.service}:\n  {free}\n" for v in vendors))
    for vendor in vendors:
        prefix = f"SOPHIACTL_CONNECTORS__{vendor.service.upper()}__"
        program.env |= {f"{prefix}BASE_URL": vendor.address, f"{prefix}PAGE_SIZE": "10"} | vendor.secrets
    return program


def facts(program: Any) -> list[tuple[object, ...]]:
    """The memory's content; `rev` may count an interrupted write twice."""
    rows = program.data("memory", "export")["memories"]
    kept = ("id", "text", "source", "title", "author", "url", "thread", "position", "created_at", "updated_at")
    return sorted(
        (*(row.get(name) for name in kept), str(row.get("locator")), str(row.get("metadata"))) for row in rows
    )


def silent(program: Any, *words: str) -> subprocess.Popen[bytes]:
    started: subprocess.Popen[bytes] = program.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return started


def reached(program: Any) -> bool:
    """Whether a memory is there already."""
    return bool((program.home / "state" / "memory" / "main" / "collection.json").exists())


def wait_for_memory(program: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not reached(program) and process.poll() is None and time.monotonic() < deadline:
        os.sched_yield()


def test_ten_kills_at_random_moments_end_like_an_undisturbed_run(
    make_program: Callable[[str], Any], vendors: tuple[SlackVendor, NotionVendor]
) -> None:
    calm, rough = (ready(make_program(name), vendors) for name in ("calm", "rough"))
    began = time.monotonic()
    done = calm.run("connectors", "sync")
    assert done.returncode == 0, done.stderr.decode()
    span = time.monotonic() - began
    chance = random.Random()
    kills = 0
    for _ in range(10):
        process = silent(rough, "connectors", "sync")
        try:
            process.wait(timeout=chance.uniform(0.3, max(1.0, span * 0.7)))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.wait()
    final = rough.data("connectors", "sync")
    assert kills > 0
    assert all(one["done"] for one in final["services"])
    assert facts(rough) == facts(calm)
    assert len(facts(rough)) > 80
    again = rough.data("connectors", "sync")["services"]
    assert [(one["new"], one["changed"], one["removed"]) for one in again] == [(0, 0, 0)] * 2
    assert [v.violations for v in vendors] == [[], []]


def test_an_interrupted_sync_says_so_keeps_what_it_has_and_goes_on_later(
    program: Any, vendors: tuple[SlackVendor, NotionVendor]
) -> None:
    ready(program, vendors)
    process = program.start("connectors", "sync", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_memory(program, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert b"error: " in err
    assert b"Traceback" not in err
    kept = program.data("connectors", "list")["services"]
    before = {row[0] for row in facts(program)}
    assert sum(one.get("passages", 0) for one in kept) >= len(before)
    final = program.data("connectors", "sync")
    assert all(one["done"] for one in final["services"])
    assert before <= {row[0] for row in facts(program)}


def test_a_second_sync_at_the_same_time_names_the_first_and_ends_with_75(
    program: Any, vendors: tuple[SlackVendor, NotionVendor]
) -> None:
    ready(program, vendors)
    first = silent(program, "connectors", "sync")
    wait_for_memory(program, first)
    second = program.run("connectors", "sync", "--lock-timeout", "0")
    assert first.wait(timeout=60) == 0
    assert second.returncode == 75
    assert f"pid {first.pid}" in second.stderr.decode()
    assert "sophiactl connectors sync" in second.stderr.decode()
