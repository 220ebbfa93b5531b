"""`sophiactl connectors ...` as a person and as cron meet it, against services on loopback."""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.cli.process import TimesUp
from sophiactl.errors import DiskFull
from sophiactl.ops import connectors, service_calls
from sophiactl.testing.vendors.gong import GongVendor
from sophiactl.testing.vendors.hubspot import HubSpotVendor
from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.vendors.salesforce import SalesforceVendor
from sophiactl.testing.vendors.slack import SlackVendor
from sophiactl.testing.web_server import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sophiactl.testing.vendors.base import Vendor
    from tests.cli.conftest import Ran, RunCli

KINDS = {"slack": SlackVendor, "gong": GongVendor, "hubspot": HubSpotVendor, "notion": NotionVendor}
EVERY = ("slack", "gong", "hubspot", "salesforce", "notion", "asana")


@pytest.fixture
def vendors() -> Iterator[dict[str, Any]]:
    """Five services, each with something on Acme in it."""
    with ExitStack() as stack:
        found: dict[str, Any] = {name: stack.enter_context(kind()) for name, kind in KINDS.items()}
        found["salesforce"] = stack.enter_context(SalesforceVendor())
        found["slack"].add_channel("general")
        found["slack"].add_message("general", "ada", "Acme renews in March, says procurement")
        found["hubspot"].add_company("Acme", "acme.example")
        found["notion"].add_page("Acme handbook", markdown="The vault code is kept by the audit team.", author="Ada")
        found["salesforce"].add("Account", Name="Acme", Industry="Chemistry")
        yield found


def environment(*vendors: Vendor) -> dict[str, str]:
    env: dict[str, str] = {}
    for vendor in vendors:
        env |= {f"SOPHIACTL_CONNECTORS__{vendor.service.upper()}__BASE_URL": vendor.address, **vendor.secrets}
    return env


def by_service(ran: Ran, key: str = "services") -> dict[str, Any]:
    return {one["service"]: one for one in ran.json["data"][key]}


