"""Asana, read: who we are, tasks and comments, search, and what refuses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors.asana import AsanaConnector
from sophiactl.connectors.asana_api import root_of
from sophiactl.connectors.config import AsanaConfig, ConnectorsConfig
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import (
    BadQuery,
    ItemGone,
    KeyRefused,
    Malformed,
    MissingScope,
    NoService,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.errors import ConfigError
from sophiactl.redaction import Redactor, Secret
from sophiactl.testing.vendors.asana import AsanaVendor
from sophiactl.testing.web_server import Reply
from sophiactl.web import WebSession
from tests.asana_office import (
    Direct,
    collected,
    connector,
    items,
    over_http,
    synced,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.connectors.base import Found, Item
    from sophiactl.testing.web_server import Seen

SOON = 20.0
EARLY, LATER, LATEST = "2026-01-02T08:00:00Z", "2026-02-03T09:00:00Z", "2026-03-04T10:00:00Z"


@pytest.fixture
def asana() -> Iterator[AsanaVendor]:
    with AsanaVendor() as vendor:
        yield vendor


@pytest.fixture
def quiet() -> AsanaVendor:
    """One without sockets."""
    return AsanaVendor()


def found(vendor: AsanaVendor, query: str, limit: int = 10, **settings: Any) -> Found:
    return asyncio.run(connector(vendor, Direct(vendor), **settings).search(query, limit, Deadline(SOON)))


def fetched(vendor: AsanaVendor, gid: str, **settings: Any) -> Item:
    return asyncio.run(connector(vendor, Direct(vendor), **settings).fetch(gid, Deadline(SOON)))


def asked(vendor: AsanaVendor, tail: str) -> list[Seen]:
    return [seen for seen in vendor.requests if seen.path.endswith(tail)]


# Who we are


def test_ping(asana: AsanaVendor) -> None:
    asana.add_workspace("Globex")
    identity = over_http(asana, lambda made: made.ping(Deadline(SOON)))

    assert (identity.user, identity.workspace) == ("Sophia Reader", "Acme, Globex")
    assert "subtasks" in identity.notes[0]
    assert asana.token not in asana.requests[0].path + asana.requests[0].raw_query


def test_ping_tells_of_a_workspace_that_is_not_seen(asana: AsanaVendor) -> None:
    identity = over_http(asana, lambda made: made.ping(Deadline(SOON)), workspaces=(asana.workspace, "12"))

    assert identity.workspace == "Acme"
    assert identity.notes[-1] == "workspace 12 is not one that this token sees"


@pytest.mark.parametrize("tail", ["", "/", "/api", "/api/1.0", "/api/1.0/"])
def test_the_base_url_is_written_as_one_likes(asana: AsanaVendor, tail: str) -> None:
    identity = over_http(asana, lambda made: made.ping(Deadline(SOON)), base_url=asana.address + tail)

    assert identity.workspace == "Acme"


def test_the_base_url_is_asanas_own_when_none_is_given() -> None:
    assert root_of("") == "https://app.asana.com"
    assert root_of(" https://proxy.example/asana/api/1.0/ ") == "https://proxy.example/asana"


def test_without_a_token_nothing_begins() -> None:
    for secrets in ({}, {"ASANA_ACCESS_TOKEN": Secret("", redactor=Redactor())}):
        with pytest.raises(ConfigError, match="no key") as caught:
            AsanaConnector(AsanaConfig(), ConnectorsConfig(), secrets, WebSession(proxies={}))
        assert "ASANA_ACCESS_TOKEN" in str(caught.value.hint)


# Errors


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("401", KeyRefused),
        ("402", MissingScope),
        ("403", MissingScope),
        ("404", ItemGone),
        ("412", BadQuery),
        ("400-offset", BadQuery),
        ("429", TooFast),
        ("429-bare", TooFast),
        ("500", ServiceDown),
        ("503", ServiceDown),
        ("502-html", ServiceDown),
        ("403-html", ServiceDown),
        ("200-html", Malformed),
        ("truncated-json", Malformed),
        ("redirect", Malformed),
        ("cut", NoService),
        ("reset", NoService),
    ],
)
def test_what_an_answer_means(asana: AsanaVendor, fault: str, kind: type[ServiceError]) -> None:
    asana.queue(fault, fault)  # twice: a connection that breaks off is tried again below us

    with pytest.raises(kind) as caught:
        over_http(asana, lambda made: made.ping(Deadline(SOON)), retries=0)

    assert caught.value.service == "asana"
    assert asana.token not in f"{caught.value} {caught.value.hint} {caught.value!r}"
    assert not asana.elsewhere


def test_the_phrase_of_a_failure_is_told(asana: AsanaVendor) -> None:
    asana.queue("500")

    with pytest.raises(ServiceDown, match="sad squid"):
        over_http(asana, lambda made: made.ping(Deadline(SOON)), retries=0)


def test_nothing_is_asked_before_retry_after_is_over(asana: AsanaVendor) -> None:
    asana.queue("429")

    assert over_http(asana, lambda made: made.ping(Deadline(SOON))).workspace == "Acme"
    assert len(asana.requests) == 2
    assert not asana.violations


@pytest.mark.parametrize("body", [{"data": None}, {"data": []}, [], {"errors": [{"message": "no"}]}, {}])
def test_a_200_that_makes_no_sense(asana: AsanaVendor, body: Any) -> None:
    asana.queue(Reply.json(body))

    with pytest.raises(Malformed):
        over_http(asana, lambda made: made.ping(Deadline(SOON)))


# A task


def test_a_task_is_read_whole(quiet: AsanaVendor) -> None:
    sales = quiet.add_project("Sales", sections=("Open", "Won"))
    parent = quiet.add_task(sales, "Q1", at=EARLY)
    gid = quiet.add_task(
        [sales, quiet.add_project("Renewals", privacy="private")],
        "Renew Acme 🙂",
        "Ask for three years.\x00 مرحبا",
        assignee="Ada Lovelace",
        author="Grace Hopper",
        due="2026-03-31",
        section="Open",
        parent=parent,
        tags=("urgent",),
        custom={"Stage": "Negotiation", "Budget": None, "Status": "At risk"},
        at=EARLY,
    )
    quiet.comment(gid, "Ada Lovelace", "They want a discount", at="2026-01-03T08:00:00Z")
    quiet.comment(gid, "Alan Turing", "No", at="2026-01-04T08:00:00Z")
    quiet.edit_task(gid, completed=True, at="2026-01-05T08:00:00Z")

    item = items(synced(quiet))["Renew Acme 🙂"]

    assert item.text == (
        "Assignee: Ada Lovelace\nDue: 2026-03-31\nStatus: completed 2026-01-05\nSection: Open, Untitled section\n"
        "Part of: Q1\nTags: urgent\nStage: Negotiation\nStatus (custom field): At risk\n\n"
        "Ask for three years. مرحبا\n\n"
        "Comments:\n[2026-01-03] Ada Lovelace: They want a discount\n[2026-01-04] Alan Turing: No"
    )
    assert (item.id, item.kind, item.author, item.container) == (gid, "task", "Grace Hopper", "Sales, Renewals")
    assert (item.created_at, item.updated_at) == (EARLY, "2026-01-05T08:00:00Z")
    assert item.url == f"https://app.asana.com/0/{sales}/{gid}"
    assert (item.visibility, item.thread, len(item.id)) == ("public", parent, 19)
    assert item.fields["Stage"] == "Negotiation"
    assert fetched(quiet, gid).text == item.text


def test_without_comments_none_is_asked_for(quiet: AsanaVendor) -> None:
    gid = quiet.add_task(quiet.add_project("Sales", privacy="private"), "One", at=EARLY)
    quiet.comment(gid, "Ada", "Hello", at=EARLY)

    item = items(synced(quiet, comments=False))["One"]

    assert (item.visibility, "Hello" in item.text, asked(quiet, "/stories")) == ("private", False, [])


def test_a_task_of_nothing_but_nulls(asana: AsanaVendor) -> None:
    nulls = dict.fromkeys(("name", "notes", "assignee", "created_by", "memberships", "custom_fields", "tags"))
    asana.queue(Reply.json({"data": {"gid": 12, "parent": None, "due_on": None, **nulls}}), Reply.json({"data": []}))

    item = over_http(asana, lambda made: made.fetch("12", Deadline(SOON)))

    assert (item.id, item.title, item.text, item.author) == ("12", "Task 12", "", None)


@pytest.mark.parametrize("gid", ["12", "not-an-id", "..", ""])
def test_a_task_that_is_not_there(quiet: AsanaVendor, gid: str) -> None:
    with pytest.raises((ItemGone, BadQuery)):
        fetched(quiet, gid)


def test_names_of_authors_are_asked_for_once(asana: AsanaVendor) -> None:
    project = asana.add_project("Sales")
    for number in range(60):
        asana.add_task(project, f"Task {number}", author="Ada", at=EARLY)

    stream = over_http(asana, lambda made: collected(made.changes(None)))
    assert {item.author for item in items(stream).values()} == {"Ada"}
    assert len([seen for seen in asana.requests if "/users/1" in seen.path]) == 1


# Search


def test_search_finds_texts(quiet: AsanaVendor) -> None:
    project = quiet.add_project("Sales")
    quiet.add_task(project, "Call them", "about the renewal", at=EARLY)
    quiet.add_task(project, "Nothing", at=EARLY)

    answer = found(quiet, "renewal")

    assert [item.title for item in answer.items] == ["Call them"]
    assert answer.notes == ()
    assert "about the renewal" in answer.items[0].text


def test_without_a_paid_plan_names_are_searched_and_it_is_said(quiet: AsanaVendor) -> None:
    quiet.premium = False
    project = quiet.add_project("Sales")
    quiet.add_task(project, "Call them", "about the renewal", at=EARLY)
    quiet.add_task(project, "Renewal of Acme", "three years", at=EARLY)

    answer = found(quiet, "renewal")

    assert [item.title for item in answer.items] == ["Renewal of Acme"]
    assert "three years" in answer.items[0].text
    assert "402" in answer.notes[0]


def test_several_workspaces_are_searched_and_one_may_fail(quiet: AsanaVendor) -> None:
    other, closed = quiet.add_workspace("Globex", premium=False), quiet.add_workspace("Initech")
    for space in (quiet.workspace, other, closed):
        project = quiet.add_project("P", workspace=space)
        for number in range(3):
            quiet.add_task(project, f"Renewal {space} {number}", at=EARLY)
    quiet.restricted.add(closed)

    answer = found(quiet, "renewal", 4)

    spaces = [item.title.split()[1] for item in answer.items]
    assert spaces == [quiet.workspace, other, quiet.workspace, other]
    assert any(closed in note for note in answer.notes)
    quiet.restricted |= {quiet.workspace, other}
    with pytest.raises(MissingScope):
        found(quiet, "renewal")


def test_a_search_for_nothing(quiet: AsanaVendor) -> None:
    assert found(quiet, " ").items == ()
    assert found(quiet, "x", 0).items == ()
    assert not quiet.requests
