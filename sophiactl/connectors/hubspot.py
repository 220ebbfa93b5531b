"""HubSpot: contacts, companies, deals, tickets and notes, read through the CRM API v3."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.clock import utc_now
from sophiactl.connectors.base import Checkpoint, Cost, Found, Identity, Removed, Skipped, Upsert
from sophiactl.connectors.config import Limit
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import (
    BadQuery,
    ItemGone,
    Malformed,
    MissingScope,
    ServiceError,
)
from sophiactl.connectors.hubspot_answers import TOKEN, judge
from sophiactl.connectors.hubspot_kinds import KINDS, merged, record
from sophiactl.connectors.hubspot_names import Directory, following
from sophiactl.connectors.hubspot_walk import PAGE, Bin, Cursor, Place, Walk
from sophiactl.connectors.reading import mapping, text
from sophiactl.connectors.session import Call, Peer, Session, Tools
from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sophiactl.connectors.base import Change, Item
    from sophiactl.connectors.config import ConnectorsConfig, HubSpotConfig
    from sophiactl.connectors.hubspot_kinds import Kind
    from sophiactl.connectors.session import Answer
    from sophiactl.redaction import Secret
    from sophiactl.web import WebSession

_HOST = "api.hubapi.com"
_LIST_PAGE = 100
_LONGEST_QUERY = 3_000
# HubSpot grants an account 5 searches a second and apps 100 calls in ten seconds or more. A bucket that lets a burst
# through must refill more slowly; searches come one by one, a little slower than allowed, as the network bunches them.
_LIMITS = {"search": Limit(4.5), "all": Limit(90.0, 10.0, 10.0)}
_ONE_KIND = (MissingScope, ItemGone, BadQuery)
"""Errors that concern one kind of record, and leave the others to be read."""
_NOWHERE = Place()


class HubSpotConnector:
    """HubSpot, read with the access token of a private app (or OAuth). The old API key is never sent."""

    service = "hubspot"

    def __init__(
        self,
        config: HubSpotConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        *,
        tools: Tools | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        del now  # watermarks are HubSpot's own times
        self._token = _token(secrets)
        self._kinds = _kinds(config.objects)
        self._config = config
        self._common = common
        self._tools = tools or Tools()
        peer = Peer(
            self.service,
            _base(config.base_url),
            _hosts(config.base_url),
            self._identity,
            judge,
            {**_LIMITS, **config.limits},
            concurrency=config.concurrency,
        )
        self._session = Session(peer, web, common, self._tools)
        self._directory = Directory(self._session)

    async def ping(self, deadline: Deadline) -> Identity:
        """The account; HubSpot tells no scopes."""
        account = await self._directory.account(deadline)
        kind = account.kind.lower().replace("_", " ")
        notes = () if kind in ("", "standard") else (f"this is a {kind} account",)
        return Identity(self.service, f"hub {account.portal} ({account.domain})", notes=notes)

    async def search(self, query: str, limit: int, deadline: Deadline) -> Found:
        """Every kind is searched at once; their answers are merged rank by rank. Kinds that fail are named in notes."""
        import asyncio

        words, notes = _query(query)
        if not words or limit <= 0:
            return Found(())
        size = min(limit, self._page(PAGE))
        asked = (self._quiet(self._searched(kind, words, size, deadline)) for kind in self._kinds)
        _, *answers = await asyncio.gather(self._quiet(self._directory.load(deadline)), *asked)
        failures = [answer for answer in answers if isinstance(answer, ServiceError)]
        if failures and len(failures) == len(self._kinds):
            raise next((error for error in failures if error.stop), failures[0])
        for kind, answer in zip(self._kinds, answers, strict=True):
            if isinstance(answer, ServiceError):
                notes.append(f"{kind.name} were not searched: {answer.message}")
        found = [[] if isinstance(answer, ServiceError) else answer for answer in answers]
        ranked = list(_by_rank(zip(self._kinds, found, strict=True)))[:limit]
        await self._quiet(self._directory.companies(_company_ids(ranked), deadline))
        names = self._directory.names()
        items = (record(kind, raw, names) for kind, raw in ranked)
        return Found(tuple(item for item in items if item is not None), tuple(notes))

    async def changes(self, cursor: str | None, *, since: str | None = None) -> AsyncIterator[Change]:
        """Kind after kind, each in the order of its modification, then what of it was archived."""
        names = [kind.name for kind in self._kinds]
        state = Cursor.start(names, since) if cursor is None else Cursor.load(cursor, names)
        await self._directory.load(self._deadline())
        for what, error in self._directory.missing:
            yield Skipped(what, error.code, _reason(error))
        for name in state.left or ():
            try:
                async with aclosing(self._changes_of(KINDS[name], state)) as stream:
                    async for change in stream:
                        if isinstance(change, Cursor):
                            state = change
                            yield Checkpoint(state.dump())
                        else:
                            yield change
            except _ONE_KIND as error:
                yield Skipped(name, error.code, _reason(error))
            state = state.finished(name)
        yield Checkpoint(state.rest().dump(), done=True)

    async def reconcile(self, known: Sequence[str]) -> AsyncIterator[Change]:
        """Every live record is listed, by its id alone; what is known and not among them is gone."""
        for kind in self._kinds:
            missing = dict.fromkeys(name for name in known if name.startswith(f"{kind.name}/"))
            if not missing:
                continue
            try:
                async with aclosing(self._listed(kind, archived=False)) as pages:
                    async for page in pages:
                        for raw in _results(page):
                            missing.pop(f"{kind.name}/{text(mapping(raw).get('id'))}", None)
            except _ONE_KIND as error:
                yield Skipped(kind.name, error.code, _reason(error))
                continue
            for name in missing:
                yield Removed(name)
        yield Checkpoint("", done=True)

    async def fetch(self, item_id: str, deadline: Deadline) -> Item:
        """One record by its id, such as `deals/4711`."""
        name, _, number = item_id.partition("/")
        if name not in KINDS or not (number.isascii() and number.isdigit()):
            hint = f"ids are such as deals/4711; kinds are {', '.join(KINDS)}"
            raise ItemGone(f"hubspot has no {item_id[:60]!r}", service=self.service, hint=hint)
        kind = KINDS[name]
        path = f"/crm/v3/objects/{name}/{number}"
        answer = await self._session.call(Call("GET", path, {"properties": kind.properties}), deadline)
        await self._quiet(self._directory.load(deadline))
        await self._quiet(self._directory.companies(_company_ids([(kind, answer.json)]), deadline))
        item = record(kind, mapping(answer.json), self._directory.names())
        if item is None:
            raise Malformed(f"hubspot gave {item_id} without an id", service=self.service)
        if item.id != item_id:
            raise ItemGone(f"{item_id} was merged into {item.id}", service=self.service, hint=f"ask for {item.id}")
        return item

    async def cost(self, since: str | None, deadline: Deadline) -> Cost:
        """One search a kind, for how many there are. What is archived is listed too, and not counted."""
        start = Cursor.start((), since).since or 0
        items = 0
        searches = 0
        unread = []
        for kind in self._kinds:
            filters = [{"propertyName": kind.modified, "operator": "GTE", "value": str(start)}]
            body = {"filterGroups": [{"filters": filters}], "properties": ["hs_object_id"], "limit": 1}
            try:
                answer = await self._session.call(_search(kind, body), deadline)
            except _ONE_KIND:
                unread.append(kind.name)
                continue
            total = mapping(answer.json).get("total")
            count = max(0, total) if isinstance(total, int) else 0
            pages = max(1, -(-count // self._page(PAGE)))
            items += count
            searches += pages * (2 if kind.company and not kind.company_name else 1)
        limit = self._session.peer.limits["search"]
        basis = f"{self._page(PAGE)} records a search, {limit.calls / limit.seconds:g} searches a second"
        basis += f"; without {', '.join(unread)}, which this token may not read" if unread else ""
        return Cost(searches + len(self._kinds) + 3, round(searches * limit.seconds / limit.calls, 1), items, basis)

    async def close(self) -> None:
        """The connections are the web session's."""

    async def _identity(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token.reveal().strip()}"}

    def _deadline(self) -> Deadline:
        return Deadline(self._common.timeout, self._tools.clock)

    def _page(self, most: int) -> int:
        return min(self._config.page_size, most) if self._config.page_size > 0 else most

    async def _quiet(self, work: Any) -> Any:
        """What it gives, or the error of the service that it ends with."""
        try:
            return await work
        except ServiceError as error:
            return error

    async def _searched(self, kind: Kind, words: str, size: int, deadline: Deadline) -> list[Any]:
        body = {"query": words, "properties": kind.properties, "limit": size}
        return _results(await self._session.call(_search(kind, body), deadline))

    async def _changes_of(self, kind: Kind, state: Cursor) -> AsyncGenerator[Upsert | Removed | Skipped | Cursor]:
        """What changed of one kind, and after each page how far it was read."""
        place = state.places.get(kind.name) or _NOWHERE
        overlap = round(self._config.overlap_minutes * 60_000)
        walk = Walk(kind, place, state.since, overlap, self._page(PAGE))
        while not walk.over:
            answer = await self._session.call(_search(kind, walk.body()), self._deadline())
            fresh = walk.take(answer.json)
            for change in await self._read(kind, fresh):
                yield change
            if not walk.over:
                yield state.reached(kind.name, walk.place(_clock(answer), place.gone))
        bin_ = Bin(place.gone, state.since, overlap)
        async with aclosing(self._listed(kind, archived=True)) as pages:
            async for page in pages:
                for raw in bin_.take(_results(page), _clock(page)):
                    yield Removed(f"{kind.name}/{text(raw.get('id'))}")
                    for name in merged(kind, raw):
                        yield Removed(name)
        yield state.reached(kind.name, walk.place(None, bin_.gone)).finished(kind.name)

    async def _read(self, kind: Kind, raws: list[Any]) -> list[Upsert | Removed | Skipped]:
        """Records as changes; names of companies are looked up for all of them at once."""
        await self._directory.companies(_company_ids([(kind, raw) for raw in raws]), self._deadline())
        names = self._directory.names()
        found: list[Upsert | Removed | Skipped] = []
        for raw in raws:
            item = record(kind, raw, names) if isinstance(raw, dict) else None
            if item is None:
                found.append(Skipped(f"{kind.name}/?", Malformed.code, "a record without an id"))
                continue
            found.append(Upsert(item))
            found += [Removed(name) for name in merged(kind, raw)]
        return found

    async def _listed(self, kind: Kind, *, archived: bool) -> AsyncGenerator[Answer]:
        """The pages of all records, or of all that were archived: their ids, and of what they were merged."""
        params: dict[str, str | int | list[str]] = {"limit": self._page(_LIST_PAGE)}
        params |= {"properties": "hs_merged_object_ids", "archived": "true" if archived else "false"}
        call = Call("GET", f"/crm/v3/objects/{kind.name}", params)
        seen: set[str] = set()
        while True:
            page = await self._session.call(call, self._deadline())
            yield page
            after = following(page.json)
            if not after:
                return
            if after in seen:
                raise Malformed("hubspot gave the same cursor twice", service=self.service, hint="run it again")
            seen.add(after)
            call = msgspec.structs.replace(call, params={**params, "after": after})


