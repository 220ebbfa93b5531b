"""Which messages are gone: each channel listed again, and those of its threads that may hold what was not met."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.connectors.base import Change, Checkpoint, Removed, Skipped
from sophiactl.connectors.errors import ItemGone, NoService, ServiceError, TooFast
from sophiactl.connectors.reading import items, text
from sophiactl.connectors.slack_api import HISTORY, REPLIES, listed
from sophiactl.connectors.slack_channels import channel_info, list_channels, opted_in
from sophiactl.connectors.slack_items import TOMBSTONE, item_id, reply_count
from sophiactl.connectors.slack_time import DAY, micros, ts_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sophiactl.connectors.slack_api import SlackApi
    from sophiactl.connectors.slack_channels import Listing
    from sophiactl.connectors.slack_text import Names

MOST_ASKED = 50
"""Single messages asked for in a channel, before it is cheaper to list the channel from its beginning."""


class Reconcile:
    """Compares what was stored with what is there."""

    def __init__(self, api: SlackApi, names: Names) -> None:
        self._api = api
        self._names = names

    async def gone(self, known: Sequence[str]) -> AsyncIterator[Change]:
        """`Removed` for each of the ids that is gone; nothing for those of channels that cannot be looked into."""
        channels: dict[str, set[str]] = {}
        for name in known:
            channel, _, ts = name.partition(":")
            if micros(ts) is not None:
                channels.setdefault(channel, set()).add(ts)
        listing = await list_channels(self._api, self._names) if channels else None
        for channel, stamps in sorted(channels.items()):
            try:
                missing = await self._missing(channel, stamps, listing) if listing else set()
            except ServiceError as error:
                if error.stop or isinstance(error, TooFast | NoService):
                    raise
                yield Skipped(channel, error.code, f"{self._names.channels.get(channel, channel)}: {error.message}")
                continue
            for ts in sorted(missing):
                yield Removed(item_id(channel, ts))
        yield Checkpoint("", done=True)

    async def _missing(self, name: str, stamps: set[str], listing: Listing) -> set[str]:
        """Those of the messages that are gone, or not to be kept. Raises `ItemGone` when nobody can tell."""
        channel = listing.channels.get(name)
        if channel is None:  # hidden, or of a kind that is not listed
            channel = await channel_info(self._api, self._names, name, self._api.deadline())
        if channel is not None and not opted_in(channel.kind, self._api.config):
            return stamps  # it was made private, or the settings were changed
        if channel is None or not channel.member:
            raise ItemGone("the bot is not in it, so nothing is known of its messages")
        start = max(0, min(micros(ts) or 0 for ts in stamps) - round(self._api.config.thread_days * DAY))
        missing = await self._unmet(name, stamps, oldest=start)
        if len(missing) > MOST_ASKED and start:
            return await self._unmet(name, missing, latest=start)
        return {ts for ts in missing if not start or not await self._there(name, ts)}

    async def _unmet(self, channel: str, stamps: set[str], *, oldest: int = 0, latest: int = 0) -> set[str]:
        """Those that are neither in the channel's history between the two times nor in a thread that begins there."""
        missing = set(stamps)
        threads: list[tuple[str, str]] = []
        bounds = {"oldest": oldest, "latest": latest}
        params = {name: ts_of(at) for name, at in bounds.items() if at}
        if params:
            params["inclusive"] = "true"
        shown = 1 << 62
        limited = False
        async for page in self._api.pages(HISTORY, {"channel": channel, **params}):
            limited = limited or page.value.get("is_limited") is True
            for message in items(listed(page.value, "messages")):
                ts = text(message.get("ts"))
                shown = min(shown, micros(ts) or shown)
                if message.get("subtype") != TOMBSTONE:
                    missing.discard(ts)
                if reply_count(message):
                    threads.append((ts, text(message.get("latest_reply"))))
        if limited:  # what a free workspace hides is not deleted
            missing = {ts for ts in missing if (micros(ts) or 0) >= shown}
        for parent, last in threads:
            if any(_within(ts, parent, last) for ts in missing):
                missing -= await self._replies(channel, parent)
        return missing

    async def _replies(self, channel: str, parent: str) -> set[str]:
        found = set()
        async for page in self._api.pages(REPLIES, {"channel": channel, "ts": parent}):
            for message in items(listed(page.value, "messages")):
                if message.get("subtype") != TOMBSTONE:
                    found.add(text(message.get("ts")))
        return found

    async def _there(self, channel: str, ts: str) -> bool:
        """Whether a message exists, wherever it stands."""
        params: dict[str, str | int] = {
            "channel": channel,
            "ts": ts,
            "oldest": ts,
            "latest": ts,
            "inclusive": "true",
            "limit": 2,
        }
        try:
            answer = await self._api.call(REPLIES, params, self._api.deadline())
        except ItemGone:
            return False
        return any(
            text(message.get("ts")) == ts and message.get("subtype") != TOMBSTONE
            for message in items(listed(answer.json, "messages"))
        )


def _within(ts: str, parent: str, last: str) -> bool:
    """Whether a message may be one of a thread's replies."""
    at, begin, end = micros(ts) or 0, micros(parent) or 0, micros(last)
    return at > begin and (end is None or at <= end)
