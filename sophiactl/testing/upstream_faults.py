"""What `MockUpstream` answers: well, and in every way that upstreams are known to fail."""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiohttp import web

    from sophiactl.testing.upstream import Exchange, Seen

    Handler = Callable[[Exchange], Awaitable[web.StreamResponse]]

HTML = "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><p>ref 7f3a</p></body></html>"
_ID = "chatcmpl-mock"


async def answer(call: Exchange) -> web.StreamResponse:
    """A good answer, streamed if asked for; a tool call when the request has tools."""
    if call.seen.body.get("stream"):
        return await _stream(call, _events(call))
    from aiohttp import web

    words = call.upstream.answer()
    message: dict[str, Any] = {"role": "assistant", "content": "".join(words)}
    if call.seen.body.get("tools"):
        message = {"role": "assistant", "content": None, "tool_calls": [_tool(call.seen)]}
    call.seen.tokens = len(words)
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call.seen.body.get("tools") else "stop"}
    body = _head(call.seen, "chat.completion") | {"choices": [choice]}
    if call.seen.fault != "no-usage":
        body["usage"] = _usage(call.seen)
    return web.json_response(body)


def _head(seen: Seen, kind: str) -> dict[str, Any]:
    return {"id": _ID, "object": kind, "created": 1_760_000_000, "model": str(seen.body.get("model"))}


def _usage(seen: Seen) -> dict[str, Any]:
    given = sum(len(str(message.get("content")).split()) for message in seen.body.get("messages", []))
    usage = {"prompt_tokens": given, "completion_tokens": seen.tokens, "total_tokens": given + seen.tokens}
    include = seen.body.get("usage")
    cost = {"cost": 1e-6 * (given + seen.tokens)} if isinstance(include, dict) and include.get("include") else {}
    return usage | cost


def _tool(seen: Seen) -> dict[str, Any]:
    name = seen.body["tools"][0]["function"]["name"]
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": '{"city": "Zürich"}'}}


def _events(call: Exchange) -> list[bytes]:
    """The whole stream: first the role, then the pieces, the finish reason, the usage if asked for, the end."""
    pieces: list[dict[str, Any]] = [{"content": word} for word in call.upstream.answer()]
    if call.seen.body.get("tools"):
        whole = _tool(call.seen)
        arguments = whole["function"]["arguments"]
        fragments = [arguments[at : at + 5] for at in range(0, len(arguments), 5)]
        begin = whole | {"function": {"name": whole["function"]["name"], "arguments": ""}}
        pieces = [{"tool_calls": [{"index": 0} | begin]}]
        pieces += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in fragments]
    finish = "tool_calls" if call.seen.body.get("tools") else "stop"
    events = [_event(call.seen, {"role": "assistant", "content": ""}), *(_event(call.seen, piece) for piece in pieces)]
    return [*events, _event(call.seen, {}, finish)]


