"""A sync of Asana: the tasks of every project that changed, with their comments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sophiactl.connectors.asana_api import in_path, together
from sophiactl.connectors.asana_position import Doing, order
from sophiactl.connectors.asana_text import STORY_FIELDS, TASK_FIELDS, Projects, comment_lines, item_of, project_ids
from sophiactl.connectors.base import Change, Checkpoint, Item, Skipped, Upsert
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import BadQuery, ItemGone, Malformed, MissingScope, ServiceDown, ServiceError
from sophiactl.connectors.reading import instant, items, mapping, text

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Sequence

    from sophiactl.connectors.asana_api import AsanaApi
    from sophiactl.connectors.asana_position import Position

CHUNK = 25
"""Tasks whose comments are read at the same time, and so what a kill costs to read again."""
QUIET = 25
"""Projects without a change after which there is a checkpoint all the same."""
MOST_REMEMBERED = 100_000
"""Tasks of several projects that are known to have been given; of more, some are given twice."""
ONE_THING = (ItemGone, MissingScope, BadQuery, Malformed, ServiceDown)
"""Errors that are about what was asked for; all others end a stream."""
_MAY_PASS = (Malformed, ServiceDown)


def excused(ref: str, error: ServiceError, what: str) -> Skipped:
    """What is wrong with one thing alone, told. Raises what concerns all."""
    if error.stop or not isinstance(error, ONE_THING):
        raise error
    return Skipped(ref, error.code, f"{what}: {error.message}")


class Read(NamedTuple):
    """A task's item, and what of it could not be had; `again` if that may be there the next time."""

    item: Item
    skipped: Skipped | None = None
    again: bool = False


class Reader:
    """Makes items of tasks: reads their comments, and the names of their authors once each."""

    def __init__(self, api: AsanaApi, *, comments: bool) -> None:
        self._api = api
        self._comments = comments
        self._names: dict[str, str] = {}
        self._asking: asyncio.Lock | None = None
        self.projects = Projects()

    async def read(self, task: dict[str, Any], deadline: Deadline) -> Read:
        """The item of a task with its comments. Without them, and told so, where they cannot be read."""
        lines: list[str] = []
        skipped, again = None, False
        if self._comments:
            try:
                lines = await self._lines(text(task.get("gid")), deadline)
            except ServiceError as error:
                what = f"the comments of {text(task.get('name'))!r} were not read, it is given without them"
                skipped = excused(f"{text(task.get('gid'))}#comments", error, what)
                again = isinstance(error, _MAY_PASS)
        author = await self._author(task, deadline)
        return Read(item_of(task, lines, self.projects.of(task), author), skipped, again)

    def bare(self, task: dict[str, Any]) -> Item:
        """The item as far as the task itself tells; nothing is asked."""
        author = self._names.get(text(mapping(task.get("created_by")).get("gid")), "")
        return item_of(task, (), self.projects.of(task), author)

    async def _lines(self, gid: str, deadline: Deadline) -> list[str]:
        lines: list[str] = []
        known: set[str] = set()  # a listing that was begun anew gives its first pages twice
        path = f"/tasks/{in_path(gid)}/stories"
        async for page in self._api.pages(path, {"opt_fields": STORY_FIELDS}, deadline):
            fresh = [one for one in page.rows if not text(one.get("gid")) or text(one.get("gid")) not in known]
            known |= {text(one.get("gid")) for one in fresh}
            lines += comment_lines(fresh)
        return lines

    async def _author(self, task: dict[str, Any], deadline: Deadline) -> str:
        """The name of who made a task: Asana gives its id, and the name only where it feels like it."""
        maker = mapping(task.get("created_by"))
        gid, name = text(maker.get("gid")), text(maker.get("name"))
        if name or not gid:
            return name
        import asyncio

        self._asking = self._asking or asyncio.Lock()
        async with self._asking:  # one asks, and all others that wait for the same name have it
            if gid not in self._names:
                try:
                    user = await self._api.get(f"/users/{in_path(gid)}", deadline, opt_fields="name")
                except ServiceError as error:
                    excused(gid, error, "its name is not known")
                    user = {}
                self._names[gid] = text(user.get("name"))
        return self._names[gid]


