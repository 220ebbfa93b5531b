"""How the loopback Asana answers: its paths, pages and errors (developers.asana.com and its API description)."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sophiactl.testing.vendors.asana_records import picked
from sophiactl.testing.web_server import FAULTS, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sophiactl.testing.vendors.asana import AsanaVendor
    from sophiactl.testing.web_server import Seen

VERSION = "/api/1.0"
_MOST_OFFSETS = 5_000
_UNPAGED = 1_000
_DOCS = "https://developers.asana.com/docs/errors"
_HELP = f"For more information on API status codes and how to handle them, read the docs on errors: {_DOCS}"
_PHRASE = "6 sad squid snuggle softly"
TASK, PROJECT, STORY = ("name", "resource_subtype"), ("name",), (
    *("created_at", "created_by", "resource_subtype", "text", "type"),
)  # fmt: skip


class Refused(Exception):
    """Ends a request with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.reply = refusal(status, message)


def refusal(status: int, message: str, **headers: str) -> Reply:
    """Asana's error object; a failure of Asana's own has a phrase instead of advice."""
    more = {"phrase": _PHRASE} if status == 500 else {"help": _HELP}
    return Reply.json({"errors": [{"message": message} | more]}, status, **headers)


_LATER = "You have made too many requests recently. Please, be chill."
_EXPIRED = "offset: Your pagination token is invalid or has expired."
ASANA_FAULTS = {
    **FAULTS,
    "429": refusal(429, _LATER, Retry_After="1"),
    "429-bare": refusal(429, _LATER),
    "500": refusal(500, "Server Error"),
    "503": refusal(503, "Service Unavailable"),
    "401": refusal(401, "Not Authorized"),
    "402": refusal(402, "Payment Required: this is only available to premium users."),
    "403": refusal(403, "Forbidden"),
    "404": refusal(404, "task: Unknown object"),
    "412": Reply.json(
        {"errors": [{"message": "Sync token invalid or too old. If you are attempting to keep resources in sync, you "
                     "must fetch the full dataset for this query now and use the new sync token for the next sync."}],
         "sync": "de4774f6915eae04714ca93bb2f5ee81"}, 412),
    "400-offset": refusal(400, _EXPIRED),
}  # fmt: skip
"""What may meet a request instead of an answer, in Asana's own words."""


class Offsets:
    """Offsets and what they stand for: a place in a listing as it was when it began.

    `seconds` is how long one lives, None for ever.
    """

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._marks: OrderedDict[str, tuple[object, Sequence[str], int, float]] = OrderedDict()

    def forget(self) -> None:
        """All offsets given so far are invalid."""
        self._marks.clear()

    def new(self, scope: object, gids: Sequence[str], place: int) -> str:
        """An offset that leads to a place of a listing."""
        if len(self._marks) >= _MOST_OFFSETS:
            self._marks.popitem(last=False)
        offset = f"eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.{uuid4().hex}"
        self._marks[offset] = (scope, gids, place, time.monotonic())
        return offset

    def find(self, scope: object, offset: str) -> tuple[Sequence[str], int]:
        """The listing and the place of an offset. Raises `Refused`."""
        found = self._marks.get(offset)
        if (
            found is None
            or found[0] != scope
            or (self.seconds is not None and time.monotonic() - found[3] >= self.seconds)
        ):
            raise Refused(400, _EXPIRED)
        return found[1], found[2]


def answered(vendor: AsanaVendor, seen: Seen) -> Reply:
    """The answer to a request."""
    if seen.headers.get("authorization") != f"Bearer {vendor.token}":
        return refusal(401, "Not Authorized")
    if seen.method != "GET":
        return refusal(403, "Forbidden: this token may only read.")
    try:
        return _routed(vendor, seen, seen.path.removeprefix(VERSION).strip("/").split("/"))
    except Refused as refused:
        return refused.reply


def _routed(vendor: AsanaVendor, seen: Seen, parts: list[str]) -> Reply:
    head, gid, rest = parts[0], parts[1] if len(parts) > 1 else "", "/".join(parts[2:])
    routes: dict[tuple[str, bool, str], Callable[[], Reply]] = {
        ("users", True, ""): lambda: _user(vendor, seen, gid),
        ("workspaces", False, ""): lambda: _listed(
            vendor, seen, list(vendor.workspaces), vendor.workspace_record, ("name",)
        ),
        ("workspaces", True, "tasks/search"): lambda: _search(vendor, seen, gid),
        ("workspaces", True, "typeahead"): lambda: _typeahead(vendor, seen, gid),
        ("projects", False, ""): lambda: _projects(vendor, seen),
        ("projects", True, ""): lambda: _one(
            vendor.project_record(vendor.readable(gid).gid), seen, (*PROJECT, "archived", "privacy_setting")
        ),
        ("projects", True, "tasks"): lambda: _tasks(vendor, seen, gid),
        ("tasks", False, ""): lambda: _tasks(vendor, seen, seen.query.get("project", "")),
        ("tasks", True, ""): lambda: _one(
            vendor.task_record(vendor.task(gid).gid), seen, (*TASK, "notes", "completed", "modified_at", "memberships")
        ),
        ("tasks", True, "stories"): lambda: _stories(vendor, seen, gid),
        ("tasks", True, "subtasks"): lambda: _listed(
            vendor, seen, list(vendor.task(gid).subtasks), vendor.task_record, TASK
        ),
    }
    route = routes.get((head, bool(gid), rest))
    if route is None or not seen.path.startswith(VERSION):
        raise Refused(404, "No matching route for request")
    return route()


