"""Services asked side by side: what one of them does is its own affair."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.base import Found, Identity, Item
from sophiactl.connectors.errors import KeyRefused, ServiceDown
from sophiactl.errors import ConfigError, UsageError
from sophiactl.ops import connectors
from sophiactl.ops.connectors import check, search

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.wiring import Wiring


class Answering:
    """A service that answers, fails or never does."""

    def __init__(self, service: str, outcome: object = None) -> None:
        self.service = service
        self.outcome = outcome
        self.closed = 0

    async def _said(self, answer: Any) -> Any:
        if self.outcome == "hang":
            await asyncio.Event().wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return answer

    async def search(self, query: str, limit: int, _deadline: object) -> Found:
        items = tuple(Item(self.service, f"{number}", "message", query, "text") for number in range(limit + 2))
        found: Found = await self._said(Found(items, ("a note",)))
        return found

    async def ping(self, _deadline: object) -> Identity:
        identity: Identity = await self._said(Identity(self.service, "Acme"))
        return identity

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def asked(wiring: Wiring) -> Callable[..., Wiring]:
    """Wiring with these services in place of the real ones."""

    def put(*services: Answering | ConfigError) -> Wiring:
        names = ("slack", "gong", "hubspot", "salesforce", "notion", "asana")
        by_name = dict(zip(names, services, strict=False))

        def opened(service: str, _web: object) -> Any:
            one = by_name[service]
            if isinstance(one, ConfigError):
                raise one
            return one

        wiring.connectors.__dict__["configured"] = tuple(by_name)
        wiring.connectors.open = opened  # type: ignore[method-assign, assignment]
        return wiring

    return put


def test_every_kind_of_failure_is_a_gap_of_its_own(asked: Callable[..., Wiring], monkeypatch: Any) -> None:
    monkeypatch.setattr(connectors, "GRACE", 0.01)
    services = (
        Answering("slack"),
        Answering("gong", "hang"),
        Answering("hubspot", ServiceDown("down", service="hubspot")),
        ConfigError("SALESFORCE_CLIENT_ID is missing", hint="set it"),
        Answering("notion", RuntimeError("private words")),
    )
    found = search("Acme", [], 3, asked(*services), timeout=0.1)
    [slack] = found.services
    assert (slack.service, len(slack.items), slack.notes) == ("slack", 3, ("a note",))
    codes = {gap.service: gap.code for gap in found.gaps}
    assert list(codes) == ["gong", "hubspot", "salesforce", "notion"]
    assert (codes["hubspot"], codes["salesforce"]) == ("service_down", "config")
    assert all(gap.hint for gap in found.gaps)
    assert not any("private words" in gap.message for gap in found.gaps)
    assert [one.closed for one in services if isinstance(one, Answering)] == [1, 1, 1, 1]


def test_a_check_says_who_we_are_or_why_not(asked: Callable[..., Wiring]) -> None:
    wiring = asked(Answering("slack"), Answering("gong", KeyRefused("refused", service="gong")))
    good, bad = check([], wiring)
    assert good.ok
    assert good.identity == Identity("slack", "Acme")
    assert (bad.ok, bad.code, bad.exit_code) == (False, "key_refused", int(KeyRefused("x").exit_code))


def test_names_are_looked_at_before_anybody_is_asked(asked: Callable[..., Wiring]) -> None:
    slack = Answering("slack")
    with pytest.raises(UsageError) as caught:
        search("Acme", ["slakc"], 3, asked(slack))
    assert "slack" in (caught.value.hint or "")
    assert slack.closed == 0
    assert [one.service for one in search("Acme", ["SLACK", "slack"], 3, asked(slack)).services] == ["slack"]


def test_none_configured_is_an_error_with_a_hint(asked: Callable[..., Wiring]) -> None:
    with pytest.raises(ConfigError, match="no service is configured") as caught:
        search("Acme", [], 3, asked())
    assert caught.value.hint
