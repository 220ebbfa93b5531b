"""Slack, read: the channels that the bot is in, with their threads; and what a user may search, with a user's token.

Messages have the id `CHANNEL:ts`. Private channels and direct messages stay out unless they are opted in; no channel is
ever joined. The API is described at docs.slack.dev/reference/methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.clock import utc_now
from sophiactl.connectors.base import Change, Cost, Found, Identity, Item
from sophiactl.connectors.errors import BadQuery, ItemGone, NoService, ServiceError
from sophiactl.connectors.reading import items, mapping, text
from sophiactl.connectors.session import Tools
from sophiactl.connectors.slack_api import BOT_TOKEN, HISTORY, REPLIES, USER_TOKEN, SlackApi, listed
from sophiactl.connectors.slack_channels import channel_info, opted_in
from sophiactl.connectors.slack_cost import estimate
from sophiactl.connectors.slack_errors import SERVICE
from sophiactl.connectors.slack_history import History
from sophiactl.connectors.slack_items import TOMBSTONE, Team, read_message
from sophiactl.connectors.slack_marks import VERSION, Marks, decoded
from sophiactl.connectors.slack_people import People
from sophiactl.connectors.slack_reconcile import Reconcile
from sophiactl.connectors.slack_search import NO_TOKEN, Search
from sophiactl.connectors.slack_text import Names, people_in
from sophiactl.connectors.slack_threads import Threads
from sophiactl.connectors.slack_time import from_iso, micros
from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from sophiactl.connectors.config import ConnectorsConfig, SlackConfig
    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.session import Answer
    from sophiactl.redaction import Secret
    from sophiactl.web import WebSession


class SlackConnector:
    """Reads one workspace. Raises `ConfigError` without the bot's token."""

    service = SERVICE

    def __init__(
        self,
        config: SlackConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        *,
        tools: Tools | None = None,
        now: Callable[[], datetime] = utc_now,  # noqa: ARG002 - Slack's own times are what counts here
    ) -> None:
        bot = secrets.get(BOT_TOKEN)
        if not bot:
            raise ConfigError(
                f"{BOT_TOKEN} is missing",
                hint=f"set it: `sophiactl secrets set {BOT_TOKEN}` (a bot token begins with xoxb-)",
            )
        tools = tools or Tools()
        self._config = config
        self._names = Names()
        self._api = SlackApi(config, common, (BOT_TOKEN, bot), web, tools)
        self._people = People(self._api, self._names)
        self._team_found: Team | None = None
        user = secrets.get(USER_TOKEN)
        self._user = SlackApi(config, common, (USER_TOKEN, user), web, tools) if user else None
        self._clock = tools.clock

    async def ping(self, deadline: Deadline) -> Identity:
        """The workspace and the bot, with its scopes."""
        answer = await self._api.call("auth.test", {}, deadline)
        team = self._keep_team(answer)
        scopes = answer.headers.get("x-oauth-scopes", "").split(",")
        return Identity(
            SERVICE,
            team.name,
            text(mapping(answer.json).get("user")),
            tuple(scope.strip() for scope in scopes if scope.strip()),
            await self._user_notes(team, deadline),
        )

    async def search(self, query: str, limit: int, deadline: Deadline) -> Found:
        """Messages that a user's token finds; with the bot's alone nothing, and a note that says so."""
        if self._user is None:
            return Found((), notes=(NO_TOKEN,))
        search = Search(self._user, self._people, self._names, self._team, self._clock)
        return await search.find(query, limit, deadline)

    async def changes(self, cursor: str | None, *, since: str | None = None) -> AsyncIterator[Change]:
        """Messages channel by channel, the newest of each first; see `slack_history`."""
        moment = ""
        if since:
            moment = from_iso(since) or ""
            if not moment:
                raise BadQuery(f"{since!r} is no time", service=SERVICE, hint="write it as 2026-01-31")
        team = await self._team(self._api.deadline())
        marks = decoded(cursor, team.id) if cursor else Marks(VERSION, SERVICE, team.id, moment, {})
        threads = Threads(self._api, self._people, self._names, team)
        async for change in History(threads, marks).changes():
            yield change

    async def reconcile(self, known: Sequence[str]) -> AsyncIterator[Change]:
        """Which of the messages were deleted; see `slack_reconcile`."""
        async for change in Reconcile(self._api, self._names).gone(known):
            yield change

    async def fetch(self, item_id: str, deadline: Deadline) -> Item:
        """One message by `CHANNEL:ts`. Raises `ItemGone`, also where its channel is not opted in."""
        name, _, ts = item_id.partition(":")
        if not name or micros(ts) is None:
            raise ItemGone(f"{item_id!r} is no id of a message", service=SERVICE, hint="it is CHANNEL:ts")
        team = await self._team(deadline)
        if name.startswith("D"):
            await self._people.load(deadline)  # it is called after a person
        channel = await channel_info(self._api, self._names, name, deadline)
        if channel is None or not opted_in(channel.kind, self._config):
            hint = "connectors.slack.private_channels and direct_messages opt them in"
            raise ItemGone(f"{item_id} is in a conversation that is not read", service=SERVICE, hint=hint)
        message = await self._message(name, ts, deadline)
        await self._people.learn(people_in(message or {}))
        item = read_message(message, channel, self._names, team) if message else None
        if item is None:
            raise ItemGone(f"there is no message {item_id}", service=SERVICE)
        return item

    async def cost(self, since: str | None, deadline: Deadline) -> Cost:
        """A guess from a few channels; see `slack_cost`."""
        return await estimate(self._api, self._names, from_iso(since or "") or "", deadline)

    async def close(self) -> None:
        """There is nothing of ours to release: the connections belong to the session that was given."""

    async def _message(self, channel: str, ts: str, deadline: Deadline) -> dict[str, Any] | None:
        """A message wherever it stands: replies are found through their own `ts`, and so are those without any."""
        bounds: dict[str, str | int] = {"channel": channel, "oldest": ts, "latest": ts, "inclusive": "true", "limit": 2}
        for method, params in ((REPLIES, {**bounds, "ts": ts}), (HISTORY, bounds)):
            try:
                answer = await self._api.call(method, params, deadline)
            except ItemGone:
                continue
            for message in items(listed(answer.json, "messages")):
                if text(message.get("ts")) == ts and message.get("subtype") != TOMBSTONE:
                    return message
        return None

    async def _team(self, deadline: Deadline) -> Team:
        if self._team_found is None:
            self._keep_team(await self._api.call("auth.test", {}, deadline))
        return self._team_found or Team("", "")

    def _keep_team(self, answer: Answer) -> Team:
        told = mapping(answer.json)
        self._team_found = Team(text(told.get("team_id")), text(told.get("team")), text(told.get("url")))
        return self._team_found

    async def _user_notes(self, team: Team, deadline: Deadline) -> tuple[str, ...]:
        """What will not work with these tokens, in a line each."""
        if self._user is None:
            return (f"no {USER_TOKEN}: Slack has no text search with a bot token; search is answered from memory",)
        try:
            answer = await self._user.call("auth.test", {}, deadline)
        except NoService:
            raise
        except ServiceError as error:
            return (f"{error.message}: search is answered from memory",)
        if text(mapping(answer.json).get("team_id")) != team.id:
            return (f"{USER_TOKEN} is of another workspace than {BOT_TOKEN}",)
        return ()
