"""What the loopback Asana holds, and how a record is cut to the fields that were asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_EXTRA = ("gid", "resource_type")


@dataclass(slots=True)
class Workspace:
    """A workspace; without `premium` it has no search."""

    gid: str
    name: str
    premium: bool = True


@dataclass(slots=True)
class User:
    """A person; one who is gone has no name."""

    gid: str
    name: str
    email: str


@dataclass(slots=True)
class Project:
    """A project with its tasks in order, and its sections by gid."""

    gid: str
    name: str
    workspace: str
    team: str
    privacy: str
    archived: bool
    sections: dict[str, str]
    tasks: dict[str, str] = field(default_factory=dict)
    """The section of each task, by its gid."""


@dataclass(slots=True)
class Story:
    """A comment, or a line of Asana's own about what was done."""

    gid: str
    kind: str
    text: str
    author: str
    created: str


@dataclass(slots=True)
class Task:
    """A task. `changed` is what `modified_since` looks at: comments and moves count, and `modified` follows it."""

    gid: str
    name: str
    notes: str
    workspace: str
    assignee: str
    author: str
    created: str
    modified: str
    changed: str
    due: str | None = None
    completed: bool = False
    completed_at: str | None = None
    parent: str = ""
    tags: tuple[str, ...] = ()
    custom: dict[str, str | None] = field(default_factory=dict)
    projects: dict[str, str] = field(default_factory=dict)
    stories: list[Story] = field(default_factory=list)
    subtasks: list[str] = field(default_factory=list)


def picked(record: Any, paths: list[str] | None, compact: tuple[str, ...]) -> Any:
    """A record as Asana gives it: the `compact` fields when none are asked for, else `gid` and those.

    A path with dots goes into objects and lists; an object that is asked for without saying what of it has its `gid`
    and `resource_type` alone. What is not known is left out.
    """
    if record is None:
        return None
    if paths is None:
        return {name: record[name] for name in (*_EXTRA, *compact) if name in record}
    wanted: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition(".")
        wanted.setdefault(name, [])
        if rest:
            wanted[name].append(rest)
    found = {"gid": record["gid"]} if "gid" in record else {}
    for name, inner in wanted.items():
        if name in record:
            found[name] = _part(record[name], inner)
    return found


def _part(value: Any, inner: list[str]) -> Any:
    if isinstance(value, list):
        return [_part(one, inner) for one in value]
    if not isinstance(value, dict):
        return value
    if not inner:
        return {name: picked(part, None, ()) if isinstance(part, dict) else part for name, part in value.items()
                if name in _EXTRA or isinstance(part, dict)}  # fmt: skip
    return picked(value, inner, ())
