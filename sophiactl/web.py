"""One HTTPS request at a time to a service that is not a model: the door for secrets and connectors.

No redirect is followed, no cookie kept, no `.netrc` read; a request goes to an allowed host only; the answer's body is
limited and everything has one deadline. Errors are of our tree and hold neither a header nor a body.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from sophiactl.errors import ConfigError, DeadlineExceeded, Unreachable, UpstreamError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Mapping, Sequence
    from types import TracebackType
    from typing import Self
    from urllib.parse import SplitResult

    import aiohttp

T = TypeVar("T")
MOST_BYTES = 8 << 20


class WebRequest(msgspec.Struct, frozen=True):
    """What is asked. `headers` may hold keys: never shown."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes | None = None

    def __repr__(self) -> str:
        return f"WebRequest({self.method} {self.url.partition('?')[0]})"


class WebAnswer(msgspec.Struct, frozen=True):
    """What came back; names of headers are in lower case. A redirect is an answer like any other."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The body's media type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON, None when it is none."""
        try:
            return msgspec.json.decode(self.body.removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def __repr__(self) -> str:
        return f"WebAnswer({self.status}, {len(self.body)} bytes)"


class NotConnected(Unreachable):
    """No connection came about, so nothing of the request was sent."""


class TlsFailed(Unreachable):
    """The service's certificate does not hold, or no TLS is spoken there."""

    code = "tls"


class TooLarge(UpstreamError):
    """The answer is longer than anybody can use."""

    code = "too_large"


class HostRefused(ConfigError):
    """An address that a key must not be sent to."""

    code = "host_refused"


class WebSession:
    """Connections kept alive; an async context manager, for one event loop.

    `proxies` maps a scheme to a proxy; loopback and the hosts of NO_PROXY are reached without one.
    """

    def __init__(self, *, proxies: Mapping[str, str] | None = None, limit: int = 64) -> None:
        self._proxies = environment_proxies() if proxies is None else dict(proxies)
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self, request: WebRequest, *, hosts: Sequence[str], deadline: float, most_bytes: int = MOST_BYTES
    ) -> WebAnswer:
        """The whole answer within `deadline` seconds.

        `hosts` are the names that may be asked: `api.gong.io`, `*.gong.io` for all below it. Loopback counts only when
        it is named. Raises `HostRefused`, `DeadlineExceeded`, `TlsFailed`, `Unreachable`, `TooLarge`.
        """
        import asyncio

        parts = checked_address(request.url, hosts)
        try:
            async with asyncio.timeout(deadline):
                return await self._exchange(request, parts, most_bytes)
        except TimeoutError:
            raise DeadlineExceeded(f"{parts.netloc} gave no answer in {deadline:g} s") from None

    async def _exchange(self, request: WebRequest, parts: SplitResult, most_bytes: int) -> WebAnswer:
        import aiohttp

        for name, value in request.headers.items():
            if not value.isprintable() or not value.isascii():
                raise ConfigError(f"what goes into the header {name!r} holds signs that no header can carry")
        host = parts.hostname or ""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._limit, resolver=_resolver())
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.request(
                request.method,
                request.url,
                headers={"User-Agent": "sophiactl", **request.headers},
                data=request.body,
                allow_redirects=False,
                proxy=self._proxy(parts),
                timeout=aiohttp.ClientTimeout(total=None),
            ) as answer:
                body = await _limited(answer.content, most_bytes, parts.netloc)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return WebAnswer(answer.status, headers, body)
        except (aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError) as error:
            reason = type(getattr(error, "os_error", None) or error).__name__
            raise TlsFailed(f"no TLS with {parts.netloc}: {reason}", hint="check the host's certificate") from None
        except aiohttp.ClientConnectorError as error:
            reason = error.os_error.strerror or type(error.os_error).__name__
            raise NotConnected(f"no connection to {host}: {reason}", hint="check the network") from None
        except aiohttp.ClientHttpProxyError as error:
            raise NotConnected(f"the proxy lets no connection to {host} through ({error.status})") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(f"{host} broke the connection off ({type(error).__name__})") from None

    def _proxy(self, parts: SplitResult) -> str | None:
        from urllib.request import proxy_bypass

        proxy = self._proxies.get(parts.scheme)
        if proxy is None or is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
            return None
        return proxy


def _resolver() -> aiohttp.abc.AbstractResolver:
    """Names are looked up where a lookup that hangs keeps nobody: see `lookup`."""
    import socket

    from aiohttp.abc import AbstractResolver, ResolveResult

    class Resolver(AbstractResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            return [
                ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=numeric)
                for kind, _, proto, _, address in await lookup(host, port, family)
            ]

        async def close(self) -> None:
            """There is nothing to close."""

    return Resolver()


async def lookup(host: str, port: int, family: int = 0) -> list[Any]:
    """The addresses of a host, as `socket.getaddrinfo` gives them.

    It runs in a thread that nobody waits for: one of the event loop's own, caught in a lookup that gets no answer,
    would hold up the end of the program for as long as the system's resolver tries. Raises `OSError`.
    """
    import asyncio
    import socket
    import threading

    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Any]] = loop.create_future()

    def settle(addresses: list[Any], error: OSError | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def work() -> None:
        addresses: list[Any] = []
        failure: OSError | None = None
        try:
            addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        except OSError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the waiting side must hear of it
            failure = OSError(type(error).__name__)
        with suppress(RuntimeError):  # the loop is gone, and with it whoever asked
            loop.call_soon_threadsafe(settle, addresses, failure)

    threading.Thread(target=work, name="lookup", daemon=True).start()
    return await found


async def _limited(content: aiohttp.StreamReader, most: int, host: str) -> bytes:
    parts, size = [], 0
    async for piece in content.iter_any():
        parts.append(piece)
        size += len(piece)
        if size > most:
            raise TooLarge(f"{host} answered with more than {most >> 20} MiB")
    return b"".join(parts)


def checked_address(url: str, hosts: Sequence[str]) -> SplitResult:
    """The parts of a URL that may be asked: https, or http on loopback, on one of `hosts`. Raises `HostRefused`.

    The message never shows more of the URL than scheme and host.
    """
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
        _ = parts.port
    except ValueError:
        raise HostRefused("an address is no URL", hint="write it as https://host") from None
    if parts.username is not None or parts.password is not None:
        raise HostRefused(f"the address of {host} holds credentials", hint="leave them out of the URL")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise HostRefused(f"{parts.scheme}://{host} is not asked", hint="use https")
    if not any(_matches(host, pattern.lower()) for pattern in hosts):
        raise HostRefused(f"{host} is not among the hosts that may be asked", hint=f"allowed: {', '.join(hosts)}")
    return parts


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost`, or a loopback address."""
    if host == "localhost":
        return True
    if ":" not in host and not host[:1].isdigit():  # a name: most hosts are
        return False
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def environment_proxies() -> dict[str, str]:
    """Proxies that HTTP_PROXY and HTTPS_PROXY name."""
    from urllib.request import getproxies_environment

    return {scheme: proxy for scheme, proxy in getproxies_environment().items() if scheme in {"http", "https"}}


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from code that is not async, inside an event loop or not."""
    import asyncio

    if _running() is None:
        return asyncio.run(work)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _running() -> asyncio.AbstractEventLoop | None:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
