from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from sophiactl.errors import ExitCode, Locked, StoreError
from sophiactl.memory.lease import LEASES, SKEW, Holder, Lease
from sophiactl.memory.points import PointIds
from sophiactl.memory.qdrant_server import ServerStore
from sophiactl.memory.server_setup import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 5, 1, 9, 0, tzinfo=UTC)
SECONDS = 60.0
POINT = PointIds(LEASES)("main")


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    made = QdrantClient(":memory:")
    yield made
    made.close()


@pytest.fixture
def time() -> Time:
    return Time()


def lease(client: Any, clock: Time, owner: str = "sophiactl prune", collection: str = "main") -> Lease:
    call = Connection("http://localhost:6333", None)
    return Lease(call, client, collection, owner=owner, seconds=SECONDS, clock=clock)


def stored(client: QdrantClient) -> Holder:
    (point,) = client.retrieve(LEASES, [POINT])
    return msgspec.convert(point.payload, Holder)


def test_the_second_is_told_who_has_it(client: QdrantClient, time: Time) -> None:
    with lease(client, time, "sophiactl prune --apply") as first:
        assert first.token == 1
        with pytest.raises(Locked) as caught:
            lease(client, time).acquire()
    holder = stored(client)
    assert "`sophiactl prune --apply`" in caught.value.message
    assert f"host {holder.host}, pid {holder.pid}, until 2026-05-01T09:01:00" in caught.value.message
    assert caught.value.exit_code == ExitCode.LOCKED
    assert caught.value.hint is not None


def test_the_number_grows_with_each_holder_and_never_begins_anew(client: QdrantClient, time: Time) -> None:
    for expected in range(1, 6):
        one = lease(client, time)
        assert one.token == 0
        one.acquire()
        assert one.token == expected
        one.renew()
        assert one.token == expected
        if expected % 2:
            one.release()
            assert one.token == 0
        else:
            time.pass_by(SECONDS + SKEW)


def test_a_lease_binds_until_its_end_and_the_skew_of_clocks(client: QdrantClient, time: Time) -> None:
    died = lease(client, time)
    died.acquire()
    time.pass_by(SECONDS + SKEW - 0.001)
    with pytest.raises(Locked):
        lease(client, time).acquire()
    time.pass_by(0.001)
    lease(client, time, "another").acquire()
    assert stored(client).owner == "another"


def test_a_clock_that_goes_backwards_frees_nothing(client: QdrantClient, time: Time) -> None:
    lease(client, time).acquire()
    time.pass_by(-86_400)
    with pytest.raises(Locked):
        lease(client, time).acquire()


def test_renewing_keeps_it(client: QdrantClient, time: Time) -> None:
    with lease(client, time) as one:
        for _ in range(10):
            time.pass_by(SECONDS)
            one.renew()
            with pytest.raises(Locked):
                lease(client, time).acquire()


def test_who_slept_too_long_is_told_and_takes_nothing_back(client: QdrantClient, time: Time) -> None:
    slept = lease(client, time)
    slept.acquire()
    time.pass_by(SECONDS + SKEW)
    with lease(client, time, "the next one") as after:
        with pytest.raises(Locked, match="the next one"):
            slept.renew()
        assert slept.token == 0
        slept.release()
        after.renew()
        assert after.token == 2
    assert stored(client).token == 2


def test_a_lease_that_others_had_and_gave_back_is_lost_too(client: QdrantClient, time: Time) -> None:
    slept = lease(client, time)
    slept.acquire()
    time.pass_by(SECONDS + SKEW)
    with lease(client, time):
        pass
    with pytest.raises(Locked, match="was lost"):
        slept.renew()
    with pytest.raises(StoreError, match="not held"):
        slept.renew()


def test_who_was_late_but_alone_goes_on(client: QdrantClient, time: Time) -> None:
    one = lease(client, time)
    one.acquire()
    time.pass_by(SECONDS * 10)
    one.renew()
    with pytest.raises(Locked):
        lease(client, time).acquire()


def test_leases_of_other_collections_are_free(client: QdrantClient, time: Time) -> None:
    with lease(client, time), lease(client, time, collection="other") as other:
        assert other.token == 1


def test_a_lease_is_given_back_when_the_work_fails(client: QdrantClient, time: Time) -> None:
    with pytest.raises(ZeroDivisionError), lease(client, time):
        raise ZeroDivisionError
    lease(client, time).acquire()


def test_releasing_twice_or_without_having_it(client: QdrantClient, time: Time) -> None:
    one = lease(client, time)
    one.release()
    one.acquire()
    one.release()
    one.release()
    lease(client, time).acquire()


class Meddling:
    """A client in whose writes others get ahead of us."""

    def __init__(self, client: QdrantClient, before: str, meddle: Any) -> None:
        self._client, self._before, self._meddle = client, before, meddle

    def __getattr__(self, name: str) -> Any:
        if name == self._before and self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle()
        return getattr(self._client, name)


