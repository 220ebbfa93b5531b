"""Notion: who we are, and what refuses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.config import ConnectorsConfig, NotionConfig
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import (
    BadQuery,
    ItemGone,
    KeyRefused,
    Malformed,
    MissingScope,
    NoService,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.connectors.notion import TITLES_ONLY, NotionConnector
from sophiactl.connectors.notion_api import root_of
from sophiactl.connectors.session import Tools
from sophiactl.errors import ConfigError
from sophiactl.redaction import Redactor, Secret
from sophiactl.testing.vendors.notion import NotionVendor
from sophiactl.testing.web_server import Reply
from sophiactl.web import WebSession
from tests.notion_workspaces import (
    SOON,
    Direct,
    connector,
    over_http,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def notion() -> Iterator[NotionVendor]:
    with NotionVendor() as vendor:
        yield vendor


# Who we are


def test_ping(notion: NotionVendor) -> None:
    found = over_http(notion, lambda one: one.ping(Deadline(SOON)))

    assert (found.workspace, found.user, found.notes) == ("Acme", "sophia", (TITLES_ONLY,))
    seen = notion.requests[0]
    assert (seen.path, seen.headers["notion-version"]) == ("/v1/users/me", "2025-09-03")
    assert notion.token not in seen.path + seen.raw_query


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/"])
def test_the_base_url_is_written_as_one_likes(notion: NotionVendor, tail: str) -> None:
    found = over_http(notion, lambda one: one.ping(Deadline(SOON)), base_url=notion.address + tail)

    assert found.workspace == "Acme"


def test_the_base_url_is_notions_own_when_none_is_given() -> None:
    assert root_of("") == "https://api.notion.com"
    assert root_of(" https://proxy.example/notion/v1/ ") == "https://proxy.example/notion"


def test_without_a_token_nothing_begins() -> None:
    with pytest.raises(ConfigError, match="no key") as caught:
        NotionConnector(NotionConfig(), ConnectorsConfig(), {}, WebSession(proxies={}))
    assert "NOTION_API_KEY" in str(caught.value.hint)
    empty = {"NOTION_API_KEY": Secret("", redactor=Redactor())}
    with pytest.raises(ConfigError):
        NotionConnector(NotionConfig(), ConnectorsConfig(), empty, WebSession(proxies={}))


def test_a_bot_that_says_nothing_of_itself(notion: NotionVendor) -> None:
    notion.queue(Reply.json({"object": "user", "id": "u", "bot": None, "name": None}), Reply.json([]))

    assert over_http(notion, lambda one: one.ping(Deadline(SOON))).workspace == ""
    with pytest.raises(Malformed):
        over_http(notion, lambda one: one.ping(Deadline(SOON)))


# Errors


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("401", KeyRefused),
        ("403", MissingScope),
        ("404", ItemGone),
        ("400", BadQuery),
        ("429", TooFast),
        ("429-bare", TooFast),
        ("429-workspace", TooFast),
        ("529", ServiceDown),
        ("500", ServiceDown),
        ("503", ServiceDown),
        ("504", ServiceDown),
        ("409", ServiceDown),
        ("502-html", ServiceDown),
        ("403-html", ServiceDown),
        ("200-html", Malformed),
        ("truncated-json", Malformed),
        ("redirect", Malformed),
        ("cut", NoService),
        ("reset", NoService),
    ],
)
def test_what_an_answer_means(notion: NotionVendor, fault: str, kind: type[ServiceError]) -> None:
    notion.queue(fault, fault)  # twice: a connection that breaks off is tried again below us

    with pytest.raises(kind) as caught:
        over_http(notion, lambda one: one.ping(Deadline(SOON)), retries=0)

    assert caught.value.service == "notion"
    assert notion.token not in f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert not notion.elsewhere


def test_the_reason_of_a_limit_is_told(notion: NotionVendor) -> None:
    notion.queue("429-workspace")

    with pytest.raises(TooFast, match="workspace_limit") as caught:
        over_http(notion, lambda one: one.ping(Deadline(SOON)))

    assert caught.value.retry_after == 600


def test_a_200_that_is_an_error(notion: NotionVendor) -> None:
    notion.queue(Reply.json({"object": "error", "code": "validation_error", "message": "no"}))

    with pytest.raises(Malformed, match="validation_error"):
        over_http(notion, lambda one: one.ping(Deadline(SOON)))


@pytest.mark.parametrize("fault", ["429", "529"])
def test_a_service_that_says_later_is_asked_later(fault: str) -> None:
    vendor = NotionVendor()
    clock = [0.0]
    sent: list[float] = []

    async def sleep(seconds: float) -> None:
        clock[0] += seconds

    class Web(Direct):
        async def send(self, request: Any, **limits: Any) -> Any:
            sent.append(clock[0])
            if len(sent) == 1:
                reply = vendor.faults[fault]
                from sophiactl.web import WebAnswer

                return WebAnswer(reply.status, {name.lower(): text for name, text in reply.headers.items()}, reply.body)
            return await super().send(request, **limits)

    async def run() -> None:
        tools = Tools(clock=lambda: clock[0], sleep=sleep, chance=lambda: 0.5)
        await connector(vendor, Web(vendor), tools).ping(Deadline.never())

    asyncio.run(run())

    assert len(sent) == 2
    assert sent[1] - sent[0] >= 1


def test_three_calls_a_second_and_a_burst() -> None:
    vendor = NotionVendor()
    clock = [0.0]

    async def sleep(seconds: float) -> None:
        clock[0] += seconds

    async def run() -> None:
        tools = Tools(clock=lambda: clock[0], sleep=sleep)
        made = connector(vendor, Direct(vendor), tools, limits={})
        for _ in range(66):
            await made.ping(Deadline.never())

    asyncio.run(run())

    assert 19.9 <= clock[0] <= 20.5


def test_names_that_do_not_come_keep_nobody_beyond_the_deadline(notion: NotionVendor) -> None:
    page = notion.add_page("One", ["text"], author="Ada")
    notion.queue("ok", "ok", "hang", "hang", "hang")

    with pytest.raises(NoService):
        over_http(notion, lambda one: one.fetch(page, Deadline(0.5)))