class TestSearch:
    def test_one_hangs_one_fails_one_has_no_secret_and_three_answer(
        self, run_cli: RunCli, vendors: dict[str, Any]
    ) -> None:
        """Asana has no secret; the limit leaves room for a busy machine, and none for the hanging service's minute."""
        env = environment(*vendors.values()) | {"SOPHIACTL_CONNECTORS__SEARCH_TIMEOUT": "3"}
        vendors["gong"].queue(*[Reply(ending="hang")] * 9)
        vendors["hubspot"].queue(*["500"] * 40)
        began = time.monotonic()
        ran = run_cli("connectors", "search", "all", "Acme", "--json", env=env)
        took = time.monotonic() - began
        assert took < 3 + 0.5 + 4
        found = by_service(ran)
        assert set(found) == {"slack", "notion", "salesforce"}
        assert all(one["items"] for one in found.values()), found
        assert all(one["seconds"] <= 3.5 for one in found.values())
        gaps = by_service(ran, "gaps")
        assert set(gaps) == {"gong", "hubspot", "asana"}
        assert all(gap["message"] and gap["hint"] for gap in gaps.values())
        assert gaps["asana"]["code"] == "config"
        assert "ASANA" in gaps["asana"]["message"] + gaps["asana"]["hint"]
        assert (ran.code, ran.json["status"]) == (0, "partial")
        for secret in (value for vendor in vendors.values() for value in vendor.secrets.values()):
            assert secret not in ran.err

    def test_strict_makes_a_gap_an_exit_code(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        env = environment(vendors["notion"])
        ran = run_cli("connectors", "search", "notion,asana", "Acme", "--strict", env=env)
        assert ran.code == 9
        assert "Acme handbook" in ran.out
        assert "asana was not searched" in ran.err
        assert run_cli("connectors", "search", "asana", "Acme", env=env).code == 1, "nothing was searched at all"

    def test_a_service_and_a_query_or_a_query_alone(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        env = environment(vendors["slack"], vendors["notion"])
        one = run_cli("connectors", "search", "slack", "Acme", "--json", env=env)
        assert set(by_service(one)) == {"slack"}
        [item] = by_service(one)["slack"]["items"]
        assert "says procurement" in item["text"]
        assert item["url"].startswith("https://")
        configured = run_cli("connectors", "search", "Acme", "--json", env=env)
        assert set(by_service(configured)) == {"slack", "notion"}
        assert set(configured.json["data"]) == {"query", "services", "gaps"}

    def test_what_makes_no_sense_is_said_before_anybody_is_asked(
        self, run_cli: RunCli, vendors: dict[str, Any]
    ) -> None:
        env = environment(vendors["slack"])
        wrong = run_cli("connectors", "search", "slak", "Acme", env=env)
        assert wrong.code == 2
        assert "slack" in wrong.err
        assert run_cli("connectors", "search", "slack", "acme", "renewal", env=env).code == 2
        assert run_cli("connectors", "search", "  ", env=env).code == 2
        assert vendors["slack"].requests == []

    @pytest.mark.parametrize("words", [("search", "Acme"), ("check",), ("sync",)])
    def test_with_no_service_configured_the_hint_says_how(self, run_cli: RunCli, words: tuple[str, ...]) -> None:
        ran = run_cli("connectors", *words)
        assert (ran.code, ran.out) == (3, "")
        assert "no service is configured" in ran.err
        assert "hint: " in ran.err

    def test_a_time_limit_leaves_time_to_tell(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        vendors["gong"].queue(*[Reply(ending="hang")] * 9)
        env = environment(vendors["notion"], vendors["gong"])
        ran = run_cli("connectors", "search", "notion,gong", "Acme", "--timeout", "4", "--json", env=env)
        assert (ran.code, set(by_service(ran)), set(by_service(ran, "gaps"))) == (0, {"notion"}, {"gong"})


class TestCheck:
    def test_each_service_says_who_we_are(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        ran = run_cli("connectors", "check", "--json", env=environment(*vendors.values()))
        assert ran.code == 0, ran.err
        assert set(by_service(ran)) == set(EVERY) - {"asana"}
        assert all(one["ok"] and one["identity"]["workspace"] for one in by_service(ran).values())

    def test_a_refused_key_is_the_exit_code(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        env = environment(vendors["slack"], vendors["notion"])
        vendors["slack"].refusal = "token_revoked"
        ran = run_cli("connectors", "check", env=env)
        assert ran.code == 4
        assert "✗" in ran.out
        assert "Acme" in ran.out
        assert env["SLACK_BOT_TOKEN"] not in ran.out + ran.err


class TestList:
    def test_nobody_is_asked(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        env = environment(vendors["slack"])
        found = by_service(run_cli("connectors", "list", "--json", env=env))
        assert tuple(found) == EVERY
        assert [name for name, one in found.items() if one["configured"]] == ["slack"]
        assert vendors["slack"].requests == []


@pytest.mark.usefixtures("memory")
class TestSync:
    def test_what_was_synced_is_found_and_asked_for(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        env = environment(vendors["slack"], vendors["notion"])
        first = run_cli("connectors", "sync", env=env)
        assert first.code == 0, first.err
        assert "slack: first sync" in first.err
        hits = run_cli("search", "When does Acme renew?", "--json", env=env).json["data"]["hits"]
        assert any(hit["record"]["source"] == "slack" for hit in hits)
        asked = run_cli("ask", "Who keeps the vault code?", env=env)
        assert "audit team" in asked.out
        listed = by_service(run_cli("connectors", "list", "--json", env=env))
        assert listed["slack"]["items"] >= 1
        assert listed["notion"]["complete"]

    def test_cron_hears_nothing_unless_something_changed(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        env = environment(vendors["slack"])
        assert run_cli("connectors", "sync", env=env).code == 0
        quiet = run_cli("connectors", "sync", "-q", env=env)
        assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
        again = run_cli("connectors", "sync", "--json", env=env)
        row = by_service(again)["slack"]
        assert (row["new"], row["changed"], row["removed"], row["done"]) == (0, 0, 0, True)

    def test_a_dry_run_writes_nothing(self, run_cli: RunCli, vendors: dict[str, Any], tmp_path: Path) -> None:
        env = environment(vendors["slack"])
        before = run_cli("memory", "list", "--json").json["data"]
        ran = run_cli("connectors", "sync", "--dry-run", "--limit", "5", env=env)
        assert ran.code == 0
        assert "nothing was written" in ran.out
        assert run_cli("memory", "list", "--json").json["data"] == before
        listed = by_service(run_cli("connectors", "list", "--json", env=env))
        assert (listed["slack"].get("items", 0), listed["slack"].get("synced_at")) == (0, None)

    def test_one_that_fails_leaves_the_others_and_is_told(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        env = environment(vendors["slack"], vendors["notion"])
        vendors["slack"].refusal = "token_revoked"
        ran = run_cli("connectors", "sync", "--json", env=env)
        assert ran.code == 9
        found = by_service(ran)
        assert found["slack"]["error"]["code"] == "key_refused"
        assert found["notion"]["new"] == 1
        alone = run_cli("connectors", "sync", "slack", "-q", env=env)
        assert (alone.code, alone.out) == (4, "")
        assert "slack" in alone.err

    def test_a_second_one_at_the_same_time_ends_with_75(
        self, run_cli: RunCli, vendors: dict[str, Any], tmp_path: Path
    ) -> None:
        from sophiactl.locks import FileLock

        lock = tmp_path / "home" / "state" / "jobs" / "main.lock"
        with FileLock(lock, purpose="sophiactl connectors sync", timeout=0, what="the memory 'main'"):
            ran = run_cli("connectors", "sync", "--lock-timeout", "0", env=environment(vendors["slack"]))
        assert ran.code == 75
        assert "sophiactl connectors sync" in ran.err


class TestLedger:
    """What was asked is in the ledger of runs, however the command ends; and the ledger is nobody's problem."""

    def runs(self, run_cli: RunCli, command: str | None = None) -> list[dict[str, Any]]:
        listed = run_cli("runs", "list", "--json").json["data"]["runs"]
        names = [one["id"] for one in listed if command in {None, one["command"]}]
        return [run_cli("runs", "show", name, "--json").json["data"] for name in names]

    @pytest.mark.usefixtures("memory")
    def test_each_command_is_a_run_with_every_call(
        self, run_cli: RunCli, vendors: dict[str, Any], tmp_path: Path
    ) -> None:
        env = environment(*vendors.values())
        run_cli("runs", "forget", "--before", "2100-01-01", "--yes")
        for words in (("check",), ("search", "Acme"), ("sync",)):
            for vendor in vendors.values():
                vendor.requests.clear()
            assert run_cli("connectors", *words, env=env).code == 0
            [run] = self.runs(run_cli, f"connectors {words[0]}")
            assert (run["error"], run["calls"]) == (None, [])
            made = Counter(call["service"] for call in run["service_calls"] for _ in range(1 + call["retries"]))
            assert made == {name: len(vendor.requests) for name, vendor in vendors.items()}
            assert all(call["seconds"] >= call["waited"] >= 0 for call in run["service_calls"])
        kept = b"".join(file.read_bytes() for file in (tmp_path / "home" / "state").glob("runs.db*"))
        assert b"conversations.history" in kept
        for secret in (value for vendor in vendors.values() for value in vendor.secrets.values()):
            assert secret.encode() not in kept
        for query in (b"Acme", b"limit=", b"cursor="):
            assert query not in kept

    def test_a_failure_is_the_run_s_error(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        env = environment(vendors["slack"], vendors["notion"])
        vendors["slack"].refusal = "token_revoked"
        assert run_cli("connectors", "check", env=env).code == 4
        assert run_cli("connectors", "search", "Acme", env=env).code == 0
        [check], [search] = (self.runs(run_cli, f"connectors {name}") for name in ("check", "search"))
        assert (check["error"], search["error"]) == ("key_refused", None)
        assert "key_refused" in {call["outcome"] for call in search["service_calls"] if call["service"] == "slack"}
        assert run_cli("connectors", "search", "slack", "Acme", env=env).code == 1
        errors = [run["error"] for run in self.runs(run_cli, "connectors search")]
        assert sorted(errors, key=str) == [None, "key_refused"]

    @pytest.mark.parametrize(
        ("raised", "code", "error"),
        [
            (KeyboardInterrupt(), 130, "interrupted"),
            (DiskFull("no room"), 1, "disk_full"),
            (ValueError("x"), 1, "unexpected"),
        ],
        ids=str,
    )
    def test_a_command_that_is_cut_short_leaves_its_calls(
        self,
        run_cli: RunCli,
        vendors: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        raised: BaseException,
        code: int,
        error: str,
    ) -> None:
        real = connectors.check

        def check(*words: Any, **options: Any) -> Any:
            real(*words, **options)
            raise raised

        monkeypatch.setattr(connectors, "check", check)
        ran = run_cli("connectors", "check", env=environment(vendors["slack"]))
        assert ran.code == code
        [run] = self.runs(run_cli)
        assert run["error"] == error
        assert run["service_calls"]

    @pytest.mark.parametrize(
        "words", [("list",), ("check", "slak"), ("search", "slak", "Acme"), ("check", "asana"), ("sync", "slak")]
    )
    def test_where_nobody_was_asked_no_ledger_is_made(
        self, run_cli: RunCli, vendors: dict[str, Any], tmp_path: Path, words: tuple[str, ...]
    ) -> None:
        run_cli("connectors", *words, env=environment(vendors["slack"]))
        assert not (tmp_path / "home" / "state" / "runs.db").exists()

    @pytest.mark.parametrize("where", ["damaged", "unreachable"])
    def test_a_ledger_that_cannot_be_written_takes_nothing_away(
        self, run_cli: RunCli, vendors: dict[str, Any], tmp_path: Path, where: str
    ) -> None:
        env = environment(vendors["slack"])
        expected = run_cli("connectors", "search", "Acme", env=env)
        if where == "damaged":
            for file in (tmp_path / "home" / "state").glob("runs.db*"):
                file.write_bytes(b"no database" * 1000)
        else:
            env["SOPHIACTL_RUNS__URL"] = "postgresql://me@127.0.0.1:9/x"
        ran = run_cli("connectors", "search", "Acme", "-q", env=env)
        assert (ran.code, without_times(ran.out)) == (0, without_times(expected.out))
        assert ran.err.startswith("warning: this run is not in the ledger: ")
        assert "\nhint: " in ran.err
        vendors["slack"].refusal = "token_revoked"
        failed = run_cli("connectors", "check", env=env)
        assert failed.code == 4
        assert "warning: this run is not in the ledger" in failed.err
        assert "error: slack" in failed.err

    def test_nor_does_a_time_limit_that_ends_while_it_is_written(
        self, run_cli: RunCli, vendors: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def late(*_: object) -> None:
            raise TimesUp(4)

        monkeypatch.setattr(service_calls, "record", late)
        ran = run_cli("connectors", "search", "Acme", env=environment(vendors["slack"]))
        assert ran.code == 0
        assert ran.out
        assert "not in the ledger: there was no time left" in ran.err

    def test_the_run_is_named_to_those_who_want_to_know(self, run_cli: RunCli, vendors: dict[str, Any]) -> None:
        ran = run_cli("connectors", "check", "-v", env=environment(vendors["slack"]))
        [run] = self.runs(run_cli)
        assert f"run {run['id']}" in ran.err


def without_times(text: str) -> str:
    return re.sub(r"\d+\.\d s", "", text)
