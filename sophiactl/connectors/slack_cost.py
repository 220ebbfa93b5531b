"""What a first full sync of Slack will take, guessed from the newest page of a few channels. Slack tells no totals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Cost
from sophiactl.connectors.errors import ServiceError
from sophiactl.connectors.reading import items, mapping
from sophiactl.connectors.slack_api import HISTORY, REPLIES, limits_of, listed
from sophiactl.connectors.slack_channels import list_channels, opted_in
from sophiactl.connectors.slack_items import reply_count
from sophiactl.connectors.slack_time import MICROS, micros

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.slack_api import SlackApi
    from sophiactl.connectors.slack_text import Names

SAMPLES = 5


class _Sample(msgspec.Struct, frozen=True):
    """A channel: messages on its newest page, those with replies, the replies, and how many such pages there are."""

    messages: int
    threads: int
    replies: int
    pages: float


async def estimate(api: SlackApi, names: Names, since: str, deadline: Deadline) -> Cost:
    """The cost; only its lower bound where looking into channels would itself be slow."""
    listing = await list_channels(api, names, deadline)
    members = [one for one in listing.channels.values() if one.member and opted_in(one.kind, api.config)]
    overhead = 2 + math.ceil(len(listing.channels) / api.page_size("conversations.list"))
    if not members:
        return Cost(overhead, 0.0, 0, "the bot is in no channel that is read")
    if api.config.commercial:
        least = overhead + len(members)
        basis = f"at least one call for each of {len(members)} channels, one a minute; Slack tells no totals"
        return Cost(least, least * 60.0, None, basis)
    samples = []
    for channel in members[:: math.ceil(len(members) / SAMPLES)]:
        try:
            samples.append(await _sample(api, channel.id, since, deadline))
        except ServiceError as error:
            if error.stop or not samples:
                raise
            break
    return _extrapolated(api, len(members), samples, overhead)


async def _sample(api: SlackApi, channel: str, since: str, deadline: Deadline) -> _Sample:
    size = api.page_size(HISTORY)
    params: dict[str, str | int] = {"channel": channel, "limit": size}
    if since:
        params["oldest"] = since
    answer = await api.call(HISTORY, params, deadline)
    page = mapping(answer.json)
    messages = items(listed(page, "messages"))
    counts = [count for message in messages if (count := reply_count(message))]
    stamps = sorted(at for message in messages if (at := micros(message.get("ts"))) is not None)
    pages = 1.0
    if page.get("has_more") is True and stamps:
        info = await api.call("conversations.info", {"channel": channel}, deadline)
        pages = _pages(stamps, mapping(mapping(info.json).get("channel")).get("created"), micros(since))
    return _Sample(len(messages), len(counts), sum(counts), pages)


def _pages(stamps: Sequence[int], created: Any, since: int | None) -> float:
    """How many pages like this one there are, if the channel was always as busy."""
    begin = since if since is not None else int(created) * MICROS if isinstance(created, int | float) else stamps[0]
    return max(2.0, (stamps[-1] - begin) / max(1, stamps[-1] - stamps[0]))


def _extrapolated(api: SlackApi, channels: int, samples: Sequence[_Sample], overhead: int) -> Cost:
    share = channels / len(samples)
    pages = math.ceil(share * sum(sample.pages for sample in samples))
    threads = math.ceil(share * sum(sample.threads * sample.pages for sample in samples))
    found = math.ceil(share * sum((sample.messages + sample.replies) * sample.pages for sample in samples))
    seconds = sum(_seconds(api, method, calls) for method, calls in ((HISTORY, pages), (REPLIES, threads)))
    exact = len(samples) == channels and all(sample.pages == 1.0 for sample in samples)
    basis = f"the newest messages of {len(samples)} of {channels} channels"
    return Cost(overhead + pages + threads, seconds, found, basis if exact else f"guessed from {basis}")


def _seconds(api: SlackApi, method: str, calls: int) -> float:
    limits = limits_of(api.config)
    limit = limits.get(method) or limits["all"]
    return round(max(0.0, calls - limit.burst) * limit.seconds / limit.calls, 1)
