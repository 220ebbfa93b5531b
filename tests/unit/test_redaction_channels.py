"""Canaries through everything that writes by itself: loggers of libraries, exceptions, warnings, threads, loops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import io
import json
import logging
import logging.handlers
import queue
import subprocess
import sys
import threading
import urllib.error
import warnings
from email.message import Message
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sophiactl.redaction import GONE, Redactor, hooks
from sophiactl.redaction.hooks import traceback_text
from sophiactl.testing.web_server import Reply, Seen, WebServer
from tests.canaries import CANARIES, base64_of, leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALL = Redactor(*CANARIES.values())
# What a header can carry.
HEADERS = {name: value for name, value in CANARIES.items() if value.isascii() and value.isprintable()}
LOG = logging.getLogger("canary")


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Everything that loggers at DEBUG, hooks and warnings have written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(threadName)s %(message)s"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    hooks.install(ALL)

    def text() -> str:
        return "".join((stream.getvalue(), *capsys.readouterr()))

    yield text
    hooks.uninstall()
    root.setLevel(level)
    root.removeHandler(handler)


class _Told:
    """An object whose text is its value."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Told({self.value!r})"


def _raised(value: str) -> Exception:
    try:
        int(value + "x")
    except ValueError as error:
        error.add_note(f"sent as {base64_of('me:' + value)}")
        return error
    raise AssertionError


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(vars(record) | {"message": record.getMessage()}, default=repr)


def _log_json(value: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines())
    LOG.addHandler(handler)
    LOG.error(
        "%s", value, exc_info=_raised(value), extra={"headers": {"x-key": [value, _Told(value)]}, "o": _Told(value)}
    )
    LOG.removeHandler(handler)
    sys.stdout.write(stream.getvalue())


def _log_queue(value: str) -> None:
    records: queue.Queue[Any] = queue.Queue()
    handler = logging.handlers.QueueHandler(records)
    LOG.addHandler(handler)
    LOG.error("queued %s", value, exc_info=_raised(value))
    LOG.removeHandler(handler)
    sys.stdout.write(records.get().getMessage())


def _log_filter(value: str) -> None:
    def add(record: logging.LogRecord) -> bool:
        record.msg = f"{record.msg} for {value}"
        return True

    LOG.addFilter(add)
    LOG.info("asked")
    LOG.removeFilter(add)


def _log_rich(value: str) -> None:
    from rich.console import Console
    from rich.logging import RichHandler

    stream = io.StringIO()
    console = Console(file=stream, width=60, force_terminal=True)
    handler = RichHandler(console=console, rich_tracebacks=True, tracebacks_show_locals=True)
    LOG.addHandler(handler)
    LOG.error("rich %s", value, exc_info=_raised(value))
    LOG.removeHandler(handler)
    sys.stdout.write(stream.getvalue())


def _captured_warning(value: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"old key {value}", stacklevel=1)
        logging.captureWarnings(capture=False)


def _uncaught(value: str) -> None:
    error = _raised(value)
    sys.excepthook(type(error), error, error.__traceback__)


def _thread(value: str) -> None:
    def fail() -> None:
        raise _raised(value)

    thread = threading.Thread(target=fail, name=f"worker {value}")
    thread.start()
    thread.join()


class _Closing:
    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"<closing {self.value}>"

    def __del__(self) -> None:
        raise ValueError(f"cannot close {self.value}")


def _unraisable(value: str) -> None:
    held = [_Closing(value)]
    held.clear()
    gc.collect()


def _task(value: str) -> None:
    async def fail() -> None:
        raise _raised(value)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(fail(), name=f"task {value}")
        await asyncio.wait([task])
        del task
        gc.collect()
        loop.call_exception_handler({"message": f"lost {value}", "exception": _raised(value), "sent": value})

    asyncio.run(run(), debug=True)


def _msgspec(value: str) -> None:
    for call in (
        lambda: msgspec.convert({value: 1}, dict[str, str]),
        lambda: msgspec.json.decode(json.dumps({"a": value}).encode()[:-1]),
        lambda: msgspec.convert({"kind": value}, msgspec.defstruct("Kind", [("kind", int)])),
        lambda: msgspec.yaml.decode(f"a: [{value}"),
    ):
        try:
            call()
        except (msgspec.MsgspecError, ImportError) as error:
            LOG.exception("%s", value, exc_info=error)


def _json_error(value: str) -> None:
    try:
        json.loads(f'{{"key": "{value}"')
    except json.JSONDecodeError as error:
        LOG.debug("cannot read %r", error.doc, exc_info=error)


def _process(value: str) -> None:
    error = subprocess.CalledProcessError(1, ["curl", "-H", f"Authorization: Bearer {value}"], stderr=value.encode())
    LOG.error("failed: %s %r", error, error.stderr, exc_info=error)


