from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.config import ConnectorsConfig
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import (
    KeyRefused,
    Malformed,
    NoService,
    ServiceDown,
    ServiceError,
)
from sophiactl.connectors.salesforce_login import address
from sophiactl.errors import ConfigError
from sophiactl.testing.vendors.salesforce import SalesforceVendor
from sophiactl.testing.web_server import Reply
from tests.salesforce_runs import Clock, fetch, ping, search, session_only, use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.connectors.base import Item
    from sophiactl.connectors.salesforce import SalesforceConnector


@pytest.fixture
def salesforce() -> Iterator[SalesforceVendor]:
    with SalesforceVendor() as vendor:
        vendor.now = Clock()
        yield vendor
        assert not vendor.violations


def failing(vendor: SalesforceVendor, **options: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        ping(vendor, **options)
    return caught.value


# What has to be there


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        ((), "SALESFORCE_INSTANCE_URL"),
        (("SALESFORCE_CLIENT_ID", "SALESFORCE_CLIENT_SECRET"), "SALESFORCE_INSTANCE_URL"),
        (("SALESFORCE_INSTANCE_URL",), "SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET"),
        (("SALESFORCE_INSTANCE_URL", "SALESFORCE_CLIENT_ID"), "SALESFORCE_CLIENT_SECRET"),
        (("SALESFORCE_INSTANCE_URL", "SALESFORCE_CLIENT_SECRET"), "SALESFORCE_CLIENT_ID"),
        (("SALESFORCE_INSTANCE_URL", "SALESFORCE_REFRESH_TOKEN"), "SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET"),
    ],
)
def test_a_secret_that_is_missing_is_named(salesforce: SalesforceVendor, names: tuple[str, ...], missing: str) -> None:
    secrets = {name: salesforce.secrets.get(name, "5Aep861nothing") for name in names}
    with pytest.raises(ConfigError) as caught:
        ping(salesforce, secrets=secrets)
    assert caught.value.message == f"salesforce needs {missing}"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("https://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com/", "https://acme.my.salesforce.com"),
        ("acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        (" https://acme.my.salesforce.com/services/data/v63.0/ ", "https://acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com/services", "https://acme.my.salesforce.com"),
        ("https://acme.lightning.force.com/lightning/page/home", "https://acme.my.salesforce.com"),
        ("https://acme--dev.sandbox.lightning.force.com", "https://acme--dev.sandbox.my.salesforce.com"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ],
)
def test_the_address_may_be_written_in_many_ways(written: str, base: str) -> None:
    assert address("", written) == base
    assert address(written, "https://other.my.salesforce.com") == base


def test_a_proxy_of_ones_own_keeps_its_path() -> None:
    assert address("https://proxy.acme.example/sf/services/data/", "") == "https://proxy.acme.example/sf"


@pytest.mark.parametrize(
    "written",
    [
        "http://acme.my.salesforce.com",
        "https://acme.example",
        "https://my.salesforce.com.evil.example",
        "https://ada:pw@acme.my.salesforce.com",
        "https://evilsalesforce.com",
        "ftp://acme.my.salesforce.com",
        "https://[",
        "https://",
    ],
)
def test_a_secret_cannot_lead_the_other_secrets_elsewhere(written: str) -> None:
    with pytest.raises(ConfigError) as caught:
        address("", written)
    assert "pw" not in caught.value.message


@pytest.mark.parametrize("version", ["v63.0", "63.0", "v63", " 63 "])
def test_the_version_may_be_written_in_many_ways(salesforce: SalesforceVendor, version: str) -> None:
    ping(salesforce, api_version=version)
    assert salesforce.requests[1].path == "/services/data/v63.0"


@pytest.mark.parametrize("version", ["", "latest", "v63.0/../..", "v6"])
def test_a_version_that_is_none_is_refused(salesforce: SalesforceVendor, version: str) -> None:
    with pytest.raises(ConfigError, match="no version"):
        ping(salesforce, api_version=version)


@pytest.mark.parametrize("objects", [{"Account": ("Name FROM User--",)}, {"Account; x": ("Name",)}, {}])
def test_names_in_settings_are_checked(salesforce: SalesforceVendor, objects: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ConfigError):
        ping(salesforce, objects=objects)


# The login


def test_concurrent_calls_share_one_login(salesforce: SalesforceVendor) -> None:
    async def work(connector: SalesforceConnector) -> None:
        await asyncio.gather(*(connector.search("acme", 5, Deadline(20)) for _ in range(8)))

    use(salesforce, work)
    assert salesforce.logins == 1


def test_a_login_that_fails_fails_for_all_who_wait_for_it(salesforce: SalesforceVendor) -> None:
    salesforce.run_as = False

    async def work(connector: SalesforceConnector) -> list[Any]:
        calls = (connector.search("acme", 5, Deadline(20)) for _ in range(8))
        return await asyncio.gather(*calls, return_exceptions=True)

    errors = use(salesforce, work)
    assert all(isinstance(error, KeyRefused) for error in errors)
    assert len(salesforce.requests) == 1