def _search(kind: Kind, body: dict[str, Any]) -> Call:
    return Call("POST", f"/crm/v3/objects/{kind.name}/search", json=body, limit="search")


def _results(page: Answer) -> list[Any]:
    """The records of a page. An answer without any list is none: nothing is concluded from it."""
    found = mapping(page.json).get("results")
    if not isinstance(found, list):
        raise Malformed("hubspot gave a page without results", service="hubspot", hint="run it again")
    return found


def _clock(page: Answer) -> int | None:
    """HubSpot's clock when it answered, in milliseconds."""
    from email.utils import parsedate_to_datetime

    try:
        return int(parsedate_to_datetime(page.headers.get("date", "")).timestamp()) * 1000
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _query(query: str) -> tuple[str, list[str]]:
    """The words to search for, and what has to be said of them."""
    words = " ".join(text(query).split())
    if len(words) <= _LONGEST_QUERY:
        return words, []
    cut = words[:_LONGEST_QUERY].rsplit(" ", 1)[0]
    return cut, [f"only the first {len(cut):,} characters were searched for"]


def _by_rank(answers: Iterable[tuple[Kind, list[Any]]]) -> Iterator[tuple[Kind, Any]]:
    """The first of each kind, then the second of each: HubSpot ranks within a kind alone."""
    ranked = [(rank, kind, raw) for kind, found in answers for rank, raw in enumerate(found)]
    ranked.sort(key=lambda entry: entry[0])
    return ((kind, raw) for _, kind, raw in ranked if isinstance(raw, dict))


