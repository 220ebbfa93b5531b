"""What every ledger of runs promises, on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from sophiactl.errors import NotFound, StoreError, UsageError
from sophiactl.runs import schema
from sophiactl.runs.base import Call, Run, RunFilter, RunLedger
from tests.run_ledgers import ASKED, CALL, EVERYTHING, FULL, ids, run

if TYPE_CHECKING:
    from tests.run_ledgers import Place


def test_it_is_a_ledger(ledger: RunLedger) -> None:
    assert isinstance(ledger, RunLedger)
    assert (ledger.runs(EVERYTHING), list(ledger.scan(EVERYTHING)), ledger.count(EVERYTHING)) == ([], [], 0)
    assert (ledger.get("8f3c"), ledger.sticky("monday"), ledger.spent("2026-01-01")) == (None, None, 0.0)


def test_every_field_has_a_column() -> None:
    runs, calls, service_calls = (
        next(statement for step in schema.MIGRATIONS for statement in step if f"CREATE TABLE {name} (" in statement)
        for name in ("runs", "calls", "service_calls")
    )
    assert all(f" {name} " in runs for name in schema.RUN_COLUMNS)
    assert all(f" {name} " in calls for name in schema.CALL_COLUMNS)
    assert all(f" {name} " in service_calls for name in schema.SERVICE_COLUMNS)
    assert {*schema.RUN_COLUMNS, "calls", "service_calls"} == set(Run.__struct_fields__)


@pytest.mark.parametrize("written", [FULL, run("bare")], ids=["full", "bare"])
def test_a_run_comes_back_as_it_was(place: Place, written: Run) -> None:
    place().record(written)
    assert place().get(written.id) == written
    assert ids(place().runs(EVERYTHING)) == [written.id]


def test_a_run_is_replaced_as_a_whole(ledger: RunLedger) -> None:
    ledger.record(FULL)
    smaller = run(FULL.id, calls=(CALL,), service_calls=(ASKED,))
    ledger.record(smaller)
    assert ledger.get(FULL.id) == smaller
    assert ledger.count(EVERYTHING) == 1
    ledger.record(run(FULL.id))
    assert ledger.get(FULL.id) == run(FULL.id)


def test_what_one_writes_the_other_sees_at_once(place: Place) -> None:
    first, second = place(), place()
    first.record(run("a"))
    assert ids(second.runs(EVERYTHING)) == ["a"]
    second.feedback("a", "bad")
    assert getattr(first.get("a"), "feedback", None) == "bad"


def test_a_beginning_of_the_id_is_enough_when_it_is_unique(ledger: RunLedger) -> None:
    for name in ("8f3c", "8f3c99", "8fa", "9%", "9_x", "Ünïq"):
        ledger.record(run(name))
    assert getattr(ledger.get("8f3c"), "id", None) == "8f3c"
    assert getattr(ledger.get("8f3c9"), "id", None) == "8f3c99"
    assert getattr(ledger.get("9%"), "id", None) == "9%"
    assert getattr(ledger.get("Ün"), "id", None) == "Ünïq"
    assert (ledger.get("%"), ledger.get("_"), ledger.get(""), ledger.get("8F3C")) == (None, None, None, None)
    with pytest.raises(UsageError, match="8f3c, 8f3c99, 8fa") as caught:
        ledger.get("8")
    assert caught.value.hint == "give more of the id"


def test_newest_first_and_oldest_first_whatever_the_form_of_the_time(ledger: RunLedger) -> None:
    times = {
        "c": "2026-11-22T12:00:00.5Z",
        "b": "2026-11-22T12:00:00Z",
        "e": "2026-11-22T15:00:00+02:00",
        "d": "2026-11-22T12:00:00.500001",
        "a": "2026-11-21",
        "f": "2026-11-22T13:00:00Z",
    }
    for name, at in times.items():
        ledger.record(run(name, at))
    assert ids(ledger.runs(EVERYTHING)) == ["f", "e", "d", "c", "b", "a"]
    assert ids(ledger.scan(EVERYTHING)) == ["a", "b", "c", "d", "e", "f"]
    assert ids(ledger.runs(EVERYTHING, limit=2)) == ["f", "e"]
    assert ids(ledger.runs(EVERYTHING, limit=0)) == []
    assert [item.at for item in ledger.scan(EVERYTHING)] == [
        "2026-11-21T00:00:00Z",
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00.500000Z",
        "2026-11-22T12:00:00.500001Z",
        "2026-11-22T13:00:00Z",
        "2026-11-22T13:00:00Z",
    ]
    since = RunFilter(since="2026-11-22T14:00:00.5+02:00", until="2026-11-22T13:00:00Z")
    assert ids(ledger.scan(since)) == ["c", "d"]


def test_what_is_no_time_is_refused_and_nothing_is_written(ledger: RunLedger) -> None:
    for attempt in (
        lambda: ledger.record(run("x", "yesterday")),
        lambda: ledger.record(run("x", calls=(Call("m", "p", at="soon"),))),
        lambda: ledger.runs(RunFilter(since="later")),
        lambda: ledger.forget("0"),
        lambda: ledger.spent(""),
    ):
        with pytest.raises(UsageError, match="no time"):
            attempt()
    assert ledger.count(EVERYTHING) == 0


def test_filters(ledger: RunLedger) -> None:
    ledger.record(run("a", tier="simple", model="m1", session="s", error="timeout"))
    ledger.record(run("b", tier="simple", model="m2", feedback="good", command="ask"))
    ledger.record(run("c", tier="premium", model="m1", session="s'; DROP TABLE runs"))
    expected = {
        RunFilter(tier="simple"): ["a", "b"],
        RunFilter(model="m1"): ["a", "c"],
        RunFilter(session="s"): ["a"],
        RunFilter(session="s'; DROP TABLE runs"): ["c"],
        RunFilter(command="ask"): ["b"],
        RunFilter(failed=True): ["a"],
        RunFilter(failed=False): ["b", "c"],
        RunFilter(feedback=True): ["b"],
        RunFilter(feedback=False): ["a", "c"],
        RunFilter(tier="simple", model="m1", failed=True): ["a"],
        RunFilter(tier="Simple"): [],
    }
    for wanted, found in expected.items():
        assert ids(ledger.scan(wanted)) == found, wanted
        assert ids(ledger.runs(wanted)) == found[::-1], wanted
        assert ledger.count(wanted) == len(found), wanted


def test_texts_are_found_in_any_case_and_literally(ledger: RunLedger) -> None:
    ledger.record(run("a", prompt="Die STRASSE nach Ägypten", answer="100% sure"))
    ledger.record(run("b", answer="Straße"))
    ledger.record(run("c", prompt_hash="a" * 64))
    expected = {"straße": ["a", "b"], "ÄGYPTEN": ["a"], "100%": ["a"], "100_": [], "%": ["a"], "a" * 64: []}
    for text, found in expected.items():
        assert ids(ledger.scan(RunFilter(text=text))) == found, text
        assert ledger.count(RunFilter(text=text)) == len(found)
    assert ids(ledger.runs(RunFilter(text="straße"), limit=1)) == ["b"]


def test_pages_meet_without_a_gap_even_within_one_moment(ledger: RunLedger) -> None:
    for number in range(23):
        ledger.record(run(f"{number:02}", f"2026-11-22T12:00:0{number // 10}Z", calls=(CALL,) * (number % 3)))
    wanted = [f"{number:02}" for number in range(23)]
    for page in (1, 2, 5, 23, 1000):
        found = list(ledger.scan(EVERYTHING, page=page))
        assert ids(found) == wanted
        assert [len(item.calls) for item in found] == [number % 3 for number in range(23)]
    assert ids(ledger.runs(EVERYTHING, limit=1000)) == wanted[::-1]


def test_a_scan_goes_on_while_runs_are_written_and_deleted(ledger: RunLedger) -> None:
    for number in range(10):
        ledger.record(run(f"{number}", f"2026-11-22T12:00:0{number}Z"))
    scan = ledger.scan(EVERYTHING, page=3)
    seen = [next(scan).id for _ in range(4)]
    ledger.forget("2026-11-22T12:00:05Z")
    ledger.record(run("later", "2026-11-22T13:00:00Z"))
    rest = ids(scan)
    assert seen == ["0", "1", "2", "3"]
    assert rest[-1] == "later"
    assert {"6", "7", "8", "9"} <= set(rest)


def test_feedback(ledger: RunLedger) -> None:
    ledger.record(msgspec.structs.replace(FULL, feedback=None))
    judged = ledger.feedback("8f", "bad")
    assert judged == msgspec.structs.replace(FULL, feedback="bad")
    assert ledger.feedback(FULL.id, "good").feedback == "good"
    assert ledger.get(FULL.id) == FULL
    with pytest.raises(NotFound, match="nowhere"):
        ledger.feedback("nowhere", "good")
    with pytest.raises(UsageError, match="so-so"):
        ledger.feedback(FULL.id, "so-so")


def test_a_session_sticks_to_the_latest_model_that_was_chosen(ledger: RunLedger) -> None:
    ledger.record(run("1", "2026-11-22T12:00:01Z", session="s", model="m1", calls=(CALL,)))
    ledger.record(run("3", "2026-11-22T12:00:03Z", session="s"))
    ledger.record(run("4", "2026-11-22T12:00:04Z", session="t", model="m4"))
    ledger.record(run("2", "2026-11-22T12:00:02Z", session="s", model="m2"))
    assert getattr(ledger.sticky("s"), "id", None) == "2"
    assert getattr(ledger.sticky("t"), "id", None) == "4"
    assert ledger.sticky("unknown") is None


def test_forgetting_takes_calls_along_and_nothing_newer(place: Place) -> None:
    ledger = place()
    for number in range(20):
        at = f"2026-11-{number + 1:02}T00:00:00Z"
        ledger.record(run(f"{number:02}", at, calls=(CALL,), service_calls=(ASKED, ASKED)))
    assert ledger.forget("2026-11-11") == 10
    assert ids(ledger.scan(EVERYTHING)) == [f"{number:02}" for number in range(10, 20)]
    assert ledger.forget("2026-11-11") == 0
    assert place.execute("SELECT count(*) FROM calls") == [(10,)]
    assert place.execute("SELECT count(*) FROM service_calls") == [(20,)]


def test_forgetting_goes_in_steps(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sophiactl.runs.tables._BATCH", 3)
    ledger = place()
    for number in range(9):
        ledger.record(run(f"{number}", calls=(CALL, CALL)))
    assert len(list(ledger.scan(EVERYTHING))[8].calls) == 2
    assert ledger.forget("2027-01-01") == 9
    assert (ledger.count(EVERYTHING), place.execute("SELECT count(*) FROM calls")) == (0, [(0,)])


def test_spent_is_what_is_known_to_be_spent(ledger: RunLedger) -> None:
    ledger.record(run("old", "2026-11-21T23:59:59Z", cost=5.0))
    ledger.record(run("a", "2026-11-22T00:00:00Z", cost=0.25, session="s", calls=(CALL,)))
    partly = (Call("m", "p", cost=0.5), Call("m", "p"))
    ledger.record(run("b", "2026-11-22T00:00:01Z", calls=partly))
    ledger.record(run("c", "2026-11-22T00:00:02Z", session="s"))
    assert ledger.spent("2026-11-22") == pytest.approx(0.75)
    assert ledger.spent("2026-11-22", session="s") == pytest.approx(0.25)
    assert ledger.spent("2026-11-20") == pytest.approx(5.75)
    assert ledger.spent("2026-11-23") == 0.0


def test_what_no_table_can_hold_is_mended_alike(ledger: RunLedger) -> None:
    odd = run(
        "odd\x00id",
        prompt="nul \x00 half \ud83d end",
        answer="\U0001f600" + "x" * 1_000_000,
        score=float("nan"),
        cost=float("inf"),
        details={"k\ud83d": ["v\udc00", "\x00"]},
        candidates=("m\udfff",),
        calls=(Call("m\x00", "p", latency=float("-inf"), input_tokens=2**62),),
    )
    ledger.record(odd)
    found = ledger.get("odd\x00id")
    assert found is not None
    assert (found.id, found.prompt) == ("odd�id", "nul � half � end")
    assert found.answer == odd.answer
    assert (found.score, found.cost, found.calls) == (None, None, (Call("m�", "p", input_tokens=2**62),))
    assert found.candidates == ("m�",)
    assert found.details["k�"][0] == "v�"
    with pytest.raises(StoreError, match="64 bits"):
        ledger.record(run("big", calls=(Call("m", "p", input_tokens=2**63),)))
    assert ledger.count(EVERYTHING) == 1


def test_threads_share_a_ledger(ledger: RunLedger) -> None:
    def write(part: int) -> None:
        for number in range(10):
            ledger.record(run(f"{part}-{number}", cost=0.5, calls=(CALL,)))

    threads = [threading.Thread(target=write, args=(part,)) for part in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.count(EVERYTHING) == 50
    assert ledger.spent("2026-01-01") == 25.0


def test_closing_twice_is_fine_and_then_nothing_goes(ledger: RunLedger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(StoreError, match="closed"):
        ledger.record(run("x"))


def test_a_failed_write_leaves_the_run_as_it_was(ledger: RunLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.record(FULL)
    monkeypatch.setattr(schema, "PUT_CALL", schema.PUT_CALL.replace("calls", "nowhere"))
    with pytest.raises(StoreError):
        ledger.record(run(FULL.id, calls=(CALL,)))
    assert ledger.get(FULL.id) == FULL


def test_a_failed_write_of_service_calls_leaves_the_run_as_it_was(
    ledger: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record(FULL)
    monkeypatch.setattr(schema, "PUT_SERVICE_CALL", schema.PUT_SERVICE_CALL.replace("service_calls", "nowhere"))
    with pytest.raises(StoreError):
        ledger.record(run(FULL.id, calls=(CALL,), service_calls=(ASKED,)))
    assert ledger.get(FULL.id) == FULL
