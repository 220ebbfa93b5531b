from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.connectors.base import Checkpoint
from sophiactl.connectors.config import ConnectorsConfig
from sophiactl.connectors.errors import BadQuery, KeyRefused, Malformed, NoService, QuotaSpent
from sophiactl.testing.vendors.salesforce import SalesforceVendor, refusal
from sophiactl.testing.web_server import Reply
from tests.salesforce_runs import (
    Clock,
    applied,
    changes,
    last,
    names,
    queries,
    removed,
    session_only,
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


# Interruptions


def interrupted(found: list[Change]) -> Iterator[tuple[list[Change], str | None]]:
    """Each beginning of a stream that a kill may leave, with the cursor that was kept."""
    for end in range(len(found)):
        cursors = [change.cursor for change in found[:end] if isinstance(change, Checkpoint)]
        yield found[:end], cursors[-1] if cursors else None


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_kill_anywhere_changes_nothing_in_the_end(data: st.DataObject) -> None:
    with SalesforceVendor() as salesforce:
        salesforce.now = Clock()
        made = fill(salesforce, 14, page=4, seconds=data.draw(st.sampled_from([0, 1, 600])))
        salesforce.add("Contact", Name="Grace")
        objects = {"Account": ("Name",), "Contact": ("Name",)}
        found = changes(salesforce, objects=objects)
        beginnings = list(interrupted(found))
        begun, cursor = beginnings[data.draw(st.integers(0, len(beginnings) - 1))]
        memory = applied(begun)
        clock(salesforce).pass_by(seconds=data.draw(st.sampled_from([0, 1, 5_000])))
        for record in data.draw(st.lists(st.sampled_from(made), max_size=6)):
            if salesforce.rows["Account"][record]["IsDeleted"]:
                salesforce.undelete(record)
            elif data.draw(st.booleans()):
                salesforce.edit(record, Name=f"edited {data.draw(st.integers(0, 9))}")
            else:
                salesforce.delete(record)
            clock(salesforce).pass_by(seconds=data.draw(st.sampled_from([0, 1, 5_000])))
        resumed = changes(salesforce, cursor, objects=objects)
        applied(resumed, memory)
        for _ in range(2):
            resumed = changes(salesforce, last(resumed), objects=objects)
            applied(resumed, memory)
        assert {text.partition("\n")[0][6:] for text in memory.values()} == names(salesforce) | names(
            salesforce, "Contact"
        )


def test_every_beginning_of_a_stream_can_be_gone_on_with(salesforce: SalesforceVendor) -> None:
    fill(salesforce, 12, page=5)
    found = changes(salesforce)
    whole = applied(found)
    for begun, cursor in interrupted(found):
        assert applied(changes(salesforce, cursor), applied(begun)) == whole


def test_a_resumed_run_does_not_read_again_what_was_read(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 20, page=5)
    found = changes(salesforce, **ACCOUNTS)
    cursor = [change.cursor for change in found if isinstance(change, Checkpoint)][3]
    assert [item.id for item in items(changes(salesforce, cursor, **ACCOUNTS))] == made[15:]


def test_what_is_deleted_before_a_first_run_goes_on_is_told(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 20, page=5)
    cursors = [change.cursor for change in changes(salesforce, **ACCOUNTS) if isinstance(change, Checkpoint)]
    clock(salesforce).pass_by(days=2)
    salesforce.delete(made[0])
    clock(salesforce).pass_by(days=2)
    salesforce.add("Account", Name="new")
    for cursor in cursors:  # before the first page, too: what was given since may have been stored
        first = changes(salesforce, cursor, **ACCOUNTS)
        second = changes(salesforce, last(first), **ACCOUNTS)
        assert {*removed(first), *removed(second)} == {made[0]}


@pytest.mark.parametrize("calls", [2, 3, 5])
@pytest.mark.parametrize("outlive", [True, False])
def test_sessions_that_end_in_mid_paging_lose_and_double_nothing(
    salesforce: SalesforceVendor, calls: int, outlive: bool
) -> None:
    made = fill(salesforce, 40)
    salesforce.session_calls = calls
    salesforce.cursors_outlive_sessions = outlive
    found = changes(salesforce, **ACCOUNTS)
    assert [item.id for item in items(found)] == made
    assert salesforce.logins > 1


def test_a_session_of_ones_own_that_ends_in_mid_paging_ends_the_run(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 40)
    salesforce.session_calls = 4
    found: list[Change] = []

    async def work(connector: SalesforceConnector) -> None:
        async for change in connector.changes(None):
            found.append(change)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(KeyRefused):
        use(salesforce, work, secrets=session_only(salesforce), **ACCOUNTS)
    cursor = [change.cursor for change in found if isinstance(change, Checkpoint)][-1]
    salesforce.session_calls = None
    rest = changes(salesforce, cursor, **ACCOUNTS)
    assert [item.id for item in items([*found, *rest])] == made


def test_cursors_that_end_are_replaced_by_a_query_behind_the_last_row(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 40)
    salesforce.queue("ok", "ok", "ok", "cursor", "ok", "ok", "cursor", "ok", "cursor")
    assert [item.id for item in items(changes(salesforce, **ACCOUNTS))] == made
    assert sum("OR (SystemModstamp" in query for query in queries(salesforce)) == 3


def test_a_cursor_that_is_always_dead_is_given_up(salesforce: SalesforceVendor) -> None:
    fill(salesforce, 40, seconds=0)
    row = {"Id": "001000000000001AAA", "SystemModstamp": "2026-03-01T09:00:00.000+0000"}
    page = {"totalSize": 99, "done": False, "nextRecordsUrl": "/services/data/v63.0/query/01gX-1", "records": [row]}
    salesforce.queue("ok", *[Reply.json(page), salesforce.faults["cursor"]] * 20)
    (told,) = skipped(changes(salesforce, **ACCOUNTS))
    assert (told.ref, told.reason) == ("Account", "invalid query locator")
    assert len(salesforce.requests) < 20


def test_an_object_that_has_to_be_left_is_gone_on_with_where_it_was(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 40, seconds=3600)
    salesforce.queue("ok", "ok", "ok", refusal(400, "MALFORMED_QUERY", "no"))
    first = changes(salesforce, **ACCOUNTS)
    assert [item.id for item in items(first)] == made[:7]
    assert [one.ref for one in skipped(first)] == ["Account"]
    salesforce.delete(made[2])
    clock(salesforce).pass_by(days=1)
    salesforce.add("Account", Name="new")
    second = changes(salesforce, last(first), **ACCOUNTS)
    assert [item.id for item in items(second)][:-1] == made[6:]
    assert removed(second) == [made[2]]


def test_the_quota_ends_the_run_and_the_cursor_goes_on_behind_it(salesforce: SalesforceVendor) -> None:
    made = fill(salesforce, 40)
    salesforce.daily_limit = 4
    found: list[Change] = []

    async def work(connector: SalesforceConnector) -> None:
        async for change in connector.changes(None):
            found.append(change)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(QuotaSpent):
        use(salesforce, work, **ACCOUNTS)
    cursor = [change.cursor for change in found if isinstance(change, Checkpoint)][-1]
    salesforce.daily_limit = 1_000
    rest = changes(salesforce, cursor, **ACCOUNTS)
    assert [item.id for item in items([*found, *rest])] == made


def test_a_service_that_is_down_ends_the_run(salesforce: SalesforceVendor) -> None:
    salesforce.queue("ok", *["reset"] * 9)
    with pytest.raises(NoService):
        changes(salesforce, common=ConnectorsConfig(retries=1))


# Cursors of our own


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"v":2}',
        '{"v":1,"more":1}',
        '{"v":1,"since":"yesterday"}',
        '{"v":1,"since":"2026-01-01"}',
        '{"v":1,"marks":{"Account":{"t":"2026-01-01T00:00:00.000Z OR Id != null","fields":"x"}}}',
        '{"v":1,"now":{"name":"Account","fields":"x","at":{"t":"2026-01-01T00:00:00.000Z","id":"x\' OR Id != \'"}}}',
        '{"v":1,"now":{"name":"Account","fields":"x","gone":"now"}}',
        '{"v":1,"marks":{"Account":"2026-01-01T00:00:00.000Z"}}',
        "0r8xx5R2sM3DgWhASK-2000",
    ],
)
def test_a_cursor_that_is_damaged_or_not_ours_is_refused(salesforce: SalesforceVendor, cursor: str) -> None:
    with pytest.raises(BadQuery) as caught:
        changes(salesforce, cursor)
    assert "--since" in (caught.value.hint or "")
    assert not salesforce.requests


