"""What single verifiers ask, and where: addresses in secrets, side effects, two names for one secret, kinds of keys."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from sophiactl import registry
from sophiactl.redaction import Redactor, Secret
from sophiactl.secrets.config import LiveConfig, Service
from sophiactl.secrets.live import runner, salesforce, slack
from sophiactl.testing.identity_answers import LETTERS, VENDORS
from sophiactl.testing.identity_server import OAUTH_CLIENT, IdentityServer
from sophiactl.testing.web_server import Reply
from sophiactl.web import checked_address
from tests.live_probes import BLOCKED, EXPIRED, INVALID, LIMITED, SKIPPED, UNKNOWN, VALID, ask, probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sophiactl.secrets.live.base import Probe

TEXT = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def server() -> Iterator[IdentityServer]:
    with IdentityServer() as double:
        yield double


@pytest.fixture(autouse=True)
def fresh(server: IdentityServer) -> None:
    server.says.clear()
    server.requests.clear()


def secrets(values: dict[str, str]) -> dict[str, Secret]:
    return {name: Secret(value, redactor=Redactor()) for name, value in values.items()}


def holding(server: IdentityServer, service: str, values: dict[str, str], **changes: Any) -> Probe:
    return probe(server, service, values=secrets(values), **changes)


@pytest.mark.parametrize("service", sorted(registry.VERIFIERS))
def test_the_catalogue_and_the_verifier_mean_the_same(repository: Path, service: str) -> None:
    """Names, hosts and base URLs that ship are those that the verifier asks with."""
    shipped = yaml.safe_load((repository / "configs" / "secrets.yaml").read_text())
    known = msgspec.convert(shipped["services"], dict[str, Service])[service]
    assert known.live == service
    names = VENDORS[service].values if service in VENDORS else {"SOPHIACTL_RUNS_PASSWORD": ""}
    assert set(names) <= set(known.secrets)
    made = runner.probe_for(service, known, {}, LiveConfig())
    assert made is not None
    assert not made.base_url or checked_address(made.base_url, made.hosts).scheme == "https"


class TestSlack:
    HOOK = "/services/T012AB3C4/B012AB3C4/qWeRtYuIoPaSdFgHjKlZxCvB"
    APP = "xapp-1-A012AB3C4-123456789012-0123456789abcdef"

    def test_every_token_is_asked_about(self, server: IdentityServer) -> None:
        bot = VENDORS["slack"].values["SLACK_BOT_TOKEN"]
        checks = ask(holding(server, "slack", {"SLACK_BOT_TOKEN": bot, "SLACK_USER_TOKEN": "xoxp-1-2-3"}))
        assert [(check.names, check.verdict) for check in checks] == [
            (("SLACK_BOT_TOKEN",), VALID),
            (("SLACK_USER_TOKEN",), INVALID),
        ]
        assert checks[0].scopes == ("channels:history", "users:read")
        assert checks[0].identity["workspace"] == "Acme"

    def test_a_rotating_token_says_when_it_ends(self, server: IdentityServer) -> None:
        good = msgspec.json.decode(VENDORS["slack"].calls[0].good.body)
        server.says["slack"] = Reply.json({**good, "expires_in": 43_200})
        (check,) = ask(probe(server, "slack"))
        ends = datetime.fromisoformat(check.expires_at or "")
        assert timedelta(hours=11) < ends - datetime.now(UTC) < timedelta(hours=13)

    def test_an_app_s_token_needs_no_side_effect(self, server: IdentityServer) -> None:
        server.says["slack"] = Reply.json({"ok": True, "app_name": "sophia", "app_id": "A012AB3C4"})
        (check,) = ask(holding(server, "slack", {"SLACK_APP_TOKEN": self.APP}))
        assert (check.verdict, check.identity["app_id"]) == (VALID, "A012AB3C4")
        assert [seen.path for seen in server.requests] == ["/slack/api/auth.test"]

    def test_a_connection_is_opened_only_when_asked_for(self, server: IdentityServer) -> None:
        refused = Reply.json({"ok": False, "error": "not_allowed_token_type"})
        server.says["slack"] = refused
        (check,) = ask(holding(server, "slack", {"SLACK_APP_TOKEN": self.APP}))
        assert (check.verdict, len(server.requests)) == (SKIPPED, 1)
        server.says.clear()
        ticket = "wss://wss-primary.slack.com/link/?ticket=secret-ticket"
        server.queue(refused, Reply.json({"ok": True, "url": ticket}))
        (check,) = ask(holding(server, "slack", {"SLACK_APP_TOKEN": self.APP}, side_effects=True))
        assert check.verdict is VALID
        assert "ticket" not in repr(check)
        assert server.requests[-1].path == "/slack/api/apps.connections.open"

    def test_a_webhook_is_posted_to_only_when_asked_for(self, server: IdentityServer) -> None:
        values = {"SLACK_WEBHOOK_URL": f"https://hooks.slack.com{self.HOOK}"}
        (check,) = ask(holding(server, "slack", values))
        assert (check.verdict, server.requests) == (SKIPPED, [])
        server.says["slack"] = Reply(400, b"invalid_payload", TEXT)
        (check,) = ask(holding(server, "slack", values, side_effects=True))
        assert check.verdict is VALID
        (seen,) = server.requests
        with pytest.raises(msgspec.DecodeError):
            seen.json()

    def test_a_webhook_that_starts_a_workflow_is_left_alone(self, server: IdentityServer) -> None:
        values = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/triggers/T0/1/abc"}
        (check,) = ask(holding(server, "slack", values, side_effects=True))
        assert (check.verdict, server.requests) == (SKIPPED, [])

    @pytest.mark.parametrize(
        "url", ["https://hooks.slack.com.evil.example/services/T/B/x", "http://hooks.slack.com/services/a", "no"]
    )
    def test_a_webhook_elsewhere_is_not_posted_to(self, server: IdentityServer, url: str) -> None:
        made = holding(server, "slack", {"SLACK_WEBHOOK_URL": url}, side_effects=True, fixed=False)
        (check,) = ask(msgspec.structs.replace(made, hosts=("slack.com", "hooks.slack.com")))
        assert check.verdict in {UNKNOWN, SKIPPED}

    @pytest.mark.parametrize(
        ("status", "body", "verdict"),
        [
            *[(400, word, VALID) for word in (b"invalid_payload", b"no_text")],
            *[(status, b"invalid_token", INVALID) for status in (400, 403)],
            *[(404, word, INVALID) for word in (b"no_service", b"no_team")],
            *[(404, b"channel_not_found", LIMITED), (410, b"channel_is_archived", LIMITED)],
            *[(403, b"action_prohibited", LIMITED), (403, b"team_disabled", BLOCKED), (200, b"ok", VALID)],
            *[(status, b"<html>ok</html>", UNKNOWN) for status in (200, 403, 404)],
            *[(status, b"", UNKNOWN) for status in (200, 400, 403, 404)],
            *[(200, b"{}", UNKNOWN), (302, b"ok", UNKNOWN), (400, b"Bad Request", UNKNOWN)],
            *[(500, b"rollup_error", UNKNOWN), (429, b"rate_limited", UNKNOWN)],
        ],
    )
    def test_what_a_webhook_answers(self, server: IdentityServer, status: int, body: bytes, verdict: Any) -> None:
        server.says["slack"] = Reply(status, body, TEXT)
        values = {"SLACK_WEBHOOK_URL": f"https://hooks.slack.com{self.HOOK}"}
        (check,) = ask(holding(server, "slack", values, side_effects=True))
        assert check.verdict is verdict
        assert self.HOOK not in repr(check)

    def test_every_known_code_has_one_meaning(self) -> None:
        groups = [slack._REFUSED, slack._BLOCKED, slack._LIMITED]
        assert len(frozenset.union(*groups)) == sum(map(len, groups))


class TestGong:
    @pytest.mark.parametrize("tail", ["", "/", "/v2", "/v2/"])
    def test_the_company_s_own_address(self, server: IdentityServer, tail: str) -> None:
        values = {**VENDORS["gong"].values, "GONG_BASE_URL": f"{server.url('gong')}{tail}"}
        (check,) = ask(holding(server, "gong", values, base_url="https://api.gong.io", fixed=False))
        assert check.verdict is VALID
        assert check.names[-1] == "GONG_BASE_URL"
        key, _, secret = b64decode(server.requests[0].headers["authorization"][6:]).decode().partition(":")
        assert [key, secret] == list(VENDORS["gong"].values.values())

    @pytest.mark.parametrize(
        "url",
        [
            *["https://evil.example", "https://api.gong.io.evil.example", "https://api.gong.io@evil.example"],
            *["http://api.gong.io", "https://notapi.gong.io", "api.gong.io", "https://user:pw@api.gong.io"],
            *["file:///etc/passwd", "https://[::1", "http://127.0.0.1:9"],
        ],
    )
    def test_an_address_that_the_key_is_not_sent_to(self, server: IdentityServer, url: str) -> None:
        values = {**VENDORS["gong"].values, "GONG_BASE_URL": url}
        hosts = ("api.gong.io", "*.api.gong.io")
        (check,) = ask(holding(server, "gong", values, fixed=False, allow_loopback=False, hosts=hosts))
        assert check.verdict is UNKNOWN
        assert not server.requests

    def test_half_of_it_is_skipped(self, server: IdentityServer) -> None:
        (check,) = ask(holding(server, "gong", {"GONG_ACCESS_KEY": "K" * 32}))
        assert (check.verdict, check.names, check.note) == (
            SKIPPED,
            ("GONG_ACCESS_KEY",),
            "there is no GONG_ACCESS_KEY_SECRET",
        )


class TestHubspot:
    def test_the_token_is_in_body_and_header_and_not_in_the_url(self, server: IdentityServer) -> None:
        (check,) = ask(probe(server, "hubspot"))
        (seen,) = server.requests
        token = VENDORS["hubspot"].values["HUBSPOT_ACCESS_TOKEN"]
        assert seen.json() == {"tokenKey": token}
        assert seen.headers["authorization"] == f"Bearer {token}"
        assert check.scopes == ("crm.objects.contacts.read", "tickets")

    @pytest.mark.parametrize("region", ["na1", "na2", "eu1", "ap1"])
    def test_a_firewall_s_403_is_no_proof(self, server: IdentityServer, region: str) -> None:
        server.says["hubspot"] = Reply.html(403)
        (check,) = ask(holding(server, "hubspot", {"HUBSPOT_ACCESS_TOKEN": f"pat-{region}-{'0' * 36}"}))
        assert check.verdict is UNKNOWN
        assert "0000" not in check.note

    def test_a_token_of_oauth_is_asked_about_elsewhere(self, server: IdentityServer) -> None:
        server.says["hubspot"] = Reply.json({"portalId": 12345678, "uiDomain": "app-eu1.hubspot.com", "timeZone": None})
        (check,) = ask(holding(server, "hubspot", {"HUBSPOT_ACCESS_TOKEN": f"C{LETTERS[:60]}"}))
        assert (check.verdict, check.identity) == (VALID, {"hub": "12345678"})
        assert server.requests[0].path == "/hubspot/account-info/v3/details"


class TestSalesforce:
    def both(self, server: IdentityServer) -> dict[str, str]:
        return {**OAUTH_CLIENT, **server.values("salesforce")}

    def test_client_and_token_are_two_checks(self, server: IdentityServer) -> None:
        checks = ask(holding(server, "salesforce", self.both(server), fixed=False, base_url=""))
        assert [(check.verdict, check.names) for check in checks] == [
            (VALID, (salesforce.ID, salesforce.SECRET)),
            (VALID, (salesforce.TOKEN,)),
        ]
        assert all(OAUTH_CLIENT[salesforce.SECRET] not in seen.path + seen.raw_query for seen in server.requests)
        assert "00DdM00000vfgTu!" not in repr(checks)

    @pytest.mark.parametrize(
        ("error", "status", "verdict"),
        [("invalid_client", 400, INVALID), ("invalid_client_id", 400, INVALID), ("invalid_client", 401, INVALID),
         ("invalid_grant", 400, UNKNOWN), ("unsupported_grant_type", 400, UNKNOWN), ("inactive_org", 400, BLOCKED)],
    )  # fmt: skip
    def test_what_the_token_endpoint_refuses_with(
        self, server: IdentityServer, error: str, status: int, verdict: Any
    ) -> None:
        server.says["salesforce"] = Reply.json({"error": error, "error_description": "no"}, status)
        (check,) = ask(holding(server, "salesforce", dict(OAUTH_CLIENT)))
        assert check.verdict is verdict

    def test_without_an_instance_nobody_is_asked(self, server: IdentityServer) -> None:
        (check,) = ask(holding(server, "salesforce", dict(OAUTH_CLIENT), base_url="", fixed=False))
        assert check.verdict is SKIPPED
        assert salesforce.INSTANCE in check.note

    @pytest.mark.parametrize(
        "url", ["https://acme.my.salesforce.com.evil.example", "http://acme.my.salesforce.com", "acme"]
    )
    def test_an_instance_that_is_not_salesforce_s(self, server: IdentityServer, url: str) -> None:
        values = {**self.both(server), salesforce.INSTANCE: url}
        hosts = ("*.salesforce.com", "*.force.com")
        checks = ask(holding(server, "salesforce", values, fixed=False, hosts=hosts, allow_loopback=False))
        assert {check.verdict for check in checks} == {UNKNOWN}
        assert not server.requests

    def test_words_in_place_of_an_answer(self, server: IdentityServer) -> None:
        meanings = {
            "Bad_OAuth_Token": INVALID,
            "Wrong_Org": INVALID,
            "Inactive": BLOCKED,
            "Missing_OAuth_Token": UNKNOWN,
        }
        for word, verdict in meanings.items():
            server.says["salesforce"] = Reply(403, word.encode(), {"Content-Type": "text/html"})
            (check,) = ask(probe(server, "salesforce"))
            assert check.verdict is verdict, word


class TestNames:
    def test_two_names_for_one_secret_are_one_check(self, server: IdentityServer) -> None:
        token = VENDORS["notion"].values["NOTION_API_KEY"]
        (check,) = ask(holding(server, "notion", {"NOTION_API_KEY": token, "NOTION_INTEGRATION_TOKEN": token}))
        assert (check.verdict, check.names) == (VALID, ("NOTION_API_KEY", "NOTION_INTEGRATION_TOKEN"))
        assert len(server.requests) == 1

    def test_two_names_for_two_secrets_are_two(self, server: IdentityServer) -> None:
        token = VENDORS["notion"].values["NOTION_API_KEY"]
        checks = ask(holding(server, "notion", {"NOTION_API_KEY": "ntn_old", "NOTION_INTEGRATION_TOKEN": token}))
        assert [check.verdict for check in checks] == [INVALID, VALID]

    def test_keys_go_where_their_vendors_want_them(self, server: IdentityServer) -> None:
        wanted = {"anthropic": "x-api-key", "gemini": "x-goog-api-key", "portkey": "x-portkey-api-key"}
        wanted |= {"qdrant": "api-key", "figma": "x-figma-token"}
        ask(*(probe(server, service) for service in wanted))
        for seen in server.requests:
            service = seen.path.split("/")[1]
            assert wanted[service] in seen.headers
            assert "authorization" not in seen.headers
            assert not seen.raw_query

    def test_an_administrator_s_key_is_asked_about_elsewhere(self, server: IdentityServer) -> None:
        server.says["anthropic"] = VENDORS["anthropic"].others["admin"]
        (check,) = ask(holding(server, "anthropic", {"ANTHROPIC_API_KEY": f"sk-ant-admin01-{LETTERS[:93]}AA"}))
        assert check.verdict is LIMITED
        assert server.requests[0].path == "/anthropic/v1/organizations/api_keys"

    def test_what_is_left_of_a_key_is_told(self, server: IdentityServer) -> None:
        server.says["openrouter"] = VENDORS["openrouter"].others["ends"]
        (check,) = ask(probe(server, "openrouter"))
        assert (check.expires_at, check.note) == ("2099-12-31T23:59:59+00:00", "ends on 2099-12-31")
        server.says["openrouter"] = VENDORS["openrouter"].others["over"]
        (check,) = ask(probe(server, "openrouter"))
        assert check.verdict is EXPIRED
        assert "sk-or" not in repr(check)


class TestQdrant:
    @pytest.mark.parametrize("url", ["http://qdrant.internal:6333", "https://", "qdrant:6333", "https://u:p@h.example"])
    def test_only_https_beyond_this_machine(self, server: IdentityServer, url: str) -> None:
        values = {**VENDORS["qdrant"].values, "QDRANT_URL": url}
        (check,) = ask(holding(server, "qdrant", values, fixed=False, hosts=()))
        assert check.verdict is UNKNOWN

    def test_this_machine_only_when_allowed(self, server: IdentityServer) -> None:
        (check,) = ask(probe(server, "qdrant", fixed=False, hosts=(), allow_loopback=False))
        assert (check.verdict, server.requests) == (SKIPPED, [])
        (check,) = ask(probe(server, "qdrant", fixed=False, hosts=(), allow_loopback=True))
        assert check.verdict is VALID

    def test_an_open_one_needs_no_key(self, server: IdentityServer) -> None:
        server.says["qdrant"] = VENDORS["qdrant"].calls[0].good
        (check,) = ask(holding(server, "qdrant", {"QDRANT_URL": server.url("qdrant")}, fixed=False))
        assert (check.verdict, check.names) == (VALID, ("QDRANT_URL",))
        assert "api-key" not in server.requests[0].headers
