"""Calls to Notion: what its errors mean, its listings page by page, and single objects by their id.

Facts: developers.notion.com, "Status codes", "Pagination", "Request limits", "Search optimizations and limitations".
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sophiactl.connectors.config import Limit
from sophiactl.connectors.errors import BadQuery, Malformed, ServiceError
from sophiactl.connectors.reading import items, mapping, text, usual
from sophiactl.connectors.session import Answer, Call, Peer, Session
from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sophiactl.connectors.config import ConnectorsConfig, NotionConfig
    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.session import Tools
    from sophiactl.redaction import Secret
    from sophiactl.web import WebAnswer, WebSession

SERVICE = "notion"
SECRET = "NOTION_API_KEY"  # noqa: S105 - its name
BASE_URL = "https://api.notion.com"
PAGE_SIZE = 100
BARREN = 50
"""Pages of a listing in a row without anything new, after which it counts as endless."""
LIMITS = {"all": Limit(3.0, 1.0, 6.0)}
_DASHED = (8, 12, 16, 20)
_DATA_SOURCES = "2025-09-03"
"""From this version on, the rows of a database are in its data sources."""


class CursorExpired(BadQuery):
    """Notion does not know a cursor (any more) that it handed out: the listing has to be begun anew."""


class CutShort(Malformed):
    """A listing that says there is more, and not where."""


def judge(answer: WebAnswer, value: Any) -> ServiceError | None:
    """What Notion says is wrong, None when all is well."""
    said = mapping(value)
    code = text(said.get("code"))
    words = ": ".join(filter(None, (code, text(said.get("message")))))
    reason = text(mapping(said.get("additional_data")).get("rate_limit_reason"))
    error = usual(SERVICE, answer, value, f"{words} ({reason})" if reason else words)
    if error is None and answer.status < 300 and said.get("object") == "error":
        return Malformed(f"notion answered {answer.status} with an error: {code}", service=SERVICE)
    if isinstance(error, BadQuery) and code == "validation_error" and "start_cursor" in words:
        return CursorExpired(error.message, service=SERVICE)
    return error


def root_of(base_url: str) -> str:
    """The base URL as paths with `/v1` go behind it: `/v1` and slashes at its end are one's own choice."""
    return base_url.strip().rstrip("/").removesuffix("/v1").rstrip("/") or BASE_URL


def in_path(object_id: str) -> str:
    """An id as part of a path. Raises `BadQuery` for what is none."""
    from urllib.parse import quote

    if not object_id.strip("./ "):
        raise BadQuery("notion has no ids like this", service=SERVICE, hint="an id is 32 hexadecimal digits")
    return quote(object_id, safe="")


def is_id(object_id: str) -> bool:
    """Whether it looks like an id of Notion's: 32 hexadecimal digits."""
    bare = object_id.strip().replace("-", "").lower()
    return len(bare) == 32 and all(sign in "0123456789abcdef" for sign in bare)


def same_id(object_id: str) -> str:
    """An id in the one form that we keep: as Notion writes it, with hyphens and in lower case."""
    if not is_id(object_id):
        return object_id.strip()
    bare = object_id.strip().replace("-", "").lower()
    cuts = (0, *_DASHED, 32)
    return "-".join(bare[start:end] for start, end in pairwise(cuts))


class NotionApi:
    """Notion's answers, unread."""

    def __init__(
        self,
        config: NotionConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        tools: Tools | None,
    ) -> None:
        from urllib.parse import urlsplit

        key = secrets.get(SECRET)
        if not key:
            raise ConfigError(
                "notion has no key",
                hint=f"set {SECRET} to the token of an integration: sophiactl secrets set {SECRET}",
            )
        base_url = root_of(config.base_url)
        own = urlsplit(base_url).hostname if config.base_url else None

        async def identity() -> dict[str, str]:
            return {"Authorization": f"Bearer {key.reveal()}", "Notion-Version": config.version}

        peer = Peer(
            service=SERVICE,
            base_url=base_url,
            hosts=tuple(dict.fromkeys(filter(None, (own, "api.notion.com")))),
            identity=identity,
            judge=judge,
            limits={**LIMITS, **config.limits},
            concurrency=config.concurrency,
        )
        self.session = Session(peer, web, common, tools)
        self._size = min(config.page_size or PAGE_SIZE, PAGE_SIZE)
        self.kinds = ("pages", "databases" if config.version < _DATA_SOURCES else "data_sources")

    async def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """One object. Raises `Malformed` for what is none."""
        answer = await self.session.call(Call("GET", path), deadline)
        if not isinstance(answer.json, dict):
            raise Malformed(f"notion gave no object at {path}", service=SERVICE)
        return answer.json

    async def listed(self, path: str, deadline: Deadline) -> AsyncIterator[list[dict[str, Any]]]:
        """A listing that is read by GET, page by page."""
        async for page in self._pages(Call("GET", path, params={"page_size": self._size}), deadline):
            yield page

    async def posted(
        self, path: str, body: Mapping[str, Any], deadline: Deadline
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """A search or query, page by page; its cursor goes into the body."""
        call = Call("POST", path, json={"page_size": self._size, **body})
        async for page in self._pages(call, deadline):
            yield page

    async def _pages(self, call: Call, deadline: Deadline) -> AsyncIterator[list[dict[str, Any]]]:
        """Raises `CutShort` after the last page that can be had, `Malformed` when there is no end to it."""
        known: set[str] = set()
        barren = 0
        async for answer in self.session.pages(call, lambda answer: _following(call, answer), deadline):
            found = mapping(answer.json).get("results")
            if not isinstance(found, list):
                raise Malformed(f"notion gave no list at {call.path}", service=SERVICE)
            fresh = {text(one.get("id")) for one in items(found)} - known
            known |= fresh
            barren = 0 if fresh else barren + 1
            if barren > BARREN:
                raise Malformed(f"notion's listing at {call.path} has no end", service=SERVICE)
            yield items(found)
            if _has_more(answer) and not _cursor(answer):
                raise CutShort(f"notion's listing at {call.path} goes on, but does not say where", service=SERVICE)


def _has_more(answer: Answer) -> bool:
    return mapping(answer.json).get("has_more") is True


def _cursor(answer: Answer) -> str:
    found = mapping(answer.json).get("next_cursor")
    return found if isinstance(found, str) else ""


def _following(call: Call, answer: Answer) -> Call | None:
    cursor = _cursor(answer)
    # A cursor without a word on `has_more` is followed: better one call too many than records left out.
    if not cursor or mapping(answer.json).get("has_more") is False:
        return None
    if call.method == "GET":
        return Call("GET", call.path, params={**call.params, "start_cursor": cursor})
    return Call("POST", call.path, json={**call.json, "start_cursor": cursor})


def is_gone(found: Mapping[str, Any]) -> bool:
    """Whether a page or data source lies in the trash: `archived` is what versions before 2026-03-11 call it."""
    return found.get("in_trash") is True or found.get("archived") is True
