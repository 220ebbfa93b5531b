"""Prism, which serves an API description and judges what it is asked: run as a process, with a relay in front."""

from __future__ import annotations

import http.client
import os
import re
import select
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import msgspec
import pytest

from sophiactl.testing.web_server import Reply, Seen, WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Read when the tests are collected: a test itself sees none of the caller's settings.
NAMED = os.environ.get("SOPHIACTL_TEST_PRISM", "")
START_SECONDS = 60.0
_OWN_ADDRESS = re.compile(rb'"instance_url"\s*:\s*"[^"]*"')
_HOP = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}


class Relay(WebServer):
    """Passes requests on to Prism, which knows of no base path, and keeps what Prism finds wrong with them."""

    def __init__(self, port: int, base_path: str) -> None:
        super().__init__()
        self.port = port
        self.base_path = base_path
        self.wrong: list[str] = []
        self.statuses: list[tuple[str, int]] = []

    def answer(self, seen: Seen) -> Reply:
        path = quote(seen.path.removeprefix(self.base_path)) + (f"?{seen.raw_query}" if seen.raw_query else "")
        headers = {name: value for name, value in seen.headers.items() if name not in _HOP}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(seen.method, path, body=seen.body or None, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        asked = f"{seen.method} {seen.path}"
        self.statuses.append((asked, answer.status))
        violations = msgspec.json.decode(answer.headers.get("sl-violations") or "[]")
        self.wrong += [f"{asked}: {each}" for each in violations if each["location"][:1] == ["request"]]
        if answer.status in (401, 404, 405, 415, 422):
            self.wrong.append(f"{asked}: {answer.status} {body[:300]!r}")
        # A login answers with the address of the company's own host: here that is this relay.
        body = _OWN_ADDRESS.sub(b'"instance_url": "' + self.base_url.encode() + b'"', body)
        return Reply(answer.status, body, {"Content-Type": answer.headers.get("content-type", "application/json")})


@contextmanager
def serving(description: Path) -> Iterator[Relay]:
    """Prism with a description, from when it listens until the end of the block. Skips where there is none."""
    program = NAMED or shutil.which("prism")
    if shutil.which("node") is None or not program:
        pytest.skip("needs node, and Prism in PATH or named by SOPHIACTL_TEST_PRISM (npm i @stoplight/prism-cli)")
    port = _free_port()
    # Nothing of the caller's environment: a proxy named there would stand between Prism and loopback.
    process = subprocess.Popen(
        [program, "mock", "-h", "127.0.0.1", "-p", str(port), str(description)],
        env={"PATH": os.environ["PATH"], "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        _await_listening(process)
        base_path = urlsplit(_server_of(description)).path.rstrip("/")
        with Relay(port, base_path) as relay:
            yield relay
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _server_of(description: Path) -> str:
    read: Any = msgspec.json.decode(description.read_bytes())
    return str(read["servers"][0]["url"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_listening(process: subprocess.Popen[bytes]) -> None:
    """Until Prism says that it listens. It goes on writing, little enough for a pipe."""
    assert process.stdout is not None
    said, end = b"", time.monotonic() + START_SECONDS
    while b"is listening on" not in said:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 65_536) if ready else b""
        if not piece:
            raise OSError(f"Prism does not listen: {said[-2000:].decode(errors='replace')}")
        said += piece
