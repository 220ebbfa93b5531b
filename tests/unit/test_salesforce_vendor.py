"""The double of Salesforce, asked by hand: as the REST API Developer Guide says, whatever our client makes of it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import pytest

from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.vendors.salesforce import SalesforceVendor
from sophiactl.testing.vendors.salesforce_org import checksum
from tests.salesforce_runs import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = "/services/data/v63.0"


@pytest.fixture
def salesforce() -> Iterator[SalesforceVendor]:
    with SalesforceVendor() as vendor:
        vendor.now = Clock()
        yield vendor


class Said:
    """An answer."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        found: str = self.json()[0]["errorCode"]
        return found


def ask(vendor: SalesforceVendor, path: str, *, token: str | None = "", method: str = "GET", body: Any = None) -> Said:
    headers = {} if token is None else {"Authorization": f"Bearer {token or vendor.oauth_token}"}
    data = None
    if isinstance(body, dict):
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    elif body is not None:
        data, headers["Content-Type"] = body.encode(), "application/x-www-form-urlencoded"
    request = Request(vendor.base_url + path, data=data, headers=headers, method=method)  # noqa: S310 - loopback
    try:
        with urlopen(request) as answer:  # noqa: S310
            return Said(answer.status, answer.headers, answer.read())
    except HTTPError as error:
        with error:
            return Said(error.code, error.headers, error.read())


def query(vendor: SalesforceVendor, soql: str, *, everything: bool = False) -> Said:
    return ask(vendor, f"{DATA}/{'queryAll' if everything else 'query'}?{urlencode({'q': soql})}")


def ids(said: Said) -> list[str]:
    return [record["Id"] for record in said.json()["records"]]


def log_in(vendor: SalesforceVendor, **form: str) -> Said:
    pair = {"client_id": vendor.client_id, "client_secret": vendor.client_secret, "grant_type": "client_credentials"}
    return ask(vendor, "/services/oauth2/token", token=None, method="POST", body=urlencode({**pair, **form}))


@pytest.mark.parametrize("real", ["001dM00003jU9GxQAK", "005dM00000awSFJQA2", "00DdM00000vfgTuUAI"])
def test_ids_have_the_checksum_of_real_ones(real: str) -> None:
    assert checksum(real[:15]) == real


def test_a_login_gives_a_session(salesforce: SalesforceVendor) -> None:
    answer = log_in(salesforce).json()
    assert answer["token_type"] == "Bearer"  # noqa: S105
    assert answer["instance_url"] == salesforce.base_url
    assert ask(salesforce, DATA, token=answer["access_token"]).json()["identity"] == answer["id"]


