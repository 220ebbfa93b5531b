"""Slack, read a second time: what changed is followed, and a run that is killed loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.connectors.base import Change, Checkpoint, Item, Removed
from sophiactl.connectors.errors import (
    BadQuery,
)
from sophiactl.testing.vendors.slack import SlackVendor
from sophiactl.testing.web_server import Reply
from tests.slack_desk import BEGIN, Desk, applied, fill

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


# What changes


def test_the_second_time_reads_the_overlap_alone(slack: SlackVendor) -> None:
    fill(slack, 500)
    desk = Desk(slack, page_size=100)
    first = desk.read()
    before = len(slack.requests)
    second = desk.read(first.cursor)
    assert len(first.items) == 500
    assert len(second.items) <= 11  # ten minutes, one a minute
    assert len(slack.requests) - before <= 10
    assert applied(second.changes, first.items) == first.items


@pytest.mark.parametrize("overlap", [0.0, 10.0])
def test_changes_are_followed(slack: SlackVendor, overlap: float) -> None:
    stamps = fill(slack, 10, step=600)
    slack.reply("general", stamps[1], "bob", "early reply", at=BEGIN + 700)
    doomed = slack.reply("general", stamps[1], "bob", "doomed reply", at=BEGIN + 800)
    desk = Desk(slack, overlap_minutes=overlap)
    first = desk.read()
    channel = slack.channel("general").id
    now = BEGIN + 10_000
    slack.edit_message("general", stamps[3], "edited", at=now + 1)
    slack.delete_message("general", stamps[4])
    slack.reply("general", stamps[0], "bob", "late reply", at=now + 2)
    slack.delete_message("general", doomed)
    new = slack.add_message("general", "ada", "new", at=now + 3)
    second = desk.read(first.cursor)
    state = applied(second.changes, first.items)
    texts = {item.text for item in state.values()}
    assert {"edited", "late reply", "new", "early reply"} <= texts
    assert {"message 3", "message 4", "doomed reply"}.isdisjoint(texts)
    assert set(second.removed) == {f"{channel}:{stamps[4]}", f"{channel}:{doomed}"}
    assert state[f"{channel}:{stamps[0]}"].thread == f"{channel}:{stamps[0]}"  # it has become a thread
    assert state[f"{channel}:{new}"].text == "new"
    third = desk.read(second.cursor)
    assert not third.removed
    assert applied(third.changes, state) == state


def test_a_late_reply_to_an_old_thread_is_found_within_the_lookback(slack: SlackVendor) -> None:
    old = slack.add_message("general", "ada", "old question", at=BEGIN)
    slack.add_message("general", "ada", "today", at=BEGIN + 9 * DAY)
    desk = Desk(slack)
    first = desk.read()
    slack.reply("general", old, "bob", "very late", at=BEGIN + 9 * DAY + 60)
    assert "very late" in desk.read(first.cursor).texts


def test_a_reply_to_an_older_thread_is_found_when_it_was_sent_to_the_channel_too(slack: SlackVendor) -> None:
    old = slack.add_message("general", "ada", "ancient question", at=BEGIN)
    slack.add_message("general", "ada", "today", at=BEGIN + 90 * DAY)
    desk = Desk(slack)
    first = desk.read()
    slack.reply("general", old, "bob", "between the two", at=BEGIN + 90 * DAY + 60)
    slack.reply("general", old, "bob", "to all", at=BEGIN + 90 * DAY + 61, broadcast=True)
    assert {"between the two", "to all"} <= set(desk.read(first.cursor).texts)


def test_a_broadcast_reply_is_one_item(slack: SlackVendor) -> None:
    (parent,) = fill(slack, 1)
    ts = slack.reply("general", parent, "bob", "to all", at=BEGIN + 5, broadcast=True)
    read = Desk(slack).read()
    channel = slack.channel("general").id
    assert read.items[f"{channel}:{ts}"].thread == f"{channel}:{parent}"
    assert len(read.items) == 2


def test_a_deleted_parent_leaves_its_replies(slack: SlackVendor) -> None:
    (parent,) = fill(slack, 1)
    reply = slack.reply("general", parent, "bob", "stays", at=BEGIN + 5)
    desk = Desk(slack)
    first = desk.read()
    slack.delete_message("general", parent)
    channel = slack.channel("general").id
    second = desk.read(first.cursor)
    assert second.removed == [f"{channel}:{parent}"]
    third = desk.read(second.cursor)
    assert not third.removed
    slack.delete_message("general", reply)
    fourth = desk.read(third.cursor)
    state = applied([*first.changes, *second.changes, *third.changes, *fourth.changes])
    assert state == {}


def test_an_edit_that_leaves_nothing_removes(slack: SlackVendor) -> None:
    stamps = fill(slack, 2)
    desk = Desk(slack)
    first = desk.read()
    slack.edit_message("general", stamps[0], "", at=BEGIN + 500)
    assert desk.read(first.cursor).removed == [f"{slack.channel('general').id}:{stamps[0]}"]


@pytest.mark.parametrize("skew", [-10 * DAY, 10 * DAY])
def test_the_vendors_clock_is_the_only_one(slack: SlackVendor, skew: float) -> None:
    slack.skew = skew
    desk = Desk(slack)
    slack.add_message("general", "ada", "one")
    first = desk.read()
    slack.add_message("general", "ada", "two")
    second = desk.read(first.cursor)
    assert applied(second.changes, first.items).keys() == {
        f"{slack.channel('general').id}:{ts}" for ts in slack.channel("general").rows
    }


def test_since_bounds_the_first_reading(slack: SlackVendor) -> None:
    old = slack.add_message("general", "ada", "old", at=BEGIN - 5 * DAY)
    slack.add_message("general", "ada", "older than all", at=BEGIN - 500 * DAY)
    slack.add_message("general", "ada", "young", at=BEGIN + 60)
    slack.reply("general", old, "bob", "young reply", at=BEGIN + 61)
    desk = Desk(slack)
    read = desk.read(since="2023-11-14T22:13:20Z")
    assert read.texts == ["old", "young", "young reply"]  # a thread is given with what began it
    slack.add_message("new", "ada", "old too", at=BEGIN - 5 * DAY)
    slack.add_message("new", "ada", "young too", at=BEGIN + 60)
    assert desk.read(read.cursor).texts[-1] == "young too"
    with pytest.raises(BadQuery, match="no time"):
        desk.read(since="last week")


def test_a_new_channel_is_read_from_its_beginning(slack: SlackVendor) -> None:
    fill(slack, 2)
    late = slack.add_channel("late", bot_in=False)
    fill(slack, 30, channel=late)
    desk = Desk(slack)
    first = desk.read()
    assert len(first.items) == 2
    slack.invite_bot("late")
    second = desk.read(first.cursor)
    assert sum(item.container == "#late" for item in second.items.values()) == 30


def test_a_renamed_channel_is_read_again(slack: SlackVendor) -> None:
    fill(slack, 5, step=DAY)
    desk = Desk(slack)
    first = desk.read()
    slack.rename_channel("general", "company")
    second = desk.read(first.cursor)
    assert {item.container for item in applied(second.changes, first.items).values()} == {"#company"}
    assert not second.removed
    assert len(desk.read(second.cursor).items) == 1


def test_a_channel_that_the_bot_was_put_out_of_is_named_and_kept(slack: SlackVendor) -> None:
    fill(slack, 2)
    fill(slack, 2, channel="random")
    desk = Desk(slack)
    first = desk.read()
    slack.remove_bot("random")
    second = desk.read(first.cursor)
    (skipped,) = second.skipped
    assert skipped.ref == slack.channel("random").id
    assert "not in #random any more" in skipped.reason
    assert not second.removed
    slack.invite_bot("random")
    slack.add_message("random", "ada", "back", at=BEGIN + 9_000)
    third = desk.read(second.cursor)
    assert "back" in third.texts
    assert not third.skipped


def test_an_archived_channel_is_named_once(slack: SlackVendor) -> None:
    fill(slack, 2)
    desk = Desk(slack)
    first = desk.read()
    slack.archive("general")
    second = desk.read(first.cursor)
    assert [skipped.reason for skipped in second.skipped] == ["#general was archived"]
    assert not desk.read(second.cursor).skipped


def test_a_channel_that_was_made_private_is_read_no_more_and_reconciled_away(slack: SlackVendor) -> None:
    fill(slack, 2)
    desk = Desk(slack)
    first = desk.read()
    slack.make_private("general")
    second = desk.read(first.cursor)
    assert "private now, which is not opted in" in second.skipped[0].reason
    assert not second.items
    gone = [change.id for change in desk.reconcile(list(first.items)) if isinstance(change, Removed)]
    assert sorted(gone) == sorted(first.items)
    opted = Desk(slack, private_channels=True)
    assert {item.visibility for item in opted.read(first.cursor).items.values()} == {"private"}


def test_the_cursor_of_many_messages_stays_short(slack: SlackVendor) -> None:
    fill(slack, 3_000)
    cursor = Desk(slack).read().cursor
    assert len(cursor) < 8_000


# Runs that are killed


def test_killed_anywhere_it_ends_the_same(slack: SlackVendor) -> None:
    stamps = fill(slack, 9)
    for n in range(4):
        slack.reply("general", stamps[2 + n % 2], "bob", f"reply {n}", at=BEGIN + 1_000 + n)
    fill(slack, 4, channel="random")
    desk = Desk(slack, page_size=2)
    first = desk.read()
    _resumed_everywhere(desk, first.changes, None, {})
    slack.edit_message("general", stamps[1], "edited", at=BEGIN + 5_000)
    slack.delete_message("general", stamps[5])
    slack.reply("general", stamps[0], "bob", "late", at=BEGIN + 5_001)
    slack.add_message("random", "ada", "new", at=BEGIN + 5_002)
    second = desk.read(first.cursor)
    assert second.removed
    _resumed_everywhere(desk, second.changes, first.cursor, first.items)


def _resumed_everywhere(desk: Desk, changes: list[Change], cursor: str | None, state: dict[str, Item]) -> None:
    whole = applied(changes, state)
    for stop in range(len(changes)):
        kept = [change.cursor for change in changes[:stop] if isinstance(change, Checkpoint)]
        resumed = desk.read(kept[-1] if kept else cursor)
        assert applied([*changes[:stop], *resumed.changes], state) == whole


def _change(slack: SlackVendor, data: st.DataObject, at: float) -> None:
    """Something happens in a channel."""
    name = data.draw(st.sampled_from(["general", "random"]))
    channel = slack.channel(name)
    top = [
        ts for ts, row in channel.rows.items() if not row.get("parent_user_id") and row.get("subtype") != "tombstone"
    ]
    alive = [ts for ts, row in channel.rows.items() if row.get("subtype") != "tombstone"]
    kind = data.draw(st.sampled_from(["add", "reply", "broadcast", "edit", "delete"]))
    if kind == "add" or not alive or not top:
        slack.add_message(name, "ada", f"new at {at}", at=at)
    elif kind in ("reply", "broadcast"):
        slack.reply(
            name, data.draw(st.sampled_from(top)), "bob", f"reply at {at}", at=at, broadcast=kind == "broadcast"
        )
    elif kind == "edit":
        slack.edit_message(name, data.draw(st.sampled_from(top)), f"edit at {at}", at=at)
    else:
        slack.delete_message(name, data.draw(st.sampled_from(alive)))


@given(st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_the_store_follows(data: st.DataObject) -> None:
    """Runs, some of them killed, with changes in between: in the end the store holds what Slack shows.

    What was stored behind the last checkpoint of a killed run and was deleted before the next, `reconcile` finds.
    """
    with SlackVendor() as slack:
        fill(slack, 6)
        fill(slack, 2, channel="random")
        desk = Desk(slack, page_size=data.draw(st.integers(2, 9)), overlap_minutes=data.draw(st.sampled_from([0, 10])))
        state: dict[str, Item] = {}
        cursor: str | None = None
        tidy = data.draw(st.booleans())
        at = BEGIN + 1_000.0
        for _ in range(data.draw(st.integers(1, 5))):
            changes = desk.read(cursor).changes
            changes = changes[: data.draw(st.integers(0, len(changes)))] if data.draw(st.booleans()) else changes
            marks = [(number, each.cursor) for number, each in enumerate(changes, 1) if isinstance(each, Checkpoint)]
            last, cursor = marks[-1] if marks else (0, cursor)
            state = applied(changes[:last] if tidy else changes, state)
            for _ in range(data.draw(st.integers(0, 3))):
                at += data.draw(st.sampled_from([3, 700]))
                _change(slack, data, at)
        twice = cursor is not None and '"again"' in cursor  # interrupted, and once more while it made up for that
        for _ in range(1 + twice):
            read = desk.read(cursor)
            state, cursor = applied(read.changes, state), read.cursor
        if not tidy:
            state = applied(desk.reconcile(list(state)), state)
        assert state == desk.read().items
