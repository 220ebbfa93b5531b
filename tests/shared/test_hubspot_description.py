"""Every request of HubSpot's connector against HubSpot's own description; and the vendor's answers against it too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jsonschema import Draft4Validator

from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.hubspot_kinds import KINDS, Names, record
from sophiactl.testing.vendors.hubspot import HubSpotVendor
from tests.api_descriptions import checker, writes
from tests.hubspot_reading import applied, changes, cursor_of, fetch, reading, reconciled, search

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sophiactl.testing.web_server import Reply, Seen

NOON = 1_773_000_000_000


class Noted(HubSpotVendor):
    """Keeps what it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[Seen, Reply]] = []

    def answer(self, seen: Seen) -> Reply:
        reply = super().answer(seen)
        self.answers.append((seen, reply))
        return reply


@pytest.fixture
def hub(shared: Path) -> Iterator[Noted]:
    with Noted() as vendor:
        vendor.check = checker(shared, "hubspot")
        ada, eve = vendor.add_owner("Ada", "Lovelace"), vendor.add_owner("Eve", left=True)
        acme = vendor.add_company("Acme", "acme.com", at=NOON)
        for number in range(260):
            vendor.add_contact(f"P{number}", associatedcompanyid=acme, at=NOON + number // 250)
        for number in range(3):
            vendor.add_deal(f"Acme {number}", company=acme, hubspot_owner_id=ada, at=NOON + number)
            vendor.add_ticket(f"Acme {number}", "It <b>fails</b>", at=NOON + number)
            vendor.add_note("<p>Acme</p>", owner=eve, at=NOON + number)
        yield vendor


def everything(hub: Noted) -> None:
    """All that the connector can ask."""
    reading(hub, lambda connector: connector.ping(Deadline(20)))
    reading(hub, lambda connector: connector.cost("2026-01-01", Deadline(20)))
    first = changes(hub)
    contacts = [str(number) for number in hub.rows["contacts"]]
    hub.edit("contacts", contacts[5], phone="5")
    hub.merge("contacts", contacts[6], contacts[7])
    hub.archive("contacts", contacts[8])
    second = changes(hub, cursor_of(first), page_size=7)
    changes(hub, since="2026-01-01T00:00:00Z", page_size=50)
    search(hub, "acme", 500)
    search(hub, "é😀 " * 2_000)
    state = applied(second, applied(first))
    reconciled(hub, [*state, "contacts/5"])
    for kind in KINDS:
        fetch(hub, next(name for name in state if name.startswith(kind)))


def test_every_request_is_described_and_none_writes(hub: Noted) -> None:
    everything(hub)
    assert hub.violations == []
    assert not [seen for seen in hub.requests if writes(seen)]
    asked = {(seen.method, re.sub(r"\d{6,}", "ID", seen.path)) for seen in hub.requests}
    assert len(asked) == 2 + 3 * len(KINDS)  # the account, the owners; of each kind its search, its listing, one
    assert all(hub.token not in f"{seen.path}?{seen.raw_query}{seen.body!r}" for seen in hub.requests)


def test_the_check_would_see_what_is_wrong(hub: Noted) -> None:
    hub.queue("ok")
    reading(hub, lambda connector: connector._session.call(_wrong(), Deadline(9)))
    assert len(hub.violations) == 2


def _wrong() -> Any:
    from sophiactl.connectors.session import Call

    return Call("POST", "/crm/v3/objects/deals/search", {"hapi": "x"}, json={"limit": 10, "order": "up"})


def test_the_vendor_answers_as_described_but_for_nulls(hub: Noted, shared: Path) -> None:
    """Real answers have nulls where the description knows of none (reference, section 2); so has the vendor."""
    everything(hub)
    description = msgspec.json.decode((shared / "api-specs" / "hubspot.json").read_bytes())
    paths = {re.sub(r"\{\w+\}", "[^/]+", path): item for path, item in description["paths"].items()}
    wrong = set()
    for seen, reply in hub.answers:
        item = next(item for path, item in paths.items() if re.fullmatch(path, seen.path))
        schema = item[seen.method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]
        judge = Draft4Validator({**schema, "components": description["components"]})
        for error in judge.iter_errors(msgspec.json.decode(reply.body)):
            if error.instance is not None:
                wrong.add(f"{seen.path}: {error.json_path}: {error.message}")
    assert len(hub.answers) > 30
    assert wrong == set()


@pytest.mark.parametrize("kind", ["companies", "tickets"])
def test_recorded_answers_are_read(shared: Path, kind: str) -> None:
    description = msgspec.json.decode((shared / "api-specs" / "hubspot.json").read_bytes())
    answers = description["paths"][f"/crm/v3/objects/{kind}/search"]["post"]["responses"]["200"]
    recorded = answers["content"]["application/json"]["example"]["results"]
    items = [record(KINDS[kind], raw, Names()) for raw in recorded]
    assert len(items) > 1
    for raw, item in zip(recorded, items, strict=True):
        assert item is not None
        assert (item.id, item.url) == (f"{kind}/{raw['id']}", raw["url"])
        assert item.title in raw["properties"].values()
        assert item.updated_at == f"{raw['updatedAt'][:19]}Z"
        assert "None" not in item.text
