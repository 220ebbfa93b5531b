"""What connections do wrong to a connector: the right kind of error, in time, and never a key elsewhere."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.connectors import errors
from sophiactl.connectors import session as session_module
from sophiactl.connectors.config import ConnectorsConfig, Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import ServiceError
from sophiactl.connectors.session import Answer, Call, Session
from sophiactl.redaction import REDACTOR
from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.web_server import Reply
from tests.session_vendor import GET, KEY, AcmeVendor, with_vendor

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.fault


@pytest.fixture
def acme() -> Iterator[AcmeVendor]:
    with AcmeVendor() as vendor:
        yield vendor


def asked(vendor: AcmeVendor, call: Call = GET, seconds: float = 20, **options: Any) -> Answer | ServiceError:
    async def work(session: Session) -> Answer | ServiceError:
        try:
            return await session.call(call, Deadline(seconds))
        except ServiceError as error:
            return error

    return with_vendor(vendor, work, **options)  # type: ignore[no-any-return]


FAULTS = {
    "401": errors.KeyRefused,
    "500": errors.ServiceDown,
    "502-html": errors.ServiceDown,
    "503": errors.ServiceDown,
    "403-html": errors.ServiceDown,
    "200-html": errors.Garbled,
    "truncated-json": errors.Garbled,
    "cut": errors.NoService,
    "reset": errors.NoService,
    "redirect": errors.Malformed,
    "429-bare": errors.TooFast,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_and_shows_no_key(
    acme: AcmeVendor, fault: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    REDACTOR.add(KEY)
    caplog.set_level(logging.DEBUG)
    acme.queue(*[fault] * 12)  # aiohttp itself tries again where a connection was reset
    error = asked(acme)
    assert type(error) is FAULTS[fault]
    assert error.hint
    shown = "".join(traceback.format_exception(error)) + repr(vars(error)) + caplog.text + "".join(capfd.readouterr())
    assert KEY not in shown
    assert not acme.elsewhere
    assert not [seen for seen in acme.requests if KEY in seen.path + seen.raw_query]


@pytest.mark.parametrize("fault", [*sorted(set(FAULTS) - {"401", "redirect"}), "429", "503-1"])
def test_a_fault_that_passes_is_not_noticed(acme: AcmeVendor, fault: str) -> None:
    acme.queue(fault)
    answer = asked(acme)
    assert isinstance(answer, Answer)
    assert answer.json["path"] == "/x"
    assert len(acme.requests) == 2
    assert not acme.violations


def test_a_service_that_repeats_the_key_does_not_get_it_shown(acme: AcmeVendor) -> None:
    REDACTOR.add(KEY)
    acme.key = "another"
    error = asked(acme)
    assert isinstance(error, errors.KeyRefused)
    assert "no such key" in str(error)
    assert KEY not in "".join(traceback.format_exception(error)) + str(error.hint)


def test_an_address_elsewhere_gets_no_request(acme: AcmeVendor) -> None:
    """Another port of the same machine is another service."""
    error = asked(acme, Call("GET", f"{acme.elsewhere_url}/next"))
    assert isinstance(error, errors.Malformed)
    assert not acme.elsewhere
    assert isinstance(asked(acme, Call("GET", f"{acme.address}/next?page=2")), Answer)


def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(acme: AcmeVendor) -> None:
    async def identity() -> dict[str, str]:
        return {"Authorization": f"Bearer {KEY}\n"}

    error = asked(acme, identity=identity)
    assert isinstance(error, errors.KeyRefused)
    assert KEY not in f"{error} {error.hint}"
    assert not acme.requests


def test_silence_is_over_at_the_deadline(acme: AcmeVendor) -> None:
    acme.queue("hang")
    began = time.monotonic()
    error = asked(acme, seconds=0.7)
    assert isinstance(error, errors.NoService)
    assert 0.6 < time.monotonic() - began < 1.2


def test_those_behind_a_service_that_hangs_wait_one_attempt(acme: AcmeVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "LONGEST_CALL", 0.5)
    acme.queue(*["hang"] * 50)

    async def work(session: Session) -> list[Any]:
        calls = (session.call(GET, Deadline(30)) for _ in range(40))
        return await asyncio.gather(*calls, return_exceptions=True)

    began = time.monotonic()
    failed = with_vendor(acme, work, concurrency=8)
    assert {type(error) for error in failed} == {errors.NoService}
    assert time.monotonic() - began < 2.5
    assert len(acme.requests) <= 16


def test_nobody_listens() -> None:
    with AcmeVendor() as gone:
        pass
    error = asked(gone)
    assert isinstance(error, errors.NoService)
    assert "no connection to 127.0.0.1" in str(error)


def test_nothing_comes_before_retry_after_is_over(acme: AcmeVendor) -> None:
    acme.limit = Limited(4, 0.5)

    async def work(session: Session) -> list[Answer]:
        return await asyncio.gather(*(session.call(Call("GET", f"/{each}"), Deadline(30)) for each in range(12)))

    answers = with_vendor(acme, work, limits={"all": Limit(50, 1, 10)}, chance=0.5)
    assert [answer.json["path"] for answer in answers] == [f"/{each}" for each in range(12)]
    assert not acme.violations
    assert len(acme.requests) > 12  # some were told to come later


def test_a_call_that_is_called_away_leaves_no_connection_and_no_place_taken(acme: AcmeVendor) -> None:
    acme.queue(*["hang"] * 3)

    async def work(session: Session) -> None:
        calls = [asyncio.create_task(session.call(GET, Deadline.never())) for _ in range(6)]
        await asyncio.sleep(0.4)
        assert len(acme.requests) == 3
        for call in calls:
            call.cancel()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in ended} == {asyncio.CancelledError}
        connector = session._web._session.connector  # type: ignore[union-attr]
        assert connector is not None
        assert not connector._acquired
        answers = await asyncio.gather(*(session.call(GET, Deadline(5)) for _ in range(9)))
        assert len(answers) == 9

    with_vendor(acme, work, concurrency=3)


_BIG = """
import asyncio, resource, sys, time
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.session import Call
from sophiactl.web import WebSession
from tests.session_vendor import session

