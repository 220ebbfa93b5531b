"""Channels: which of them are read, what they are called, and who may see them. None is ever joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Skipped, Visibility
from sophiactl.connectors.errors import BadQuery, Malformed, MissingScope
from sophiactl.connectors.reading import mapping, text
from sophiactl.connectors.slack_api import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.connectors.config import SlackConfig
    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.slack_api import SlackApi
    from sophiactl.connectors.slack_text import Names


class Channel(msgspec.Struct, frozen=True):
    """A conversation. `name` is as a person would write it; `member` says that the bot is in it."""

    id: str
    name: str
    kind: Visibility
    member: bool = True
    archived: bool = False
    shared: bool = False
    """With another company."""


class Listing(msgspec.Struct, frozen=True):
    """All channels that Slack shows, by id, and what it did not show."""

    channels: dict[str, Channel]
    skipped: tuple[Skipped, ...] = ()


def types_of(config: SlackConfig) -> tuple[str, ...]:
    """What is asked for: public channels, and what was opted in."""
    private = ("private_channel",) if config.private_channels else ()
    return ("public_channel", *private, *(("mpim", "im") if config.direct_messages else ()))


def opted_in(kind: Visibility, config: SlackConfig) -> bool:
    """Whether what such a conversation holds may be kept."""
    if kind == "private":
        return config.private_channels
    return config.direct_messages if kind == "direct" else True


def read_channel(value: Mapping[str, Any], names: Names) -> Channel | None:
    """A channel as Slack tells it, None without an id. It becomes known to `names`."""
    name = text(value.get("id"))
    if not name:
        return None
    kind = _kind(value, name)
    member = value.get("is_member")
    channel = Channel(
        name,
        _called(value, name, names),
        kind,
        # A direct message has no such field: that it is listed says it.
        member=member is True or (kind == "direct" and member is not False),
        archived=value.get("is_archived") is True,
        shared=value.get("is_ext_shared") is True,
    )
    names.channels[name] = channel.name
    return channel


def _kind(value: Mapping[str, Any], name: str) -> Visibility:
    if value.get("is_im") is True or value.get("is_mpim") is True or name.startswith("D"):
        return "direct"
    if value.get("is_private") is True or value.get("is_group") is True or name.startswith("G"):
        return "private"
    return "public"


def _called(value: Mapping[str, Any], name: str, names: Names) -> str:
    given = text(value.get("name"))
    if value.get("is_im") is True or name.startswith("D"):
        user = text(value.get("user")) or given
        return f"@{names.users.get(user) or user or name}"
    if given.startswith("mpdm-"):
        members = given.removeprefix("mpdm-").rpartition("-")[0].split("--")
        return ", ".join(f"@{member}" for member in members if member) or f"#{given}"
    return f"#{given or name}"


async def list_channels(api: SlackApi, names: Names, deadline: Deadline | None = None) -> Listing:
    """Every channel of the kinds that are read, the bot's or not. A kind that the token may not list is skipped."""
    kinds = types_of(api.config)
    try:
        return await _listed(api, names, ",".join(kinds), deadline)
    except MissingScope:
        if len(kinds) == 1:
            raise
    channels: dict[str, Channel] = {}
    skipped: list[Skipped] = []
    for kind in kinds:  # one missing scope refuses the whole list
        try:
            found = await _listed(api, names, kind, deadline)
            channels |= found.channels
            skipped += found.skipped
        except MissingScope as error:
            if kind == "public_channel":
                raise
            skipped.append(Skipped(kind, error.code, error.message))
    return Listing(channels, tuple(skipped))


async def _listed(api: SlackApi, names: Names, types: str, deadline: Deadline | None) -> Listing:
    """The list as far as it goes: cursors that lead round in circles or die end it, and what was listed is read."""
    found: dict[str, Channel] = {}
    try:
        async for page in api.pages("conversations.list", {"types": types}, deadline):
            for value in listed(page.value, "channels"):
                channel = read_channel(mapping(value), names)
                if channel is not None:
                    found[channel.id] = channel
    except (Malformed, BadQuery) as error:
        if error.stop or not found:
            raise
        return Listing(found, (Skipped("conversations.list", error.code, f"not all channels: {error.message}"),))
    return Listing(found)


async def channel_info(api: SlackApi, names: Names, channel: str, deadline: Deadline) -> Channel | None:
    """One channel by its id. Raises `ItemGone` when it is not there or not for us."""
    answer = await api.call("conversations.info", {"channel": channel}, deadline)
    return read_channel(mapping(mapping(answer.json).get("channel")), names)
