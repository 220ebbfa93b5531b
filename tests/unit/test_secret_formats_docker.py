"""Docker's own command line reads what is exported for it; a daemon of ours tells what it read."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from sophiactl.errors import InputError
from sophiactl.secrets.formats import export
from sophiactl.secrets.formats.docker import LONGEST_LINE
from tests.secret_readers import hard_value, same

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.secret_readers import Reader


class _Daemon(BaseHTTPRequestHandler):
    """As much of docker's daemon as creating a container asks for; keeps the environments of the containers."""

    protocol_version = "HTTP/1.1"
    environments: ClassVar[list[list[str]]] = []

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"OK")

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.environments.append(json.loads(self.rfile.read(length))["Env"])
        self._answer(b'{"Id": "0123456789ab", "Warnings": []}', 201)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        for name, value in (
            ("Api-Version", "1.44"),
            ("Content-Length", len(body)),
            ("Content-Type", "application/json"),
        ):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return "local"


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Reader]:
    """What docker's command line reads from an env file, asked for by creating a container at a daemon of ours."""
    if shutil.which("docker") is None:
        pytest.skip("docker's command line is not installed")
    socket = tmp_path / "docker.sock"

    def read(written: bytes) -> dict[str, str]:
        (tmp_path / "file.env").write_bytes(written)
        command = ["docker", "-H", f"unix://{socket}", "create", "--env-file", str(tmp_path / "file.env"), "image"]
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, env=env, check=False)
        assert done.returncode == 0, done.stderr.decode()
        pairs = [pair.partition("=") for pair in _Daemon.environments.pop()]
        return {name: value for name, _, value in pairs}

    with _Server(str(socket), _Daemon) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield read
        server.shutdown()
        thread.join()


def test_docker_itself_reads_ten_thousand_values(docker: Reader) -> None:
    chance = random.Random()
    seed = chance.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - to repeat what failed
    chance.seed(seed)
    assert sum(same("docker", docker, [hard_value(chance) for _ in range(2_500)]) for _ in range(4)) > 1_000


def test_docker_takes_lines_of_the_length_that_we_let_through(docker: Reader) -> None:
    longest = "x" * (LONGEST_LINE - len("V0="))
    assert docker(export({"V0": longest}, "docker")) == {"V0": longest}
    with pytest.raises(InputError, match="V0 cannot be written as docker"):
        export({"V0": longest + "x"}, "docker")
    with pytest.raises(AssertionError):
        docker(f"V0={longest}x\n".encode())
