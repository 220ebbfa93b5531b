"""What a command asked of business services, as the ledger has it."""

from __future__ import annotations

import math
import zlib
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.session_calls import CallRow
from sophiactl.ops.service_calls import record
from sophiactl.runs.base import RunFilter, RunsConfig, ServiceCall
from sophiactl.runs.opening import FILE
from sophiactl.runs.service_calls import MOST, by_service, failures, kept, summed

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.runs.base import Run
    from sophiactl.wiring import Wiring

ROWS = (
    CallRow("slack", "GET", "conversations.history", "ok", 0.75, 0.5, 2),
    CallRow("notion", "POST", "/v1/search", "rate_limited", 1.5, 1.25, 3),
)


def recorded(wiring: Wiring) -> list[Run]:
    with closing(wiring.models.ledger()) as ledger:
        return [run for item in ledger.scan(RunFilter()) for run in [ledger.get(item.id)] if run is not None]


class TestRecord:
    def test_all_calls_are_one_run(self, wiring: Wiring) -> None:
        wiring.connectors.calls.extend(ROWS)
        done = record("connectors sync", wiring, "2026-11-22T11:59:00Z", "rate_limited")
        assert done is not None
        [run] = recorded(wiring)
        assert (run.id, run.command, run.at) == (done.run, "connectors sync", "2026-11-22T11:59:00Z")
        assert (run.error, run.cost, run.tier, run.calls) == ("rate_limited", None, None, ())
        assert run.service_calls == (
            ServiceCall("slack", "ok", "GET", "conversations.history", seconds=0.75, waited=0.5, retries=2),
            ServiceCall("notion", "rate_limited", "POST", "/v1/search", seconds=1.5, waited=1.25, retries=3),
        )
        assert done.unrecorded is None

    def test_where_nobody_was_asked_there_is_no_ledger(self, wiring: Wiring) -> None:
        assert record("connectors check", wiring, wiring.now()) is None
        assert not (wiring.paths.state / FILE).exists()

    def test_every_field_of_a_call_is_kept(self) -> None:
        assert {*CallRow.__struct_fields__, "calls"} == set(ServiceCall.__struct_fields__)

    def test_a_ledger_that_cannot_be_written_is_said_and_not_raised(self, wiring: Wiring) -> None:
        wiring.paths.state.mkdir(parents=True)
        (wiring.paths.state / FILE).write_bytes(b"no database" * 1000)
        wiring.connectors.calls.extend(ROWS)
        done = record("connectors search", wiring, wiring.now())
        assert done is not None
        assert "damaged" in (done.unrecorded or "")
        assert "move the file away" in (done.hint or "")

    def test_nor_is_one_on_a_server_that_is_not_there(self, make_wiring: Callable[..., Wiring]) -> None:
        wiring = make_wiring(runs=RunsConfig(url="postgresql://me@127.0.0.1:9/x"))
        wiring.connectors.calls.extend(ROWS)
        done = record("connectors search", wiring, wiring.now())
        assert done is not None
        assert "127.0.0.1" in (done.unrecorded or "")

    def test_what_is_kept_too_long_is_cleared_away_here_too(self, make_wiring: Callable[..., Wiring]) -> None:
        wiring = make_wiring(runs=RunsConfig(keep_days=30))
        wiring.connectors.calls.extend(ROWS[:1])
        names = iter(["old", next(name for name in map(str, count()) if zlib.crc32(name.encode()) % 256 == 0)])
        wiring.new_id = lambda: next(names)
        record("connectors check", wiring, "2026-01-01T00:00:00Z")
        record("connectors check", wiring, wiring.now())
        [run] = recorded(wiring)
        assert run.at == wiring.now()


CALLS = st.lists(
    st.builds(
        ServiceCall,
        st.sampled_from(["slack", "notion", "gong"]),
        st.sampled_from(["ok", "timeout", "cancelled"]),
        method=st.sampled_from(["GET", "POST"]),
        path=st.sampled_from(["/a", "/b"]),
        calls=st.integers(1, 5),
        seconds=st.integers(0, 999).map(lambda number: number / 8),
        waited=st.integers(0, 999).map(lambda number: number / 8),
        retries=st.integers(0, 5),
    ),
    max_size=30,
)


class TestSums:
    @given(CALLS)
    def test_no_sum_loses_anything(self, calls: list[ServiceCall]) -> None:
        rows = summed(calls)
        assert summed(rows) == rows
        services = by_service(calls)
        for field in ("calls", "seconds", "waited", "retries"):
            total = math.fsum(getattr(call, field) for call in calls)
            assert math.fsum(getattr(row, field) for row in rows) == total
            assert math.fsum(getattr(service, field) for service in services) == total
        assert [one.service for one in services] == sorted({call.service for call in calls})
        failed = sum(call.calls for call in calls if call.outcome != "ok")
        assert sum(one.failed for one in services) == failed
        assert sum(sum(one.errors.values()) for one in services) == failed
        assert sum(count for _, count in failures(calls)) == failed

    @given(CALLS, st.integers(0, 30))
    def test_the_first_are_kept_and_the_rest_is_summed(self, calls: list[ServiceCall], most: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sophiactl.runs.service_calls.MOST", most)
            found = kept(calls)
            assert found[:most] == tuple(calls[:most])
            assert found[most:] == summed(calls[most:])
            assert summed(found) == summed(calls)
            assert kept(found) == found

    def test_that_is_ten_thousand(self) -> None:
        assert MOST == 10_000

    def test_failures_are_named_by_what_was_asked(self) -> None:
        calls = [
            ServiceCall("slack", "ok", "GET", "/a"),
            ServiceCall("slack", "timeout", "GET", "/b", seconds=1.0),
            ServiceCall("notion", "timeout", "POST", "/c"),
            ServiceCall("slack", "timeout", "GET", "/b", seconds=2.0),
            ServiceCall("slack", "timeout", calls=7),
        ]
        assert failures(calls) == [
            (ServiceCall("slack", "timeout", "GET", "/b"), 2),
            (ServiceCall("notion", "timeout", "POST", "/c"), 1),
        ]
        [_, slack] = by_service(calls)
        assert (slack.calls, slack.failed, slack.errors) == (10, 9, {"timeout": 9})
