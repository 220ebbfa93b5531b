"""Everything that is asked of Slack is as its API description has it, and nothing of it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sophiactl.connectors.base import Item, Removed
from sophiactl.testing.vendors.slack import SlackVendor
from tests.api_descriptions import checker, writes
from tests.slack_desk import BEGIN, Desk, applied, fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def slack(shared: Path) -> Iterator[SlackVendor]:
    with SlackVendor() as vendor:
        vendor.check = checker(shared, "slack")
        yield vendor
        assert not vendor.violations
        assert vendor.requests
        assert not [seen for seen in vendor.requests if writes(seen)]


def _company(slack: SlackVendor) -> list[str]:
    stamps = fill(slack, 25)
    for n in range(7):
        slack.reply("general", stamps[3], "bob", f"reply {n}", at=BEGIN + 200 + n)
    guest = slack.add_user("eve", "Eve of Globex", external=True)
    slack.add_message("general", guest, "hello from Globex", at=BEGIN + 9_000)
    slack.add_message(slack.add_channel("board", kind="private"), "ada", "in private", at=BEGIN)
    slack.add_message(slack.add_direct("ada"), "ada", "to the bot", at=BEGIN)
    return stamps


@pytest.mark.parametrize("commercial", [False, True])
@pytest.mark.parametrize("opted_in", [False, True])
def test_reading_everything_and_what_changed(slack: SlackVendor, opted_in: bool, commercial: bool) -> None:
    stamps = _company(slack)
    desk = Desk(slack, page_size=4, private_channels=opted_in, direct_messages=opted_in, commercial=commercial)
    first = desk.read()
    assert len(first.items) == (35 if opted_in else 33)
    slack.delete_message("general", stamps[1])
    slack.reply("general", stamps[0], "bob", "late", at=BEGIN + 9_500)
    slack.remove_bot("board")
    second = desk.read(first.cursor)
    state: dict[str, Item] = applied(second.changes, first.items)
    assert "late" in second.texts
    assert len(second.removed) == 1
    gone = desk.reconcile([*state, f"{slack.channel('general').id}:1.000000"])
    assert sum(isinstance(change, Removed) for change in gone) == 1
    desk.read(since="2023-11-14")
    desk.run(lambda connector: connector.cost("2023-11-14", desk.deadline()))
    name = next(iter(state))
    desk.run(lambda connector: connector.fetch(name, desk.deadline()))


@pytest.mark.parametrize("assistant", [False, True])
def test_searching(slack: SlackVendor, assistant: bool) -> None:
    _company(slack)
    if assistant:
        slack.user_scopes.remove("search:read")
    desk = Desk(slack, user=True, private_channels=True, direct_messages=True)
    assert len(desk.search("message", 22).items) == 22
    desk.run(lambda connector: connector.ping(desk.deadline()))


def test_the_check_finds_what_is_wrong(shared: Path) -> None:
    with SlackVendor() as slack:
        slack.check = checker(shared, "slack")
        desk = Desk(slack)
        desk.run(lambda connector: connector._api.call("users.list", {"bogus": "1"}, desk.deadline()))
        assert slack.violations
