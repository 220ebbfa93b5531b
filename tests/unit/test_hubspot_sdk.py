"""HubSpot's own SDK reads the loopback vendor and sees what our connector sees: neither is made for the other."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.testing.vendors.hubspot import HubSpotVendor
from tests.hubspot_reading import applied, changes, search, upserts

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("contacts", "companies", "deals", "tickets", "notes")


@pytest.fixture
def hub() -> Iterator[HubSpotVendor]:
    with HubSpotVendor() as vendor:
        ada = vendor.add_owner("Ada", "Lovelace")
        for number in range(230):
            vendor.add_contact(f"P{number}", "Person", email=f"p{number}@acme.com", at=1_700_000_000_000 + number)
        acme = vendor.add_company("Acme", "acme.com")
        vendor.add_company("Globex")
        vendor.add_deal("Acme renewal", company=acme, amount="12000", hubspot_owner_id=ada)
        vendor.add_ticket("Login fails", "cannot log in")
        vendor.add_note("<p>wants a <b>discount</b></p>", owner=ada)
        vendor.archive("companies", vendor.add_company("Initech"))
        yield vendor


@pytest.fixture
def sdk(hub: HubSpotVendor) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's own
        yield part("hubspot").HubSpot(access_token=hub.token, host=hub.address)


def part(name: str) -> Any:
    """A module of the SDK, which has no types."""
    return import_module(name)


def everything(sdk: Any, kind: str) -> list[Any]:
    """All records of a kind; notes are objects among others, which the SDK pages in the same way."""
    if kind == "notes":
        found: list[Any] = part("hubspot.utils.objects").fetch_all(sdk.crm.objects.notes.basic_api)
    else:
        found = getattr(sdk.crm, kind).get_all()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_sdk_lists_the_records_that_we_read(hub: HubSpotVendor, sdk: Any, kind: str) -> None:
    ours = {name for name in applied(changes(hub)) if name.startswith(f"{kind}/")}
    theirs = [f"{kind}/{record.id}" for record in everything(sdk, kind)]
    assert len(theirs) == len(set(theirs)) > 0
    assert set(theirs) == ours


def test_the_sdk_reads_the_same_values(hub: HubSpotVendor, sdk: Any) -> None:
    ours = {item.id: item for item in upserts(changes(hub, objects=("contacts",)))}
    for record in sdk.crm.contacts.get_all(properties=["email", "firstname", "lastname", "phone"]):
        item = ours[f"contacts/{record.id}"]
        assert item.title == f"{record.properties['firstname']} {record.properties['lastname']}"
        assert item.fields["email"] == record.properties["email"]
        assert record.properties["phone"] is None
        assert item.updated_at == record.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_the_sdk_finds_the_same(hub: HubSpotVendor, sdk: Any) -> None:
    request = part("hubspot.crm.deals").PublicObjectSearchRequest(
        query="renewal", limit=10, after="0", sorts=[], properties=["dealname"], filter_groups=[]
    )
    theirs = sdk.crm.deals.search_api.do_search(public_object_search_request=request)
    assert theirs.total == 1
    assert [f"deals/{record.id}" for record in theirs.results] == [item.id for item in search(hub, "renewal").items]


def test_the_sdk_pages_through_a_search_by_offsets(hub: HubSpotVendor, sdk: Any) -> None:
    contacts = part("hubspot.crm.contacts")
    seen: list[str] = []
    after: str | None = "0"
    while after is not None:
        modified = contacts.Filter(property_name="lastmodifieddate", operator="GTE", value="1700000000000")
        request = contacts.PublicObjectSearchRequest(
            limit=100,
            after=after,
            sorts=["lastmodifieddate"],
            properties=["email"],
            filter_groups=[contacts.FilterGroup(filters=[modified])],
        )
        page = sdk.crm.contacts.search_api.do_search(public_object_search_request=request)
        seen += [f"contacts/{record.id}" for record in page.results]
        after = page.paging.next.after if page.paging is not None else None
    assert seen == [item.id for item in upserts(changes(hub, objects=("contacts",)))]


def test_the_sdk_reads_the_bin_and_the_owners(hub: HubSpotVendor, sdk: Any) -> None:
    assert [record.properties["name"] for record in sdk.crm.companies.get_all(archived=True)] == ["Initech"]
    owners = sdk.crm.owners.get_all()
    assert [(owner.first_name, owner.last_name) for owner in owners] == [("Ada", "Lovelace")]
    deal = next(item for item in upserts(changes(hub)) if item.kind == "deal")
    assert deal.author == "Ada Lovelace"


def test_the_sdk_is_refused_writes(hub: HubSpotVendor, sdk: Any) -> None:
    contacts = part("hubspot.crm.contacts")
    person = contacts.SimplePublicObjectInputForCreate(properties={"email": "x@y.z"})
    with pytest.raises(contacts.ApiException) as refused:
        sdk.crm.contacts.basic_api.create(simple_public_object_input_for_create=person)
    assert refused.value.status == 403
    assert hub.violations
    assert len(hub.rows["contacts"]) == 230
