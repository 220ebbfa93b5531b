"""Calls to business services in a ledger of runs, and what all runs add up to, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sophiactl.runs.base import Call, ServiceCall
from sophiactl.runs.service_calls import MOST, summed
from tests.run_ledgers import ASKED, EVERYTHING, run

if TYPE_CHECKING:
    import pytest

    from sophiactl.runs.base import RunLedger
    from tests.run_ledgers import Place


class TestServiceCalls:
    CALLS = (
        ASKED,
        ServiceCall("notion", "timeout", "POST", "/v1/search", seconds=3.0),
        ServiceCall("slack", "ok", "GET", "users.list", seconds=0.25),
        ServiceCall("slack", "rate_limited", "GET", "users.list", seconds=1.5, waited=1.25, retries=3),
    )
    SUMMED = (
        ServiceCall("notion", "timeout", seconds=3.0),
        ServiceCall("slack", "ok", calls=2, seconds=1.0, waited=0.5, retries=1),
        ServiceCall("slack", "rate_limited", seconds=1.5, waited=1.25, retries=3),
    )

    def test_one_run_has_each_of_them_in_order_and_many_runs_have_their_sums(self, ledger: RunLedger) -> None:
        ledger.record(run("a", session="s", model="m", service_calls=self.CALLS))
        ledger.record(run("b", "2026-11-22T12:00:01Z", service_calls=self.CALLS[:1]))
        ledger.record(run("c", "2026-11-22T12:00:02Z"))
        assert getattr(ledger.get("a"), "service_calls", None) == self.CALLS
        assert ledger.feedback("a", "good").service_calls == self.CALLS
        scanned = {item.id: item.service_calls for item in ledger.scan(EVERYTHING, page=2)}
        assert scanned == {"a": self.SUMMED, "b": summed([ASKED]), "c": ()}
        assert [item.service_calls for item in ledger.runs(EVERYTHING)] == list(scanned.values())[::-1]
        assert getattr(ledger.sticky("s"), "service_calls", None) == self.SUMMED

    def test_of_very_many_the_rest_is_summed_and_no_total_is_wrong(self, ledger: RunLedger, place: Place) -> None:
        many = tuple(
            ServiceCall("slack", "ok" if n % 3 else "timeout", "GET", f"/{n}", seconds=0.25, waited=0.125, retries=2)
            for n in range(MOST + 7)
        )
        ledger.record(run("a", service_calls=many))
        found = ledger.get("a")
        assert found is not None
        assert found.service_calls[:MOST] == many[:MOST]
        assert found.service_calls[MOST:] == (
            ServiceCall("slack", "ok", calls=5, seconds=1.25, waited=0.625, retries=10),
            ServiceCall("slack", "timeout", calls=2, seconds=0.5, waited=0.25, retries=4),
        )
        assert place.execute("SELECT count(*) FROM service_calls") == [(MOST + 2,)]
        assert ledger.runs(EVERYTHING)[0].service_calls == summed(many)
        values = {(total.name, *total.labels.values()): total.value for total in ledger.totals()}
        assert values["service_calls", "slack", "ok"] + values["service_calls", "slack", "timeout"] == MOST + 7
        assert values["service_retries", "slack"] == 2 * (MOST + 7)

    def test_no_secret_is_kept_and_what_no_table_can_hold_is_mended(
        self, ledger: RunLedger, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sophiactl.redaction import Redactor

        known = Redactor()
        known.add("xoxb-swordfish-4711")
        monkeypatch.setattr("sophiactl.runs.rows.REDACTOR", known)
        odd = ServiceCall(
            "sl\x00ack", "o\ud83dk", "GET", "/x/xoxb-swordfish-4711/y", seconds=float("nan"), retries=2**62
        )
        ledger.record(run("a", service_calls=(odd, odd)))
        found = ledger.get("a")
        assert found is not None
        [first, _] = found.service_calls
        assert (first.service, first.outcome, first.seconds, first.retries) == ("sl\ufffdack", "o\ufffdk", 0.0, 2**62)
        assert "swordfish" not in first.path
        assert first.path.startswith("/x/")
        assert ledger.runs(EVERYTHING)[0].service_calls[0].retries == 2**63
        assert "swordfish" not in str(place.execute("SELECT * FROM service_calls"))


EXPECTED = {
    ("requests", "connectors sync", "ok"): 2.0,
    ("requests", "route", "ok"): 3.0,
    ("requests", "route", "timeout"): 1.0,
    ("decisions", "premium", "m2"): 1.0,
    ("decisions", "premium", "m3"): 1.0,
    ("decisions", "simple", "m1"): 2.0,
    ("cost", "m1"): 0.5,
    ("cost", "m2"): 0.5,
    ("cost", "m3"): 0.125,
    ("service_calls", "notion", "timeout"): 1.0,
    ("service_calls", "slack", "ok"): 3.0,
    ("service_calls", "slack", "rate_limited"): 1.0,
    ("service_seconds", "notion"): 3.0,
    ("service_seconds", "slack"): 3.25,
    ("service_waited", "notion"): 0.0,
    ("service_waited", "slack"): 2.25,
    ("service_retries", "notion"): 0.0,
    ("service_retries", "slack"): 5.0,
}


class TestTotals:
    def values(self, ledger: RunLedger) -> dict[tuple[str, ...], float]:
        return {(total.name, *total.labels.values()): total.value for total in ledger.totals()}

    def fill(self, ledger: RunLedger) -> None:
        priced = (Call("m1", "p", cost=0.25), Call("m2", "q", cost=0.5), Call("m2", "q"))
        ledger.record(run("a", "2026-11-01", tier="simple", model="m1", calls=priced))
        ledger.record(run("b", "2026-11-02", tier="simple", model="m1", cost=0.25, calls=priced[:1]))
        ledger.record(run("c", "2026-11-03", tier="premium", model="m2", error="timeout", calls=priced[2:]))
        ledger.record(run("d", "2026-11-04", tier="premium", cost=0.125, model="m3"))
        for number, calls in enumerate((TestServiceCalls.CALLS, TestServiceCalls.CALLS[:1]), 5):
            name = "connectors sync"
            ledger.record(run(f"s{number}", f"2026-11-{number:02}", command=name, service_calls=calls))

    def test_they_are_sums_of_what_is_known_in_a_fixed_order(self, ledger: RunLedger) -> None:
        assert ledger.totals() == []
        self.fill(ledger)
        assert list(self.values(ledger).items()) == list(EXPECTED.items())
        labels = {total.name: tuple(total.labels) for total in ledger.totals()}
        assert labels["requests"] == ("command", "status")
        assert (labels["cost"], labels["service_calls"]) == (("model",), ("service", "outcome"))
        assert sum(value for name, value in self.values(ledger).items() if name[0] == "cost") == ledger.spent(
            "2026-01-01"
        )

    def test_an_unknown_cost_is_no_zero(self, ledger: RunLedger) -> None:
        ledger.record(run("a", model="dear", tier="premium", calls=(Call("dear", "p"),)))
        assert not [total for total in ledger.totals() if total.name == "cost"]

    def test_forgetting_changes_none_of_them(self, ledger: RunLedger, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sophiactl.runs.tables._BATCH", 2)
        self.fill(ledger)
        for before, gone in (("2026-11-02", 1), ("2026-11-06", 4), ("2026-11-06", 0), ("2027-01-01", 1)):
            assert ledger.forget(before) == gone
            assert self.values(ledger) == EXPECTED
        self.fill(ledger)
        assert self.values(ledger) == {name: 2 * value for name, value in EXPECTED.items()}

    def test_the_order_of_adding_changes_no_digit(self, ledger: RunLedger) -> None:
        """A counter that fell by its last digit would be taken for one that began anew."""
        for number in range(300):
            asked = (ServiceCall("slack", "ok", seconds=0.1, waited=number / 7e6),)
            called = (Call("m", "p", cost=0.1), Call("n", "p", cost=number / 3e7))
            at = f"2026-11-{1 + number * 7 % 28:02}"
            ledger.record(run(f"{number}", at, calls=called, service_calls=asked))
        before = self.values(ledger)
        assert (before["service_seconds", "slack"], before["cost", "m"]) == (30.0, 30.0)
        for day in (3, 4, 11, 17, 28):
            ledger.forget(f"2026-11-{day:02}")
            assert self.values(ledger) == before

    def test_several_that_forget_at_once_count_nothing_twice(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sophiactl.runs.tables._BATCH", 3)
        ledger = place()
        for number in range(60):
            ledger.record(run(f"{number:02}", tier="simple", model="m", cost=0.125, service_calls=(ASKED,)))
        before = self.values(ledger)
        others = [place() for _ in range(4)]
        gate = threading.Barrier(len(others))
        gone: list[int] = []

        def forget(other: RunLedger) -> None:
            gate.wait()
            gone.append(other.forget("2027-01-01"))

        threads = [threading.Thread(target=forget, args=(other,)) for other in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(gone) == 60
        assert self.values(ledger) == before
        assert before["requests", "route", "ok"] == 60
