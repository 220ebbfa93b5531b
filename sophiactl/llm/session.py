"""The one door to HTTP of the models' adapters, and the only file that knows aiohttp: connections that are kept alive.

Of aiohttp it takes the connector (pool, name lookup, TLS, proxies) and the parser, and leaves the request objects above
them, which cost as much CPU again as all the rest of a call. So there are no redirects, no cookies, and no headers but
those given: a key travels to its own host only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from sophiactl.llm.classify import NoConnection, broken
from sophiactl.llm.failures import CallFailed
from sophiactl.web import is_loopback

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    import aiohttp
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.http import RawResponseMessage

    from sophiactl.llm.watch import Watch

MOST_CONNECTIONS = 512
KEEP_ALIVE_S = 30.0
READ_BYTES = 1 << 16
DRAIN_S = 0.05
ERROR_BODY_S = 5.0
_ERROR = 300


class Target(NamedTuple):
    """Where requests go, and the headers that all of them have, ready to be sent. Holds keys: never shown."""

    url: str
    head: bytes

    def __repr__(self) -> str:
        return f"Target({self.url})"


def target(url: str, headers: Mapping[str, str]) -> Target:
    """A target for POST requests. Raises `ValueError` for a header that would end early."""
    parts = urlsplit(url)
    host = parts.netloc.encode("idna" if not parts.netloc.isascii() else "ascii")
    line = f"POST {_quoted(parts.path)} HTTP/1.1\r\n".encode("ascii")
    return Target(url, line + b"Host: " + host + b"\r\n" + lines(headers))


def lines(headers: Mapping[str, str]) -> bytes:
    """Headers as they are sent. Raises `ValueError` for one that would end early."""
    if not headers:
        return b""
    for name, value in headers.items():
        if not (name + value).isascii() or not (name + value).isprintable() or ":" in name:
            raise ValueError(f"the header {name!r} holds what no header can")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path, safe="/%:@!$&'()*+,;=~")


class HttpSession:
    """Connections shared by all providers, opened at the first request, and anew when another event loop asks.

    `proxies` maps a scheme to the address of a proxy; this machine itself, and hosts that NO_PROXY names, are never
    reached through one.
    """

    def __init__(self, *, limit: int = MOST_CONNECTIONS, proxies: Mapping[str, str] | None = None) -> None:
        self._limit = limit
        self._proxies = dict(proxies or {})
        self._connector: aiohttp.TCPConnector | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._routes: dict[tuple[str, float], tuple[ClientRequest, aiohttp.ClientTimeout]] = {}

    async def post(self, where: Target, headers: bytes, body: bytes, watch: Watch) -> Reply:
        """The reply once the first byte of its body is here. Raises `CallFailed`."""
        connection: Connection | None = None
        try:
            async with watch.until("first_byte"):
                connection = await self._connect(where.url, watch)
                reply = await _exchange(connection, (where.head, headers, body), watch)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if failure := explained(error, watch):
                raise failure from None
            raise
        return reply

    async def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        connector, self._connector = self._connector, None
        self._routes.clear()
        if connector is not None:
            await connector.close()

    async def _connect(self, url: str, watch: Watch) -> Connection:
        import asyncio

        if self._connector is None or self._loop is not asyncio.get_running_loop():
            self._connector = await self._open()
        key = (url, watch.deadlines.connect)
        route, timeout = self._routes.get(key) or self._route(key)
        try:
            return await self._connector.connect(route, [], timeout)
        except TimeoutError:
            raise watch.too_slow("connect") from None

    async def _open(self) -> aiohttp.TCPConnector:
        import asyncio

        import aiohttp

        await self.close()
        self._loop = asyncio.get_running_loop()
        return aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=KEEP_ALIVE_S)

    def _route(self, key: tuple[str, float]) -> tuple[ClientRequest, aiohttp.ClientTimeout]:
        """What the connector wants to know of a request: address, TLS, proxy. It is used for all that go there."""
        import asyncio

        import aiohttp
        from aiohttp.client_reqrep import ClientRequest
        from yarl import URL

        url, connect = key
        proxy = self._proxy(url)
        loop = asyncio.get_running_loop()
        request = ClientRequest("POST", URL(url), loop=loop, proxy=URL(proxy) if proxy else None)
        route = request, aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect)
        if proxy is None:  # the connector changes a request that goes through a proxy
            self._routes[key] = route
        return route

    def _proxy(self, url: str) -> str | None:
        from urllib.request import proxy_bypass

        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme)
        if proxy is None or is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
            return None
        return proxy


async def _exchange(connection: Connection, sent: tuple[bytes, bytes, bytes], watch: Watch) -> Reply:
    """Send a request, and read until its answer begins."""
    protocol = connection.protocol
    if protocol is None or protocol.transport is None:
        raise ConnectionResetError
    protocol.set_response_params(read_until_eof=True, read_bufsize=READ_BYTES)
    head, headers, body = sent
    protocol.transport.write(b"%bContent-Length: %d\r\n%b\r\n%b" % (head, len(body), headers, body))
    message, payload = await protocol.read()
    while 100 <= message.code < 200:
        message, payload = await protocol.read()
    # An error's status is an answer already: its body is read apart, and may fail.
    reply = Reply(connection, message, payload, watch)
    if reply.status < _ERROR:
        reply.first = await payload.readany()
    return reply


class Reply:
    """An answer that has begun. `first` is what arrived of its body with the headers; close it in any case."""

    def __init__(
        self, connection: Connection, message: RawResponseMessage, body: aiohttp.StreamReader, watch: Watch
    ) -> None:
        self._connection: Connection | None = connection
        self._body = body
        self._watch = watch
        self.first = b""
        self.status = message.code
        self.headers: Mapping[str, str] = message.headers
        self.content_type = message.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        body.on_eof(self._release)

    async def piece(self) -> bytes:
        """What has arrived since, at least a byte; empty at the end. Raises `CallFailed`."""
        try:
            async with self._watch.until("idle"):
                return await self._body.readany()
        except Exception as error:
            if failure := explained(error, self._watch):
                raise failure from None
            raise

    async def body(self, most: int) -> bytes:
        """All of it, or a little more than `most` bytes of it. Raises `CallFailed`."""
        if self._body.at_eof():
            return self.first
        parts = [self.first]
        size = len(self.first)
        while size <= most and (piece := await self.piece()):
            parts.append(piece)
            size += len(piece)
        return b"".join(parts)

    async def error_body(self, most: int) -> bytes:
        """The body of an error as far as it comes: its status says enough."""
        import asyncio

        body = self.first
        try:
            async with asyncio.timeout(ERROR_BODY_S):
                while len(body) <= most and (piece := await self.piece()):
                    body += piece
        except (TimeoutError, CallFailed):
            pass
        return body

    async def drain(self) -> None:
        """Read what is left after the answer's end, if it comes at once: the connection can be used again then."""
        import asyncio
        from contextlib import suppress

        with suppress(TimeoutError, CallFailed):
            async with asyncio.timeout(DRAIN_S):
                while not self._body.at_eof() and await self.piece():
                    pass

    def close(self) -> None:
        """Cut the connection at once, unless the answer was read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _release(self) -> None:
        """The answer is complete: the connection goes back to the pool, unless part of the request is still unsent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            transport = connection.transport
            if transport is None or transport.get_write_buffer_size():
                connection.close()
            else:
                connection.release()


def explained(error: BaseException, watch: Watch) -> CallFailed | None:
    """What an exception of the transport means; None when it is none of its own."""
    import aiohttp
    from aiohttp.http import HttpProcessingError

    peer = watch.peer
    if isinstance(error, TimeoutError):
        return watch.too_slow()
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError):
        reason = peer.redact(str(getattr(error, "os_error", None) or error), 120)
        return NoConnection(
            f"no connection to {peer.provider} ({peer.host}): {reason}",
            hint="check base_url and the network, and that a server of your own is running",
        )
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return NoConnection(
            f"the proxy lets no connection to {peer.provider} ({peer.host}) through ({error.status})",
            hint="check HTTPS_PROXY and NO_PROXY, or unset trust_env of the provider",
        )
    if isinstance(error, HttpProcessingError):
        return broken(peer, f"does not speak HTTP as it should: {error.message}", status=None)
    if isinstance(error, aiohttp.ClientError | OSError):
        return broken(peer, "broke the connection off", status=None)
    return None