@pytest.mark.parametrize(
    ("form", "error", "description"),
    [
        ({"client_secret": "x"}, "invalid_client", "invalid client credentials"),
        ({"client_id": "x"}, "invalid_client_id", "client identifier invalid"),
        ({"grant_type": "password"}, "unsupported_grant_type", "grant type not supported"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant", "expired access/refresh token"),
    ],
)
def test_a_login_that_is_refused(
    salesforce: SalesforceVendor, form: dict[str, str], error: str, description: str
) -> None:
    said = log_in(salesforce, **form)
    assert said.status == 400
    assert said.json() == {"error": error, "error_description": description}


def test_a_login_without_a_user_to_run_as(salesforce: SalesforceVendor) -> None:
    salesforce.run_as = False
    assert log_in(salesforce).json()["error_description"] == "no client credentials user enabled"


def test_versions_are_told_to_everyone_and_nothing_else_is(salesforce: SalesforceVendor) -> None:
    assert {"label": "Spring '25", "url": DATA, "version": "63.0"} in ask(
        salesforce, "/services/data", token=None
    ).json()
    for path in (DATA, f"{DATA}/limits", f"{DATA}/query?q=SELECT+Id+FROM+Account"):
        said = ask(salesforce, path, token=None)
        assert (said.status, said.code) == (401, "INVALID_SESSION_ID")
    refused = ask(salesforce, "/services/oauth2/userinfo", token="x")  # noqa: S106
    assert (refused.status, refused.body) == (403, b"Bad_OAuth_Token")


def test_who_the_token_speaks_for(salesforce: SalesforceVendor) -> None:
    found = ask(salesforce, "/services/oauth2/userinfo").json()
    assert found["organization_id"] == salesforce.organization
    assert found["user_id"] == salesforce.api_user


@pytest.mark.parametrize(
    "path",
    ["/services/data/v99.0", f"{DATA}/nothing", f"{DATA}/sobjects/Account", f"{DATA}/sobjects/Account/001000000000000"],
)
def test_what_is_not_there(salesforce: SalesforceVendor, path: str) -> None:
    said = ask(salesforce, path)
    assert (said.status, said.code) == (404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
def test_writes_are_refused_and_noted(salesforce: SalesforceVendor, method: str) -> None:
    acme = salesforce.add("Account", Name="Acme")
    said = ask(salesforce, f"{DATA}/sobjects/Account/{acme}", method=method, body={"Name": "Other"})
    assert (said.status, said.code) == (405, "METHOD_NOT_ALLOWED")
    assert salesforce.rows["Account"][acme]["Name"] == "Acme"
    assert len(salesforce.violations) == 1


def test_fields_relations_and_nulls_of_a_record(salesforce: SalesforceVendor) -> None:
    acme = salesforce.add("Account", Name="Acme", Owner="Ada Lovelace")
    deal = salesforce.add("Opportunity", Name="Renewal", Account=acme)
    lone = salesforce.add("Opportunity", Name="Alone")
    soql = "SELECT Id, name, Amount, Account.Name, Account.Owner.Name, CreatedDate FROM opportunity ORDER BY Name DESC"
    first, second = query(salesforce, soql).json()["records"]
    assert first["attributes"] == {"type": "Opportunity", "url": f"{DATA}/sobjects/Opportunity/{deal}"}
    assert first["Name"] == "Renewal"
    assert first["Amount"] is None
    assert first["Account"]["attributes"]["type"] == "Account"
    assert first["Account"]["Owner"]["Name"] == "Ada Lovelace"
    assert first["CreatedDate"] == "2026-03-01T09:00:00.000+0000"
    assert second["Id"] == lone
    assert second["Account"] is None


def test_what_a_task_is_about_may_be_of_any_kind(salesforce: SalesforceVendor) -> None:
    acme = salesforce.add("Account", Name="Acme")
    deal = salesforce.add("Opportunity", Name="Renewal", Account=acme)
    salesforce.add("Task", Subject="Call", What=deal)
    (found,) = query(salesforce, "SELECT What.Name, Account.Name, Who.Name FROM Task").json()["records"]
    assert found["What"]["attributes"]["type"] == "Opportunity"
    assert (found["What"]["Name"], found["Account"]["Name"], found["Who"]) == ("Renewal", "Acme", None)


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("Name = 'acme'", "a"),
        ("Name != 'Acme'", "bc"),
        ("Name LIKE '%c%'", "ab"),
        ("Name LIKE 'B_rc'", "b"),
        (r"Name LIKE '100\%'", "c"),
        ("Name IN ('Acme','100%')", "ac"),
        ("Name NOT IN ('Acme','100%')", "b"),
        ("Industry = null", "bc"),
        ("Industry != NULL", "a"),
        ("NumberOfEmployees > 5", "b"),
        ("NumberOfEmployees >= 5 AND NumberOfEmployees < 9", "a"),
        ("(Name = 'Acme' OR Name = 'Birc') AND NumberOfEmployees = 9", "b"),
        ("NOT Name = 'Acme'", "bc"),
        ("SystemModstamp > 2026-03-01T09:00:00Z", "bc"),
        ("SystemModstamp >= 2026-03-01T10:00:00+01:00", "abc"),
        ("IsDeleted = false", "abc"),
        ("Owner.Name = 'Ada'", "b"),
        ("Id > '001000000000000'", "abc"),
    ],
)
def test_conditions(salesforce: SalesforceVendor, where: str, names: str) -> None:
    clock = salesforce.now
    assert isinstance(clock, Clock)
    salesforce.add("Account", Name="Acme", Industry="Energy", NumberOfEmployees=5)
    clock.pass_by(seconds=1)
    salesforce.add("Account", Name="Birc", NumberOfEmployees=9, Owner="Ada")
    salesforce.add("Account", Name="100%")
    short = {"Acme": "a", "Birc": "b", "100%": "c"}
    found = query(salesforce, f"SELECT Name FROM Account WHERE {where}").json()  # noqa: S608
    assert sorted(short[record["Name"]] for record in found["records"]) == sorted(names)
    assert found["totalSize"] == len(names)


