"""The store on a server that misbehaves: every answer becomes an error of ours, and none shows the key."""

from __future__ import annotations

import json
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

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
from sophiactl.memory.base import CollectionSchema, Point, SparseVector
from sophiactl.memory.qdrant_server import ServerStore
from sophiactl.memory.server_errors import checked_url, translated
from sophiactl.memory.server_setup import at_work
from sophiactl.model import Record

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


# At work, and older collections


def described(status: str, optimizer: Any = "ok", queue: int = 0) -> models.CollectionInfo:
    """What a server says of a collection."""
    with closing(QdrantClient(":memory:")) as client:
        client.create_collection("c", vectors_config={})
        plain = client.get_collection("c").model_dump()
    plain |= {"status": status, "optimizer_status": optimizer, "update_queue": {"length": queue}}
    return models.CollectionInfo.model_validate(plain)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (described("green"), None),
        (described("yellow"), "rebuilding segments"),
        (described("grey"), "waits for the next write"),
        (described("red"), "failed"),
        (described("green", queue=1200), "1,200 writes to apply"),
        (described("yellow", {"error": "no space\x1b[31m left"}), "failed: no space[31m left"),
    ],
    ids=["at rest", "yellow", "grey", "red", "queue", "error"],
)
def test_what_the_server_is_at_work_on(info: models.CollectionInfo, words: str | None) -> None:
    found = at_work(info)
    assert found is None if words is None else words in str(found)


class Watched:
    """The client's local mode, which knows no indexes, with a server's: facets need one."""

    def __init__(self) -> None:
        self.client = QdrantClient(":memory:")
        self.indexes: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def get_collection(self, name: str) -> models.CollectionInfo:
        schema = {
            field: models.PayloadIndexInfo(data_type=models.PayloadSchemaType.KEYWORD, points=0)
            for field in self.indexes
        }
        return self.client.get_collection(name).model_copy(update={"payload_schema": schema})

    def create_payload_index(self, _: str, field: str, *, field_schema: Any, wait: bool) -> None:
        assert wait
        self.indexes[field] = field_schema

    def facet(self, name: str, key: str, **options: Any) -> models.FacetResponse:
        if key not in self.indexes:
            content = json.dumps({"status": {"error": f"No appropriate index for faceting: {key}"}}).encode()
            raise UnexpectedResponse(400, "Bad Request", content, httpx.Headers())
        return self.client.facet(name, key, **options)


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.client.close()


def on(watched: Watched) -> ServerStore:
    client: Any = watched
    return ServerStore.open(
        "http://localhost:6333", "main", SCHEMA, create=True, api_key=None, timeout=5, client=client
    )


def test_what_plans_filter_by_is_indexed(watched: Watched) -> None:
    with on(watched):
        pass
    kinds = {field: getattr(kind, "type", kind) for field, kind in watched.indexes.items()}
    assert {field: str(kind.value) for field, kind in kinds.items()} == {
        **dict.fromkeys(("class", "state", "thread", "source", "tags", "_terms_metadata"), "keyword"),
        **dict.fromkeys(("likeness", "keep_model"), "keyword"),
        **dict.fromkeys(("created_at", "updated_at", "last_accessed", "cooled_at"), "datetime"),
        **dict.fromkeys(("accesses", "keep_bucket"), "integer"),
        "pinned": "bool",
    }
    for field in ("accesses", "keep_bucket"):
        assert (watched.indexes[field].lookup, watched.indexes[field].range) == (True, True)


def test_a_collection_of_an_older_version_is_read_point_by_point_until_it_is_indexed(watched: Watched) -> None:
    with on(watched) as store:
        records = [Record(id=str(place), text="t", keep_bucket=place % 3) for place in range(10)]
        store.upsert([Point(record, np.ones(4, dtype=np.float32), SparseVector()) for record in records])
        del watched.indexes["keep_bucket"], watched.indexes["likeness"]
        assert store.histogram("keep_bucket") == {0: 4, 1: 3, 2: 3}
        assert "keep_bucket" not in watched.indexes
        store.optimize()
        assert {"keep_bucket", "likeness"} <= set(watched.indexes)
        assert store.histogram("keep_bucket") == {0: 4, 1: 3, 2: 3}
