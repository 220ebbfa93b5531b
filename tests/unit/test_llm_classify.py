from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.llm.classify import NoConnection, Peer, broken, from_error, from_response
from sophiactl.llm.failures import (
    BadRequest,
    Broken,
    CallFailed,
    ContextTooLong,
    Filtered,
    OutOfCredit,
    Overloaded,
    Refused,
    Throttled,
)
from sophiactl.llm.retry_after import retry_after
from sophiactl.redaction import Redactor
from sophiactl.redaction.redactor import LONGEST

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
KEY = "vault/9f8e7d6c5b4a3f2e1d0c"
PEER = Peer("acme", "api.acme.example", "ACME_KEY", Redactor(KEY).line)


def _error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message} | fields}


def _classify(status: int, body: Any, headers: dict[str, str] | None = None) -> CallFailed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_response(PEER, status, headers or {}, raw, now=NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # Keys
        (401, _error("No auth credentials found", code=401), Refused),
        (401, b"", Refused),
        (403, _error("permission denied", type="permission_error"), Refused),
        (403, b"Forbidden", Refused),
        (
            400,
            [_error("API key not valid. Please pass a valid API key.", code=400, status="INVALID_ARGUMENT")],
            Refused,
        ),
        (400, {"code": "invalid argument", "error": "Incorrect API key provided: xa***. See the console."}, Refused),
        (400, {"status": "failure", "message": "Invalid API Key. Error Code: 03"}, Refused),
        # A firewall or gateway in between
        (403, b"<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title></html>", NoConnection),
        # Credit
        (402, _error("This request requires more credits, or fewer max_tokens.", code=402), OutOfCredit),
        (402, b"", OutOfCredit),
        (400, _error("Your credit balance is too low to access the API", type="invalid_request_error"), OutOfCredit),
        (400, _error("You have reached your specified API usage limits.", type="invalid_request_error"), OutOfCredit),
        (
            403,
            {"code": "x", "error": "Your team has either used all available credits or reached its limit"},
            OutOfCredit,
        ),
        (403, _error("Key limit exceeded (monthly limit).", code=403), OutOfCredit),
        (429, _error("You exceeded your current quota", type="insufficient_quota"), OutOfCredit),
        (429, _error("You exceeded your current quota, please check your plan and billing details."), OutOfCredit),
        (429, _error("Your team has reached its monthly spending limit"), OutOfCredit),
        # Later
        (429, _error("Rate limit reached", code="rate_limit_exceeded"), Throttled),
        (429, b"", Throttled),
        # The prompt
        (
            400,
            _error("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
            ContextTooLong,
        ),
        (400, {"type": "error", **_error("prompt is too long: 203000 tokens > 200000 maximum")}, ContextTooLong),
        (400, [_error("The input token count (1200000) exceeds the maximum number of tokens allowed")], ContextTooLong),
        (400, _error("This model's maximum prompt length is 131072 but the request contains 170000"), ContextTooLong),
        (
            400,
            _error("the request exceeds the available context size", type="exceed_context_size_error"),
            ContextTooLong,
        ),
        (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens."}, ContextTooLong),
        (400, _error("bad", metadata={"raw": '{"error":{"message":"prompt is too long"}}'}), ContextTooLong),
        (
            413,
            _error("Request too large for model `m` on tokens per minute", code="rate_limit_exceeded"),
            ContextTooLong,
        ),
        (429, _error("Request too large for gpt-x on tokens per min (TPM): Limit 30000"), ContextTooLong),
        # Filters
        (400, _error("The response was filtered", code="content_filter"), Filtered),
        (400, _error("x", innererror={"code": "ResponsibleAIPolicyViolation"}, code="content_filter"), Filtered),
        (403, _error("Your chosen model requires moderation and your input was flagged", code=403), Filtered),
        # The request
        (404, {"error": "model 'x' not found"}, BadRequest),
        (404, {"detail": "Not Found"}, BadRequest),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, BadRequest),
        (400, _error("Unsupported parameter: 'max_tokens'"), BadRequest),
        (501, b"", BadRequest),
        # The provider
        (500, _error("The server had an error", type="server_error"), Overloaded),
        (503, b"<html><body>503 Service Temporarily Unavailable</body></html>", Overloaded),
        (529, {"type": "error", **_error("Overloaded", type="overloaded_error")}, Overloaded),
        (408, b"", Overloaded),
        (302, b"", Broken),
        (304, b"", Broken),
    ],
)
def test_answers_of_real_providers(status: int, body: Any, kind: type[CallFailed]) -> None:
    failure = _classify(status, body)
    assert type(failure) is kind
    assert failure.status == status
    assert failure.hint
    assert "acme" in failure.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 502, "message": "Provider returned error"}, Overloaded),
        ({"code": "429", "message": "slow down"}, Throttled),
        ({"type": "overloaded_error", "message": "Overloaded"}, Overloaded),
        ({"type": "rate_limit_error", "message": "x"}, Throttled),
        ({"type": "authentication_error", "message": "x"}, Refused),
        ({"type": "invalid_request_error", "message": "your credit balance is too low"}, OutOfCredit),
        ({"code": 402, "message": "no"}, OutOfCredit),
        ({"message": "maximum context length is 10"}, ContextTooLong),
        ("something went wrong", Overloaded),
        (["?"], Overloaded),
        (17, Overloaded),
        ({}, Overloaded),
    ],
)
def test_errors_inside_an_answer_of_status_200(error: Any, kind: type[CallFailed]) -> None:
    assert type(from_error(PEER, error, now=NOW)) is kind


