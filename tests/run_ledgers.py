"""Runs to write, and places to write them to, for the tests of the ledger."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sophiactl.runs.base import Call, Run, RunFilter, RunLedger, RunsConfig, ServiceCall
from sophiactl.runs.opening import FILE, open_ledger
from tests.postgres_server import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.postgres_server import PostgresServer

ENV = {"SOPHIACTL_RUNS_PASSWORD": PASSWORD}
EVERYTHING = RunFilter()
CALL = Call(
    model="claude-sonnet-4",
    provider="portkey",
    reason="fallback",
    at="2026-11-22T12:00:01.250000Z",
    input_tokens=1200,
    output_tokens=340,
    cached_tokens=200,
    reasoning_tokens=0,
    cost=0.0087,
    latency=1.25,
    first_token=0.4,
    finish_reason="stop",
)
ASKED = ServiceCall("slack", "ok", "GET", "conversations.history", seconds=0.75, waited=0.5, retries=1)
FULL = Run(
    id="8f3c0a",
    command="route",
    at="2026-11-22T12:00:00Z",
    session="monday",
    prompt_hash="a" * 64,
    prompt="Vergleiche die Verträge.\n\tBitte ✓",
    answer="Der zweite ist besser.",
    score=0.58,
    complexity=6,
    tier="balanced",
    model="claude-sonnet-4",
    provider="portkey",
    candidates=("gemini-2.5-flash", "claude-sonnet-4"),
    dropped=({"model": "local/llama", "reason": "context 8k < 12k needed"},),
    decision_ms=0.42,
    cost=0.0087,
    premium_cost=0.031,
    escalated=True,
    fallbacks=1,
    error="timeout",
    feedback="good",
    artifact="prior-1",
    details={"agreement": {"share": 0.5, "answers": ["a", None, 3]}},
    calls=(Call("gemini-2.5-flash", "portkey", error="rate_limited"), CALL),
    service_calls=(ServiceCall("notion", "timeout", "POST", "/v1/search", seconds=3.0), ASKED),
)


@dataclass
class Place:
    """Where a ledger is kept; every call of `open` gives a new one on the same rows."""

    open: Callable[[], RunLedger]
    execute: Callable[[str], Any]
    opened: list[RunLedger] = field(default_factory=list)

    def __call__(self) -> RunLedger:
        self.opened.append(self.open())
        return self.opened[-1]


def _sqlite(folder: Path, request: pytest.FixtureRequest) -> Place:
    def execute(statement: str) -> Any:
        db = sqlite3.connect(folder / FILE)
        with db:
            rows = db.execute(statement).fetchall()
        db.close()
        return rows

    return Place(lambda: open_ledger(RunsConfig(), folder, {}), execute)


def _postgres(folder: Path, request: pytest.FixtureRequest) -> Place:
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.new_database()
    return Place(
        lambda: open_ledger(RunsConfig(url=url), folder, ENV),
        lambda statement: server.execute(statement, url.rpartition("/")[2]),
    )


LEDGERS = {"sqlite": _sqlite, "postgres": _postgres}


def run(name: str, at: str = "2026-11-22T12:00:00Z", **fields: Any) -> Run:
    return Run(**{"id": name, "command": "route", "at": at, **fields})


def ids(runs: Any) -> list[str]:
    return [item.id for item in runs]
