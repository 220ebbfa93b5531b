from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.config import ConnectorsConfig, SalesforceConfig
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import (
    BadQuery,
    ItemGone,
    KeyRefused,
    Malformed,
    QuotaSpent,
    ServiceError,
)
from sophiactl.connectors.salesforce import SalesforceConnector
from sophiactl.redaction import Secret
from sophiactl.testing.vendors.salesforce import SalesforceVendor, refusal
from sophiactl.testing.web_server import Reply
from sophiactl.web import WebSession
from tests.salesforce_runs import Clock, changes, cost, fetch, given, ping, quick, search, session_only, use

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def salesforce() -> Iterator[SalesforceVendor]:
    with SalesforceVendor() as vendor:
        vendor.now = Clock()
        yield vendor
        assert not vendor.violations


def failing(vendor: SalesforceVendor, **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        ping(vendor, **options)
    return caught.value


# Who we are there


def test_ping_tells_organisation_user_scopes_and_calls(salesforce: SalesforceVendor) -> None:
    identity = ping(salesforce)
    assert (identity.workspace, identity.user) == ("Acme Ltd", "integration.user@acme.example")
    assert identity.scopes == ("api",)
    assert identity.notes == ("3 of 15,000 API calls were used in the last 24 hours",)


def test_ping_warns_when_little_is_left(salesforce: SalesforceVendor) -> None:
    salesforce.usage = 14_000
    assert ping(salesforce).notes[-1].endswith("little is left for others")


def test_ping_is_not_taken_in_by_the_list_of_versions(salesforce: SalesforceVendor) -> None:
    salesforce.expire_sessions()
    error = failing(salesforce, secrets=session_only(salesforce))
    assert isinstance(error, KeyRefused)
    assert "SALESFORCE_CLIENT_ID" in (error.hint or "")
    assert len(salesforce.requests) == 1


def test_ping_does_with_ids_where_names_are_withheld(salesforce: SalesforceVendor) -> None:
    salesforce.withdraw("Organization")
    salesforce.withdraw("User", "Username")
    identity = ping(salesforce)
    assert (identity.workspace, identity.user) == (salesforce.organization, salesforce.api_user)
    assert salesforce.organization in identity.notes[0]


def test_ping_asks_userinfo_where_no_identity_is_told(salesforce: SalesforceVendor) -> None:
    salesforce.queue("ok", Reply.json({"query": "/services/data/v63.0/query"}))
    assert ping(salesforce).workspace == "Acme Ltd"
    refused = Reply(403, b"Bad_OAuth_Token", {"Content-Type": "text/html"})
    salesforce.queue("ok", Reply.json({}), refused)
    assert ping(salesforce).workspace == ""


def test_an_api_version_that_is_not_there_is_said(salesforce: SalesforceVendor) -> None:
    error = failing(salesforce, api_version="v99.0")
    assert isinstance(error, BadQuery)
    assert "api_version" in (error.hint or "")
    with pytest.raises(BadQuery, match=r"v99\.0") as caught:
        changes(salesforce, api_version="v99.0")
    assert "api_version" in (caught.value.hint or "")


# Search


def test_search_gives_records_as_people_know_them(salesforce: SalesforceVendor) -> None:
    acme = salesforce.add("Account", Name="Acme", Industry="Energy")
    deal = salesforce.add(
        *("Opportunity",),
        Name="Acme renewal",
        StageName="Negotiation",
        Amount=120000.0,
        CloseDate="2026-12-15",
        Account=acme,
        Owner="Ada Lovelace",
    )
    found = search(salesforce, "acme renewal").items
    assert [item.id for item in found] == [deal]
    assert found[0].title == "Acme renewal"
    assert found[0].text == (
        "Name: Acme renewal\nStage: Negotiation\nAmount: 120000\nClose date: 2026-12-15\n"
        "Account: Acme\nOwner: Ada Lovelace"
    )
    assert (found[0].kind, found[0].author, found[0].container) == ("opportunity", "Ada Lovelace", "Acme")
    assert found[0].url == f"{salesforce.base_url}/lightning/r/Opportunity/{deal}/view"
    assert found[0].updated_at == "2026-03-01T09:00:00Z"


def test_the_order_of_salesforce_is_kept_and_the_limit_holds(salesforce: SalesforceVendor) -> None:
    texts = salesforce.add("Account", Name="Zeta", Description="about rockets")
    named = salesforce.add("Opportunity", Name="Rockets")
    assert [item.id for item in search(salesforce, "rockets").items] == [named, texts]
    assert [item.id for item in search(salesforce, "rockets", 1).items] == [named]
    assert search(salesforce, "rockets", 0).items == ()


@pytest.mark.parametrize(
    "query", ["a?&|!{}[]()^~*:\\\"'+- b", "FIND {x} RETURNING User(Id)", "' OR 1=1", "😀 acme", "\u202eacme"]
)
def test_a_query_goes_out_as_it_is(salesforce: SalesforceVendor, query: str) -> None:
    search(salesforce, query)
    assert salesforce.requests[-1].json()["q"] == " ".join(query.split())


@pytest.mark.parametrize("query", ["", " ", "a", "\x00a "])
def test_a_query_that_is_too_short_is_not_sent(salesforce: SalesforceVendor, query: str) -> None:
    found = search(salesforce, query)
    assert found.items == ()
    assert "at least two" in found.notes[0]
    assert not salesforce.requests


def test_a_query_without_a_word_finds_nothing_and_says_so(salesforce: SalesforceVendor) -> None:
    found = search(salesforce, "?! ...")
    assert found.items == ()
    assert "longer than one" in found.notes[0]


def test_a_query_is_cut_to_what_can_be_searched_for(salesforce: SalesforceVendor) -> None:
    search(salesforce, "acme " * 5_000)
    assert len(salesforce.requests[-1].json()["q"]) <= 1_000


def test_fields_and_objects_that_cannot_be_searched_are_left_out_and_said(salesforce: SalesforceVendor) -> None:
    salesforce.withdraw("Case")
    salesforce.withdraw("Account", "Industry")
    salesforce.withdraw("Account", "OwnerId")
    acme = salesforce.add("Account", Name="Acme")
    found = search(salesforce, "acme")
    assert [item.id for item in found.items] == [acme]
    assert len(found.notes) == 2
    assert found.notes[0].startswith("Case was not searched: sObject type 'Case' is not supported")
    assert found.notes[1].startswith("Account.Industry was not searched: No such column 'Industry'")


def test_a_relation_that_one_object_lacks_is_left_out_there_alone(salesforce: SalesforceVendor) -> None:
    salesforce.withdraw("Task", "WhatId")
    salesforce.add("Account", Name="Acme", Owner="Ada Lovelace")
    salesforce.add("Task", Subject="Call Acme", Owner="Grace Hopper")
    found = search(salesforce, "acme")
    assert [item.author for item in found.items] == ["Ada Lovelace", "Grace Hopper"]
    assert found.notes == ()


def test_what_was_found_out_is_not_asked_again(salesforce: SalesforceVendor) -> None:
    salesforce.withdraw("Account", "Industry")

    async def work(connector: SalesforceConnector) -> None:
        for _ in range(3):
            await connector.search("acme", 5, Deadline(20))

    use(salesforce, work)
    assert len([seen for seen in salesforce.requests if "Search" in seen.path]) == 4


def test_nothing_to_search_in_is_an_error(salesforce: SalesforceVendor) -> None:
    with pytest.raises(BadQuery, match="none of the objects") as caught:
        search(salesforce, "acme", objects={"Nothing__c": ("Name",)})
    assert "Nothing__c" in (caught.value.hint or "")


def test_records_of_a_search_are_read_leniently(salesforce: SalesforceVendor) -> None:
    records = [{"Id": "001000000000001AAA", "Odd": "x"}, {"attributes": None, "Id": None}, None, {"Id": 5}]
    salesforce.queue("ok", Reply.json({"searchRecords": records, "metadata": None}))
    found = search(salesforce, "acme")
    assert [item.id for item in found.items] == ["001000000000001AAA", "5"]
    assert found.items[0].text == "Odd: x"
    assert found.notes == ("2 records could not be read",)


@pytest.mark.parametrize("answer", [{}, {"searchRecords": None}, []])
def test_an_answer_to_a_search_that_is_none(salesforce: SalesforceVendor, answer: Any) -> None:
    salesforce.queue("ok", Reply.json(answer))
    with pytest.raises(Malformed):
        search(salesforce, "acme")


# One record


@pytest.mark.parametrize("length", [15, 18])
def test_a_record_by_its_id(salesforce: SalesforceVendor, length: int) -> None:
    acme = salesforce.add("Account", Name="Acme")
    assert fetch(salesforce, acme[:length]).id == acme


def test_a_record_that_is_gone(salesforce: SalesforceVendor) -> None:
    acme = salesforce.add("Account", Name="Acme")
    salesforce.delete(acme)
    for item_id in (acme, "001000000000000AAA", "00X000000000000AAA", "", "no id", "../../x", "001' OR Name != '"):
        with pytest.raises(ItemGone):
            fetch(salesforce, item_id)


def test_a_record_of_an_object_of_ones_own(salesforce: SalesforceVendor) -> None:
    salesforce.define("Invoice__c", "a01", {"Name": "string", "Renewal_Risk__c": "picklist", "Payer__c": "Account"})
    acme = salesforce.add("Account", Name="Acme")
    invoice = salesforce.add("Invoice__c", Name="INV-1", Renewal_Risk__c="High", Payer__c=acme)
    found = fetch(salesforce, invoice, objects={"Invoice__c": ("Name", "Renewal_Risk__c", "Payer__r.Name")})
    assert found.kind == "invoice"
    assert found.text == "Name: INV-1\nRenewal risk: High\nPayer: Acme\nOwner: Integration User"
    assert found.url == f"{salesforce.base_url}/lightning/r/Invoice__c/{invoice}/view"


def test_amounts_have_their_currency_where_there_is_more_than_one(salesforce: SalesforceVendor) -> None:
    salesforce.currencies()
    deal = salesforce.add("Opportunity", Name="Renewal", Amount=1999.5, CurrencyIsoCode="EUR")
    assert "Amount: 1999.5 EUR" in fetch(salesforce, deal).text


# What it costs


def test_the_cost_is_counted(salesforce: SalesforceVendor) -> None:
    for number in range(4_001):
        salesforce.add("Account", Name=str(number))
    told = cost(salesforce)
    assert (told.items, told.requests) == (4_001, 1 + 5 * 2 + 3 + 4)
    before = len(salesforce.requests)
    changes(salesforce)
    assert abs(len(salesforce.requests) - before - (told.requests or 0)) <= 5
    assert cost(salesforce, "2026-03-01T09:00:01Z").items == 0


def test_what_cannot_be_counted_is_said(salesforce: SalesforceVendor) -> None:
    salesforce.withdraw("Case")
    assert cost(salesforce).basis.endswith("unknown for Case")


# Errors


@pytest.mark.parametrize(
    "fault", ["503", "500", "502-html", "busy", "query-timeout", "reset", "200-html", "truncated-json"]
)
def test_what_is_over_in_a_moment_is_tried_again(salesforce: SalesforceVendor, fault: str) -> None:
    salesforce.add("Account", Name="Acme")
    salesforce.queue("ok", fault)
    assert [item.title for item in search(salesforce, "acme").items] == ["Acme"]


@pytest.mark.parametrize(
    ("reply", "kind", "stop"),
    [
        (refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), QuotaSpent, True),
        (
            refusal(403, "API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization."),
            ServiceError,
            True,
        ),
        (refusal(403, "INSUFFICIENT_ACCESS", "no"), ServiceError, False),
        (refusal(400, "MALFORMED_QUERY", "unexpected token"), BadQuery, False),
        (Reply.json([], 400), BadQuery, False),
        (Reply.json([None, 5], 400), BadQuery, False),
        (Reply.json({"message": "x"}, 400), BadQuery, False),
        (Reply(302, headers={"Location": "https://evil.example"}), Malformed, True),
        (Reply.html(403), ServiceError, False),
    ],
)
def test_what_is_not_over_is_an_error_of_its_kind(
    salesforce: SalesforceVendor, reply: Reply, kind: type[ServiceError], stop: bool
) -> None:
    salesforce.queue("ok", *[reply] * 9)
    with pytest.raises(kind) as caught:
        search(salesforce, "acme")
    assert caught.value.stop is stop
    assert caught.value.service == "salesforce"
    assert caught.value.hint