def _user(vendor: AsanaVendor, seen: Seen, who: str) -> Reply:
    gid = vendor.me if who == "me" else who
    if gid not in vendor.users:
        raise Refused(404, f"user: Unknown object: {gid}")
    return _one(vendor.user_record(gid), seen, ("name", "email", "workspaces"))


def _stories(vendor: AsanaVendor, seen: Seen, gid: str) -> Reply:
    stories = {story.gid: story for story in vendor.task(gid).stories}
    return _listed(vendor, seen, list(stories), lambda one: vendor.story_record(stories[one]), STORY)


def _fields(seen: Seen) -> list[str] | None:
    asked = seen.query.get("opt_fields")
    return None if asked is None else [name.strip() for name in asked.split(",") if name.strip()]


def _one(record: dict[str, Any] | None, seen: Seen, standard: tuple[str, ...]) -> Reply:
    return Reply.json({"data": picked(record, _fields(seen), standard)})


def _listed(
    vendor: AsanaVendor,
    seen: Seen,
    gids: Sequence[str],
    record: Callable[[str], dict[str, Any] | None],
    compact: tuple[str, ...],
) -> Reply:
    """A page of a listing; without a limit all of it, if that is not too much."""
    fields = _fields(seen)
    limit, offset = seen.query.get("limit"), seen.query.get("offset")
    if limit is None and len(gids) > _UNPAGED:
        raise Refused(400, "The result is too large. You should use pagination (may require specifying a workspace)!")
    size = len(gids) if limit is None else _number(limit)
    scope = (seen.path, tuple(sorted(item for item in seen.query.items() if item[0] not in ("limit", "offset"))))
    start = 0
    if offset is not None:
        gids, start = vendor.offsets.find(scope, offset)
    end = start + size
    rows = [picked(found, fields, compact) for gid in gids[start:end] if (found := record(gid)) is not None]
    if limit is None:
        return Reply.json({"data": rows})
    following = None
    if end < len(gids):
        token = vendor.offsets.new(scope, gids, end)
        path = f"{seen.path.removeprefix(VERSION)}?limit={size}&offset={token}"
        following = {"offset": token, "path": path, "uri": f"{vendor.base_url}{VERSION}{path}"}
    return Reply.json({"data": rows, "next_page": following})


def _number(limit: str) -> int:
    if not limit.isdigit() or not 1 <= int(limit) <= 100:
        raise Refused(400, "limit: Must be between 1 and 100 inclusive")
    return int(limit)


def _projects(vendor: AsanaVendor, seen: Seen) -> Reply:
    workspace, team, archived = (seen.query.get(name) for name in ("workspace", "team", "archived"))
    if workspace is not None:
        vendor.known_workspace(workspace)
    elif team is None:
        raise Refused(400, "You should specify one of workspace, team")
    gids = [
        gid
        for gid, project in vendor.projects.items()
        if gid not in vendor.unlisted
        and (workspace is None or project.workspace == workspace)
        and (team is None or project.team == team)
        and (archived is None or project.archived == (archived == "true"))
    ]
    return _listed(vendor, seen, gids, vendor.project_record, PROJECT)


def _tasks(vendor: AsanaVendor, seen: Seen, project: str) -> Reply:
    if not project:
        raise Refused(400, "You should specify one of project, tag, section, user_task_list, or assignee + workspace")
    tasks = vendor.readable(project).tasks
    since = seen.query.get("modified_since")
    gids: list[str] = []
    if "offset" not in seen.query:
        floor = _moment(since) if since is not None else ""
        gids = [gid for gid in tasks if vendor.tasks[gid].changed >= floor] if floor else list(tasks)
    return _listed(vendor, seen, gids, vendor.task_record, TASK)


def _moment(since: str) -> str:
    try:
        when = datetime.fromisoformat(since)
    except ValueError:
        raise Refused(400, f"modified_since: Not a valid date-time: {since}") from None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return f"{when.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _search(vendor: AsanaVendor, seen: Seen, gid: str) -> Reply:
    if not vendor.known_workspace(gid).premium:
        raise Refused(402, "Search is only available to premium users.")
    words = seen.query.get("text", "").casefold().split()
    found = [
        task.gid
        for task in vendor.tasks.values()
        if task.workspace == gid and all(word in f"{task.name}\n{task.notes}".casefold() for word in words)
        and vendor.sees(task)
    ]  # fmt: skip
    found.sort(key=lambda one: vendor.tasks[one].modified, reverse=True)
    return Reply.json({"data": [picked(vendor.task_record(one), _fields(seen), TASK) for one in found[:100]]})


def _typeahead(vendor: AsanaVendor, seen: Seen, gid: str) -> Reply:
    vendor.known_workspace(gid)
    if seen.query.get("resource_type", seen.query.get("type")) != "task":
        raise Refused(400, "resource_type: Not one of the types that this workspace finds")
    words = seen.query.get("query", "").casefold()
    count = min(100, int(seen.query.get("count", "20")))
    found = [task.gid for task in vendor.tasks.values()
             if task.workspace == gid and words in task.name.casefold() and vendor.sees(task)]  # fmt: skip
    return Reply.json({"data": [picked(vendor.task_record(one), _fields(seen), TASK) for one in found[:count]]})
