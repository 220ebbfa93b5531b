"""Asking a loopback ESC server in tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.web import WebAnswer, WebRequest, WebSession, run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.testing.esc_server import EscServer


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **length: float) -> None:
        self.time += timedelta(**length)


def ask(
    server: EscServer,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    *,
    token: str | None = None,
) -> WebAnswer:
    data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
    sent = {"Authorization": f"token {token or server.token}", **(headers or {})}
    request = WebRequest(method, server.base_url + path, sent, data)

    async def send() -> WebAnswer:
        async with WebSession() as web:
            return await web.send(request, hosts=["127.0.0.1"], deadline=10)

    return run(send())
