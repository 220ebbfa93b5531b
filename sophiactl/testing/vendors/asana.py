"""A loopback Asana: workspaces, projects and tasks in memory behind the calls that read.

    with AsanaVendor() as asana:
        sales = asana.add_project("Sales", sections=("Open", "Won"))
        renewal = asana.add_task(sales, "Renew Acme", "Ask for three years", assignee="Ada Lovelace", due="2026-03-31")
        asana.comment(renewal, "Grace Hopper", "They want a discount")
        asana.move_task(renewal, asana.add_project("Renewals"))

Whatever writes is refused. Made after developers.asana.com and its published description.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sophiactl.testing.vendors.asana_answers import ASANA_FAULTS, Offsets, Refused, answered, refusal
from sophiactl.testing.vendors.asana_records import Project, Story, Task, User, Workspace
from sophiactl.testing.vendors.base import Vendor

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from sophiactl.testing.web_server import Reply, Seen

_FIRST = 1_209_876_543_210_000_000
"""Gids have 19 digits."""


class AsanaVendor(Vendor):
    """Asana as one user sees it. Times have milliseconds.

    `restricted` gids (projects, tasks) answer 403, `unlisted` projects are in no listing. `clock` is what the vendor
    takes for now. `mute` keeps comments and moves out of `modified_at`; `modified_since` finds them all the same.
    """

    service: ClassVar[str] = "asana"
    faults: ClassVar[Mapping[str, Reply]] = ASANA_FAULTS

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.token = "2/1204839275610394/1208847362519047:5f0e6d7c8b9a00112233445566778899"  # noqa: S105
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.mute = False
        self.restricted: set[str] = set()
        self.unlisted: set[str] = set()
        self.offsets = Offsets()
        self.workspaces: dict[str, Workspace] = {}
        self.users: dict[str, User] = {}
        self.teams: dict[str, str] = {}
        self.projects: dict[str, Project] = {}
        self.tasks: dict[str, Task] = {}
        self._by_name: dict[str, str] = {}
        self._custom: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._count = 0
        self.workspace = self.add_workspace("Acme")
        self.me = self.add_user("Sophia Reader", "sophia@acme.example")

    @property
    def secrets(self) -> dict[str, str]:
        """The personal access token."""
        return {"ASANA_ACCESS_TOKEN": self.token}

    @property
    def premium(self) -> bool:
        """Whether the first workspace has search."""
        return self.workspaces[self.workspace].premium

    @premium.setter
    def premium(self, value: bool) -> None:
        self.workspaces[self.workspace].premium = value

    # What is in it

    def add_workspace(self, name: str, *, premium: bool = True) -> str:
        """A workspace. Returns the gid, as all of these do."""
        with self.lock:
            gid = self._new_gid()
            self.workspaces[gid] = Workspace(gid, name, premium)
            return gid

    def add_user(self, name: str, email: str = "") -> str:
        """A person, once for each name."""
        with self.lock:
            if name in self._by_name:
                return self._by_name[name]
            gid = self._by_name[name] = self._new_gid()
            self.users[gid] = User(gid, name, email or f"{name.casefold().replace(' ', '.')}@acme.example")
            return gid

    def add_team(self, name: str) -> str:
        """A team; a project may be in none."""
        with self.lock:
            gid = self._new_gid()
            self.teams[gid] = name
            return gid

    def add_project(
        self,
        name: str,
        *,
        workspace: str = "",
        team: str = "",
        privacy: str = "public_to_workspace",
        archived: bool = False,
        sections: Sequence[str] = ("Untitled section",),
    ) -> str:
        """A project; `privacy` is public_to_workspace, private_to_team or private."""
        with self.lock:
            gid = self._new_gid()
            named = {self._new_gid(): section for section in sections}
            self.projects[gid] = Project(gid, name, workspace or self.workspace, team, privacy, archived, named)
            return gid

    def add_task(
        self,
        project: str | Sequence[str],
        name: str,
        notes: str = "",
        *,
        assignee: str | None = None,
        author: str = "",
        due: str | None = None,
        completed: bool = False,
        section: str = "",
        parent: str = "",
        tags: Sequence[str] = (),
        custom: Mapping[str, str | None] | None = None,
        at: str | datetime | None = None,
    ) -> str:
        """A task in a project, in several, or (`()`) in none; people by their names."""
        with self.lock:
            projects = [project] if isinstance(project, str) else list(project)
            space = self.projects[projects[0]].workspace if projects else self.workspace
            moment, gid = self._moment(at), self._new_gid()
            maker = self.add_user(author) if author else self.me
            whose = self.add_user(assignee) if assignee else ""
            task = Task(gid, name, notes, space, whose, maker, moment, moment, moment, due, completed)
            task.completed_at = moment if completed else None
            task.parent, task.tags, task.custom = parent, tuple(tags), dict(custom or {})
            self.tasks[gid] = task
            if parent:
                self.tasks[parent].subtasks.append(gid)
            for one in projects:
                self._put(task, one, section)
            return gid

    def comment(self, task: str, author: str, text: str, *, at: str | datetime | None = None) -> str:
        """A comment on a task."""
        return self._story(task, "comment_added", author, text, at)

    # What happens to it

    def edit_task(
        self,
        task: str,
        *,
        name: str | None = None,
        notes: str | None = None,
        assignee: str | None = None,
        completed: bool | None = None,
        custom: Mapping[str, str | None] | None = None,
        at: str | datetime | None = None,
    ) -> None:
        """Change a task; what is not given stays, an empty `assignee` takes it from whoever has it."""
        with self.lock:
            found, moment = self.tasks[task], self._moment(at)
            found.name = found.name if name is None else name
            found.notes = found.notes if notes is None else notes
            if assignee is not None:
                found.assignee = self.add_user(assignee) if assignee else ""
            if completed is not None:
                found.completed, found.completed_at = completed, moment if completed else None
                self._story(task, "marked_complete" if completed else "marked_incomplete", "", "changed the state", at)
            found.custom.update(custom or {})
            found.modified = found.changed = moment

    def delete_task(self, task: str) -> None:
        """A task is gone, and no listing says so."""
        with self.lock:
            found = self.tasks.pop(task)
            for project in found.projects:
                self.projects[project].tasks.pop(task, None)
            if found.parent in self.tasks:
                self.tasks[found.parent].subtasks.remove(task)

    def move_task(self, task: str, *projects: str, section: str = "", at: str | datetime | None = None) -> None:
        """Take a task out of its projects and put it into others."""
        with self.lock:
            found = self.tasks[task]
            for old in list(found.projects):
                self.projects[old].tasks.pop(task, None)
            found.projects.clear()
            for project in projects:
                self._put(found, project, section)
            self._story(task, "added_to_project", "", "moved this task", at)

    def delete_project(self, project: str) -> None:
        """A project is gone, and with it the tasks that were in no other."""
        with self.lock:
            found = self.projects.pop(project)
            for gid in list(found.tasks):
                del self.tasks[gid].projects[project]
                if not self.tasks[gid].projects:
                    self.delete_task(gid)

    # How it answers

    def serve(self, seen: Seen) -> Reply:
        """The answer to a request."""
        return answered(self, seen)

    def slow_down(self, seconds: float, *, say: bool) -> Reply:
        """Asana's 429."""
        reply = super().slow_down(seconds, say=say)
        words = f"You have made too many requests recently. Please retry in {seconds:.0f} seconds."
        return refusal(429, words, **{name.replace("-", "_"): value for name, value in reply.headers.items()
                                      if name == "Retry-After"})  # fmt: skip

    def known_workspace(self, gid: str) -> Workspace:
        """A workspace. Raises `Refused`."""
        if gid not in self.workspaces:
            raise Refused(404, f"workspace: Unknown object: {gid}")
        if gid in self.restricted:
            raise Refused(403, "You do not have access to this workspace")
        return self.workspaces[gid]

    def readable(self, gid: str) -> Project:
        """A project. Raises `Refused`."""
        if gid not in self.projects:
            raise Refused(404, f"project: Unknown object: {gid}")
        if gid in self.restricted:
            raise Refused(403, "You do not have access to this project")
        return self.projects[gid]

    def task(self, gid: str) -> Task:
        """A task. Raises `Refused`."""
        if not gid.isdigit():
            raise Refused(400, f"task: Not a recognized ID: {gid}")
        if gid not in self.tasks:
            raise Refused(404, f"task: Unknown object: {gid}")
        if gid in self.restricted or not self.sees(self.tasks[gid]):
            raise Refused(403, "You do not have access to this task")
        return self.tasks[gid]

    def sees(self, task: Task) -> bool:
        """Whether the token's owner may see a task: one of its projects is open, or it has none."""
        return task.gid not in self.restricted and (
            not task.projects or any(one not in self.restricted for one in task.projects)
        )

    # Records, whole

    def workspace_record(self, gid: str) -> dict[str, Any]:
        """A workspace."""
        return {**_named(gid, "workspace", self.workspaces[gid].name), "is_organization": True}

    def user_record(self, gid: str) -> dict[str, Any]:
        """A person."""
        user = self.users[gid]
        spaces = [_named(one, "workspace", found.name) for one, found in self.workspaces.items()]
        return {**_named(gid, "user", user.name), "email": user.email, "photo": None, "workspaces": spaces}

    def project_record(self, gid: str) -> dict[str, Any] | None:
        """A project; None when it is gone."""
        found = self.projects.get(gid)
        if found is None:
            return None
        return {
            **_named(gid, "project", found.name),
            "archived": found.archived,
            "color": None,
            "current_status": None,
            "privacy_setting": found.privacy,
            "team": _named(found.team, "team", self.teams[found.team]) if found.team else None,
            "workspace": self.workspace_record(found.workspace),
            "permalink_url": f"https://app.asana.com/0/{gid}/{gid}",
        }

    def story_record(self, story: Story) -> dict[str, Any]:
        """A story; its author may be nobody who is still there."""
        author = self.users.get(story.author)
        return {
            "gid": story.gid,
            "resource_type": "story",
            "resource_subtype": story.kind,
            "type": "comment" if story.kind == "comment_added" else "system",
            "text": story.text,
            "created_at": story.created,
            "created_by": _named(author.gid, "user", author.name) if author else None,
        }

    def task_record(self, gid: str) -> dict[str, Any] | None:
        """A task; None when it is gone."""
        task = self.tasks.get(gid)
        if task is None:
            return None
        parent = self.tasks.get(task.parent)
        return {
            **_named(gid, "task", task.name),
            "resource_subtype": "default_task",
            "notes": task.notes,
            "html_notes": f"<body>{task.notes}</body>",
            "assignee": self._person(task.assignee),
            "completed": task.completed,
            "completed_at": task.completed_at,
            "due_on": task.due,
            "due_at": None,
            "created_at": task.created,
            "created_by": self._person(task.author),
            "modified_at": task.modified,
            "permalink_url": f"https://app.asana.com/0/{next(iter(task.projects), '0')}/{gid}",
            "num_subtasks": len(task.subtasks),
            "parent": _named(parent.gid, "task", parent.name) if parent else None,
            "memberships": [self._membership(*one) for one in task.projects.items() if one[0] not in self.restricted],
            "tags": [_named(self._fixed(self._tags, tag), "tag", tag) for tag in task.tags],
            "custom_fields": [
                {
                    **_named(self._fixed(self._custom, name), "custom_field", name),
                    "display_value": value,
                    "type": "text",
                }
                for name, value in task.custom.items()
            ],
            "workspace": self.workspace_record(task.workspace),
        }

    def _membership(self, project: str, section: str) -> dict[str, Any]:
        found = self.projects[project]
        return {
            "project": _named(project, "project", found.name),
            "section": _named(section, "section", found.sections[section]) if section else None,
        }

    def _person(self, gid: str) -> dict[str, Any] | None:
        user = self.users.get(gid)
        return _named(gid, "user", user.name) if user else None

    def _put(self, task: Task, project: str, section: str) -> None:
        sections = self.projects[project].sections
        place = next((gid for gid, name in sections.items() if name == section), next(iter(sections), ""))
        task.projects[project] = self.projects[project].tasks[task.gid] = place

    def _story(self, task: str, kind: str, author: str, words: str, at: str | datetime | None) -> str:
        with self.lock:
            found, moment = self.tasks[task], self._moment(at)
            who = self.add_user(author) if author else self.me
            story = Story(self._new_gid(), kind, words, who, moment)
            found.stories.append(story)
            found.changed = max(found.changed, moment)
            if not self.mute:
                found.modified = found.changed
            return story.gid

    def _fixed(self, known: dict[str, str], name: str) -> str:
        if name not in known:
            known[name] = self._new_gid()
        return known[name]

    def _moment(self, at: str | datetime | None) -> str:
        when = datetime.fromisoformat(at) if isinstance(at, str) else at or self.clock()
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        return f"{when.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"

    def _new_gid(self) -> str:
        self._count += 1
        return str(_FIRST + self._count)


def _named(gid: str, kind: str, name: str) -> dict[str, Any]:
    return {"gid": gid, "resource_type": kind, "name": name}
