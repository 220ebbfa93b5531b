"""The store on a server that misbehaves: every answer becomes an error of ours, and none shows the key."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from sophiactl.errors import (
    AuthError,
    ConfigError,
    DeadlineExceeded,
    NotFound,
    RateLimited,
    SophiaError,
    StoreError,
    Unreachable,
    UpstreamError,
)
from sophiactl.memory.base import CollectionSchema
from sophiactl.memory.qdrant_server import ServerStore
from sophiactl.memory.server_errors import checked_url, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.fault

SCHEMA = CollectionSchema(model="mini", revision="a" * 64, dimension=4)
SECRET = "key-that-nobody-may-see"  # noqa: S105 - made up


@contextmanager
def server(status: int, body: bytes, headers: dict[str, str] | None = None) -> Iterator[str]:
    """A server on loopback that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


def open_server(url: str) -> SophiaError:
    with pytest.raises(SophiaError) as caught:
        ServerStore.open(url, "main", SCHEMA, create=False, api_key=SECRET, timeout=2)
    assert SECRET not in f"{caught.value.message} {caught.value.hint} {caught.value!r} {caught.value.__cause__!r}"
    return caught.value


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, AuthError),
        (403, AuthError),
        (404, NotFound),
        (400, StoreError),
        (408, DeadlineExceeded),
        (422, StoreError),
        (429, RateLimited),
        (500, UpstreamError),
        (503, UpstreamError),
        (302, UpstreamError),
    ],
)
def test_what_a_server_answers(status: int, expected: type[SophiaError]) -> None:
    body = json.dumps({"status": {"error": f"no: {SECRET}"}}).encode()
    with server(status, body) as url:
        assert type(open_server(url)) is expected


def test_a_server_that_says_when() -> None:
    with server(429, b'{"status":{"error":"slow down"}}', {"Retry-After": "17"}) as url:
        error = open_server(url)
    assert isinstance(error, RateLimited)
    assert "17 s" in error.message


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"{}", b'{"result": 5}', b"\xff"])
def test_a_server_that_is_no_qdrant(body: bytes) -> None:
    with server(200, body) as url:
        assert isinstance(open_server(url), UpstreamError)


def test_a_server_that_is_not_there() -> None:
    with server(200, b"") as url:
        pass
    error = open_server(url)
    assert isinstance(error, Unreachable)
    assert url in error.message


@pytest.mark.parametrize("kind", [httpx.ReadTimeout, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_a_server_that_is_slow(kind: type[httpx.TimeoutException]) -> None:
    from qdrant_client.http.exceptions import ResponseHandlingException

    error = translated("https://q", ResponseHandlingException(kind("slow")))
    assert isinstance(error, DeadlineExceeded)


@pytest.mark.parametrize(
    "url", ["https://q.example.com", "https://q.example.com:6333/", "http://localhost:6333", "http://[::1]:1"]
)
def test_where_a_server_may_be(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://q.example.com:6333",
        "http://10.0.0.1:6333",
        "http://localhost.example.com",
        "ftp://q.example.com",
        "q.example.com:6333",
        "https://",
        "https://user:hunter2@q.example.com",
        "https://q.example.com?api-key=hunter2",
        "https://q.example.com:notaport",
        "",
    ],
)
def test_where_a_server_may_not_be(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_url(url)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.hint is not None
