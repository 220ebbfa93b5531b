"""HubSpot's stream of changes: the order, the second run, what is followed, and however much it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sophiactl.connectors import errors
from sophiactl.connectors.base import Checkpoint, Removed, Skipped
from sophiactl.connectors.hubspot_kinds import KINDS
from sophiactl.testing.vendors.hubspot import HubSpotVendor
from sophiactl.testing.vendors.hubspot_portal import iso
from tests.hubspot_reading import NOON, PEOPLE, agrees, applied, changes, cursor_of, ids, people, searches, upserts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hub() -> Iterator[HubSpotVendor]:
    with HubSpotVendor() as vendor:
        yield vendor


# The order, the pages, the cursors


def test_an_empty_account_is_done_at_once(hub: HubSpotVendor) -> None:
    stream = changes(hub)
    assert [type(change) for change in stream] == [Checkpoint] * 6
    assert [change.done for change in stream if isinstance(change, Checkpoint)] == [False] * 5 + [True]
    assert upserts(changes(hub, cursor_of(stream))) == []


def test_every_kind_is_read_oldest_change_first(hub: HubSpotVendor) -> None:
    added = people(hub, 25, step=-60_000)
    hub.add_deal("Acme", at=NOON)
    stream = changes(hub, page_size=4)
    assert ids(stream) == [
        *(f"contacts/{number}" for number in reversed(added)),
        *ids(changes(hub, objects=("deals",))),
    ]
    assert all("after" not in body for body in searches(hub))
    assert isinstance(stream[-1], Checkpoint)
    assert stream[-1].done


def test_what_is_asked_for_is_named(hub: HubSpotVendor) -> None:
    changes(hub)
    for kind in KINDS:
        (body,) = searches(hub, kind)
        modified = "lastmodifieddate" if kind == "contacts" else "hs_lastmodifieddate"
        assert body["sorts"] == [modified]
        assert body["filterGroups"] == [{"filters": [{"propertyName": modified, "operator": "GTE", "value": "0"}]}]
        assert {modified, "hs_object_id", "hubspot_owner_id", "hs_merged_object_ids"} < set(body["properties"])
        assert body["limit"] == 200


def test_the_second_run_reads_the_overlap_alone(hub: HubSpotVendor) -> None:
    added = people(hub, 500, step=60_000)
    first = changes(hub, **PEOPLE)
    assert len(ids(first)) == 500
    hub.requests.clear()
    second = changes(hub, cursor_of(first), overlap_minutes=10.0, **PEOPLE)
    assert ids(second) == [f"contacts/{number}" for number in added[-11:]]
    assert len(searches(hub)) == 1
    assert upserts(second) == upserts(first)[-11:]


def test_edits_archived_restored_deleted_and_merged_records_are_followed(hub: HubSpotVendor) -> None:
    added = people(hub, 20)
    acme = hub.add_company("Acme", at=NOON)
    first = changes(hub)
    hub.edit("contacts", added[3], phone="555")
    hub.archive("contacts", added[4])
    hub.archive("companies", acme)
    hub.archive("contacts", added[5])
    hub.restore("contacts", added[5])
    hub.merge("contacts", added[6], added[7])
    second = changes(hub, cursor_of(first), overlap_minutes=0.0)
    assert {change.id for change in second if isinstance(change, Removed)} == {
        f"contacts/{added[4]}", f"companies/{acme}", f"contacts/{added[7]}",
    }  # fmt: skip
    assert {f"contacts/{added[at]}" for at in (3, 5, 6)} <= set(ids(second))
    assert agrees(hub, applied(second, applied(first)))
    third = changes(hub, cursor_of(second))
    assert agrees(hub, applied(third, applied(second, applied(first))))


def test_since_reads_what_is_younger_and_stays_so(hub: HubSpotVendor) -> None:
    people(hub, 10)
    hub.archive("contacts", hub.add_contact("Old", at=NOON - 9_000), at=NOON - 5_000)
    since = iso(NOON + 7_000)
    stream = changes(hub, since=since)
    assert len(ids(stream)) == 3
    assert not [change for change in stream if isinstance(change, Removed)]
    cut = next(change for change in changes(hub, since=since, page_size=1) if isinstance(change, Checkpoint))
    assert len(ids(changes(hub, cut.cursor, overlap_minutes=0.0))) >= 2
    assert all(int(body["filterGroups"][0]["filters"][0]["value"]) >= NOON + 7_000 for body in searches(hub))
    nothing = changes(hub, since="2030-01-01")
    assert ids(nothing) == []
    assert ids(changes(hub, cursor_of(nothing))) == []


@pytest.mark.parametrize("since", ["yesterday", "", "20260301", "2026-13-01"])
def test_a_since_that_is_no_time_is_refused(hub: HubSpotVendor, since: str) -> None:
    with pytest.raises(errors.BadQuery) as refused:
        changes(hub, since=since)
    assert "2026-03-01" in f"{refused.value.hint}"
    assert hub.requests == []


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "{}", "[]", "null", '{"v":2}', '{"v":1,"places":{"contacts":{"at":"x"}}}', '{"v":1,"left":5}', "\ud800"],
)
def test_a_damaged_or_foreign_cursor_is_refused(hub: HubSpotVendor, cursor: str) -> None:
    with pytest.raises(errors.BadQuery) as refused:
        changes(hub, cursor)
    assert "--since" in f"{refused.value.hint}"
    assert hub.requests == []


def test_kinds_that_are_added_later_are_read_whole_and_others_go_on(hub: HubSpotVendor) -> None:
    people(hub, 5)
    deals = [hub.add_deal(f"D{number}", at=NOON) for number in range(5)]
    first = changes(hub, **PEOPLE)
    second = changes(hub, cursor_of(first), overlap_minutes=0.0, objects=("contacts", "deals"))
    assert ids(second)[1:] == [f"deals/{number}" for number in deals]
    third = changes(hub, cursor_of(second), overlap_minutes=0.0, **PEOPLE)
    assert ids(changes(hub, cursor_of(third), overlap_minutes=0.0, objects=("deals",))) == ids(second)[1:]


def test_a_kind_that_may_not_be_read_is_skipped_by_name_and_read_once_it_may(hub: HubSpotVendor) -> None:
    people(hub, 3)
    ticket = hub.add_ticket("Login", at=NOON)
    owner = hub.add_owner("Ada")
    hub.add_note("x", owner=owner, at=NOON)
    hub.scopes -= {"tickets", "crm.objects.owners.read"}
    first = changes(hub)
    skipped = [change for change in first if isinstance(change, Skipped)]
    assert [(change.ref, change.code) for change in skipped] == [
        ("names of owners", "missing_scope"), ("tickets", "missing_scope"),
    ]  # fmt: skip
    assert "give the private app tickets" in skipped[1].reason
    assert len(ids(first)) == 4
    hub.scopes |= {"tickets", "crm.objects.owners.read"}
    second = changes(hub, cursor_of(first))
    assert f"tickets/{ticket}" in ids(second)
    assert next(item for item in upserts(second) if item.kind == "note").author == "Ada"


def test_what_was_merged_into_a_record_that_was_then_archived_is_gone_too(hub: HubSpotVendor) -> None:
    one, two = people(hub, 2)
    first = changes(hub, **PEOPLE)
    hub.merge("contacts", one, two)
    hub.archive("contacts", one)
    assert applied(changes(hub, cursor_of(first), **PEOPLE), applied(first)) == {}


# Many


@pytest.mark.parametrize("count", [10_300, 20_700])
def test_more_than_ten_thousand_of_one_millisecond(hub: HubSpotVendor, count: int) -> None:
    before, after = people(hub, 3), [hub.add_contact("Later", at=NOON + 99_000_000)]
    tied = [hub.add_contact("T", at=NOON + 50_000_000) for _ in range(count)]
    stream = changes(hub, **PEOPLE)
    found = ids(stream)
    assert sorted(set(found)) == sorted(f"contacts/{number}" for number in (*before, *tied, *after))
    assert len(found) <= count + 400
    assert all("after" not in body for body in searches(hub))
    assert len(searches(hub)) <= count / 200 + 8
    assert agrees(hub, applied(stream))


def test_more_than_ten_thousand_of_many_times(hub: HubSpotVendor) -> None:
    people(hub, 10_500)
    stream = changes(hub, **PEOPLE)
    assert len(set(ids(stream))) == 10_500
    assert len(ids(stream)) == 10_500
    assert len(searches(hub)) <= 54


@settings(max_examples=40)
@given(st.lists(st.integers(0, 6), max_size=40), st.integers(1, 5))
def test_any_mixture_of_ties_is_read_whole(times: list[int], size: int) -> None:
    with HubSpotVendor() as hub:
        for time in times:
            hub.add_contact("P", at=NOON + time)
        stream = changes(hub, page_size=size, **PEOPLE)
        assert agrees(hub, applied(stream))
        assert len(ids(stream)) <= 2 * len(times) + size
