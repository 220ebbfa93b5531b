"""Slack, read from a loopback Slack: identity, changes, deletions, search, and what is not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.base import Checkpoint, Connector
from sophiactl.connectors.config import ConnectorsConfig, Limit, SlackConfig
from sophiactl.connectors.errors import (
    BadQuery,
)
from sophiactl.connectors.slack import SlackConnector
from sophiactl.connectors.slack_api import base_url, limits_of
from sophiactl.errors import ConfigError
from sophiactl.redaction import Redactor, Secret
from sophiactl.testing.vendors.slack import SlackVendor
from sophiactl.testing.web_server import Reply
from sophiactl.web import WebSession
from tests.slack_desk import BEGIN, FREE, Desk, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400


@pytest.fixture
def slack() -> Iterator[SlackVendor]:
    with SlackVendor() as vendor:
        yield vendor


def _told(**fields: Any) -> Reply:
    return Reply.json({"ok": True, **fields})


def _no(word: str, **more: Any) -> Reply:
    return Reply.json({"ok": False, "error": word, **more})


# Construction and identity


def test_it_is_a_connector_and_needs_the_bots_token() -> None:
    web = WebSession(proxies={})
    with pytest.raises(ConfigError, match="SLACK_BOT_TOKEN is missing") as caught:
        SlackConnector(SlackConfig(), ConnectorsConfig(), {}, web)
    assert "secrets set SLACK_BOT_TOKEN" in str(caught.value.hint)
    empty = {"SLACK_BOT_TOKEN": Secret("", redactor=Redactor())}
    with pytest.raises(ConfigError):
        SlackConnector(SlackConfig(), ConnectorsConfig(), empty, web)


@pytest.mark.parametrize(
    "written", ["", "https://slack.com", "https://slack.com/", "https://slack.com/api", "https://slack.com/api/"]
)
def test_the_base_address_may_be_written_in_any_way(written: str) -> None:
    assert base_url(written) == "https://slack.com/api"


@pytest.mark.parametrize("end", ["", "/", "/api", "/api/"])
def test_ping(slack: SlackVendor, end: str) -> None:
    desk = Desk(slack, base_url=slack.address + end)
    who = desk.run(lambda connector: connector.ping(desk.deadline()))
    assert (who.service, who.workspace, who.user) == ("slack", "Acme", "sophia")
    assert "channels:history" in who.scopes
    assert len(who.notes) == 1
    assert "SLACK_USER_TOKEN" in who.notes[0]
    assert "from memory" in who.notes[0]


def test_ping_says_what_is_wrong_with_the_users_token(slack: SlackVendor) -> None:
    desk = Desk(slack, user=True)
    assert desk.run(lambda connector: connector.ping(desk.deadline())).notes == ()
    desk.secrets["SLACK_USER_TOKEN"] = Secret("xoxp-wrong", redactor=Redactor())
    (note,) = desk.run(lambda connector: connector.ping(desk.deadline())).notes
    assert "SLACK_USER_TOKEN: invalid_auth" in note


def test_it_keeps_the_contract(slack: SlackVendor) -> None:
    async def is_one(connector: SlackConnector) -> bool:
        return isinstance(connector, Connector)

    assert Desk(slack).run(is_one)


@pytest.mark.parametrize("commercial", [False, True])
def test_limits_are_those_of_the_tiers(commercial: bool) -> None:
    limits = limits_of(SlackConfig(commercial=commercial))
    per_minute = {name: round(limit.calls * 60 / limit.seconds) for name, limit in limits.items()}
    assert per_minute["conversations.list"] == per_minute["users.list"] == per_minute["search.messages"] == 20
    assert per_minute["conversations.history"] == per_minute["conversations.replies"] == (1 if commercial else 50)
    assert limits["conversations.list"].burst >= 5  # somebody is waiting
    assert limits_of(SlackConfig(limits=FREE)) == FREE
    assert limits_of(SlackConfig(limits={"users.list": Limit(1, 1)}))["users.list"] == Limit(1, 1)


# A first reading


def test_a_message_is_read_whole(slack: SlackVendor) -> None:
    slack.add_user("ada", "Ada Lovelace")
    slack.add_user("zoe", "Zoë 🎉")
    ts = slack.add_message("general", "ada", "<@U00000004> *renewal* &amp; <https://a.example|plan>\nשלום", at=BEGIN)
    slack.edit_message("general", ts, slack.channel("general").rows[ts]["text"], at=BEGIN + 60)
    (item,) = Desk(slack).read().items.values()
    channel = slack.channel("general").id
    assert item.service == "slack"
    assert item.id == f"{channel}:{ts}"
    assert item.kind == "message"
    assert item.text == "@Zoë 🎉 **renewal** & [plan](https://a.example)\nשלום"
    assert item.title == "@Zoë 🎉 **renewal** & [plan](https://a.example)"
    assert item.author == "Ada Lovelace"
    assert (item.created_at, item.updated_at) == ("2023-11-14T22:13:20Z", "2023-11-14T22:14:20Z")
    assert item.url == f"https://acme.slack.com/archives/{channel}/p{ts.replace('.', '')}"
    assert (item.container, item.visibility, item.thread) == ("#general", "public", f"{channel}:2023-11-14")
    assert item.raw_ref == f"/conversations.replies?channel={channel}&ts={ts}"
    assert item.fields["channel_id"] == channel


def test_links_are_those_that_slack_makes(slack: SlackVendor) -> None:
    (parent,) = fill(slack, 1)
    slack.reply("general", parent, "bob", "reply", at=BEGIN + 5)
    desk = Desk(slack, user=True)
    ours = {item.id: item.url for item in desk.read().items.values()}
    theirs = {item.id: item.url for item in desk.search("e").items}
    assert ours == theirs
    assert len(ours) == 2


@pytest.mark.parametrize("ending", ["empty", "none", "null"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_all_pages_and_threads_are_read(slack: SlackVendor, size: int, ending: str) -> None:
    slack.ending, slack.most = ending, size
    stamps = fill(slack, 7)
    for n in range(5):
        slack.reply("general", stamps[2], "bob", f"reply {n}", at=BEGIN + 121 + n)
    fill(slack, 3, channel="random")
    slack.add_channel("empty")
    read = Desk(slack, page_size=size).read()
    assert len(read.items) == 15
    threaded = [item for item in read.items.values() if item.thread == f"{slack.channel('general').id}:{stamps[2]}"]
    assert len(threaded) == 6
    assert not read.skipped
    assert not slack.violations


def test_a_workspace_with_nothing_in_it(slack: SlackVendor) -> None:
    desk = Desk(slack)
    read = desk.read()
    assert read.changes == [Checkpoint(read.cursor, done=True)]
    assert desk.read(read.cursor).changes == read.changes
    cost = desk.run(lambda connector: connector.cost(None, desk.deadline()))
    assert cost.items == 0


def test_what_slack_itself_writes_is_left_out(slack: SlackVendor) -> None:
    for subtype in ("channel_join", "channel_leave", "channel_topic", "channel_name", "pinned_item", "group_archive"):
        slack.add_message("general", "ada", f"<@U1> {subtype}", subtype=subtype)
    slack.add_message("general", "ada", "me too", subtype="me_message")
    slack.add_message("general", "ada", "", at=BEGIN)
    assert Desk(slack).read().texts == ["me too"]


def test_bots_are_read_unless_they_are_not_wanted(slack: SlackVendor) -> None:
    slack.add_user("deploy", "Deploy Bot", bot=True)
    slack.add_message("general", "deploy", "shipped")
    slack.add_message("general", "deploy", "alert", username="Pager", subtype="bot_message")
    slack.add_message("general", "ada", "thanks")
    items = Desk(slack).read().items.values()
    assert {item.text: item.author for item in items} == {"shipped": "Deploy Bot", "alert": "Pager", "thanks": "Ada"}
    assert Desk(slack, bots=False).read().texts == ["thanks"]


def test_people_of_other_companies_are_looked_up_once(slack: SlackVendor) -> None:
    guest = slack.add_user("eve", "Eve of Globex", external=True)
    shared = slack.add_channel("with-globex", shared=True)
    for n in range(4):
        slack.add_message(shared, "eve", f"hello {n}")
    slack.add_message("general", "ada", f"ask <@{guest}> or <@U0UNKNOWN>")
    slack.add_message("general", "ada", "again <@U0UNKNOWN>")
    desk = Desk(slack)
    read = desk.read()
    assert "ask @Eve of Globex or @U0UNKNOWN" in read.texts
    assert {item.author for item in read.items.values()} == {"Ada", "Eve of Globex"}
    assert desk.asked("users.info") == 2
    assert desk.asked("users.list") == 1
    told = [item for item in read.items.values() if item.container == "#with-globex"]
    assert all(item.fields["shared"] for item in told)


def test_without_the_scope_for_users_ids_stand_for_names_and_it_is_said(slack: SlackVendor) -> None:
    slack.scopes.remove("users:read")
    fill(slack, 2)
    read = Desk(slack).read()
    assert {item.author for item in read.items.values()} == {slack.user_id("ada")}
    (skipped,) = read.skipped
    assert (skipped.ref, skipped.code) == ("users", "missing_scope")


# What stays out


@pytest.fixture
def guarded(slack: SlackVendor) -> SlackVendor:
    slack.add_message("general", "ada", "in public")
    slack.add_message(slack.add_channel("board", kind="private"), "ada", "in private")
    slack.add_message(slack.add_direct("ada"), "ada", "to the bot")
    slack.add_message(slack.add_direct("ada", "bob"), "bob", "to a few")
    slack.add_message(slack.add_channel("elsewhere", bot_in=False), "ada", "where the bot is not")
    slack.add_message(slack.add_channel("closed", archived=True), "ada", "archived")
    return slack


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        ({}, ["in public"]),
        ({"private_channels": True}, ["in private", "in public"]),
        ({"direct_messages": True}, ["in public", "to a few", "to the bot"]),
    ],
)
def test_only_what_was_opted_in_is_asked_for(guarded: SlackVendor, config: dict[str, Any], texts: list[str]) -> None:
    read = Desk(guarded, **config).read()
    assert read.texts == texts
    assert not guarded.violations
    assert not any("join" in seen.path for seen in guarded.requests)


def test_who_may_see_an_item_is_said(guarded: SlackVendor) -> None:
    items = Desk(guarded, private_channels=True, direct_messages=True).read().items.values()
    assert {item.text: (item.visibility, item.container) for item in items} == {
        "in public": ("public", "#general"),
        "in private": ("private", "#board"),
        "to the bot": ("direct", "@Ada"),
        "to a few": ("direct", "@ada, @bob"),
    }


def test_a_kind_that_may_not_be_listed_is_skipped_by_name(guarded: SlackVendor) -> None:
    guarded.scopes -= {"im:read", "mpim:read"}
    read = Desk(guarded, private_channels=True, direct_messages=True).read()
    assert read.texts == ["in private", "in public"]
    assert [(skipped.ref, skipped.code) for skipped in read.skipped] == [
        ("mpim", "missing_scope"),
        ("im", "missing_scope"),
    ]


# Cursors


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "{}",
        "[]",
        '{"v":1}',
        '{"v":2,"service":"slack","team":"T0ACME001"}',
        '{"v":1,"service":"gong","team":"T0ACME001"}',
        '{"v":1,"service":"slack","team":"T0OTHER"}',
        '{"v":1,"service":"slack","team":"T0ACME001","channels":{"C1":{"kind":"public","name":"#a","seen":"soon"}}}',
        '{"v":1,"service":"slack","team":"T0ACME001","channels":{"C1":{"kind":"secret","name":"#a"}}}',
        '{"v":1,"service":"slack","team":"T0ACME001","more":1}',
    ],
)
def test_a_damaged_or_foreign_cursor_is_refused(slack: SlackVendor, cursor: str) -> None:
    with pytest.raises(BadQuery, match="cursor") as caught:
        Desk(slack).read(cursor)
    assert "--since" in str(caught.value.hint)
