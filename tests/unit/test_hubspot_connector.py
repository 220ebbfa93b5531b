"""HubSpot's connector: identity, addresses, search, cost and reconcile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors import errors
from sophiactl.connectors.config import ConnectorsConfig, HubSpotConfig, Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.hubspot import HubSpotConnector
from sophiactl.errors import ConfigError
from sophiactl.redaction import Redactor, Secret
from sophiactl.testing.vendors.hubspot import HubSpotVendor
from sophiactl.testing.web_server import Reply
from sophiactl.web import WebAnswer, WebRequest, WebSession
from tests.hubspot_reading import FAST, NOON, Pauses, changes, fetch, reading, reconciled, search, searches, upserts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sophiactl.connectors.base import Identity, Item

TOKEN = "HUBSPOT_ACCESS_TOKEN"  # noqa: S105 - its name


@pytest.fixture
def hub() -> Iterator[HubSpotVendor]:
    with HubSpotVendor() as vendor:
        yield vendor


def ping(hub: HubSpotVendor, **settings: Any) -> Identity:
    return reading(hub, lambda connector: connector.ping(Deadline(20)), **settings)


def made(secrets: Mapping[str, str], **settings: Any) -> HubSpotConnector:
    hidden = {name: Secret(value, redactor=Redactor()) for name, value in secrets.items()}
    return HubSpotConnector(HubSpotConfig(**settings), ConnectorsConfig(), hidden, WebSession())


# Identity, secrets, addresses


def test_ping_tells_the_hub_and_sends_the_token_in_the_header_alone(hub: HubSpotVendor) -> None:
    told = ping(hub)
    assert (told.service, told.workspace) == ("hubspot", f"hub {hub.portal_id} (app-eu1.hubspot.com)")
    (seen,) = hub.requests
    assert seen.path == "/account-info/v3/details"
    assert seen.headers["authorization"] == f"Bearer {hub.token}"
    assert hub.token not in seen.path + seen.raw_query


def test_ping_says_when_the_account_is_no_usual_one(hub: HubSpotVendor) -> None:
    assert ping(hub).notes == ()
    hub.account_type = "DEVELOPER_TEST"
    assert ping(hub).notes == ("this is a developer test account",)


@pytest.mark.parametrize("secrets", [{}, {TOKEN: ""}, {TOKEN: " \n"}])
def test_without_a_token_there_is_no_connector(secrets: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as missing:
        made(secrets)
    assert TOKEN in f"{missing.value.hint}"


def test_the_retired_key_is_no_token_and_is_never_sent(hub: HubSpotVendor) -> None:
    with pytest.raises(ConfigError, match=TOKEN) as missing:
        made({"HUBSPOT_API_KEY": "3f2a-not-a-key"})
    assert "retired" in f"{missing.value.hint}"
    assert "3f2a" not in f"{missing.value} {missing.value.hint}"

    async def run() -> None:
        secrets = {name: Secret(value, redactor=Redactor()) for name, value in hub.secrets.items()}
        secrets["HUBSPOT_API_KEY"] = Secret("3f2a-not-a-key", redactor=Redactor())
        async with WebSession() as web:
            connector = HubSpotConnector(HubSpotConfig(base_url=hub.address), ConnectorsConfig(), secrets, web)
            await connector.ping(Deadline(10))

    asyncio.run(run())
    assert all("3f2a" not in f"{seen.path}{seen.raw_query}{seen.headers}{seen.body!r}" for seen in hub.requests)


def test_white_space_around_the_token_is_left_out(hub: HubSpotVendor) -> None:
    async def run() -> None:
        secrets = {TOKEN: Secret(f" {hub.token}\n", redactor=Redactor())}
        async with WebSession() as web:
            await HubSpotConnector(HubSpotConfig(base_url=hub.address), ConnectorsConfig(), secrets, web).ping(
                Deadline(9)
            )

    asyncio.run(run())
    assert hub.requests[0].headers["authorization"] == f"Bearer {hub.token}"


@pytest.mark.parametrize("ending", ["", "/", "//", "/crm", "/crm/v3", "/crm/v3/", "/crm/v3/objects", "/v3"])
def test_the_base_url_may_be_written_in_many_ways(hub: HubSpotVendor, ending: str) -> None:
    ping(hub, base_url=f"{hub.address}{ending}")
    assert hub.requests[0].path == "/account-info/v3/details"


def test_the_usual_address_and_the_hosts_that_may_be_asked() -> None:
    peer = made({TOKEN: "pat-na1-x"})._session.peer
    assert (peer.base_url, peer.hosts) == ("https://api.hubapi.com", ("api.hubapi.com",))
    peer = made({TOKEN: "pat-na1-x"}, base_url="https://proxy.acme.example/hub/")._session.peer
    assert (peer.base_url, peer.hosts) == ("https://proxy.acme.example/hub", ("api.hubapi.com", "proxy.acme.example"))


def test_a_kind_that_cannot_be_read_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="meetings") as wrong:
        made({TOKEN: "pat-na1-x"}, objects=("contacts", "meetings"))
    assert "companies" in f"{wrong.value.hint}"


# Search


def test_a_search_asks_every_kind_and_merges_by_rank(hub: HubSpotVendor) -> None:
    people = [hub.add_contact("Acme", f"Person {number}", at=NOON + number) for number in range(3)]
    acme = hub.add_company("Acme", at=NOON)
    deal = hub.add_deal("Acme renewal", company=acme, at=NOON)
    hub.add_deal("Other")
    found = search(hub, "acme", limit=4)
    assert [item.id for item in found.items] == [
        f"contacts/{people[0]}", f"companies/{acme}", f"deals/{deal}", f"contacts/{people[1]}",
    ]  # fmt: skip
    assert found.notes == ()
    assert found.items == tuple(fetch(hub, item.id) for item in found.items)


def test_a_search_for_nothing_asks_nothing(hub: HubSpotVendor) -> None:
    hub.add_contact("Ada")
    assert search(hub, "  \n").items == ()
    assert search(hub, "ada", limit=0).items == ()
    assert hub.requests == []


def test_a_query_is_cut_at_what_is_taken_and_that_is_said(hub: HubSpotVendor) -> None:
    found = search(hub, "wörd " * 900)
    assert found.notes == ("only the first 2,999 characters were searched for",)
    assert all(len(body["query"]) == 2_999 for body in searches(hub))


def test_a_search_goes_on_without_the_kinds_that_may_not_be_read(hub: HubSpotVendor) -> None:
    hub.add_contact("Acme")
    hub.scopes = {"crm.objects.contacts.read"}
    found = search(hub, "acme")
    assert [item.kind for item in found.items] == ["contact"]
    assert len(found.notes) == 3
    assert all("scope" in note for note in found.notes)
    hub.scopes = set()
    with pytest.raises(errors.MissingScope):
        search(hub, "acme")


def test_a_search_returns_what_came_until_the_deadline(hub: HubSpotVendor) -> None:
    hub.add_contact("Acme")
    hub.queue(lambda seen: Reply(ending="hang") if "deals" in seen.path else hub.answer(seen))
    for _ in range(8):
        hub.queue(lambda seen: Reply(ending="hang") if "deals" in seen.path else hub.answer(seen))

    async def work(connector: HubSpotConnector) -> Any:
        return await connector.search("acme", 5, Deadline(0.6))

    found = reading(hub, work)
    assert [item.kind for item in found.items] == ["contact"]
    assert [note.partition(" ")[0] for note in found.notes] == ["deals"]


def test_searches_and_calls_keep_to_hubspots_limits(hub: HubSpotVendor, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses()
    sent: list[tuple[float, str]] = []
    send = WebSession.send

    async def noted(self: WebSession, request: WebRequest, **more: Any) -> WebAnswer:
        sent.append((pauses.time, request.url))
        return await send(self, request, **more)

    monkeypatch.setattr(WebSession, "send", noted)
    numbers = [hub.add_contact(f"P{number}", at=NOON + number) for number in range(30)]

    async def work(connector: HubSpotConnector) -> None:
        deadline = Deadline(1e6, lambda: pauses.time)
        await asyncio.gather(*(connector.search("p", 5, deadline) for _ in range(5)))
        await asyncio.gather(*(connector.fetch(f"contacts/{number}", deadline) for number in numbers * 4))

    reading(hub, work, limits={}, tools=pauses.tools())
    searched = [at for at, url in sent if url.endswith("/search")]
    assert len(searched) == 25
    assert max(sum(at <= other < at + 1 for other in searched) for at in searched) <= 5
    assert len(sent) >= 145
    assert max(sum(at <= other < at + 10 for other, _ in sent) for at, _ in sent) <= 100


def test_the_users_own_limits_hold(hub: HubSpotVendor) -> None:
    connector = made({TOKEN: "pat-na1-x"}, limits={"search": Limit(1.0, 2.0)})
    assert connector._session.peer.limits["search"] == Limit(1.0, 2.0)


# Cost, reconcile


def test_the_cost_of_a_first_sync(hub: HubSpotVendor) -> None:
    for number in range(401):
        hub.add_contact("P", at=NOON + number)
    hub.add_company("Acme", at=NOON)
    hub.scopes.discard("tickets")
    cost = reading(
        hub, lambda connector: connector.cost(None, Deadline(20)), limits=FAST | {"search": Limit(4.0, 1e-3)}
    )
    assert cost.items == 402
    assert "tickets" in cost.basis
    told = cost.requests
    hub.scopes.add("tickets")
    hub.requests.clear()
    changes(hub)
    assert told is not None
    assert abs(told - len(hub.requests)) <= 3
    recent = reading(hub, lambda connector: connector.cost("2026-03-08T20:00:00.400Z", Deadline(20)))
    assert recent.items == 1


def test_reconcile_names_what_is_gone_and_nothing_else(hub: HubSpotVendor) -> None:
    kept = [hub.add_contact(f"P{number}") for number in range(250)]
    deleted, archived, loser = (hub.add_contact(name) for name in ("Ada", "Bob", "Cyd"))
    hub.delete("contacts", deleted)
    hub.archive("contacts", archived)
    hub.merge("contacts", kept[0], loser)
    deal = hub.add_deal("Acme")
    hub.scopes.discard("crm.objects.deals.read")
    known = [f"contacts/{number}" for number in (*kept, deleted, archived, loser)]
    stream = reconciled(hub, [*known, f"deals/{deal}", "deals/5", "meetings/1", "x"])
    gone = [change.id for change in stream if hasattr(change, "id")]
    assert sorted(gone) == sorted(f"contacts/{number}" for number in (deleted, archived, loser))
    assert [change.ref for change in stream if hasattr(change, "ref")] == ["deals"]
    assert stream[-1].done  # type: ignore[union-attr]
    assert not [seen for seen in hub.requests if seen.method != "GET"]


@pytest.mark.parametrize("page", [Reply.json({}), Reply.json({"results": None}), Reply.json([])])
def test_reconcile_concludes_nothing_from_an_answer_without_a_list(hub: HubSpotVendor, page: Reply) -> None:
    hub.queue(page)
    with pytest.raises(errors.Malformed):
        reconciled(hub, ["contacts/1"])


def test_an_endless_listing_ends(hub: HubSpotVendor) -> None:
    page = Reply.json({"results": [{"id": "2"}], "paging": {"next": {"after": "2"}}})
    hub.queue(*[page] * 5)
    with pytest.raises(errors.Malformed, match="same cursor"):
        reconciled(hub, ["contacts/1", "contacts/2"])
    assert len(hub.requests) == 2


def test_reading_names_costs_one_call_a_page_and_not_one_a_record(hub: HubSpotVendor) -> None:
    companies = [hub.add_company(f"C{number}", at=NOON) for number in range(60)]
    owners = [hub.add_owner(f"O{number}") for number in range(150)]
    for number in range(300):
        hub.add_deal(
            f"D{number}", company=companies[number % 60], hubspot_owner_id=owners[number % 150], at=NOON + number
        )
    items: list[Item] = upserts(changes(hub, objects=("deals",)))
    assert {item.container for item in items} == {f"C{number}" for number in range(60)}
    assert {item.author for item in items} == {f"O{number}" for number in range(150)}
    # account 1, owners 2 pages and those who left 1, searches 3, names of companies 1, the bin 1
    assert len(hub.requests) <= 10