@pytest.mark.parametrize("state", ["none", "given back", "expired"])
def test_of_two_who_try_at_once_one_wins(client: QdrantClient, time: Time, state: str) -> None:
    winner = lease(client, time, "the winner")
    if state != "none":
        first = lease(client, time)
        first.acquire()
        if state == "given back":
            first.release()
        else:
            time.pass_by(SECONDS + SKEW)
    at = "upsert" if state == "none" else "set_payload"
    if state == "none":  # the collection is there already: only the point is contested
        client.create_collection(LEASES, vectors_config={})
    loser = lease(Meddling(client, at, winner.acquire), time)
    with pytest.raises(Locked, match="the winner"):
        loser.acquire()
    assert loser.token == 0
    winner.renew()
    assert stored(client).owner == "the winner"


def test_somebody_else_makes_the_collection_first(client: QdrantClient, time: Time) -> None:
    def make() -> None:
        client.create_collection(LEASES, vectors_config={})

    with lease(Meddling(client, "create_collection", make), time) as one:
        assert one.token == 1


def test_a_take_over_between_renewal_and_reading_it_back(client: QdrantClient, time: Time) -> None:
    next_one = lease(client, time, "the next one")

    def take_over() -> None:
        time.pass_by(SECONDS + SKEW)
        next_one.acquire()

    slow = Meddling(client, "nothing yet", take_over)
    one = lease(slow, time)
    one.acquire()
    slow._before = "set_payload"
    with pytest.raises(Locked, match="the next one"):
        one.renew()
    next_one.renew()


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["acquire", "renew", "release"]), st.integers(0, 100))))
def test_never_two_at_once(steps: list[tuple[int, str, int]]) -> None:
    client, time = QdrantClient(":memory:"), Time()
    hosts = [lease(client, time, f"host {place}") for place in range(3)]
    best = 0
    for place, action, seconds in steps:
        time.pass_by(seconds)
        try:
            getattr(hosts[place], action)()
        except (Locked, StoreError):
            continue
        if action == "release":
            continue
        # Whoever was told that the lease is his is the only one whom the server says so, and his number is the highest.
        assert hosts[place].token >= best
        best = hosts[place].token
        assert stored(client).owner == f"host {place}"
        for other in hosts:
            if other is not hosts[place] and other.token:
                with pytest.raises(Locked):
                    other.renew()
    client.close()


def test_threads_that_all_want_it(client: QdrantClient, time: Time) -> None:
    lock, won, lost = threading.Lock(), [], []

    class OneAtATime:
        """The server's side of it: one operation after the other."""

        def __getattr__(self, name: str) -> Any:
            def call(*args: Any, **named: Any) -> Any:
                with lock:
                    return getattr(client, name)(*args, **named)

            return call

    def attempt(name: str) -> None:
        one = lease(OneAtATime(), time, name)
        try:
            one.acquire()
        except Locked:
            lost.append(name)
        else:
            won.append(name)

    threads = [threading.Thread(target=attempt, args=(f"t{place}",)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 7
    assert stored(client).owner == won[0]


@pytest.mark.parametrize("payload", [{}, {"token": "x"}, {"owner": 5}])
def test_a_lease_that_somebody_else_wrote(client: QdrantClient, time: Time, payload: dict[str, Any]) -> None:
    client.create_collection(LEASES, vectors_config={})
    client.upsert(LEASES, [models.PointStruct(id=POINT, vector={}, payload=payload)])
    with pytest.raises(StoreError, match="cannot be read") as caught:
        lease(client, time).acquire()
    assert caught.value.hint is not None


def test_an_end_that_is_no_time_is_never_taken_over(client: QdrantClient, time: Time) -> None:
    one = lease(client, time, "odd \x1b[31m\nname")
    one.acquire()
    client.set_payload(LEASES, {"expires": "soon"}, points=[POINT])
    time.pass_by(10**9)
    with pytest.raises(Locked) as caught:
        lease(client, time).acquire()
    assert caught.value.message.isprintable()


def test_a_store_on_a_server_gives_one(client: QdrantClient) -> None:
    from sophiactl.memory.base import CollectionSchema

    schema = CollectionSchema(model="mini", revision="a" * 64, dimension=4)
    where: dict[str, Any] = {"api_key": None, "timeout": 5, "client": client}
    with ServerStore.open("http://localhost:6333", "main", schema, create=True, **where) as store:
        one, another = store.lease("sophiactl prune", 60), store.lease("another", 60)
        one.acquire()
        with pytest.raises(Locked, match="sophiactl prune"):
            another.acquire()
    with pytest.raises(StoreError, match="closed"):
        store.lease("late", 1)