@pytest.mark.parametrize(
    ("soql", "code", "words"),
    [
        ("SELECT Id, Nothing FROM Account", "INVALID_FIELD", "No such column 'Nothing' on entity 'Account'"),
        ("SELECT Id, Owner.Nothing FROM Account", "INVALID_FIELD", "No such column 'Nothing' on entity 'User'"),
        ("SELECT Id, Boss.Name FROM Account", "INVALID_FIELD", "Didn't understand relationship 'Boss'"),
        ("SELECT Id, Id FROM Account", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD", "can not be filtered"),
        (
            "SELECT Id FROM Account WHERE CreatedDate > '2026-01-01T00:00:00Z'",
            "INVALID_FIELD",
            "not be enclosed in quotes",
        ),
        ("SELECT Id FROM Account WHERE CreatedDate > 5", "INVALID_FIELD", "must be of type dateTime"),
        ("SELECT Id FROM Account WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: x"),
        ("SELECT Id FROM Account WHERE Name = acme", "MALFORMED_QUERY", "Bind variables"),
        ("SELECT Id FROM Nothing__c", "INVALID_TYPE", "sObject type 'Nothing__c' is not supported"),
        ("SELECT Id FROM User WHERE IsDeleted = true", "INVALID_FIELD", "No such column 'IsDeleted'"),
        ("SELECT Id FORM Account", "MALFORMED_QUERY", "unexpected token: 'FORM'"),
    ],
)
def test_refusals_are_lists(salesforce: SalesforceVendor, soql: str, code: str, words: str) -> None:
    said = query(salesforce, soql)
    assert (said.status, said.code) == (400, code)
    assert words in said.json()[0]["message"]


def test_pages_follow_a_cursor_to_the_end(salesforce: SalesforceVendor) -> None:
    made = [salesforce.add("Account", Name=f"{number:04}") for number in range(450)]
    salesforce.page_size = 200
    page = query(salesforce, "SELECT Id FROM Account ORDER BY Name")
    found, pages = ids(page), 1
    while not page.json()["done"]:
        assert re.fullmatch(rf"{DATA}/query/[A-Za-z0-9]{{18}}-\d+", page.json()["nextRecordsUrl"])
        page = ask(salesforce, page.json()["nextRecordsUrl"])
        found += ids(page)
        pages += 1
    assert (found, pages) == (made, 3)
    assert "nextRecordsUrl" not in page.json()


def test_a_page_holds_what_its_rows_are_now(salesforce: SalesforceVendor) -> None:
    made = [salesforce.add("Account", Name=f"{number:04}") for number in range(4)]
    salesforce.page_size = 2
    page = query(salesforce, "SELECT Id, Name FROM Account ORDER BY Name").json()
    salesforce.edit(made[2], Name="other")
    salesforce.delete(made[3])
    records = ask(salesforce, page["nextRecordsUrl"]).json()["records"]
    assert [(record["Id"], record["Name"]) for record in records] == [(made[2], "other")]


def test_cursors_end_in_three_ways(salesforce: SalesforceVendor) -> None:
    for number in range(3):
        salesforce.add("Account", Name=str(number))
    salesforce.page_size = 1
    paths = [query(salesforce, "SELECT Id FROM Account").json()["nextRecordsUrl"] for _ in range(12)]
    assert ask(salesforce, paths[0]).code == "INVALID_QUERY_LOCATOR"
    assert ask(salesforce, paths[-1]).status == 200
    other = log_in(salesforce).json()["access_token"]
    assert ask(salesforce, paths[-1], token=other).code == "INVALID_SESSION_ID"
    salesforce.expire_cursors()
    assert ask(salesforce, paths[-1]).code == "INVALID_QUERY_LOCATOR"


def test_the_recycle_bin_is_seen_by_query_all_alone(salesforce: SalesforceVendor) -> None:
    clock = salesforce.now
    assert isinstance(clock, Clock)
    kept, gone, purged = (salesforce.add("Account", Name=name) for name in "abc")
    clock.pass_by(minutes=5)
    salesforce.delete(gone)
    salesforce.purge(purged)
    assert ids(query(salesforce, "SELECT Id FROM Account")) == [kept]
    deleted = "SELECT Id FROM Account WHERE IsDeleted = true AND SystemModstamp >= 2026-03-01T09:05:00Z"
    assert ids(query(salesforce, deleted, everything=True)) == [gone]
    assert ids(query(salesforce, "SELECT Id FROM Account WHERE IsDeleted = true")) == []
    salesforce.undelete(gone)
    assert ids(query(salesforce, "SELECT Id FROM Account")) == [kept, gone]


def test_one_record(salesforce: SalesforceVendor) -> None:
    acme = salesforce.add("Account", Name="Acme")
    found = ask(salesforce, f"{DATA}/sobjects/Account/{acme[:15]}?fields=Name,Owner.Name").json()
    assert (found["Name"], found["Owner"]["Name"]) == ("Acme", "Integration User")
    salesforce.delete(acme)
    assert ask(salesforce, f"{DATA}/sobjects/Account/{acme}").code == "ENTITY_IS_DELETED"


def test_searches(salesforce: SalesforceVendor) -> None:
    acme = salesforce.add("Account", Name="Acme Machines", Description="makes rockets")
    deal = salesforce.add("Opportunity", Name="Rockets for Acme")
    salesforce.add("Account", Name="Other")
    path = f"{DATA}/parameterizedSearch"
    by_get = ask(salesforce, f"{path}?q=acme+rockets&sobject=Opportunity,Account&Account.fields=Id,Name").json()
    assert [record["Id"] for record in by_get["searchRecords"]] == [deal, acme]
    body = {"q": "ACME rocket*", "sobjects": [{"name": "Account", "fields": ["Id", "Owner.Name"], "limit": 5}]}
    by_post = ask(salesforce, path, method="POST", body=body).json()
    assert [record["Id"] for record in by_post["searchRecords"]] == [acme]
    assert "Name" not in by_post["searchRecords"][0]
    sosl = quote(r"FIND {acme\-machines} IN ALL FIELDS RETURNING Account(Id, Name), Contact(Id) LIMIT 5")
    by_sosl = ask(salesforce, f"{DATA}/search?q={sosl}").json()
    assert [record["Name"] for record in by_sosl["searchRecords"]] == ["Acme Machines"]
    assert not salesforce.violations


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"q": "a"}, "MALFORMED_SEARCH"),
        ({"q": "?!"}, "MALFORMED_SEARCH"),
        ({"q": "acme", "sobjects": [{"name": "Nothing"}]}, "INVALID_TYPE"),
        ({"q": "acme", "sobjects": [{"name": "Account", "fields": ["Nothing"]}]}, "INVALID_FIELD"),
    ],
)
def test_searches_that_are_refused(salesforce: SalesforceVendor, body: dict[str, Any], code: str) -> None:
    said = ask(salesforce, f"{DATA}/parameterizedSearch", method="POST", body=body)
    assert (said.status, said.code) == (400, code)


