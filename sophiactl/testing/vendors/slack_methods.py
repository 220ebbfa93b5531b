"""The reading methods of Slack's Web API over a workspace: one function each, from arguments to the answer's fields."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, NamedTuple

from sophiactl.testing.vendors.slack_workspace import between, parsed, ts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sophiactl.testing.vendors.slack import SlackVendor
    from sophiactl.testing.vendors.slack_workspace import Conversation

MOST, MOST_COMMERCIAL = 999, 15
_TYPES = {"public_channel": "public", "private_channel": "private", "mpim": "mpim", "im": "im"}
_READ = {"public": "channels:read", "private": "groups:read", "mpim": "mpim:read", "im": "im:read"}
_HISTORY = {kind: scope.replace(":read", ":history") for kind, scope in _READ.items()}
_TRUE = ("1", "true", "True", True)


class Refused(Exception):
    """An answer that says `"ok": false`, with the word for it."""

    def __init__(self, word: str, **more: str) -> None:
        super().__init__(word)
        self.word = word
        self.more = more


class Method(NamedTuple):
    """A method: what it answers, the scopes of which one is needed, and whether a bot may call it at all."""

    answer: Callable[[SlackVendor, Mapping[str, Any], bool], dict[str, Any]]
    scopes: Sequence[str] = ()
    user_only: bool = False


def _auth_test(slack: SlackVendor, _args: Mapping[str, Any], as_user: bool) -> dict[str, Any]:
    user = slack.users[slack.user if as_user else slack.bot]
    told: dict[str, Any] = {"url": f"https://{slack.domain}.slack.com/", "team": slack.name, "team_id": slack.team_id}
    told |= {"user": user["name"], "user_id": user["id"], "is_enterprise_install": False}
    return told if as_user else {**told, "bot_id": f"B{user['id'][1:]}"}


def _team_info(slack: SlackVendor, _args: Mapping[str, Any], _as_user: bool) -> dict[str, Any]:
    return {"team": {"id": slack.team_id, "name": slack.name, "domain": slack.domain, "email_domain": ""}}


def _conversations_list(slack: SlackVendor, args: Mapping[str, Any], as_user: bool) -> dict[str, Any]:
    asked = [kind.strip() for kind in str(args.get("types") or "public_channel").split(",")]
    if not all(kind in _TYPES for kind in asked):
        raise Refused("invalid_types")
    kinds = [_TYPES[kind] for kind in asked]
    for kind in kinds:
        _need(slack, as_user, _READ[kind])
    hide = args.get("exclude_archived") in _TRUE
    found = [
        one.described()
        for one in slack.channels.values()
        if one.kind in kinds and not (hide and one.archived) and (one.bot_in or not one.private)
    ]
    page, cursor = _page(slack, found, args, "team", default=100)
    return {"channels": page, **_ended(slack, cursor)}


def _conversations_info(slack: SlackVendor, args: Mapping[str, Any], as_user: bool) -> dict[str, Any]:
    channel = _channel(slack, args)
    _need(slack, as_user, _READ[channel.kind])
    return {"channel": channel.described()}


def _conversations_members(slack: SlackVendor, args: Mapping[str, Any], _as_user: bool) -> dict[str, Any]:
    members = [{"id": member} for member in _channel(slack, args).members]
    page, cursor = _page(slack, members, args, "user", default=100)
    return {"members": [member["id"] for member in page], **_ended(slack, cursor)}


def _history(slack: SlackVendor, args: Mapping[str, Any], as_user: bool) -> dict[str, Any]:
    channel = _readable(slack, args, as_user)
    found = channel.between(_time(args, "oldest"), _time(args, "latest"), args.get("inclusive") in _TRUE)
    hidden = parsed(slack.limited_before)
    visible = [at for at in found if hidden is None or at >= hidden]
    cursor = _cursor(args, "next_ts")
    if cursor:
        visible = between(visible, None, _at(cursor), inclusive=True)
    size = _size(slack, args, MOST_COMMERCIAL if slack.commercial else 100)
    page, more = visible[-size:][::-1], visible[:-size]
    told: dict[str, Any] = {"messages": [channel.shown(channel.rows[ts_of(at)]) for at in page]}
    told |= {"has_more": bool(more), "pin_count": 0, "channel_actions_ts": None, "channel_actions_count": 0}
    if len(visible) < len(found) and hidden is not None and not cursor:
        told["is_limited"] = True
    return {**told, **_ended(slack, f"next_ts:{more[-1]}" if more else "")}


def _replies(slack: SlackVendor, args: Mapping[str, Any], as_user: bool) -> dict[str, Any]:
    channel = _readable(slack, args, as_user)
    ts = str(args.get("ts") or "")
    if not ts:
        raise Refused("invalid_arguments", response_metadata="[ERROR] missing required field: ts")
    message = channel.rows.get(ts)
    if message is None or message.get("subtype") in ("channel_join", "channel_leave"):
        raise Refused("thread_not_found")
    thread = channel.threads.get(ts, [])
    # The parent comes first on every page, whatever the times; a reply that is asked for by itself comes alone.
    found = between(thread, _time(args, "oldest"), _time(args, "latest"), args.get("inclusive") in _TRUE)
    cursor = _cursor(args, "next_ts")
    if cursor:
        found = between(found, _at(cursor), None, inclusive=True)
    size = _size(slack, args, MOST_COMMERCIAL if slack.commercial else 1000)
    room = max(1, size - 1)
    page, more = found[:room], found[room:]
    told = [channel.shown(message), *(channel.rows[ts_of(at)] for at in page)]
    return {"messages": told, "has_more": bool(more), **_ended(slack, f"next_ts:{more[0]}" if more else "")}


def _users_list(slack: SlackVendor, args: Mapping[str, Any], _as_user: bool) -> dict[str, Any]:
    page, cursor = _page(slack, list(slack.users.values()), args, "user", default=1000)
    return {"members": page, "cache_ts": 0, **_ended(slack, cursor)}


def _users_info(slack: SlackVendor, args: Mapping[str, Any], _as_user: bool) -> dict[str, Any]:
    name = str(args.get("user") or "")
    user = slack.users.get(name) or slack.strangers.get(name)
    if user is None:
        raise Refused("user_not_found")
    return {"user": user}


def _permalink(slack: SlackVendor, args: Mapping[str, Any], _as_user: bool) -> dict[str, Any]:
    channel = _channel(slack, args)
    message = channel.rows.get(str(args.get("message_ts") or ""))
    if message is None:
        raise Refused("message_not_found")
    return {"channel": channel.id, "permalink": permalink(slack, channel, message)}


def _search_messages(slack: SlackVendor, args: Mapping[str, Any], _as_user: bool) -> dict[str, Any]:
    query = str(args.get("query") or "").strip()
    if not query:
        raise Refused("No query passed")
    count, page = _number(args, "count", 20, 100), _number(args, "page", 1, 100)
    newest = args.get("sort") == "timestamp"
    found = _matching(slack, query, newest=newest, ascending=args.get("sort_dir") == "asc")
    pages = max(1, -(-len(found) // count))
    first = (page - 1) * count
    shown = [_match(slack, channel, message, score) for score, channel, message in found[first : first + count]]
    paging = {"count": count, "total": len(found), "page": page, "pages": pages}
    pagination = {"total_count": len(found), "page": page, "per_page": count, "page_count": pages}
    pagination |= {"first": first + 1, "last": first + len(shown)}
    told = {"total": len(found), "pagination": pagination, "paging": paging, "matches": shown}
    return {"query": query, "messages": told}


def _search_context(slack: SlackVendor, args: Mapping[str, Any], as_user: bool) -> dict[str, Any]:
    if not as_user and not args.get("action_token"):
        raise Refused("invalid_action_token")
    query = str(args.get("query") or "").strip()
    if not query:
        raise Refused("missing_query")
    kinds = [_TYPES.get(kind, "") for kind in args.get("channel_types") or ("public_channel",)]
    found = [each for each in _matching(slack, query) if each[1].kind in kinds]
    rows = [{"id": f"{channel.id}:{message['ts']}", "at": (channel, message)} for _, channel, message in found]
    page, cursor = _page(slack, rows, args, "search", default=20, most=20)
    messages = [_context(slack, *row["at"]) for row in page]
    return {"results": {"messages": messages}, **_ended(slack, cursor)}


def _matching(
    slack: SlackVendor, query: str, *, newest: bool = False, ascending: bool = False
) -> list[tuple[int, Conversation, dict[str, Any]]]:
    """The messages that a user sees and that hold every word, those that hold them most often first."""
    words = query.lower().split()
    found = []
    for channel, message in slack.messages():
        if channel.user_in or not channel.private:
            said = str(message.get("text") or "").lower()
            if all(word in said for word in words) and message.get("subtype") != "tombstone":
                found.append((sum(said.count(word) for word in words), channel, message))
    found.sort(key=lambda each: (0 if newest else each[0], each[2]["ts"]), reverse=not ascending)
    return found


def _match(slack: SlackVendor, channel: Conversation, message: dict[str, Any], score: int) -> dict[str, Any]:
    place = {"id": channel.id, "name": channel.user or channel.name, "is_private": channel.private}
    place |= {"is_im": channel.kind == "im", "is_mpim": channel.kind == "mpim", "is_ext_shared": channel.shared}
    known = slack.users.get(message["user"]) or slack.strangers.get(message["user"], {})
    told = {"iid": f"{channel.id}-{message['ts']}", "team": slack.team_id, "score": score, "channel": place}
    told |= {"type": "im" if channel.kind == "im" else "message", "user": message["user"], "text": message["text"]}
    told |= {"username": known.get("name", ""), "ts": message["ts"], "blocks": message.get("blocks")}
    return {**told, "no_reactions": True, "permalink": permalink(slack, channel, message)}


def _context(slack: SlackVendor, channel: Conversation, message: dict[str, Any]) -> dict[str, Any]:
    known = slack.users.get(message["user"]) or slack.strangers.get(message["user"], {})
    told = {"author_name": known.get("real_name", ""), "author_user_id": message["user"], "team_id": slack.team_id}
    told |= {"channel_id": channel.id, "channel_name": channel.name, "message_ts": message["ts"]}
    told |= {"content": message["text"], "is_author_bot": "bot_id" in message}
    return {**told, "permalink": permalink(slack, channel, message)}


def permalink(slack: SlackVendor, channel: Conversation, message: dict[str, Any]) -> str:
    """The link that opens a message."""
    ts, parent = message["ts"], message.get("thread_ts")
    link = f"https://{slack.domain}.slack.com/archives/{channel.id}/p{ts.replace('.', '')}"
    return f"{link}?thread_ts={parent}&cid={channel.id}" if parent and parent != ts else link


def _need(slack: SlackVendor, as_user: bool, scope: str) -> None:
    scopes = slack.user_scopes if as_user else slack.scopes
    if scope not in scopes:
        raise Refused("missing_scope", needed=scope, provided=",".join(sorted(scopes)))


def _channel(slack: SlackVendor, args: Mapping[str, Any]) -> Conversation:
    channel = slack.channels.get(str(args.get("channel") or ""))
    if channel is None or (channel.private and not channel.bot_in):
        raise Refused("channel_not_found")
    return channel


def _readable(slack: SlackVendor, args: Mapping[str, Any], as_user: bool) -> Conversation:
    channel = _channel(slack, args)
    _need(slack, as_user, _HISTORY[channel.kind])
    if not channel.bot_in or channel.archived:
        raise Refused("not_in_channel")
    return channel


def _time(args: Mapping[str, Any], name: str) -> int | None:
    given = str(args.get(name) or "")
    if given in ("", "0", "now"):
        return None
    found = parsed(given)
    if found is None:
        raise Refused(f"invalid_ts_{name}")
    return found


def _number(args: Mapping[str, Any], name: str, default: int, most: int) -> int:
    try:
        given = int(args.get(name) or default)
    except ValueError:
        return default
    return min(max(1, given), most)


def _size(slack: SlackVendor, args: Mapping[str, Any], default: int, most: int = 1000) -> int:
    """How many go into a page: what was asked for, if that is allowed, and never more than the vendor gives."""
    try:
        asked = int(args.get("limit") or 0)
    except (TypeError, ValueError):
        raise Refused("invalid_limit") from None
    if asked < 0 or asked > most:
        raise Refused("invalid_limit")
    size = min(asked or default, most, MOST)
    if slack.commercial and default == MOST_COMMERCIAL:
        size = min(size, MOST_COMMERCIAL)
    return min(size, slack.most) if slack.most else size


def _page(
    slack: SlackVendor,
    rows: list[dict[str, Any]],
    args: Mapping[str, Any],
    kind: str,
    *,
    default: int,
    most: int = 1000,
) -> tuple[list[dict[str, Any]], str]:
    """A page of a listing and where the next one begins: at the id of its first row."""
    cursor = _cursor(args, kind)
    start = 0
    if cursor:
        ids = [row["id"] for row in rows]
        if cursor not in ids:
            raise Refused("invalid_cursor")
        start = ids.index(cursor)
    end = start + _size(slack, args, default, most)
    return rows[start:end], f"{kind}:{rows[end]['id']}" if end < len(rows) else ""


def _cursor(args: Mapping[str, Any], kind: str) -> str:
    """What a cursor of that kind says, empty without one."""
    given = str(args.get("cursor") or "")
    if not given:
        return ""
    try:
        said = base64.b64decode(given, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Refused("invalid_cursor") from None
    found, _, value = said.partition(":")
    if found != kind or not value:
        raise Refused("invalid_cursor")
    return value


def _at(cursor: str) -> int:
    if not cursor.isdigit():
        raise Refused("invalid_cursor")
    return int(cursor)


def _ended(slack: SlackVendor, cursor: str) -> dict[str, Any]:
    """The part of an answer that says whether more follows."""
    if cursor:
        return {"response_metadata": {"next_cursor": base64.b64encode(cursor.encode()).decode()}}
    endings: dict[str, dict[str, Any]] = {
        "empty": {"response_metadata": {"next_cursor": ""}},
        "none": {},
        "null": {"response_metadata": None},
    }
    return endings[slack.ending]


METHODS: Mapping[str, Method] = {
    "auth.test": Method(_auth_test),
    "team.info": Method(_team_info, ("team:read",)),
    "conversations.list": Method(_conversations_list),
    "conversations.info": Method(_conversations_info),
    "conversations.members": Method(_conversations_members, ("channels:read", "groups:read")),
    "conversations.history": Method(_history),
    "conversations.replies": Method(_replies),
    "users.list": Method(_users_list, ("users:read",)),
    "users.info": Method(_users_info, ("users:read",)),
    "chat.getPermalink": Method(_permalink),
    "search.messages": Method(_search_messages, ("search:read",), user_only=True),
    "assistant.search.context": Method(_search_context, ("search:read.public",)),
}
