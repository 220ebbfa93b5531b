"""Messages as items: what is kept of them, whose they are, and the link that opens them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.base import Item
from sophiactl.connectors.reading import mapping, text
from sophiactl.connectors.slack_people import name_of
from sophiactl.connectors.slack_text import body
from sophiactl.connectors.slack_time import iso, micros

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.connectors.slack_channels import Channel
    from sophiactl.connectors.slack_text import Names

LONGEST_TITLE = 80
# What Slack itself writes when something happens to a channel. Nobody said it.
DROPPED = frozenset(
    {
        *("channel_join", "channel_leave", "channel_archive", "channel_unarchive", "channel_name"),
        *("group_join", "group_leave", "group_archive", "group_unarchive", "group_name"),
        *("channel_topic", "channel_purpose", "group_topic", "group_purpose"),
        *("channel_posting_permissions", "channel_convert_to_private", "pinned_item", "unpinned_item"),
        *("bot_add", "bot_remove", "reminder_add", "ekm_access_denied", "tombstone"),
    }
)
TOMBSTONE = "tombstone"
"""What is left of a message that was deleted and has replies."""


class Team(msgspec.Struct, frozen=True):
    """The workspace: its id, its name, and the address that links begin with."""

    id: str
    name: str
    url: str = ""


def item_id(channel: str, ts: str) -> str:
    """The id of a message: a `ts` is unique within its channel alone."""
    return f"{channel}:{ts}"


def parent_of(message: Mapping[str, Any]) -> str:
    """The `ts` of the message that this one replies to, empty when it replies to none."""
    thread = text(message.get("thread_ts"))
    return thread if thread != text(message.get("ts")) else ""


def reply_count(message: Mapping[str, Any]) -> int:
    """How many replies a message has, 1 where only their existence is known."""
    count = message.get("reply_count")
    if isinstance(count, int):
        return max(0, count)
    return int(bool(text(message.get("thread_ts"))) and not parent_of(message))


def is_bot(message: Mapping[str, Any]) -> bool:
    """Whether an app wrote it."""
    return bool(text(message.get("bot_id"))) or message.get("subtype") == "bot_message"


def dropped(message: Mapping[str, Any], bots: bool) -> bool:
    """Whether a message is not kept: Slack's own notices, what is hidden, and bots where they are not wanted."""
    return message.get("subtype") in DROPPED or message.get("hidden") is True or (not bots and is_bot(message))


def read_message(message: Mapping[str, Any], channel: Channel, names: Names, team: Team) -> Item | None:
    """The item that a message is; None when it says nothing, or has no `ts`."""
    ts = text(message.get("ts"))
    said = body(message, names)
    if not said or micros(ts) is None:
        return None
    created = iso(ts)
    parent = parent_of(message)
    threaded = parent or (ts if reply_count(message) else "")
    user = text(message.get("user"))
    more = {"channel_id": channel.id, "user_id": user, "shared": "with another company" if channel.shared else ""}
    return Item(
        service="slack",
        id=item_id(channel.id, ts),
        kind="message",
        title=_title(said),
        text=said,
        url=permalink(team, channel.id, ts, parent),
        author=author(message, names),
        created_at=created,
        updated_at=iso(mapping(message.get("edited")).get("ts")) or created,
        visibility=channel.kind,
        container=channel.name,
        thread=f"{channel.id}:{threaded or (created or '')[:10]}",
        raw_ref=f"/conversations.replies?channel={channel.id}&ts={ts}",
        fields={name: value for name, value in more.items() if value},
    )


def author(message: Mapping[str, Any], names: Names) -> str | None:
    """Who wrote a message: a person's real name, an app's own; the id where there is no name."""
    user = text(message.get("user"))
    given = text(message.get("username"))
    if is_bot(message) and (found := given or text(mapping(message.get("bot_profile")).get("name"))):
        return found
    # Those of other companies are in no list, but their messages may bring their names along.
    known = names.users.get(user) or name_of({"profile": message.get("user_profile")})
    return (
        known or name_of(mapping(message.get("user_profile"))) or given or user or text(message.get("bot_id")) or None
    )


def permalink(team: Team, channel: str, ts: str, parent: str = "") -> str | None:
    """The link that Slack itself would make; None where the workspace's address is unknown."""
    if not team.url.startswith("https://"):
        return None
    link = f"{team.url.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"
    return f"{link}?thread_ts={parent}&cid={channel}" if parent else link


def _title(said: str) -> str:
    line = next(line for line in said.splitlines() if line.strip()).strip()
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1].rstrip()}…"
