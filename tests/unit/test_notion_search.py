"""Notion searched by title, and what a sync will cost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.config import Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import (
    KeyRefused,
)
from sophiactl.connectors.notion import TITLES_ONLY
from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.web_server import Reply
from tests.notion_workspaces import (
    SOON,
    changed,
    made,
    over_http,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def notion() -> Iterator[NotionVendor]:
    with NotionVendor() as vendor:
        yield vendor


# Search


def test_search_finds_titles_and_gives_their_text() -> None:
    vendor = NotionVendor()
    for number in range(8):
        vendor.add_page(f"Renewal {number}", [f"body {number}"], author="Ada")
    vendor.add_page("Other", ["about a renewal"])

    found = asyncio.run(made(vendor).search("renewal", 7, Deadline(SOON)))

    assert len(found.items) == 7
    assert all(item.title.startswith("Renewal") for item in found.items)
    assert [bool(item.text) for item in found.items] == [True] * 5 + [False] * 2
    assert found.notes == (TITLES_ONLY, "2 of 7 are given without the text of their blocks")
    assert vendor.requests[0].json() == {"page_size": 7, "query": "renewal"}


def test_search_with_more_than_a_page_of_results() -> None:
    vendor = NotionVendor()
    for number in range(130):
        vendor.add_page(f"Plan {number}")

    found = asyncio.run(made(vendor).search("plan", 120, Deadline(SOON)))

    assert len({item.id for item in found.items}) == 120
    assert asyncio.run(made(vendor).search("plan", 0, Deadline(SOON))).items == ()
    assert asyncio.run(made(vendor).search("nowhere", 5, Deadline(SOON))).items == ()


def test_a_search_gives_titles_where_time_does_not_suffice_for_more(notion: NotionVendor) -> None:
    notion.add_page("Renewal", ["body"])
    notion.queue("ok", "hang", "hang", "hang")

    found = over_http(notion, lambda one: one.search("renewal", 5, Deadline(1.0)))

    assert [(item.title, item.text) for item in found.items] == [("Renewal", "")]
    assert "1 of 1 are given without" in found.notes[1]


@pytest.mark.parametrize("fault", ["404", "403", "400"])
def test_a_page_that_is_found_and_cannot_be_read_keeps_its_title(notion: NotionVendor, fault: str) -> None:
    notion.add_page("Renewal", ["body"])
    notion.queue("ok", fault)

    found = over_http(notion, lambda one: one.search("renewal", 5, Deadline(SOON)))

    assert [(item.title, item.text) for item in found.items] == [("Renewal", "")]


def test_a_key_that_dies_meanwhile_ends_a_search(notion: NotionVendor) -> None:
    notion.add_page("Renewal", ["body"])
    notion.queue("ok", "401", "401")

    with pytest.raises(KeyRefused):
        over_http(notion, lambda one: one.search("renewal", 5, Deadline(SOON)))


def test_what_lies_in_the_trash_is_not_found(notion: NotionVendor) -> None:
    page = {"object": "page", "id": "p", "properties": {}}
    both = [{**page, "in_trash": True}, {**page, "archived": True}, None, {"object": "page"}]
    notion.queue(Reply.json({"object": "list", "results": both, "has_more": True, "next_cursor": None}))

    found = over_http(notion, lambda one: one.search("x", 5, Deadline(SOON)))

    assert found.items == ()
    assert "there may be more" in found.notes[1]


# Cost


def test_the_cost_of_a_small_workspace_is_counted() -> None:
    vendor = NotionVendor()
    for number in range(150):
        vendor.add_page(f"Page {number}", ["text"], at=f"2026-01-{number % 28 + 1:02}")
    one = made(vendor, limits={"all": Limit(3.0, 1.0, 6.0)})

    async def run() -> Any:
        whole = await one.cost(None, Deadline(SOON))
        part = await one.cost("2026-01-28", Deadline(SOON))
        vendor.requests.clear()
        await changed(made(vendor))
        return whole, part

    whole, part = asyncio.run(run())

    assert whole.items == 150
    assert whole.requests >= len(vendor.requests)
    assert whole.requests <= 1.1 * len(vendor.requests)
    assert whole.seconds == pytest.approx((whole.requests - 6) / 3, abs=0.1)
    assert part.items == 5


def test_the_cost_of_a_large_workspace_is_not_known() -> None:
    vendor = NotionVendor()
    for number in range(600):
        vendor.add_page(f"Page {number}")

    found = asyncio.run(made(vendor).cost(None, Deadline(SOON)))

    assert (found.items, found.requests, found.seconds) == (None, None, None)
    assert "more than 500" in found.basis