class Sync:
    """One run of `changes`. `position` is where it stands."""

    def __init__(self, api: AsanaApi, reader: Reader, position: Position, overlap: float) -> None:
        self._api = api
        self._reader = reader
        self._overlap = overlap
        self._given: dict[str, str] = {}
        self._held = ""
        self.position = position

    async def changes(self, workspaces: Sequence[str]) -> AsyncIterator[Change]:
        """Everything that changed, project by project. Ends early by an error that concerns all of it."""
        projects: dict[str, str] = {}
        whole = True
        for workspace in workspaces:
            try:
                async for page in project_pages(self._api, self._reader.projects, workspace):
                    projects.update(page)
            except ServiceError as error:
                whole = False
                yield excused(workspace, error, f"the projects of workspace {workspace} were not read")
        if whole:
            for gid in sorted(self.position.marks.keys() - projects.keys(), key=order):
                yield Skipped(gid, "item_gone", f"project {gid} is gone or no longer shared; its tasks are kept")
            kept = {gid: mark for gid, mark in self.position.marks.items() if gid in projects}
            self.position = msgspec.structs.replace(self.position, marks=kept)
        async for change in self._all(projects):
            yield change
        self.position = msgspec.structs.replace(self.position, after="", doing=None)
        yield Checkpoint(self.position.text(), done=True)

    async def _all(self, projects: dict[str, str]) -> AsyncIterator[Change]:
        behind = order(self.position.after)
        quiet = 0
        for gid in sorted(projects, key=order):
            if self.position.after and order(gid) <= behind:
                continue
            given = False
            try:
                async for change in self._project(gid):
                    given = True
                    yield change
            except ServiceError as error:
                given = True
                yield excused(gid, error, f"project {projects[gid]!r} was not read to its end, its tasks are kept")
                self.position = self.position.done_with(gid, "")
            quiet = 0 if given else quiet + 1
            if given or quiet >= QUIET:
                quiet = 0
                yield Checkpoint(self.position.text())

    async def _project(self, gid: str) -> AsyncIterator[Change]:
        doing = self.position.doing
        if doing is None or doing.gid != gid:
            doing = Doing(gid)
        params: dict[str, str | int] = {"project": gid, "opt_fields": TASK_FIELDS}
        floor = self.position.floor(gid, self._overlap)
        if floor:
            params["modified_since"] = floor
        async for page in self._api.pages("/tasks", params, Deadline.never(), doing.offset):
            if page.anew:
                doing = msgspec.structs.replace(doing, offset="", last="")
            begun = doing.begun or page.at() or _newest(page.rows)
            doing = msgspec.structs.replace(doing, begun=begun)
            rows = _behind(page.rows, doing.last)
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                async for change in self._chunk(chunk, doing):
                    yield change
                doing = self._after(doing, chunk)
                self.position = msgspec.structs.replace(self.position, doing=doing)
                if start + CHUNK < len(rows):
                    yield Checkpoint(self.position.text())
            if page.following:
                doing = msgspec.structs.replace(doing, offset=page.following, last="")
                self.position = msgspec.structs.replace(self.position, doing=doing)
                yield Checkpoint(self.position.text())
        self.position = self.position.done_with(gid, doing.mark())

    async def _chunk(self, rows: Sequence[dict[str, Any]], doing: Doing) -> AsyncIterator[Change]:
        fresh = []
        for task in rows:
            if not text(task.get("gid")):
                yield Skipped(f"{doing.gid}#?", "malformed", f"a task without an id in project {doing.gid}")
            elif self._is_new(task):
                fresh.append(task)
        self._held = ""
        for task, read in zip(fresh, await self._read(fresh), strict=True):
            yield Upsert(read.item)
            if read.skipped is not None:
                yield read.skipped
            if read.again:
                changed = read.item.updated_at or doing.newest
                self._held = min(filter(None, (self._held, changed)), default="")
            self._remember(task)

    async def _read(self, tasks: Sequence[dict[str, Any]]) -> list[Read]:
        return await together([self._reader.read(task, Deadline.never()) for task in tasks])

    def _after(self, doing: Doing, rows: Sequence[dict[str, Any]]) -> Doing:
        """The place behind some tasks."""
        newest = max(doing.newest, _newest(rows))
        held = min(filter(None, (doing.held, self._held)), default="")
        last = text(rows[-1].get("gid")) or doing.last
        return msgspec.structs.replace(doing, newest=newest, held=held, last=last)

    def _is_new(self, task: dict[str, Any]) -> bool:
        """Whether it was not yet given in this run as a task of another project, or has changed since."""
        known = self._given.get(text(task.get("gid")))
        return known is None or known != text(task.get("modified_at"))

    def _remember(self, task: dict[str, Any]) -> None:
        if len(project_ids(task)) > 1:
            if len(self._given) >= MOST_REMEMBERED:
                self._given.clear()
            self._given[text(task.get("gid"))] = text(task.get("modified_at"))


def _newest(rows: Sequence[dict[str, Any]]) -> str:
    return max((instant(task.get("modified_at")) or "" for task in rows), default="")


def _behind(rows: list[dict[str, Any]], last: str) -> list[dict[str, Any]]:
    """What follows a task on its page; all of the page when it is not there any more."""
    places = [place for place, task in enumerate(rows) if last and text(task.get("gid")) == last]
    return rows[places[-1] + 1 :] if places else rows


async def project_pages(api: AsanaApi, heard: Projects, workspace: str) -> AsyncIterator[dict[str, str]]:
    """Names of projects by gid, page by page: archived ones too, and those of no team."""
    params = {"workspace": workspace, "opt_fields": "name,privacy_setting,archived"}
    async for page in api.pages("/projects", params, Deadline.never()):
        for project in page.rows:
            heard.heard(project)
        yield {text(one.get("gid")): text(one.get("name")) for one in page.rows if text(one.get("gid"))}


def workspaces_in(me: dict[str, Any]) -> dict[str, str]:
    """Names by gid of the workspaces that a user sees."""
    return {text(one.get("gid")): text(one.get("name")) for one in items(me.get("workspaces")) if text(one.get("gid"))}
