"""What stands behind HubSpot's ids: the account, its owners and users, and names of companies. Looked up once."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.connectors.errors import Garbled, ItemGone, Malformed, MissingScope, ServiceError
from sophiactl.connectors.hubspot_kinds import Names
from sophiactl.connectors.reading import items, mapping, text
from sophiactl.connectors.session import Call

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.session import Answer, Session

_MOST_COMPANIES = 20_000
_AT_ONCE = 100
_DOMAIN = "app.hubspot.com"


class Account(msgspec.Struct, frozen=True):
    """The account that the token belongs to. `domain` is where its records are opened: hubs have their own."""

    portal: str = ""
    domain: str = _DOMAIN
    kind: str = ""
    currency: str = ""


class Directory:
    """The names that records need. Safe for concurrent use by tasks of one event loop."""

    def __init__(self, session: Session) -> None:
        self.missing: list[tuple[str, ServiceError]] = []
        """What may not be looked up with this token: names then stay empty."""
        self._session = session
        self._account: Account | None = None
        self._owners: dict[str, str] | None = None
        self._users: dict[str, str] = {}
        self._companies: dict[str, str] = {}
        self._no_companies = False
        self._lock: asyncio.Lock | None = None

    async def account(self, deadline: Deadline) -> Account:
        """The account, asked for anew."""
        answer = await self._session.call(Call("GET", "/account-info/v3/details"), deadline)
        told = mapping(answer.json)
        domain = text(told.get("uiDomain")).lower()
        self._account = Account(
            text(told.get("portalId")),
            domain if re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", domain) else _DOMAIN,
            text(told.get("accountType")),
            text(told.get("companyCurrency")),
        )
        return self._account

    async def load(self, deadline: Deadline) -> None:
        """The account and the owners, if they are not known yet. Raises what concerns more than a scope."""
        import asyncio

        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if self._account is None:
                try:
                    await self.account(deadline)
                except (MissingScope, ItemGone) as error:
                    self._account = Account()
                    self.missing.append(("details of the account", error))
            if self._owners is None:
                owners: dict[str, str] = {}
                try:
                    await self._read_owners(owners, deadline)
                except (MissingScope, ItemGone, Malformed) as error:
                    if isinstance(error, Garbled):
                        raise  # the next try may be better
                    self.missing.append(("names of owners", error))
                self._owners = owners

    async def companies(self, ids: Iterable[str], deadline: Deadline) -> None:
        """Look up the names of companies, a hundred a call; they are searched, since a read by batch is no search."""
        wanted = sorted({number for number in ids if number.isascii() and number.isdigit()} - set(self._companies))
        for start in range(0, len(wanted), _AT_ONCE):
            if self._no_companies:
                return
            part = wanted[start : start + _AT_ONCE]
            try:
                answer = await self._session.call(_by_id(part), deadline)
            except (MissingScope, ItemGone):
                self._no_companies = True
                return
            self._keep(part, items(mapping(answer.json).get("results")))

    def names(self) -> Names:
        """What is known now."""
        account = self._account or Account()
        place = f"https://{account.domain}/contacts/{account.portal}" if account.portal else ""
        return Names(self._owners or {}, self._users, self._companies, place, account.currency)

    def _keep(self, asked: list[str], found: list[dict[str, Any]]) -> None:
        named = dict.fromkeys(asked, "")
        for company in found:
            properties = mapping(company.get("properties"))
            named[text(company.get("id"))] = text(properties.get("name")) or text(properties.get("domain"))
        self._companies |= named
        while len(self._companies) > _MOST_COMPANIES:
            del self._companies[next(iter(self._companies))]

    async def _read_owners(self, owners: dict[str, str], deadline: Deadline) -> None:
        """Names by id, of those too who have left: what they wrote is still theirs."""
        for archived in ("true", "false"):
            call = Call("GET", "/crm/v3/owners", {"limit": _AT_ONCE, "archived": archived})
            async for page in self._session.pages(call, partial(_next, call), deadline):
                for owner in items(mapping(page.json).get("results")):
                    name = _person(owner)
                    owners[text(owner.get("id"))] = name
                    for key in ("userIdIncludingInactive", "userId"):
                        if text(owner.get(key)):
                            self._users[text(owner.get(key))] = name


def _by_id(numbers: list[str]) -> Call:
    named = {"propertyName": "hs_object_id", "operator": "IN", "values": numbers}
    body = {
        "filterGroups": [{"filters": [named]}],
        "properties": ["name", "domain"],
        "sorts": ["hs_object_id"],
        "limit": _AT_ONCE,
    }
    return Call("POST", "/crm/v3/objects/companies/search", json=body, limit="search")


def _next(call: Call, answer: Answer) -> Call | None:
    after = following(answer.json)
    return msgspec.structs.replace(call, params={**call.params, "after": after}) if after else None


def following(page: Any) -> str:
    """The cursor of the next page, empty at the end."""
    return text(mapping(mapping(mapping(page).get("paging")).get("next")).get("after"))


def _person(owner: dict[str, Any]) -> str:
    name = f"{text(owner.get('firstName'))} {text(owner.get('lastName'))}".strip()
    return name or text(owner.get("email"))
