"""The runner of live checks by itself: order, limits, deadlines, breakage and cancellation; no network at all."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl import registry
from sophiactl.errors import Unreachable
from sophiactl.redaction import Redactor, Secret
from sophiactl.secrets.base import Check, Verdict
from sophiactl.secrets.config import LiveConfig, SecretSpec, Service
from sophiactl.secrets.live import reading, runner
from sophiactl.secrets.live.base import Probe
from sophiactl.secrets.live.reading import Answer, Said
from sophiactl.web import WebAnswer, WebSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
VALUE = "swordfish-0123456789"


def probe(name: str, **changes: Any) -> Probe:
    values = {f"{name.upper()}_KEY": Secret(VALUE, redactor=Redactor())}
    return msgspec.structs.replace(Probe(name, values, "https://example.com", ("example.com",)), **changes)


class Verifiers:
    """Verifiers by name, registered for the time of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._module = ModuleType("live_doubles")
        monkeypatch.setitem(sys.modules, "live_doubles", self._module)
        self._table: dict[str, str] = {}
        monkeypatch.setattr(registry, "VERIFIERS", self._table)

    def add(self, name: str, work: Callable[[Probe], Awaitable[Any]]) -> None:
        async def check(probe: Probe, _: WebSession) -> tuple[Check, ...]:
            await work(probe)
            return (reading.check(probe, tuple(probe.values), Said(Verdict.VALID, "fine")),)

        setattr(self._module, name, check)
        self._table[name] = f"live_doubles:{name}"


@pytest.fixture
def verifiers(monkeypatch: pytest.MonkeyPatch) -> Verifiers:
    return Verifiers(monkeypatch)


def run(*probes: Probe, **options: Any) -> tuple[Check, ...]:
    async def work() -> tuple[Check, ...]:
        async with WebSession(proxies={}) as session:
            return await runner.run(probes, session, **options)

    return asyncio.run(work())


def later(seconds: float) -> Callable[[Probe], Awaitable[None]]:
    async def work(_: Probe) -> None:
        await asyncio.sleep(seconds)

    return work


def test_the_order_is_that_of_the_probes(verifiers: Verifiers) -> None:
    names = [f"service{number}" for number in range(6)]
    for number, name in enumerate(names):
        verifiers.add(name, later(0.03 * (6 - number)))
    assert [check.service for check in run(*map(probe, names))] == names
    assert [check.service for check in run(*map(probe, names), parallel=1)] == names


def test_one_that_breaks_stops_nobody_and_shows_nothing(verifiers: Verifiers) -> None:
    async def breaks(probe: Probe) -> None:
        raise RuntimeError(f"with {probe.values['BAD_KEY'].reveal()}")

    async def fails(_: Probe) -> None:
        raise Unreachable("example.com is away")

    verifiers.add("bad", breaks)
    verifiers.add("away", fails)
    verifiers.add("good", later(0.05))
    bad, away, good, absent = run(probe("bad"), probe("away"), probe("good"), probe("absent"))
    assert [check.verdict for check in (bad, away, good, absent)] == [Verdict.UNKNOWN] * 2 + [
        Verdict.VALID,
        Verdict.UNKNOWN,
    ]
    assert bad.names == ("BAD_KEY",)
    assert "RuntimeError" in bad.note
    assert VALUE not in repr(bad)
    assert away.note == "example.com is away"
    assert "absent" in absent.note


def test_one_that_hangs_is_given_up(verifiers: Verifiers) -> None:
    verifiers.add("slow", later(60))
    verifiers.add("good", later(0))
    slow, good = run(probe("slow", timeout=0.1), probe("good"))
    assert (slow.verdict, good.verdict) == (Verdict.UNKNOWN, Verdict.VALID)
    assert slow.note == "no answer in 0.1 s"


def test_no_more_at_a_time_than_allowed(verifiers: Verifiers) -> None:
    busy, most = 0, 0

    async def work(_: Probe) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.01)
        busy -= 1

    for number in range(9):
        verifiers.add(f"service{number}", work)
    run(*(probe(f"service{number}") for number in range(9)), parallel=3)
    assert most == 3


def test_cancelling_cancels_them_all(verifiers: Verifiers) -> None:
    ended: list[str] = []

    async def work(probe: Probe) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(probe.service)

    for name in ("one", "two"):
        verifiers.add(name, work)

    async def interrupted() -> int:
        async with WebSession(proxies={}) as session:
            task = asyncio.create_task(runner.run([probe("one"), probe("two")], session))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return len(asyncio.all_tasks())

    assert asyncio.run(interrupted()) == 1
    assert sorted(ended) == ["one", "two"]


