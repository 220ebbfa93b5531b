"""Names that Notion gives by id alone: of users, and of what a page lies in. Each is asked for once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.connectors.errors import BadQuery, ItemGone, Malformed, MissingScope, ServiceDown
from sophiactl.connectors.notion_api import in_path
from sophiactl.connectors.notion_properties import title_of
from sophiactl.connectors.reading import mapping, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.connectors.deadline import Deadline
    from sophiactl.connectors.notion_api import NotionApi

MOST_TITLES = 20_000
"""Titles of parents that are kept; then the oldest goes."""
_HOPS = 10
"""Blocks that a page may lie in, one in the other, before its page is given up."""
_NO_NAME = (ItemGone, MissingScope, BadQuery, Malformed)
_PATHS = {"page_id": "/v1/pages", "data_source_id": "/v1/data_sources", "database_id": "/v1/databases"}


class Names:
    """Names by id. A name that cannot be had is empty; a service that fails is an error all the same."""

    def __init__(self, api: NotionApi) -> None:
        import asyncio

        self._api = api
        self._users: dict[str, str] | None = None
        self._titles: dict[str, str] = {}
        self._asking = asyncio.Lock()

    async def users(self, deadline: Deadline) -> Mapping[str, str]:
        """The names of all members and bots; none without the capability to read users."""
        if self._users is None:
            async with self._asking:
                if self._users is None:
                    self._users = await self._all_users(deadline)
        return self._users

    async def _all_users(self, deadline: Deadline) -> dict[str, str]:
        found: dict[str, str] = {}
        try:
            async for page in self._api.listed("/v1/users", deadline):
                found |= {text(one.get("id")): text(one.get("name")) for one in page}
        except _NO_NAME as error:  # then there are none, or some
            if error.stop or isinstance(error, ServiceDown):
                raise
        return found

    def heard(self, object_id: str, title: str) -> None:
        """A title that came along with something else."""
        if len(self._titles) >= MOST_TITLES:
            self._titles.pop(next(iter(self._titles)))
        self._titles[object_id] = title

    async def container(self, parent: Any, deadline: Deadline) -> str:
        """The title of what a page lies in; empty at the top of the workspace, and for what is not shared with us."""
        parent = mapping(parent)
        for _ in range(_HOPS):
            kind = text(parent.get("type"))
            object_id = text(parent.get(kind))
            if kind in _PATHS:
                path = f"{_PATHS[kind]}/{in_path(object_id)}" if object_id else ""
                return await self._title(path, object_id, deadline) if path else ""
            if kind != "block_id" or not object_id:
                return ""
            parent = mapping((await self._object(f"/v1/blocks/{in_path(object_id)}", deadline)).get("parent"))
        return ""

    async def _title(self, path: str, object_id: str, deadline: Deadline) -> str:
        if object_id not in self._titles:
            async with self._asking:
                if object_id not in self._titles:
                    self.heard(object_id, title_of(await self._object(path, deadline)))
        return self._titles[object_id]

    async def _object(self, path: str, deadline: Deadline) -> dict[str, Any]:
        try:
            return await self._api.get(path, deadline)
        except _NO_NAME as error:
            if error.stop or isinstance(error, ServiceDown):
                raise
            return {}
