"""Threads, and what a message gives: the part of reading Slack that knows names and lines in time."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Change, Removed, Skipped, Upsert
from sophiactl.connectors.errors import Malformed
from sophiactl.connectors.reading import items, mapping, text
from sophiactl.connectors.slack_api import REPLIES, listed
from sophiactl.connectors.slack_items import dropped, item_id, read_message
from sophiactl.connectors.slack_text import people_in
from sophiactl.connectors.slack_time import micros

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from sophiactl.connectors.slack_api import SlackApi
    from sophiactl.connectors.slack_channels import Channel
    from sophiactl.connectors.slack_items import Team
    from sophiactl.connectors.slack_marks import Replies
    from sophiactl.connectors.slack_people import People
    from sophiactl.connectors.slack_text import Names


class Line(msgspec.Struct, frozen=True):
    """What is new: all that happened `after` (None: everything), in microseconds.

    From `floor` on, all that was given is remembered; below `bottom` nothing is looked at.
    """

    after: int | None
    floor: int | None = None
    bottom: int = 0

    @property
    def everything(self) -> bool:
        """Whether all is new."""
        return self.after is None

    def passed(self, *stamps: Any) -> bool:
        """Whether one of the times is behind the line."""
        return self.after is None or any((micros(ts) or 0) > self.after for ts in stamps)

    def above_floor(self, ts: str) -> bool:
        """Whether a message of that time would be remembered, had it been given."""
        return self.floor is not None and (micros(ts) or 0) >= self.floor


class Threads:
    """Reads threads, and turns messages into changes."""

    def __init__(self, api: SlackApi, people: People, names: Names, team: Team) -> None:
        self.api = api
        self.people = people
        self.names = names
        self.team = team

    async def learn(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Look up who is in the messages and in no list."""
        await self.people.learn(chain.from_iterable(people_in(message) for message in messages))

    def given(self, message: Mapping[str, Any], channel: Channel) -> Change | None:
        """The change that a message is; None when it says nothing that is kept."""
        if dropped(message, self.api.config.bots):
            return None
        item = read_message(message, channel, self.names, self.team)
        if item is not None:
            return Upsert(item)
        # What was edited may have said something before.
        return Removed(item_id(channel.id, text(message.get("ts")))) if mapping(message.get("edited")) else None

    async def read(
        self, channel: Channel, parent: str, line: Line, known: Replies, found: dict[str, None]
    ) -> AsyncIterator[Change]:
        """A thread's new replies, and those of the `known` that are gone; `found` takes all that are there."""
        async for page in self.api.pages(REPLIES, {"channel": channel.id, "ts": parent}):
            messages = listed(page.value, "messages")
            await self.learn(items(messages))
            for value in messages:
                message = mapping(value)
                ts = text(message.get("ts"))
                if micros(message.get("ts")) is None:
                    ref = item_id(channel.id, ts or "?")
                    yield Skipped(ref, Malformed.code, f"{channel.name}: a reply without a time")
                    continue
                if ts == parent or ts in found:
                    continue
                found[ts] = None
                new = line.passed(ts, mapping(message.get("edited")).get("ts")) or (
                    known is not None and ts not in known
                )
                if new and (given := self.given(message, channel)):
                    yield given
        for ts in known or ():
            if ts not in found:
                yield Removed(item_id(channel.id, ts))
