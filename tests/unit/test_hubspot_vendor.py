"""The loopback HubSpot by itself: what the API promises, asked for with plain requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.vendors.hubspot import HubSpotVendor

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = 1_773_000_000_000


class Told(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


@pytest.fixture
def hub() -> Iterator[HubSpotVendor]:
    with HubSpotVendor() as vendor:
        yield vendor


def ask(
    hub: HubSpotVendor, path: str, body: Any = None, *, method: str = "", token: str | None = "", **query: str
) -> Told:
    url = f"{hub.address}{path}" + (f"?{urlencode(query)}" if query else "")
    headers = {} if token is None else {"Authorization": f"Bearer {token or hub.token}"}
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, headers, method=method or None)  # noqa: S310 - loopback
    try:
        with urlopen(request) as answer:  # noqa: S310
            return Told(answer.status, json.loads(answer.read()), dict(answer.headers))
    except HTTPError as error:
        with error:
            raw = error.read()
            told = json.loads(raw) if "json" in (error.headers["Content-Type"] or "") else raw
            return Told(error.code, told, dict(error.headers))


def find(hub: HubSpotVendor, kind: str = "contacts", **body: Any) -> Told:
    return ask(hub, f"/crm/v3/objects/{kind}/search", body)


def where(name: str, operator: str, value: Any = None, **more: Any) -> list[dict[str, Any]]:
    condition = {"propertyName": name, "operator": operator} | more
    return [{"filters": [condition | ({} if value is None else {"value": value})]}]


def names(told: Told) -> list[str]:
    assert told.status == 200, told.body
    return [record["properties"]["firstname"] for record in told.body["results"]]


def test_a_record_has_what_was_asked_for_and_null_where_it_is_empty(hub: HubSpotVendor) -> None:
    number = hub.add_contact("Ada", at=NOON, email="ada@acme.com")
    told = ask(hub, f"/crm/v3/objects/contacts/{number}", properties="email,phone,nonsense").body
    assert told["properties"] == {
        "createdate": "2026-03-08T20:00:00.000Z",
        "email": "ada@acme.com",
        "hs_object_id": number,
        "lastmodifieddate": "2026-03-08T20:00:00.000Z",
        "phone": None,
    }
    assert told["archived"] is False
    assert told["url"].endswith(f"/record/0-1/{number}")
    default = ask(hub, f"/crm/v3/objects/contacts/{number}").body
    assert sorted(default["properties"]) == [
        "createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname",
    ]  # fmt: skip


def test_a_listing_has_pages_in_the_order_of_ids(hub: HubSpotVendor) -> None:
    added = [hub.add_contact(f"P{at}", at=NOON - at) for at in range(5)]
    seen: list[str] = []
    after = ""
    while True:
        told = ask(hub, "/crm/v3/objects/contacts", limit="2", **({"after": after} if after else {})).body
        seen += [record["id"] for record in told["results"]]
        after = told.get("paging", {}).get("next", {}).get("after", "")
        if not after:
            break
    assert seen == added
    assert ask(hub, "/crm/v3/objects/contacts", limit="101").status == 400
    assert len(ask(hub, "/crm/v3/objects/contacts").body["results"]) == 5


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ([], ["Ada", "Bob", "Cyd"]),
        (where("firstname", "EQ", "ada"), ["Ada"]),
        (where("firstname", "NEQ", "ada"), ["Bob", "Cyd"]),
        (where("firstname", "IN", values=["ada", "cyd"]), ["Ada", "Cyd"]),
        (where("firstname", "NOT_IN", values=["ada", "cyd"]), ["Bob"]),
        (where("email", "HAS_PROPERTY"), ["Ada"]),
        (where("email", "NOT_HAS_PROPERTY"), ["Bob", "Cyd"]),
        (where("email", "CONTAINS_TOKEN", "*@acme.com"), ["Ada"]),
        (where("email", "NOT_CONTAINS_TOKEN", "*@acme.com"), ["Bob", "Cyd"]),
        (where("lastmodifieddate", "GT", str(NOON + 1)), ["Cyd"]),
        (where("lastmodifieddate", "GTE", str(NOON + 1)), ["Bob", "Cyd"]),
        (where("lastmodifieddate", "LT", str(NOON + 1)), ["Ada"]),
        (where("lastmodifieddate", "LTE", "2026-03-08T20:00:00.001Z"), ["Ada", "Bob"]),
        (where("lastmodifieddate", "BETWEEN", str(NOON), highValue=str(NOON + 1)), ["Ada", "Bob"]),
        (where("firstname", "GT", "b"), ["Bob", "Cyd"]),
        (where("firstname", "EQ", "ada") + where("firstname", "EQ", "cyd"), ["Ada", "Cyd"]),
        (
            [{"filters": [f for group in (where("lastmodifieddate", "GTE", str(NOON)), where("hs_object_id", "GT", "2"))
                          for f in group[0]["filters"]]}],
            ["Cyd"],
        ),
    ],
)  # fmt: skip
def test_filters(hub: HubSpotVendor, groups: list[Any], found: list[str]) -> None:
    for number, (name, email) in enumerate((("Ada", "ada@acme.com"), ("Bob", None), ("Cyd", None))):
        hub.add("contacts", {"firstname": name, "email": email}, NOON + number, number=number + 1)
    assert names(find(hub, filterGroups=groups, sorts=["hs_object_id"], properties=["firstname"])) == found


def test_the_order_is_the_asked_one_and_null_comes_last(hub: HubSpotVendor) -> None:
    for name, phone in (("Ada", "3"), ("Bob", None), ("Cyd", "1")):
        hub.add_contact(name, phone=phone, at=NOON)
    assert names(find(hub, sorts=["phone"])) == ["Cyd", "Ada", "Bob"]
    assert names(find(hub, sorts=["-createdate"])) == ["Cyd", "Bob", "Ada"]
    assert names(find(hub, sorts=[{"propertyName": "phone", "direction": "DESCENDING"}])) == ["Bob", "Ada", "Cyd"]


def test_text_is_searched_in_the_usual_fields_by_the_begin_of_words(hub: HubSpotVendor) -> None:
    hub.add_contact("Ada", "Lovelace", email="ada@acme.com", jobtitle="countess")
    hub.add_contact("Bob")
    assert names(find(hub, query="love ACME")) == ["Ada"]
    assert names(find(hub, query="countess")) == []
    assert names(find(hub, query="velace")) == []


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"after": "10000"},
        {"after": "x"},
        {"query": "x" * 3_001},
        {"sorts": ["createdate", "email"]},
        {"sorts": ["nonsense"]},
        {"filterGroups": where("hs_lastmodifieddate", "GTE", "1")},
        {"filterGroups": where("lastmodifieddate", "GTE", "yesterday")},
        {"filterGroups": where("lastmodifieddate", "GTE")},
        {"filterGroups": where("email", "LIKE", "x")},
        {"filterGroups": where("email", "HAS_PROPERTY") * 7},
        {"filterGroups": [{"filters": where("email", "HAS_PROPERTY")[0]["filters"] * 7}]},
        {"filterGroups": [{"filters": []}]},
        [],
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_search_is_400(hub: HubSpotVendor, body: Any) -> None:
    hub.add_contact("Ada")
    told = ask(hub, "/crm/v3/objects/contacts/search", body)
    assert told.status == 400
    assert sorted(told.body) == ["category", "correlationId", "message", "status"]


def test_the_window_of_ten_thousand(hub: HubSpotVendor) -> None:
    for number in range(10_300):
        hub.add_contact("P", at=NOON + number)
    last = find(hub, limit=200, after="9800")
    assert (last.body["total"], len(last.body["results"])) == (10_300, 200)
    assert find(hub, limit=200, after=last.body["paging"]["next"]["after"]).status == 400


def test_offsets_shift_when_records_change_while_they_are_paged(hub: HubSpotVendor) -> None:
    added = [hub.add_contact(f"P{number}", at=NOON + number) for number in range(4)]
    body: dict[str, Any] = {"sorts": ["lastmodifieddate"], "limit": 2}
    first = find(hub, **body).body
    hub.edit("contacts", added[0], phone="1")
    second = find(hub, **body, after=first["paging"]["next"]["after"]).body
    seen = [record["id"] for page in (first, second) for record in page["results"]]
    assert added[2] not in seen


def test_archived_records_are_in_the_bin_alone(hub: HubSpotVendor) -> None:
    number = hub.add_contact("Ada", at=NOON)
    hub.archive("contacts", number, at=NOON + 5)
    assert find(hub).body["total"] == 0
    assert ask(hub, f"/crm/v3/objects/contacts/{number}").status == 404
    assert ask(hub, "/crm/v3/objects/contacts").body["results"] == []
    (told,) = ask(hub, "/crm/v3/objects/contacts", archived="true").body["results"]
    assert (told["id"], told["archivedAt"]) == (number, "2026-03-08T20:00:00.005Z")
    hub.restore("contacts", number)
    assert find(hub).body["total"] == 1


def test_a_merge_leaves_one_record(hub: HubSpotVendor) -> None:
    one, two, three = (hub.add_contact(name, at=NOON) for name in ("Ada", "Bob", "Cyd"))
    hub.merge("contacts", two, three)
    hub.merge("contacts", one, two)
    for number in (two, three):
        told = ask(hub, f"/crm/v3/objects/contacts/{number}", properties="hs_merged_object_ids").body
        assert told["id"] == one
        assert told["properties"]["hs_merged_object_ids"] == f"{two};{three}"
    assert [record["id"] for record in find(hub).body["results"]] == [one]
    assert ask(hub, "/crm/v3/objects/contacts", archived="true").body["results"] == []


def test_the_index_may_lag_while_listings_do_not(hub: HubSpotVendor) -> None:
    number = hub.add_contact("Ada")
    hub.lagging = True
    hub.edit("contacts", number, firstname="Augusta")
    hub.add_contact("Bob")
    assert names(find(hub)) == ["Ada"]
    assert len(ask(hub, "/crm/v3/objects/contacts").body["results"]) == 2
    hub.catch_up()
    assert sorted(names(find(hub))) == ["Augusta", "Bob"]


def test_history_keeps_what_a_property_was(hub: HubSpotVendor) -> None:
    number = hub.add_deal("Acme", at=NOON)
    hub.edit("deals", number, dealstage="closedwon", at=NOON + 1_000)
    told = ask(hub, f"/crm/v3/objects/deals/{number}", propertiesWithHistory="dealstage,dealname").body
    (changed,) = told["propertiesWithHistory"]["dealstage"]
    assert (changed["value"], changed["timestamp"]) == ("closedwon", "2026-03-08T20:00:01.000Z")
    assert told["propertiesWithHistory"]["dealname"][0]["value"] == "Acme"
    assert ask(hub, "/crm/v3/objects/deals", propertiesWithHistory="dealstage", limit="51").status == 400


def test_associations_come_with_listings_and_not_with_searches(hub: HubSpotVendor) -> None:
    acme = hub.add_company("Acme")
    hub.add_deal("Renewal", company=acme)
    (listed,) = ask(hub, "/crm/v3/objects/deals", associations="companies").body["results"]
    assert listed["associations"]["companies"]["results"] == [{"id": acme, "type": "deal_to_company"}]
    assert "associations" not in find(hub, "deals").body["results"][0]


def test_owners_have_pages_and_those_who_left_are_apart(hub: HubSpotVendor) -> None:
    here = [hub.add_owner(name) for name in ("Ada", "Bob", "Cyd")]
    left = hub.add_owner("Eve", left=True)
    first = ask(hub, "/crm/v3/owners", limit="2").body
    second = ask(hub, "/crm/v3/owners", limit="2", after=first["paging"]["next"]["after"]).body
    assert [owner["id"] for page in (first, second) for owner in page["results"]] == here
    assert "paging" not in second
    assert [owner["id"] for owner in ask(hub, "/crm/v3/owners", archived="true").body["results"]] == [left]
    assert ask(hub, f"/crm/v3/owners/{here[0]}").body["firstName"] == "Ada"
    assert ask(hub, "/crm/v3/owners/1").status == 404


def test_the_account_tells_its_domain(hub: HubSpotVendor) -> None:
    assert ask(hub, "/account-info/v3/details").body["uiDomain"] == "app-eu1.hubspot.com"
    hub.domain = "app.hubspot.com"
    assert ask(hub, "/account-info/v3/details").body["uiDomain"] == "app.hubspot.com"
    assert ask(hub, "/account-info/v3/api-usage/daily/private-apps").body["results"][0]["currentUsage"] == 3


@pytest.mark.parametrize(
    ("token", "status", "category"),
    [(None, 401, "INVALID_AUTHENTICATION"), ("pat-na1-other", 401, "INVALID_AUTHENTICATION"), ("garbage", 530, None)],
)
def test_who_does_not_prove_who_they_are_is_refused(
    hub: HubSpotVendor, token: str | None, status: int, category: str | None
) -> None:
    told = ask(hub, "/crm/v3/objects/contacts", token=token)
    assert told.status == status
    if category:
        assert told.body["category"] == category


def test_an_expired_token_a_missing_scope_and_the_retired_key(hub: HubSpotVendor) -> None:
    hub.scopes.remove("tickets")
    told = find(hub, "tickets")
    assert (told.status, told.body["category"]) == (403, "MISSING_SCOPES")
    assert told.body["errors"][0]["context"]["requiredGranularScopes"] == ["tickets"]
    assert find(hub, "deals").status == 200
    hub.expired = True
    assert find(hub, "deals").body["category"] == "EXPIRED_AUTHENTICATION"
    assert not hub.violations
    assert ask(hub, "/crm/v3/objects/contacts", hapikey="x").status == 401
    assert hub.violations


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/crm/v3/objects/contacts"),
        ("PATCH", "/crm/v3/objects/contacts/1"),
        ("DELETE", "/crm/v3/objects/contacts/1"),
        ("POST", "/crm/v3/objects/contacts/merge"),
        ("POST", "/crm/v3/objects/contacts/batch/archive"),
    ],
)
def test_writes_are_refused_and_noted(hub: HubSpotVendor, method: str, path: str) -> None:
    hub.add("contacts", {"firstname": "Ada"}, number=1)
    assert ask(hub, path, {}, method=method).status == 403
    assert hub.violations
    assert list(hub.rows["contacts"]) == [1]


def test_limits(hub: HubSpotVendor) -> None:
    hub.searches = Limited(2, 60.0, say=False)
    assert [find(hub).status for _ in range(3)] == [200, 200, 429]
    told = find(hub)
    assert told.body["policyName"] == "SECONDLY"
    assert "Retry-After" not in told.headers
    assert ask(hub, "/crm/v3/objects/contacts").status == 200
    hub.limit = Limited(0, 10.0)
    told = ask(hub, "/crm/v3/objects/contacts")
    assert (told.status, told.body["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
    assert int(told.headers["Retry-After"]) >= 1


def test_the_quota_of_a_day(hub: HubSpotVendor) -> None:
    hub.daily = 1
    assert [ask(hub, "/crm/v3/owners").status for _ in range(2)] == [200, 429]
    assert ask(hub, "/crm/v3/owners").body["policyName"] == "DAILY"


def test_its_clock_is_its_own(hub: HubSpotVendor) -> None:
    hub.skew = 86_400.0
    number = hub.add_contact("Ada")
    told = ask(hub, f"/crm/v3/objects/contacts/{number}")
    from email.utils import parsedate_to_datetime

    assert (
        abs(parsedate_to_datetime(told.headers["Date"]).timestamp() * 1000 - hub.rows["contacts"][int(number)].created)
        < 5_000
    )


def test_ids_of_nineteen_digits_are_compared_exactly(hub: HubSpotVendor) -> None:
    first = 9_007_199_254_740_993_001
    for number in range(3):
        hub.add("contacts", {"firstname": f"P{number}"}, number=first + number)
    assert names(find(hub, filterGroups=where("hs_object_id", "GT", str(first)), sorts=["hs_object_id"])) == [
        "P1",
        "P2",
    ]