# Answers that lead astray


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/services/data/v63.0/query/01g-2000",
        "//evil.example/services/data/v63.0/query/01g-2000",
        "@evil.example/services/data/v63.0/query/01g-2000",
        "/services/data/v63.0/query/../../../oauth2/revoke?token=1",
        "/services/data/v63.0/sobjects/Account",
        "services/data/v63.0/query/01g-2000",
        ".evil.example/services/data/v63.0/query/01g-2000",
    ],
)
def test_the_next_page_is_never_elsewhere(salesforce: SalesforceVendor, path: str) -> None:
    page = {"totalSize": 9, "done": False, "records": [], "nextRecordsUrl": path}
    salesforce.queue("ok", "ok", Reply.json(page))
    with pytest.raises(Malformed) as caught:
        changes(salesforce, **ACCOUNTS)
    assert caught.value.stop
    assert len(salesforce.requests) == 3


def test_the_next_page_on_another_port_of_this_machine_is_elsewhere_too(salesforce: SalesforceVendor) -> None:
    path = "/services/data/v63.0/query/01g-2000"
    page = {"totalSize": 9, "done": False, "records": [], "nextRecordsUrl": salesforce.elsewhere_url + path}
    salesforce.queue("ok", "ok", Reply.json(page))
    with pytest.raises(Malformed):
        changes(salesforce, **ACCOUNTS)
    assert not salesforce.elsewhere


