"""Asana: tasks of all projects with their fields and comments.

Subtasks are read where they are in a project themselves: to find the others would cost a call for each task. Tasks
that are in no project are found by search and read one by one, and are not part of a sync.
"""

from __future__ import annotations

import math
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

from sophiactl.clock import utc_now
from sophiactl.connectors.asana_api import SERVICE, AsanaApi, Premium, in_path, together
from sophiactl.connectors.asana_position import begun
from sophiactl.connectors.asana_sync import Reader, Sync, excused, project_pages, workspaces_in
from sophiactl.connectors.asana_text import TASK_FIELDS
from sophiactl.connectors.base import Checkpoint, Cost, Found, Identity, Item, Removed
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import BadQuery, ItemGone, KeyRefused, Malformed, ServiceError
from sophiactl.connectors.reading import text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from sophiactl.connectors.base import Change
    from sophiactl.connectors.config import AsanaConfig, ConnectorsConfig
    from sophiactl.connectors.session import Tools
    from sophiactl.redaction import Secret
    from sophiactl.web import WebSession

NAMES_ONLY = "Asana searches texts in paid plans only (402): names alone were searched in workspace {}"
NOT_READ = "subtasks and tasks that are in no project are not synced"
READ_AT_ONCE = 10
"""Tasks found by name that are read whole while there is time."""
MARGIN = 0.25
"""Seconds before a deadline at which a search stops to wait for them."""
COUNTED = 8
"""Projects that an estimate of the cost looks into."""
_COUNTED_PROJECTS = 500


