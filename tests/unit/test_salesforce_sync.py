from __future__ import annotations

from contextlib import aclosing
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.connectors.base import Checkpoint, Removed, Skipped, Upsert
from sophiactl.connectors.errors import BadQuery
from sophiactl.testing.vendors.salesforce import SalesforceVendor
from sophiactl.testing.web_server import Reply, Seen
from tests.salesforce_runs import (
    Clock,
    applied,
    changes,
    last,
    names,
    queries,
    reconciled,
    removed,
    skipped,
    use,
)
from tests.salesforce_runs import given as items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.connectors.base import Change
    from sophiactl.connectors.salesforce import SalesforceConnector

ACCOUNTS: dict[str, Any] = {"objects": {"Account": ("Name",)}}
BEFORE = timedelta(minutes=10)


@pytest.fixture
def salesforce() -> Iterator[SalesforceVendor]:
    with SalesforceVendor() as vendor:
        vendor.now = Clock()
        yield vendor
        assert not vendor.violations


def clock(vendor: SalesforceVendor) -> Clock:
    assert isinstance(vendor.now, Clock)
    return vendor.now


def fill(vendor: SalesforceVendor, count: int, *, page: int = 7, seconds: float = 1) -> list[str]:
    vendor.page_size = page
    made = []
    for number in range(count):
        made.append(vendor.add("Account", Name=f"{number:05}"))
        clock(vendor).pass_by(seconds=seconds)
    return made


def held(found: list[Change]) -> set[str]:
    return {text.partition("\n")[0].removeprefix("Name: ") for text in applied(found).values()}


# All of it


def test_every_record_is_given_once_in_order_page_by_page(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 40)
    found = changes(salesforce, **ACCOUNTS)
    assert [item.id for item in items(found)] == made
    upserts = [number for number, change in enumerate(found) if isinstance(change, Upsert)]
    checkpoints = [number for number, change in enumerate(found) if isinstance(change, Checkpoint)]
    assert len([one for one in checkpoints if upserts[0] < one < upserts[-1]]) == 5
    assert [found[number].done for number in checkpoints] == [False] * (len(checkpoints) - 1) + [True]  # type: ignore[union-attr]


def test_an_organisation_with_nothing_in_it(salesforce: SalesforceVendor) -> None:
    first = changes(salesforce)
    assert not items(first)
    salesforce.add("Account", Name="Acme")
    assert held(changes(salesforce, last(first))) == {"Acme"}


def test_pages_are_as_large_as_they_may_be(salesforce: SalesforceVendor) -> None:
    changes(salesforce, **ACCOUNTS)
    changes(salesforce, page_size=10, **ACCOUNTS)
    sizes = [seen.headers.get("sforce-query-options") for seen in salesforce.requests if seen.path.endswith("/query")]
    assert sizes == [None, None, "batchSize=200", "batchSize=200"]


def test_all_records_of_one_moment_are_given_and_gone_on_behind(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 30, seconds=0)
    found = changes(salesforce, **ACCOUNTS)
    assert [item.id for item in items(found)] == made
    middle = [change.cursor for change in found if isinstance(change, Checkpoint)][2]
    assert [item.id for item in items(changes(salesforce, middle, **ACCOUNTS))] == made[14:]


def test_since_leaves_out_what_is_older_now_and_later(salesforce: SalesforceVendor) -> None:
    fill(salesforce, 10, seconds=60)
    found = changes(salesforce, since="2026-03-01T10:07:00+01:00")
    assert held(found) == {"00007", "00008", "00009"}
    assert held(changes(salesforce, last(found))) == held(found)


def test_a_date_that_is_none_is_refused(salesforce: SalesforceVendor) -> None:
    with pytest.raises(BadQuery, match="no date"):
        changes(salesforce, since="last week")


# Changes


def test_the_second_time_only_the_overlap_is_read(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 40, seconds=60)
    first = changes(salesforce, **ACCOUNTS)
    before = len(salesforce.requests)
    second = changes(salesforce, last(first), **ACCOUNTS)
    assert [item.id for item in items(second)] == made[-11:]
    assert last(second) == last(first)
    assert len(salesforce.requests) - before == 1 + 1 + 2 + 1  # login, the newest, two pages, deletions


