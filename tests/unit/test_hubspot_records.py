"""What HubSpot's records read like, however odd they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sophiactl.connectors import errors
from sophiactl.testing.vendors.hubspot import HubSpotVendor
from sophiactl.testing.web_server import Reply
from tests.hubspot_reading import NOON, changes, fetch, upserts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hub() -> Iterator[HubSpotVendor]:
    with HubSpotVendor() as vendor:
        yield vendor


def test_a_deal_reads_as_people_would_say_it(hub: HubSpotVendor) -> None:
    ada = hub.add_owner("Ada", "Lovelace")
    acme = hub.add_company("Acme")
    number = hub.add_deal(
        "Acme renewal", company=acme, amount="12000.5", deal_currency_code="USD", dealstage="contractsent",
        closedate="2026-03-31T00:00:00Z", dealtype="existingbusiness", hubspot_owner_id=ada,
        description="<p>wants a <b>discount</b></p>", at=NOON,
    )  # fmt: skip
    hub.edit("deals", number, hs_priority="high", at=NOON + 61_000)
    item = fetch(hub, f"deals/{number}")
    assert item.text == (
        "Deal: Acme renewal\nCompany: Acme\nStage: Contract sent\nPipeline: Sales\nAmount: 12,000.50 USD\n"
        "Close date: 2026-03-31\nType: Existing business\nPriority: High\nOwner: Ada Lovelace\n\n"
        "Description: wants a discount"
    )
    assert (item.id, item.kind, item.title) == (f"deals/{number}", "deal", "Acme renewal")
    assert (item.author, item.container) == ("Ada Lovelace", "Acme")
    assert (item.created_at, item.updated_at) == ("2026-03-08T20:00:00Z", "2026-03-08T20:01:01Z")
    assert item.url == f"https://app-eu1.hubspot.com/contacts/{hub.portal_id}/record/0-3/{number}"
    assert item.raw_ref == f"/crm/v3/objects/deals/{number}"
    assert item.fields["amount"] == "12000.5"


def test_amounts_are_in_the_currency_of_the_account_unless_told_otherwise(hub: HubSpotVendor) -> None:
    hub.currency = "SEK"
    assert "Amount: 7 SEK" in fetch(hub, "deals/" + hub.add_deal("A", amount="7")).text
    assert "Amount: 1,234,567 USD" in fetch(
        hub, "deals/" + hub.add_deal("A", amount="1234567.00", deal_currency_code="USD")
    ).text  # fmt: skip
    for odd in ("NaN", "Infinity", "1e999", "about 5"):
        assert f"Amount: {odd} SEK" in fetch(hub, "deals/" + hub.add_deal("A", amount=odd)).text


def test_stages_of_a_company_of_its_own_keep_their_names(hub: HubSpotVendor) -> None:
    won = hub.add_deal("A", dealstage="99120", hs_is_closed="true", hs_is_closed_won="true", pipeline="88")
    assert "Stage: 99120 (won)\nPipeline: 88" in fetch(hub, f"deals/{won}").text
    ticket = hub.add_ticket("T", hs_pipeline="12", hs_pipeline_stage="1")
    assert "Status: 1\n" in fetch(hub, f"tickets/{ticket}").text + "\n"


def test_people_companies_and_tickets(hub: HubSpotVendor) -> None:
    acme = hub.add_company("Acme", "acme.com", industry="COMPUTER_SOFTWARE", numberofemployees="1200", city="Oslo")
    zoe = hub.add_contact("Zoë", "Ng", email="z@acme.com", jobtitle="CTO", lifecyclestage="marketingqualifiedlead",
                          associatedcompanyid=acme)  # fmt: skip
    named = hub.add_contact("", "", email="x@y.z", company="Globex")
    ticket = hub.add_ticket("Login", "It fails", hs_ticket_priority="HIGH", hs_primary_company_name="Acme")
    assert fetch(hub, f"companies/{acme}").text == (
        "Company: Acme\nDomain: acme.com\nIndustry: Computer software\nEmployees: 1,200\nCity: Oslo"
    )
    assert fetch(hub, f"contacts/{zoe}").text == (
        "Contact: Zoë Ng\nCompany: Acme\nEmail: z@acme.com\nJob title: CTO\nLifecycle stage: Marketing qualified lead"
    )
    assert fetch(hub, f"contacts/{named}").text == "Contact: x@y.z\nCompany: Globex"
    assert fetch(hub, f"tickets/{ticket}").text == (
        "Ticket: Login\nCompany: Acme\nStatus: New\nPriority: High\n\nContent: It fails"
    )


def test_a_note_is_what_it_says_by_who_wrote_it(hub: HubSpotVendor) -> None:
    ada, eve = hub.add_owner("Ada", "Lovelace"), hub.add_owner("Eve", "Gone", left=True)
    html = (
        "<div><p>Call with Acme &amp; Zoë</p><ul><li>wants <a href='https://x.example/d'>the deck</a></li></ul></div>"
    )
    item = fetch(hub, "notes/" + hub.add_note(html, owner=ada))
    assert item.text == "Call with Acme & Zoë\n\n- wants [the deck](https://x.example/d)"
    assert (item.title, item.author) == ("Call with Acme & Zoë", "Ada Lovelace")
    assert fetch(hub, "notes/" + hub.add_note("x", owner=eve)).author == "Eve Gone"
    bare = fetch(hub, "notes/" + hub.add_note("", owner=ada, at=NOON))
    assert (bare.title, bare.text) == ("Note by Ada Lovelace 2026-03-08", "")
    long = fetch(hub, "notes/" + hub.add_note("word " * 100))
    assert len(long.title) <= 120
    assert long.title.endswith("…")


def test_everything_may_be_null_missing_or_of_another_type(hub: HubSpotVendor) -> None:
    broken = [
        {"id": "1"},
        {"id": "2", "properties": None},
        {"id": 3, "properties": dict.fromkeys(("firstname", "email", "createdate"))},
        {"id": "4", "properties": {"firstname": ["a"], "email": {"a": 1}, "lastmodifieddate": "soon"}, "createdAt": 5},
        {"id": "5", "properties": {"firstname": 7, "hubspot_owner_id": 8, "associatedcompanyid": 9}, "extra": {}},
        {"properties": {"hs_object_id": "6"}, "url": "https://evil.example/x"},
        {"id": "7", "url": "https://app.hubspot.com/contacts/1/record/0-1/7", "archived": None, "updatedAt": []},
        {"id": None, "properties": {"firstname": "nobody"}},
        None,
        "text",
    ]
    hub.queue(*[Reply.json({})] * 3, Reply.json({"total": None, "results": broken}))
    stream = changes(hub, objects=("contacts",))
    assert [item.id for item in upserts(stream)] == [f"contacts/{number}" for number in range(1, 8)]
    assert [change.ref for change in stream if hasattr(change, "ref")] == ["contacts/?"] * 3
    assert {item.url for item in upserts(stream)} == {None, "https://app.hubspot.com/contacts/1/record/0-1/7"}


def test_long_ids_odd_letters_and_nul(hub: HubSpotVendor) -> None:
    number = hub.add(
        "contacts",
        {"firstname": "שָׁלוֹם 👩‍💻", "lastname": "a\x00b", "company": "😀" * 3},
        number=9_007_199_254_740_993_001,
    )
    (item,) = upserts(changes(hub, objects=("contacts",)))
    assert item.id == f"contacts/{number}" == "contacts/9007199254740993001"
    assert item.title == "שָׁלוֹם 👩‍💻 ab"
    assert item.container == "😀😀😀"


def test_a_page_of_thirty_megabytes(hub: HubSpotVendor) -> None:
    for _ in range(3):
        hub.add_note("<p>" + "word " * 2_000_000 + "</p>")
    items = upserts(changes(hub, objects=("notes",)))
    assert [len(item.text) for item in items] == [9_999_999] * 3


@pytest.mark.parametrize(("domain", "begin"), [
    ("app.hubspot.com", "https://app.hubspot.com/contacts/"),
    ("app-eu1.hubspot.com", "https://app-eu1.hubspot.com/contacts/"),
    ("app-ap1.hubspot.com", "https://app-ap1.hubspot.com/contacts/"),
    ("x/../evil", "https://app.hubspot.com/contacts/"),
    ("", "https://app.hubspot.com/contacts/"),
])  # fmt: skip
def test_links_lead_to_the_accounts_own_domain(hub: HubSpotVendor, domain: str, begin: str) -> None:
    hub.domain = domain
    assert f"{fetch(hub, 'contacts/' + hub.add_contact('Ada')).url}".startswith(begin)


def test_fetching_what_is_not_there(hub: HubSpotVendor) -> None:
    one, two, three = (hub.add_contact(name) for name in ("Ada", "Bob", "Cyd"))
    hub.merge("contacts", one, two)
    hub.archive("contacts", three)
    for name in (f"contacts/{three}", "contacts/5", "meetings/1", "contacts", "contacts/1/2", "../x", "contacts/１"):
        with pytest.raises(errors.ItemGone):
            fetch(hub, name)
    with pytest.raises(errors.ItemGone, match="merged") as merged:
        fetch(hub, f"contacts/{two}")
    assert f"contacts/{one}" in f"{merged.value.hint}"