async def main():
    async with WebSession(proxies={}) as web:
        made = session(web, sys.argv[1])
        await made.call(Call("GET", "/small"), Deadline(30))
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        answer = await made.call(Call("GET", "/big"), Deadline(120))
        assert len(answer.json["results"]) == int(sys.argv[2]), len(answer.json["results"])
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(grown // 1024, time.process_time() - began)

asyncio.run(main())
"""


def test_a_page_of_30_mb_is_read_in_bounded_memory(acme: AcmeVendor, repository: Any) -> None:
    """The page, the objects it becomes, and little more (all of small fields it would take 150 MB)."""
    record = {
        "id": "1234567890123456789",
        "name": "Renewal 2026 é",
        "text": "x" * 900,
        "none": None,
        "tags": ["a", "b"],
    }
    page = msgspec.json.encode({"results": [record] * 31_000})
    assert len(page) > 30_000_000
    acme.queue("ok", Reply(200, page, {"Content-Type": "application/json"}))
    command = [sys.executable, "-c", _BIG, acme.address, "31000"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    grown, seconds = map(float, done.stdout.split())
    assert grown <= 100
    assert seconds < 2


def test_a_page_without_end_is_cut_off(acme: AcmeVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MOST_BYTES", 1 << 20)
    acme.queue(Reply(200, b"[" + b"0," * (1 << 20), {"Content-Type": "application/json"}))
    error = asked(acme)
    assert isinstance(error, errors.Malformed)
    assert "more than 1 MiB" in str(error)


def test_many_calls_leave_no_objects_behind(acme: AcmeVendor) -> None:
    async def work(session: Session) -> int:
        async def some(count: int) -> int:
            for each in range(count):
                if each % 5 == 0:
                    acme.queue("500")
                await session.call(GET, Deadline(20))
            gc.collect()
            return len(gc.get_objects())

        before = await some(50)
        return await some(200) - before

    acme.requests = _Forgetful()
    assert with_vendor(acme, work, config=ConnectorsConfig(retries=1)) < 200


class _Forgetful(list[Any]):
    def append(self, _: Any) -> None:
        pass
