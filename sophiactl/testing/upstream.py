"""A server on loopback that speaks OpenAI's chat wire and fails on demand.

    async with MockUpstream() as upstream:
        upstream.queue("429-after", "ok")          # the next two requests
        ... ask upstream.base_url for model "mock", or for model "mock!503-html" without any queue ...
        upstream.requests[0].headers, upstream.requests[0].body, upstream.requests[0].cut

`python -m sophiactl.testing.upstream` serves until its standard input is closed, and prints its base URL first.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sophiactl.testing import upstream_faults

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType
    from typing import Self

    from aiohttp import web

SEPARATOR = "!"


class Exchange(NamedTuple):
    """A request in the hands of a fault."""

    upstream: MockUpstream
    request: web.Request
    seen: Seen


@dataclass
class Seen:
    """A request that arrived over the connection `peer`.

    `tokens` were sent in answer; `cut` is set when the client leaves before the end.
    """

    headers: dict[str, str]
    body: dict[str, Any]
    path: str
    fault: str
    cut: asyncio.Event
    peer: str = ""
    done: bool = False
    tokens: int = 0


@dataclass
class MockUpstream:
    """The server; use as an async context manager. Its answer is `words` words, `interval` seconds apart in a stream.

    `key` is the Bearer key it wants, any when None. `elsewhere` holds the headers of requests that reached the other
    host that the fault `redirect` points to.
    """

    words: int = 12
    interval: float = 0.0
    key: str | None = None
    requests: list[Seen] = field(default_factory=list)
    elsewhere: list[dict[str, str]] = field(default_factory=list)
    base_url: str = ""
    other_url: str = ""
    _faults: deque[str] = field(default_factory=deque)
    _runners: list[web.AppRunner] = field(default_factory=list)

    def queue(self, *faults: str) -> None:
        """What the next requests meet, by name: `ok`, or one of `FAULTS`."""
        unknown = set(faults) - set(upstream_faults.FAULTS) - {"ok"}
        if unknown:
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
        self._faults.extend(faults)

    @property
    def tokens(self) -> int:
        """Tokens sent in all answers together."""
        return sum(seen.tokens for seen in self.requests)

    def answer(self) -> list[str]:
        """The words of its answer, with the spaces between them."""
        return [f"word{number} " for number in range(self.words)]

    async def __aenter__(self) -> Self:
        self.base_url = f"{await self._serve(self._chat)}/v1"
        self.other_url = await self._serve(self._other)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    async def _serve(self, handler: Any) -> str:
        from aiohttp import web

        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", handler)
        # With cancellation, a client that leaves is noticed at once.
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        import asyncio

        body = msgspec.json.decode(await request.read())
        fault = self._faults.popleft() if self._faults else str(body.get("model")).rpartition(SEPARATOR)[2]
        peer = str(request.transport.get_extra_info("peername")) if request.transport is not None else ""
        seen = Seen(dict(request.headers), body, request.path, fault, asyncio.Event(), peer)
        self.requests.append(seen)
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            seen.fault = "401"
        try:
            handler = upstream_faults.FAULTS.get(seen.fault, upstream_faults.answer)
            response = await handler(Exchange(self, request, seen))
        except (asyncio.CancelledError, ConnectionError):
            if not seen.done:
                seen.cut.set()
            raise asyncio.CancelledError from None
        seen.done = True
        return response

    async def _other(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        self.elsewhere.append(dict(request.headers))
        return web.json_response({"error": {"message": "this is another host"}}, status=400)


async def _main() -> None:
    import asyncio

    async with MockUpstream(words=40) as upstream:
        sys.stdout.write(f"{upstream.base_url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    import asyncio

    asyncio.run(_main())
