"""Notion's own SDK reads the loopback Notion and sees what our connector sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from notion_client import APIResponseError, Client
from notion_client.helpers import iterate_paginated_api

from sophiactl.connectors.base import Upsert
from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.vendors.notion_blocks import block
from tests.notion_workspaces import collected, over_http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.connectors.base import Item


@pytest.fixture
def notion() -> Iterator[NotionVendor]:
    with NotionVendor() as vendor:
        yield vendor


@pytest.fixture
def sdk(notion: NotionVendor) -> Iterator[Client]:
    with Client(auth=notion.token, base_url=notion.base_url, notion_version="2025-09-03") as client:
        yield client


def words(parts: list[dict[str, Any]]) -> str:
    return "".join(part["plain_text"] for part in parts)


def title(page: dict[str, Any]) -> str:
    if page["object"] == "data_source":
        return words(page["title"])
    return next(words(value["title"]) for value in page["properties"].values() if value["type"] == "title")


def tree(sdk: Client, block_id: str) -> Iterator[str]:
    """The words of all blocks, in the order of reading."""
    for one in iterate_paginated_api(sdk.blocks.children.list, block_id=block_id):
        yield words(one[one["type"]].get("rich_text", []))
        if one["has_children"] and not one["type"].startswith("child_"):
            yield from tree(sdk, one["id"])


def test_both_see_the_same(notion: NotionVendor, sdk: Client) -> None:
    home = notion.add_page("Home", [block("toggle", "More", block("paragraph", "inside 🚀")), "end"], author="Ada")
    deals = notion.add_database("Deals", {"Name": "title", "Stage": "select"}, parent=home, author="Bo")
    for number in range(130):
        notion.add_row(deals, {"Name": f"Row {number}", "Stage": "Won"}, [f"body {number}"], author="Ada")
    notion.add_page("Long", [f"line {number}" for number in range(120)], author="Cy")

    changes: Any = over_http(notion, lambda made: collected(made.changes(None)))
    ours: dict[str, Item] = {change.item.id: change.item for change in changes if isinstance(change, Upsert)}
    people = {user["id"]: user["name"] for user in iterate_paginated_api(sdk.users.list)}
    theirs = {one["id"]: one for one in iterate_paginated_api(sdk.search, page_size=50)}

    assert len(ours) == 133
    assert set(theirs) == set(ours)
    for item_id, found in theirs.items():
        item = ours[item_id]
        assert item.kind == found["object"]
        assert item.title == title(found)
        assert item.author == people[found["created_by"]["id"]]
        assert item.updated_at == f"{found['last_edited_time'][:16]}:00Z"
        assert item.url == found["url"]
    for item_id in (home, *(name for name in list(ours)[:3] if ours[name].kind == "page")):
        assert all(line in ours[item_id].text for line in tree(sdk, item_id))


def test_the_sdk_reads_each_kind_of_thing(notion: NotionVendor, sdk: Client) -> None:
    home = notion.add_page("Home", ["text"])
    deals = notion.add_database("Deals", {"Name": "title"}, parent=home)
    row = notion.add_row(deals, {"Name": "Acme"})
    notion.add_comment(home, "Ada", "Looks right")

    database: Any = sdk.databases.retrieve(database_id=notion.things[deals].parent)
    rows: Any = sdk.data_sources.query(data_source_id=database["data_sources"][0]["id"])
    me: Any = sdk.users.me()
    comments: Any = sdk.comments.list(block_id=home)
    page: Any = sdk.pages.retrieve(page_id=row)

    assert [one["id"] for one in rows["results"]] == [row]
    assert me["bot"]["workspace_name"] == "Acme"
    assert words(comments["results"][0]["rich_text"]) == "Looks right"
    assert page["parent"]["data_source_id"] == deals


def test_the_sdk_understands_the_errors(notion: NotionVendor, sdk: Client) -> None:
    home = notion.add_page("Home")
    notion.unshare(home)

    with pytest.raises(APIResponseError) as gone:
        sdk.pages.retrieve(page_id=home)
    with pytest.raises(APIResponseError) as refused:
        sdk.pages.update(page_id=home, archived=True)

    assert (gone.value.code, gone.value.status) == ("object_not_found", 404)
    assert refused.value.status == 403
    assert notion.violations == [f"PATCH /v1/pages/{home}: a write"]
