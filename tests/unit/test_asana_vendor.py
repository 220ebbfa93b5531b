"""The loopback Asana answers as Asana does, whoever asks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sophiactl.testing.vendors.asana import AsanaVendor
from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.web_server import Reply, Seen

EARLY, LATER = "2026-01-02T08:00:00Z", "2026-02-03T09:00:00Z"


@pytest.fixture
def asana() -> AsanaVendor:
    return AsanaVendor()


def ask(vendor: AsanaVendor, path: str, method: str = "GET", **query: Any) -> Reply:
    headers = {"authorization": f"Bearer {vendor.token}"}
    asked = {name: str(value) for name, value in query.items()}
    return vendor.answer(Seen(method, f"/api/1.0{path}", asked, headers, b""))


def told(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


def data(vendor: AsanaVendor, path: str, **query: Any) -> Any:
    return told(ask(vendor, path, **query))["data"]


def test_records_are_compact_unless_fields_are_asked_for(asana: AsanaVendor) -> None:
    project = asana.add_project("Sales")
    gid = asana.add_task(project, "One", "notes", assignee="Ada", at=EARLY)
    compact = {"gid": gid, "resource_type": "task", "name": "One", "resource_subtype": "default_task"}

    assert data(asana, "/tasks", project=project) == [compact]
    paths = "notes,assignee.name,memberships.project.name,parent.name,created_by,no.such"
    (task,) = data(asana, "/tasks", project=project, opt_fields=paths)
    assert task == {
        "gid": gid,
        "notes": "notes",
        "assignee": {"gid": asana.add_user("Ada"), "name": "Ada"},
        "memberships": [{"project": {"gid": project, "name": "Sales"}}],
        "parent": None,
        "created_by": {"gid": asana.me, "resource_type": "user"},
    }
    assert len(gid) == 19


def test_pages_and_their_offsets(asana: AsanaVendor) -> None:
    project = asana.add_project("Sales")
    tasks = [asana.add_task(project, f"Task {number}", at=EARLY) for number in range(5)]

    first = told(ask(asana, "/tasks", project=project, limit=3))
    second = told(ask(asana, "/tasks", project=project, limit=3, offset=first["next_page"]["offset"]))

    assert [task["gid"] for task in first["data"] + second["data"]] == tasks
    assert second["next_page"] is None
    assert "next_page" not in told(ask(asana, "/tasks", project=project))
    other = ask(asana, "/tasks", project=asana.add_project("B"), limit=3, offset=first["next_page"]["offset"])
    asana.offsets.forget()
    expired = ask(asana, "/tasks", project=project, limit=3, offset=first["next_page"]["offset"])
    assert (other.status, expired.status) == (400, 400)
    assert "pagination token" in told(expired)["errors"][0]["message"]


def test_offsets_die_after_their_time(asana: AsanaVendor) -> None:
    project = asana.add_project("Sales")
    for number in range(3):
        asana.add_task(project, f"Task {number}")
    offset = told(ask(asana, "/tasks", project=project, limit=1))["next_page"]["offset"]
    asana.offsets.seconds = 0

    assert ask(asana, "/tasks", project=project, limit=1, offset=offset).status == 400


def test_what_is_too_much_for_one_answer(asana: AsanaVendor) -> None:
    project = asana.add_project("Sales")
    for number in range(1_001):
        asana.add_task(project, f"Task {number}", at=EARLY)

    assert ask(asana, "/tasks", project=project).status == 400
    assert ask(asana, "/tasks", project=project, limit=100).status == 200


def test_modified_since_counts_comments_and_moves(asana: AsanaVendor) -> None:
    one, two = asana.add_project("One"), asana.add_project("Two")
    tasks = [asana.add_task(one, f"Task {number}", at=EARLY) for number in range(3)]
    asana.mute = True
    asana.comment(tasks[1], "Ada", "Hello", at=LATER)
    asana.move_task(tasks[2], two, at=LATER)

    found = data(asana, "/tasks", project=one, modified_since="2026-02-01T00:00:00+00:00", opt_fields="modified_at")
    assert found == [{"gid": tasks[1], "modified_at": "2026-01-02T08:00:00.000Z"}]
    assert [task["gid"] for task in data(asana, "/tasks", project=two, modified_since=LATER)] == [tasks[2]]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/tasks", {}, 400),
        ("/tasks", {"project": "12"}, 404),
        ("/tasks/12", {}, 404),
        ("/tasks/twelve", {}, 400),
        ("/projects", {}, 400),
        ("/projects", {"workspace": "12"}, 404),
        ("/users/12", {}, 404),
        ("/nothing", {}, 404),
        ("/workspaces/12/tasks/search", {"text": "a"}, 404),
    ],
)
def test_what_is_refused(asana: AsanaVendor, path: str, query: dict[str, Any], status: int) -> None:
    reply = ask(asana, path, **query)

    assert reply.status == status
    assert told(reply)["errors"][0].keys() == {"message", "help"}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x"])
def test_a_limit_that_is_none(asana: AsanaVendor, limit: str) -> None:
    assert ask(asana, "/tasks", project=asana.add_project("A"), limit=limit).status == 400


def test_a_date_that_is_none(asana: AsanaVendor) -> None:
    assert ask(asana, "/tasks", project=asana.add_project("A"), modified_since="soon").status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_writes_are_refused(asana: AsanaVendor, method: str) -> None:
    gid = asana.add_task(asana.add_project("A"), "One")

    assert ask(asana, f"/tasks/{gid}", method).status == 403
    assert asana.tasks[gid].name == "One"
    assert asana.writes(Seen(method, "/api/1.0/tasks", {}, {}, b""))


def test_a_wrong_key(asana: AsanaVendor) -> None:
    reply = asana.answer(Seen("GET", "/api/1.0/users/me", {}, {"authorization": "Bearer x"}, b""))

    assert (reply.status, told(reply)["errors"][0]["message"]) == (401, "Not Authorized")


def test_search_is_paid_for_and_typeahead_is_not(asana: AsanaVendor) -> None:
    asana.add_task(asana.add_project("A"), "Renew Acme", "text")
    space = f"/workspaces/{asana.workspace}"

    assert len(data(asana, f"{space}/tasks/search", text="text acme")) == 1
    asana.premium = False
    assert ask(asana, f"{space}/tasks/search", text="text").status == 402
    assert data(asana, f"{space}/typeahead", resource_type="task", query="acme")[0]["name"] == "Renew Acme"
    assert data(asana, f"{space}/typeahead", resource_type="task", query="text") == []
    assert ask(asana, f"{space}/typeahead", query="text").status == 400


def test_the_rest_of_a_workspace(asana: AsanaVendor) -> None:
    team = asana.add_team("Sales")
    old = asana.add_project("Old", archived=True, team=team)
    project = asana.add_project("New")
    parent = asana.add_task(project, "Parent", at=EARLY)
    child = asana.add_task((), "Child", parent=parent, at=EARLY)
    asana.comment(parent, "Ada", "Hello", at=LATER)
    asana.edit_task(parent, completed=True, at=LATER)

    assert [one["gid"] for one in data(asana, "/projects", workspace=asana.workspace)] == [old, project]
    assert [one["gid"] for one in data(asana, "/projects", workspace=asana.workspace, archived="true")] == [old]
    assert [one["gid"] for one in data(asana, "/projects", team=team)] == [old]
    assert data(asana, f"/projects/{project}")["name"] == "New"
    assert [one["gid"] for one in data(asana, f"/projects/{project}/tasks")] == [parent]
    assert [one["gid"] for one in data(asana, f"/tasks/{parent}/subtasks")] == [child]
    assert [one["resource_subtype"] for one in data(asana, f"/tasks/{parent}/stories")] == [
        *("comment_added", "marked_complete")
    ]
    assert data(asana, "/workspaces")[0]["name"] == "Acme"
    asana.delete_project(project)
    assert ask(asana, f"/tasks/{parent}").status == 404


def test_too_many_requests(asana: AsanaVendor) -> None:
    asana.limit = Limited(1, 30)

    assert ask(asana, "/users/me").status == 200
    reply = ask(asana, "/users/me")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "30")