def test_every_answer_tells_the_calls_of_the_day_and_the_last_one_is_refused(salesforce: SalesforceVendor) -> None:
    salesforce.daily_limit = 2
    used = [ask(salesforce, f"{DATA}/limits").headers["Sforce-Limit-Info"] for _ in range(2)]
    assert used == ["api-usage=1/2", "api-usage=2/2"]
    said = ask(salesforce, f"{DATA}/limits")
    assert (said.status, said.code) == (403, "REQUEST_LIMIT_EXCEEDED")


def test_too_many_at_a_time_is_another_refusal(salesforce: SalesforceVendor) -> None:
    salesforce.limit = Limited(1, 60.0)
    ask(salesforce, DATA)
    said = ask(salesforce, DATA)
    assert said.status == 403
    assert said.json()[0]["message"].startswith("ConcurrentRequests")
    assert int(said.headers["Retry-After"]) >= 1


def test_a_session_ends_after_its_calls_or_when_told(salesforce: SalesforceVendor) -> None:
    salesforce.session_calls = 1
    assert ask(salesforce, DATA).status == 200
    assert ask(salesforce, DATA).code == "INVALID_SESSION_ID"
    token = log_in(salesforce).json()["access_token"]
    salesforce.expire_sessions()
    assert ask(salesforce, DATA, token=token).code == "INVALID_SESSION_ID"


def test_a_field_or_an_object_may_be_withdrawn(salesforce: SalesforceVendor) -> None:
    salesforce.withdraw("Account", "Industry")
    assert query(salesforce, "SELECT Industry FROM Account").code == "INVALID_FIELD"
    salesforce.withdraw("Account")
    assert query(salesforce, "SELECT Id FROM Account").code == "INVALID_TYPE"


def test_objects_and_relations_of_ones_own(salesforce: SalesforceVendor) -> None:
    salesforce.define("Invoice__c", "a01", {"Name": "string", "Payer__c": "Account"})
    acme = salesforce.add("Account", Name="Acme")
    invoice = salesforce.add("Invoice__c", Name="INV-1", Payer__r=acme)
    assert invoice.startswith("a01")
    (found,) = query(salesforce, "SELECT Payer__r.Name FROM Invoice__c").json()["records"]
    assert found["Payer__r"]["Name"] == "Acme"
    with pytest.raises(ValueError, match="no field"):
        salesforce.add("Invoice__c", Nonsense="x")


def test_more_than_one_currency(salesforce: SalesforceVendor) -> None:
    assert query(salesforce, "SELECT CurrencyIsoCode FROM Opportunity").code == "INVALID_FIELD"
    salesforce.currencies()
    salesforce.add("Opportunity", Name="x", CurrencyIsoCode="EUR")
    assert query(salesforce, "SELECT CurrencyIsoCode FROM Opportunity").json()["records"][0]["CurrencyIsoCode"] == "EUR"