def test_a_whole_url_of_the_same_place_is_followed(salesforce: SalesforceVendor) -> None:
    path = "/services/data/v63.0/query/01gxx-2000"
    page = {"totalSize": 1, "done": False, "records": [], "nextRecordsUrl": salesforce.base_url + path}
    salesforce.queue("ok", "ok", Reply.json(page), Reply.json({"totalSize": 1, "done": True, "records": []}))
    changes(salesforce, **ACCOUNTS)
    assert salesforce.requests[3].path == path


def _page(number: int, *, rows: int, total: int | None = 5) -> Reply:
    records = [{"Id": f"{number:015}AAA"} for _ in range(rows)]
    following = f"/services/data/v63.0/query/01g-{number}"
    return Reply.json({"totalSize": total, "done": False, "records": records, "nextRecordsUrl": following})


@pytest.mark.parametrize(
    "pages",
    [
        [_page(1, rows=1)] * 4,  # the same cursor again
        [_page(1, rows=1), _page(2, rows=1), _page(1, rows=1)],  # round in a circle
        [_page(number, rows=0) for number in range(90)],  # ever new cursors, and nothing behind them
        [_page(number, rows=900) for number in range(20)],  # more than there is
    ],
)
def test_pages_without_an_end_are_ended(salesforce: SalesforceVendor, pages: list[Reply]) -> None:
    salesforce.queue("ok", "ok", *pages)
    with pytest.raises(Malformed, match="without end"):
        changes(salesforce, **ACCOUNTS)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"records": None},
        {"records": {}},
        {"records": [], "done": False},
        {"records": [], "done": False, "nextRecordsUrl": None},
    ],
)
def test_an_answer_that_is_none(salesforce: SalesforceVendor, answer: Any) -> None:
    salesforce.queue("ok", Reply.json(answer))
    with pytest.raises(Malformed):
        changes(salesforce, **ACCOUNTS)


def test_a_refusal_that_names_nothing_skips_the_object(salesforce: SalesforceVendor) -> None:
    salesforce.add("Contact", Name="Grace")
    salesforce.queue("ok", *[refusal(400, "INVALID_FIELD", "no")] * 1)
    found = changes(salesforce, objects={"Account": ("Name",), "Contact": ("Name",)})
    assert [one.ref for one in skipped(found)] == ["Account"]
    assert [item.title for item in items(found)] == ["Grace"]