@pytest.mark.parametrize(
    ("headers", "error", "seconds"),
    [
        ({"Retry-After": "7"}, None, 7),
        ({"retry-after": "1.5"}, None, 1.5),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, None, 0.25),
        ({"Retry-After": "Sun, 22 Nov 2026 12:01:30 GMT"}, None, 90),
        ({"Retry-After": "Sun, 22 Nov 2026 11:00:00 GMT"}, None, 0),
        ({"Retry-After": "-3"}, None, 0),
        ({"Retry-After": "nan"}, None, None),
        ({"Retry-After": "1e99"}, None, None),
        ({"Retry-After": "soon"}, None, None),
        ({"Retry-After": ""}, None, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0.5s"}, None, 360.5),
        ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "1h"}, None, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, None, 0.02),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp() * 1000) + 5000)}, None, 5),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) + 5)}, None, 5),
        ({}, {"message": "Please try again in 1.2s."}, 1.2),
        ({}, {"message": "Please try again in 6m0s. Visit the page"}, 360),
        ({}, {"message": "Please retry after 20 seconds."}, 20),
        ({}, {"message": "x", "details": [{"@type": "RetryInfo", "retryDelay": "34s"}]}, 34),
        ({}, {"message": "x", "metadata": {"headers": {"X-RateLimit-Reset": str(NOW.timestamp() * 1000 + 9000)}}}, 9),
        ({}, {"message": "x"}, None),
    ],
)
def test_when_to_try_again(headers: dict[str, str], error: Any, seconds: float | None) -> None:
    failure = _classify(429, {"error": error or {"message": "slow down"}}, headers)
    assert failure.retry_after == (None if seconds is None else pytest.approx(seconds))


def test_a_quota_per_minute_is_no_empty_account() -> None:
    error = _error("You exceeded your current quota", status="RESOURCE_EXHAUSTED", details=[{"retryDelay": "34s"}])
    failure = _classify(429, [error])
    assert (type(failure), failure.retry_after) == (Throttled, 34)


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset"]), st.text()), st.text())
def test_any_nonsense_is_a_wait_or_none(headers: dict[str, str], message: str) -> None:
    wait = retry_after(headers, message, None, now=NOW)
    assert wait is None or 0 <= wait < 32 * 86_400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "code", "type", "metadata"]), inner)
    ),
    max_leaves=8,
)


@given(st.integers(300, 599), JSON)
def test_any_error_body_becomes_a_failure(status: int, body: Any) -> None:
    failure = _classify(status, body)
    assert isinstance(failure, CallFailed)
    assert failure.message.isprintable()
    from_error(PEER, body, now=NOW)


@given(st.integers(300, 599), st.binary())
def test_any_bytes_become_a_failure(status: int, body: bytes) -> None:
    assert isinstance(_classify(status, body), CallFailed)


@pytest.mark.parametrize("body", [b'{"error": ' * 5000, b"[" * 100_000, b"<" * 60_000, b"<script" * 9000])
def test_bodies_made_to_break_readers(body: bytes) -> None:
    assert type(_classify(500, body)) is Overloaded


# Messages


@given(st.text(), st.text(), st.integers(300, 599))
def test_no_message_holds_a_key(before: str, after: str, status: int) -> None:
    for said in (f"{before}{KEY}{after}", f"{before} Bearer {KEY}", f"{before}{KEY[:14]}\0{KEY[14:]}{after}"):
        for body in (_error(said), said.encode("utf-8", "replace"), {"detail": [{"input": said}]}):
            failure = _classify(status, body, {"Location": f"https://x.example/{KEY}"})
            assert KEY not in failure.message
            assert KEY[:10] not in failure.message
    assert KEY not in broken(PEER, f"answered with {KEY}").message


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcDEF1234567890",
        "sk-ab***********************xyz",
        "Bearer abcdef.ghijk",
        "AIzaSyA-1234567890abcdefghij",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "gsk_1234567890abcdef",
    ],
)
def test_what_looks_like_a_key_is_gone(secret: str) -> None:
    assert Redactor().line(f"Incorrect key: {secret}, see the page") == "Incorrect key: [redacted], see the page"


def test_plain_words_stay() -> None:
    text = "The task-based rate limit of basic-tier users was reached; ask sk for more."
    assert Redactor("k" * 20).line(text) == text


def test_messages_are_short_and_on_one_line() -> None:
    text = Redactor().line("one\r\n\x1b[31mtwo\u202e " + "x" * 5000)
    assert text.startswith("one [31mtwo x")
    assert len(text) == LONGEST
    assert len(_classify(500, _error("y" * 5000)).message) <= LONGEST


def test_a_page_is_named_by_its_title() -> None:
    failure = _classify(403, b"<!doctype html><html><head><title>Blocked\nby firewall</title><body>lots of text")
    assert "Blocked by firewall" in failure.message
    assert "lots of text" not in failure.message
    assert failure.again == "elsewhere"
