from __future__ import annotations

import asyncio
import bisect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.config import Limit
from sophiactl.connectors.limits import Breaker, Bucket
from sophiactl.connectors.session_turns import TooLate, Turns
from sophiactl.errors import ConfigError
from tests.session_vendor import simulate

limits = st.builds(
    Limit,
    calls=st.floats(0.5, 50),
    seconds=st.sampled_from([0.1, 1.0, 10.0, 60.0]),
    burst=st.sampled_from([0.0, 1.0, 1.5, 4.0, 20.0]),
)


class Time:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def assert_within(times: list[float], limit: Limit) -> None:
    """In no window more than burst + rate * t."""
    times = sorted(times)
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            allowed = max(1.0, limit.burst) + (times[last] - start) * limit.calls / limit.seconds
            assert last - first + 1 <= allowed + 1e-3, (first, last, times)


@given(limits, st.lists(st.floats(0, 5), max_size=60))
def test_a_bucket_never_gives_more_than_burst_and_rate(limit: Limit, gaps: list[float]) -> None:
    time = Time()
    bucket, spent = Bucket(limit, time), []
    for gap in gaps:
        time.now += gap
        while wait := bucket.wait():
            time.now += wait
        bucket.spend()
        spent.append(time.now)
    assert_within(spent, limit)


@given(limits)
def test_a_full_bucket_gives_its_burst_at_once_and_then_its_rate(limit: Limit) -> None:
    time = Time()
    bucket = Bucket(limit, time)
    for _ in range(max(1, int(limit.burst))):
        assert bucket.wait() == 0
        bucket.spend()
    interval = limit.seconds / limit.calls
    fraction = max(limit.burst, 1) % 1
    assert bucket.wait() == pytest.approx(interval * (1 - fraction), abs=1e-5)


def test_waiting_books_nothing() -> None:
    bucket = Bucket(Limit(1), Time())
    assert [bucket.wait() for _ in range(5)] == [0.0] * 5
    bucket.spend()
    assert [bucket.wait() for _ in range(5)] == [1.0] * 5
    assert bucket.wait(ahead=2) == 3.0


def test_after_a_closed_time_calls_come_one_by_one() -> None:
    time = Time()
    bucket = Bucket(Limit(10, 1, 10), time)
    bucket.close_for(3)
    bucket.close_for(1)
    assert bucket.wait() == bucket.closed_for() == 3.0
    time.now += 3
    assert bucket.wait() == 0
    bucket.spend()
    assert bucket.wait() == pytest.approx(0.1)
    time.now += 5
    for _ in range(10):  # and the burst is back when there was time
        assert bucket.wait() == 0
        bucket.spend()
    assert bucket.wait() > 0


@pytest.mark.parametrize("limit", [Limit(0), Limit(-1), Limit(float("nan")), Limit(1, -1), Limit(1, 1, -1)])
def test_a_limit_that_lets_nothing_through_is_refused(limit: Limit) -> None:
    with pytest.raises(ConfigError, match="lets nothing through"):
        Bucket(limit, Time())


@pytest.mark.parametrize("limit", [Limit(float("inf")), Limit(1, 0), Limit(1, 1, float("inf"))])
def test_no_limit_at_all(limit: Limit) -> None:
    time = Time()
    bucket = Bucket(limit, time)
    for _ in range(1000):
        assert bucket.wait() == 0
        bucket.spend()
    bucket.close_for(2)
    assert bucket.wait() == pytest.approx(2)
    time.now += 2
    assert bucket.wait() == 0


def test_a_service_that_allows_less_than_it_says_is_asked_less() -> None:
    time = Time()
    bucket = Bucket(Limit(10), time)

    def interval() -> float:
        bucket.spend()
        wait = bucket.wait()
        time.now += wait
        return wait

    assert interval() == pytest.approx(0.1)
    bucket.slower(sent=time.now)
    for _ in range(5):  # those that were on their way at the same time say the same
        bucket.slower(sent=time.now - 1)
    assert interval() == pytest.approx(0.2)
    for _ in range(20):
        time.now += 0.1
        bucket.slower(sent=time.now)
    assert interval() == pytest.approx(60, rel=0.5)
    for _ in range(300):
        bucket.faster()
    assert interval() == pytest.approx(0.1)


def test_a_slow_limit_gets_no_slower() -> None:
    time = Time()
    bucket = Bucket(Limit(1, 60), time)
    for _ in range(5):
        time.now += 1
        bucket.slower(sent=time.now)
    bucket.spend()
    assert bucket.wait() == pytest.approx(60)


# Turns: many calls at once


def _simulated(
    limit: Limit, slots: int, calls: list[tuple[float, float, float]], closings: list[tuple[float, float]]
) -> tuple[list[float], float]:
    """When calls that come, are on their way, or are given up at some time are sent, and what is left of the slots."""
    sent: list[float] = []

    async def main() -> int:
        loop = asyncio.get_running_loop()
        turns = Turns({"all": limit}, slots, per_method=False, clock=loop.time, sleep=asyncio.sleep)

        async def one(come: float, hold: float, patience: float) -> None:
            await asyncio.sleep(come)
            try:
                async with asyncio.timeout(patience):
                    await turns.take("", float("inf"), float("inf"))
            except TimeoutError:
                return
            sent.append(loop.time())
            await asyncio.sleep(hold)
            turns.leave()

        async def close(at: float, seconds: float) -> None:
            await asyncio.sleep(at)
            turns.close("", seconds)
            closed.append((loop.time(), loop.time() + seconds))

        closed: list[tuple[float, float]] = []
        await asyncio.gather(*(one(*call) for call in calls), *(close(*each) for each in closings))
        for start, end in closed:
            assert not [time for time in sent if start + 1e-9 < time < end - 2e-6]
        return turns._slots._value

    return sent, simulate(main)


