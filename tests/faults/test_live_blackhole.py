"""Services that never answer: on the wire, before the connection, and in the lookup of their names."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl import registry, web
from sophiactl.redaction import Redactor, Secret
from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import runner
from sophiactl.secrets.live.base import Probe
from sophiactl.testing.identity_answers import VENDORS
from sophiactl.testing.identity_server import OAUTH_CLIENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sophiactl.secrets.base import Check

TIMEOUT = 1.0
WEBHOOK = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/abc", "SLACK_APP_TOKEN": "xapp-1-A-1-a"}


def probes(host: str, port: int, scheme: str = "http") -> list[Probe]:
    """Every service, with all that its verifier asks about, at one address."""
    found = []
    for service in registry.VERIFIERS:
        values = dict(VENDORS[service].values) if service in VENDORS else {"SOPHIACTL_RUNS_PASSWORD": "pencil"}
        values |= {"salesforce": OAUTH_CLIENT, "slack": WEBHOOK}.get(service, {})
        base = f"{scheme}://{host}:{port}" if service != "postgresql" else f"postgresql://sophia@{host}:{port}/x"
        held = {name: Secret(value, redactor=Redactor()) for name, value in values.items()}
        made = Probe(service, held, base, (host,), TIMEOUT, side_effects=True, allow_loopback=True, fixed=True)
        found.append(made)
    return found


def timed(asked: list[Probe]) -> tuple[tuple[Check, ...], float]:
    """The checks, and how long the whole of it took: sessions closed, event loop gone."""

    async def work() -> tuple[Check, ...]:
        async with web.WebSession(proxies={}) as session:
            return await runner.run(asked, session)

    start = time.monotonic()
    checks = web.run(work())
    return checks, time.monotonic() - start


def all_unknown_in_time(asked: list[Probe]) -> None:
    checks, seconds = timed(asked)
    assert {check.service for check in checks} == set(registry.VERIFIERS)
    assert {check.verdict for check in checks} == {Verdict.UNKNOWN}, checks
    assert seconds <= TIMEOUT + 1


@contextmanager
def listening(backlog: int, serve: Callable[[socket.socket], None] | None = None) -> Iterator[int]:
    """A port that takes connections as `serve` does: not at all by default."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(backlog)
        thread = threading.Thread(target=serve, args=(server,), daemon=True) if serve else None
        if thread is not None:
            thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        if thread is not None:
            thread.join()


def taking(answer: bytes, every: float = 0.0) -> Callable[[socket.socket], None]:
    """Takes every connection; with `every`, sends `answer` at once and then a byte every so many seconds."""

    def serve(server: socket.socket) -> None:
        stop = threading.Event()

        def drip(client: socket.socket) -> None:
            with suppress(OSError):
                client.sendall(answer)
                while not stop.wait(every):
                    client.sendall(b" ")

        with ExitStack() as clients:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    break
                clients.enter_context(client)
                if every:
                    threading.Thread(target=drip, args=(client,), daemon=True).start()
            stop.set()

    return serve


@pytest.mark.fault
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_connections_are_taken_and_never_answered(scheme: str) -> None:
    with listening(128, taking(b"")) as port:
        all_unknown_in_time(probes("127.0.0.1", port, scheme))


@pytest.mark.fault
def test_an_answer_that_comes_a_byte_at_a_time() -> None:
    with listening(128, taking(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{", every=0.2)) as port:
        all_unknown_in_time(probes("127.0.0.1", port))


@pytest.mark.fault
def test_connections_are_not_even_taken() -> None:
    """The backlog is full: the kernel drops what comes, as a firewall does."""
    with listening(0) as port, ExitStack() as waiting:
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        all_unknown_in_time(probes("127.0.0.1", port))


@pytest.mark.fault
def test_a_port_that_nobody_listens_on() -> None:
    with listening(1) as port:
        pass
    checks, seconds = timed(probes("127.0.0.1", port))
    assert {check.verdict for check in checks} == {Verdict.UNKNOWN}
    assert seconds <= TIMEOUT + 1


@pytest.mark.fault
def test_names_that_nobody_looks_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that gets no answer hangs in a thread for many seconds; nobody may wait for that thread."""
    stuck = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: stuck.wait(30) or [])
    try:
        all_unknown_in_time(probes("black-hole.example", 443, "https"))
    finally:
        stuck.set()


@pytest.mark.fault
@pytest.mark.parametrize("failure", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_names_that_do_not_exist(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    all_unknown_in_time(probes("no-such-host.example", 443, "https"))


@pytest.mark.fault
def test_few_at_a_time_wait_for_their_turn() -> None:
    """Each check has its own deadline; those that wait for a place are not asked yet."""
    some = [msgspec.structs.replace(one, timeout=0.2) for one in probes("127.0.0.1", 1)[:4]]
    with listening(128, taking(b"")) as port:
        asked = [msgspec.structs.replace(one, base_url=f"http://127.0.0.1:{port}") for one in some]

        async def work() -> tuple[Check, ...]:
            async with web.WebSession(proxies={}) as session:
                return await runner.run(asked, session, parallel=2)

        start = time.monotonic()
        checks = asyncio.run(work())
        assert {check.verdict for check in checks} == {Verdict.UNKNOWN}
        assert 0.4 <= time.monotonic() - start <= 1.4