def _http_client(value: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", 1)
    connection.putrequest("GET", "/")
    with contextlib.suppress(UnicodeEncodeError):
        try:
            connection.putheader("Authorization", f"Bearer {value}\nx")
        except ValueError as error:
            LOG.warning("no header", exc_info=error)
    url = f"https://api.example/{value}"
    LOG.warning("%s", url, exc_info=urllib.error.HTTPError(url, 401, value, Message(), None))


def _aiohttp(value: str) -> None:
    import aiohttp
    from aiohttp.client_reqrep import RequestInfo
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL

    headers = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {value}", "x-api-key": value}))
    url = URL("https://api.example/").with_query(key=value)
    error = aiohttp.ClientResponseError(RequestInfo(url, "GET", headers, url), (), status=401, message=value)
    LOG.error("%s %r", error, error, exc_info=error)
    LOG.debug("request %r", headers, extra={"request": error.request_info})
    for bad in (
        aiohttp.InvalidURL(url),
        aiohttp.InvalidURL(value, value),
        aiohttp.TooManyRedirects(error.request_info, ()),
    ):
        LOG.debug("%r", bad, exc_info=bad)


def _httpx(value: str) -> None:
    import httpx

    with httpx.Client(transport=httpx.HTTPTransport(), trust_env=False) as client:
        for headers in ({"Authorization": f"Bearer {value}\n"}, {"x-api-key": f"{value}\r\n"}):
            try:
                client.get("http://127.0.0.1:9/", headers=headers)
            except (httpx.HTTPError, UnicodeEncodeError) as error:
                seen = vars(error)
                LOG.exception("no answer %s %r", headers, seen)
    answer = httpx.Response(
        401, text=f"bad key {value}", request=httpx.Request("GET", "http://x", params={"key": value})
    )
    try:
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        LOG.exception("%s", answer.text, exc_info=error)


CHANNELS: dict[str, Callable[[str], object]] = {
    "message": lambda value: LOG.debug(f"token={value}"),  # noqa: G004
    "arguments": lambda value: LOG.debug("%s %r", value, {"key": [value]}),
    "mapping": lambda value: LOG.info("%(key)s", {"key": value}),
    "message and arguments": lambda value: LOG.info(value[:5].replace("%", "%%") + "%s", value[5:]),  # noqa: G003
    "object": lambda value: LOG.info(_Told(value)),
    "wrong arguments": lambda value: LOG.info("%d", value),
    "exception": lambda value: LOG.info("failed %s", value, exc_info=_raised(value)),
    "stack": lambda value: LOG.info("here %s", value, stack_info=True),
    "adapter": lambda value: logging.LoggerAdapter(LOG, {"key": value}).info("adapted %s", value),
    "child logger": lambda value: logging.getLogger(f"canary.{value}").warning("named"),
    "made record": lambda value: LOG.handle(logging.makeLogRecord({"msg": "%s", "args": (value,), "levelno": 30})),
    "json lines": _log_json,
    "queue": _log_queue,
    "filter": _log_filter,
    "rich handler": _log_rich,
    "warning": lambda value: sys.stdout.write(warnings.formatwarning(value, UserWarning, f"/{value}.py", 1, value)),
    "captured warning": _captured_warning,
    "uncaught exception": _uncaught,
    "thread": _thread,
    "unraisable": _unraisable,
    "asyncio": _task,
    "traceback_text": lambda value: sys.stdout.write(traceback_text(_raised(value), ALL)),
    "msgspec": _msgspec,
    "json": _json_error,
    "process": _process,
    "http.client": _http_client,
    "aiohttp": _aiohttp,
    "httpx": _httpx,
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_nothing_leaks_through(channel: str, written: Callable[[], str]) -> None:
    for name, value in CANARIES.items():
        CHANNELS[channel](value)
        text = written()
        assert GONE in text, name
        assert not leaks(text, {name: value})


class _Echo(WebServer):
    """A provider that tells the caller its own key in every way it can."""

    def answer(self, seen: Seen) -> Reply:
        key = seen.headers.get("authorization", "").removeprefix("Bearer ") or "none"
        return Reply.json({"error": {"message": f"Incorrect API key provided: {key}", "code": key}}, 401, X_Key=key)


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_nothing_leaks_through_a_client_that_logs(
    level: str, written: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import openai

    for logger in ("openai", "httpx", "httpcore"):
        monkeypatch.setattr(logging.getLogger(logger), "level", getattr(logging, level))
    with _Echo() as server:
        for name, value in HEADERS.items():
            with openai.OpenAI(api_key=value.strip(), base_url=server.base_url, max_retries=0) as client:
                with pytest.raises(openai.OpenAIError) as caught:
                    client.chat.completions.create(
                        model="m",
                        messages=[{"role": "user", "content": f"my key is {value}"}],
                        extra_headers={"x-portkey-api-key": value.strip()},
                    )
                LOG.error("%s %r", caught.value, caught.value, exc_info=caught.value)
            text = written()
            assert GONE in text
            assert not leaks(text, {name: value})
    assert len(server.requests) == len(HEADERS)


@pytest.mark.reference
def test_nothing_leaks_through_litellm(written: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    from sophiactl.errors import ExtraMissing
    from sophiactl.llm.litellm_model import load

    try:
        litellm = load()
    except ExtraMissing:
        pytest.skip("litellm is not installed")
    for logger in ("LiteLLM", "openai", "httpx", "httpcore"):
        monkeypatch.setattr(logging.getLogger(logger), "level", logging.DEBUG)
    with _Echo() as server:
        for name in ("anthropic", "openai", "hubspot", "uuid", "dollars"):
            value = CANARIES[name]
            with pytest.raises(litellm.exceptions.AuthenticationError) as caught:
                litellm.completion(
                    model="openai/m",
                    messages=[{"role": "user", "content": value}],
                    api_key=value,
                    api_base=server.base_url,
                    extra_headers={"x-portkey-api-key": value},
                    num_retries=0,
                    max_retries=0,
                )
            LOG.error("%s %r", caught.value, vars(caught.value), exc_info=caught.value)
            text = written()
            assert GONE in text
            assert not leaks(text, {name: value})
