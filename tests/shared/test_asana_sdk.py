"""Asana's own SDK reads the loopback vendor and sees what our connector sees: neither is made for the other."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.deadline import Deadline
from sophiactl.testing.vendors.asana import AsanaVendor
from tests.asana_office import collected, items, over_http

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def asana() -> Iterator[AsanaVendor]:
    with AsanaVendor() as vendor:
        sales, renewals = vendor.add_project("Sales"), vendor.add_project("Renewals", archived=True)
        for number in range(230):
            projects = [sales, renewals] if number % 10 == 0 else [sales]
            gid = vendor.add_task(projects, f"Task {number}", f"Notes {number}", assignee="Ada", at="2026-01-02")
            if number % 40 == 0:
                vendor.comment(gid, "Ada Lovelace", f"Words {number}", at="2026-01-03")
        yield vendor


@pytest.fixture
def sdk(asana: AsanaVendor) -> Iterator[tuple[Any, Any]]:
    """The module, which has no types, and its client."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's own
        module: Any = import_module("asana")
        configuration = module.Configuration()
        configuration.access_token = asana.token
        configuration.host = f"{asana.address}/api/1.0"
        client = module.ApiClient(configuration)
        yield module, client
        client.rest_client.pool_manager.clear()
        client.pool.close()
        client.pool.join()


def test_the_sdk_reads_the_tasks_that_we_read(asana: AsanaVendor, sdk: tuple[Any, Any]) -> None:
    module, client = sdk
    ours = {item.id: item for item in items(over_http(asana, lambda made: collected(made.changes(None)))).values()}
    projects = list(module.ProjectsApi(client).get_projects({"workspace": asana.workspace, "limit": 1}))
    assert [project["name"] for project in projects] == ["Sales", "Renewals"]
    theirs: dict[str, Any] = {}
    for project in projects:
        options = {"project": project["gid"], "limit": 100, "opt_fields": "name,notes,assignee.name,modified_at"}
        theirs |= {task["gid"]: task for task in module.TasksApi(client).get_tasks(options)}

    assert theirs.keys() == ours.keys()
    assert len(theirs) == 230
    for gid, task in theirs.items():
        assert task["name"] == ours[gid].title
        assert task["notes"] in ours[gid].text
        assert f"Assignee: {task['assignee']['name']}" in ours[gid].text


def test_the_sdk_reads_the_same_comments(asana: AsanaVendor, sdk: tuple[Any, Any]) -> None:
    module, client = sdk
    gid = next(iter(asana.tasks))
    ours = over_http(asana, lambda made: made.fetch(gid, Deadline(20)))
    stories = list(module.StoriesApi(client).get_stories_for_task(gid, {"opt_fields": "text,created_by.name"}))

    assert [(story["created_by"]["name"], story["text"]) for story in stories] == [("Ada Lovelace", "Words 0")]
    assert ours.text.endswith("[2026-01-03] Ada Lovelace: Words 0")


def test_the_sdk_finds_the_same(asana: AsanaVendor, sdk: tuple[Any, Any]) -> None:
    module, client = sdk
    ours = over_http(asana, lambda made: made.search("task 12", 100, Deadline(20)))
    theirs = module.TasksApi(client).search_tasks_for_workspace(asana.workspace, {"text": "task 12"})

    assert [task["gid"] for task in theirs] == [item.id for item in ours.items]
    assert len(ours.items) > 5
    asana.premium = False
    with pytest.raises(module.rest.ApiException) as caught:
        list(module.TasksApi(client).search_tasks_for_workspace(asana.workspace, {"text": "task"}))
    assert caught.value.status == 402


def test_the_sdk_takes_our_refusal_for_asanas(asana: AsanaVendor, sdk: tuple[Any, Any]) -> None:
    module, client = sdk
    me = module.UsersApi(client).get_user("me", {})
    assert me["name"] == "Sophia Reader"
    with pytest.raises(module.rest.ApiException) as caught:
        module.TasksApi(client).create_task({"data": {"name": "x"}}, {})
    assert caught.value.status == 403
