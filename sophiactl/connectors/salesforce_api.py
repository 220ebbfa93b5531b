"""Calls to Salesforce's API: queries page by page, of which none is lost when a session or a cursor ends.

A query's cursor (its locator) dies after some time, with the eleventh query beside it, or with the session that it was
made in; the query is then made again behind the last row.
Facts: REST API Developer Guide, "Query", "Query More", "API Query Cursor Limits".
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.config import Limit
from sophiactl.connectors.errors import BadQuery, ItemGone, KeyRefused, Malformed
from sophiactl.connectors.reading import items, mapping, text
from sophiactl.connectors.salesforce_errors import SERVICE, Refused, judge
from sophiactl.connectors.salesforce_login import Login, allowed_hosts
from sophiactl.connectors.salesforce_soql import Place, among, moment, select
from sophiactl.connectors.session import Call, Peer, Session
from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from sophiactl.connectors.config import ConnectorsConfig, SalesforceConfig
    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.salesforce_objects import ObjectFields
    from sophiactl.connectors.session import Answer, Tools
    from sophiactl.redaction import Secret
    from sophiactl.web import WebSession

LIMITS = {"all": Limit(10.0, 1.0, 10.0)}
PAGE, SMALLEST_PAGE = 2_000, 200
IDS, FEW_IDS = 200, 100
"""Ids in one query, and beside as many fields as fit. Salesforce takes URLs of 16,000 bytes, proxies often 8,000."""
BARREN = 50
"""Pages in a row without a record, after which a query counts as endless."""
STUCK = 3
"""Queries in a row that a dead cursor ends before they get any further."""
_VERSION = re.compile(r"v?(\d{2,3})(?:\.0)?")
_NEXT = re.compile(r"/services/data/v\d{2,3}\.\d/query(?:All|More)?/[A-Za-z0-9_~-]+")
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")


class Page(msgspec.Struct, frozen=True):
    """A page of a query. `next` is the path of the following one, empty at the end."""

    records: list[dict[str, Any]]
    next: str
    total: int | None


class Batch(msgspec.Struct, frozen=True):
    """Rows in their order, and the place behind which to go on when they were dealt with."""

    records: list[dict[str, Any]]
    place: Place | None


class SalesforceApi:
    """Salesforce's answers, unread."""

    def __init__(
        self,
        config: SalesforceConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        tools: Tools | None,
    ) -> None:
        found = _VERSION.fullmatch(config.api_version.strip())
        if not found:
            raise ConfigError(
                f"{config.api_version!r} is no version of Salesforce's API",
                hint="write connectors.salesforce.api_version as v63.0",
            )
        self.version = f"v{found[1]}.0"
        self.usage: tuple[int, int] | None = None
        self.login = Login(config, common, secrets, web, tools)
        limits = {**LIMITS, **config.limits}
        self.rate = limits["all"].calls / limits["all"].seconds if limits["all"].seconds else None
        peer = Peer(
            service=SERVICE,
            base_url=self.login.base,
            hosts=allowed_hosts(self.login.base),
            identity=self.login.headers,
            judge=judge,
            limits=limits,
            renew=self.login.renew if self.login.renewable else None,
            concurrency=config.concurrency,
        )
        self.session = Session(peer, web, common, tools)
        size = min(max(config.page_size, SMALLEST_PAGE), PAGE)
        self._sizes = {"Sforce-Query-Options": f"batchSize={size}"} if config.page_size else {}

    @property
    def links(self) -> str:
        """The address that links to records begin with."""
        return self.login.links

    async def call(self, method: str, path: str, deadline: Deadline, **rest: Any) -> Answer:
        """One call to a path below the API's version, or to a whole path that begins with `/services`."""
        await self.login.ready(deadline)
        if not path.startswith("/services"):
            path = f"/services/data/{self.version}/{path}".rstrip("/")
        answer = await self.session.call(Call(method, f"{self.login.instance}{path}", **rest), deadline)
        used = _USAGE.search(answer.headers.get("sforce-limit-info", ""))
        if used:
            self.usage = (int(used[1]), int(used[2]))
        return answer

    async def query(self, soql: str, deadline: Deadline, *, deleted: bool = False) -> Page:
        """The first page of a query; `deleted` also sees rows in the recycle bin. Raises `Refused` for a bad one."""
        path, headers = ("queryAll", {}) if deleted else ("query", self._sizes)
        try:
            answer = await self.call("GET", path, deadline, params={"q": soql}, headers=headers)
        except ItemGone as error:
            wrong = BadQuery(
                f"{error.message}; is there an API {self.version}?",
                service=SERVICE,
                hint="set connectors.salesforce.api_version to one that your Salesforce has",
            )
            wrong.stop = True
            raise wrong from None
        return self._page(answer)

    async def more(self, path: str, deadline: Deadline) -> Page:
        """A following page."""
        return self._page(await self.call("GET", path, deadline))

    def _page(self, answer: Answer) -> Page:
        found = mapping(answer.json)
        if not isinstance(found.get("records"), list):
            raise Malformed(f"{SERVICE} gave no list of records", service=SERVICE)
        total = found.get("totalSize")
        following = "" if found.get("done") is True else self._following(text(found.get("nextRecordsUrl")))
        if found.get("done") is False and not following:
            raise Malformed(f"{SERVICE} has more records, but does not say where", service=SERVICE)
        return Page(items(found["records"]), following, total if isinstance(total, int) else None)

    def _following(self, path: str) -> str:
        """The path of the next page. Raises `Malformed` for one that leads anywhere else: the token would go there."""
        own = path.removeprefix(self.login.instance)
        if own and not _NEXT.fullmatch(own):
            error = Malformed(f"{SERVICE} says that its next records are somewhere else", service=SERVICE)
            error.stop = True
            raise error
        return own

    async def asked(
        self, fields: ObjectFields, soql: Callable[[Sequence[str]], str], deadline: Deadline, *, deleted: bool = False
    ) -> Page:
        """A query for the fields of an object, without those that Salesforce does not let us read."""
        while True:
            try:
                page = await self.query(soql(fields.chunks()[0]), deadline, deleted=deleted)
                await self.complete(fields, page.records, deadline)
            except Refused as error:
                if error.said != "INVALID_FIELD" or not fields.leave_out(error.words):
                    raise
            else:
                return page

    async def complete(self, fields: ObjectFields, records: list[dict[str, Any]], deadline: Deadline) -> None:
        """Add to rows the fields for which one URL is too short."""
        for chunk in fields.chunks()[1:]:
            rows = {text(record.get("Id")): record for record in records}
            ids = [row for row in rows if row]
            for start in range(0, len(ids), FEW_IDS):
                soql = select(chunk, fields.name, [among(ids[start : start + FEW_IDS])])
                for record in (await self.query(soql, deadline)).records:
                    _merge(rows.get(text(record.get("Id")), {}), record)

    async def walk(
        self,
        ask: Callable[[Place | None, Sequence[str]], str],
        fields: ObjectFields,
        place: Place | None,
        deadline: Callable[[], Deadline],
        *,
        newest: str | None,
        deleted: bool = False,
    ) -> AsyncGenerator[Batch]:
        """All rows behind a place, page by page, whatever becomes of cursors and sessions on the way.

        `ask` makes the query for fields behind a place. A row that is changed while we read may be given with its new
        time. So a time after `newest`, the last one when reading began, is no place: rows before it may follow.
        """
        stuck = 0
        while True:
            before = place
            page = await self.asked(fields, partial(ask, place), deadline(), deleted=deleted)
            guard = _Guard(page)
            while True:
                place = _last(page.records, newest) or place
                yield Batch(page.records, place)
                if not page.next:
                    return
                try:
                    page = await self.more(page.next, deadline())
                    await self.complete(fields, page.records, deadline())
                except (Refused, KeyRefused) as error:
                    stuck = 0 if place != before else stuck + 1
                    if stuck >= STUCK or not self._again(error):
                        raise
                    break
                guard.check(page)

    def _again(self, error: Refused | KeyRefused) -> bool:
        """Whether a page was refused because its cursor is dead, so that a new query helps."""
        if isinstance(error, Refused):
            return error.said == "INVALID_QUERY_LOCATOR"
        return self.login.renewable  # a new session cannot go on with an old one's cursor


class _Guard:
    """Ends a query whose pages have no end. Raises `Malformed`."""

    def __init__(self, first: Page) -> None:
        self._seen = {first.next}
        self._total = first.total
        self._given = len(first.records)
        self._barren = 0

    def check(self, page: Page) -> None:
        self._given += len(page.records)
        self._barren = 0 if page.records else self._barren + 1
        over = self._total is not None and self._given > self._total + PAGE
        if page.next in self._seen or over or self._barren > BARREN:
            raise Malformed(f"{SERVICE} gives pages without end for one query", service=SERVICE)
        if page.next:
            self._seen.add(page.next)


def _last(records: Sequence[Mapping[str, Any]], newest: str | None) -> Place | None:
    """The place of the last row, without rows that were changed after reading began."""
    for record in reversed(records):
        time, row = moment(text(record.get("SystemModstamp"))), text(record.get("Id"))
        if time and row and newest and time <= newest:
            return Place(time, row)
    return None


def _merge(record: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Put the fields of one answer into another's record; both may hold parts of one related record."""
    for name, value in other.items():
        if isinstance(value, dict) and isinstance(record.get(name), dict):
            _merge(record[name], value)
        else:
            record[name] = value
