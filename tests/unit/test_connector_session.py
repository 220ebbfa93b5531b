from __future__ import annotations

from typing import Any

import pytest

from sophiactl.connectors import reading
from sophiactl.connectors import session as session_module
from sophiactl.connectors.errors import (
    BadQuery,
    Garbled,
    ItemGone,
    KeyRefused,
    Malformed,
    MissingScope,
    NoService,
    QuotaSpent,
    ServiceDown,
    ServiceError,
    TooFast,
)
from sophiactl.connectors.session import Answer, Call
from sophiactl.redaction import Redactor
from sophiactl.web import HostRefused, NotConnected, TlsFailed, TooLarge, WebAnswer, WebRequest, checked_address
from tests.session_vendor import GET, KEY, Wire, answered, asked

# Requests


@pytest.mark.parametrize("base", ["https://acme.example", "https://acme.example/"])
@pytest.mark.parametrize("path", ["users/me", "/users/me"])
def test_slashes_between_base_and_path_do_not_matter(base: str, path: str) -> None:
    wire = Wire()
    asked(wire, Call("GET", path), base_url=base)
    assert wire.seen[0].url == "https://acme.example/users/me"


def test_a_version_in_the_base_url_stays() -> None:
    wire = Wire()
    asked(wire, GET, base_url="https://acme.example:8443/api/1.0/")
    assert wire.seen[0].url == "https://acme.example:8443/api/1.0/x"


def test_a_call_becomes_a_request() -> None:
    wire = Wire()
    params: dict[str, Any] = {"q": "a b&c=ü", "limit": 3, "archived": False, "ids": ["1", "2"]}
    asked(wire, Call("GET", "/x?v=2", params))
    asked(wire, Call("POST", "/x", json={"id": 2**70}, headers={"Acme-Version": "7"}))
    asked(wire, Call("POST", "/token", form={"secret": "s+/="}))
    first, second, third = wire.seen
    assert first.url == "https://acme.example/x?v=2&q=a+b%26c%3D%C3%BC&limit=3&archived=false&ids=1&ids=2"
    assert first.headers == {"Accept": "application/json", "Authorization": f"Bearer {KEY}"}
    assert (second.body, second.headers["Acme-Version"]) == (b'{"id":1180591620717411303424}', "7")
    assert second.headers["Content-Type"] == "application/json"
    assert (third.body, third.headers["Content-Type"]) == (b"secret=s%2B%2F%3D", "application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/x",
        "https://acme.example.evil.example/x",
        "https://acme.example@evil.example/x",
        "https://key:secret@acme.example/x",
        "https://acme.example:8443/x",
        "http://acme.example/x",
        "HTTP://acme.example/x",
        "http://127.0.0.1:9/x",
        "https://[half/x",
        "https://acme.example:port/x",
    ],
)
def test_an_address_elsewhere_that_a_service_hands_us_is_not_asked(path: str) -> None:
    wire = Wire()
    wire.script = [_refusing]
    error = asked(wire, Call("GET", path))
    assert isinstance(error, Malformed)
    assert error.stop
    assert "secret" not in str(error)


def _refusing(request: WebRequest, now: float) -> Any:
    """As the real connection does."""
    try:
        checked_address(request.url, ("acme.example",))
    except HostRefused as error:
        return error
    return answered()


def test_a_whole_address_of_the_service_is_asked() -> None:
    wire = Wire(_refusing)
    for path in ("https://acme.example/next?page=2", "https://acme.example:443/next", "HTTPS://acme.example/next"):
        assert isinstance(asked(wire, Call("GET", path)), Answer)
    loopback = "http://127.0.0.1:4711"
    assert isinstance(asked(Wire(), Call("GET", f"{loopback}/next"), base_url=f"{loopback}/api"), Answer)


@pytest.mark.parametrize(
    "call", [Call("GET", "/a\x00b"), Call("GET", "/a\r\nHost: b"), Call("POST", "/", json="\ud800")]
)
def test_what_cannot_be_sent_is_our_mistake(call: Call) -> None:
    wire = Wire()
    assert isinstance(asked(wire, call), BadQuery)
    assert not wire.seen


def test_half_a_surrogate_pair_in_a_search_is_replaced() -> None:
    wire = Wire()
    asked(wire, Call("GET", "/x", {"q": "\ud83d"}))
    assert wire.seen[0].url.endswith("?q=%3F")


def test_nothing_that_shows_itself_shows_a_secret() -> None:
    call = Call("POST", "https://acme.example/x?token=abc", {"key": KEY}, json={"k": KEY}, form={"k": KEY})
    shown = repr((call, Answer({"access_token": KEY}, {"set-cookie": KEY})))
    assert KEY not in shown
    assert "abc" not in shown
    assert call.shown_path == "/x"