def _company_ids(raws: Iterable[tuple[Kind, Any]]) -> list[str]:
    """The companies whose names the records themselves do not hold."""
    found = []
    for kind, raw in raws:
        values = mapping(mapping(raw).get("properties"))
        number = text(values.get(kind.company))
        if number and not text(values.get(kind.company_name)):
            found.append(number)
    return found


def _reason(error: ServiceError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _token(secrets: Mapping[str, Secret]) -> Secret:
    found = secrets.get(TOKEN)
    if found is None or not found.reveal().strip():
        hint = f"set {TOKEN} to the access token of a private app: `sophiactl secrets set {TOKEN}`"
        if "HUBSPOT_API_KEY" in secrets:
            hint += "; HUBSPOT_API_KEY was retired by HubSpot and is not sent"
        raise ConfigError(f"hubspot needs the secret {TOKEN}", hint=hint)
    return found


def _kinds(names: Iterable[str]) -> tuple[Kind, ...]:
    wrong = [name for name in names if name not in KINDS]
    if wrong:
        hint = f"connectors.hubspot.objects takes {', '.join(KINDS)}"
        raise ConfigError(f"hubspot has no kind of record {wrong[0][:40]!r} that can be read", hint=hint)
    return tuple(KINDS[name] for name in dict.fromkeys(names))


def _base(url: str) -> str:
    """The address without what every path brings itself, however the user wrote it."""
    return re.sub(r"(/crm)?(/v\d+)?(/objects)?/*$", "", url.strip()) or f"https://{_HOST}"


def _hosts(url: str) -> tuple[str, ...]:
    from urllib.parse import urlsplit

    try:
        own = urlsplit(url.strip()).hostname
    except ValueError:
        own = None
    return (_HOST, own) if own and own != _HOST else (_HOST,)
