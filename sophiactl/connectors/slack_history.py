"""What changed in Slack: channel by channel, newest first, with the threads of each page.

Slack cannot be asked for changes. So each time the last `thread_days` of a channel are listed again: a message that was
written or edited since is given, a thread whose last reply is new is read again, and what is gone from where it stood
is removed. The times that are compared are Slack's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Change, Checkpoint, Removed, Skipped
from sophiactl.connectors.errors import BadQuery, ItemGone, Malformed, NoService, ServiceDown, ServiceError, TooFast
from sophiactl.connectors.reading import items, mapping, text
from sophiactl.connectors.slack_api import HISTORY, listed
from sophiactl.connectors.slack_channels import channel_info, list_channels, opted_in
from sophiactl.connectors.slack_items import TOMBSTONE, item_id, parent_of, reply_count
from sophiactl.connectors.slack_marks import Mark, Marks, Replies, encoded, remembered, share
from sophiactl.connectors.slack_threads import Line
from sophiactl.connectors.slack_time import DAY, MICROS, latest, micros, ts_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sophiactl.connectors.slack_api import Page
    from sophiactl.connectors.slack_channels import Channel, Listing
    from sophiactl.connectors.slack_threads import Threads

LEAST_OVERLAP = 2 * MICROS
"""The time of an edit is given in whole seconds."""


class History:
    """One run of `changes`; `marks` is the cursor as it grows."""

    def __init__(self, threads: Threads, marks: Marks) -> None:
        self._threads = threads
        self._api = threads.api
        self._config = threads.api.config
        self._overlap = max(LEAST_OVERLAP, round(self._config.overlap_minutes * 60 * MICROS))
        self._lookback = max(self._overlap, round(self._config.thread_days * DAY))
        self._share = 0
        self._turn = max((mark.turn for mark in marks.channels.values()), default=0)
        self.marks = marks

    async def changes(self) -> AsyncIterator[Change]:
        """Everything, to the last checkpoint."""
        refused = await self._threads.people.load()
        if refused is not None:
            yield Skipped("users", refused.code, f"ids stand for names: {refused.message}")
        listing = await list_channels(self._api, self._threads.names)
        for skipped in listing.skipped:
            yield skipped
        found = listing.channels.values()
        readable = {one.id: one for one in found if one.member and opted_in(one.kind, self._config)}
        self._share = share(len(readable))
        for channel in sorted(readable.values(), key=self._order):
            async for change in self._channel(channel):
                yield change
        for name in [name for name in self.marks.channels if name not in readable]:
            lost = await self._lost(name, listing)
            if lost is not None:
                yield lost
        yield Checkpoint(encoded(self.marks), done=True)

    def _order(self, channel: Channel) -> tuple[bool, bool, int, str]:
        """What was begun comes first, then what waited longest; last where Slack failed: that must stop no others."""
        mark = self.marks.channels.get(channel.id) or Mark(channel.kind, channel.name)
        return mark.failed, not mark.low, mark.turn, channel.id

    async def _channel(self, channel: Channel) -> AsyncIterator[Change]:
        before = self.marks.channels.get(channel.id)
        mark = self._mark(channel, before)
        self._set(channel, mark)
        try:
            async for change in self._whole(channel):
                yield change
            if mark.low and not mark.again:
                # It went on with a reading of some time ago: now what came since. If that is interrupted too, what came
                # in between waits for the next run: a run that never ends would keep all others waiting.
                self._set(channel, msgspec.structs.replace(self.marks.channels[channel.id], again=True))
                async for change in self._whole(channel):
                    yield change
            async for change in self._owed(channel):
                yield change
        except ServiceError as error:
            if error.stop or isinstance(error, TooFast | NoService):
                raise
            yield self._failed(channel, channel.id, error)
            yield Checkpoint(encoded(self.marks))

    def _mark(self, channel: Channel, before: Mark | None) -> Mark:
        since = self.marks.since
        if before is None:
            return Mark(channel.kind, channel.name, since, since)
        renamed = before.name != channel.name and channel.kind != "direct"
        return before.anew(channel.kind, channel.name, since) if renamed or before.kind != channel.kind else before

    def _set(self, channel: Channel, mark: Mark) -> None:
        self.marks.channels[channel.id] = mark

    def _failed(self, channel: Channel, ref: str, error: ServiceError) -> Skipped:
        if isinstance(error, ServiceDown):
            self._set(channel, msgspec.structs.replace(self.marks.channels[channel.id], failed=True))
        return Skipped(ref, error.code, f"{channel.name}: {error.message}")

    async def _whole(self, channel: Channel) -> AsyncIterator[Change]:
        """A reading to its end. Where a cursor is no longer known, it goes on by time."""
        while True:
            before = self.marks.channels[channel.id].low
            try:
                async for change in self._read(channel):
                    yield change
            except BadQuery as error:
                if "invalid_cursor" not in error.message or self.marks.channels[channel.id].low in ("", before):
                    raise
            else:
                return

    async def _read(self, channel: Channel) -> AsyncIterator[Change]:
        """One reading of a channel, from where the last one stopped."""
        mark = self.marks.channels[channel.id]
        line = self._line(mark)
        params: dict[str, str | int] = {"channel": channel.id}
        if line.bottom:
            params["oldest"] = ts_of(line.bottom)
        if mark.low:
            params["latest"] = mark.low
        if len(params) > 1:
            params["inclusive"] = "true"
        first = not mark.low
        async for page in self._api.pages(HISTORY, params):
            if first:
                self._set(channel, self.marks.channels[channel.id].begun())
            present: dict[str, Replies] = {}
            async for change in self._page(channel, page, line, present):
                yield change
            self._set(channel, self._after(channel, page, present, first=first))
            if page.last:
                for change in self._gone(channel, page, line.bottom):
                    yield change
                mark = self.marks.channels[channel.id]
                self._turn += 1
                self._set(channel, mark.ended((micros(mark.next_top) or 0) - self._lookback, self._turn))
            first = False
            yield Checkpoint(encoded(self.marks))

    def _line(self, mark: Mark) -> Line:
        """Which changes are new, and how far down the channel has to be read."""
        seen = micros(mark.seen)
        known = [at for ts in mark.old | mark.recent if (at := micros(ts)) is not None]
        if seen is None:
            return Line(None)
        after = seen - self._overlap
        bottom = min(after, (micros(mark.top) or seen) - self._lookback)
        return Line(after, min(known, default=None), max(0, bottom))

    async def _page(
        self, channel: Channel, page: Page, line: Line, present: dict[str, Replies]
    ) -> AsyncIterator[Change]:
        messages = listed(page.value, "messages")
        await self._threads.learn(items(messages))
        for message in reversed(messages):
            ts = text(mapping(message).get("ts"))
            if micros(mapping(message).get("ts")) is None:
                yield Skipped(
                    item_id(channel.id, ts or "?"), Malformed.code, f"{channel.name}: a message without a time"
                )
                continue
            async for change in self._message(channel, message, line, present):
                yield change

    async def _message(
        self, channel: Channel, message: dict[str, Any], line: Line, present: dict[str, Replies]
    ) -> AsyncIterator[Change]:
        """What a message of a channel's history gives: itself if it is new, its thread if that changed."""
        mark = self.marks.channels[channel.id]
        ts, parent = text(message.get("ts")), parent_of(message)
        replies, stone = mark.replies(ts), message.get("subtype") == TOMBSTONE
        strange = not stone and line.above_floor(ts) and not mark.known(ts)
        fresh = strange or line.passed(ts, mapping(message.get("edited")).get("ts"))
        changed = not parent and ts not in mark.owed and _thread_changed(message, replies, line, strange)
        lost = replies if replies and not reply_count(message) else []
        if stone and ts not in mark.stones:
            self._set(channel, msgspec.structs.replace(mark, stones=[*mark.stones, ts]))
            if not line.everything or mark.known(ts):
                yield Removed(item_id(channel.id, ts))
        elif not stone and (fresh or changed or lost) and (given := self._threads.given(message, channel)):
            yield given
        for reply in lost:
            yield Removed(item_id(channel.id, reply))
        present[ts] = [] if not reply_count(message) else replies
        if changed:
            async for change in self._thread(channel, ts, Line(None) if strange else line, present):
                yield change
        elif fresh and parent and (micros(parent) or 0) < line.bottom:
            # A reply that was also sent to the channel, and whose thread is too old to be looked at otherwise.
            async for change in self._thread(channel, parent, line, {}):
                yield change

    async def _thread(
        self, channel: Channel, parent: str, line: Line, present: dict[str, Replies]
    ) -> AsyncIterator[Change]:
        """The replies of a thread; where they cannot be read they are owed, and the channel is read on."""
        mark = self.marks.channels[channel.id]
        found: dict[str, None] = {}
        try:
            async for change in self._threads.read(channel, parent, line, mark.replies(parent), found):
                yield change
            present[parent] = list(found)
        except ItemGone:
            return  # the thread was deleted just now: its absence shows the next time
        except ServiceError as error:
            if error.stop or isinstance(error, TooFast | NoService):
                raise
            present[parent] = None
            self._set(channel, msgspec.structs.replace(mark, owed=[*mark.owed, parent]))
            yield self._failed(channel, item_id(channel.id, parent), error)
            yield Checkpoint(encoded(self.marks))

    async def _owed(self, channel: Channel) -> AsyncIterator[Change]:
        """The threads that could not be read before, once more."""
        owed = self.marks.channels[channel.id].owed
        for parent in owed:
            mark = self.marks.channels[channel.id]
            self._set(channel, msgspec.structs.replace(mark, owed=[ts for ts in mark.owed if ts != parent]))
            async for change in self._thread(channel, parent, Line(None), {}):
                yield change
        if owed:
            yield Checkpoint(encoded(self.marks))

    def _after(self, channel: Channel, page: Page, present: dict[str, Replies], *, first: bool) -> Mark:
        """The mark behind a page. Only the first page says up to when all was seen: others are read later."""
        mark = self.marks.channels[channel.id]
        messages = items(page.value.get("messages"))
        stamps = [text(message.get("ts")) for message in messages if micros(message.get("ts")) is not None]
        descends = first or not mark.low or not stamps or (micros(latest(*stamps)) or 0) <= (micros(mark.low) or 0)
        low = min(stamps, key=lambda ts: micros(ts) or 0, default=mark.low)
        seen, top = mark.next_seen, mark.next_top
        edits = [mapping(message.get("edited")).get("ts") for message in messages]
        met = latest(*stamps, *edits, *(message.get("latest_reply") for message in messages))
        if first or not descends:
            seen, top = latest(mark.seen, seen, met), latest(mark.top, top, *stamps)
        return msgspec.structs.replace(
            mark,
            next_seen=seen,
            next_top=top,
            high=latest(mark.high, met),
            low=low if descends else "",  # not newest first: where to go on is unknown
            recent=remembered(mark.recent | present, self._share),
            old={ts: replies for ts, replies in mark.old.items() if ts not in present},
        )

    def _gone(self, channel: Channel, page: Page, bottom: int) -> Iterator[Change]:
        """What was given once, and was not met where it stood."""
        if page.value.get("is_limited") is True:  # a free workspace hides what is old: that is not deleted
            shown = [at for message in items(page.value.get("messages")) if (at := micros(message.get("ts")))]
            bottom = min(shown, default=1 << 62)
        for ts, replies in self.marks.channels[channel.id].old.items():
            if (micros(ts) or 0) >= bottom:
                for each in (ts, *(replies or ())):
                    yield Removed(item_id(channel.id, each))

    async def _lost(self, name: str, listing: Listing) -> Skipped | None:
        """Why a channel that was read before is not read now. Its items stay."""
        mark = self.marks.channels[name]
        channel = listing.channels.get(name)
        if not opted_in(mark.kind, self._config):
            return Skipped(name, ItemGone.code, f"{mark.name}: {mark.kind} conversations are no longer opted in")
        try:
            channel = channel or await channel_info(self._api, self._threads.names, name, self._api.deadline())
        except ServiceError as error:
            if error.stop or isinstance(error, TooFast | NoService):
                raise
            return Skipped(name, error.code, f"{mark.name} is not to be found: deleted, or hidden from the bot")
        if channel is not None and not opted_in(channel.kind, self._config):
            return Skipped(name, ItemGone.code, f"{mark.name} is {channel.kind} now, which is not opted in")
        if channel is not None and channel.archived:
            self.marks.channels[name] = msgspec.structs.replace(mark, archived=True)
            return None if mark.archived else Skipped(name, ItemGone.code, f"{mark.name} was archived")
        return Skipped(name, ItemGone.code, f"the bot is not in {mark.name} any more: /invite it to read on")


def _thread_changed(message: dict[str, Any], known: Replies, line: Line, strange: bool) -> bool:
    """Whether a thread has to be read: it is new, has a new reply, or another number of them than is remembered."""
    count = reply_count(message)
    if not count:
        return False
    last = message.get("latest_reply")
    if strange or line.everything or micros(last) is None or line.passed(last):
        return True
    return known is not None and (len(known) != count or known[-1:] != [last])
