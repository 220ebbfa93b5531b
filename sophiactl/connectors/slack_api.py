"""Calls to Slack's Web API: methods by name, each with its own rate limit, and pages by cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.config import Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import Malformed
from sophiactl.connectors.reading import items, mapping, text
from sophiactl.connectors.session import Answer, Call, Peer, Session, Tools
from sophiactl.connectors.slack_errors import SERVICE, judge
from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sophiactl.connectors.config import ConnectorsConfig, SlackConfig
    from sophiactl.redaction import Secret
    from sophiactl.web import WebSession

BOT_TOKEN, USER_TOKEN = "SLACK_BOT_TOKEN", "SLACK_USER_TOKEN"
MOST, MOST_COMMERCIAL = 999, 15
HISTORY, REPLIES = "conversations.history", "conversations.replies"
# docs.slack.dev/apis/web-api/rate-limits: at least 20, 50 and 100 a minute for tiers 2, 3 and 4, and bursts are let
# through; half a minute's worth at once keeps us out of the rest.
_TIER_2, _TIER_3, _TIER_4 = Limit(20, 60, 10), Limit(50, 60, 25), Limit(100, 60, 50)
_COMMERCIAL = Limit(1, 60, 1)
_LIMITS: Mapping[str, Limit] = {
    "all": _TIER_2,
    "auth.test": _TIER_4,
    "conversations.list": _TIER_2,
    "conversations.info": _TIER_3,
    HISTORY: _TIER_3,
    REPLIES: _TIER_3,
    "users.list": _TIER_2,
    "users.info": _TIER_4,
    "search.messages": _TIER_2,
    "assistant.search.context": _TIER_2,
}


class Page(msgspec.Struct, frozen=True):
    """One page of a listing; `last` says that no other follows."""

    value: dict[str, Any]
    last: bool


class SlackApi:
    """Slack, asked with one token."""

    def __init__(
        self,
        config: SlackConfig,
        common: ConnectorsConfig,
        token: tuple[str, Secret],
        web: WebSession,
        tools: Tools,
    ) -> None:
        self.config = config
        self._clock = tools.clock
        self._patience = common.timeout
        name, secret = token

        async def identity() -> Mapping[str, str]:
            return {"Authorization": f"Bearer {secret.reveal().strip()}"}

        base = base_url(config.base_url)
        peer = Peer(
            SERVICE,
            base,
            ("slack.com", _host(base)),
            identity,
            lambda answer, value: judge(answer, value, name),
            limits_of(config),
            concurrency=max(1, config.concurrency),
            per_method=True,
        )
        self.session = Session(peer, web, common, tools)

    async def call(self, method: str, params: Mapping[str, str | int], deadline: Deadline) -> Answer:
        """A good answer to a method that takes its arguments in the query."""
        return await self.session.call(Call("GET", method, dict(params), limit=method), deadline)

    async def pages(
        self, method: str, params: Mapping[str, str | int], deadline: Deadline | None = None
    ) -> AsyncIterator[Page]:
        """The pages of a listing. Without a deadline each call has one of its own, and the listing none."""
        first = Call("GET", method, {**params, "limit": self.page_size(method)}, limit=method)
        async for answer in self.session.pages(
            first, lambda answer: _next(first, answer), deadline or Deadline.never()
        ):
            yield Page(mapping(answer.json), _next(first, answer) is None)

    def page_size(self, method: str) -> int:
        """How much one page holds at most."""
        most = MOST_COMMERCIAL if self.config.commercial and method in (HISTORY, REPLIES) else MOST
        return min(most, self.config.page_size) if self.config.page_size > 0 else most

    def deadline(self) -> Deadline:
        """The time for one call where the caller gave none."""
        return Deadline(self._patience, self._clock)


def listed(page: dict[str, Any], name: str) -> list[Any]:
    """The list in an answer. Raises `Malformed`: without one, nobody knows what is missing."""
    found = page.get(name)
    if not isinstance(found, list):
        raise Malformed(f"slack answered without {name}", service=SERVICE)
    return found


def base_url(configured: str) -> str:
    """Where the API is, whether or not `/api` and a slash were written."""
    base = configured.strip().rstrip("/") or "https://slack.com"
    return base if base.endswith("/api") else f"{base}/api"


def limits_of(config: SlackConfig) -> dict[str, Limit]:
    """The rate of each method; a configured `all` stands for every one that is not configured itself."""
    limits = {} if "all" in config.limits else dict(_LIMITS)
    if config.commercial:
        limits |= {HISTORY: _COMMERCIAL, REPLIES: _COMMERCIAL}
    return limits | config.limits


def _host(base: str) -> str:
    from urllib.parse import urlsplit

    try:
        return urlsplit(base).hostname or ""
    except ValueError:
        raise ConfigError("connectors.slack.base_url is no URL", hint="write it as https://host/api") from None


def _next(first: Call, answer: Answer) -> Call | None:
    """The call of the next page. No cursor, an empty one and null mean the end, unless `has_more` says otherwise."""
    page = mapping(answer.json)
    cursor = text(mapping(page.get("response_metadata")).get("next_cursor"))
    if cursor:
        return msgspec.structs.replace(first, params={**first.params, "cursor": cursor})
    if page.get("has_more") is not True or first.path not in (HISTORY, REPLIES):
        return None
    # By time, then: history comes newest first, a thread oldest first, and the last one given is given again.
    given = [text(message.get("ts")) for message in items(page.get("messages"))]
    if not given:
        return None
    bound = {"latest": min(given)} if first.path == HISTORY else {"oldest": max(given)}
    return msgspec.structs.replace(first, params={**first.params, **bound, "inclusive": "true"})
