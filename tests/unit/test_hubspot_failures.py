"""Which error each of HubSpot's failures is, and when it is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.connectors import errors
from sophiactl.connectors.deadline import Deadline
from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.vendors.hubspot import HubSpotVendor
from sophiactl.testing.web_server import Reply
from tests.hubspot_reading import NOON, Pauses, changes, reading, searches, upserts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.connectors.base import Identity
    from sophiactl.connectors.hubspot import HubSpotConnector

TOKEN = "HUBSPOT_ACCESS_TOKEN"  # noqa: S105 - its name


@pytest.fixture
def hub() -> Iterator[HubSpotVendor]:
    with HubSpotVendor() as vendor:
        yield vendor


def ping(hub: HubSpotVendor, **settings: Any) -> Identity:
    return reading(hub, lambda connector: connector.ping(Deadline(20)), **settings)


def refusal(status: int, body: Any = None, **headers: str) -> Reply:
    return Reply.json({"status": "error", "correlationId": "7a"} | (body or {}), status, **headers)


DAILY = {"message": "You have reached your daily limit."}
SCOPES = {"category": "MISSING_SCOPES"}
FAILURES: list[tuple[Reply, type[errors.ServiceError], str, str]] = [
    (refusal(401, {"category": "INVALID_AUTHENTICATION", "message": "no"}), errors.KeyRefused, "refused", TOKEN),
    (refusal(401, {"category": "EXPIRED_AUTHENTICATION", "message": "old"}), errors.KeyRefused, "expired", TOKEN),
    (Reply.html(530), errors.KeyRefused, "530", "pat-"),
    (refusal(403, SCOPES | {"errors": [{"context": {"requiredGranularScopes": ["a.b", "c.d"]}}]}),
     errors.MissingScope, "scope", "a.b, c.d"),
    (refusal(403, SCOPES | {"context": {"missingScopes": ["x.y"]}}), errors.MissingScope, "scope", "x.y"),
    (refusal(403, {"message": "not for you"}), errors.MissingScope, "not for you", ""),
    (Reply.html(403), errors.ServiceDown, "HTML", ""),
    (refusal(404, {"category": "OBJECT_NOT_FOUND"}), errors.ItemGone, "404", ""),
    (refusal(400, {"message": "more than 10,000"}), errors.BadQuery, "10,000", ""),
    (refusal(429, DAILY | {"policyName": "DAILY"}), errors.QuotaSpent, "today", "midnight"),
    (refusal(429, DAILY), errors.QuotaSpent, "today", "midnight"),
    (refusal(429, {"policyName": "SECONDLY"}), errors.TooFast, "secondly", ""),
    (refusal(429, {"policyName": "TEN_SECONDLY_ROLLING"}), errors.TooFast, "ten_secondly", ""),
    (Reply.html(429), errors.TooFast, "too fast", ""),
    (refusal(423), errors.ServiceDown, "locked", ""),
    (refusal(477, Retry_After="3"), errors.ServiceDown, "moving", "data centre"),
    (refusal(408), errors.ServiceDown, "408", ""),
    (refusal(500, {"message": "oops"}), errors.ServiceDown, "oops", ""),
    (Reply.html(502), errors.ServiceDown, "502", ""),
    (refusal(504), errors.ServiceDown, "504", ""),
    (Reply.html(521), errors.ServiceDown, "521", ""),
    (refusal(200, {"message": "in the middle"}), errors.ServiceDown, "in the middle", ""),
    (refusal(200, {"category": "MISSING_SCOPES"}), errors.MissingScope, "scope", ""),
    (refusal(200, {"category": "EXPIRED_AUTHENTICATION"}), errors.KeyRefused, "expired", TOKEN),
    (Reply.html(200), errors.Malformed, "JSON", ""),
    (Reply(302, headers={"Location": "https://evil.example/"}), errors.Malformed, "redirect", ""),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "kind", "said", "hint"), FAILURES)
def test_each_failure_is_named(
    hub: HubSpotVendor, reply: Reply, kind: type[errors.ServiceError], said: str, hint: str
) -> None:
    hub.queue(*[reply] * 5)
    with pytest.raises(errors.ServiceError) as failed:
        ping(hub, tools=Pauses().tools())
    assert type(failed.value) is kind or (kind is errors.Malformed and isinstance(failed.value, kind))
    assert failed.value.service == "hubspot"
    assert said in failed.value.message
    assert hint in f"{failed.value.hint}"
    assert hub.token not in f"{failed.value!r} {failed.value.hint}"


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (refusal(429, {"policyName": "SECONDLY"}), 1.0),
        (refusal(429, {"message": "You have reached your ten_secondly_rolling limit."}), 10.0),
        (refusal(429, {"policyName": "TEN_SECONDLY_ROLLING"}), 10.0),
        (refusal(429, {"policyName": "TEN_SECONDLY_ROLLING"}, Retry_After="3"), 3.0),
        (refusal(423), 2.0),
        (refusal(477, Retry_After="7"), 7.0),
        (refusal(503, Retry_After="5"), 5.0),
    ],
)
def test_the_next_try_comes_after_the_window_of_the_limit(hub: HubSpotVendor, reply: Reply, seconds: float) -> None:
    pauses = Pauses()
    hub.queue(reply)
    ping(hub, tools=pauses.tools())
    assert sum(pauses.slept) == pytest.approx(seconds, abs=0.01)
    assert len(hub.requests) == 2


def test_a_spent_day_ends_everything_without_another_call(hub: HubSpotVendor) -> None:
    hub.daily = 0

    async def work(connector: HubSpotConnector) -> None:
        for _ in range(3):
            with pytest.raises(errors.QuotaSpent) as spent:
                await connector.ping(Deadline(20))
            assert spent.value.stop

    pauses = Pauses()
    reading(hub, work, tools=pauses.tools())
    assert len(hub.requests) == 1
    assert pauses.slept == []


def test_a_sync_through_the_limit_of_searches_loses_nothing(hub: HubSpotVendor) -> None:
    for number in range(8):
        hub.add_contact(f"P{number}", at=NOON + number)
    hub.searches = Limited(3, 0.5, say=False)
    items = upserts(changes(hub, objects=("contacts",), page_size=2))
    assert len({item.id for item in items}) == 8
    assert len(searches(hub)) > 7  # some were refused


def test_no_redirect_is_followed_with_the_token(hub: HubSpotVendor) -> None:
    hub.queue("redirect")
    with pytest.raises(errors.Malformed):
        ping(hub)
    assert hub.elsewhere == []