times = st.sampled_from([0.0, 0.0, 0.3, 1.0, 2.5])


@given(
    limits,
    st.integers(1, 4),
    st.lists(st.tuples(times, times, st.sampled_from([0.1, 5.0, 1e6, 1e6])), max_size=25),
    st.lists(st.tuples(times, st.sampled_from([0.5, 3.0])), max_size=3),
)
def test_however_calls_come_wait_and_give_up(
    limit: Limit,
    slots: int,
    calls: list[tuple[float, float, float]],
    closings: list[tuple[float, float]],
) -> None:
    sent, free = _simulated(limit, slots, calls, closings)
    assert_within(sent, limit)
    assert free == slots
    patient = [call for call in calls if call[2] >= 1e6]
    assert len(sent) >= len(patient)


def test_a_queue_of_calls_moves_at_the_full_rate() -> None:
    sent, _ = _simulated(Limit(10, 1, 5), 8, [(0.0, 0.01, 1e6)] * 105, [])
    assert sent[-1] - sent[0] == pytest.approx(10.0, abs=0.01)
    assert sent == sorted(sent)


def test_slots_bound_what_is_on_its_way() -> None:
    sent, _ = _simulated(Limit(1e6, 1, 1e6), 3, [(0.0, 1.0, 1e6)] * 9, [])
    assert [bisect.bisect_right(sorted(sent), 1000.0 + at) for at in (0.5, 1.5, 2.5)] == [3, 6, 9]


def test_a_method_with_a_limit_of_its_own_counts_for_the_service_too() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        known = {"all": Limit(2, 1, 2), "search": Limit(1, 1, 1)}
        turns = Turns(known, 8, per_method=False, clock=loop.time, sleep=asyncio.sleep)
        sent: dict[str, list[float]] = {"": [], "search": [], "other": []}

        async def one(name: str) -> None:
            await turns.take(name, float("inf"), float("inf"))
            sent[name].append(loop.time())
            turns.leave()

        await asyncio.gather(*(one(name) for name in ("search", "", "other") for _ in range(6)))
        assert_within(sent["search"], known["search"])
        assert_within([at for times in sent.values() for at in times], known["all"])

    simulate(main)


def test_methods_counted_apart_do_not_wait_for_each_other() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        turns = Turns(
            {"all": Limit(1, 60), "slow": Limit(1, 600)}, 8, per_method=True, clock=loop.time, sleep=asyncio.sleep
        )
        for name in ("a", "b", "c", "slow"):
            await turns.take(name, 1, 1)
            turns.leave()
        with pytest.raises(TooLate) as late:
            await turns.take("slow", 120, 1e9)
        assert late.value.seconds == 600
        turns.close("a", 100)
        await turns.take("b", 61, 61)
        turns.leave()
        assert loop.time() == 1060
        turns.close("", 500, whole_service=True)
        for name in ("b", "new"):
            with pytest.raises(TooLate):
                await turns.take(name, 400, 1e9)

    simulate(main)


def test_who_would_come_too_late_is_told_at_once() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        turns = Turns({"all": Limit(1)}, 8, per_method=False, clock=loop.time, sleep=asyncio.sleep)
        await turns.take("", 5, 5)
        waiting = [asyncio.create_task(turns.take("", 10, 10)) for _ in range(3)]
        await asyncio.sleep(0)
        began = loop.time()
        with pytest.raises(TooLate):
            await turns.take("", 3.5, 10)  # three are before
        assert loop.time() == began
        await asyncio.gather(*waiting)
        turns.close("", 60)
        with pytest.raises(TooLate) as late:
            await turns.take("", float("inf"), 59)
        assert late.value.seconds == pytest.approx(60)

    simulate(main)


# Circuit breaker


def test_a_circuit_opens_after_failures_in_a_row() -> None:
    time = Time()
    breaker = Breaker(time, most=3, seconds=30)
    for _ in range(2):
        breaker.bad()
    breaker.good()
    for _ in range(2):
        breaker.bad()
    assert breaker.open_for() == 0
    assert not breaker.suspect()
    breaker.bad()
    assert breaker.open_for() == 30
    time.now += 30
    assert breaker.open_for() == 0
    assert breaker.suspect()
    breaker.bad()
    assert breaker.open_for() == 30
    breaker.good()
    assert breaker.open_for() == 0
    assert not breaker.suspect()


def test_calls_that_fail_together_count_once() -> None:
    time = Time()
    breaker = Breaker(time, most=3)
    sent = time.now
    time.now += 1
    for _ in range(20):
        breaker.bad(sent)
    assert not breaker.suspect()
    for _ in range(2):
        sent = time.now + 0.1
        time.now += 1
        breaker.bad(sent)
    assert breaker.suspect()
