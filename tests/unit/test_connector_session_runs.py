from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.config import ConnectorsConfig, Limit
from sophiactl.connectors.errors import (
    KeyRefused,
    Malformed,
    NoService,
    QuotaSpent,
    ServiceError,
)
from sophiactl.connectors.session import Answer, Call, CallRow
from tests.session_vendor import GET, NEVER, Wire, answered, session, simulate, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.web import WebAnswer, WebRequest

# Keys that wear out


class Login:
    """Keys that are good until the next one is made, or only some calls."""

    def __init__(self, *, fails: int = 0) -> None:
        self.key = 0
        self.renewals = 0
        self.fails = fails

    async def identity(self) -> Mapping[str, str]:
        return {"Authorization": str(self.key)}

    async def renew(self) -> None:
        self.renewals += 1
        await asyncio.sleep(1)
        if self.renewals <= self.fails:
            raise NoService("acme's login is down", service="acme")
        self.key += 1


def keyed(good: int, latency: float = 0.2) -> Wire:
    def check(request: WebRequest, now: float) -> WebAnswer:
        return answered() if int(request.headers["Authorization"]) >= good else answered(401, {"error": "expired"})

    return Wire(check, latency=latency)


@given(st.integers(1, 12), st.lists(st.sampled_from([0.0, 0.1, 0.3, 1.0, 1.1]), min_size=1, max_size=30))
def test_a_key_is_renewed_once_however_many_calls_find_out(slots: int, comes: list[float]) -> None:
    async def main() -> None:
        login, wire = Login(), keyed(1)
        made = session(wire, identity=login.identity, renew=login.renew, concurrency=slots)

        async def one(come: float) -> None:
            await asyncio.sleep(come)
            await made.call(GET, NEVER)

        await asyncio.gather(*map(one, comes))
        assert login.renewals == 1

    simulate(main)


def test_a_call_that_waits_while_the_key_is_renewed_is_sent_with_the_new_one() -> None:
    async def main() -> None:
        login, wire = Login(), keyed(1)
        made = session(wire, identity=login.identity, renew=login.renew, limits={"all": Limit(1, 2, 1)})
        await asyncio.gather(*(made.call(GET, NEVER) for _ in range(5)))
        assert (login.renewals, len(wire.sent)) == (1, 6)

    simulate(main)


def test_a_key_that_is_refused_even_when_it_is_new_is_refused() -> None:
    async def main() -> None:
        login, wire = Login(), keyed(1000)
        made = session(wire, identity=login.identity, renew=login.renew)
        with pytest.raises(KeyRefused):
            await made.call(GET, NEVER)
        assert (login.renewals, len(wire.sent)) == (1, 2)

    simulate(main)


def test_a_login_that_fails_fails_for_all_who_wait_for_it_and_is_tried_again_later() -> None:
    async def main() -> None:
        login, wire = Login(fails=1), keyed(1)
        made = session(wire, identity=login.identity, renew=login.renew, config=ConnectorsConfig(retries=0))
        failed = await asyncio.gather(*(made.call(GET, NEVER) for _ in range(6)), return_exceptions=True)
        assert {str(error) for error in failed} == {"acme's login is down"}
        assert len(set(map(id, failed))) == 6
        assert login.renewals == 1
        await made.call(GET, NEVER)
        assert login.renewals == 2

    simulate(main)


def test_a_login_takes_no_longer_than_the_deadline() -> None:
    async def main() -> None:
        login = Login()
        made = session(keyed(1), identity=login.identity, renew=login.renew)
        with pytest.raises(NoService, match=r"acme had no login in 0\.7 s"):
            await made.call(GET, within(0.7))
        await made.call(GET, within(5))

    simulate(main)


def test_a_login_may_be_a_call_through_the_same_session() -> None:
    async def main() -> None:
        wire, keys = Wire(), list[str]()

        async def identity() -> Mapping[str, str]:
            if not keys:
                keys.append("")  # a login is asked for without a key
                await made.call(Call("POST", "/token", form={"a": "b"}), NEVER)
                keys.append("k")
            return {"Authorization": keys[-1]}

        made = session(wire, identity=identity, concurrency=1, limits={"all": Limit(1, 1, 1)})
        await made.call(GET, NEVER)
        sent = [(request.method, request.headers["Authorization"]) for request in wire.seen]
        assert sent == [("POST", ""), ("GET", "k")]

    simulate(main)


# Budget and quota


