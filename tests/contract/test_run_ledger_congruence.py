"""Whatever is written, the ledger on SQLite and the one on PostgreSQL give the same answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from sophiactl.runs.base import Call, Run, RunFilter, RunLedger, RunsConfig, ServiceCall
from sophiactl.runs.opening import open_ledger
from sophiactl.runs.service_calls import summed
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
# Parts of a second whose sums are exact, in whatever order an engine adds them.
EXACT = st.integers(0, 2**20).map(lambda number: number / 64)
SERVICE_CALLS = st.builds(
    ServiceCall,
    st.sampled_from(["slack", "notion", "Ünïq", "a-b", "a b"]) | TEXTS,
    st.sampled_from(["ok", "timeout", "Ok"]) | TEXTS,
    method=TEXTS,
    path=TEXTS,
    calls=st.integers(1, 2**31),
    seconds=EXACT,
    waited=EXACT,
    retries=st.integers(0, 2**31),
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
    service_calls=st.lists(SERVICE_CALLS, max_size=6).map(tuple),
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
    assert {item.id: item for item in first} == {
        item.id: msgspec.structs.replace(item, service_calls=summed(item.service_calls)) for item in runs
    }
    assert route_stats(first) == route_stats(second)
    for view in (RunFilter(text=wanted), RunFilter(session=wanted), RunFilter(feedback=True), RunFilter(failed=False)):
        assert pair[0].runs(view) == pair[1].runs(view)
        assert pair[0].count(view) == pair[1].count(view)
    assert _shape(pair[0]) == _shape(pair[1])


@hypothesis.settings(max_examples=25, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(runs=st.lists(RUNS, max_size=4, unique_by=lambda item: item.id))
def test_both_ledgers_give_each_service_call_back(pair: tuple[RunLedger, RunLedger], runs: list[Run]) -> None:
    for ledger in pair:
        for item in runs:
            ledger.record(item)
            assert {found.id: found for found in [ledger.get(item.id)] if found} == {item.id: item}


def _shape(ledger: RunLedger) -> list[tuple[object, ...]]:
    """All totals; sums of any floats may differ in their last digits."""
    return [(total.name, total.labels, pytest.approx(total.value)) for total in ledger.totals()]
