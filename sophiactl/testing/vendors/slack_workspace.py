"""What a Slack workspace holds, in memory: users, conversations, messages and their threads. No HTTP here."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

F = TypeVar("F", bound="Callable[..., Any]")
Kind = Literal["public", "private", "im", "mpim"]
Moment = datetime | str | float | int | None
MICROS = 1_000_000
_PREFIX = {"public": "C", "private": "C", "im": "D", "mpim": "G"}


def _locked(method: F) -> F:
    """The method, while nobody else looks at the workspace or changes it."""

    @wraps(method)
    def call(self: Workspace, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            return method(self, *args, **kwargs)

    return cast("F", call)


@dataclass
class Conversation:
    """A channel or direct message. `rows` are all its messages by `ts`, `stamps` those that its history shows."""

    id: str
    name: str
    kind: Kind
    created: int
    bot_in: bool = True
    user_in: bool = True
    archived: bool = False
    shared: bool = False
    user: str = ""
    members: list[str] = field(default_factory=list)
    previous_names: list[str] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    threads: dict[str, list[int]] = field(default_factory=dict)

    @property
    def private(self) -> bool:
        """Whether only its members know of it."""
        return self.kind != "public"

    def shown(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message as the API gives it: one that has replies tells of them."""
        replies = self.threads.get(message["ts"])
        if not replies:
            return message
        writers = list(dict.fromkeys(self.rows[ts_of(at)]["user"] for at in replies))
        told = {"reply_count": len(replies), "reply_users_count": len(writers), "reply_users": writers[:5]}
        last = ts_of(replies[-1])
        return {**message, "thread_ts": message["ts"], **told, "latest_reply": last, "is_locked": False}

    def described(self) -> dict[str, Any]:
        """The conversation as the API gives it."""
        common: dict[str, Any] = {
            "id": self.id,
            "created": self.created,
            "is_archived": self.archived,
            "is_org_shared": False,
        }
        if self.kind == "im":
            return {**common, "is_im": True, "user": self.user, "is_user_deleted": False, "priority": 0}
        told: dict[str, Any] = {
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": self.kind in ("public", "private"),
        }
        told |= {"is_group": False, "is_im": False, "is_mpim": self.kind == "mpim", "is_private": self.private}
        told |= {"is_member": self.bot_in and not self.archived, "is_general": self.name == "general"}
        told |= {"is_shared": self.shared, "is_ext_shared": self.shared, "is_pending_ext_shared": False}
        told |= {"previous_names": self.previous_names, "num_members": len(self.members), "unlinked": 0}
        nothing = {"value": "", "creator": "", "last_set": 0}
        return {**common, **told, "pending_shared": [], "topic": nothing, "purpose": nothing}

    def between(self, oldest: int | None, latest: int | None, inclusive: bool) -> list[int]:
        """The times of the messages that the history shows between two others, oldest first."""
        return between(self.stamps, oldest, latest, inclusive)