def test_a_budget_is_never_overdrawn() -> None:
    async def main() -> None:
        wire = Wire(answered(500), answered(), latency=0.1)
        made = session(wire, config=ConnectorsConfig(requests=10), limits={"all": Limit(3, 1, 3)})
        results = await asyncio.gather(*(made.call(GET, NEVER) for _ in range(30)), return_exceptions=True)
        assert len(wire.sent) == made.requests == 10
        assert sum(isinstance(result, Answer) for result in results) == 9
        assert {type(result) for result in results} == {Answer, QuotaSpent}

    simulate(main)


@pytest.mark.parametrize(("headers", "seconds"), [({"retry_after": "3600"}, 3600), ({}, 900)])
def test_a_spent_quota_is_believed_for_a_while(headers: dict[str, str], seconds: float) -> None:
    async def main() -> None:
        wire = Wire(answered(429, {"error": "quota"}, **headers), answered())
        made = session(wire)
        for _ in range(3):
            with pytest.raises(QuotaSpent, match="enough for today") as spent:
                await made.call(GET, NEVER)
            assert spent.value.stop
        assert len(wire.sent) == 1
        await asyncio.sleep(seconds)
        await made.call(GET, NEVER)

    simulate(main)


# Pages


def paged(wire: Wire, cursors: Mapping[str, str | None]) -> list[str]:
    """The cursors of all pages that were read, by a table of which follows which."""
    read: list[str] = []

    def following(answer: Answer) -> Call | None:
        cursor = cursors[read[-1]]
        return None if cursor is None else Call("GET", "/x", {"cursor": cursor})

    async def main() -> None:
        pages = session(wire).pages(Call("GET", "/x", {"cursor": "0"}), following, NEVER)
        async for _ in pages:
            read.append(wire.seen[-1].url.rpartition("=")[2])  # noqa: PERF401 - `following` looks at it in between

    try:
        simulate(main)
    except Malformed as error:
        read.append(str(error))
    return read


def test_pages_end_without_a_cursor() -> None:
    assert paged(Wire(), {"0": "1", "1": "2", "2": None}) == ["0", "1", "2"]


@pytest.mark.parametrize(
    "cursors", [{"0": "0"}, {"0": "1", "1": "1"}, {"0": "1", "1": "0"}, {"0": "1", "1": "2", "2": "3", "3": "1"}]
)
def test_cursors_that_lead_round_in_circles_end(cursors: dict[str, str | None]) -> None:
    wire = Wire()
    assert paged(wire, cursors)[-1] == "acme gave the same cursor twice"
    assert len(wire.sent) == len(cursors)


def test_a_body_counts_as_part_of_a_cursor() -> None:
    async def main() -> int:
        calls = iter([Call("POST", "/x", json={"after": "1"}), Call("POST", "/x", json={"after": "2"})])
        pages = session(Wire()).pages(Call("POST", "/x", json={}), lambda _: next(calls, None), NEVER)
        return len([page async for page in pages])

    assert simulate(main) == 3


# Rows


def test_each_call_leaves_a_row_without_its_query() -> None:
    async def main() -> list[CallRow]:
        rows: list[CallRow] = []
        wire = Wire(answered(429, retry_after="2"), answered(), answered(404), 1e9, latency=0.25)
        made = session(wire, rows=rows)
        await made.call(Call("GET", "https://acme.example/a/7?token=x", {"q": "private"}), NEVER)
        for seconds in (5, 0.5):
            with pytest.raises(ServiceError):
                await made.call(Call("POST", "/b", json={"q": "private"}), within(seconds))
        gone = asyncio.create_task(made.call(GET, NEVER))
        await asyncio.sleep(1)
        gone.cancel()
        await asyncio.wait([gone])
        return rows

    assert simulate(main) == [
        CallRow("acme", "GET", "/a/7", "ok", 2.5, 2.0, 1),
        CallRow("acme", "POST", "/b", "item_gone", 0.25),
        CallRow("acme", "POST", "/b", "no_service", 0.5),
        CallRow("acme", "GET", "/x", "cancelled", 1.0),
    ]


def test_a_reading_that_fails_itself_is_noted_and_frees_its_slot() -> None:
    async def main() -> None:
        rows: list[CallRow] = []

        def broken(answer: WebAnswer, value: Any) -> ServiceError | None:
            raise KeyError("x")

        made = session(Wire(), rows=rows, judge=broken, concurrency=1)
        for _ in range(3):
            with pytest.raises(KeyError):
                await made.call(GET, within(5))
        assert [row.outcome for row in rows] == ["failed"] * 3

    simulate(main)
