"""Gong read from its first call on: windows of time, late transcripts, kills, clocks that are wrong."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st

from sophiactl.connectors.base import Checkpoint, Upsert
from sophiactl.connectors.config import ConnectorsConfig, GongConfig
from sophiactl.connectors.errors import (
    BadQuery,
)
from sophiactl.connectors.gong import GongConnector
from sophiactl.connectors.gong_api import LIMITS
from sophiactl.connectors.gong_windows import MOST, Place, place_of
from sophiactl.redaction import Secret
from sophiactl.testing.vendors.gong import GongVendor
from sophiactl.web import WebSession
from tests.gong_runs import applied, changes, filters, given, last, skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class TestChanges:
    def test_empty_company(self, gong: GongVendor) -> None:
        found = changes(gong)
        assert len(found) == 1
        assert isinstance(found[0], Checkpoint)
        assert changes(gong, last(found)) == found

    def test_every_call_once_with_its_transcript(self, gong: GongVendor) -> None:
        calls = many(gong, 250)
        found = changes(gong)
        assert sorted(given(found)) == calls
        assert all("[00:00] Bo: Hi" in text for text in applied(found).values())
        assert not skipped(found)

    def test_many_calls_come_in_windows_that_stay_small(self, gong: GongVendor) -> None:
        calls = many(gong, 3_000, days=900)
        old = gong.add_call("Imported", ["Bo"], "2009-05-01T08:00:00Z")
        future = gong.add_call("A clock was wrong", ["Bo"], "2099-01-01T00:00:00Z")
        found = changes(gong)
        assert sorted(given(found)) == sorted([*calls, old, future])
        sizes, count = [], 0
        for change in found:
            count += isinstance(change, Upsert)
            if isinstance(change, Checkpoint):
                sizes.append(count)
                count = 0
        assert max(sizes) <= MOST
        assert len(gong.requests) < 120
        windows = [each for each in filters(gong) if "callIds" not in each]
        assert all(moment.endswith("Z") for each in windows for moment in each.values())

    def test_calls_of_one_moment_are_all_read(self, gong: GongVendor) -> None:
        moment = ago(days=40)
        calls = [gong.add_call(f"Call {each}", ["Bo"], moment) for each in range(MOST + 150)]
        later = gong.add_call("Later", ["Bo"], ago(days=39))
        assert sorted(given(changes(gong))) == [*calls, later]

    def test_since_leaves_out_what_is_older(self, gong: GongVendor) -> None:
        gong.add_call("Old", ["Bo"], ago(days=100))
        new = gong.add_call("New", ["Bo"], ago(days=10))
        found = changes(gong, since=ago(days=50))
        assert given(found) == [new]
        gong.edit_call(new, at=ago(days=60))
        assert given(changes(gong, last(found))) == []

    def test_second_sync_reads_the_overlap_alone(self, gong: GongVendor) -> None:
        many(gong, 40, days=40)
        latest = gong.add_call("Latest", ["Bo"], ago(hours=1))
        found = changes(gong)
        before = len(gong.requests)
        again = changes(gong, last(found))
        assert latest in given(again)
        assert len(given(again)) <= 4
        assert len(gong.requests) - before == 2
        assert applied(again, applied(found)) == applied(found)

    def test_transcript_that_comes_later_is_read_with_its_call(self, gong: GongVendor) -> None:
        call = gong.add_call("Acme", ["Bo"], ago(hours=5))
        found = changes(gong)
        assert "Transcript" not in applied(found)[call]
        gong.add_transcript(call, [("Bo", "We renew")], brief="They renew.")
        text = applied(changes(gong, last(found)))[call]
        assert "Brief: They renew." in text
        assert "[00:00] Bo: We renew" in text

    def test_call_that_is_listed_after_its_transcript_is_not_lost(self, gong: GongVendor) -> None:
        call = gong.add_call("Acme", ["Bo"], ago(hours=5), [("Bo", "Hi")], listed=False)
        gong.add_call("Other", ["Bo"], ago(hours=4), [("Bo", "Hi")])
        found = changes(gong)
        assert call not in given(found)
        gong.edit_call(call, listed=True)
        assert "Bo: Hi" in applied(changes(gong, last(found)))[call]

    def test_pass_that_took_days_still_reads_late_transcripts_of_its_first_hours(self, gong: GongVendor) -> None:
        place = Place(1, "gong", at=int((NOW - timedelta(days=1)).timestamp()), width=86_400)
        began = int((NOW - timedelta(days=6)).timestamp())
        newest = int((NOW - timedelta(days=7)).timestamp())
        early = gong.add_call("Early", ["Bo"], ago(days=7.5))
        found = changes(gong, place.changed(began=began, newest=newest).cursor())
        assert early not in given(found)
        assert early in given(changes(gong, last(found)))

    def test_future_call_does_not_move_the_watermark(self, gong: GongVendor) -> None:
        gong.add_call("A clock was wrong", ["Bo"], "2099-01-01T00:00:00Z")
        cursor = last(changes(gong))
        new = gong.add_call("New", ["Bo"], ago(hours=1))
        assert new in given(changes(gong, cursor))

    @pytest.mark.parametrize("days", [-400, 400])
    def test_our_clock_may_be_wrong(self, gong: GongVendor, days: int) -> None:
        wrong = datetime.now(UTC) + timedelta(days=days)
        calls = many(gong, 700, days=500)

        async def sync(cursor: str | None) -> list[Any]:
            secrets = {name: Secret(value) for name, value in gong.secrets.items()}
            async with WebSession(proxies={}) as web:
                config = GongConfig(base_url=gong.address, limits={"all": LIMITS["all"].__class__(1e5, 1.0, 1e3)})
                connector = GongConnector(config, ConnectorsConfig(), secrets, web, now=lambda: wrong)
                return [change async for change in connector.changes(cursor)]

        first = asyncio.run(sync(None))
        assert sorted(given(first)) == calls
        new = gong.add_call("New", ["Bo"], ago(minutes=1))
        assert new in given(asyncio.run(sync(last(first))))

    def test_private_calls_stay_out_and_go_when_they_become_private(self, gong: GongVendor) -> None:
        hidden = gong.add_call("Board", ["Bo"], ago(hours=3), private=True)
        call = gong.add_call("Acme", ["Bo"], ago(hours=4))
        found = changes(gong)
        assert list(applied(found)) == [call]
        gong.edit_call(call, private=True)
        assert applied(changes(gong, last(found)), applied(found)) == {}
        opened = changes(gong, private_calls=True)
        assert sorted(given(opened)) == sorted([hidden, call])
        assert {change.item.visibility for change in opened if isinstance(change, Upsert)} == {"private"}

    def test_without_the_right_to_transcripts_briefs_are_read_and_the_rest_later(self, gong: GongVendor) -> None:
        old = gong.add_call("Old", ["Bo"], ago(days=90), [("Bo", "Hi")], brief="All well.")
        gong.scopes.remove("calls:read:transcript")
        found = changes(gong)
        assert [(each.ref, each.code) for each in skipped(found)] == [("transcripts", "missing_scope")]
        assert "All well." in applied(found)[old]
        still = changes(gong, last(found))
        assert not skipped(still) or skipped(still)[0].code == "missing_scope"
        gong.scopes.add("calls:read:transcript")
        caught_up = changes(gong, last(still))
        assert "Bo: Hi" in applied(caught_up)[old]
        assert given(changes(gong, last(caught_up))) == [old]  # the newest call, and nothing before it

    @pytest.mark.parametrize(
        "cursor",
        ["", "{}", "null", '{"v":1}', '{"v":2,"service":"gong"}', '{"v":1,"service":"slack"}', "\udc80", "[1]",
         '{"v":1,"service":"gong","at":"x"}', '{"v":1,"service":"gong","at":99999999999999999}',
         '{"v":1,"service":"gong","width":-5}', '{"v":1,"service":"gong","more":1}'],
    )  # fmt: skip
    def test_damaged_cursor_is_refused_with_a_way_out(self, gong: GongVendor, cursor: str) -> None:
        with pytest.raises(BadQuery) as caught:
            changes(gong, cursor)
        assert "--since" in (caught.value.hint or "")
        assert not gong.requests

    def test_since_that_is_no_time(self, gong: GongVendor) -> None:
        with pytest.raises(BadQuery, match="no time"):
            changes(gong, since="soon")

    @settings(max_examples=25)
    @over(data=st.data(), days=st.lists(st.integers(0, 4_000), min_size=1, max_size=60))
    def test_killed_anywhere_and_gone_on_is_the_same_in_the_end(self, data: st.DataObject, days: list[int]) -> None:
        with GongVendor() as vendor:
            for number, day in enumerate(days):
                vendor.add_call(f"Call {number}", ["Bo"], ago(days=day), private=number % 7 == 3)
            start = Place(1, "gong", at=int((NOW - timedelta(days=4_100)).timestamp()), width=86_400 * 300).cursor()
            whole = changes(vendor, start)
            cut = data.draw(st.integers(0, len(whole)))
            kept = [change.cursor for change in whole[:cut] if isinstance(change, Checkpoint)]
            rest = changes(vendor, kept[-1] if kept else start)
            assert applied(rest, applied(whole[:cut])) == applied(whole)


def test_place_keeps_what_it_is_told() -> None:
    place = Place(1, "gong", at=5, width=7, newest=-3, mute=-1)
    assert place_of(place.cursor(), "2020-01-01") == place