class AsanaConnector:
    """Asana, read. Raises `ConfigError` without a token."""

    service = SERVICE

    def __init__(
        self,
        config: AsanaConfig,
        common: ConnectorsConfig,
        secrets: Mapping[str, Secret],
        web: WebSession,
        *,
        tools: Tools | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._config = config
        self._now = now
        self._api = AsanaApi(config, common, secrets, web, tools)
        self._reader = Reader(self._api, comments=config.comments)

    async def ping(self, deadline: Deadline) -> Identity:
        """The token's owner and the workspaces that are read."""
        me = await self._api.get("/users/me", deadline, opt_fields="name,workspaces.name")
        seen = workspaces_in(me)
        wanted = self._config.workspaces or tuple(seen)
        notes = [NOT_READ]
        notes += [f"workspace {gid} is not one that this token sees" for gid in wanted if gid not in seen]
        names = ", ".join(seen[gid] or gid for gid in wanted if gid in seen)
        return Identity(SERVICE, names, text(me.get("name")), notes=tuple(notes))

    async def search(self, query: str, limit: int, deadline: Deadline) -> Found:
        """Tasks by their texts, or by their names where the plan has no more; all workspaces at a time."""
        if limit <= 0 or not query.strip():
            return Found(())
        workspaces = await self._workspaces(deadline)
        answers = await together([self._searched(gid, query, limit, deadline) for gid in workspaces])
        failed = [error for _, _, error in answers if error is not None]
        if failed and len(failed) == len(answers):
            raise failed[0]
        notes = [note for _, note, _ in answers if note]
        ranked = chain.from_iterable(zip_longest(*(items for items, _, _ in answers)))  # the best of each come first
        once = {item.id: item for item in ranked if item is not None}
        return Found(tuple(once.values())[:limit], tuple(notes))

    async def _searched(
        self, gid: str, query: str, limit: int, deadline: Deadline
    ) -> tuple[list[Item], str, ServiceError | None]:
        """What one workspace has, a note, and the error if it could not be searched."""
        try:
            try:
                rows = await self._api.found(
                    f"/workspaces/{in_path(gid)}/tasks/search", deadline,
                    limit="search", text=query, opt_fields=TASK_FIELDS,
                )  # fmt: skip
                return [self._reader.bare(one) for one in rows if text(one.get("gid"))][:limit], "", None
            except Premium:
                return await self._by_name(gid, query, limit, deadline), NAMES_ONLY.format(gid), None
        except KeyRefused:
            raise
        except ServiceError as error:
            return [], f"workspace {gid} was not searched: {error.message}", error

    async def _by_name(self, gid: str, query: str, limit: int, deadline: Deadline) -> list[Item]:
        """Tasks by name; the first few whole, if they can be read in time."""
        import asyncio

        path = f"/workspaces/{in_path(gid)}/typeahead"
        rows = await self._api.found(
            path, deadline, resource_type="task", query=query, count=min(limit, 100), opt_fields="name"
        )
        found = [one for one in rows if text(one.get("gid"))][:limit]
        items = [self._reader.bare(one) for one in found]

        async def whole(place: int) -> None:
            try:
                items[place] = self._reader.bare(await self._task(items[place].id, deadline))
            except KeyRefused:
                raise
            except ServiceError:
                return  # its name was found all the same

        left = deadline.left() - MARGIN
        try:
            async with asyncio.timeout(None if left == math.inf else max(0.0, left)):
                await together([whole(place) for place in range(min(len(items), READ_AT_ONCE))])
        except TimeoutError:
            pass
        return items

    async def changes(self, cursor: str | None, *, since: str | None = None) -> AsyncIterator[Change]:
        """What changed, project by project."""
        sync = Sync(self._api, self._reader, begun(cursor, since), self._config.overlap_minutes)
        async for change in sync.changes(await self._workspaces(Deadline.never())):
            yield change

    async def reconcile(self, known: Sequence[str]) -> AsyncIterator[Change]:
        """What was deleted, or is not shared any more. Only what no project lists is asked for by itself."""
        missing = dict.fromkeys(known)
        for workspace in await self._workspaces(Deadline.never()):
            try:
                async for page in project_pages(self._api, self._reader.projects, workspace):
                    for gid, name in page.items():
                        skipped = await self._cross_out(gid, name, missing)
                        if skipped is not None:
                            yield skipped
            except ServiceError as error:
                yield excused(workspace, error, f"the projects of workspace {workspace} were not read")
        for gid in missing:
            try:
                await self._task(gid, Deadline.never())
            except ItemGone:
                yield Removed(gid)
            except ServiceError as error:
                yield excused(gid, error, "whether it is gone is not known")
        yield Checkpoint("", done=True)

    async def _cross_out(self, gid: str, name: str, missing: dict[str, None]) -> Change | None:
        """Take the tasks of a project from those that may be gone."""
        if not missing:
            return None
        try:
            async for page in self._api.pages("/tasks", {"project": gid}, Deadline.never()):
                for task in page.rows:
                    missing.pop(text(task.get("gid")), None)
        except ServiceError as error:
            return excused(gid, error, f"project {name!r} was not read")
        return None

    async def fetch(self, item_id: str, deadline: Deadline) -> Item:
        """A task by its gid, with its comments."""
        return (await self._reader.read(await self._task(item_id, deadline), deadline)).item

    async def _task(self, gid: str, deadline: Deadline) -> dict[str, Any]:
        try:
            task = await self._api.get(f"/tasks/{in_path(gid)}", deadline, opt_fields=TASK_FIELDS)
        except BadQuery as error:
            raise ItemGone(error.message, service=SERVICE) from None
        if not text(task.get("gid")):
            raise Malformed(f"asana gave a task without an id for {gid}", service=SERVICE)
        return task

    async def cost(self, since: str | None, deadline: Deadline) -> Cost:
        """From the first projects, which is all there is where there are few: Asana does not count tasks."""
        floor = begun(None, since).since
        params: dict[str, str | int] = {"modified_since": floor} if floor else {}
        projects: dict[str, str] = {}
        requests, whole = 1, True
        for workspace in await self._workspaces(deadline):
            async for page in self._api.pages("/projects", {"workspace": workspace}, deadline):
                requests += 1
                projects.update({text(one.get("gid")): text(one.get("name")) for one in page.rows})
                if len(projects) >= _COUNTED_PROJECTS:
                    whole = whole and not page.following
                    break
        tasks: set[str] = set()
        for gid in list(projects)[:COUNTED]:
            async for page in self._api.pages("/tasks", {"project": gid, **params}, deadline):
                requests += 1
                tasks |= {text(task.get("gid")) for task in page.rows}
                whole = whole and not page.following
                break
        per_task = "one call for each task's comments, and " if self._config.comments else ""
        basis = f"{per_task}one for every 100 tasks of a project; Asana does not count tasks"
        if not whole or len(projects) > COUNTED:
            seen = (
                f"{len(projects):,} projects, of which {min(COUNTED, len(projects))} hold at least {len(tasks):,} tasks"
            )
            return Cost(None, None, None, f"{seen}; {basis}")
        requests += len(tasks) if self._config.comments else 0
        limit = self._api.session.peer.limits["all"]
        seconds = max(0.0, requests - limit.burst) * limit.seconds / limit.calls
        return Cost(requests, round(seconds, 1), len(tasks), basis)

    async def close(self) -> None:
        """Nothing is held: the connections are the caller's."""

    async def _workspaces(self, deadline: Deadline) -> tuple[str, ...]:
        if self._config.workspaces:
            return self._config.workspaces
        return tuple(workspaces_in(await self._api.get("/users/me", deadline, opt_fields="name,workspaces.name")))
