"""Portkey's own gateway, from npm: installed outside the repository, and run as a process on loopback."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from sophiactl.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "@portkey-ai/gateway"
VERSION = "1.15.2"
INSTALL_SECONDS = 180
START_SECONDS = 60
# Read when the tests are collected: a test itself sees none of the caller's settings.
NAMED = os.environ.get("SOPHIACTL_TEST_NODE_MODULES", "")

# The gateway listens on all interfaces and cannot be told otherwise, nor does it say which free port it got.
_PRELOADED = """
const fs = require("node:fs");
const net = require("node:net");
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...given) {
  const told = Number(process.env.TOLD_FD);
  this.on("request", (request) => fs.appendFileSync(process.env.SEEN, JSON.stringify(request.headers) + "\\n"));
  this.once("listening", () => {
    fs.writeSync(told, String(this.address().port));
    fs.closeSync(told);
  });
  return listen.call(this, { port: 0, host: "127.0.0.1" }, given.find((value) => typeof value === "function"));
};
"""


class Gateway(NamedTuple):
    """A gateway that runs; `seen` is the file of the headers that reached it, a JSON object a line."""

    base_url: str
    seen: Path

    def headers(self) -> list[dict[str, str]]:
        """The headers of all requests so far, names in lower case."""
        return [json.loads(line) for line in self.seen.read_text().splitlines()]


def node_modules(shared: Path) -> Path:
    """The folder that holds the gateway: what SOPHIACTL_TEST_NODE_MODULES names, else a new one below `shared`.

    Skips the test where there is no node, or npm cannot install.
    """
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    modules = Path(NAMED) if NAMED else _installed(shared)
    about = modules / PACKAGE / "package.json"
    found = json.loads(about.read_text())["version"] if about.is_file() else "none"
    if found != VERSION:
        # Not a skip: somebody said that it is there.
        pytest.fail(f"{modules} should hold {PACKAGE} {VERSION}, and holds {found}")
    return modules


@contextmanager
def running(modules: Path, folder: Path) -> Iterator[Gateway]:
    """The gateway, from when it listens until the end of the block."""
    preloaded, seen, said = folder / "loopback.cjs", folder / "seen", folder / "said"
    preloaded.write_text(_PRELOADED)
    seen.touch()
    script = modules / PACKAGE / "build" / "start-server.js"
    hears, tells = os.pipe()
    # Nothing of the caller's environment: a proxy named there would stand between the gateway and loopback.
    env = {"PATH": os.environ["PATH"], "NODE_ENV": "production", "SEEN": str(seen), "TOLD_FD": str(tells)}
    try:
        with said.open("wb") as output:
            process = subprocess.Popen(
                ["node", "--require", str(preloaded), str(script), "--headless"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=folder, pass_fds=(tells,),
            )  # fmt: skip
    finally:
        os.close(tells)
    try:
        port = _port(hears)
        if not port:
            raise OSError(f"the gateway does not listen: {said.read_text(errors='replace')[-2000:]}")
        yield Gateway(f"http://127.0.0.1:{port}/v1", seen)
    finally:
        os.close(hears)
        process.kill()
        process.wait()


def _port(hears: int) -> str:
    """The port that the process tells; empty when it ends or takes too long."""
    ready, _, _ = select.select([hears], [], [], START_SECONDS)
    return os.read(hears, 16).decode() if ready else ""


def _installed(shared: Path) -> Path:
    prefix = shared / "portkey-gateway"
    with FileLock(shared / "portkey-gateway.lock", purpose="npm install", timeout=2 * INSTALL_SECONDS):
        if not (prefix / "complete").exists():
            _install(prefix)
    return prefix / "node_modules"


def _install(prefix: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, and SOPHIACTL_TEST_NODE_MODULES names no folder")
    quick = (
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--ignore-scripts",
        "--fetch-retries=0",
        "--loglevel=error",
    )
    command = [npm, "install", *quick, "--prefix", str(prefix), f"{PACKAGE}@{VERSION}"]
    try:
        prefix.mkdir(exist_ok=True)
        done = subprocess.run(command, capture_output=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {PACKAGE} within {INSTALL_SECONDS} s")
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()
        pytest.skip(f"npm could not install {PACKAGE}: {last[0] if last else done.returncode}")
    (prefix / "complete").touch()
