"""The tables, the same in SQLite and PostgreSQL, and the statements that both understand.

Statements use `?` for values. `{binary}` is the collation that compares bytes: ids and times sort alike in both.
Times are text of one width in UTC (2026-11-22T09:14:00.000000Z): sorted as text they are sorted in time.
"""

from __future__ import annotations

from sophiactl.runs.base import Call, Run, ServiceCall

RUN_COLUMNS = tuple(name for name in Run.__struct_fields__ if name not in {"calls", "service_calls"})
CALL_COLUMNS = Call.__struct_fields__
SERVICE_COLUMNS = ServiceCall.__struct_fields__

_FIRST = (
    """CREATE TABLE runs (
        id TEXT COLLATE {binary} NOT NULL PRIMARY KEY,
        command TEXT NOT NULL,
        at TEXT COLLATE {binary} NOT NULL,
        session TEXT,
        prompt_hash TEXT,
        prompt TEXT,
        answer TEXT,
        score DOUBLE PRECISION,
        complexity BIGINT,
        tier TEXT,
        model TEXT,
        provider TEXT,
        candidates TEXT NOT NULL,
        dropped TEXT NOT NULL,
        decision_ms DOUBLE PRECISION,
        cost DOUBLE PRECISION,
        premium_cost DOUBLE PRECISION,
        escalated SMALLINT NOT NULL,
        fallbacks BIGINT NOT NULL,
        error TEXT,
        feedback TEXT,
        artifact TEXT,
        details TEXT NOT NULL
    )""",
    "CREATE INDEX runs_by_time ON runs (at, id)",
    "CREATE INDEX runs_by_session ON runs (session, at, id)",
    """CREATE TABLE calls (
        run_id TEXT COLLATE {binary} NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        reason TEXT NOT NULL,
        at TEXT COLLATE {binary},
        input_tokens BIGINT,
        output_tokens BIGINT,
        cached_tokens BIGINT,
        reasoning_tokens BIGINT,
        cost DOUBLE PRECISION,
        latency DOUBLE PRECISION,
        first_token DOUBLE PRECISION,
        finish_reason TEXT,
        error TEXT,
        PRIMARY KEY (run_id, number)
    )""",
)

# Totals of runs that were forgotten: a counter that went down would be read as one that began anew. The row without a
# name holds nothing; who forgets changes it first, so that they do it one after the other.
_SERVICES = (
    """CREATE TABLE service_calls (
        run_id TEXT COLLATE {binary} NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        service TEXT COLLATE {binary} NOT NULL,
        outcome TEXT COLLATE {binary} NOT NULL,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        calls BIGINT NOT NULL,
        seconds DOUBLE PRECISION NOT NULL,
        waited DOUBLE PRECISION NOT NULL,
        retries BIGINT NOT NULL,
        PRIMARY KEY (run_id, number)
    )""",
    """CREATE TABLE past_totals (
        name TEXT COLLATE {binary} NOT NULL,
        label_1 TEXT COLLATE {binary} NOT NULL,
        label_2 TEXT COLLATE {binary} NOT NULL,
        total DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (name, label_1, label_2)
    )""",
    "INSERT INTO past_totals VALUES ('', '', '', 0)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _SERVICES)
"""Statements that lead from version n to n + 1. A step that was ever released is never edited."""


def migrations(binary: str) -> tuple[tuple[str, ...], ...]:
    """The steps with the name of the engine's binary collation in them."""
    return tuple(tuple(statement.format(binary=binary) for statement in step) for step in MIGRATIONS)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def added(column: str) -> str:
    """A sum that no number of rows makes too large for a column."""
    return f"sum(CAST({column} AS DOUBLE PRECISION))"


_GROUPED, _SUMMED = ("service", "outcome"), ("calls", "seconds", "waited", "retries")
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in RUN_COLUMNS if name != "id")
_RUNS, _CALLS, _SERVICE_CALLS = (", ".join(names) for names in (RUN_COLUMNS, CALL_COLUMNS, SERVICE_COLUMNS))

# Only names of our own columns are put into statements; values never are.
PUT_RUN = (
    f"INSERT INTO runs ({_RUNS}) VALUES ({_marks(len(RUN_COLUMNS))})"  # noqa: S608
    f" ON CONFLICT (id) DO UPDATE SET {_REPLACED}"
)
DROP_CALLS = "DELETE FROM calls WHERE run_id = ?"
PUT_CALL = f"INSERT INTO calls (run_id, number, {_CALLS}) VALUES ({_marks(2 + len(CALL_COLUMNS))})"  # noqa: S608
DROP_SERVICE_CALLS = "DELETE FROM service_calls WHERE run_id = ?"
PUT_SERVICE_CALL = (
    f"INSERT INTO service_calls (run_id, number, {_SERVICE_CALLS})"  # noqa: S608
    f" VALUES ({_marks(2 + len(SERVICE_COLUMNS))})"
)
OLD = "SELECT id FROM runs WHERE at < ? ORDER BY at, id LIMIT ?"
DROP_OLD = f"DELETE FROM runs WHERE id IN ({OLD})"  # noqa: S608
VERDICT = "UPDATE runs SET feedback = ? WHERE id = ?"
# A run whose cost is unknown as a whole still spent what its other calls are known to have cost.
SPENT = (
    "SELECT sum(coalesce(cost, (SELECT sum(calls.cost) FROM calls WHERE calls.run_id = runs.id), 0))"
    " FROM runs WHERE at >= ?"
)


def runs_where(condition: str, tail: str) -> str:
    """Whole rows of runs."""
    return f"SELECT {_RUNS} FROM runs WHERE {condition} {tail}"  # noqa: S608


def count_where(condition: str) -> str:
    """How many runs."""
    return f"SELECT count(*) FROM runs WHERE {condition}"  # noqa: S608


def calls_of(count: int) -> str:
    """Calls of so many runs, in their order."""
    return f"SELECT run_id, {_CALLS} FROM calls WHERE run_id IN ({_marks(count)}) ORDER BY run_id, number"  # noqa: S608


def service_calls_of(count: int) -> str:
    """Service calls of so many runs, in their order."""
    chosen = f"WHERE run_id IN ({_marks(count)})"
    return f"SELECT run_id, {_SERVICE_CALLS} FROM service_calls {chosen} ORDER BY run_id, number"  # noqa: S608


def summed_service_calls_of(count: int) -> str:
    """The same, but one row for each service and outcome of a run, without method and path."""
    values = [
        f"{added(name)} AS {name}" if name in _SUMMED else name if name in _GROUPED else f"'' AS {name}"
        for name in SERVICE_COLUMNS
    ]
    grouped = ", ".join(("run_id", *_GROUPED))
    return (
        f"SELECT run_id, {', '.join(values)} FROM service_calls"  # noqa: S608
        f" WHERE run_id IN ({_marks(count)}) GROUP BY {grouped} ORDER BY {grouped}"
    )
