from __future__ import annotations

import errno
import hashlib
import io
import socket
import threading
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.request import Request

import pytest

from sophiactl.embedding import download, weights
from sophiactl.errors import (
    ConfigError,
    DeadlineExceeded,
    DiskFull,
    ModelError,
    NotFound,
    SophiaError,
    Unreachable,
    UpstreamError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = bytes(range(256)) * 40
DIGEST = hashlib.sha256(BODY).hexdigest()


class Hub(ThreadingHTTPServer):
    """A file server that can break off, redirect, stall, or know no ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        self.send = len(BODY)
        self.knows_ranges = True
        self.redirect = ""
        self.status = 200
        self.release = threading.Event()
        self.stall = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        hub = self.server
        wanted = self.headers.get("Range")
        hub.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and hub.knows_ranges else 0
        if hub.redirect or hub.status != 200 or start >= len(BODY):
            self.send_response(302 if hub.redirect else hub.status if hub.status != 200 else 416)
            self.send_header("Location", hub.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        self.wfile.write(BODY[start : hub.send])
        if hub.stall:
            self.wfile.flush()
            hub.release.wait(10)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


def test_a_file_arrives_whole_with_progress(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    download.fetch(hub.url, tmp_path / "file", DIGEST, progress=lambda done, total: seen.append((done, total)))
    assert (tmp_path / "file").read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_broken_download_is_told_and_continued(hub: Hub, tmp_path: Path) -> None:
    hub.send = 1000
    with pytest.raises(UpstreamError, match="broke off"):
        download.fetch(hub.url, tmp_path / "file", DIGEST)
    assert not (tmp_path / "file").exists()
    hub.send = len(BODY)
    download.fetch(hub.url, tmp_path / "file", DIGEST)
    assert (tmp_path / "file").read_bytes() == BODY
    assert hub.ranges == [None, "bytes=1000-"]


def test_a_server_without_ranges_starts_over(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(BODY[:1000])
    hub.knows_ranges = False
    download.fetch(hub.url, tmp_path / "file", DIGEST)
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_part_that_is_already_whole_is_taken(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(BODY)
    download.fetch(hub.url, tmp_path / "file", DIGEST)
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_wrong_hash_leaves_nothing_behind(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected sha256 0000"):
        download.fetch(hub.url, tmp_path / "file", "0" * 64)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "target", ["http://hub.example/file", "ftp://127.0.0.1/file", "file:///etc/passwd", "http://127.0.0.1.example/"]
)
def test_unsafe_addresses_are_refused_directly_and_by_redirect(hub: Hub, tmp_path: Path, target: str) -> None:
    hub.redirect = target
    for url in (target, hub.url):
        with pytest.raises(SophiaError, match=r"refused|not allowed"):
            download.fetch(url, tmp_path / "file", DIGEST)


def test_a_redirect_from_https_may_not_leave_it() -> None:
    request = Request("https://hub.example/file")
    with pytest.raises(ConfigError, match="from https"):
        download._SafeRedirects().redirect_request(
            request, io.BytesIO(), 302, "Found", HTTPMessage(), "http://127.0.0.1/file"
        )


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (500, UpstreamError), (403, UpstreamError)])
def test_refusals_are_typed(hub: Hub, tmp_path: Path, status: int, kind: type[SophiaError]) -> None:
    hub.status = status
    with pytest.raises(kind, match=str(status)):
        download.fetch(hub.url, tmp_path / "file", DIGEST)


def test_nobody_listening_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(Unreachable, match="no answer"):
        download.fetch(f"http://127.0.0.1:{port}/file", tmp_path / "file", DIGEST)


def test_a_stalled_server_meets_the_deadline_and_what_came_is_kept(hub: Hub, tmp_path: Path) -> None:
    hub.stall, hub.send = True, 1000
    with pytest.raises(DeadlineExceeded):
        download.fetch(hub.url, tmp_path / "file", DIGEST, timeout=0.3)
    assert (tmp_path / "file.part").read_bytes() == BODY[:1000]


@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, DiskFull), (errno.EACCES, ModelError)])
def test_disk_trouble_is_typed(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[SophiaError]
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(code, "trouble", str(tmp_path / "file.part"))

    monkeypatch.setattr(download, "_receive", full)
    with pytest.raises(kind):
        download.fetch(hub.url, tmp_path / "file", DIGEST)


def test_pull_fetches_every_file_once(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = weights.KnownModel(
        name="tiny",
        dimension=4,
        licence="Apache-2.0",
        hub="owner/tiny",
        hub_revision="abc",
        package="no_such_package",
        files=dict.fromkeys((weights.CONFIG, weights.TOKENIZER, weights.WEIGHTS), DIGEST),
    )
    monkeypatch.setattr(weights, "KNOWN", {"tiny": tiny})
    seen: set[str] = set()
    folder = weights.pull("tiny", tmp_path, hub.url, lambda *step: seen.add(step[0]))
    assert seen == set(tiny.files)
    assert folder == weights.locate(weights_config("tiny"), tmp_path)
    assert weights.verify(folder, tmp_path) == DIGEST
    (folder.path / weights.CONFIG).write_bytes(b"damaged")
    hub.ranges.clear()
    weights.pull("tiny", tmp_path, hub.url)
    assert len(hub.ranges) == 1
    assert (folder.path / weights.CONFIG).read_bytes() == BODY


def weights_config(name: str) -> Any:
    from sophiactl.embedding.base import EmbeddingConfig

    return EmbeddingConfig(model=name)