def test_edits_deletions_and_what_comes_back_are_followed(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 20)
    memory: dict[str, str] = {}
    found = changes(salesforce, **ACCOUNTS)
    applied(found, memory)
    steps: list[Any] = [
        lambda: salesforce.edit(made[0], Name="edited"),
        lambda: salesforce.delete(made[1]),
        lambda: salesforce.delete(made[2]),
        lambda: salesforce.undelete(made[1]),
        lambda: salesforce.add("Account", Name="new"),
        lambda: salesforce.edit(made[0], Name="edited again"),
    ]
    for step in steps:
        clock(salesforce).pass_by(hours=1)
        step()
        found = changes(salesforce, last(found), **ACCOUNTS)
        applied(found, memory)
        assert {text.partition("\n")[0][6:] for text in memory.values()} == names(salesforce)
    assert removed(found) == []


def test_a_record_deleted_and_restored_between_two_runs_stays(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 3)
    first = changes(salesforce, **ACCOUNTS)
    salesforce.delete(made[0])
    clock(salesforce).pass_by(seconds=5)
    salesforce.undelete(made[0])
    assert removed(changes(salesforce, last(first), **ACCOUNTS)) == []


@pytest.mark.parametrize("days", [-400, -1, 1, 400])
def test_the_clock_of_salesforce_alone_counts(salesforce: SalesforceVendor, days: int) -> None:
    clock(salesforce).pass_by(days=days)
    fill(salesforce, 10, seconds=60)
    first = changes(salesforce, **ACCOUNTS)
    salesforce.add("Account", Name="late")
    assert held(changes(salesforce, last(first), **ACCOUNTS)) == {"late", *(f"{number:05}" for number in range(10))}
    clock(salesforce).pass_by(days=1)
    salesforce.add("Account", Name="later")
    second = changes(salesforce, last(first), **ACCOUNTS)
    clock(salesforce).pass_by(days=1)
    salesforce.add("Account", Name="last")
    assert held(changes(salesforce, last(second), **ACCOUNTS)) == {"later", "last"}


def test_what_changes_while_it_is_read_is_not_lost_later(salesforce: SalesforceVendor) -> None:
    """A row of a late page that was changed meanwhile bears a new time: that is not how far the reading came."""
    made = fill(salesforce, 30, seconds=3600)
    edited: list[str] = []

    def meanwhile(seen: Seen) -> Reply:
        salesforce.edit(made[0], Name="first, edited")
        edited.append(made[0])
        clock(salesforce).pass_by(hours=5)
        salesforce.edit(made[29], Name="last, edited")
        return salesforce.answer(seen)

    salesforce.queue(*["ok"] * 6, meanwhile)
    first = changes(salesforce, **ACCOUNTS)
    assert edited
    memory = applied(first)
    assert memory[made[0]].startswith("Name: 00000")
    applied(changes(salesforce, last(first), **ACCOUNTS), memory)
    assert {text.partition("\n")[0][6:] for text in memory.values()} == names(salesforce)


def test_other_fields_are_read_from_the_beginning_and_deletions_from_where_they_were(
    salesforce: SalesforceVendor,
) -> None:
    made = fill(salesforce, 5, seconds=3600)
    first = changes(salesforce, **ACCOUNTS)
    salesforce.delete(made[0])
    second = changes(salesforce, last(first), objects={"Account": ("Name", "Industry")})
    assert [item.id for item in items(second)] == made[1:]
    assert removed(second) == [made[0]]
    third = changes(salesforce, last(second), objects={"Account": ("Name", "Industry")})
    assert [item.id for item in items(third)] == made[-1:]


def test_another_object_in_the_settings_is_read_from_the_beginning(salesforce: SalesforceVendor) -> None:
    salesforce.add("Contact", Name="Grace", Title="CTO")
    first = changes(salesforce, **ACCOUNTS)
    clock(salesforce).pass_by(days=1)
    found = changes(salesforce, last(first), objects={"Contact": ("Name", "Title"), "Account": ("Name",)})
    assert [item.title for item in items(found)] == ["Grace"]


