"""Chat over OpenAI's wire: Portkey, OpenRouter, and every compatible server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

import sophiactl
from sophiactl.clock import utc_now
from sophiactl.llm.answers import Stream, whole
from sophiactl.llm.base import Delta
from sophiactl.llm.classify import Peer, broken, from_response
from sophiactl.llm.failures import BadRequest, CallFailed
from sophiactl.llm.headers import identify, of_request
from sophiactl.llm.session import HttpSession, lines, target
from sophiactl.llm.watch import Watch
from sophiactl.web import environment_proxies

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sophiactl.llm.base import ChatRequest, Completion
    from sophiactl.llm.config import ProviderConfig, Secrets
    from sophiactl.llm.session import Reply
    from sophiactl.model import Clock

_OPTIONS = (
    "max_tokens", "temperature", "top_p", "stop", "tools", "tool_choice", "response_format", "seed", "user",
)  # fmt: skip

_WHOLE = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
# A stream that is compressed on its way comes in lumps.
_STREAM = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}


class Limits(msgspec.Struct, frozen=True):
    """Most bytes taken of a whole answer, of one event of a stream, and of an error's body."""

    answer: int = 32 << 20
    event: int = 8 << 20
    error: int = 1 << 16


class OpenAIWire:
    """A `ChatModel` over HTTP. `secrets` gives the keys that `config` names; they are read once, here.

    Give several providers the same `session` to share its connections; whoever made it closes it. Raises `ConfigError`
    for a key that is missing or an address that is not allowed.
    """

    def __init__(
        self,
        name: str,
        config: ProviderConfig,
        secrets: Secrets,
        *,
        session: HttpSession | None = None,
        limits: Limits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        address = config.address()
        identity = identify(name, config, secrets)
        self.provider = name
        self.config = config
        self._own = session is None
        self._session = session or HttpSession(proxies=environment_proxies() if config.trust_env else None)
        self._limits = limits or Limits()
        self._now = clock
        self._peer = Peer(name, urlsplit(address).netloc, config.key_name())
        common = {"Content-Type": "application/json", "User-Agent": f"sophiactl/{sophiactl.__version__}"}
        self._whole_at, self._stream_at = (
            target(f"{address}/chat/completions", identity.headers | common | wanted) for wanted in (_WHOLE, _STREAM)
        )

    async def complete(self, request: ChatRequest) -> Completion:
        """The whole answer. Raises `CallFailed`."""
        watch = Watch(self.config.deadlines, self._peer)
        reply = await self._ask(request, watch, stream=False)
        try:
            await self._require(reply, "json")
            answer = await self._whole(reply, request)
        finally:
            reply.close()
        return msgspec.structs.replace(answer, latency=watch.elapsed)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """The answer as it comes. Raises `CallFailed`, whose `text` is what had arrived by then."""
        watch = Watch(self.config.deadlines, self._peer)
        limits = self._limits
        answer = Stream(request.model, self._peer, self._now, limit=limits.answer, event_limit=limits.event)
        reply: Reply | None = None
        first: float | None = None
        try:
            reply = await self._ask(request, watch, stream=True)
            await self._require(reply, "event-stream", "json")
            if "json" in reply.content_type:
                # Some servers know no streams and answer whole; an error may come this way too.
                final = await self._whole(reply, request)
                first = watch.elapsed
                yield Delta(text=final.text, tool_calls=final.tool_calls)
            else:
                chunk = reply.first
                while True:
                    for delta in answer.feed(chunk):
                        first = watch.elapsed if first is None else first
                        yield delta
                    if answer.done or not chunk:
                        break
                    chunk = await reply.piece()
                final = answer.final()
            yield Delta(final=msgspec.structs.replace(final, latency=watch.elapsed, first_token=first))
            await reply.drain()
        except CallFailed as failure:
            failure.text = failure.text or answer.text
            raise
        finally:
            # Also when the caller has gone: closing an answer that is not read to its end cuts the connection.
            if reply is not None:
                reply.close()

    async def close(self) -> None:
        """Release the connections, unless they are shared."""
        if self._own:
            await self._session.close()

    async def _ask(self, request: ChatRequest, watch: Watch, *, stream: bool) -> Reply:
        body = self._body(request, stream=stream)
        where = self._stream_at if stream else self._whole_at
        return await self._session.post(where, lines(of_request(self.config, request)), body, watch)

    async def _require(self, reply: Reply, *types: str) -> None:
        """Raise what an error's status means, or that the answer is of another type than asked for."""
        if not 200 <= reply.status < 300:
            said = await reply.error_body(self._limits.error)
            raise from_response(self._peer, reply.status, reply.headers, said, now=self._now())
        if reply.content_type and not any(kind in reply.content_type for kind in types):
            raise broken(self._peer, f"answered with {reply.content_type} in place of {types[0]}", status=reply.status)

    async def _whole(self, reply: Reply, request: ChatRequest) -> Completion:
        body = await reply.body(self._limits.answer)
        if len(body) > self._limits.answer:
            raise broken(self._peer, "sent more than is taken of one answer", status=reply.status)
        return whole(body, request.model, self._peer, self._now)

    def _body(self, request: ChatRequest, *, stream: bool) -> bytes:
        body: dict[str, Any] = {"model": request.model, "messages": request.messages}
        for name in _OPTIONS:
            value = getattr(request, name)
            if value is not None and value != ():
                body[name] = value
        if self.config.kind == "openrouter":
            body["usage"] = {"include": True}
        body |= request.extra
        if stream:
            body["stream"] = True
            options = request.extra.get("stream_options")
            body["stream_options"] = {"include_usage": True} | (options if isinstance(options, dict) else {})
        else:
            body.pop("stream", None)
            body.pop("stream_options", None)
        try:
            return msgspec.json.encode(body)
        except (TypeError, ValueError, RecursionError):
            # A lone surrogate, or something in `extra` that JSON does not have.
            raise BadRequest(
                "the request cannot be written as JSON", hint="the prompt must be text that UTF-8 can hold"
            ) from None
