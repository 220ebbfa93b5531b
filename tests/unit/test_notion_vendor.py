"""The loopback Notion by itself: it refuses what Notion refuses, and gives what Notion gives."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.vendors.notion_blocks import block, from_markdown
from sophiactl.testing.vendors.notion_paging import PAGINGS
from sophiactl.testing.web_server import Seen

VERSION = "2025-09-03"


def ask(
    vendor: NotionVendor, method: str, path: str, body: Any = None, *, version: str | None = VERSION, **query: Any
) -> tuple[int, Any]:
    headers = {"authorization": f"Bearer {vendor.token}"} | ({"notion-version": version} if version else {})
    raw = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
    reply = vendor._reply(Seen(method, path, {name: str(value) for name, value in query.items()}, headers, raw))
    return reply.status, msgspec.json.decode(reply.body)


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    status, body = answer
    assert body["object"] == "error"
    assert body["status"] == status
    assert body["request_id"]
    return status, body["code"]


def names(body: Any) -> list[str]:
    found = []
    for one in body["results"]:
        title = one["title"] if "title" in one else next(v for v in one["properties"].values() if v["type"] == "title")
        parts = title if isinstance(title, list) else title["title"]
        found.append("".join(part["plain_text"] for part in parts))
    return found


def filled(pages: int = 5) -> NotionVendor:
    vendor = NotionVendor()
    for number in range(pages):
        vendor.add_page(f"Page {number}", ["text"], at=f"2026-01-01T{number // 60:02}:{number % 60:02}:30Z")
    return vendor


# The door


def test_who_has_no_token_stays_out() -> None:
    vendor = NotionVendor()
    for headers in ({}, {"authorization": "Bearer ntn_wrong", "notion-version": VERSION}):
        reply = vendor._reply(Seen("GET", "/v1/users/me", {}, headers, b""))
        assert code((reply.status, msgspec.json.decode(reply.body))) == (401, "unauthorized")


def test_a_version_has_to_be_named() -> None:
    vendor = NotionVendor()

    assert code(ask(vendor, "GET", "/v1/users/me", version=None)) == (400, "missing_version")
    assert code(ask(vendor, "GET", "/v1/users/me", version="2020-01-01")) == (400, "validation_error")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/pages"),
        ("PATCH", "/v1/pages/35261e8c-e0a3-80f7-bec9-ff2aa86241e1"),
        ("DELETE", "/v1/blocks/35261e8c-e0a3-80f7-bec9-ff2aa86241e1"),
        ("PATCH", "/v1/blocks/35261e8c-e0a3-80f7-bec9-ff2aa86241e1/children"),
        ("POST", "/v1/comments"),
        ("POST", "/v1/databases"),
    ],
)
def test_whatever_writes_is_refused_and_noted(method: str, path: str) -> None:
    vendor = NotionVendor()

    assert code(ask(vendor, method, path, {})) == (403, "restricted_resource")
    assert vendor.violations == [f"{method} {path}: a write"]


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "expected"),
    [
        ("GET", "/v1/nothing", None, {}, "invalid_request_url"),
        ("POST", "/v1/search", b"{", {}, "invalid_json"),
        ("POST", "/v1/search", [], {}, "validation_error"),
        ("POST", "/v1/search", {"page_size": 101}, {}, "validation_error"),
        ("POST", "/v1/search", {"page_size": 0}, {}, "validation_error"),
        ("POST", "/v1/search", {"page_size": "x"}, {}, "validation_error"),
        ("POST", "/v1/search", {"limit": 3}, {}, "validation_error"),
        ("POST", "/v1/search", {"start_cursor": {}}, {}, "validation_error"),
        ("POST", "/v1/search", {"start_cursor": "4d49987c"}, {}, "validation_error"),
        ("POST", "/v1/search", {}, {"start_cursor": "4d49987c"}, "validation_error"),
        ("POST", "/v1/search", {"filter": {"property": "object", "value": "database"}}, {}, "validation_error"),
        ("POST", "/v1/search", {"sort": {"timestamp": "created_time"}}, {}, "validation_error"),
        ("POST", "/v1/search", {"sort": {"timestamp": "last_edited_time"}}, {}, "validation_error"),
        ("GET", "/v1/users", None, {"page_size": 500}, "validation_error"),
        ("GET", "/v1/pages/no-uuid", None, {}, "validation_error"),
        ("GET", "/v1/comments", None, {}, "validation_error"),
        ("GET", "/v1/pages/35261e8c-e0a3-80f7-bec9-ff2aa86241e1", None, {}, "object_not_found"),
        ("GET", "/v1/users/35261e8c-e0a3-80f7-bec9-ff2aa86241e1", None, {}, "object_not_found"),
    ],
)
def test_what_does_not_fit_is_refused(method: str, path: str, body: Any, query: dict[str, Any], expected: str) -> None:
    status, found = code(ask(NotionVendor(), method, path, body, **query))

    assert found == expected
    assert status == (404 if expected == "object_not_found" else 400)


def test_limits_are_told_in_notions_words() -> None:
    vendor = NotionVendor()
    vendor.limit = Limited(1, 60.0)
    ask(vendor, "GET", "/v1/users/me")

    status, body = ask(vendor, "GET", "/v1/users/me")

    assert (status, body["code"]) == (429, "rate_limited")
    assert body["additional_data"] == {"rate_limit_reason": "connection_limit"}
    assert vendor.violations == []


def test_capabilities() -> None:
    vendor = filled(1)
    page = next(iter(vendor.things))
    vendor.users_capability = vendor.content_capability = False

    assert code(ask(vendor, "GET", "/v1/users")) == (403, "restricted_resource")
    assert code(ask(vendor, "POST", "/v1/search", {})) == (403, "restricted_resource")
    assert code(ask(vendor, "GET", f"/v1/pages/{page}")) == (403, "restricted_resource")
    assert ask(vendor, "GET", "/v1/users/me")[1]["bot"]["workspace_name"] == "Acme"


# Search


def test_search_looks_at_titles_alone() -> None:
    vendor = NotionVendor()
    vendor.add_page("Renewal plan", ["about Acme"])
    vendor.add_page("Acme", ["about renewals"])

    assert names(ask(vendor, "POST", "/v1/search", {"query": "acme"})[1]) == ["Acme"]
    assert names(ask(vendor, "POST", "/v1/search", {"query": "plan renewal"})[1]) == ["Renewal plan"]


@pytest.mark.parametrize(
    ("version", "kind"), [("2022-06-28", "database"), ("2025-09-03", "data_source"), ("2026-03-11", "data_source")]
)
def test_versions_differ(version: str, kind: str) -> None:
    vendor = filled(1)
    page = next(iter(vendor.things))
    source = vendor.add_database("Deals", {"Name": "title", "Stage": "select"}, choices={"Stage": ["Won"]})
    row = vendor.add_row(source, {"Name": "Acme", "Stage": "Won"})
    database = vendor.things[source].parent

    of_kind = {"filter": {"property": "object", "value": kind}}
    found = ask(vendor, "POST", "/v1/search", of_kind, version=version)[1]["results"]
    whole = ask(vendor, "GET", f"/v1/databases/{database}", version=version)[1]
    single = ask(vendor, "GET", f"/v1/pages/{row}", version=version)[1]
    markdown = ask(vendor, "GET", f"/v1/pages/{page}/markdown", version=version)

    assert [one["object"] for one in found] == [kind]
    assert found[0]["properties"]["Stage"]["select"]["options"][0]["name"] == "Won"
    assert ("data_sources" in whole) == (kind == "data_source")
    assert single["parent"][f"{kind}_id"] == (source if kind == "data_source" else database)
    assert ("archived" in single) == (version != "2026-03-11")
    assert markdown[0] == (200 if version == "2026-03-11" else 400)


@pytest.mark.parametrize("paging", PAGINGS)
@pytest.mark.parametrize("direction", ["ascending", "descending"])
def test_pages_of_a_listing_are_the_whole_listing(paging: str, direction: str) -> None:
    vendor = filled(23)
    vendor.cursors.paging = paging
    found, cursor = [], None
    sort = {"direction": direction, "timestamp": "last_edited_time"}
    while True:
        body = {"page_size": 5, "sort": sort} | ({"start_cursor": cursor} if cursor else {})
        page = ask(vendor, "POST", "/v1/search", body)[1]
        found += names(page)
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break

    expected = [f"Page {number}" for number in range(23)]
    assert found == (expected if direction == "ascending" else expected[::-1])


def second_page(vendor: NotionVendor, cursor: str) -> list[str]:
    return names(ask(vendor, "POST", "/v1/search", {"page_size": 3, "start_cursor": cursor})[1])


def test_how_a_listing_shifts_depends_on_the_way_of_paging() -> None:
    found = {}
    for paging in PAGINGS:
        vendor = filled(9)
        vendor.cursors.paging = paging
        first = ask(vendor, "POST", "/v1/search", {"page_size": 3})[1]
        assert names(first) == ["Page 8", "Page 7", "Page 6"]
        vendor.trash(next(name for name, thing in vendor.things.items() if thing.title == "Page 7"))
        found[paging] = second_page(vendor, first["next_cursor"])

    assert found == {
        "key": ["Page 5", "Page 4", "Page 3"],
        "offset": ["Page 4", "Page 3", "Page 2"],  # one is lost
        "anchor": ["Page 5", "Page 4", "Page 3"],
    }


def test_a_cursor_dies_and_belongs_to_its_listing() -> None:
    vendor = filled(9)
    first = ask(vendor, "POST", "/v1/search", {"page_size": 3})[1]["next_cursor"]

    other = {"page_size": 3, "start_cursor": first, "query": "page"}
    assert code(ask(vendor, "POST", "/v1/search", other)) == (400, "validation_error")
    assert len(second_page(vendor, first)) == 3
    vendor.cursors.seconds = 0.0
    gone = ask(vendor, "POST", "/v1/search", {"page_size": 3, "start_cursor": first})
    assert code(gone) == (400, "validation_error")
    assert first in gone[1]["message"]


def test_an_anchor_that_is_gone_makes_its_cursor_invalid() -> None:
    vendor = filled(9)
    vendor.cursors.paging = "anchor"
    cursor = ask(vendor, "POST", "/v1/search", {"page_size": 3})[1]["next_cursor"]
    vendor.trash(next(name for name, thing in vendor.things.items() if thing.title == "Page 5"))

    status, _ = ask(vendor, "POST", "/v1/search", {"page_size": 3, "start_cursor": cursor})

    assert status == 400


def test_the_index_lags() -> None:
    vendor = filled(2)
    page = next(iter(vendor.things))
    vendor.index_lag = True
    vendor.edit_page(page, title="Renamed")
    vendor.add_page("New")

    before = names(ask(vendor, "POST", "/v1/search", {"query": "page"})[1])
    vendor.catch_up()
    after = names(ask(vendor, "POST", "/v1/search", {})[1])

    assert before == ["Page 1", "Renamed"]  # found by its old title, shown as it is
    assert set(after) == {"Page 1", "Renamed", "New"}


# Access and the trash


def test_sharing_is_inherited() -> None:
    vendor = filled(1)
    home = next(iter(vendor.things))
    child = vendor.add_page("Child", ["text"], parent=home)
    inside = vendor.things[child].blocks[0].id
    vendor.unshare(home)

    for path in (f"/v1/pages/{child}", f"/v1/blocks/{child}/children", f"/v1/blocks/{inside}", f"/v1/blocks/{home}"):
        assert code(ask(vendor, "GET", path)) == (404, "object_not_found")
    assert ask(vendor, "POST", "/v1/search", {})[1]["results"] == []
    vendor.share(home)
    assert ask(vendor, "GET", f"/v1/pages/{child}")[0] == 200


def test_the_trash_holds_what_is_in_it() -> None:
    vendor = filled(1)
    home = next(iter(vendor.things))
    child = vendor.add_page("Child", ["text"], parent=home)
    vendor.trash(home)

    assert ask(vendor, "GET", f"/v1/pages/{child}")[1]["in_trash"] is True
    assert code(ask(vendor, "GET", f"/v1/blocks/{child}/children")) == (404, "object_not_found")
    assert ask(vendor, "POST", "/v1/search", {})[1]["results"] == []
    vendor.restore(home)
    assert len(ask(vendor, "POST", "/v1/search", {})[1]["results"]) == 2
    vendor.delete(child)
    assert code(ask(vendor, "GET", f"/v1/pages/{child}")) == (404, "object_not_found")


# Content


def test_blocks_are_given_level_by_level() -> None:
    vendor = NotionVendor()
    page = vendor.add_page("Page", ["one", block("toggle", "two", block("paragraph", "inside"))])
    child = vendor.add_page("Child", parent=page)
    vendor.add_database("Deals", {"Name": "title"}, parent=page)

    found = ask(vendor, "GET", f"/v1/blocks/{page}/children", page_size=3)[1]
    rest = ask(vendor, "GET", f"/v1/blocks/{page}/children", page_size=3, start_cursor=found["next_cursor"])[1]
    toggle = found["results"][1]
    inside = ask(vendor, "GET", f"/v1/blocks/{toggle['id']}/children")[1]["results"]
    single = ask(vendor, "GET", f"/v1/blocks/{inside[0]['id']}")[1]

    kinds = [one["type"] for one in found["results"] + rest["results"]]
    assert kinds == ["paragraph", "toggle", "child_page", "child_database"]
    assert [one["has_children"] for one in found["results"]] == [False, True, False]
    assert found["results"][2]["id"] == child
    assert single["parent"] == {"type": "block_id", "block_id": toggle["id"]}
    assert single["paragraph"]["rich_text"][0]["plain_text"] == "inside"


def test_rows_are_queried_by_their_edit_time() -> None:
    vendor = NotionVendor()
    source = vendor.add_database("Deals", {"Name": "title", "Amount": "number"})
    for number in range(4):
        vendor.add_row(source, {"Name": f"Row {number}", "Amount": number}, at=f"2026-01-0{number + 1}")
    path = f"/v1/data_sources/{source}/query"
    since = {"filter": {"timestamp": "last_edited_time", "last_edited_time": {"on_or_after": "2026-01-03"}}}

    whole, part = ask(vendor, "POST", path, {})[1], ask(vendor, "POST", path, since)[1]

    assert names(whole) == [f"Row {number}" for number in range(4)]
    assert names(part) == ["Row 2", "Row 3"]
    assert part["results"][0]["properties"]["Amount"]["number"] == 2
    assert code(ask(vendor, "POST", path, {"filter": {"property": "Name"}})) == (400, "validation_error")
    assert code(ask(vendor, "GET", f"/v1/data_sources/{source}", version="2022-06-28"))[0] == 400


def test_users_and_comments() -> None:
    vendor = filled(1)
    page = next(iter(vendor.things))
    ada = vendor.add_user("Ada", email="ada@acme.example")
    vendor.add_user("Guest", guest=True)
    vendor.add_comment(page, "Ada", "Looks right")

    users = ask(vendor, "GET", "/v1/users")[1]["results"]
    comments = ask(vendor, "GET", "/v1/comments", block_id=page)[1]["results"]

    assert [user["name"] for user in users] == ["sophia", "Ada"]
    assert users[1]["person"] == {"email": "ada@acme.example"}
    assert ask(vendor, "GET", f"/v1/users/{ada}")[1]["name"] == "Ada"
    assert comments[0]["rich_text"][0]["plain_text"] == "Looks right"
    assert comments[0]["created_by"]["id"] == ada


def test_times_are_cut_to_the_minute() -> None:
    vendor = filled(1)
    page = next(iter(vendor.things))

    vendor.edit_page(page, at="2026-02-03T04:05:59+01:00")

    assert ask(vendor, "GET", f"/v1/pages/{page}")[1]["last_edited_time"] == "2026-02-03T03:05:00.000Z"


def test_markdown_becomes_blocks() -> None:
    found = from_markdown(
        "# A\ntext\nmore\n- a\n  - b\n- [x] c\n1. d\n> q\n> r\n---\n| h |\n|---|\n| 1 |\n```py\nx\n\ny\n```"
    )

    kinds = [one["type"] for one in found]
    assert kinds == [
        "heading_1",
        "paragraph",
        "bulleted_list_item",
        "to_do",
        "numbered_list_item",
        "quote",
        "divider",
        "table",
        "code",
    ]
    assert found[2]["children"][0]["type"] == "bulleted_list_item"
    assert found[-1]["code"]["rich_text"][0]["plain_text"] == "x\n\ny"


def test_fifty_thousand_pages_are_cheap() -> None:
    vendor = NotionVendor()
    source = vendor.add_database("Deals", {"Name": "title"})
    for number in range(50_000):
        vendor.add_row(source, {"Name": f"Row {number}"})

    found = ask(vendor, "POST", "/v1/search", {"page_size": 100})[1]

    assert len(found["results"]) == 100
    assert found["has_more"]
