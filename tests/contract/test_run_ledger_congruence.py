"""Whatever is written, the ledger on SQLite and the one on PostgreSQL give the same answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import strategies as st

from sophiactl.runs.base import Call, Run, RunFilter, RunLedger, RunsConfig
from sophiactl.runs.opening import open_ledger
from sophiactl.runs.stats import route_stats
from tests.run_ledgers import ENV, EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.postgres_server import PostgresServer

END = "9000-01-01"
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.none() | st.floats(0, 1e12)
COUNTS = st.none() | st.integers(0, 2**63 - 1)
MAYBE = st.none() | TEXTS
CALLS = st.builds(
    Call, TEXTS, TEXTS, reason=TEXTS, input_tokens=COUNTS, cost=NUMBERS, latency=NUMBERS, error=MAYBE, at=st.none()
)
RUNS = st.builds(
    Run,
    id=TEXTS.filter(bool),
    command=TEXTS,
    at=st.datetimes(max_value=datetime.fromisoformat(END)).map(
        lambda moment: f"{moment.isoformat(timespec='microseconds')}Z".replace(".000000Z", "Z")
    ),
    session=MAYBE,
    prompt=MAYBE,
    score=NUMBERS,
    complexity=st.none() | st.integers(1, 10),
    tier=MAYBE,
    model=MAYBE,
    candidates=st.lists(TEXTS, max_size=3).map(tuple),
    dropped=st.lists(st.fixed_dictionaries({"model": TEXTS, "reason": TEXTS}), max_size=2).map(tuple),
    cost=NUMBERS,
    premium_cost=NUMBERS,
    decision_ms=NUMBERS,
    escalated=st.booleans(),
    fallbacks=st.integers(0, 2**31),
    feedback=st.sampled_from([None, "good", "bad"]),
    details=st.dictionaries(TEXTS, st.none() | st.booleans() | TEXTS, max_size=3),
    calls=st.lists(CALLS, max_size=3).map(tuple),
)


@pytest.fixture
def pair(postgres: PostgresServer, tmp_path: Path) -> Iterator[tuple[RunLedger, RunLedger]]:
    """Both ledgers, empty."""
    both = (
        open_ledger(RunsConfig(), tmp_path, {}),
        open_ledger(RunsConfig(url=postgres.new_database()), tmp_path, ENV),
    )
    yield both
    for ledger in both:
        ledger.close()


@hypothesis.settings(max_examples=25, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(runs=st.lists(RUNS, max_size=6, unique_by=lambda item: item.id), wanted=TEXTS)
def test_both_ledgers_say_the_same(pair: tuple[RunLedger, RunLedger], runs: list[Run], wanted: str) -> None:
    for ledger in pair:
        ledger.forget(END)
        for item in runs:
            ledger.record(item)
    first, second = (list(ledger.scan(EVERYTHING, page=2)) for ledger in pair)
    assert first == second
    assert {item.id: item for item in first} == {item.id: item for item in runs}
    assert route_stats(first) == route_stats(second)
    for view in (RunFilter(text=wanted), RunFilter(session=wanted), RunFilter(feedback=True), RunFilter(failed=False)):
        assert pair[0].runs(view) == pair[1].runs(view)
        assert pair[0].count(view) == pair[1].count(view)