@pytest.mark.parametrize(
    ("error", "description", "hint"),
    [
        ("invalid_client", "invalid client credentials", "validate"),
        ("invalid_client_id", "client identifier invalid", "validate"),
        ("invalid_grant", "no client credentials user enabled", "run as"),
        ("invalid_grant", "request not supported on this domain", "My Domain"),
        ("invalid_grant", "Client Credentials flow is not enabled", "enable"),
        ("unsupported_grant_type", "grant type not supported", "enable"),
        ("inactive_user", "user is inactive", "not active"),
    ],
)
def test_why_a_login_is_refused(salesforce: SalesforceVendor, error: str, description: str, hint: str) -> None:
    salesforce.queue(Reply.json({"error": error, "error_description": description}, 400))
    refused = failing(salesforce)
    assert isinstance(refused, KeyRefused)
    assert description in refused.message
    assert hint in (refused.hint or "")
    assert refused.stop


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply.html(200), Malformed),
        (Reply.html(404), Malformed),
        (Reply.json({"token_type": "Bearer"}), Malformed),
        (Reply.json([{"errorCode": "NOT_FOUND", "message": "no"}], 404), Malformed),
        (Reply.html(503), ServiceDown),
        (Reply.json({"error": "server_error"}, 400), ServiceDown),
        (Reply(302, headers={"Location": "https://login.salesforce.com"}), Malformed),
    ],
)
def test_a_login_that_is_none(salesforce: SalesforceVendor, reply: Reply, kind: type[ServiceError]) -> None:
    salesforce.queue(reply)
    assert isinstance(failing(salesforce, common=ConnectorsConfig(retries=0)), kind)


def test_a_login_at_too_fast_a_rate_is_tried_again(salesforce: SalesforceVendor) -> None:
    salesforce.queue(Reply.json({"error": "invalid_grant", "error_description": "login rate exceeded"}, 400), "503")
    assert ping(salesforce).workspace == "Acme Ltd"


def test_a_login_that_hangs_ends_with_the_deadline(salesforce: SalesforceVendor) -> None:
    salesforce.queue("hang")
    with pytest.raises(NoService, match="login"):
        use(salesforce, lambda connector: connector.search("acme", 5, Deadline(0.3)))


@pytest.mark.parametrize(
    "other", ["elsewhere", "https://evil.example", "http://acme.my.salesforce.com", "javascript:1", "https://["]
)
def test_a_login_cannot_lead_the_token_elsewhere(salesforce: SalesforceVendor, other: str) -> None:
    salesforce.instance_url = salesforce.elsewhere_url if other == "elsewhere" else other
    error = failing(salesforce)
    assert isinstance(error, Malformed)
    assert error.stop
    assert not salesforce.elsewhere
    assert len(salesforce.requests) == 1


def test_a_double_or_a_proxy_is_not_left_for_the_real_address(salesforce: SalesforceVendor) -> None:
    salesforce.instance_url = "https://acme.my.salesforce.com"
    deal = salesforce.add("Opportunity", Name="Renewal")
    assert fetch(salesforce, deal).url == f"https://acme.my.salesforce.com/lightning/r/Opportunity/{deal}/view"
    found = fetch(salesforce, deal, base_url=f"{salesforce.base_url}/services/data/v63.0/")
    assert found.url == f"https://acme.my.salesforce.com/lightning/r/Opportunity/{deal}/view"


def test_links_lead_to_the_organisation_when_a_proxy_is_asked(salesforce: SalesforceVendor) -> None:
    acme = salesforce.add("Account", Name="Acme")
    own = {**session_only(salesforce), "SALESFORCE_INSTANCE_URL": "https://acme.my.salesforce.com/"}
    found = fetch(salesforce, acme, secrets=own, base_url=salesforce.base_url)
    assert found.url == f"https://acme.my.salesforce.com/lightning/r/Account/{acme}/view"


def test_a_refresh_token_will_do_as_well(salesforce: SalesforceVendor) -> None:
    secrets = {**salesforce.secrets, "SALESFORCE_REFRESH_TOKEN": salesforce.refresh_token}
    del secrets["SALESFORCE_CLIENT_SECRET"]
    salesforce.expire_sessions()
    assert ping(salesforce, secrets=secrets).workspace == "Acme Ltd"


def test_a_session_that_is_there_is_used_and_no_login_made(salesforce: SalesforceVendor) -> None:
    assert ping(salesforce, secrets=session_only(salesforce)).workspace == "Acme Ltd"
    assert salesforce.logins == 0


def test_a_session_that_ends_is_renewed_once_and_the_call_repeated(salesforce: SalesforceVendor) -> None:
    acme = salesforce.add("Account", Name="Acme")

    async def work(connector: SalesforceConnector) -> list[Item]:
        await connector.fetch(acme, Deadline(20))
        salesforce.expire_sessions()
        return await asyncio.gather(*(connector.fetch(acme, Deadline(20)) for _ in range(5)))

    assert [found.id for found in use(salesforce, work)] == [acme] * 5
    assert salesforce.logins == 2


def test_a_new_session_that_is_refused_too_is_no_endless_loop(salesforce: SalesforceVendor) -> None:
    salesforce.session_calls = 0
    error = failing(salesforce)
    assert isinstance(error, KeyRefused)
    assert salesforce.logins == 2
    assert len(salesforce.requests) == 4


def test_no_secret_is_in_a_url_or_an_error(salesforce: SalesforceVendor) -> None:
    salesforce.queue(Reply.json({"error": "invalid_client", "error_description": salesforce.client_secret}, 400))
    error = failing(salesforce)
    search(salesforce, "acme")
    values = [value for name, value in salesforce.secrets.items() if "URL" not in name]
    shown = [
        error.message,
        error.hint or "",
        repr(error),
        *(seen.path + seen.raw_query for seen in salesforce.requests),
    ]
    assert not [value for value in values if any(value in text for text in shown)]
