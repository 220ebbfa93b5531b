"""What upstreams are known to do wrong, streaming and not: the right class, and never a key where it is not due."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import ssl
import subprocess
import traceback
from typing import TYPE_CHECKING, NamedTuple

import pytest

from sophiactl.errors import ExitCode
from sophiactl.llm.base import ChatRequest, Deadlines, Message
from sophiactl.llm.classify import NoConnection
from sophiactl.llm.config import ProviderConfig
from sophiactl.llm.failures import (
    BadRequest,
    Broken,
    CallFailed,
    ContextTooLong,
    Filtered,
    OutOfCredit,
    Overloaded,
    Refused,
    Throttled,
    TooSlow,
)
from sophiactl.llm.openai_wire import OpenAIWire
from sophiactl.llm.session import HttpSession
from sophiactl.testing.upstream import MockUpstream
from sophiactl.testing.upstream_faults import FAULTS

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.llm.base import Completion

pytestmark = pytest.mark.fault

KEY = "vault/9f8e7d6c5b4a3f2e1d0c"
DEADLINES = Deadlines(connect=5, first_byte=1.0, idle=1.0, total=20)


class Expected(NamedTuple):
    kind: type[CallFailed]
    again: str
    code: ExitCode
    status: int | None = None
    retry_after: float | None = None
    partial: bool = False
    said: str = ""


UPSTREAM = ExitCode.UPSTREAM
TABLE = {
    "401": Expected(Refused, "elsewhere", ExitCode.AUTH, 401, said="LLM_KEY"),
    "402": Expected(OutOfCredit, "elsewhere", ExitCode.RATE_LIMITED, 402),
    "403": Expected(Refused, "elsewhere", ExitCode.AUTH, 403),
    "403-html": Expected(NoConnection, "elsewhere", ExitCode.UNREACHABLE, 403, said="firewall"),
    "400-credit": Expected(OutOfCredit, "elsewhere", ExitCode.RATE_LIMITED, 400),
    "400-context": Expected(ContextTooLong, "elsewhere", UPSTREAM, 400),
    "400-filter": Expected(Filtered, "never", UPSTREAM, 400),
    "404": Expected(BadRequest, "elsewhere", UPSTREAM, 404),
    "429": Expected(Throttled, "here", ExitCode.RATE_LIMITED, 429),
    "429-after": Expected(Throttled, "here", ExitCode.RATE_LIMITED, 429, 7.0),
    "429-quota": Expected(OutOfCredit, "elsewhere", ExitCode.RATE_LIMITED, 429),
    "500": Expected(Overloaded, "here", UPSTREAM, 500),
    "503-html": Expected(Overloaded, "here", UPSTREAM, 503, said="Service Temporarily Unavailable"),
    "reset": Expected(Broken, "here", UPSTREAM),
    "reset-later": Expected(Broken, "here", UPSTREAM, partial=True),
    "slow": Expected(TooSlow, "elsewhere", ExitCode.TIMEOUT, said="first_byte"),
    "silent": Expected(TooSlow, "elsewhere", ExitCode.TIMEOUT, said="first_byte"),
    "stall": Expected(TooSlow, "elsewhere", ExitCode.TIMEOUT, partial=True, said="idle"),
    "truncated": Expected(Broken, "here", UPSTREAM, partial=True, said="broke"),
    "no-done": Expected(Broken, "here", UPSTREAM, partial=True, said="broke"),
    "bad-event": Expected(Broken, "here", UPSTREAM, 200, partial=True, said="JSON"),
    "bad-body": Expected(Broken, "here", UPSTREAM, 200, said="JSON"),
    "wrong-type": Expected(Broken, "here", UPSTREAM, 200, said="text/html"),
    "redirect": Expected(Broken, "here", UPSTREAM, 307, said="not followed"),
    "error-200": Expected(Overloaded, "here", UPSTREAM, 502, partial=True, said="Provider returned error"),
    "no-choices": Expected(Broken, "here", UPSTREAM, 200, said="choice"),
}
SENT = "".join(MockUpstream().answer())


def _model(address: str, deadlines: Deadlines = DEADLINES) -> OpenAIWire:
    config = ProviderConfig(base_url=address, api_key_name="LLM_KEY", deadlines=deadlines)
    return OpenAIWire("acme", config, {"LLM_KEY": KEY})


async def _ask(model: OpenAIWire, name: str, *, streaming: bool) -> Completion:
    request = ChatRequest(model=name, messages=(Message("user", "two words"),))
    try:
        if not streaming:
            return await model.complete(request)
        final = [delta.final async for delta in model.stream(request)][-1]
        assert final is not None
        return final
    finally:
        await model.close()


def _fail(model: OpenAIWire, name: str, *, streaming: bool) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        asyncio.run(_ask(model, name, streaming=streaming))
    return caught.value


def test_the_table_has_every_fault() -> None:
    assert set(TABLE) == set(FAULTS) - {"no-usage"}


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", TABLE)
def test_faults(fault: str, streaming: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    expected = TABLE[fault]

    async def main() -> tuple[CallFailed, MockUpstream]:
        async with MockUpstream() as upstream:
            with pytest.raises(CallFailed) as caught:
                await _ask(_model(upstream.base_url), f"mock!{fault}", streaming=streaming)
        return caught.value, upstream

    failure, upstream = asyncio.run(main())
    assert type(failure) is expected.kind
    assert (failure.again, failure.exit_code) == (expected.again, expected.code)
    assert failure.retry_after == expected.retry_after
    if expected.status is not None:
        assert failure.status == expected.status
    assert expected.said in f"{failure.message} {failure.hint}"
    assert failure.hint
    if streaming and expected.partial:
        assert failure.text
        assert SENT.startswith(failure.text)
        assert failure.text != SENT
    else:
        assert failure.text == ""
    (seen,) = upstream.requests
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert upstream.elsewhere == []
    shown = "".join(traceback.format_exception(failure)) + f"{failure.hint}{caplog.text}"
    assert KEY not in shown
    assert KEY[:12] not in shown


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", ["slow", "silent", "stall"])
def test_a_deadline_cuts_the_upstream(fault: str, streaming: bool) -> None:
    async def main() -> None:
        async with MockUpstream() as upstream:
            with pytest.raises(TooSlow):
                await _ask(_model(upstream.base_url), f"mock!{fault}", streaming=streaming)
            await asyncio.wait_for(upstream.requests[0].cut.wait(), 0.5)

    asyncio.run(main())


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_no_key_goes_along_with_a_redirect(streaming: bool) -> None:
    async def main() -> None:
        async with MockUpstream() as upstream:
            config = ProviderConfig(kind="portkey", base_url=upstream.base_url, api_key_name="LLM_KEY")
            model = OpenAIWire("acme", config, {"LLM_KEY": KEY})
            with pytest.raises(Broken, match="redirects to"):
                await _ask(model, "mock!redirect", streaming=streaming)
            assert upstream.requests[0].headers["x-portkey-api-key"] == KEY
            assert upstream.elsewhere == []

    asyncio.run(main())


def test_the_other_host_would_have_recorded_a_key() -> None:
    """The redirect test could not fail if the second server recorded nothing."""
    import aiohttp

    async def main() -> None:
        async with MockUpstream() as upstream, aiohttp.ClientSession() as session:
            url = f"{upstream.base_url}/chat/completions"
            async with session.post(url, json={"model": "mock!redirect"}, headers={"x-key": KEY}) as response:
                assert response.status == 400
            assert [headers["x-key"] for headers in upstream.elsewhere] == [KEY]

    asyncio.run(main())


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_the_total_deadline(streaming: bool) -> None:
    async def main() -> TooSlow:
        async with MockUpstream(words=1000, interval=0.02) as upstream:
            deadlines = Deadlines(first_byte=5, idle=5, total=0.3)
            with pytest.raises(TooSlow) as caught:
                await _ask(
                    _model(upstream.base_url, deadlines), "mock!ok" if streaming else "mock!slow", streaming=streaming
                )
            await asyncio.wait_for(upstream.requests[0].cut.wait(), 0.5)
        return caught.value

    failure = asyncio.run(main())
    assert "(total)" in failure.message
    assert bool(failure.text) is streaming


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
def test_nobody_listens(streaming: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    failure = _fail(_model(f"http://127.0.0.1:{port}/v1"), "mock", streaming=streaming)
    assert type(failure) is NoConnection
    assert failure.exit_code == ExitCode.UNREACHABLE
    assert f"127.0.0.1:{port}" in failure.message


def _raw_server(answer: bytes) -> CallFailed:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def main() -> CallFailed:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(CallFailed) as caught:
                await _ask(_model(f"http://127.0.0.1:{port}/v1"), "mock", streaming=False)
        return caught.value

    return asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
    ids=["nothing", "ssh", "length", "header", "gzip", "chunk", "empty"],
)
def test_servers_that_speak_no_proper_http(answer: bytes) -> None:
    assert type(_raw_server(answer)) is Broken


def test_an_error_whose_body_breaks_off_is_still_that_error() -> None:
    failure = _raw_server(b'HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nContent-Length: 900\r\n\r\n{"error": {"mess')
    assert (type(failure), failure.retry_after) == (Throttled, 3)


def test_a_decompression_bomb_is_not_inflated_whole() -> None:
    import gzip

    bomb = gzip.compress(b"[" + b" " * (256 << 20) + b"]")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    failure = _raw_server(head + f"Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb)
    assert type(failure) is Broken
    assert "more than" in failure.message


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", b""])
def test_a_proxy_that_refuses_never_sees_the_key(answer: bytes) -> None:
    seen = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.extend(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async def main() -> CallFailed:
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            session = HttpSession(proxies={"https": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
            config = ProviderConfig(base_url="https://api.acme.example/v1", api_key_name="LLM_KEY", deadlines=DEADLINES)
            with pytest.raises(CallFailed) as caught:
                await _ask(OpenAIWire("acme", config, {"LLM_KEY": KEY}, session=session), "mock", streaming=False)
            await session.close()
        return caught.value

    failure = asyncio.run(main())
    assert isinstance(failure, NoConnection if answer else Broken)
    assert seen.startswith(b"CONNECT api.acme.example:443 ")
    assert KEY.encode() not in seen


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl program, which makes the certificate, is not installed")
    pair = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "cert")]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", *pair]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")

    async def main() -> CallFailed:
        # The handshake fails on our side first, and the server's loop would report that as its own error.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context) as server:
            address = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
            with pytest.raises(CallFailed) as caught:
                await _ask(_model(address, Deadlines()), "mock", streaming=False)
        return caught.value

    failure = asyncio.run(main())
    assert type(failure) is NoConnection
    assert "certificate" in failure.message


def test_after_any_fault_the_same_model_answers_again() -> None:
    async def main() -> None:
        async with MockUpstream() as upstream:
            model = _model(upstream.base_url)
            request = ChatRequest(model="mock", messages=(Message("user", "two words"),))
            for fault in TABLE:
                upstream.queue(fault, "ok")
                with pytest.raises(CallFailed):
                    _ = [delta async for delta in model.stream(request)]
                assert (await model.complete(request)).text == SENT
            await model.close()

    asyncio.run(main())
