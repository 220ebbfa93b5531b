"""A loopback HTTP server in a thread of its own: the ground that doubles of vendors stand on.

    class Hello(WebServer):
        def answer(self, seen: Seen) -> Reply:
            return Reply.json({"hello": seen.path})

    with Hello() as server:                    # from code that is async and from code that is not
        server.queue("429", "reset")           # what the next two requests meet, instead of an answer
        ... ask server.base_url ...
        server.requests[0].headers["authorization"]

Handlers run in that thread: they must not touch what the test changes meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from aiohttp import web

_HTML = b"<!DOCTYPE html><html><head><title>Blocked</title></head><body>Request blocked. Ray 7f3a</body></html>"


@dataclass(frozen=True)
class Seen:
    """A request that arrived. Names of headers are in lower case; `query` has the last value of each name.

    `raw_query` is the query as it was sent, still in its percent signs.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    raw_query: str = ""

    def json(self) -> Any:
        """The body as JSON. Raises `msgspec.DecodeError`."""
        return msgspec.json.decode(self.body)


@dataclass(frozen=True)
class Reply:
    """What goes back after `delay` seconds. `ending` says how: whole, cut off in the middle, or never."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    ending: str = "whole"

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        """A JSON body; underscores in names of `headers` stand for hyphens."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, msgspec.json.encode(value), {"Content-Type": "application/json", **named})

    @classmethod
    def html(cls, status: int, body: bytes = _HTML) -> Reply:
        """What a firewall or a proxy in front answers."""
        return cls(status, body, {"Content-Type": "text/html; charset=utf-8"})


FAULTS: dict[str, Reply] = {
    "429": Reply.json({"error": "slow down"}, 429, Retry_After="1"),
    "429-bare": Reply.json({"error": "slow down"}, 429),
    "500": Reply.json({"error": "internal"}, 500),
    "502-html": Reply.html(502),
    "503": Reply.json({"error": "unavailable"}, 503),
    "403-html": Reply.html(403),
    "200-html": Reply.html(200),
    "truncated-json": Reply(200, b'{"ok": tr', {"Content-Type": "application/json"}),
    "cut": Reply(200, b'{"ok": true}', {"Content-Type": "application/json"}, ending="cut"),
    "reset": Reply(ending="reset"),
    "hang": Reply(ending="hang"),
}


class WebServer:
    """The server; subclasses say what it answers. Use as a context manager.

    `elsewhere_url` is another host of the same kind that only takes notes (`elsewhere`), for redirects to lead to.
    """

    faults: ClassVar[Mapping[str, Reply]] = FAULTS

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Seen] = []
        self.elsewhere: list[Seen] = []
        self.base_url = ""
        self.elsewhere_url = ""
        self._tls = tls
        self._queued: deque[str | Reply | Callable[[Seen], Reply]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None

    def answer(self, seen: Seen) -> Reply:
        """What this server says to a request. May be called from its own thread alone."""
        raise NotImplementedError

    def queue(self, *faults: str | Reply | Callable[[Seen], Reply]) -> None:
        """What the next requests meet: `ok`, the name of a fault, a reply of one's own, or what a function says."""
        unknown = {fault for fault in faults if isinstance(fault, str)} - set(self.faults) - {"ok", "redirect"}
        if unknown:
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
        self._queued.extend(faults)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="loopback", daemon=True)
        self._thread.start()
        self._ready.wait()
        if not self.base_url:
            raise RuntimeError("the loopback server did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        import asyncio

        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        import asyncio

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runners = [await self._start(self._handle, self._tls), await self._start(self._other, None)]
        scheme = "https" if self._tls else "http"
        self.base_url = f"{scheme}://127.0.0.1:{runners[0].addresses[0][1]}"
        self.elsewhere_url = f"http://127.0.0.1:{runners[1].addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        for runner in runners:
            await runner.cleanup()

    async def _start(self, handler: Any, tls: ssl.SSLContext | None) -> web.AppRunner:
        from aiohttp import web

        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        return runner

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = await _seen(request)
        self.requests.append(seen)
        return await self._deliver(self._reply(seen), request)

    def _reply(self, seen: Seen) -> Reply:
        queued = self._queued.popleft() if self._queued else "ok"
        if queued == "ok":
            return self.answer(seen)
        if queued == "redirect":
            return Reply(302, headers={"Location": f"{self.elsewhere_url}{seen.path}"})
        if isinstance(queued, str):
            return self.faults[queued]
        return queued if isinstance(queued, Reply) else queued(seen)

    async def _deliver(self, reply: Reply, request: web.Request) -> web.StreamResponse:
        import asyncio

        from aiohttp import web

        await asyncio.sleep(reply.delay)
        if reply.ending == "hang":
            await asyncio.Event().wait()
        if reply.ending == "reset" and request.transport is not None:
            request.transport.abort()
        if reply.ending != "cut":
            return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        response.content_length = len(reply.body) + 100
        await response.prepare(request)
        await response.write(reply.body)
        if request.transport is not None:
            request.transport.abort()
        return response

    async def _other(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        self.elsewhere.append(await _seen(request))
        return web.json_response({"error": "another host"}, status=400)


async def _seen(request: web.Request) -> Seen:
    headers = {name.lower(): value for name, value in request.headers.items()}
    path, query = request.path, dict(request.query.items())
    return Seen(request.method, path, query, headers, await request.read(), request.rel_url.raw_query_string)
