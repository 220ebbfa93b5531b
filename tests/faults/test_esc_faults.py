"""ESC that does not answer as it should: nothing hangs, nothing leaks."""

from __future__ import annotations

import gc
import pickle
import socket
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import DeadlineExceeded, SophiaError, Unreachable
from sophiactl.secrets.config import EscConfig
from sophiactl.secrets.esc.session import EscSession
from sophiactl.secrets.sources.esc import EscSource
from sophiactl.testing.web_server import Reply
from tests.esc_cloud import JOB_KEY, PROOF, TOKEN, EscCloud, environment, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sophiactl.testing.web_server import Seen

pytestmark = pytest.mark.fault

PROD = "acme/sophia/prod"
VALUE = "zq7Hk2VtWm9xLpR4nB8c"
SLACK = "xoxb-4471928305-5583920174-Qm7vTz2LpXk9RwNc4HsB"
CANARIES = (TOKEN, PROOF, JOB_KEY, VALUE, SLACK)
NAMES = frozenset({"SLACK_BOT_TOKEN"})
LIMIT = 0.5


def _everything(error: BaseException) -> str:
    """All that may be printed of an exception, and of those it came from."""
    texts = [*traceback.format_exception(error), repr(error), str(error.args), str(pickle.dumps(error))]
    below: BaseException | None = error
    while below is not None:
        texts += [repr(below), str(vars(below))]
        below = below.__cause__ or (None if below.__suppress_context__ else below.__context__)
    return "\n".join(texts)


# Black holes


@contextmanager
def _black_hole(first: bytes = b"") -> Iterator[str]:
    """A server that takes connections, says `first`, and nothing more."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                held.append(peer)
                if first:
                    peer.sendall(first)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for peer in held:
        peer.close()


@contextmanager
def _full_backlog() -> Iterator[str]:
    """A port where no connection comes about, and none is refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for peer in waiting:
            peer.setblocking(False)
            peer.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"
        for peer in waiting:
            peer.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    "hole",
    [
        _black_hole,
        lambda: _black_hole(b"HTTP/1.1 200"),
        lambda: _black_hole(HEAD),
        lambda: _black_hole(HEAD + b'{"id":'),
        _full_backlog,
    ],
    ids=["silent", "half a status", "no body", "half a body", "no connection"],
)
def test_a_black_hole_ends_at_the_limit(hole: Callable[[], Iterator[str]]) -> None:
    with hole() as url:  # type: ignore[attr-defined]
        config = EscConfig(environments=(PROD, "acme/sophia/other"), backend_url=url, timeout=LIMIT)
        source = EscSource(config, {"PULUMI_ACCESS_TOKEN": TOKEN, "HOME": "/nonexistent"})
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            source.read(NAMES)
        assert time.monotonic() - began < LIMIT + 1
    assert caught.value.exit_code == 7
    assert "secrets.esc.timeout" in (caught.value.hint or "")


def test_a_name_server_that_does_not_answer_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()

    def stuck(*_: object, **__: object) -> list[object]:
        never.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    config = EscConfig(environments=(PROD,), backend_url="https://esc.invalid", timeout=LIMIT)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        EscSource(config, {"PULUMI_ACCESS_TOKEN": TOKEN, "HOME": "/nonexistent"}).read(NAMES)
    assert time.monotonic() - began < LIMIT + 1
    never.set()


def test_a_body_that_comes_by_drops_ends_at_the_limit() -> None:
    with EscCloud({PROD: environment({})}) as cloud:
        cloud.queue(Reply(200, b"{}", delay=0.3), Reply(200, b"{}", delay=0.3))
        config = EscConfig(environments=(PROD,), backend_url=cloud.base_url, timeout=LIMIT)
        began = time.monotonic()
        with pytest.raises(SophiaError):
            EscSession(config, {"PULUMI_ACCESS_TOKEN": TOKEN, "HOME": "/nonexistent"}).layers()
        assert time.monotonic() - began < LIMIT + 1


def test_ages_take_no_more_than_what_is_left() -> None:
    with EscCloud({PROD: environment({"SLACK_BOT_TOKEN": value(SLACK, secret=True)})}) as cloud:
        cloud.queue("ok", "ok", "hang")
        config = EscConfig(environments=(PROD,), backend_url=cloud.base_url, timeout=LIMIT)
        source = EscSource(config, {"PULUMI_ACCESS_TOKEN": TOKEN, "HOME": "/nonexistent"}, ages=True)
        began = time.monotonic()
        assert source.read(NAMES).held["SLACK_BOT_TOKEN"].modified_at is None
        assert time.monotonic() - began < LIMIT + 1


