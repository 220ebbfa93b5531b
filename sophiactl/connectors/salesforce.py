"""Salesforce, read: records of the configured objects with their fields, by search and by their last change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sophiactl.clock import utc_now
from sophiactl.connectors.base import Cost, Identity
from sophiactl.connectors.errors import BadQuery, ItemGone, MissingScope
from sophiactl.connectors.reading import mapping, text
from sophiactl.connectors.salesforce_api import FEW_IDS, PAGE, SalesforceApi
from sophiactl.connectors.salesforce_errors import SERVICE, Refused
from sophiactl.connectors.salesforce_objects import configured
from sophiactl.connectors.salesforce_position import begun
from sophiactl.connectors.salesforce_records import item
from sophiactl.connectors.salesforce_search import SalesforceSearch
from sophiactl.connectors.salesforce_soql import among, select
from sophiactl.connectors.salesforce_soql import since as since_condition
from sophiactl.connectors.salesforce_sync import SalesforceSync

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from datetime import datetime

    from sophiactl.connectors.base import Change, Found, Item
    from sophiactl.connectors.config import ConnectorsConfig, SalesforceConfig
    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.session import Tools
    from sophiactl.redaction import Secret
    from sophiactl.web import WebSession

_FEW = 0.9
"""Share of the day's calls after which it is said how many are left."""


class SalesforceConnector:
    """The connector. Raises `ConfigError` for a secret that is missing, or a name in settings that cannot be."""

    service = SERVICE

    def __init__(
        self,
        config: SalesforceConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        *,
        tools: Tools | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        del now  # all times are Salesforce's own
        self._objects = configured(config.objects, currency=True)
        self._api = SalesforceApi(config, common, secrets, web, tools)
        # A search is not kept waiting to find out whether an organisation has more than one currency.
        self._search = SalesforceSearch(self._api, configured(config.objects, currency=False))
        self._sync = SalesforceSync(self._api, self._objects, config.overlap_minutes, common.timeout)

    async def ping(self, deadline: Deadline) -> Identity:
        """Who we are there. The list of versions says nothing: it is given to everyone."""
        try:
            answer = await self._api.call("GET", "", deadline)
        except ItemGone as error:
            raise BadQuery(
                f"{error.message}: there is no API {self._api.version}",
                service=SERVICE,
                hint="set connectors.salesforce.api_version to one that your Salesforce has",
            ) from None
        organisation, user = _ids(text(mapping(answer.json).get("identity")))
        if not organisation:
            organisation, user = await self._userinfo(deadline)
        name = await self._named("Organization", ("Name",), organisation, deadline)
        login = await self._named("User", ("Username", "Name"), user, deadline)
        notes = [f"there is no name of the organisation {organisation}: the user may not see it"] if not name else []
        return Identity(SERVICE, name or organisation, login or user, self._api.login.scopes, (*notes, *self._usage()))

    async def _userinfo(self, deadline: Deadline) -> tuple[str, str]:
        """Ids of organisation and user, where the token may see them."""
        try:
            found = mapping((await self._api.call("GET", "/services/oauth2/userinfo", deadline)).json)
        except (MissingScope, Refused, ItemGone):
            return "", ""
        return text(found.get("organization_id")), text(found.get("user_id"))

    async def _named(self, name: str, fields: Sequence[str], record: str, deadline: Deadline) -> str:
        if not record:
            return ""
        try:
            page = await self._api.query(select(fields, name, [among([record])], limit=1), deadline)
        except (MissingScope, Refused):
            return ""
        found = page.records[0] if page.records else {}
        return next((text(found.get(field)) for field in fields if text(found.get(field))), "")

    def _usage(self) -> list[str]:
        """How much of the day's calls is used."""
        if self._api.usage is None:
            return []
        used, most = self._api.usage
        few = ": little is left for others" if used >= most * _FEW else ""
        return [f"{used:,} of {most:,} API calls were used in the last 24 hours{few}"]

    async def search(self, query: str, limit: int, deadline: Deadline) -> Found:
        """Records that hold all words of a text, in Salesforce's order."""
        return await self._search.search(query, limit, deadline)

    def changes(self, cursor: str | None, *, since: str | None = None) -> AsyncGenerator[Change]:
        """See `Connector`; objects one after the other, as the settings name them."""
        return self._sync.changes(cursor, since)

    def reconcile(self, known: Sequence[str]) -> AsyncGenerator[Change]:
        """See `Connector`. Ids of objects that are not read (any more) are left alone."""
        return self._sync.reconcile(known)

    async def fetch(self, item_id: str, deadline: Deadline) -> Item:
        """A record by its id of 15 or 18 signs. Raises `ItemGone`."""
        name = await self._sync.object_of(item_id)
        if name is None:
            raise ItemGone(f"{SERVICE} has no {item_id!r} in the objects that are read", service=SERVICE)
        fields = self._objects[name]
        page = await self._api.asked(fields, lambda chosen: select(chosen, name, [among([item_id])]), deadline)
        found = [item(record, name, fields.shown, self._api.links) for record in page.records]
        if not found or found[0] is None:
            raise ItemGone(f"{SERVICE} has no {name} {item_id}, or none that we may see", service=SERVICE)
        return found[0]

    async def cost(self, since: str | None, deadline: Deadline) -> Cost:
        """Counts what is there, with a request for each object."""
        start = begun(None, since).since
        total, requests, unknown = 0, 1, []
        for name, fields in self._objects.items():
            try:
                where = [since_condition(start)] if start else []
                page = await self._api.query(select(["COUNT()"], name, where), deadline)
            except (MissingScope, Refused) as error:
                if error.stop:
                    raise
                unknown.append(name)
                continue
            count = page.total or 0
            total += count
            more = len(fields.chunks()) - 1
            requests += 2 + max(1, math.ceil(count / PAGE)) + more * math.ceil(count / FEW_IDS)
        basis = f"a count of each object, {PAGE:,} records a request"
        basis += f"; unknown for {', '.join(unknown)}" if unknown else ""
        seconds = requests / self._api.rate if self._api.rate else None
        return Cost(requests, seconds, total, basis)

    async def close(self) -> None:
        """Nothing is open: connections are the web session's."""


def _ids(identity: str) -> tuple[str, str]:
    """Organisation and user of an identity URL, `https://login.salesforce.com/id/ORGANISATION/USER`."""
    parts = identity.partition("/id/")[2].split("/")
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else ("", "")
