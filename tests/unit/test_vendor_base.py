"""The ground of all loopback vendors watches its clients: it must see what is wrong, and nothing else."""

from __future__ import annotations

import http.client
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import pytest

from sophiactl.testing.vendors.base import Limited
from sophiactl.testing.web_server import Reply
from tests.session_vendor import KEY, AcmeVendor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sophiactl.testing.web_server import Seen


@pytest.fixture
def acme() -> Iterator[AcmeVendor]:
    with AcmeVendor() as vendor:
        yield vendor


def ask(vendor: AcmeVendor, path: str = "/x", method: str = "GET") -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(urlsplit(vendor.address).netloc, timeout=10)
    try:
        connection.request(method, path, headers={"Authorization": f"Bearer {KEY}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_without_a_limit_everything_is_served(acme: AcmeVendor) -> None:
    assert [ask(acme)[0] for _ in range(30)] == [200] * 30
    assert not acme.violations


def test_a_limit_counts_what_came_in_a_time(acme: AcmeVendor) -> None:
    acme.limit = Limited(3, 0.3, say=False)
    assert [ask(acme)[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    pause(0.35)
    assert ask(acme)[0] == 200
    assert not acme.violations  # nobody was told when to come


def test_who_comes_early_is_noted_and_who_comes_in_time_is_not(acme: AcmeVendor) -> None:
    acme.limit = Limited(1, 0.1)
    assert ask(acme)[0] == 200
    status, headers = ask(acme)
    assert (status, headers["retry-after"]) == (429, "1")
    assert ask(acme)[0] == 429  # was on its way while that was said
    assert not acme.violations
    pause(0.3)
    assert ask(acme)[0] == 429
    assert len(acme.violations) == 1
    assert "before Retry-After was over" in acme.violations[0]
    pause(0.8)
    assert ask(acme)[0] == 200
    assert len(acme.violations) == 1


def test_who_obeys_is_never_early(acme: AcmeVendor) -> None:
    acme.limit = Limited(1, 1.3)  # rounds up: 2 s are said, and after 2 s it is open
    ask(acme)
    status, headers = ask(acme)
    assert (status, headers["retry-after"]) == (429, "2")
    pause(float(headers["retry-after"]))
    assert ask(acme)[0] == 200
    assert not acme.violations


def test_limits_of_methods_are_counted_apart(acme: AcmeVendor) -> None:
    acme.limit = Limited(1, 5)
    assert [ask(acme, path)[0] for path in ("/m/a", "/m/a", "/m/b", "/x", "/m/b")] == [200, 429, 200, 200, 429]
    pause(0.3)
    ask(acme, "/m/c")
    assert not acme.violations
    ask(acme, "/m/a")
    assert ["/m/a" in violation for violation in acme.violations] == [True]


@pytest.mark.parametrize("fault", ["429", "503-1"])
def test_a_fault_that_was_queued_is_watched_too(acme: AcmeVendor, fault: str) -> None:
    acme.queue(fault)
    ask(acme)
    pause(0.3)
    assert ask(acme)[0] == 200
    assert "before Retry-After was over" in acme.violations[0]


def test_the_check_sees_every_request(acme: AcmeVendor) -> None:
    def check(seen: Seen) -> list[str]:
        return [] if "limit" in seen.query else ["no limit", "no order"]

    acme.check = check
    acme.queue("500")
    assert [ask(acme, path)[0] for path in ("/x", "/x?limit=1", "/y")] == [500, 200, 200]
    assert acme.violations == ["GET /x: no limit", "GET /x: no order", "GET /y: no limit", "GET /y: no order"]


def test_a_check_or_a_vendor_that_fails_says_so(acme: AcmeVendor) -> None:
    def broken(seen: Seen) -> list[str]:
        raise KeyError(seen.path)

    acme.check = broken
    assert ask(acme)[0] == 500
    assert acme.violations == ["GET /x: the vendor failed: KeyError('/x')"]


@pytest.mark.parametrize(
    ("method", "path", "write"),
    [
        ("GET", "/anything", False),
        ("POST", "/v1/search", False),
        ("POST", "/v1/data_sources/1/query", False),
        ("POST", "/services/oauth2/token", False),
        ("POST", "/v2/calls/extensive", False),
        ("POST", "/v1/pages", True),
        ("POST", "/v1/search/save", True),
        ("PUT", "/v1/search", True),
        ("PATCH", "/v1/pages/1", True),
        ("DELETE", "/v1/pages/1", True),
    ],
)
def test_writes_are_noted(acme: AcmeVendor, method: str, path: str, *, write: bool) -> None:
    ask(acme, path, method)
    assert acme.violations == ([f"{method} {path}: a write"] if write else [])


def test_many_at_once_are_counted_exactly(acme: AcmeVendor) -> None:
    acme.limit = Limited(5, 30, say=False)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(ask(acme)[0])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200] * 5 + [429] * 7


def test_a_query_is_kept_as_it_was_sent(acme: AcmeVendor) -> None:
    ask(acme, "/x?q=a%26b%3Dc+d%2Be&limit=2&limit=3")
    assert acme.requests[0].raw_query == "q=a%26b%3Dc+d%2Be&limit=2&limit=3"
    assert acme.requests[0].query == {"q": "a&b=c d+e", "limit": "3"}


def test_a_reply_in_the_vendors_own_words(acme: AcmeVendor) -> None:
    reply = acme.slow_down(1.2, say=True)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers["Retry-After"]) == (429, "2")
    assert "Retry-After" not in acme.slow_down(1.2, say=False).headers
    assert msgspec.json.decode(reply.body)["error"]
