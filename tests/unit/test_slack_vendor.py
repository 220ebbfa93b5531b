"""The loopback Slack: what it answers, and that the official SDK reads it as our connector does."""

from __future__ import annotations

import base64
import time
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import msgspec
import pytest

from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.vendors.slack import SlackVendor
from tests.slack_desk import BEGIN, Desk, fill

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slack() -> Iterator[SlackVendor]:
    with SlackVendor() as vendor:
        yield vendor


def _ask(slack: SlackVendor, method: str, *, token: str | None = None, post: bool = False, **args: Any) -> Any:
    token = slack.bot_token if token is None else token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    query, data = urlencode(args), None
    url = f"{slack.address}/api/{method}"
    if post:
        data = query.encode()
    elif query:
        url += f"?{query}"
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return msgspec.json.decode(answer.read()) | {"headers": dict(answer.headers)}
    except HTTPError as error:
        with error:
            return {"status": error.code, "body": error.read(), "headers": dict(error.headers)}


def test_it_says_who_is_asking(slack: SlackVendor) -> None:
    told = _ask(slack, "auth.test")
    assert told["ok"] is True
    assert (told["team"], told["url"]) == ("Acme", "https://acme.slack.com/")
    assert "channels:history" in told["headers"]["X-OAuth-Scopes"]
    assert _ask(slack, "auth.test", token=slack.user_token)["user"] == "owner"


@pytest.mark.parametrize(("token", "word"), [("", "not_authed"), ("xoxb-wrong", "invalid_auth")])
def test_keys_are_looked_at(slack: SlackVendor, token: str, word: str) -> None:
    assert _ask(slack, "users.list", token=token)["error"] == word


def test_a_token_in_the_query_is_refused_and_noted(slack: SlackVendor) -> None:
    url = f"{slack.address}/api/auth.test?token={slack.bot_token}"
    with urllib.request.urlopen(url) as answer:  # noqa: S310
        assert msgspec.json.decode(answer.read())["error"] == "not_authed"
    assert slack.violations


@pytest.mark.parametrize("post", [False, True])
def test_query_and_form_mean_the_same(slack: SlackVendor, post: bool) -> None:
    fill(slack, 3)
    channel = slack.channel("general").id
    told = _ask(slack, "conversations.history", post=post, channel=channel, limit=2)
    assert [message["text"] for message in told["messages"]] == ["message 2", "message 1"]
    assert told["has_more"] is True


def test_history_is_newest_first_and_bounds_are_exclusive(slack: SlackVendor) -> None:
    stamps = fill(slack, 5)
    channel = slack.channel("general").id
    asked: dict[str, Any] = {"channel": channel, "oldest": stamps[1], "latest": stamps[3]}
    assert [m["ts"] for m in _ask(slack, "conversations.history", **asked)["messages"]] == [stamps[2]]
    both = _ask(slack, "conversations.history", **asked, inclusive="true")
    assert [m["ts"] for m in both["messages"]] == stamps[3:0:-1]


