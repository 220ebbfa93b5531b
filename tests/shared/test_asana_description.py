"""Every request to Asana is one that its own API description allows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sophiactl.connectors.deadline import Deadline
from sophiactl.testing.vendors.asana import AsanaVendor
from sophiactl.web import WebRequest, WebSession
from tests.api_descriptions import checker, writes
from tests.asana_office import collected, cursor, items, over_http, removed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def asana(shared: Path) -> Iterator[AsanaVendor]:
    with AsanaVendor() as vendor:
        vendor.check = checker(shared, "asana")
        sales, other = vendor.add_project("Sales"), vendor.add_project("Other", archived=True)
        for number in range(230):
            projects = [sales, other] if number % 10 == 0 else [sales]
            gid = vendor.add_task(projects, f"Renewal {number}", "Notes", author="Grace Hopper", at="2026-01-02")
            if number % 7 == 0:
                vendor.comment(gid, "Ada Lovelace", f"Words {number}", at="2026-01-03")
        yield vendor


def test_every_request_is_described_and_none_writes(asana: AsanaVendor) -> None:
    over_http(asana, lambda made: made.ping(Deadline(20)))
    over_http(asana, lambda made: made.search("renewal", 30, Deadline(20)))
    asana.premium = False
    over_http(asana, lambda made: made.search("renewal & co", 30, Deadline(20)))
    first = over_http(asana, lambda made: collected(made.changes(None)))
    over_http(asana, lambda made: collected(made.changes(cursor(first))))
    over_http(asana, lambda made: collected(made.changes(None, since="2026-01-01")))
    known = [item.id for item in items(first).values()]
    over_http(asana, lambda made: made.fetch(known[0], Deadline(20)))
    over_http(asana, lambda made: made.cost("2026-01-01", Deadline(20)))
    asana.delete_task(known[1])
    gone = over_http(asana, lambda made: collected(made.reconcile(known)))

    assert len(known) == 230
    assert removed(gone) == [known[1]]
    assert asana.violations == []
    assert len(asana.requests) > 400
    assert not [seen for seen in asana.requests if writes(seen) or asana.token in f"{seen.path}?{seen.raw_query}"]


def test_check_finds_what_is_wrong(asana: AsanaVendor) -> None:
    async def main() -> None:
        async with WebSession(proxies={}) as web:
            url = f"{asana.address}/api/1.0/tasks?limit=500&opt_fields=salary"
            await web.send(
                WebRequest("GET", url, {"Authorization": f"Bearer {asana.token}"}, None),
                hosts=("127.0.0.1",),
                deadline=10,
            )

    asyncio.run(main())
    assert len(asana.violations) >= 2
