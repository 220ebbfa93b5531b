"""What Gong refuses, and answers that make no sense: what ends a run, what is tried again, what is only skipped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.base import Checkpoint, Upsert
from sophiactl.connectors.config import ConnectorsConfig
from sophiactl.connectors.errors import (
    BadQuery,
    ItemGone,
    Malformed,
    QuotaSpent,
    ServiceDown,
    TooFast,
)
from sophiactl.testing.vendors.gong import GongVendor, said
from sophiactl.testing.web_server import Reply
from tests.gong_runs import applied, changes, given, search, skipped, use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.connectors.gong import GongConnector

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def gong() -> Iterator[GongVendor]:
    with GongVendor() as vendor:
        yield vendor
        assert not vendor.violations


def ago(**past: float) -> str:
    return (NOW - timedelta(**past)).isoformat()


def many(vendor: GongVendor, count: int, *, days: float = 300.0) -> list[str]:
    start = NOW - timedelta(days=days)
    step = timedelta(days=days) / count
    return [vendor.add_call(f"Call {each}", ["Bo"], start + each * step, [("Bo", "Hi")]) for each in range(count)]


class TestCursors:
    def test_window_is_begun_anew_when_its_cursor_died(self, gong: GongVendor) -> None:
        calls = many(gong, 250)

        def too_late(seen: Any) -> Reply:
            gong.age(3_700)
            return gong.answer(seen)

        gong.queue("ok", "ok", too_late)
        found = changes(gong)
        assert sorted(set(given(found))) == calls
        assert not skipped(found)

    def test_cursor_that_dies_over_and_over_ends_it(self, gong: GongVendor) -> None:
        many(gong, 250)

        def dead(seen: Any) -> Reply:
            return said(400, "cursor has expired") if b'"cursor"' in seen.body else gong.answer(seen)

        gong.queue(*[dead] * 40)
        with pytest.raises(BadQuery, match="cursor has expired"):
            changes(gong, base_url=gong.address)

    def test_empty_answer_in_mid_listing_is_not_its_end(self, gong: GongVendor) -> None:
        calls = many(gong, 250)
        gong.queue("ok", "ok", "404-empty")
        assert sorted(set(given(changes(gong)))) == calls

    def test_listing_that_gives_less_than_it_counts_is_said(self, gong: GongVendor) -> None:
        call = {"metaData": {"id": "7", "started": ago(days=1)}}
        gong.queue(Reply.json({"records": {"totalRecords": 3}, "calls": [call]}))
        found = changes(gong)
        assert [(each.code, each.reason) for each in skipped(found)] == [("short", "gong counts 3 calls and gave 1")]

    def test_same_cursor_twice_is_no_endless_listing(self, gong: GongVendor) -> None:
        page = {"records": {"totalRecords": 300, "cursor": "abc"}, "calls": [{"metaData": {"id": "7"}}]}
        gong.queue(*[lambda seen: Reply.json(page) if "extensive" in seen.path else said(404, "No calls found")] * 30)
        with pytest.raises(Malformed, match="in circles"):
            changes(gong)

    def test_ever_new_cursors_without_new_calls_end_too(self, gong: GongVendor) -> None:
        numbers = iter(range(100))

        def page(seen: Any) -> Reply:
            if "transcript" in seen.path:
                return said(404, "No calls found")
            return Reply.json({"records": {"cursor": f"c{next(numbers)}"}, "calls": [{"metaData": {"id": "7"}}]})

        gong.queue(*[page] * 60)
        with pytest.raises(Malformed, match="in circles"):
            changes(gong)


class TestErrors:
    def test_other_404_is_an_error(self, gong: GongVendor) -> None:
        gong.queue("404")
        with pytest.raises(ItemGone):
            changes(gong)

    @pytest.mark.parametrize(("fault", "kind"), [("400", BadQuery), ("415", BadQuery)])
    def test_refused_requests_are_not_repeated(self, gong: GongVendor, fault: str, kind: type[Exception]) -> None:
        gong.queue(fault)
        with pytest.raises(kind):
            changes(gong)
        assert len(gong.requests) == 1

    @pytest.mark.parametrize("fault", ["409", "500", "502-html", "200-html", "truncated-json", "cut", "reset"])
    def test_passing_faults_are_tried_again(self, gong: GongVendor, fault: str) -> None:
        call = gong.add_call("One", ["Bo"], ago(days=3), [("Bo", "Hi")])
        gong.queue(fault, "ok", fault)
        assert given(changes(gong)) == [call]

    def test_lasting_failure_is_told(self, gong: GongVendor) -> None:
        gong.queue(*["500"] * 9)
        with pytest.raises(ServiceDown, match="An error has occurred"):
            changes(gong)

    def test_short_retry_after_is_waited_for(self, gong: GongVendor) -> None:
        call = gong.add_call("One", ["Bo"], ago(days=3))
        gong.queue("429")
        assert given(changes(gong)) == [call]

    def test_wait_of_hours_stops_the_run_and_keeps_the_cursor(self, gong: GongVendor) -> None:
        calls = many(gong, 900, days=200)
        gong.daily = 28
        kept: list[Any] = []

        async def work(connector: GongConnector) -> None:
            async for change in connector.changes(None):
                kept.extend([change])

        with pytest.raises(QuotaSpent) as caught:
            use(gong, work)
        assert caught.value.stop
        assert caught.value.retry_after == 30_000
        assert not any(change.done for change in kept if isinstance(change, Checkpoint))
        cursors = [change.cursor for change in kept if isinstance(change, Checkpoint)]
        gong.daily = None
        rest = changes(gong, cursors[-1])
        assert set(given(kept)) | set(given(rest)) == set(calls)
        assert len(given(rest)) < len(calls)

    def test_one_bad_call_does_not_end_it(self, gong: GongVendor) -> None:
        rows = [{"metaData": {"title": "?"}}, None, "x", {"metaData": {"id": 7.5}}, {"metaData": {"id": "7"}}, {}]
        gong.queue(Reply.json({"records": {"totalRecords": 6}, "calls": rows}))
        found = changes(gong)
        assert given(found) == ["7"]
        assert [each.code for each in skipped(found)] == ["malformed"] * 5

    @pytest.mark.parametrize("answer", [{}, {"calls": "x"}, {"records": {"totalRecords": 3}, "calls": None}])
    def test_answer_without_a_list_is_malformed(self, gong: GongVendor, answer: dict[str, Any]) -> None:
        gong.queue(Reply.json(answer))
        with pytest.raises(Malformed, match="without calls"):
            changes(gong)

    def test_null_list_that_counts_none_is_empty(self, gong: GongVendor) -> None:
        gong.queue(Reply.json({"records": {"totalRecords": 0}, "calls": None}))
        assert isinstance(changes(gong)[0], Checkpoint)

    def test_transcript_that_gong_chokes_on_is_named(self, gong: GongVendor) -> None:
        calls = many(gong, 9)
        bad = calls[4]

        def choke(seen: Any) -> Reply:
            chokes = "transcript" in seen.path and bad.encode() in seen.body
            return said(404, f"Call ID {bad} was not found") if chokes else gong.answer(seen)

        gong.queue(*[choke] * 40)
        found = changes(gong)
        assert sorted(given(found)) == calls
        assert [each.ref for each in skipped(found)] == [f"{bad} transcript"]
        assert [number for number, text in applied(found).items() if "Bo: Hi" not in text] == [bad]

    def test_transcripts_that_all_fail_do_not_cost_a_request_each(self, gong: GongVendor) -> None:
        many(gong, 100)
        gong.queue(*[lambda seen: said(400, "no") if "transcript" in seen.path else gong.answer(seen)] * 400)
        found = changes(gong)
        assert len(skipped(found)) == 100
        assert len(gong.requests) < 60

    def test_redirect_is_not_followed(self, gong: GongVendor) -> None:
        gong.queue("redirect")
        with pytest.raises(Malformed):
            changes(gong)
        assert not gong.elsewhere

    def test_odd_texts_come_through(self, gong: GongVendor) -> None:
        call = gong.add_call("Rén\x00ewal 🙂 עברית", ["Bo\x00"], ago(days=1), [("Bo\x00", "👩‍👩‍👧 \x00 ok")])
        item = next(change.item for change in changes(gong) if isinstance(change, Upsert))
        assert item.title == "Rénewal 🙂 עברית"
        assert "Bo: 👩‍👩‍👧 ok" in item.text
        assert item.id == call

    def test_transcript_of_many_megabytes(self, gong: GongVendor) -> None:
        call = gong.add_call("Long", ["Bo"], ago(days=1), [("Bo", "word " * 200)] * 30_000)
        assert len(applied(changes(gong))[call]) > 29_000_000


def test_wait_longer_than_is_bearable_without_a_day_is_too_fast_when_short(gong: GongVendor) -> None:
    gong.queue(*[said(429, "API request limit exceeded", Retry_After="5")])
    with pytest.raises(TooFast):
        search(gong, "acme", seconds=1.0)


def test_common_settings_bound_the_wait(gong: GongVendor) -> None:
    gong.queue("429")
    with pytest.raises(QuotaSpent):
        changes(gong, common=ConnectorsConfig(longest_wait=0.5))
