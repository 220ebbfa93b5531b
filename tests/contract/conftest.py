"""The stores and the ledgers of runs under contract: one line in `BACKENDS` or in `LEDGERS` each."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from sophiactl.memory.base import CollectionSchema, Store
from sophiactl.memory.qdrant_edge import EdgeStore
from sophiactl.memory.qdrant_server import ServerStore
from tests.postgres_server import PostgresServer, shut_down, start_server
from tests.run_ledgers import LEDGERS, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sophiactl.runs.base import RunLedger

SCHEMA = CollectionSchema(model="mini", revision="a" * 64, dimension=4)
URL_NAME = "SOPHIACTL_TEST_QDRANT_URL"
# Read while tests are collected: none of them sees the caller's environment.
URL, KEY = os.environ.get(URL_NAME), os.environ.get("QDRANT_API_KEY")


class Opener(Protocol):
    """Opens the collection of one backend; a second call finds what the first has stored."""

    def __call__(
        self, schema: CollectionSchema | None = SCHEMA, *, create: bool = True, name: str = "main"
    ) -> Store: ...


def _edge(folder: Path) -> tuple[Opener, Callable[[], None]]:
    def opener(schema: CollectionSchema | None = SCHEMA, *, create: bool = True, name: str = "main") -> Store:
        return EdgeStore.open(folder, name, schema, create=create, lock_timeout=0, purpose="a test")

    return opener, lambda: None


def _local_mode(_: Path) -> tuple[Opener, Callable[[], None]]:
    from qdrant_client import QdrantClient

    client = QdrantClient(":memory:")

    def opener(schema: CollectionSchema | None = SCHEMA, *, create: bool = True, name: str = "main") -> Store:
        where: dict[str, Any] = {"api_key": None, "timeout": 5, "client": client}
        return ServerStore.open("http://localhost:6333", name, schema, create=create, **where)

    return opener, client.close


def _server(_: Path) -> tuple[Opener, Callable[[], None]]:
    from qdrant_client import QdrantClient

    if not URL:
        pytest.skip(f"no Qdrant server: {URL_NAME} is not set")
    url, prefix, names = URL, uuid.uuid4().hex, set[str]()

    def opener(schema: CollectionSchema | None = SCHEMA, *, create: bool = True, name: str = "main") -> Store:
        names.add(f"{prefix}-{name}")
        return ServerStore.open(url, f"{prefix}-{name}", schema, create=create, api_key=KEY, timeout=30)

    def clean() -> None:
        client = QdrantClient(url=url, api_key=KEY)
        for name in names:
            client.delete_collection(name)
        client.close()

    return opener, clean


BACKENDS = {"edge": _edge, "local mode": _local_mode, "server": _server}
TESTED = [name for name in BACKENDS if URL or name != "server"]


@pytest.fixture(params=TESTED)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens stores of one backend after the other."""
    opener, clean = BACKENDS[request.param](tmp_path)
    yield opener
    clean()


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[Opener]:
    """Opens stores on a real server; the test is skipped where there is none."""
    opener, clean = _server(tmp_path)
    yield opener
    clean()


@pytest.fixture
def store(open_store: Opener) -> Iterator[Store]:
    """An empty collection of four dimensions."""
    with open_store() as opened:
        yield opened


@pytest.fixture
def open_pair(tmp_path: Path) -> Iterator[tuple[Opener, Opener]]:
    """The embedded store, and the server (its stand-in where there is none), for comparison."""
    edge, _ = _edge(tmp_path)
    server, clean = (_server if URL else _local_mode)(tmp_path)
    yield edge, server
    clean()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests; each gets a database of its own."""
    server = start_server()
    yield server
    shut_down(server)


@pytest.fixture(params=list(LEDGERS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where one kind of ledger is kept, empty."""
    made = LEDGERS[request.param](tmp_path / "state", request)
    yield made
    for ledger in made.opened:
        ledger.close()


@pytest.fixture
def ledger(place: Place) -> RunLedger:
    """An empty ledger of one kind."""
    return place()
