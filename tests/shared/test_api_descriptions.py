"""The judges of requests themselves: they let through what vendors take, and find what they would not."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from sophiactl.testing.web_server import Seen
from tests.api_descriptions import checker, writes

if TYPE_CHECKING:
    from pathlib import Path

BEARER = {"authorization": "Bearer k"}
BASIC = {"authorization": "Basic a2V5"}
NOTION = {**BEARER, "notion-version": "2025-09-03"}
ID = "11111111-2222-3333-4444-555555555555"
HEADERS = {"gong": BASIC, "notion": NOTION}
EXTENSIVE = {
    "filter": {"fromDateTime": "2026-11-01T00:00:00Z", "toDateTime": "2026-11-22T00:00:00Z"},
    "contentSelector": {"exposedFields": {"parties": True, "content": {"brief": True, "keyPoints": True}}},
}
WHOLE_SEARCH = {"query": "acme", "limit": 100, "after": "0", "properties": ["email"], "sorts": [], "filterGroups": []}


def seen(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Seen:
    """A request as it arrives; a text as body is a form."""
    parts, given = urlsplit(url), dict(headers or {})
    sent = b""
    if isinstance(body, str):
        sent, given["content-type"] = body.encode(), "application/x-www-form-urlencoded"
    elif body is not None:
        sent, given["content-type"] = msgspec.json.encode(body), "application/json"
    return Seen(method, parts.path, dict(parse_qsl(parts.query)), given, sent, parts.query)


GOOD: list[tuple[str, str, str, Any]] = [
    ("slack", "GET", "/api/auth.test", None),
    ("slack", "GET", "/auth.test", None),
    ("slack", "GET", "/api/conversations.history?channel=C1&limit=200&oldest=1700000000.000100&cursor=a%3D%3D", None),
    ("slack", "GET", "/api/search.messages?query=acme&count=100&sort=timestamp", None),
    ("slack", "POST", "/api/assistant.search.context", {"query": "acme", "limit": 20}),
    ("gong", "GET", "/v2/users?cursor=abc", None),
    ("gong", "POST", "/v2/calls/extensive", EXTENSIVE),
    ("gong", "POST", "/v2/calls/transcript", {"filter": {"callIds": ["7782342274025937895"]}}),
    ("hubspot", "GET", "/account-info/v3/details", None),
    ("hubspot", "POST", "/crm/v3/objects/contacts/search", WHOLE_SEARCH),
    ("hubspot", "POST", "/crm/v3/objects/deals/search", {"limit": 5, "properties": ["dealname"]}),
    ("hubspot", "GET", "/crm/v3/owners?limit=100&archived=false", None),
    ("salesforce", "POST", "/services/oauth2/token", "grant_type=client_credentials&client_id=a&client_secret=b"),
    ("salesforce", "GET", "/services/data/v63.0/query?q=SELECT+Id+FROM+Account", None),
    ("salesforce", "GET", "/services/data/v63.0/query/01g5g00000AbcDE-2000", None),
    ("salesforce", "GET", "/services/data", None),
    ("notion", "GET", "/v1/users/me", None),
    ("notion", "POST", "/v1/search", {"query": "a", "filter": {"property": "object", "value": "page"}}),
    ("notion", "GET", f"/v1/blocks/{ID}/children?page_size=100", None),
    ("notion", "POST", f"/v1/data_sources/{ID}/query", {"page_size": 100}),
    ("asana", "GET", "/api/1.0/users/me?opt_fields=name,workspaces.name", None),
    ("asana", "GET", "/users/me", None),
    ("asana", "GET", "/api/1.0/tasks?project=12&modified_since=2026-11-01T00%3A00%3A00Z&limit=100", None),
    ("asana", "GET", "/api/1.0/workspaces/12/typeahead?resource_type=task&query=acme&count=100", None),
]  # fmt: skip

BAD: list[tuple[str, str, str, Any, str]] = [
    ("slack", "GET", "/api/conversations.history?limit=200", None, "Missing required query parameter: channel"),
    ("slack", "GET", "/api/conversations.history?channel=C1&limit=many", None, "limit"),
    ("slack", "GET", "/api/auth.test?token=k", None, "query parameter 'token' is not described"),
    ("slack", "GET", "/api/chat.postMessage?channel=C1&text=a", None, "no such path"),
    ("slack", "GET", "/api/api/auth.test", None, "no such path"),
    ("slack", "POST", "/api/auth.test", None, "this path has no such method"),
    ("gong", "GET", "/v1/users", None, "no such path"),
    ("gong", "POST", "/v2/calls/extensive", {"contentSelector": {}}, "'filter' is a required property"),
    ("gong", "POST", "/v2/calls/extensive", None, "Missing required request body"),
    ("gong", "POST", "/v2/calls/extensive", {**EXTENSIVE, "cursors": "x"}, "field 'cursors' of the body"),
    ("asana", "GET", "/api/1.0/tasks?modified_since=yesterday", None, "'yesterday' is not a 'date-time'"),
    ("hubspot", "POST", "/crm/v3/objects/contacts/search", {**WHOLE_SEARCH, "limit": 201}, "$.limit: 201"),
    ("hubspot", "POST", "/crm/v3/objects/contacts/search", {**WHOLE_SEARCH, "query": "x" * 3001}, "$.query"),
    ("hubspot", "POST", "/crm/v3/objects/contacts/search", {"offset": 3}, "field 'offset' of the body"),
    ("hubspot", "GET", "/account-info/v3/details?hapikey=k", None, "'hapikey' is not described"),
    ("hubspot", "PATCH", "/crm/v3/objects/contacts/1", {"properties": {}}, "this path has no such method"),
    ("salesforce", "POST", "/services/oauth2/token", "grant_type=password&client_id=a&client_secret=b", "grant_type"),
    ("salesforce", "GET", "/services/data/v63.0/query", None, "Missing required query parameter: q"),
    ("salesforce", "GET", "/services/data/v63.0/query?q=DELETE+everything", None, "query parameter: q"),
    ("salesforce", "GET", "/services/data/63/query?q=SELECT+Id+FROM+Account", None, "version"),
    ("notion", "POST", "/v1/search", {"page_size": 101}, "$.page_size: 101"),
    ("notion", "POST", "/v1/search", {"filter": {"property": "object", "value": "database"}}, "'database'"),
    ("notion", "GET", f"/v1/blocks/{ID}/children", {"start_cursor": "x"}, "a body, where none is described"),
    ("notion", "POST", f"/v1/pages/{ID}", {}, "this path has no such method"),
    ("asana", "GET", "/api/1.0/tasks?limit=101", None, "101 is greater than the maximum of 100"),
    ("asana", "GET", "/api/1.0/tasks/12/stories?offset=a&ofset=b", None, "'ofset' is not described"),
    ("asana", "DELETE", "/api/1.0/tasks/12", None, "this path has no such method"),
    ("asana", "GET", "/api/2.0/users/me", None, "no such path"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "method", "url", "body"), GOOD)
def test_what_a_vendor_takes_is_let_through(shared: Path, service: str, method: str, url: str, body: Any) -> None:
    request = seen(method, url, body, HEADERS.get(service, BEARER))
    assert checker(shared, service)(request) == []
    assert not writes(request)


@pytest.mark.parametrize(("service", "method", "url", "body", "wrong"), BAD)
def test_what_a_vendor_does_not_take_is_found(
    shared: Path, service: str, method: str, url: str, body: Any, wrong: str
) -> None:
    found = checker(shared, service)(seen(method, url, body, HEADERS.get(service, BEARER)))
    assert any(wrong in each for each in found), found


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("slack", "/api/auth.test"),
        ("gong", "/v2/users"),
        ("hubspot", "/crm/v3/owners"),
        ("salesforce", "/services/data/v63.0/limits"),
        ("notion", "/v1/users/me"),
        ("asana", "/api/1.0/users/me"),
    ],
)
def test_nobody_is_let_in_without_a_key(shared: Path, service: str, path: str) -> None:
    judge = checker(shared, service)
    version = {"notion-version": "2025-09-03"}
    for wrong in ({}, {"authorization": ""}, {"authorization": "k"}, {"authorization": "Digest k"}):
        assert len(judge(seen("GET", path, None, {**version, **wrong}))) == 1, wrong


def test_a_version_is_asked_for(shared: Path) -> None:
    for headers in (BEARER, {**BEARER, "notion-version": "2019-01-01"}):
        assert checker(shared, "notion")(seen("GET", "/v1/users/me", None, headers))


def test_a_body_that_is_no_json(shared: Path) -> None:
    request = Seen("POST", "/v1/search", {}, {**NOTION, "content-type": "application/json"}, b'{"query": ')
    assert checker(shared, "notion")(request)
    form = Seen("POST", "/v1/search", {}, {**NOTION, "content-type": "text/plain"}, b"{}")
    assert checker(shared, "notion")(form)


@pytest.mark.parametrize(
    ("method", "path", "write"),
    [
        ("GET", "/api/1.0/tasks", False),
        ("POST", "/api/1.0/tasks", True),
        ("POST", "/v1/search", False),
        ("POST", "/v1/search/1", True),
        ("PUT", "/v1/search", True),
        ("POST", "/services/oauth2/token", False),
        ("POST", "/api/chat.postMessage", True),
    ],
)
def test_writes(method: str, path: str, *, write: bool) -> None:
    assert writes(seen(method, path)) is write


def test_judging_is_quick_and_may_be_done_by_many_threads(shared: Path) -> None:
    """2,000 requests in a few seconds, on a machine that does other things too."""
    requests = [(checker(shared, each[0]), seen(*each[1:], HEADERS.get(each[0], BEARER))) for each in GOOD]
    found: list[str] = []

    def work(part: int) -> None:
        for number in range(part, 2_000, 4):
            judge, request = requests[number % len(requests)]
            found.extend(judge(request))

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    began = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == []
    assert time.process_time() - began < 15
    assert checker(shared, "slack") is checker(shared, "slack")
