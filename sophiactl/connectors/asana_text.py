"""Tasks of Asana as items: what a model reads of one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sophiactl.connectors.base import Item
from sophiactl.connectors.reading import instant, items, mapping, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sophiactl.connectors.base import Visibility

TASK_FIELDS = ",".join(
    (
        *("name", "notes", "resource_subtype", "assignee.name", "completed", "completed_at", "due_on", "due_at"),
        *("created_at", "modified_at", "created_by", "permalink_url", "parent.name", "tags.name", "num_subtasks"),
        *("memberships.project.name", "memberships.section.name", "custom_fields.name", "custom_fields.display_value"),
    )
)
STORY_FIELDS = "resource_subtype,type,text,created_at,created_by.name"
_VISIBLE: Mapping[str, Visibility] = {
    "public_to_workspace": "public",
    "private_to_team": "private",
    "private": "private",
}
LONGEST_FIELD = 200
"""Signs; a custom field with more is part of the text alone."""


class Projects:
    """Who may see the projects that were listed."""

    def __init__(self) -> None:
        self._seen: dict[str, Visibility] = {}

    def heard(self, project: Mapping[str, Any]) -> None:
        """A project as a listing gave it."""
        self._seen[text(project.get("gid"))] = _VISIBLE.get(text(project.get("privacy_setting")), "unknown")

    def of(self, task: Mapping[str, Any]) -> Visibility:
        """Who may see a task: whoever may see one of its projects. One that is not listed to us leaves it open."""
        kinds = {self._seen.get(gid, "unknown") for gid in project_ids(task)} or {"unknown"}
        if "public" in kinds:
            return "public"
        return "unknown" if "unknown" in kinds else "private"


def project_ids(task: Mapping[str, Any]) -> list[str]:
    """The projects that a task is in."""
    found = (text(mapping(one.get("project")).get("gid")) for one in items(task.get("memberships")))
    return [gid for gid in dict.fromkeys(found) if gid]


def is_comment(story: Mapping[str, Any]) -> bool:
    """Whether a story is what a person wrote; all others are Asana's own lines on what was done."""
    kind = text(story.get("resource_subtype"))
    return kind == "comment_added" or (not kind and text(story.get("type")) == "comment")


def comment_lines(stories: Sequence[Mapping[str, Any]]) -> list[str]:
    """Comments, oldest first, each with the name of who wrote it."""
    found = [story for story in stories if is_comment(story) and text(story.get("text"))]
    found.sort(key=lambda story: instant(story.get("created_at")) or "")
    return [
        f"[{(instant(story.get('created_at')) or 'no date')[:10]}] "
        f"{text(mapping(story.get('created_by')).get('name')) or 'unknown'}: {text(story.get('text'))}"
        for story in found
    ]


def item_of(task: Mapping[str, Any], comments: Sequence[str], visibility: Visibility, author: str = "") -> Item:
    """The item of a task; `author` is who made it, where the task itself does not tell the name."""
    gid, name = text(task.get("gid")), text(task.get("name"))
    fields = _fields(task)
    head = "\n".join(f"{label}: {value}" for label, value in fields.items())
    body = text(task.get("notes"))
    spoken = "\n".join(("Comments:", *comments)) if comments else ""
    return Item(
        service="asana",
        id=gid,
        kind="task",
        title=name or f"Task {gid}",
        text="\n\n".join(filter(None, (head, body, spoken))),
        url=_url(task, gid),
        author=text(mapping(task.get("created_by")).get("name")) or author or None,
        created_at=instant(task.get("created_at")),
        updated_at=instant(task.get("modified_at")),
        visibility=visibility,
        container=", ".join(_names(task, "project")) or None,
        thread=text(mapping(task.get("parent")).get("gid")) or None,
        raw_ref=f"/tasks/{gid}",
        fields={label: value for label, value in fields.items() if len(value) <= LONGEST_FIELD},
    )


def _fields(task: Mapping[str, Any]) -> dict[str, str]:
    count = text(task.get("num_subtasks"))
    found = {
        "Assignee": text(mapping(task.get("assignee")).get("name")),
        "Due": instant(task.get("due_at")) or text(task.get("due_on")),
        "Status": _status(task),
        "Section": ", ".join(_names(task, "section")),
        "Part of": text(mapping(task.get("parent")).get("name")),
        "Tags": ", ".join(filter(None, (text(tag.get("name")) for tag in items(task.get("tags"))))),
        "Subtasks": "" if count == "0" else count,
    }
    found = {label: value for label, value in found.items() if value}
    for custom in items(task.get("custom_fields")):
        label, value = text(custom.get("name")), text(custom.get("display_value"))
        if label and value:
            while label in found:  # many have a "Status" of their own
                label += " (custom field)"
            found[label] = value
    return found


def _status(task: Mapping[str, Any]) -> str:
    if task.get("completed") is True:
        day = (instant(task.get("completed_at")) or "")[:10]
        return f"completed {day}".strip()
    return "open" if task.get("completed") is False else ""


def _names(task: Mapping[str, Any], what: str) -> list[str]:
    names = (text(mapping(one.get(what)).get("name")) for one in items(task.get("memberships")))
    return [name for name in dict.fromkeys(names) if name]


def _url(task: Mapping[str, Any], gid: str) -> str:
    url = text(task.get("permalink_url"))
    return url if url.startswith("https://") else f"https://app.asana.com/0/0/{gid}/f"
