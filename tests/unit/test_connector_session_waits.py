from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.config import ConnectorsConfig, Limit
from sophiactl.connectors.errors import (
    NoService,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.connectors.session import Answer, Call, CallRow
from sophiactl.web import NotConnected
from tests.session_vendor import GET, NEVER, Wire, answered, asked, session, simulate, within

if TYPE_CHECKING:
    from sophiactl.web import WebAnswer, WebRequest

# Waits


@pytest.mark.parametrize(("chance", "pauses"), [(0.0, [0, 0, 0, 0]), (0.5, [0.25, 0.5, 1, 2]), (1.0, [0.5, 1, 2, 4])])
def test_pauses_have_full_jitter(chance: float, pauses: list[float]) -> None:
    wire = Wire(answered(500))
    asked(wire, chance=chance)
    assert [later - sooner for sooner, later in zip(wire.sent, wire.sent[1:], strict=False)] == pytest.approx(pauses)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_and_the_answer_arrives(status: int) -> None:
    wire = Wire(answered(status, retry_after="7"), answered(value={"a": 1}))
    assert asked(wire, chance=1.0).json == {"a": 1}  # type: ignore[union-attr]
    assert wire.sent[1] - wire.sent[0] == pytest.approx(7.5)


def test_retry_after_as_a_date_is_read_against_the_clock_of_the_service() -> None:
    late = {"date": "Sun, 06 Nov 2044 08:49:30 GMT", "retry_after": "Sun, 06 Nov 2044 08:49:37 GMT"}
    wire = Wire(answered(429, **late), answered())
    asked(wire, wall=1e9)
    assert wire.sent[1] - wire.sent[0] == pytest.approx(7)


@pytest.mark.parametrize(("seconds", "longest"), [(30, 120.0), (1000, 6.0)])
def test_a_wait_that_is_too_long_is_not_begun(seconds: float, longest: float) -> None:
    async def main() -> None:
        wire = Wire(answered(429, retry_after="31"), answered())
        made = session(wire, config=ConnectorsConfig(longest_wait=longest))
        began = asyncio.get_running_loop().time()
        for _ in range(2):  # the second is not even sent
            with pytest.raises(TooFast) as failed:
                await made.call(GET, within(seconds))
            assert failed.value.retry_after == pytest.approx(31)
        assert asyncio.get_running_loop().time() == began
        assert len(wire.sent) == 1
        await asyncio.sleep(31.1)
        await made.call(GET, within(seconds))

    simulate(main)


class Strict:
    """A service that says when to come again, and takes note of who comes earlier."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.told: list[tuple[float, float]] = []
        self.early: list[float] = []

    def __call__(self, request: WebRequest, now: float) -> WebAnswer:
        self.early += [now for told, until in self.told if told < now < until]
        if len(self.told) >= 4 or zlib.crc32(f"{request.url} {now:.3f}".encode()) % 3:
            return answered()
        self.told.append((now + self.latency, now + self.latency + 2))
        return answered(503 if len(self.told) % 2 else 429, retry_after="2")


@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.1, 1.0, 2.0, 3.0]), min_size=1, max_size=30),
    st.integers(1, 8),
    st.floats(0, 1),
    st.sampled_from([0.05, 0.5]),
    st.sampled_from([Limit(1000, 1, 100), Limit(5, 1, 2), Limit(1, 1, 1)]),
)
def test_nobody_comes_before_retry_after_is_over(
    comes: list[float], slots: int, chance: float, latency: float, limit: Limit
) -> None:
    strict = Strict(latency)

    async def main() -> None:
        wire = Wire(strict, latency=latency)
        made = session(wire, limits={"all": limit}, concurrency=slots, chance=chance)

        async def one(number: int, come: float) -> None:
            await asyncio.sleep(come)
            await made.call(Call("GET", f"/{number}"), NEVER)

        await asyncio.gather(*(one(*each) for each in enumerate(comes)))
        assert wire.open == 0

    simulate(main)
    assert not strict.early


def test_with_limits_per_method_a_429_stops_one_method_and_a_503_all() -> None:
    async def main() -> None:
        wire = Wire(answered(429, retry_after="50"), answered(), answered(503, retry_after="50"), answered())
        made = session(wire, per_method=True)
        one, two = Call("GET", "/1", limit="one"), Call("GET", "/2", limit="two")
        with pytest.raises(TooFast):
            await made.call(one, within(5))
        await made.call(two, within(5))
        with pytest.raises(ServiceDown):
            await made.call(two, within(5))
        with pytest.raises(TooFast):
            await made.call(Call("GET", "/3", limit="three"), within(5))
        assert len(wire.sent) == 3

    simulate(main)


def test_a_service_with_one_limit_stops_as_a_whole() -> None:
    async def main() -> None:
        wire = Wire(answered(429, retry_after="50"), answered())
        made = session(wire, limits={"all": Limit(100), "search": Limit(5)})
        with pytest.raises(TooFast):
            await made.call(Call("POST", "/search", limit="search"), within(5))
        with pytest.raises(TooFast):
            await made.call(GET, within(5))
        assert len(wire.sent) == 1

    simulate(main)


def test_a_refusal_without_a_time_keeps_the_others_back_too() -> None:
    async def main() -> None:
        wire = Wire(answered(429), answered())
        made = session(wire, chance=1.0, concurrency=1)
        await asyncio.gather(*(made.call(GET, NEVER) for _ in range(3)))
        assert wire.sent[1] - wire.sent[0] == pytest.approx(0.5)
        assert len(wire.sent) == 4

    simulate(main)


def test_a_service_far_slower_than_its_limit_is_read_all_the_same() -> None:
    """One call a second where ten are said to be allowed: nobody runs out of tries."""

    async def main() -> None:
        taken: list[float] = []

        def once_a_second(request: WebRequest, now: float) -> WebAnswer:
            if taken and now < taken[-1] + 1 - 1e-6:
                return answered(429, retry_after="1")
            taken.append(now)
            return answered()

        made = session(Wire(once_a_second), limits={"all": Limit(10, 1, 10)})
        await asyncio.gather(*(made.call(GET, NEVER) for _ in range(60)))
        assert len(taken) == 60
        assert made.requests < 100

    simulate(main)


# Silence and failures


def test_a_service_that_hangs_costs_a_call_its_deadline_and_no_more() -> None:
    async def main() -> None:
        wire = Wire(1e9)
        began = asyncio.get_running_loop().time()
        with pytest.raises(NoService, match="gave no answer in 8 s"):
            await session(wire).call(GET, within(8))
        assert asyncio.get_running_loop().time() - began == pytest.approx(8)
        assert wire.open == 0

    simulate(main)


def test_a_service_that_hangs_is_given_up_after_two_tries() -> None:
    async def main() -> None:
        began = asyncio.get_running_loop().time()
        with pytest.raises(NoService, match="gave no answer in 30 s"):
            await session(Wire(1e9)).call(GET, NEVER)
        assert asyncio.get_running_loop().time() - began == pytest.approx(60, abs=1)
        assert isinstance(await session(Wire(1e9, answered())).call(GET, NEVER), Answer)

    simulate(main)


def test_those_who_wait_behind_calls_that_hang_are_told_soon() -> None:
    async def main() -> None:
        wire = Wire(1e9)
        made = session(wire, concurrency=8)
        began = asyncio.get_running_loop().time()
        failed = await asyncio.gather(*(made.call(GET, NEVER) for _ in range(100)), return_exceptions=True)
        assert {type(error) for error in failed} == {NoService}
        assert asyncio.get_running_loop().time() - began == pytest.approx(30, abs=1)
        assert len(wire.sent) == 8

    simulate(main)


def test_a_call_that_finds_no_free_connection_says_so_in_time() -> None:
    async def main() -> None:
        made = session(Wire(29), concurrency=1)
        first = asyncio.create_task(made.call(GET, NEVER))
        await asyncio.sleep(0)
        with pytest.raises(NoService, match="too busy with other calls for 5 s"):
            await made.call(GET, within(5))
        await first
        with pytest.raises(NoService, match="the time was over"):
            await made.call(GET, within(0))

    simulate(main)


def test_our_own_short_deadline_is_no_failure_of_the_service() -> None:
    async def main() -> None:
        made = session(Wire(0.5))
        for _ in range(20):
            with pytest.raises(NoService):
                await made.call(GET, within(0.1))
        assert isinstance(await made.call(GET, within(5)), Answer)

    simulate(main)


def test_a_blip_that_hits_all_calls_at_once_opens_no_circuit() -> None:
    async def main() -> None:
        wire = Wire(*[answered(502)] * 8, answered(), latency=1.0)
        made = session(wire, concurrency=8)
        answers = await asyncio.gather(*(made.call(GET, NEVER) for _ in range(8)))
        assert len(answers) == 8
        assert len(wire.sent) == 16

    simulate(main)


@pytest.mark.parametrize("met", [NotConnected("no connection"), answered(500), answered(200, b"<html>"), 1e9])
def test_a_service_that_fails_again_and_again_is_left_alone(met: Any) -> None:
    async def main() -> None:
        wire = Wire(met)
        made = session(wire)
        for _ in range(10):
            with pytest.raises(ServiceError):
                await made.call(GET, NEVER)
        assert len(wire.sent) == 5

    simulate(main)


def test_after_a_while_one_call_finds_out_for_all() -> None:
    async def main() -> None:
        wire = Wire(*[answered(500)] * 6, answered(), latency=1.0)
        made = session(wire, concurrency=16)
        with pytest.raises(ServiceDown):
            await made.call(GET, NEVER)
        assert len(wire.sent) == 5
        with pytest.raises(NoService, match="not asked for another 30 s") as shut:
            await made.call(GET, NEVER)
        assert shut.value.stop
        await asyncio.sleep(30)
        failed = await asyncio.gather(*(made.call(GET, NEVER) for _ in range(10)), return_exceptions=True)
        assert {type(error) for error in failed} == {NoService}
        assert len(wire.sent) == 6
        await asyncio.sleep(30)
        before = asyncio.get_running_loop().time()
        probing = asyncio.create_task(made.call(GET, NEVER))
        await asyncio.sleep(0.5)
        probing.cancel()  # who finds out may be called away
        answers = await asyncio.gather(*(made.call(GET, NEVER) for _ in range(10)))
        assert len(answers) == 10
        assert asyncio.get_running_loop().time() - before == pytest.approx(2.5)

    simulate(main)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.2, 40.0]), st.sampled_from([0.0, 0.6, 3.0])), max_size=20))
def test_calls_that_are_called_away_leave_nothing(calls: list[tuple[float, float]]) -> None:
    async def main() -> None:
        rows: list[CallRow] = []
        script = [1e9, answered(429, retry_after="1"), answered(500), answered(401), answered()]
        wire = Wire(*script, latency=0.4)

        async def renew() -> None:
            await asyncio.sleep(0.3)

        made = session(wire, rows=rows, limits={"all": Limit(2, 1, 2)}, concurrency=2, renew=renew)
        tasks = []
        for come, stay in calls:
            await asyncio.sleep(come)
            task = asyncio.create_task(made.call(GET, NEVER))
            asyncio.get_running_loop().call_later(stay, task.cancel)
            tasks.append(task)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert wire.open == 0
        assert len(rows) == len([row for row in rows if row.outcome]) <= len(calls)
        assert made._turns._slots._value == 2
        assert [line.waiting for line in made._turns._lines.values()] == [0]
        assert not made._probing.locked()
        assert not made._renewing.locked()
        await asyncio.sleep(100)
        wire.script = [answered()]
        assert isinstance(await made.call(GET, NEVER), Answer)

    simulate(main)
