"""Live search with a user's token: `search.messages`, or `assistant.search.context` where the former is not allowed.

A user sees more than the bot: what is found in conversations that are not opted in is left out, and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from sophiactl.connectors.base import Found, Item, Visibility
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import BadQuery, MissingScope, NoService, ServiceDown, ServiceError, TooFast
from sophiactl.connectors.reading import items, mapping, text
from sophiactl.connectors.session import Call
from sophiactl.connectors.slack_channels import Channel, opted_in, read_channel, types_of
from sophiactl.connectors.slack_items import is_bot, read_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sophiactl.connectors.session import Answer
    from sophiactl.connectors.slack_api import SlackApi
    from sophiactl.connectors.slack_items import Team
    from sophiactl.connectors.slack_people import People
    from sophiactl.connectors.slack_text import Names

MESSAGES, CONTEXT = "search.messages", "assistant.search.context"
MOST_A_PAGE, MOST_PAGES, MOST_CONTEXT = 100, 100, 20
NO_TOKEN = "Slack has no text search with a bot token; answered from memory"  # noqa: S105 - a sentence
_FLAGS = ("is_private", "is_im", "is_mpim", "is_group")
_FILTERED = "of the kinds asked for"
_ASSISTANT = "searched with assistant.search.context: the token may not use search.messages"


class _Hits(msgspec.Struct):
    """What was found so far."""

    limit: int
    items: dict[str, Item] = {}
    hidden: int = 0

    @property
    def enough(self) -> bool:
        return len(self.items) >= self.limit


class Search:
    """One user's view of a workspace, searched."""

    def __init__(
        self,
        api: SlackApi,
        people: People,
        names: Names,
        team: Callable[[Deadline], Awaitable[Team]],
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._people = people
        self._names = names
        self._team = team
        self._clock = clock

    async def find(self, query: str, limit: int, deadline: Deadline) -> Found:
        """At most `limit` messages, best first; fewer, and a note, when the deadline comes in between."""
        import asyncio

        if not query.strip() or limit <= 0:
            return Found(())
        notes: list[str] = []
        names = asyncio.create_task(self._load(deadline, notes))  # while the search is under way
        try:
            hits = await self._hits(query.strip(), limit, deadline, names, notes)
        finally:
            names.cancel()
            await asyncio.gather(names, return_exceptions=True)
        if hits.hidden:
            notes.append(
                f"{hits.hidden} found in private channels or direct messages, which are not opted in"
                " (connectors.slack.private_channels, direct_messages)"
            )
        return Found(tuple(hits.items.values())[:limit], tuple(notes))

    async def _load(self, deadline: Deadline, notes: list[str]) -> Team:
        """The workspace, and the names of its people as far as they come."""
        team = await self._team(deadline)
        try:
            refused = await self._people.load(Deadline(deadline.left() / 2, self._clock))
        except ServiceError as error:
            refused = error
        if refused is not None:
            notes.append(f"ids stand for names: {refused.message}")
        return team

    async def _hits(
        self, query: str, limit: int, deadline: Deadline, names: Awaitable[Team], notes: list[str]
    ) -> _Hits:
        hits = _Hits(limit, {})
        team: Team | None = None
        try:
            async for matches in self._pages(query, limit, deadline, notes):
                team = team or await names
                for match in matches:
                    self._take(match, hits, team)
                if hits.enough:
                    break
        except (NoService, ServiceDown, TooFast) as error:
            if not hits.items:
                raise
            notes.append(f"not all was read: {error.message}")
        return hits

    async def _pages(
        self, query: str, limit: int, deadline: Deadline, notes: list[str]
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Pages of matches in the form of `search.messages`, whichever method they are from."""
        try:
            async for page in self._classic(query, limit, deadline):
                yield page
        except MissingScope as refused:
            try:
                async for page in self._assistant(query, limit, deadline):
                    yield page
            except (MissingScope, BadQuery):
                raise refused from None
            notes.append(_ASSISTANT)

    async def _classic(self, query: str, limit: int, deadline: Deadline) -> AsyncIterator[list[dict[str, Any]]]:
        count = min(MOST_A_PAGE, max(MOST_CONTEXT, limit))
        params: dict[str, str | int] = {"query": query, "count": count, "sort": "score", "page": 1}
        first = Call("GET", MESSAGES, params, limit=MESSAGES)

        def following(answer: Answer) -> Call | None:
            paging = mapping(mapping(mapping(answer.json).get("messages")).get("paging"))
            page, pages = paging.get("page"), paging.get("pages")
            if not isinstance(page, int) or not isinstance(pages, int) or page >= min(pages, MOST_PAGES):
                return None
            return msgspec.structs.replace(first, params={**params, "page": page + 1})

        async for answer in self._api.session.pages(first, following, deadline):
            yield items(mapping(mapping(answer.json).get("messages")).get("matches"))

    async def _assistant(self, query: str, limit: int, deadline: Deadline) -> AsyncIterator[list[dict[str, Any]]]:
        asked = {
            "query": query,
            "channel_types": types_of(self._api.config),
            "content_types": ["messages"],
            "limit": min(MOST_CONTEXT, limit),
            "include_bots": self._api.config.bots,
        }
        first = Call("POST", CONTEXT, json=asked, limit=CONTEXT)

        def following(answer: Answer) -> Call | None:
            cursor = text(mapping(mapping(answer.json).get("response_metadata")).get("next_cursor"))
            return msgspec.structs.replace(first, json={**asked, "cursor": cursor}) if cursor else None

        async for answer in self._api.session.pages(first, following, deadline):
            found = items(mapping(mapping(answer.json).get("results")).get("messages"))
            yield [_as_match(message) for message in found]

    def _take(self, match: dict[str, Any], hits: _Hits, team: Team) -> None:
        """Keep a match, or count it when it is from where nothing may be kept."""
        value = mapping(match.get("channel"))
        channel = self._channel(value)
        if channel is None:
            return
        if not self._may_be_kept(channel, value):
            hits.hidden += 1
            return
        if not self._api.config.bots and (is_bot(match) or not text(match.get("user"))):
            return
        link = text(match.get("permalink"))
        thread = _thread_in(link)
        item = read_message({"thread_ts": thread, **match} if thread else match, channel, self._names, team)
        if item is not None and item.id not in hits.items:
            hits.items[item.id] = msgspec.structs.replace(item, url=link) if _of_slack(link, team) else item

    def _channel(self, value: dict[str, Any]) -> Channel | None:
        """The channel of a match. Where nothing tells who may see it, nothing is claimed."""
        channel = read_channel(value, self._names)
        if channel is None or channel.kind == "direct" or any(name in value for name in _FLAGS):
            return channel
        kind: Visibility = "unknown"
        if value.get(_FILTERED) and len(types_of(self._api.config)) == 1:
            kind = "public"
        return msgspec.structs.replace(channel, kind=kind)

    def _may_be_kept(self, channel: Channel, value: dict[str, Any]) -> bool:
        if value.get(_FILTERED):
            return True
        if channel.kind == "unknown":
            return self._api.config.private_channels and self._api.config.direct_messages
        return opted_in(channel.kind, self._api.config)


def _as_match(message: dict[str, Any]) -> dict[str, Any]:
    """A message of `assistant.search.context` as `search.messages` would give it."""
    return {
        "ts": text(message.get("message_ts")),
        "text": message.get("content"),
        "user": text(message.get("author_user_id")),
        "username": text(message.get("author_name")),
        "bot_id": text(message.get("author_user_id")) if message.get("is_author_bot") is True else "",
        "permalink": text(message.get("permalink")),
        "channel": {"id": text(message.get("channel_id")), "name": text(message.get("channel_name")), _FILTERED: True},
    }


def _thread_in(link: str) -> str:
    """The thread that a permalink leads into, empty when it leads to none."""
    try:
        return parse_qs(urlsplit(link).query).get("thread_ts", [""])[0]
    except ValueError:
        return ""


def _of_slack(link: str, team: Team) -> bool:
    """Whether a link is one of Slack's own: it is shown to people, and they click it."""
    try:
        parts, own = urlsplit(link), urlsplit(team.url).hostname
    except ValueError:
        return False
    host = parts.hostname or ""
    return parts.scheme == "https" and bool(host) and (host == own or host.endswith(".slack.com"))