class Workspace:
    """A workspace that grows by calls. People and channels are named by name or id, and made when they are new."""

    def __init__(self, name: str = "Acme", domain: str = "acme", *, lock: threading.RLock | None = None) -> None:
        self.lock = lock or threading.RLock()
        self.name = name
        self.domain = domain
        self.team_id = "T0ACME001"
        self.skew = 0.0
        """Seconds that this workspace's clock is ahead of ours."""
        self.users: dict[str, dict[str, Any]] = {}
        self.strangers: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, Conversation] = {}
        self._by_name: dict[str, str] = {}
        self.bot = self.add_user("sophia", "Sophia", bot=True)

    @_locked
    def add_user(
        self, name: str, real_name: str = "", *, user_id: str = "", bot: bool = False, external: bool = False
    ) -> str:
        """A person, or an app; one of another company (`external`) is in no list of users. Returns the id."""
        number = len(self.users) + len(self.strangers) + 1
        made = user_id or f"U0{number:07d}"
        shown = real_name or name.replace(".", " ").title()
        profile = {"real_name": shown, "display_name": name, "avatar_hash": "0", "team": self.team_id}
        user = {"id": made, "team_id": self.team_id, "name": name, "real_name": shown, "deleted": False}
        user |= {"profile": profile, "is_bot": bot, "is_app_user": False, "updated": 0, "tz": None}
        (self.strangers if external else self.users)[made] = user
        self._by_name[name] = made
        return made

    @_locked
    def add_channel(
        self,
        name: str,
        *,
        kind: Kind = "public",
        bot_in: bool = True,
        user_in: bool = True,
        archived: bool = False,
        shared: bool = False,
        created: int = 1_600_000_000,
        channel_id: str = "",
    ) -> str:
        """A channel; `bot_in` says that the bot is in it, `shared` that another company is. Returns the id."""
        made = channel_id or f"{_PREFIX[kind]}0{len(self.channels) + 1:07d}"
        channel = Conversation(made, name, kind, created, bot_in, user_in, archived, shared)
        self.channels[made] = channel
        self._by_name[f"#{name}"] = made
        return made

    @_locked
    def add_direct(self, *people: str) -> str:
        """A direct message of the bot with one person, or with several. Returns the id."""
        ids = [self.user_id(person) for person in people]
        if len(ids) == 1:
            made = self.add_channel(f"im-{people[0]}", kind="im")
            self.channels[made].user = ids[0]
        else:
            made = self.add_channel(f"mpdm-{'--'.join(self._handle_of(each) for each in ids)}-1", kind="mpim")
        self.channels[made].members = [*ids, self.bot]
        return made

    @_locked
    def add_message(
        self, channel: str, author: str, text: str, *, at: Moment = None, thread: str = "", **fields: Any
    ) -> str:
        """A message, or with `thread` a reply; `fields` are further fields of the API's. Returns its `ts`."""
        conversation, user = self.channel(channel), self.user_id(author)
        when = self._free(conversation, at)
        ts = ts_of(when)
        message: dict[str, Any] = {"type": "message", "user": user, "text": text, "ts": ts, "team": self.team_id}
        message |= self._of_app(user)
        if thread:
            message |= {"thread_ts": thread, "parent_user_id": conversation.rows[thread]["user"]}
            insort(conversation.threads.setdefault(thread, []), when)
        message |= fields
        if not thread or message.get("subtype") == "thread_broadcast":
            insort(conversation.stamps, when)
        conversation.rows[ts] = message
        return ts

    def reply(
        self, channel: str, thread: str, author: str, text: str, *, at: Moment = None, broadcast: bool = False
    ) -> str:
        """A reply in a thread; `broadcast` shows it in the channel too. Returns its `ts`."""
        fields = {"subtype": "thread_broadcast"} if broadcast else {}
        return self.add_message(channel, author, text, at=at, thread=thread, **fields)

    @_locked
    def edit_message(self, channel: str, ts: str, text: str, *, at: Moment = None) -> None:
        """The author writes something else. The time of an edit has whole seconds."""
        conversation = self.channel(channel)
        message = conversation.rows[ts]
        edited = {"user": message["user"], "ts": f"{self._moment(at) // MICROS}.000000"}
        conversation.rows[ts] = {**message, "text": text, "edited": edited}

    @_locked
    def delete_message(self, channel: str, ts: str) -> None:
        """A message goes; one that has replies leaves a tombstone."""
        conversation = self.channel(channel)
        message, when = conversation.rows[ts], _micros(ts)
        if conversation.threads.get(ts):
            stone = {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "hidden": True, "ts": ts}
            conversation.rows[ts] = {**stone, "text": "This message was deleted.", "thread_ts": ts}
            return
        del conversation.rows[ts]
        if when in conversation.stamps:
            conversation.stamps.remove(when)
        parent = message.get("thread_ts")
        if parent and when in conversation.threads.get(parent, []):
            conversation.threads[parent].remove(when)

    def invite_bot(self, channel: str) -> None:
        """The bot comes into a channel."""
        self.channel(channel).bot_in = True

    def remove_bot(self, channel: str) -> None:
        """The bot is put out of a channel."""
        self.channel(channel).bot_in = False

    def archive(self, channel: str) -> None:
        """A channel is closed; it can be seen, and nobody is in it any more."""
        self.channel(channel).archived = True

    @_locked
    def rename_channel(self, channel: str, name: str) -> None:
        """A channel gets another name; its id stays."""
        conversation = self.channel(channel)
        self._by_name.pop(f"#{conversation.name}", None)
        conversation.previous_names.insert(0, conversation.name)
        conversation.name = name
        self._by_name[f"#{name}"] = conversation.id

    def make_private(self, channel: str) -> None:
        """A public channel becomes one that only its members see."""
        self.channel(channel).kind = "private"

    @_locked
    def channel(self, name: str) -> Conversation:
        """A channel by its name or id, made when there is none."""
        found = self.channels.get(name) or self.channels.get(self._by_name.get(f"#{name.removeprefix('#')}", ""))
        return found or self.channels[self.add_channel(name.removeprefix("#"))]

    @_locked
    def user_id(self, name: str) -> str:
        """The id of a person by name or id, made when there is none."""
        if name in self.users or name in self.strangers:
            return name
        return self._by_name.get(name) or self.add_user(name)

    def messages(self) -> Iterator[tuple[Conversation, dict[str, Any]]]:
        """All messages, those in threads too."""
        for conversation in self.channels.values():
            for message in conversation.rows.values():
                yield conversation, message

    def _handle_of(self, user: str) -> str:
        found = self.users.get(user) or self.strangers[user]
        return str(found["name"])

    def _of_app(self, user: str) -> dict[str, Any]:
        known = self.users.get(user, {})
        if not known.get("is_bot"):
            return {}
        bot = f"B{user[1:]}"
        return {"bot_id": bot, "app_id": f"A{user[1:]}", "bot_profile": {"id": bot, "name": known["real_name"]}}

    def _moment(self, at: Moment) -> int:
        if at is None:
            return round((time.time() + self.skew) * MICROS)
        if isinstance(at, str) and at.replace(".", "", 1).isdigit():
            return _micros(at)
        if isinstance(at, str):
            at = datetime.fromisoformat(at)
        if isinstance(at, datetime):
            at = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        return round(at * MICROS)

    def _free(self, conversation: Conversation, at: Moment) -> int:
        """A moment that no other message of the conversation has: a `ts` is unique there."""
        when = self._moment(at)
        while ts_of(when) in conversation.rows:
            when += 1
        return when


def between(stamps: list[int], oldest: int | None, latest: int | None, inclusive: bool) -> list[int]:
    """Those of the sorted times that lie between two others, which count only where `inclusive`."""
    low = 0 if oldest is None else (bisect_left if inclusive else bisect_right)(stamps, oldest)
    high = len(stamps) if latest is None else (bisect_right if inclusive else bisect_left)(stamps, latest)
    return stamps[low:high]


def ts_of(when: int) -> str:
    """The `ts` of a moment in microseconds."""
    return f"{when // MICROS}.{when % MICROS:06d}"


def _micros(ts: str) -> int:
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * MICROS + int(fraction.ljust(6, "0")[:6])


def parsed(ts: str) -> int | None:
    """Microseconds of what a caller gave as a time; None when it is none."""
    try:
        return _micros(ts) if ts else None
    except ValueError:
        return None