# Answers


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"[]", []),
        (b'\xef\xbb\xbf {"a": 1}', {"a": 1}),
        (b'{"id": 123456789012345678901234567890}', {"id": 123456789012345678901234567890}),
        (b'{"id": 9007199254740993, "n": NaN, "i": -Infinity}', {"id": 9007199254740993, "n": None, "i": None}),
        (b'{"a": "x\x00\ny"}', {"a": "x\x00\ny"}),
        (b'{"a": "\\u0000"}', {"a": "\x00"}),
        (b'{"a": "\\ud83d!"}', {"a": "\ud83d!"}),
        (b'{"a": "\xff!"}', {"a": "�!"}),
    ],
)
def test_json_that_is_read(body: bytes, value: Any) -> None:
    for kind in ("application/json", "text/html", "application/octet-stream", ""):
        answer = asked(Wire(WebAnswer(200, {"content-type": kind}, body)))
        assert isinstance(answer, Answer)
        assert answer.json == value


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b'{"a": tr', b'{"a": 1', b"<html></html>", b"null", b'"ok"', b"3", b"[" * 100_000, b"\x00", b"\xff\xfe",
     b'{"a":' * 60_000, b"[" + b"1" * 5000 + b"]"],
)  # fmt: skip
def test_what_is_no_json_is_tried_again_and_then_malformed(body: bytes) -> None:
    wire = Wire(answered(200, body))
    error = asked(wire)
    assert isinstance(error, Garbled)
    assert error.code == "malformed"
    assert len(wire.sent) == 5
    assert isinstance(asked(Wire(answered(200, body), answered())), Answer)


@pytest.mark.parametrize("status", [204, 205])
def test_no_content_is_a_good_answer(status: int) -> None:
    assert asked(Wire(WebAnswer(status, {}, b""))) == Answer({}, {}, status)


def test_a_service_may_find_a_404_good() -> None:
    wire = Wire(answered(404, {"errors": ["No calls found"]}))
    answer = asked(wire, judge=lambda *_: None)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.json) == (404, {"errors": ["No calls found"]})


PAGE = WebAnswer(200, {"content-type": "text/html"}, b"<!DOCTYPE html><title>Blocked</title>")


def page(status: int) -> WebAnswer:
    return WebAnswer(status, PAGE.headers, PAGE.body)


@pytest.mark.parametrize(
    ("met", "kind", "tries"),
    [
        (answered(400, {"error": "no"}), BadQuery, 1),
        (answered(401, {"error": "no"}), KeyRefused, 1),
        (WebAnswer(401, {}, b""), KeyRefused, 1),
        (answered(402, {"error": "no"}), MissingScope, 1),
        (answered(403, {"error": "no"}), MissingScope, 1),
        (WebAnswer(403, {"content-type": "text/plain"}, b"Bad_OAuth_Token"), MissingScope, 1),
        (answered(404, {"error": "no"}), ItemGone, 1),
        (answered(410, {"error": "no"}), ItemGone, 1),
        (answered(413), BadQuery, 1),
        (answered(418), BadQuery, 1),
        (answered(408), ServiceDown, 5),
        (answered(409), ServiceDown, 5),
        (answered(425), ServiceDown, 5),
        (answered(429), TooFast, 5),
        (answered(500), ServiceDown, 5),
        (answered(502, b""), ServiceDown, 5),
        (answered(529), ServiceDown, 5),
        (page(200), Garbled, 5),
        (page(401), ServiceDown, 5),
        (page(403), ServiceDown, 5),
        (page(404), Malformed, 1),
        (page(429), TooFast, 5),
        (page(502), ServiceDown, 5),
        (answered(302, b"", location="https://evil.example"), Malformed, 1),
        (answered(304, b""), Malformed, 1),
        (NotConnected("no connection to acme.example: refused"), NoService, 5),
        (TlsFailed("no TLS with acme.example"), NoService, 1),
        (HostRefused("acme.example is not among the hosts"), Malformed, 1),
        (TooLarge("acme.example answered with more than 64 MiB"), Malformed, 1),
        (answered(429, {"error": "quota"}), QuotaSpent, 1),
    ],
)
def test_each_failure_has_its_kind_and_is_tried_as_often_as_makes_sense(
    met: Any, kind: type[ServiceError], tries: int
) -> None:
    wire = Wire(met)
    error = asked(wire)
    assert type(error) is kind
    assert error.service == "acme"
    assert error.message.startswith("acme ")
    assert error.hint
    assert "{" not in error.hint
    assert len(wire.sent) == tries
    assert error.__cause__ is None


def test_hints_name_the_command_that_helps() -> None:
    assert asked(Wire(answered(401))).hint.endswith("sophiactl secrets validate acme --live")  # type: ignore[union-attr]
    assert asked(Wire(answered(403))).hint.endswith("sophiactl connectors check acme")  # type: ignore[union-attr]


def test_a_key_that_a_service_repeats_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = Redactor(KEY)
    monkeypatch.setattr(session_module, "REDACTOR", redactor)
    monkeypatch.setattr(reading, "REDACTOR", redactor)

    def careless(answer: WebAnswer, value: Any) -> ServiceError:
        return KeyRefused(f"acme said: {value['error']}", service="acme", hint=f"not {KEY}")

    said = answered(401, {"error": f"bad key {KEY}\n\x1b[31m and xoxb-1234567890-abcdef"})
    for error in (asked(Wire(said)), asked(Wire(said), judge=careless)):
        assert isinstance(error, KeyRefused)
        shown = f"{error!r} {error} {error.message} {error.hint} {error.args}"
        assert KEY not in shown
        assert "xoxb" not in shown
        assert "\x1b" not in shown
        assert "bad key [redacted]" in shown