# What cannot be read


def test_a_field_that_is_not_there_is_left_out_and_told_once(salesforce: SalesforceVendor) -> None:
    fill(salesforce, 20)
    salesforce.withdraw("Account", "Industry")
    found = changes(salesforce, objects={"Account": ("Name", "Industry", "Nothing__c", "Boss__r.Name")})
    told = skipped(found)
    assert [one.ref for one in told] == ["Account.Industry", "Account.Nothing__c", "Account.Boss__r.Name"]
    assert told[0].reason == "No such column 'Industry' on entity 'Account'"
    assert told[2].reason == "Didn't understand relationship 'Boss__r' in field path"
    assert len(items(found)) == 20


def test_an_object_that_is_not_there_is_left_out_and_told(salesforce: SalesforceVendor) -> None:
    salesforce.withdraw("Opportunity")
    salesforce.add("Task", Subject="Call")
    found = changes(salesforce)
    assert [one.ref for one in skipped(found)] == ["Opportunity"]
    assert "sObject type 'Opportunity' is not supported" in skipped(found)[0].reason
    assert [item.kind for item in items(found)] == ["task"]


def test_an_object_that_comes_back_is_read_from_where_it_was(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 20, seconds=3600)
    first = changes(salesforce, **ACCOUNTS)
    fields = salesforce.fields["Account"]
    salesforce.withdraw("Account")
    second = changes(salesforce, last(first), **ACCOUNTS)
    assert (len(skipped(second)), items(second)) == (1, [])
    salesforce.fields["Account"] = fields
    salesforce.edit(made[3], Name="edited")
    assert {item.id for item in items(changes(salesforce, last(second), **ACCOUNTS))} == {made[3], made[19]}


def test_objects_without_owner_or_recycle_bin_are_read_all_the_same(salesforce: SalesforceVendor) -> None:
    salesforce.user("Ada Lovelace")
    found = changes(salesforce, objects={"User": ("Name", "Email")})
    assert {item.title for item in items(found)} == {"Ada Lovelace", "Integration User"}
    assert [one.ref for one in skipped(found)] == ["User, what was deleted"]


def test_more_fields_than_one_url_takes_are_read_in_parts(salesforce: SalesforceVendor) -> None:
    wide = {f"A_field_with_a_long_name_number_{number:03}__c": "string" for number in range(300)}
    salesforce.define("Wide__c", "a02", {"Name": "string", "Payer__c": "Account", **wide})
    acme = salesforce.add("Account", Name="Acme", Industry="Energy")
    salesforce.page_size = 250
    for number in range(260):
        values = {name: f"{name[-6:-3]} of {number}" for name in wide}
        salesforce.add("Wide__c", Name=f"{number:03}", Payer__c=acme, **values)
    fields = ("Payer__r.Name", *wide, "Payer__r.Industry", "Nothing__c")
    found = changes(salesforce, objects={"Wide__c": fields})
    assert len(items(found)) == 260
    for number, item in enumerate(items(found)):
        lines = item.text.splitlines()
        assert lines[0] == "Payer: Acme"
        assert lines[-2] == "Payer industry: Energy"
        assert [line.partition(": ")[2] for line in lines[1:-2]] == [f"{one:03} of {number}" for one in range(300)]
    assert [one.ref for one in skipped(found)] == ["Wide__c.Nothing__c"]
    assert max(len(seen.raw_query) for seen in salesforce.requests) < 8_000


def test_a_record_without_an_id_is_skipped_and_the_rest_is_read(salesforce: SalesforceVendor) -> None:
    rows = [{"Id": None, "Name": "x"}, None, 5, {"Id": "001000000000001AAA", "Owner": None, "SystemModstamp": "soon"}]
    page = {"totalSize": 4, "done": True, "records": rows, "odd": None}
    salesforce.queue("ok", "ok", Reply.json(page))
    found = changes(salesforce, **ACCOUNTS)
    assert [one.reason for one in skipped(found)] == ["a record without an id"]
    assert [item.id for item in items(found)] == ["001000000000001AAA"]
    assert items(found)[0].title == "Account 001000000000001AAA"