def test_time_comes_from_the_clock(verifiers: Verifiers) -> None:
    def ticking() -> Iterator[datetime]:
        moment = NOW
        while True:
            yield moment
            moment += timedelta(seconds=1.5)

    seen: list[datetime | None] = []

    async def work(probe: Probe) -> None:
        seen.append(probe.now)

    verifiers.add("one", work)
    ticks = ticking()
    (check,) = run(probe("one"), clock=lambda: next(ticks))
    assert check.seconds == 1.5
    assert seen == [NOW]


def test_another_service_may_use_a_verifier(verifiers: Verifiers) -> None:
    verifiers.add("slack", later(0))
    (check,) = run(probe("slack_europe", live="slack"))
    assert (check.service, check.verdict) == ("slack_europe", Verdict.VALID)


SERVICE = Service(
    "Gong", {"GONG_ACCESS_KEY": SecretSpec("key")}, live="gong", base_url="https://api.gong.io/", hosts=("api.gong.io",)
)


def test_how_a_service_is_asked() -> None:
    made = runner.probe_for("gong", SERVICE, {}, LiveConfig(timeout=3.0, allow_loopback=True), side_effects=True)
    assert made is not None
    assert (made.base_url, made.hosts, made.fixed, made.live) == (
        "https://api.gong.io",
        ("api.gong.io",),
        False,
        "gong",
    )
    assert (made.timeout, made.allow_loopback, made.side_effects) == (3.0, True, True)


def test_a_base_url_of_the_settings_goes_first() -> None:
    made = runner.probe_for("gong", SERVICE, {}, LiveConfig(base_urls={"gong": "http://127.0.0.1:99/gong/"}))
    assert made is not None
    assert (made.base_url, made.fixed) == ("http://127.0.0.1:99/gong", True)
    assert made.hosts == ("api.gong.io", "127.0.0.1")


def test_a_base_url_from_elsewhere_stands_in() -> None:
    service = Service("PostgreSQL", {}, live="postgresql")
    made = runner.probe_for("postgresql", service, {}, LiveConfig(), base_url="postgresql://h/x")
    assert made is not None
    assert (made.base_url, made.fixed) == ("postgresql://h/x", False)


def test_a_service_without_a_live_check() -> None:
    assert runner.probe_for("x", Service("X", {}), {}, LiveConfig()) is None


def test_offline() -> None:
    (check,) = runner.skip([probe("gong")], "offline")
    assert (check.verdict, check.note, check.names) == (Verdict.SKIPPED, "offline", ("GONG_KEY",))


def _read(_: Answer) -> Said:
    return Said(Verdict.VALID, "good", {}, (), "2026-11-22T11:59:59Z")


def test_a_good_answer_after_the_end_is_expired() -> None:
    assert reading.meaning(WebAnswer(200, {}, b"{}"), _read, NOW).verdict is Verdict.EXPIRED
    assert reading.meaning(WebAnswer(200, {}, b"{}"), _read, NOW - timedelta(days=1)).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("2027-12-31T23:59:59Z", "2027-12-31T23:59:59+00:00"),
        ("2027-12-31", "2027-12-31T00:00:00+00:00"),
        ("2027-12-31T23:59:59.5+02:00", "2027-12-31T23:59:59.500000+02:00"),
        ("", None),
        ("soon", None),
        ("99999-01-01", None),
    ],
)
def test_times(given: str, written: str | None) -> None:
    assert reading.stamp(given) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (43200, "2026-11-23T00:00:00+00:00"),
        (1e30, None),
        (float("inf"), None),
        (float("nan"), None),
        (-1, "2026-11-22T11:59:59+00:00"),
    ],
)
def test_ends_counted_from_now(seconds: float, written: str | None) -> None:
    assert reading.after(NOW, seconds) == written


@pytest.mark.parametrize(
    ("base", "whole"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("http://127.0.0.1:9/openai", "http://127.0.0.1:9/openai/v1"),
    ],
)
def test_a_base_url_with_and_without_its_prefix(base: str, whole: str) -> None:
    assert reading.under(base, "/v1") == whole


def test_paths_through_what_is_no_object() -> None:
    odd: tuple[Any, ...] = (None, [], "text", 7, {"a": None}, {"a": []}, {"a": {"b": 1}})
    for data in odd:
        assert reading.text(data, "a", "b") == ""
        assert reading.items(data, "a", "b") is None
        assert reading.texts(data, "a", "b") == ()
    assert reading.number({"a": True}, "a") is None
    assert reading.number({"a": 1.5}, "a") == 1.5
    assert reading.texts({"a": ["x", 1, None]}, "a") == ("x",)
