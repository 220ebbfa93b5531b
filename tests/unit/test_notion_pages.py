"""Single pages of Notion, their blocks, properties and names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sophiactl.connectors.config import Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import ItemGone
from sophiactl.connectors.notion_api import same_id
from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.vendors.notion_blocks import block, rich
from sophiactl.testing.web_server import Reply
from tests.notion_workspaces import ANY_RATE, SOON, changed, failing, fetched, items, made, over_http, skipped


def test_a_page_with_everything() -> None:
    vendor = NotionVendor()
    team = vendor.add_page("Team", author="Ada", at="2026-01-01T10:00:00+00:00")
    page = vendor.add_page(
        "Renewals 🚀",
        ["First", block("toggle", "More", "inside")],
        parent=team,
        author="Ada",
        at="2026-01-02T10:00:59Z",
    )
    vendor.edit_page(page, author="Bo", at="2026-01-03T10:01:30Z")
    vendor.things[page].public_url = "https://acme.notion.site/x"

    item = asyncio.run(fetched(vendor, page))

    assert (item.service, item.id, item.kind, item.title) == ("notion", page, "page", "Renewals 🚀")
    assert item.text == "First\n\n- More\n\n  inside"
    assert (item.author, item.fields, item.container) == ("Ada", {"edited_by": "Bo"}, "Team")
    assert (item.created_at, item.updated_at) == ("2026-01-02T10:00:00Z", "2026-01-03T10:01:00Z")
    assert item.url == f"https://www.notion.so/Renewals--{page.replace('-', '')}"
    assert (item.visibility, item.raw_ref) == ("public", f"/v1/pages/{page}")


def test_a_row_has_its_properties_by_name_and_a_data_source_its_columns() -> None:
    vendor = NotionVendor()
    home = vendor.add_page("Sales")
    columns = {"Deal": "title", "Stage": "select", "Owner": "people", "Due": "date", "Notes": "rich_text"}
    deals = vendor.add_database(
        "Deals", columns, choices={"Stage": ["Open", "Won"]}, description="All of them", parent=home
    )
    ada = vendor.add_user("Ada")
    values = {"Deal": "Acme", "Stage": "Open", "Owner": [ada], "Due": "2026-03-01/2026-03-02", "Notes": "n" * 300}
    row = vendor.add_row(deals, values, markdown="Body")

    item = asyncio.run(fetched(vendor, row))
    source = asyncio.run(fetched(vendor, deals))

    assert item.title == "Acme"
    lines = item.text.split("\n")
    assert lines[:3] == ["Stage: Open", "Owner: Ada", "Due: 2026-03-01 to 2026-03-02"]
    assert lines[-1] == "Body"
    assert item.fields == {"Stage": "Open", "Owner": "Ada", "Due": "2026-03-01 to 2026-03-02"}
    assert (item.container, source.container) == ("Deals", "Sales")
    assert (source.kind, source.title) == ("data_source", "Deals")
    assert source.text.startswith("All of them\n\nColumns:\n- Deal: title\n- Stage: select (Open, Won)")


def test_ids_are_taken_with_and_without_hyphens() -> None:
    vendor = NotionVendor()
    page = vendor.add_page("One")

    bare = asyncio.run(fetched(vendor, page.replace("-", "").upper()))

    assert bare.id == page
    assert same_id("1234567890123456789") == "1234567890123456789"


@pytest.mark.parametrize("item_id", ["35261e8c-e0a3-80f7-bec9-ff2aa86241e1", "../users/me", "..", "", "no id"])
def test_what_is_not_there(item_id: str) -> None:
    vendor = NotionVendor()

    with pytest.raises(ItemGone):
        asyncio.run(fetched(vendor, item_id))

    assert all(seen.path.startswith(("/v1/pages/", "/v1/data_sources/")) for seen in vendor.requests)
    assert not any("/users" in seen.path for seen in vendor.requests)


def test_the_trash_is_not_read() -> None:
    vendor = NotionVendor()
    page = vendor.add_page("One")
    vendor.trash(page)

    with pytest.raises(ItemGone, match="trash"):
        asyncio.run(fetched(vendor, page))


def test_without_the_right_to_read_users_there_are_no_names() -> None:
    vendor = NotionVendor()
    page = vendor.add_page("One", ["text"], author="Ada")
    vendor.users_capability = False

    item = asyncio.run(fetched(vendor, page))

    assert (item.author, item.text) == (None, "text")


def test_names_are_asked_for_once() -> None:
    vendor = NotionVendor()
    home = vendor.add_page("Home")
    for number in range(40):
        vendor.add_page(f"Page {number}", ["text"], parent=home, author=f"Person {number % 7}")
    for number in range(150):
        vendor.add_user(f"Other {number}")

    found = items(asyncio.run(changed(made(vendor))))

    asked = [seen.path for seen in vendor.requests]
    assert asked.count("/v1/users") == 2
    assert sum(path.startswith("/v1/pages/") for path in asked) <= 1
    assert {item.author for item in found.values() if item.title != "Home"} == {f"Person {n}" for n in range(7)}
    assert {item.container for item in found.values()} == {"Home", None}


def test_a_page_in_a_block_lies_in_the_page_of_that_block() -> None:
    vendor = NotionVendor()
    home = vendor.add_page("Home", [block("toggle", "More", block("toggle", "Even more"))])
    outer = vendor.things[home].blocks[0]
    inner = outer.children[0].id
    page = vendor.add_page("Inside", parent=home)
    whole = Reply.json(
        {"object": "page", "id": page, "parent": {"type": "block_id", "block_id": inner}, "properties": {}}
    )

    with vendor:
        vendor.queue(whole)
        item = over_http(vendor, lambda one: one.fetch(page, Deadline(SOON)))

    assert item.container == "Home"


def test_nested_blocks_are_read_to_the_depth_that_is_set_and_the_rest_is_named() -> None:
    vendor = NotionVendor()
    tree = block("toggle", "level 5")
    for level in (4, 3, 2, 1):
        tree = block("toggle", f"level {level}", tree)
    vendor.add_page("Deep", [tree])

    whole = asyncio.run(changed(made(vendor)))
    cut = asyncio.run(changed(made(vendor, depth=3)))

    assert "level 5" in items(whole)["Deep"].text
    assert not skipped(whole)
    assert "level 3" in items(cut)["Deep"].text
    assert "level 4" not in items(cut)["Deep"].text
    assert "[blocks nested deeper than 3]" in items(cut)["Deep"].text
    assert [found.code for found in skipped(cut)] == ["too_deep"]


def test_more_blocks_than_one_page_of_a_listing() -> None:
    vendor = NotionVendor()
    vendor.add_page("Long", [f"line {number}" for number in range(250)])

    found = items(asyncio.run(changed(made(vendor))))["Long"]

    assert found.text.split("\n\n") == [f"line {number}" for number in range(250)]
    cursors = [seen.query.get("start_cursor") for seen in vendor.requests if seen.path.endswith("/children")]
    assert len(set(cursors)) == 3
    assert all(not seen.body for seen in vendor.requests if seen.method == "GET")


def test_blocks_that_lead_round_in_circles_have_an_end() -> None:
    vendor = NotionVendor()
    vendor.add_page("Round", [block("synced_block", "", "inside", synced_from=None)])
    one = vendor.things[next(iter(vendor.things))].blocks[0]
    one.children.append(one)

    assert items(asyncio.run(changed(made(vendor))))["Round"].text == "inside"


def test_a_synced_block_whose_original_is_not_shared_is_named_and_counted() -> None:
    vendor = NotionVendor()
    hidden = vendor.add_page("Hidden", [block("synced_block", "", "secret", synced_from=None)])
    original = vendor.things[hidden].blocks[0].id
    copy = block("synced_block", synced_from={"type": "block_id", "block_id": original})
    vendor.add_page("Open", ["before", copy, "after"])

    shared = asyncio.run(changed(made(vendor)))
    vendor.unshare(hidden)
    unshared = asyncio.run(changed(made(vendor)))

    assert items(shared)["Open"].text == "before\n\nsecret\n\nafter"
    said = "[content that is not shared with this integration]"
    assert items(unshared)["Open"].text == f"before\n\n{said}\n\nafter"
    assert [found.code for found in skipped(unshared)] == ["item_gone"]


# Versions


@pytest.mark.parametrize("version", ["2022-06-28", "2025-09-03", "2026-03-11"])
def test_every_version_gives_the_same_pages(version: str) -> None:
    vendor = NotionVendor()
    home = vendor.add_page("Home", ["text"])
    deals = vendor.add_database("Deals", {"Name": "title", "Stage": "select"}, parent=home)
    vendor.add_row(deals, {"Name": "Acme", "Stage": "Won"}, ["body"])

    found = items(asyncio.run(changed(made(vendor, version=version))))

    assert set(found) == {"Home", "Deals", "Acme"}
    assert found["Acme"].text == "Stage: Won\n\nbody"
    assert found["Acme"].container == "Deals"
    assert found["Deals"].kind == ("database" if version == "2022-06-28" else "data_source")


def test_limits_of_the_settings_replace_ours() -> None:
    vendor = NotionVendor()

    assert made(vendor)._api.session.peer.limits == ANY_RATE
    assert made(vendor, limits={})._api.session.peer.limits == {"all": Limit(3.0, 1.0, 6.0)}


def test_text_of_every_kind_arrives() -> None:
    vendor = NotionVendor()
    words = "emoji 👩🏽‍🚀, RTL שלום, 19 digits 1234567890123456789, NUL \x00."
    page = vendor.add_page(words, [words, block("quote", rich_text=rich(words))])

    item = asyncio.run(fetched(vendor, page))

    clean = words.replace("\x00", "")
    assert item.title == clean
    assert item.text == f"{clean}\n\n> {clean}"


@pytest.mark.parametrize("answer", [{}, {"results": None}, [], {"results": [None, 3], "has_more": True}])
def test_names_that_make_no_sense_cost_no_page(answer: Any) -> None:
    vendor = NotionVendor()
    home = vendor.add_page("Home")
    vendor.add_page("One", ["text"], author="Ada", parent=home)
    failing(vendor, Reply.json(answer), "/v1/users", f"/v1/pages/{home}")

    found = asyncio.run(changed(made(vendor)))

    assert items(found)["One"].text == "text"
    assert (items(found)["One"].author, skipped(found)) == (None, [])