def test_a_server_that_is_not_there_is_told_and_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    config = EscConfig(environments=(PROD,), backend_url=url, timeout=LIMIT)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="no connection to 127"):
        EscSource(config, {"PULUMI_ACCESS_TOKEN": TOKEN, "HOME": "/nonexistent"}).read(NAMES)
    assert time.monotonic() - began < LIMIT


# Leaks


def _echo(seen: Seen, status: int = 500, kind: str = "application/json") -> Reply:
    """All that was sent, and values, come back in a body and in headers."""
    body = f'{{"message": "{" ".join((*CANARIES, seen.headers.get("authorization", "")))}"'.encode()
    return Reply(status, body, {"Content-Type": kind, "X-Pulumi-Request-ID": SLACK, "Location": f"https://{VALUE}/"})


def _dump(status: int, **more: object) -> Reply:
    words = f"token {TOKEN}, {SLACK}, {PROOF}"
    found = [{"summary": words, "detail": VALUE, "path": SLACK, "range": {"environment": words}}]
    return Reply.json({"code": status, "message": words, "values": VALUE, "diagnostics": found, **more}, status)


HELD = environment({"SLACK_BOT_TOKEN": value(SLACK, secret=True), "OTHER": value(VALUE, secret=True)})
FAULTS: dict[str, tuple[object, ...]] = {
    **{f"echo {status}": (lambda seen, status=status: _echo(seen, status),) for status in (200, 302, 400, 401, 403)},
    **{f"echo later {status}": ("ok", *[lambda seen, status=status: _echo(seen, status)] * 5) for status in (404, 500)},
    "echo as a page": (lambda seen: _echo(seen, 403, "text/html"),),
    "diagnostics": (_dump(400),),
    "diagnostics with a good status": (_dump(200),),
    "conflict": (_dump(409),),
    "too many": (_dump(429),) * 5,
    "half an environment": ("ok", Reply(200, HELD[:-20], {"Content-Type": "application/json"})),
    "values that are none": ("ok", Reply(200, f'{{"properties": {{"environmentVariables": ["{VALUE}"]}}}}'.encode())),
    "not UTF-8": ("ok", Reply(200, HELD.replace(b"OTHER", b"\xff\xfe"))),
    "cut": ("ok", *[Reply(200, HELD, {"Content-Type": "application/json"}, ending="cut")] * 5),
    "reset": ("reset",),
    "hang": ("hang",),
    "a page": ("200-html",),
    "redirect": ("redirect",),
    "bad header": (Reply(200, b"{}", {"X": "a"}), "reset"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_shows_a_secret(fault: str) -> None:
    with EscCloud({PROD: HELD}) as cloud:
        cloud.queue(*FAULTS[fault])  # type: ignore[arg-type]
        with pytest.raises(SophiaError) as caught:
            cloud.session(PROD, timeout=LIMIT if fault == "hang" else 20.0).layers()
    shown = _everything(caught.value)
    assert [canary for canary in CANARIES if canary in shown] == []
    assert caught.value.message


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_no_fault_of_the_exchange_shows_a_secret(step: int, status: int) -> None:
    with EscCloud({PROD: HELD}) as cloud:
        cloud.queue(*["ok"] * step, *[lambda seen: _echo(seen, status)] * 5)
        env = {
            "HOME": "/nonexistent",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{cloud.base_url}/identity?key={SLACK}",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": JOB_KEY,
        }
        with pytest.raises(SophiaError) as caught:
            cloud.session(PROD, env=env).layers()
    shown = _everything(caught.value)
    assert [canary for canary in CANARIES if canary in shown] == []


def test_nothing_stays_open_after_a_fault() -> None:
    """Warnings are errors here: a session or a socket that is left open fails the test."""
    with EscCloud({PROD: HELD}) as cloud:
        for fault in ("reset", "cut", "200-html", "hang"):
            cloud.queue(fault)
            with pytest.raises(SophiaError):
                cloud.session(PROD, timeout=LIMIT).layers()
    gc.collect()


def test_half_of_many_environments_that_fail_do_not_disturb_the_others() -> None:
    names = [f"acme/sophia/e{number}" for number in range(20)]
    with EscCloud(dict.fromkeys(names[::2], HELD)) as cloud:
        session = cloud.session()
        for name in names:
            if name in cloud.held:
                assert session.opened(session.name(name))[0].variables().keys() == {"SLACK_BOT_TOKEN", "OTHER"}
            else:
                with pytest.raises(SophiaError, match="not found"):
                    session.opened(session.name(name))
