"""Who is who: the names of all users, looked up once, and of those from other companies, one by one as they turn up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sophiactl.connectors.errors import BadQuery, ItemGone, Malformed, MissingScope, ServiceError
from sophiactl.connectors.reading import items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.slack_api import SlackApi
    from sophiactl.connectors.slack_text import Names

MOST_STRANGERS = 2_000
"""Lookups of single users in one run: past these, an id stands for a name."""


class People:
    """Fills `names.users`. Safe for concurrent calls: the list is read once."""

    def __init__(self, api: SlackApi, names: Names) -> None:
        self._api = api
        self._names = names
        self._loaded = False
        self._refused: ServiceError | None = None
        self._strangers: set[str] = set()
        self._gate: Any = None

    async def load(self, deadline: Deadline | None = None) -> ServiceError | None:
        """Read the list of users, unless that was done. The error where it is not for us: then ids stand for names."""
        import asyncio

        self._gate = self._gate or asyncio.Lock()
        async with self._gate:
            if not self._loaded and self._refused is None:
                try:
                    async for page in self._api.pages("users.list", {}, deadline):
                        self._names.users.update(_named(items(page.value.get("members"))))
                    self._loaded = True
                except (MissingScope, BadQuery, ItemGone, Malformed) as error:
                    if error.stop:
                        raise
                    self._refused = error
        return self._refused

    async def learn(self, ids: Iterable[str]) -> None:
        """Look up those of the ids that the list did not have: guests of shared channels are in none."""
        if self._refused is not None:
            return
        for user in dict.fromkeys(ids):
            known = user in self._names.users or user in self._strangers
            if known or len(self._strangers) >= MOST_STRANGERS or not re.fullmatch(r"[UW][A-Z0-9]{2,30}", user):
                continue
            self._strangers.add(user)
            try:
                answer = await self._api.call("users.info", {"user": user}, self._api.deadline())
            except (MissingScope, BadQuery, ItemGone, Malformed) as error:
                if error.stop:
                    raise
                continue
            self._names.users.update(_named([mapping(mapping(answer.json).get("user"))]))


def name_of(user: Mapping[str, Any]) -> str:
    """What a person is called: the real name, else the one that they chose, else their handle."""
    profile = mapping(user.get("profile"))
    for source, key in ((profile, "real_name"), (user, "real_name"), (profile, "display_name"), (user, "name")):
        if found := text(source.get(key)):
            return found
    return ""


def _named(users: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    found = ((text(user.get("id")), name_of(user)) for user in users)
    return {user: name for user, name in found if user and name}
