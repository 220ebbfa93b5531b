"""Search with a user's token, and what is said where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.errors import KeyRefused, MissingScope, NoService
from sophiactl.testing.vendors.slack import SlackVendor
from sophiactl.testing.web_server import Reply
from tests.slack_desk import BEGIN, Desk, fill

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slack() -> Iterator[SlackVendor]:
    with SlackVendor() as vendor:
        vendor.add_user("ada", "Ada Lovelace")
        yield vendor


def test_with_a_bots_token_it_says_so_and_asks_nobody(slack: SlackVendor) -> None:
    found = Desk(slack).search("anything")
    assert found.items == ()
    assert found.notes == ("Slack has no text search with a bot token; answered from memory",)
    assert not slack.requests


def test_what_is_found_is_what_was_stored(slack: SlackVendor) -> None:
    parent = slack.add_message("general", "ada", "*renewal* of <@U00000003>", at=BEGIN)
    slack.reply("general", parent, "bob", "the renewal", at=BEGIN + 60)
    desk = Desk(slack, user=True)
    stored = desk.read().items
    found = {item.id: item for item in desk.search("renewal").items}
    assert {name: (item.text, item.author, item.url, item.title) for name, item in found.items()} == {
        name: (item.text, item.author, item.url, item.title) for name, item in stored.items()
    }
    reply = next(item for item in found.values() if item.text == "the renewal")
    assert reply.thread == stored[reply.id].thread


@pytest.mark.parametrize("limit", [1, 20, 99, 100, 101, 250])
def test_the_limit_holds_over_pages(slack: SlackVendor, limit: int) -> None:
    fill(slack, 240)
    found = Desk(slack, user=True).search("message", limit)
    assert len(found.items) == min(limit, 240)
    assert len({item.id for item in found.items}) == len(found.items)


@pytest.mark.parametrize(("query", "limit"), [("", 5), ("  ", 5), ("x", 0), ("x", -1)])
def test_nothing_asked_is_nothing_found(slack: SlackVendor, query: str, limit: int) -> None:
    assert Desk(slack, user=True).search(query, limit).items == ()
    assert not slack.requests


@pytest.fixture
def guarded(slack: SlackVendor) -> SlackVendor:
    slack.add_message("general", "ada", "plan in public", at=BEGIN)
    slack.add_message(slack.add_channel("board", kind="private"), "ada", "plan in private", at=BEGIN)
    slack.add_message(slack.add_direct("ada"), "ada", "plan in direct", at=BEGIN)
    slack.add_message(slack.add_direct("ada", "bob"), "ada", "plan in a group", at=BEGIN)
    return slack


@pytest.mark.parametrize("assistant", [False, True])
@pytest.mark.parametrize(
    ("config", "texts"),
    [
        ({}, {"plan in public"}),
        ({"private_channels": True}, {"plan in public", "plan in private"}),
        ({"direct_messages": True}, {"plan in public", "plan in direct", "plan in a group"}),
    ],
)
def test_what_is_not_opted_in_is_left_out(
    guarded: SlackVendor, config: dict[str, Any], texts: set[str], assistant: bool
) -> None:
    if assistant:
        guarded.user_scopes.remove("search:read")
    found = Desk(guarded, user=True, **config).search("plan")
    assert {item.text for item in found.items} == texts
    if assistant:
        assert any("assistant.search.context" in note for note in found.notes)
    else:
        assert f"{4 - len(texts)} found in private channels" in found.notes[0]
        assert not any(item.visibility == "unknown" for item in found.items)
    assert not any(
        "public" not in str(item.visibility) for item in found.items if item.text == "plan in public" and not config
    )


def test_a_channel_of_which_nothing_is_said_is_left_out(guarded: SlackVendor) -> None:
    match = {"channel": {"id": "C99", "name": "who-knows"}, "ts": "1.000000", "text": "plan", "user": "U1"}
    page = Reply.json({"ok": True, "messages": {"matches": [match, None, {}, {"channel": None}]}})
    guarded.refusals["auth.test"] = ""
    desk = Desk(guarded, user=True)
    _answer(guarded, "search.messages", page)
    assert desk.search("plan").items == ()
    both = Desk(guarded, user=True, private_channels=True, direct_messages=True).search("plan")
    assert [item.visibility for item in both.items] == ["unknown"]


def _answer(slack: SlackVendor, method: str, reply: Reply) -> None:
    """A method answers this from now on."""
    usual = slack.serve
    slack.serve = lambda seen: reply if seen.path.endswith(method) else usual(seen)  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "link", ["https://evil.example/x", "javascript:alert(1)", "http://acme.slack.com/x", "https://[", ""]
)
def test_links_to_elsewhere_are_replaced(slack: SlackVendor, link: str) -> None:
    channel = {"id": "C1", "name": "general", "is_private": False}
    match = {"channel": channel, "ts": "1700000000.000100", "text": "x", "user": "U1", "permalink": link}
    _answer(slack, "search.messages", Reply.json({"ok": True, "messages": {"matches": [match]}}))
    (item,) = Desk(slack, user=True).search("x").items
    assert item.url == "https://acme.slack.com/archives/C1/p1700000000000100"


def test_neither_search_allowed_says_which_scope(slack: SlackVendor) -> None:
    slack.user_scopes.clear()
    with pytest.raises(MissingScope, match="SLACK_USER_TOKEN lacks the scope search:read"):
        Desk(slack, user=True).search("x")


def test_a_refused_user_token_is_named(slack: SlackVendor) -> None:
    _answer(slack, "search.messages", Reply.json({"ok": False, "error": "token_revoked"}))
    with pytest.raises(KeyRefused, match="SLACK_USER_TOKEN"):
        Desk(slack, user=True).search("x")


def test_names_that_do_not_come_leave_ids(slack: SlackVendor) -> None:
    slack.add_message("general", "ada", "plan", at=BEGIN)
    slack.scopes.remove("users:read")
    found = Desk(slack, user=True).search("plan")
    assert [item.author for item in found.items] == ["ada"]  # what the match itself says
    assert any("ids stand for names" in note for note in found.notes)


def test_bots_that_are_not_wanted_are_not_found(slack: SlackVendor) -> None:
    robot = {
        "channel": {"id": "C1", "name": "g", "is_private": False},
        "ts": "1.000000",
        "text": "x",
        "user": "",
        "username": "robot",
    }
    _answer(slack, "search.messages", Reply.json({"ok": True, "messages": {"matches": [robot]}}))
    assert [item.author for item in Desk(slack, user=True).search("x").items] == ["robot"]
    assert Desk(slack, user=True, bots=False).search("x").items == ()


def test_what_came_before_the_deadline_is_given(slack: SlackVendor) -> None:
    fill(slack, 150)
    desk = Desk(slack, user=True)
    pages = 0
    usual = slack.serve

    def serve(seen: Any) -> Reply:
        nonlocal pages
        pages += seen.path.endswith("search.messages")
        return Reply(ending="hang") if pages > 1 else usual(seen)

    slack.serve = serve  # type: ignore[method-assign]
    found = desk.search("message", 150, seconds=1.5)
    assert len(found.items) == 100
    assert any("not all was read" in note for note in found.notes)


def test_nothing_before_the_deadline_is_an_error(slack: SlackVendor) -> None:
    slack.queue(*["hang"] * 9)
    with pytest.raises(NoService):
        Desk(slack, user=True).search("message", seconds=0.3)