def test_recorded_rows_without_times_are_followed_to_their_end(salesforce: SalesforceVendor) -> None:
    def page(number: int, following: str) -> Reply:
        row = {"Id": f"00100000000000{number}AAA", "Name": str(number)}
        more = {"done": False, "nextRecordsUrl": following} if following else {}
        return Reply.json({"totalSize": 2, "done": True, "records": [row], **more})

    salesforce.queue("ok", page(0, ""), page(1, "/services/data/v63.0/query/01gxx-2000"), page(2, ""))
    assert [item.title for item in items(changes(salesforce, **ACCOUNTS))] == ["1", "2"]


# What is gone for good


def test_reconcile_names_what_is_gone_and_leaves_alone_what_it_cannot_know(salesforce: SalesforceVendor) -> None:
    salesforce.define("Invoice__c", "a01", {"Name": "string"})
    made = fill(salesforce, 450, seconds=0)
    invoices = [salesforce.add("Invoice__c", Name=str(number)) for number in range(3)]
    lead = salesforce.add("Lead", Name="not read")
    for record in (made[0], made[300], invoices[1]):
        salesforce.purge(record)
    salesforce.delete(made[449])
    salesforce.purge(lead)
    known = [*made, *invoices, lead, "a09000000000001AAA", "no id", ""]
    objects = {"Account": ("Name",), "Invoice__c": ("Name",)}
    found = reconciled(salesforce, known, objects=objects)
    assert removed(found) == [made[0], made[300], made[449], invoices[1]]
    assert isinstance(found[-1], Checkpoint)
    assert found[-1].done
    asked = [query for query in queries(salesforce) if "Id IN" in query]
    assert len(asked) == 4
    assert max(len(seen.raw_query) for seen in salesforce.requests) < 8_000


def test_reconcile_leaves_an_object_alone_that_may_not_be_read(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 3)
    contact = salesforce.add("Contact", Name="Grace")
    salesforce.purge(contact)
    salesforce.withdraw("Account")
    found = reconciled(salesforce, [*made, contact])
    assert removed(found) == [contact]
    assert [one.ref for one in skipped(found)] == ["Account"]


def test_reconcile_asks_objects_without_a_recycle_bin_too(salesforce: SalesforceVendor) -> None:
    ada = salesforce.user("Ada")
    gone = salesforce.user("Grace")
    salesforce.purge(gone)
    assert removed(reconciled(salesforce, [ada, gone], objects={"User": ("Name",)})) == [gone]


def test_reconcile_with_nothing_known_asks_nothing(salesforce: SalesforceVendor) -> None:
    assert len(reconciled(salesforce, [])) == 1
    assert not salesforce.requests


def test_a_reader_may_leave_a_stream_anywhere(salesforce: SalesforceVendor) -> None:
    fill(salesforce, 20)

    async def work(connector: SalesforceConnector) -> int:
        read = 0
        async with aclosing(connector.changes(None)) as stream:
            async for change in stream:
                read += isinstance(change, Upsert)
                if read == 9:
                    break
        return read

    assert use(salesforce, work, **ACCOUNTS) == 9  # which also looks for tasks that are left behind
    assert len(salesforce.requests) == 4


def test_what_is_skipped_or_removed_says_what_it_is(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 3)
    first = changes(salesforce, **ACCOUNTS)
    salesforce.delete(made[1])
    second = changes(salesforce, last(first), objects={"Account": ("Name",), "Nothing__c": ("Name",)})
    assert Removed(made[1]) in second
    assert [type(change) for change in second if isinstance(change, Skipped)] == [Skipped]
    assert msgspec.json.decode(last(second))["v"] == 1
    times = [item.updated_at for item in items(first)]
    assert all(before <= after for before, after in pairwise(filter(None, times)))
