"""All connectors against Prism, an independent judge of requests, with the vendors' API descriptions."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from sophiactl.connectors.base import Checkpoint, Identity
from sophiactl.connectors.config import ConnectorsConfig
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import ServiceError
from sophiactl.redaction import Secret
from sophiactl.registry import CONNECTORS, load
from sophiactl.web import WebSession
from tests.api_descriptions import writes
from tests.prism import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from sophiactl.connectors.base import Connector
    from tests.prism import Relay

pytestmark = pytest.mark.reference

SECONDS = 60
# What each service needs, in the forms that its keys have.
SECRETS = {
    "slack": {"SLACK_BOT_TOKEN": "xoxb-1-2-abcdefghijkl", "SLACK_USER_TOKEN": "xoxp-1-2-3-abcdefghijkl"},
    "gong": {"GONG_ACCESS_KEY": "ABCDEFGHIJKL", "GONG_ACCESS_KEY_SECRET": "abcdefghijklmnop"},
    "hubspot": {"HUBSPOT_ACCESS_TOKEN": "pat-na1-00000000-aaaa-bbbb-cccc-000000000000"},
    "salesforce": {"SALESFORCE_CLIENT_ID": "3MVG9abcdefghijk", "SALESFORCE_CLIENT_SECRET": "ABCDEF0123456789"},
    "notion": {"NOTION_API_KEY": "ntn_abcdefghijklmnop"},
    "asana": {"ASANA_ACCESS_TOKEN": "2/1200000000000000/1200000000000001:abcdef0123456789"},
}


def made(service: str, base_url: str, web: WebSession) -> Connector:
    module = CONNECTORS[service].partition(":")[0]
    if find_spec(module) is None:
        pytest.skip(f"{module} is not there")
    common = ConnectorsConfig()
    config = replace(getattr(common, service), base_url=base_url)
    keys = {**SECRETS[service], **({"SALESFORCE_INSTANCE_URL": base_url} if service == "salesforce" else {})}
    secrets = {name: Secret(value) for name, value in keys.items()}
    connector: Connector = load(CONNECTORS, service, "connector")(config, common, secrets, web)
    return connector


async def read_first_page(connector: Connector) -> None:
    async for change in connector.changes(None):
        if isinstance(change, Checkpoint):
            return


async def use(service: str, relay: Relay) -> dict[str, tuple[int, object]]:
    """How many requests each verb takes, and what it comes to: examples may make no sense together."""
    found: dict[str, tuple[int, object]] = {}
    async with WebSession(proxies={}) as web:
        connector = made(service, relay.base_url, web)
        verbs: dict[str, Callable[[], Awaitable[object]]] = {
            "ping": lambda: connector.ping(Deadline(SECONDS)),
            "search": lambda: connector.search("acme", 5, Deadline(SECONDS)),
            "changes": lambda: asyncio.wait_for(read_first_page(connector), SECONDS),
        }
        for verb, work in verbs.items():
            before = len(relay.requests)
            try:
                answer = await work()
            except ServiceError as error:
                answer = error
            found[verb] = (len(relay.requests) - before, answer)
        await connector.close()
    return found


@pytest.mark.parametrize("service", CONNECTORS)
def test_prism_finds_nothing_wrong_with_our_requests(shared: Path, service: str) -> None:
    with serving(shared / "api-specs" / f"{service}.json") as relay:
        found = asyncio.run(use(service, relay))
        assert not relay.wrong, "\n".join(relay.wrong)
        assert isinstance(found["ping"][1], Identity), found["ping"]
        assert found["changes"][0] >= 1
        assert [seen for seen in relay.requests if writes(seen)] == []
        assert [status for _, status in relay.statuses if status >= 400] == []


def test_prism_does_find_what_is_wrong(shared: Path) -> None:
    """A judge that never finds anything proves nothing."""
    from sophiactl.web import WebRequest

    with serving(shared / "api-specs" / "notion.json") as relay:

        async def ask() -> int:
            async with WebSession(proxies={}) as web:
                request = WebRequest("POST", f"{relay.base_url}/v1/search", {"Authorization": "Bearer k"}, b"{}")
                return (await web.send(request, hosts=("127.0.0.1",), deadline=SECONDS)).status

        assert asyncio.run(ask()) >= 400
        assert relay.wrong
