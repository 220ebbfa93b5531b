"""Bad answers of Slack: one bad message, channel or thread is skipped by name, and nothing else is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.connectors.base import Checkpoint, Skipped, Upsert
from sophiactl.connectors.errors import (
    Malformed,
)
from sophiactl.testing.vendors.slack import SlackVendor
from sophiactl.testing.web_server import Reply
from tests.slack_desk import BEGIN, Desk, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sophiactl.testing.web_server import Seen


@pytest.fixture
def slack() -> Iterator[SlackVendor]:
    with SlackVendor() as vendor:
        fill(vendor, 3)
        yield vendor


# What is skipped


def _in_history(slack: SlackVendor, change: Callable[[dict[str, Any]], Any]) -> Callable[[Seen], Reply]:
    """The real answer of a listing, spoilt."""

    def spoilt(seen: Seen) -> Reply:
        reply = slack.answer(seen)
        value = msgspec.json.decode(reply.body)
        return Reply.json(change(value) or value)

    return spoilt


BROKEN: list[Any] = [
    None,
    "text",
    [],
    {},
    {"ts": None, "text": "x"},
    {"ts": "soon", "text": "x"},
    {"ts": 1700000000.0002, "text": "x"},
    {"ts": {"a": 1}},
]


@pytest.mark.parametrize("bad", BROKEN)
def test_one_bad_message_is_skipped_and_the_others_read(slack: SlackVendor, bad: Any) -> None:
    slack.queue("ok", "ok", "ok", _in_history(slack, lambda value: value["messages"].insert(1, bad)))
    read = Desk(slack).read()
    assert read.texts == ["message 0", "message 1", "message 2"]
    (skipped,) = read.skipped
    assert skipped.ref.startswith(slack.channel("general").id)
    assert skipped.code == "malformed"


def test_nulls_and_strange_types_are_read_past(slack: SlackVendor) -> None:
    odd: dict[str, Any] = {
        "text": None,
        "user": 7,
        "blocks": {},
        "attachments": None,
        "files": "x",
        "edited": [],
        "reply_count": "2",
    }
    odd |= {"thread_ts": None, "bot_profile": None, "user_profile": 3, "subtype": None, "latest_reply": None}

    def spoil(value: dict[str, Any]) -> None:
        for number, message in enumerate(value["messages"]):
            message.update(odd, text=f"odd {number} \x00🎉")

    slack.queue("ok", "ok", "ok", _in_history(slack, spoil))
    read = Desk(slack).read()
    assert read.texts == ["odd 0 🎉", "odd 1 🎉", "odd 2 🎉"]
    assert {item.author for item in read.items.values()} == {"7"}


@pytest.mark.parametrize("answer", [{}, {"messages": None}, {"messages": {}}, {"messages": "none"}])
def test_a_history_without_messages_loses_none(slack: SlackVendor, answer: dict[str, Any]) -> None:
    desk = Desk(slack)
    slack.queue("ok", "ok", "ok", Reply.json({"ok": True, **answer}))
    read = desk.read()
    assert [skipped.code for skipped in read.skipped] == ["malformed"]
    assert len(desk.read(read.cursor).items) == 3


def test_an_answer_that_does_not_say_ok(slack: SlackVendor) -> None:
    slack.queue("ok", "ok", "ok", Reply.json({"messages": []}))
    read = Desk(slack).read()
    assert [skipped.code for skipped in read.skipped] == ["malformed"]


def test_an_endless_cursor_ends_and_the_next_run_goes_on(slack: SlackVendor) -> None:
    fill(slack, 9)
    again = {"response_metadata": {"next_cursor": "bmV4dF90czox"}}

    def spoil(value: dict[str, Any]) -> dict[str, Any]:
        return value | again

    slack.queue("ok", "ok", "ok", _in_history(slack, spoil))
    slack.queue(Reply.json({"ok": True, "messages": [], "has_more": True, **again}))
    desk = Desk(slack, page_size=4)
    read = desk.read()
    (skipped,) = read.skipped
    assert "same cursor twice" in skipped.reason
    assert len({**read.items, **desk.read(read.cursor).items}) == 12


@pytest.mark.parametrize("method", ["conversations.list", "users.list"])
def test_an_endless_cursor_in_a_list_is_named_and_what_was_listed_is_read(slack: SlackVendor, method: str) -> None:
    usual = slack.serve

    def serve(seen: Seen) -> Reply:
        reply = usual(seen)
        if not seen.path.endswith(method):
            return reply
        return Reply.json(msgspec.json.decode(reply.body) | {"response_metadata": {"next_cursor": "dXNlcjpV"}})

    slack.serve = serve  # type: ignore[method-assign]
    desk = Desk(slack)
    read = desk.read()
    assert len(read.items) == 3
    assert len(read.skipped) == 1


def test_a_list_of_which_nothing_comes_ends_the_run(slack: SlackVendor) -> None:
    listing = Reply.json({"ok": True, "channels": [], "response_metadata": {"next_cursor": "x"}})
    slack.queue("ok", "ok", listing, listing)
    with pytest.raises(Malformed):
        Desk(slack).read()


def test_a_cursor_that_dies_is_replaced_by_the_time(slack: SlackVendor) -> None:
    fill(slack, 12, channel="random")
    usual = slack.serve

    def serve(seen: Seen) -> Reply:
        if seen.path.endswith("history") and "cursor" in seen.query:
            return Reply.json({"ok": False, "error": "invalid_cursor"})
        return usual(seen)

    slack.serve = serve  # type: ignore[method-assign]
    read = Desk(slack, page_size=5).read()
    assert len(read.items) == 15
    assert not read.skipped


def test_pages_go_on_by_time_when_there_is_no_cursor(slack: SlackVendor) -> None:
    fill(slack, 9)
    first = next(iter(slack.channel("general").rows))
    for n in range(5):
        slack.reply("general", first, "bob", f"r{n}")

    def cut(value: dict[str, Any]) -> None:
        value.pop("response_metadata", None)

    slack.queue("ok", "ok", "ok", *[_in_history(slack, cut) for _ in range(40)])
    read = Desk(slack, page_size=3).read()
    assert len(read.items) == 17


def test_a_channel_that_fails_is_in_no_others_way(slack: SlackVendor) -> None:
    fill(slack, 2, channel="alpha")
    fill(slack, 2, channel="omega")
    broken = slack.channel("alpha").id
    healthy = slack.serve

    def serve(seen: Seen) -> Reply:
        if seen.query.get("channel") == broken:
            return Reply.json({"ok": False, "error": "fatal_error"})
        return healthy(seen)

    slack.serve = serve  # type: ignore[method-assign]
    desk = Desk(slack)
    found: dict[str, Any] = {}
    cursor: str | None = None
    for _ in range(3):
        changes = desk.cut_short(cursor)
        found |= {change.item.id: change for change in changes if isinstance(change, Upsert)}
        cursor = next((each.cursor for each in reversed(changes) if isinstance(each, Checkpoint)), cursor)
        assert [each.ref for each in changes if isinstance(each, Skipped)] == [broken]
    assert len(found) == 5


@pytest.mark.parametrize("word", ["channel_not_found", "not_in_channel", "missing_scope", "a_word_of_tomorrow"])
def test_a_channel_that_refuses_is_skipped(slack: SlackVendor, word: str) -> None:
    fill(slack, 2, channel="random")
    slack.queue("ok", "ok", "ok", Reply.json({"ok": False, "error": word, "needed": "channels:history"}))
    read = Desk(slack).read()
    assert len(read.items) == 2
    assert [skipped.ref for skipped in read.skipped] == [slack.channel("general").id]


@pytest.mark.parametrize("fault", [Reply.json({"ok": True}), Reply.json({"ok": False, "error": "a_word_of_tomorrow"})])
def test_a_thread_that_cannot_be_read_is_owed_and_read_the_next_time(slack: SlackVendor, fault: Reply) -> None:
    first = next(iter(slack.channel("general").rows))
    slack.reply("general", first, "bob", "precious", at=BEGIN + 5)
    slack.queue("ok", "ok", "ok", "ok", fault, fault)
    desk = Desk(slack)
    read = desk.read()
    assert "precious" not in read.texts
    assert {skipped.ref for skipped in read.skipped} == {f"{slack.channel('general').id}:{first}"}
    again = desk.read(read.cursor)
    assert "precious" in again.texts
    assert not again.skipped
    assert '"owed"' not in again.cursor


def test_a_thread_that_was_deleted_just_now_is_no_fault(slack: SlackVendor) -> None:
    first = next(iter(slack.channel("general").rows))
    slack.reply("general", first, "bob", "reply", at=BEGIN + 5)
    slack.queue("ok", "ok", "ok", "ok", Reply.json({"ok": False, "error": "thread_not_found"}))
    read = Desk(slack).read()
    assert not read.skipped
    assert len(read.items) == 3


def test_a_page_of_thirty_megabytes(slack: SlackVendor) -> None:
    slack.add_message("general", "ada", "x" * (30 << 20), at=BEGIN + 500)
    assert max(map(len, Desk(slack).read().texts)) == 30 << 20