def _event(seen: Seen, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _data(_head(seen, "chat.completion.chunk") | {"choices": [choice]})


def _data(value: Any) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


async def _stream(call: Exchange, events: list[bytes], *, end: bool = True) -> web.StreamResponse:
    import asyncio

    response = await _begin(call.request)
    for number, event in enumerate(events):
        await response.write(event)
        call.seen.tokens += 0 < number < len(events) - 1
        if call.upstream.interval:
            await asyncio.sleep(call.upstream.interval)
    if end:
        options = call.seen.body.get("stream_options") or {}
        if options.get("include_usage") and call.seen.fault != "no-usage":
            usage = _head(call.seen, "chat.completion.chunk") | {"choices": [], "usage": _usage(call.seen)}
            await response.write(_data(usage))
        await response.write(b"data: [DONE]\n\n")
    return response


async def _begin(request: web.Request) -> web.StreamResponse:
    from aiohttp import web

    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    return response


def _status(status: int, message: str, *, headers: Mapping[str, str] | None = None, **error: Any) -> Handler:
    async def handler(call: Exchange) -> web.StreamResponse:
        from aiohttp import web

        # Like real ones, it echoes the key it was sent.
        key = call.seen.headers.get("Authorization") or call.seen.headers.get("x-portkey-api-key") or ""
        body = {"error": {"message": f"{message} (key: {key.removeprefix('Bearer ')})"} | error}
        return web.json_response(body, status=status, headers=headers)

    return handler


def _page(status: int, title: str, content_type: str = "text/html") -> Handler:
    async def handler(_: Exchange) -> web.StreamResponse:
        from aiohttp import web

        return web.Response(status=status, text=HTML.format(title=title), content_type=content_type)

    return handler


async def _reset(call: Exchange) -> web.StreamResponse:
    """The connection is reset before any byte of an answer."""
    return await _abort(call)


async def _reset_later(call: Exchange) -> web.StreamResponse:
    """The connection is reset after a part of the answer."""
    await _part(call)
    return await _abort(call)


async def _abort(call: Exchange) -> web.StreamResponse:
    call.seen.done = True
    transport = call.request.transport
    if transport is not None:
        # Without lingering, closing sends a reset.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return await _for_ever()


async def _part(call: Exchange) -> web.StreamResponse:
    """About a third of the answer, and nothing that ends it."""
    if call.seen.body.get("stream"):
        events = _events(call)
        call.seen.tokens = 0
        kept = events[: max(len(events) // 3, 3)]
        return await _stream(call, [*kept, events[-2][: len(events[-2]) // 2]], end=False)
    from aiohttp import web

    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "4096"})
    await response.prepare(call.request)
    await response.write(b'{"id": "chatcmpl-mock", "choices": [{"message": {"content": "half of')
    return response


async def _truncated(call: Exchange) -> web.StreamResponse:
    """The body ends in the middle: a stream as if all were well, a whole answer short of its announced length."""
    response = await _part(call)
    if not call.seen.body.get("stream") and call.request.transport is not None:
        call.request.transport.close()
    return response


async def _no_done(call: Exchange) -> web.StreamResponse:
    """A stream of whole events that stops before the finish reason."""
    if not call.seen.body.get("stream"):
        return await _truncated(call)
    return await _stream(call, _events(call)[:5], end=False)


async def _slow(_: Exchange) -> web.StreamResponse:
    """Not even headers, for as long as the client stays."""
    return await _for_ever()


async def _silent(call: Exchange) -> web.StreamResponse:
    """Headers, and then nothing."""
    await _begin(call.request)
    return await _for_ever()


async def _stall(call: Exchange) -> web.StreamResponse:
    """A part of the answer, and then nothing."""
    await _part(call)
    return await _for_ever()


async def _for_ever() -> web.StreamResponse:
    import asyncio

    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def _raw(body: bytes) -> Handler:
    async def handler(_: Exchange) -> web.StreamResponse:
        from aiohttp import web

        return web.Response(body=body, content_type="application/json")

    return handler


def _in_stream(broken: bytes, whole: bytes) -> Handler:
    """Two good events and then `broken`; asked for a whole answer, `whole`."""

    async def handler(call: Exchange) -> web.StreamResponse:
        if not call.seen.body.get("stream"):
            return await _raw(whole)(call)
        events = [*_events(call)[:3], broken]
        return await _stream(call, events, end=True)

    return handler


async def _redirect(call: Exchange) -> web.StreamResponse:
    from aiohttp import web

    return web.Response(status=307, headers={"Location": f"{call.upstream.other_url}/v1/chat/completions?next=1"})


_ERROR = json.dumps({"error": {"message": "Provider returned error", "code": 502}}).encode()
_RATE = "Rate limit reached for requests"

FAULTS: Mapping[str, Handler] = {
    "401": _status(401, "Incorrect API key provided", type="invalid_request_error", code="invalid_api_key"),
    "402": _status(402, "Insufficient credits. Add more using the account page.", code=402),
    "403": _status(403, "Your key may not use this model", type="permission_error"),
    "403-html": _page(403, "Access denied | gateway.example used a firewall to restrict access"),
    "400-credit": _status(400, "Your credit balance is too low to access the API.", type="invalid_request_error"),
    "400-context": _status(400, "This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
    "400-filter": _status(400, "The response was filtered by the content management policy.", code="content_filter"),
    "404": _status(404, "The model `mock` does not exist", code="model_not_found"),
    "429": _status(429, _RATE, code="rate_limit_exceeded"),
    "429-after": _status(429, _RATE, headers={"Retry-After": "7"}, code="rate_limit_exceeded"),
    "429-quota": _status(429, "You exceeded your current quota.", type="insufficient_quota", code="insufficient_quota"),
    "500": _status(500, "The server had an error while processing your request", type="server_error"),
    "503-html": _page(503, "503 Service Temporarily Unavailable"),
    "reset": _reset,
    "reset-later": _reset_later,
    "slow": _slow,
    "silent": _silent,
    "stall": _stall,
    "truncated": _truncated,
    "no-done": _no_done,
    "bad-event": _in_stream(b'data: {"choices": [{"delta": {"content": \n\n', b'{"choices": [{"message": '),
    "bad-body": _raw(b'{"id": "x", "choices": [{"message": {"role"'),
    "wrong-type": _page(200, "Welcome to the gateway"),
    "redirect": _redirect,
    "error-200": _in_stream(b"data: " + _ERROR + b"\n\n", _ERROR),
    "no-choices": _raw(b'{"id": "x", "object": "chat.completion", "choices": []}'),
    "no-usage": answer,
}
"""Faults by name."""
