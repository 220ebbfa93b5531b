"""How far Slack was read: the cursor of `changes`, a mark for each channel. Pure.

Times are Slack's own, never ours. A mark also knows the newest messages that were given, so that one which is gone
from where it stood is seen to be gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.connectors.base import Visibility
from sophiactl.connectors.errors import BadQuery
from sophiactl.connectors.slack_errors import SERVICE
from sophiactl.connectors.slack_time import latest, micros

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
MOST_REMEMBERED, MOST_IN_ALL, LEAST_REMEMBERED = 200, 10_000, 5
_HINT = "sync slack anew, from the beginning or with --since: nothing is stored twice"
Replies = list[str] | None
"""The `ts` of a thread's replies, oldest first; None where they were too many to remember."""


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a channel was read.

    `seen` is the time before which every change was given, `top` the newest message at that time, `high` the latest
    time of anything that was met: whatever happens after a reading begins is later than all that was met before. While
    the channel is read, newest first, `low` is how far down that has come, and `next_seen` and `next_top` become the
    others when it is done; `again` says that this reading only follows up one that was interrupted. `turn` grows with
    each channel that is done, so that those that waited longest come first.

    `recent` are the newest messages given, with their replies; `old` are those of the time before that were not met
    again yet. `stones` are deleted messages that still have replies, `owed` the threads that could not be read.
    `failed` says that Slack failed here, `archived` that this was told.
    """

    kind: Visibility
    name: str
    seen: str = ""
    top: str = ""
    high: str = ""
    low: str = ""
    next_seen: str = ""
    next_top: str = ""
    recent: dict[str, Replies] = {}
    old: dict[str, Replies] = {}
    stones: list[str] = []
    owed: list[str] = []
    turn: int = 0
    again: bool = False
    failed: bool = False
    archived: bool = False

    def anew(self, kind: Visibility, name: str, since: str) -> Mark:
        """The same channel under another name or with other readers: all that it holds has to be given again."""
        return Mark(kind, name, since, since, recent=self.recent, old=self.old, stones=self.stones, owed=self.owed)

    def begun(self) -> Mark:
        """At the start of a reading from the top."""
        seen = latest(self.seen, self.high)
        return msgspec.structs.replace(self, recent={}, old=self.old | self.recent, next_seen=seen, next_top="")

    def ended(self, bottom: int, turn: int) -> Mark:
        """When all was read; nothing below `bottom` microseconds is looked at again."""
        stones = [ts for ts in self.stones if (micros(ts) or 0) >= bottom]
        return Mark(
            *(self.kind, self.name, self.next_seen, self.next_top, self.high),
            recent=self.recent,
            stones=stones,
            owed=self.owed,
            turn=turn,
        )

    def known(self, ts: str) -> bool:
        """Whether the message is one that was given and is remembered."""
        return ts in self.recent or ts in self.old

    def replies(self, ts: str) -> Replies:
        """The replies of a message that were given, None when they are not remembered."""
        return self.recent[ts] if ts in self.recent else self.old.get(ts)


class Marks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The cursor: which workspace, since when, and the mark of each channel by its id."""

    v: int
    service: str
    team: str
    since: str = ""
    channels: dict[str, Mark] = {}


def encoded(marks: Marks) -> str:
    """The cursor as a text."""
    return msgspec.json.encode(marks).decode()


def decoded(cursor: str, team: str) -> Marks:
    """The cursor of a workspace. Raises `BadQuery` when it is damaged, or that of another."""
    try:
        marks = msgspec.json.decode(cursor, type=Marks)
    except (msgspec.DecodeError, UnicodeError):
        raise BadQuery("the cursor for slack is damaged", service=SERVICE, hint=_HINT) from None
    if marks.service != SERVICE or marks.v != VERSION:
        raise BadQuery("the cursor for slack is of another service or version", service=SERVICE, hint=_HINT)
    if marks.team != team:
        raise BadQuery("the cursor for slack is that of another workspace", service=SERVICE, hint=_HINT)
    if not all(_sound(mark) for mark in marks.channels.values()) or not _sound_time(marks.since):
        raise BadQuery("the cursor for slack is damaged", service=SERVICE, hint=_HINT)
    return marks


def remembered(recent: Mapping[str, Replies], most: int) -> dict[str, Replies]:
    """The newest of the messages; a thread counts with its replies, and is kept without them when it is too long."""
    kept: dict[str, Replies] = {}
    room = most
    for ts in sorted(recent, key=lambda ts: micros(ts) or 0, reverse=True):
        if room <= 0:
            break
        replies = recent[ts]
        short = replies if replies is not None and len(replies) < room else None
        kept[ts] = [] if replies == [] else short
        room -= 1 + len(short or ())
    return kept


def share(channels: int) -> int:
    """How many messages a channel's mark remembers, so that the cursor of many channels stays short."""
    return max(LEAST_REMEMBERED, min(MOST_REMEMBERED, MOST_IN_ALL // max(1, channels)))


def _sound(mark: Mark) -> bool:
    stamps = (mark.seen, mark.top, mark.high, mark.low, mark.next_seen, mark.next_top)
    threads = (*mark.recent.items(), *mark.old.items())
    messages = (ts for parent, replies in threads for ts in (parent, *(replies or ())))
    return all(_sound_time(ts) for ts in stamps) and all(
        micros(ts) is not None for ts in (*messages, *mark.owed, *mark.stones)
    )


def _sound_time(ts: str) -> bool:
    return not ts or micros(ts) is not None