def _all(slack: SlackVendor, method: str, part: str, **args: Any) -> list[Any]:
    found: list[Any] = []
    cursor = ""
    while True:
        told = _ask(slack, method, **(args | ({"cursor": cursor} if cursor else {})))
        found += told[part]
        cursor = (told.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return found


@pytest.mark.parametrize("ending", ["empty", "none", "null"])
def test_pages_have_opaque_cursors_and_three_kinds_of_end(slack: SlackVendor, ending: str) -> None:
    slack.ending = ending
    stamps = fill(slack, 7)
    channel = slack.channel("general").id
    found = _all(slack, "conversations.history", "messages", channel=channel, limit=3)
    assert [message["ts"] for message in found] == stamps[::-1]
    last = _ask(slack, "conversations.history", channel=channel)
    expected: dict[str, Any] = {"empty": {"next_cursor": ""}, "none": "absent", "null": None}
    assert last.get("response_metadata", "absent") == expected[ending]


@pytest.mark.parametrize("cursor", ["!", "nonsense", base64.b64encode(b"user:U9").decode()])
@pytest.mark.parametrize("method", ["conversations.history", "users.list"])
def test_cursors_of_others_are_refused(slack: SlackVendor, method: str, cursor: str) -> None:
    fill(slack, 1)
    told = _ask(slack, method, channel=slack.channel("general").id, cursor=cursor)
    assert told["error"] == "invalid_cursor"


def test_a_message_that_comes_while_pages_are_turned_moves_none(slack: SlackVendor) -> None:
    stamps = fill(slack, 4)
    channel = slack.channel("general").id
    first = _ask(slack, "conversations.history", channel=channel, limit=2)
    slack.add_message("general", "ada", "new")
    cursor = first["response_metadata"]["next_cursor"]
    second = _ask(slack, "conversations.history", channel=channel, limit=2, cursor=cursor)
    assert [m["ts"] for m in (*first["messages"], *second["messages"])] == stamps[::-1]


def test_threads(slack: SlackVendor) -> None:
    (parent,) = fill(slack, 1)
    replies = [slack.reply("general", parent, "bob", f"r{n}", at=BEGIN + 100 + n) for n in range(5)]
    channel = slack.channel("general").id
    (shown,) = _ask(slack, "conversations.history", channel=channel)["messages"]
    assert (shown["reply_count"], shown["latest_reply"], shown["thread_ts"]) == (5, replies[-1], parent)
    found = _all(slack, "conversations.replies", "messages", channel=channel, ts=parent, limit=3)
    assert list(dict.fromkeys(message["ts"] for message in found)) == [parent, *replies]
    assert [message["ts"] for message in found].count(parent) == 3  # first on every page
    (alone,) = _ask(slack, "conversations.replies", channel=channel, ts=replies[2])["messages"]
    assert alone["text"] == "r2"
    assert _ask(slack, "conversations.replies", channel=channel, ts="1.000000")["error"] == "thread_not_found"


def test_edits_and_deletions(slack: SlackVendor) -> None:
    one, two = fill(slack, 2)
    reply = slack.reply("general", one, "bob", "r", at=BEGIN + 90)
    slack.edit_message("general", two, "better", at=BEGIN + 200.7)
    channel = slack.channel("general").id
    shown = _ask(slack, "conversations.history", channel=channel)["messages"]
    assert (shown[0]["text"], shown[0]["edited"]["ts"]) == ("better", f"{BEGIN + 200}.000000")
    slack.delete_message("general", one)
    slack.delete_message("general", two)
    (stone,) = _ask(slack, "conversations.history", channel=channel)["messages"]
    assert (stone["subtype"], stone["reply_count"]) == ("tombstone", 1)
    slack.delete_message("general", reply)
    (stone,) = _ask(slack, "conversations.history", channel=channel)["messages"]
    assert "reply_count" not in stone


def test_the_bot_reads_where_it_is(slack: SlackVendor) -> None:
    here, there = slack.add_channel("here"), slack.add_channel("there", bot_in=False)
    hidden = slack.add_channel("hidden", kind="private", bot_in=False)
    listed = _ask(slack, "conversations.list", types="public_channel,private_channel")["channels"]
    assert {channel["id"]: channel["is_member"] for channel in listed} == {here: True, there: False}
    assert _ask(slack, "conversations.history", channel=there)["error"] == "not_in_channel"
    assert _ask(slack, "conversations.history", channel=hidden)["error"] == "channel_not_found"
    slack.remove_bot("here")
    assert _ask(slack, "conversations.history", channel=here)["error"] == "not_in_channel"
    slack.invite_bot("here")
    assert _ask(slack, "conversations.history", channel=here)["ok"] is True


def test_scopes(slack: SlackVendor) -> None:
    slack.scopes -= {"users:read", "im:read"}
    told = _ask(slack, "users.list")
    assert (told["error"], told["needed"]) == ("missing_scope", "users:read")
    assert "channels:read" in told["provided"]
    assert _ask(slack, "conversations.list", types="public_channel,im")["needed"] == "im:read"


@pytest.mark.parametrize("method", ["chat.postMessage", "conversations.join", "reactions.add", "files.delete"])
def test_writes_are_refused_and_noted(slack: SlackVendor, method: str) -> None:
    assert _ask(slack, method, post=True, channel="C1", text="x")["ok"] is False
    assert len(slack.violations) == 1
    assert method in slack.violations[0]


def test_what_it_does_not_know(slack: SlackVendor) -> None:
    assert _ask(slack, "stars.list")["error"] == "unknown_method"
    assert not slack.violations
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(f"{slack.address}/elsewhere")  # noqa: S310
    caught.value.close()
    assert caught.value.code == 404


@pytest.mark.parametrize("limit", ["1001", "-1", "many"])
def test_limits_of_pages(slack: SlackVendor, limit: str) -> None:
    assert _ask(slack, "users.list", limit=limit)["error"] == "invalid_limit"


def test_bad_times_and_types(slack: SlackVendor) -> None:
    channel = slack.add_channel("c")
    assert _ask(slack, "conversations.history", channel=channel, oldest="soon")["error"] == "invalid_ts_oldest"
    assert _ask(slack, "conversations.history", channel=channel, latest="late")["error"] == "invalid_ts_latest"
    assert _ask(slack, "conversations.list", types="public")["error"] == "invalid_types"


def test_search_is_for_users(slack: SlackVendor) -> None:
    fill(slack, 3)
    slack.add_message("general", "ada", "renewal renewal", at=BEGIN)
    slack.add_message("general", "ada", "one renewal", at=BEGIN + 9_000)
    secret = slack.add_channel("secret", kind="private", user_in=False)
    slack.add_message(secret, "ada", "renewal in secret", at=BEGIN)
    assert _ask(slack, "search.messages", query="renewal")["error"] == "not_allowed_token_type"
    found = _ask(slack, "search.messages", token=slack.user_token, query="Renewal", count=1)["messages"]
    assert (found["total"], found["paging"]["pages"]) == (2, 2)
    assert found["matches"][0]["text"] == "renewal renewal"  # best first
    newest = _ask(slack, "search.messages", token=slack.user_token, query="renewal", sort="timestamp")["messages"]
    assert newest["matches"][0]["text"] == "one renewal"
    assert _ask(slack, "search.messages", token=slack.user_token, query=" ")["error"] == "No query passed"


def test_limits_are_by_method(slack: SlackVendor) -> None:
    slack.method_limits["users.list"] = Limited(1, 30.0)
    assert _ask(slack, "users.list")["ok"] is True
    over = _ask(slack, "users.list")
    assert over["status"] == 429
    assert msgspec.json.decode(over["body"]) == {"ok": False, "error": "ratelimited"}
    assert 1 <= int(over["headers"]["Retry-After"]) <= 30
    assert _ask(slack, "auth.test")["ok"] is True


def test_commercial_apps_get_fifteen_messages_once_a_minute(slack: SlackVendor) -> None:
    slack.commercial = True
    fill(slack, 20)
    channel = slack.channel("general").id
    assert len(_ask(slack, "conversations.history", channel=channel, limit=200)["messages"]) == 15
    assert _ask(slack, "conversations.history", channel=channel)["status"] == 429
    assert _ask(slack, "users.list")["ok"] is True


def test_a_free_workspace_hides_what_is_old(slack: SlackVendor) -> None:
    stamps = fill(slack, 4)
    slack.limited_before = stamps[2]
    told = _ask(slack, "conversations.history", channel=slack.channel("general").id)
    assert told["is_limited"] is True
    assert len(told["messages"]) == 2


def test_fifty_thousand_messages_are_cheap(slack: SlackVendor) -> None:
    began = time.process_time()
    fill(slack, 50_000, step=1.0)
    assert time.process_time() - began < 10.0
    channel = slack.channel("general").id
    found = _all(slack, "conversations.history", "messages", channel=channel, limit=999)
    assert len({message["ts"] for message in found}) == 50_000


def test_two_messages_of_one_moment_have_two_times(slack: SlackVendor) -> None:
    one, two = (slack.add_message("general", "ada", "x", at=BEGIN) for _ in range(2))
    assert one != two


def test_a_clock_that_is_ahead(slack: SlackVendor) -> None:
    slack.skew = 3_600.0
    assert float(slack.add_message("general", "ada", "x")) > time.time() + 3_000


# The official SDK


def test_slack_sdk_sees_what_our_connector_sees(slack: SlackVendor) -> None:
    from slack_sdk import WebClient

    slack.most = 3
    slack.add_user("zoe", "Zoë 🎉")
    stamps = fill(slack, 8)
    for n in range(5):
        slack.reply("general", stamps[1], "zoe", f"reply {n} of <@U00000003>", at=BEGIN + 61 + n)
    slack.add_message(slack.add_channel("team", kind="private"), "zoe", "in private", at=BEGIN)
    slack.edit_message("general", stamps[2], "edited", at=BEGIN + 5_000)
    slack.delete_message("general", stamps[3])
    client = WebClient(slack.bot_token, base_url=f"{slack.address}/api/")
    seen: dict[str, str] = {}
    for listing in client.conversations_list(types="public_channel", limit=2):
        for channel in listing["channels"]:
            for page in client.conversations_history(channel=channel["id"], limit=3):
                for message in page["messages"]:
                    seen[f"{channel['id']}:{message['ts']}"] = message["text"]
                    if message.get("reply_count"):
                        for thread in client.conversations_replies(channel=channel["id"], ts=message["ts"], limit=3):
                            seen |= {f"{channel['id']}:{each['ts']}": each["text"] for each in thread["messages"]}
    people = {
        user["id"]: user["profile"]["real_name"] for page in client.users_list(limit=2) for user in page["members"]
    }
    ours = Desk(slack, page_size=2).read().items
    assert set(seen) == set(ours)
    assert len(ours) == 12
    assert {key: text.replace("<@U00000003>", f"@{people['U00000003']}") for key, text in seen.items()} == {
        key: item.text for key, item in ours.items()
    }
    assert {item.author for item in ours.values()} <= set(people.values())
    assert not slack.violations


def test_slack_sdk_finds_what_our_search_finds(slack: SlackVendor) -> None:
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

    fill(slack, 30)
    client = WebClient(slack.user_token, base_url=f"{slack.address}/api/")
    theirs = client.search_messages(query="message", count=25)["messages"]["matches"]
    ours = Desk(slack, user=True).search("message", 25).items
    assert [(match["ts"], match["permalink"]) for match in theirs] == [(i.id.partition(":")[2], i.url) for i in ours]
    assert client.chat_getPermalink(channel=theirs[0]["channel"]["id"], message_ts=theirs[0]["ts"])["ok"]
    with pytest.raises(SlackApiError, match="not_allowed_token_type"):
        WebClient(slack.bot_token, base_url=f"{slack.address}/api/").search_messages(query="message")
