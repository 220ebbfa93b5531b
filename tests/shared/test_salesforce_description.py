"""Requests to Salesforce against its API description, and our double's answers too; recorded answers are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from sophiactl.connectors.config import ConnectorsConfig
from sophiactl.connectors.errors import ServiceError
from sophiactl.testing.vendors.salesforce import SalesforceVendor
from sophiactl.testing.web_server import Reply
from tests.api_descriptions import checker, writes
from tests.salesforce_runs import (
    Clock,
    changes,
    cost,
    fetch,
    last,
    ping,
    reconciled,
    removed,
    search,
    session_only,
    skipped,
)
from tests.salesforce_runs import given as items

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sophiactl.testing.web_server import Seen

SCHEMA = {
    r"/services/data/v63\.0/query(All)?(/.*)?": "QueryResult",
    r"/services/data/v63\.0/parameterizedSearch": "SearchResult",
    r"/services/data/v63\.0/limits": "Limits",
}


class _Recorded(SalesforceVendor):
    """Keeps what it answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[Seen, Reply]] = []

    def answer(self, seen: Seen) -> Reply:
        reply = super().answer(seen)
        self.answers.append((seen, reply))
        return reply


@pytest.fixture
def salesforce(shared: Path) -> Iterator[_Recorded]:
    with _Recorded() as vendor:
        vendor.check = checker(shared, "salesforce")
        vendor.now = Clock()
        yield vendor
        assert not vendor.violations
        assert not [seen for seen in vendor.requests if writes(seen)]


@pytest.fixture
def description(shared: Path) -> Any:
    return msgspec.json.decode((shared / "api-specs" / "salesforce.json").read_bytes())


def filled(vendor: SalesforceVendor) -> list[str]:
    vendor.page_size = 5
    made = []
    for number in range(12):
        acme = vendor.add("Account", Name=f"Acme {number}", Industry="Energy", Owner="Ada Lovelace")
        deal = vendor.add("Opportunity", Name=f"Deal {number}", Amount=5.0 * number, Account=acme)
        made += [acme, deal, vendor.add("Case", Subject="It burns", Account=acme), vendor.add("Task", What=deal)]
    return made


def everything(vendor: SalesforceVendor) -> None:
    made = filled(vendor)
    ping(vendor)
    search(vendor, "acme {x} ?*")
    first = changes(vendor, page_size=500)
    assert len(items(first)) == len(made)
    vendor.delete(made[0])
    vendor.withdraw("Account", "Industry")
    vendor.withdraw("Task")
    vendor.session_calls = 4
    second = changes(vendor, last(first))
    assert removed(second) == [made[0]]
    assert [one.ref for one in skipped(second)] == ["Account.Industry", "Task"]
    assert removed(reconciled(vendor, made[:40])) == [made[0]]
    fetch(vendor, made[1])
    cost(vendor, "2026-01-01")
    search(vendor, "acme")


def test_every_request_is_one_that_the_description_knows(salesforce: _Recorded) -> None:
    everything(salesforce)
    paths = {re.sub(r"/query/.*", "/query/LOCATOR", seen.path) for seen in salesforce.requests}
    assert paths == {
        "/services/oauth2/token",
        *(
            f"/services/data/v63.0{rest}"
            for rest in ("", "/query", "/query/LOCATOR", "/queryAll", "/parameterizedSearch")
        ),
    }


def test_every_answer_of_the_double_is_one_that_the_description_knows(salesforce: _Recorded, description: Any) -> None:
    everything(salesforce)
    schemas = {"$ref": "", "components": description["components"]}
    checked = 0
    for seen, reply in salesforce.answers:
        value = msgspec.json.decode(reply.body)
        name = "ErrorList" if reply.status >= 400 else None
        name = name or next((name for path, name in SCHEMA.items() if re.fullmatch(path, seen.path)), None)
        if name is None:
            continue
        schema = {**schemas, "$ref": f"#/components/schemas/{name}"}
        assert not [error.message for error in Draft202012Validator(schema).iter_errors(value)]
        checked += 1
    assert checked > 40


def _example(description: Any, path: str, method: str = "get", status: str = "200") -> Any:
    content = description["paths"][path][method]["responses"][status]["content"]
    return next(iter(content.values()))["example"]


def test_recorded_answers_are_read(salesforce: _Recorded, description: Any) -> None:
    query = Reply.json(_example(description, "/services/data/{version}/query"))
    salesforce.queue("ok", query, query)
    found = changes(salesforce, objects={"Account": ("Name",)})
    assert [item.title for item in items(found)] == [
        *("Edge Communications", "Burlington Textiles Corp of America", "Pyramid Construction Inc."),
        *("Dickenson plc", "Grand Hotels & Resorts Ltd"),
    ]
    assert items(found)[0].url == f"{salesforce.base_url}/lightning/r/Account/001dM00003jU9GxQAK/view"
    searched = Reply.json(_example(description, "/services/data/{version}/parameterizedSearch", "post"))
    salesforce.queue("ok", searched)
    assert [item.id for item in search(salesforce, "edge").items] == ["001dM00003jU9GxQAK"]


def test_the_recorded_login_and_identity_are_read(salesforce: _Recorded, description: Any) -> None:
    token = _example(description, "/services/oauth2/token", "post")
    resources = Reply.json(_example(description, "/services/data/{version}"))
    userinfo = Reply.json(_example(description, "/services/oauth2/userinfo"))
    salesforce._sessions[token["access_token"]] = 0
    salesforce.queue(Reply.json(token), resources)
    assert ping(salesforce).workspace == "00Dxx"
    salesforce.queue("ok", Reply.json({}), userinfo)
    identity = ping(salesforce)
    assert (identity.workspace, identity.user) == ("00DdM00000vfgTuUAI", "005dM00000awSFJQA2")


@pytest.mark.parametrize(
    ("status", "code"), [("401", "key_refused"), ("403", "quota_spent"), ("404", "bad_query"), ("503", "service_down")]
)
def test_recorded_errors_that_end_a_sync(salesforce: _Recorded, description: Any, status: str, code: str) -> None:
    said = _example(description, "/services/data/{version}/query", "get", status)
    salesforce.queue(Reply.json(said, int(status)))
    with pytest.raises(ServiceError, match=said[0]["errorCode"]) as caught:
        changes(salesforce, common=ConnectorsConfig(retries=0), secrets=session_only(salesforce))
    assert caught.value.code == code


def test_recorded_errors_that_do_not(salesforce: _Recorded, description: Any) -> None:
    malformed = _example(description, "/services/data/{version}/query", "get", "400")
    busy = _example(description, "/services/data/{version}/query", "get", "503")
    salesforce.queue("ok", Reply.json(malformed, 400), Reply.json(busy, 503))
    salesforce.add("Contact", Name="Grace")
    found = changes(salesforce, objects={"Account": ("Name",), "Contact": ("Name",)})
    assert [(one.ref, one.reason) for one in skipped(found)] == [("Account", "unexpected token: 'FORM'")]
    assert [item.title for item in items(found)] == ["Grace"]