def test_the_quota_ends_a_sync_at_once_and_nobody_sleeps(salesforce: SalesforceVendor) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    salesforce.daily_limit = 3
    with pytest.raises(QuotaSpent) as caught:
        changes(salesforce, tools=quick(sleep=sleep))
    assert "goes on where it was" in (caught.value.hint or "")
    assert not slept
    assert len(salesforce.requests) == 5


def test_text_of_records_is_read_whatever_it_holds(salesforce: SalesforceVendor) -> None:
    html = "<p>They want <b>rockets</b></p><ul><li>red</li><li>5 &lt; 6</li></ul>"
    salesforce.add("Case", Subject="Printer \x00😀 \u202eburns", Description=html, Status=None)
    salesforce.add("Task", Subject=None, Status="Open", ActivityDate="2026-04-01")
    found = {item.kind: item for item in given(changes(salesforce))}
    assert found["case"].title == "Case 00001001: Printer 😀 \u202eburns"
    assert "Status" not in found["case"].text
    assert "- red\n- 5 < 6" in found["case"].text
    assert "<" not in found["case"].text.replace("5 < 6", "")
    assert found["task"].title == "Open"
    assert "Due date: 2026-04-01" in found["task"].text


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (True, "Type: yes"),
        (False, "Type: no"),
        (0, "Type: 0"),
        (3.0, "Type: 3"),
        (2.5, "Type: 2.5"),
        (12345678901234567890, "Type: 12345678901234567890"),
        ({"city": "Paris", "street": "1 Rue X", "country": "France", "latitude": 1.5}, "Type: 1 Rue X, Paris, France"),
        ("2026-05-06T09:49:19.000+0000", "Type: 2026-05-06T09:49:19Z"),
        ("2026-05-06", "Type: 2026-05-06"),
        ("a\nb", "Type:\na\nb"),
        ("a < b", "Type: a < b"),
        ([1], None),
        ("", None),
        ("   ", None),
        (None, None),
    ],
)
def test_values_as_text(salesforce: SalesforceVendor, value: Any, line: str | None) -> None:
    salesforce.add("Account", Name="Acme", Type=value)
    (found,) = given(changes(salesforce, objects={"Account": ("Name", "Type")}))
    assert found.text == "\n".join(filter(None, ("Name: Acme", line, "Owner: Integration User")))


def test_closing_twice_is_safe(salesforce: SalesforceVendor) -> None:
    async def main() -> None:
        secrets = {name: Secret(value) for name, value in salesforce.secrets.items()}
        async with WebSession(proxies={}) as web:
            connector = SalesforceConnector(SalesforceConfig(), ConnectorsConfig(), secrets, web)
            await connector.close()
            await connector.close()

    asyncio.run(main())
