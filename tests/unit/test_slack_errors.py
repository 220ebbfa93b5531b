"""Slack's errors and bad answers: what each means, what ends a run, and what is only skipped."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.base import Checkpoint, Upsert
from sophiactl.connectors.errors import (
    BadQuery,
    ItemGone,
    KeyRefused,
    Malformed,
    MissingScope,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.connectors.slack_errors import judge
from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.vendors.slack import SlackVendor
from sophiactl.testing.web_server import Reply
from sophiactl.web import WebAnswer
from tests.slack_desk import BEGIN, Desk, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.connectors.slack import SlackConnector

WORDS = {
    "invalid_auth": KeyRefused,
    "not_authed": KeyRefused,
    "token_revoked": KeyRefused,
    "token_expired": KeyRefused,
    "account_inactive": KeyRefused,
    "missing_scope": MissingScope,
    "not_allowed_token_type": MissingScope,
    "no_permission": MissingScope,
    "team_access_not_granted": MissingScope,
    "not_in_channel": ItemGone,
    "channel_not_found": ItemGone,
    "thread_not_found": ItemGone,
    "ratelimited": TooFast,
    "fatal_error": ServiceDown,
    "internal_error": ServiceDown,
    "service_unavailable": ServiceDown,
    "request_timeout": ServiceDown,
    "invalid_cursor": BadQuery,
    "invalid_arg_name": BadQuery,
    "a_word_of_tomorrow": BadQuery,
}


@pytest.fixture
def slack() -> Iterator[SlackVendor]:
    with SlackVendor() as vendor:
        fill(vendor, 3)
        yield vendor


def _answer(value: Any, status: int = 200) -> WebAnswer:
    return WebAnswer(status, {"content-type": "application/json"}, msgspec.json.encode(value))


def _judged(value: Any, status: int = 200) -> ServiceError | None:
    return judge(_answer(value, status), value, "SLACK_BOT_TOKEN")


@pytest.mark.parametrize(("word", "kind"), WORDS.items())
def test_each_word_has_a_kind(word: str, kind: type[ServiceError]) -> None:
    error = _judged({"ok": False, "error": word})
    assert type(error) is kind
    assert word in error.message or kind is MissingScope
    assert error.service == "slack"
    assert error.stop is (kind is KeyRefused)


def test_a_missing_scope_is_named_with_what_is_there() -> None:
    error = _judged({"ok": False, "error": "missing_scope", "needed": "groups:read", "provided": "users:read"})
    assert isinstance(error, MissingScope)
    assert error.message == "SLACK_BOT_TOKEN lacks the scope groups:read"
    assert "groups:read" in str(error.hint)
    assert "users:read" in str(error.hint)


def test_a_refused_key_is_named() -> None:
    error = _judged({"ok": False, "error": "token_revoked"})
    assert error is not None
    assert "SLACK_BOT_TOKEN" in error.message


@pytest.mark.parametrize(
    ("value", "status", "kind"),
    [
        ({"ok": True}, 200, None),
        ({"ok": "true"}, 200, ServiceDown),
        ({"ok": False}, 200, ServiceDown),
        ({"ok": None, "error": None}, 200, ServiceDown),
        ({}, 200, Malformed),
        ([], 200, Malformed),
        ({"ok": False, "error": "ratelimited"}, 429, TooFast),
        ({}, 429, TooFast),
        ({"ok": True}, 500, ServiceDown),
        ({"ok": False, "error": "internal_error"}, 503, ServiceDown),
        ({"ok": False, "error": "invalid_auth"}, 401, KeyRefused),
        ({}, 404, ItemGone),
        ({"error": ["x"]}, 400, BadQuery),
    ],
)
def test_answers_of_all_shapes(value: Any, status: int, kind: type[ServiceError] | None) -> None:
    error = _judged(value, status)
    assert (type(error) if error else None) is kind


@given(
    st.recursive(st.none() | st.booleans() | st.text() | st.floats(allow_nan=False), st.lists), st.integers(200, 599)
)
def test_no_answer_breaks_the_judge(value: Any, status: int) -> None:
    for body in (value, {"ok": value, "error": value, "needed": value}):
        error = _judged(body, status)
        assert error is None or error.message


# What ends a run


def _refused(desk: Desk, kind: type[ServiceError]) -> ServiceError:
    with pytest.raises(kind) as caught:
        desk.read()
    return caught.value


@pytest.mark.parametrize("word", ["invalid_auth", "token_revoked", "account_inactive", "token_expired"])
def test_a_refused_key_ends_it_after_one_request(slack: SlackVendor, word: str) -> None:
    slack.refusal = word
    error = _refused(Desk(slack), KeyRefused)
    assert word in error.message
    assert error.hint
    assert len(slack.requests) == 1


@pytest.mark.parametrize("fault", ["200-html", "502-html", "500", "503", "truncated-json", "cut", "reset"])
def test_a_fault_that_passes_is_survived(slack: SlackVendor, fault: str) -> None:
    slack.queue("ok", "ok", fault, fault)
    read = Desk(slack).read()
    assert len(read.items) == 3
    assert not read.skipped


@pytest.mark.parametrize("fault", ["200-html", "500", "reset"])
def test_a_fault_that_stays_ends_it(slack: SlackVendor, fault: str) -> None:
    slack.queue(*[fault] * 50)
    _refused(Desk(slack), ServiceError)
    assert len(slack.requests) <= 12


def test_a_redirect_is_not_followed(slack: SlackVendor) -> None:
    slack.queue("redirect")
    _refused(Desk(slack), Malformed)
    assert not slack.elsewhere


def test_it_waits_as_long_as_it_is_told(slack: SlackVendor) -> None:
    slow = Reply.json({"ok": False, "error": "ratelimited"}, 429, Retry_After="7")
    slack.queue("ok", "ok", "ok", slow)
    slack.grace = 60.0  # the clock of the test runs faster than that of the vendor
    desk = Desk(slack)
    assert len(desk.read().items) == 3
    assert sum(desk.clock.waits) >= 7.0


def test_a_limit_in_a_good_answer_is_a_limit_too(slack: SlackVendor) -> None:
    slack.queue("ok", "ok", "ok", Reply.json({"ok": False, "error": "ratelimited"}, 200, Retry_After="3"))
    desk = Desk(slack)
    assert len(desk.read().items) == 3
    assert sum(desk.clock.waits) >= 3.0


def test_too_long_a_wait_ends_it_and_says_so(slack: SlackVendor) -> None:
    slack.queue("ok", "ok", "ok", Reply.json({"ok": False, "error": "ratelimited"}, 429, Retry_After="3600"))
    error = _refused(Desk(slack), TooFast)
    assert error.retry_after == 3600


def test_one_method_that_is_limited_holds_up_no_other(slack: SlackVendor) -> None:
    slack.method_limits["users.list"] = Limited(1, 1.0)
    desk = Desk(slack)

    async def work(connector: SlackConnector) -> None:
        await connector.ping(desk.deadline())
        await connector._people.load()
        connector._people._loaded = False
        with pytest.raises(ServiceError):
            await connector._people.load(desk.deadline(0.5))
        await connector.ping(desk.deadline())

    desk.run(work)


def test_commercial_limits_are_kept(slack: SlackVendor) -> None:
    slack.most = 15
    fill(slack, 40, channel="random")
    desk = Desk(slack, commercial=True, limits={})
    read = desk.read()
    assert len(read.items) == 43
    sizes = {seen.query["limit"] for seen in slack.requests if seen.path.endswith("history")}
    assert sizes == {"15"}
    assert sum(desk.clock.waits) >= 60 * (desk.asked("conversations.history") - 1)


def test_runs_that_are_always_cut_short_read_everything_in_the_end(slack: SlackVendor) -> None:
    for name in ("alpha", "beta", "omega"):
        fill(slack, 20, channel=name)
    desk = Desk(slack, page_size=4)
    desk.common = msgspec.structs.replace(desk.common, requests=8)
    found: set[str] = set()
    cursor: str | None = None
    for number in range(40):
        if number == 20:
            for name in ("general", "alpha", "beta", "omega"):
                slack.add_message(name, "ada", "new", at=BEGIN + 9_000)
        changes = desk.cut_short(cursor)
        found |= {change.item.id for change in changes if isinstance(change, Upsert)}
        cursor = next((each.cursor for each in reversed(changes) if isinstance(each, Checkpoint)), cursor)
    assert len(found) == 67


# Secrets


def test_the_token_is_in_no_url_log_or_error(slack: SlackVendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk = Desk(slack, user=True)
    desk.read()
    desk.search("message")
    slack.queue(Reply.json({"ok": False, "error": f"no {slack.bot_token} here"}))
    with pytest.raises(BadQuery) as caught:
        desk.read()
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.hint)
    for token in slack.secrets.values():
        assert token not in shown.replace(f"no {slack.bot_token} here", "")
        assert token not in caplog.text
        assert all(token not in f"{seen.path}{seen.raw_query}{seen.body!r}" for seen in slack.requests)
    assert not slack.violations
