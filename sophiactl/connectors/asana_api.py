"""Calls to Asana: what its errors mean, single objects, and listings page by page.

Facts: developers.asana.com, "Errors", "Pagination", "Rate limits", and the published API description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.connectors.config import Limit
from sophiactl.connectors.errors import BadQuery, Malformed, MissingScope, ServiceError
from sophiactl.connectors.reading import items, mapping, text, usual
from sophiactl.connectors.session import Answer, Call, Peer, Session
from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence

    from sophiactl.connectors.config import AsanaConfig, ConnectorsConfig
    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.session import Tools
    from sophiactl.redaction import Secret
    from sophiactl.web import WebAnswer, WebSession

SERVICE = "asana"
SECRET = "ASANA_ACCESS_TOKEN"  # noqa: S105 - its name
BASE_URL = "https://app.asana.com"
VERSION = "/api/1.0"
PAGE_SIZE = 100
BARREN = 20
"""Pages of a listing in a row without anything new, after which it counts as endless."""
LIMITS = {"all": Limit(140.0, 60.0, 10.0), "search": Limit(50.0, 60.0, 10.0)}
"""150 calls a minute without a paid plan, and 60 searches: rate and burst together stay below."""


class Premium(MissingScope):
    """402: the workspace has no plan that includes this."""


class OffsetExpired(BadQuery):
    """Asana does not know an offset (any more) that it handed out: the listing has to be begun anew."""


def judge(answer: WebAnswer, value: Any) -> ServiceError | None:
    """What Asana says is wrong, None when all is well."""
    errors = items(mapping(value).get("errors"))
    words = "; ".join(filter(None, (text(one.get("message")) or text(one.get("phrase")) for one in errors)))
    phrase = text(errors[0].get("phrase")) if errors else ""
    said = f"{words} (phrase: {phrase})" if phrase and phrase != words else words
    error = usual(SERVICE, answer, value, said)
    if error is None and errors:
        return Malformed(f"asana answered {answer.status} with an error: {said}", service=SERVICE)
    if answer.status == 402 and error is not None:
        return Premium(error.message, service=SERVICE, hint="a paid plan of Asana includes it")
    if isinstance(error, BadQuery) and ("pagination token" in words.lower() or words.lower().startswith("offset")):
        return OffsetExpired(error.message, service=SERVICE)
    return error


def root_of(base_url: str) -> str:
    """The base URL as paths with `/api/1.0` go behind it: that and slashes at its end are one's own choice."""
    root = base_url.strip().rstrip("/")
    for tail in (VERSION, "/api"):
        root = root.removesuffix(tail).rstrip("/")
    return root or BASE_URL


def in_path(gid: str) -> str:
    """A gid as part of a path. Raises `BadQuery` for what is none."""
    from urllib.parse import quote

    if not gid.strip("./ "):
        raise BadQuery("asana has no ids like this", service=SERVICE, hint="an id is a number of up to 19 digits")
    return quote(gid, safe="")


class Page:
    """A page of a listing: its objects, the offset of the next (None: it was the last), and when Asana gave it.

    `anew`: the listing was begun anew with it.
    """

    def __init__(self, rows: list[dict[str, Any]], following: str | None, headers: Mapping[str, str]) -> None:
        self.rows = rows
        self.following = following
        self.anew = False
        self._headers = headers

    def at(self) -> str | None:
        """The time on Asana's own clock, if it was told."""
        from datetime import UTC
        from email.utils import parsedate_to_datetime

        try:
            when = parsedate_to_datetime(self._headers.get("date", "")).astimezone(UTC)
        except (ValueError, TypeError, OverflowError):
            return None
        return f"{when.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


class AsanaApi:
    """Asana's answers, unread."""

    def __init__(
        self,
        config: AsanaConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        tools: Tools | None,
    ) -> None:
        from urllib.parse import urlsplit

        key = secrets.get(SECRET)
        if not key:
            raise ConfigError(
                "asana has no key",
                hint=f"set {SECRET} to a personal access token: sophiactl secrets set {SECRET}",
            )
        root = root_of(config.base_url)
        own = urlsplit(root).hostname if config.base_url else None

        async def identity() -> dict[str, str]:
            return {"Authorization": f"Bearer {key.reveal()}"}

        peer = Peer(
            service=SERVICE,
            base_url=f"{root}{VERSION}",
            hosts=tuple(dict.fromkeys(filter(None, (own, "app.asana.com")))),
            identity=identity,
            judge=judge,
            limits={**LIMITS, **config.limits},
            concurrency=config.concurrency,
        )
        self.session = Session(peer, web, common, tools)
        self._size = max(1, min(config.page_size or PAGE_SIZE, PAGE_SIZE))

    async def get(self, path: str, deadline: Deadline, **params: str | int) -> dict[str, Any]:
        """One object. Raises `Malformed` for what is none."""
        answer = await self.session.call(Call("GET", path, params=params), deadline)
        found = mapping(answer.json).get("data")
        if not isinstance(found, dict):
            raise Malformed(f"asana gave no object at {path}", service=SERVICE)
        return found

    async def found(
        self, path: str, deadline: Deadline, *, limit: str = "", **params: str | int
    ) -> list[dict[str, Any]]:
        """A list that has one page only."""
        answer = await self.session.call(Call("GET", path, params=params, limit=limit), deadline)
        return _rows(answer, path)

    async def pages(
        self, path: str, params: Mapping[str, str | int], deadline: Deadline, offset: str = ""
    ) -> AsyncIterator[Page]:
        """A listing, page by page, from an offset on. One whose offset has expired is begun anew, once.

        Raises `Malformed` when there is no end to it, or when it goes on without saying where.
        """
        try:
            async for page in self._pages(path, params, deadline, offset):
                yield page
        except OffsetExpired:
            anew = True
            async for page in self._pages(path, params, deadline, ""):
                page.anew, anew = anew, False
                yield page

    async def _pages(
        self, path: str, params: Mapping[str, str | int], deadline: Deadline, offset: str
    ) -> AsyncIterator[Page]:
        call = Call("GET", path, params={"limit": self._size, **params, **({"offset": offset} if offset else {})})
        known: set[str] = set()
        barren = 0
        async for answer in self.session.pages(call, lambda answer: _following(call, answer), deadline):
            rows = _rows(answer, path)
            fresh = {text(one.get("gid")) for one in rows} - known
            known |= fresh
            barren = 0 if fresh else barren + 1
            if barren > BARREN:
                raise Malformed(f"asana's listing at {path} has no end", service=SERVICE)
            following = _offset(answer)
            yield Page(rows, following, answer.headers)
            if following == "":
                raise Malformed(f"asana's listing at {path} goes on, but does not say where", service=SERVICE)


def _rows(answer: Answer, path: str) -> list[dict[str, Any]]:
    found = mapping(answer.json).get("data")
    if not isinstance(found, list):
        raise Malformed(f"asana gave no list at {path}", service=SERVICE)
    return items(found)


def _offset(answer: Answer) -> str | None:
    """The offset of the next page; None at the end, empty when there is a next page that has none."""
    following = mapping(answer.json).get("next_page")
    return text(following.get("offset")) if isinstance(following, dict) and following else None


def _following(call: Call, answer: Answer) -> Call | None:
    offset = _offset(answer)
    return Call("GET", call.path, params={**call.params, "offset": offset}) if offset else None


async def together(works: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """The results of all; when one fails, or nobody waits any more, none goes on."""
    import asyncio

    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
