"""Deletions found by comparing, single messages, and what a first reading will cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sophiactl.connectors.base import Checkpoint, Removed, Skipped
from sophiactl.connectors.errors import ItemGone
from sophiactl.connectors.slack_reconcile import MOST_ASKED
from sophiactl.testing.vendors.slack import SlackVendor
from tests.slack_desk import BEGIN, Desk, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400


@pytest.fixture
def slack() -> Iterator[SlackVendor]:
    with SlackVendor() as vendor:
        yield vendor


def _gone(desk: Desk, known: list[str]) -> list[str]:
    changes = desk.reconcile(known)
    assert isinstance(changes[-1], Checkpoint)
    assert changes[-1].done
    return sorted(change.id for change in changes if isinstance(change, Removed))


@pytest.mark.parametrize("size", [2, 5, 100])
def test_what_was_deleted_is_found_and_nothing_else(slack: SlackVendor, size: int) -> None:
    stamps = fill(slack, 12)
    replies = [slack.reply("general", stamps[1], "bob", f"r{n}", at=BEGIN + 70 + n) for n in range(5)]
    other = slack.reply("general", stamps[2], "bob", "other", at=BEGIN + 200)
    fill(slack, 3, channel="random")
    desk = Desk(slack, page_size=size)
    known = list(desk.read().items)
    assert _gone(desk, known) == []
    for ts in (stamps[5], replies[2], stamps[2], other):
        slack.delete_message("general", ts)
    channel = slack.channel("general").id
    expected = sorted(f"{channel}:{ts}" for ts in (stamps[5], replies[2], stamps[2], other))
    assert _gone(desk, known) == expected


def test_only_threads_that_may_hold_what_is_missing_are_read(slack: SlackVendor) -> None:
    stamps = fill(slack, 20)
    for ts in stamps:
        slack.reply("general", ts, "bob", "reply", at=BEGIN + 10_000)
    desk = Desk(slack)
    before = len(slack.requests)
    channel = slack.channel("general").id
    assert _gone(desk, [f"{channel}:{ts}" for ts in stamps]) == []
    assert len(slack.requests) - before == 2


def test_a_reply_whose_thread_began_long_before_is_not_taken_for_gone(slack: SlackVendor) -> None:
    old = slack.add_message("general", "ada", "old", at=BEGIN)
    replies = [slack.reply("general", old, "bob", f"r{n}", at=BEGIN + 100 * DAY + n) for n in range(3)]
    desk = Desk(slack)
    channel = slack.channel("general").id
    known = [f"{channel}:{ts}" for ts in replies]
    assert _gone(desk, known) == []
    slack.delete_message("general", replies[0])
    assert _gone(desk, known) == [f"{channel}:{replies[0]}"]


def test_many_such_replies_are_looked_for_together(slack: SlackVendor) -> None:
    old = slack.add_message("general", "ada", "old", at=BEGIN)
    many = range(MOST_ASKED * 2)
    replies = [slack.reply("general", old, "bob", f"r{n}", at=BEGIN + 100 * DAY + n) for n in many]
    slack.delete_message("general", replies[7])
    desk = Desk(slack)
    channel = slack.channel("general").id
    assert _gone(desk, [f"{channel}:{ts}" for ts in replies]) == [f"{channel}:{replies[7]}"]
    assert len(slack.requests) < 10


def test_what_a_free_workspace_hides_is_left_alone(slack: SlackVendor) -> None:
    stamps = fill(slack, 10)
    desk = Desk(slack)
    first = desk.read()
    slack.limited_before = stamps[5]
    slack.delete_message("general", stamps[7])
    channel = slack.channel("general").id
    assert _gone(desk, list(first.items)) == [f"{channel}:{stamps[7]}"]
    assert desk.read(first.cursor).removed == [f"{channel}:{stamps[7]}"]


def test_channels_that_cannot_be_looked_into_are_left_alone_and_named(slack: SlackVendor) -> None:
    fill(slack, 2)
    desk = Desk(slack)
    known = list(desk.read().items)
    slack.remove_bot("general")
    changes = desk.reconcile([*known, "C0NOWHERE:1.000000", "nonsense", "C1:soon"])
    assert not [change for change in changes if isinstance(change, Removed)]
    skipped = {change.ref for change in changes if isinstance(change, Skipped)}
    assert skipped == {slack.channel("general").id, "C0NOWHERE"}


def test_nothing_known_asks_nobody(slack: SlackVendor) -> None:
    assert Desk(slack).reconcile([]) == [Checkpoint("", done=True)]
    assert not slack.requests


# One message


def test_fetch_finds_messages_and_replies(slack: SlackVendor) -> None:
    stamps = fill(slack, 3)
    reply = slack.reply("general", stamps[0], "bob", "reply", at=BEGIN + 5)
    desk = Desk(slack)
    items = desk.read().items
    channel = slack.channel("general").id
    for ts in (*stamps, reply):
        name = f"{channel}:{ts}"
        assert desk.run(lambda connector, name=name: connector.fetch(name, desk.deadline())) == items[name]  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "C1", "nonsense:", ":1.000000", "C1:soon", "C0NOWHERE:1.000000"])
def test_fetch_of_what_is_not_there(slack: SlackVendor, name: str) -> None:
    desk = Desk(slack)
    with pytest.raises(ItemGone):
        desk.run(lambda connector: connector.fetch(name, desk.deadline()))


def test_fetch_does_not_look_where_it_is_not_opted_in(slack: SlackVendor) -> None:
    private = slack.add_channel("board", kind="private")
    ts = slack.add_message(private, "ada", "in private")
    (public,) = fill(slack, 1)
    slack.delete_message("general", public)
    desk = Desk(slack)
    with pytest.raises(ItemGone, match="not read") as caught:
        desk.run(lambda connector: connector.fetch(f"{private}:{ts}", desk.deadline()))
    assert "private_channels" in str(caught.value.hint)
    assert desk.asked("conversations.replies") == 0
    with pytest.raises(ItemGone, match="no message"):
        desk.run(lambda connector: connector.fetch(f"{slack.channel('general').id}:{public}", desk.deadline()))
    opted = Desk(slack, private_channels=True)
    assert opted.run(lambda connector: connector.fetch(f"{private}:{ts}", opted.deadline())).text == "in private"


def test_fetch_of_a_direct_message_that_was_opted_in(slack: SlackVendor) -> None:
    direct = slack.add_direct("ada")
    ts = slack.add_message(direct, "ada", "to the bot")
    desk = Desk(slack, direct_messages=True)
    item = desk.run(lambda connector: connector.fetch(f"{direct}:{ts}", desk.deadline()))
    assert item == desk.read().items[f"{direct}:{ts}"]
    assert (item.container, item.visibility) == ("@Ada", "direct")


# Cost


def test_the_cost_of_a_small_workspace_is_exact(slack: SlackVendor) -> None:
    stamps = fill(slack, 10)
    slack.reply("general", stamps[0], "bob", "reply", at=BEGIN + 5)
    fill(slack, 5, channel="random")
    desk = Desk(slack)
    cost = desk.run(lambda connector: connector.cost(None, desk.deadline()))
    before = len(slack.requests)
    assert len(desk.read().items) == cost.items == 16
    assert cost.requests == len(slack.requests) - before
    assert cost.basis == "the newest messages of 2 of 2 channels"


def test_the_cost_of_a_big_one_is_a_guess_from_few_requests(slack: SlackVendor) -> None:
    for n in range(12):
        name = slack.add_channel(f"c{n}", created=BEGIN)
        fill(slack, 300, channel=name)
    desk = Desk(slack, page_size=100)
    cost = desk.run(lambda connector: connector.cost(None, desk.deadline()))
    assert len(slack.requests) <= 15
    assert cost.requests is not None
    assert 36 <= cost.requests <= 60
    assert cost.items is not None
    assert 3_000 <= cost.items <= 4_500
    assert cost.basis.startswith("guessed from")


def test_the_cost_of_a_commercial_app_is_not_found_out_the_slow_way(slack: SlackVendor) -> None:
    fill(slack, 100)
    desk = Desk(slack, commercial=True)
    cost = desk.run(lambda connector: connector.cost(None, desk.deadline()))
    assert desk.asked("conversations.history") == 0
    assert cost.items is None
    assert cost.seconds is not None
    assert cost.seconds >= 60
