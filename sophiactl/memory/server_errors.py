"""Where a Qdrant server may be, and what its failures mean in our own errors."""

from __future__ import annotations

from json import JSONDecodeError
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from sophiactl.errors import (
    AuthError,
    ConfigError,
    DeadlineExceeded,
    NotFound,
    RateLimited,
    SophiaError,
    StoreError,
    Unreachable,
    UpstreamError,
)
from sophiactl.web import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client.http.exceptions import UnexpectedResponse

T = TypeVar("T")

_SETTING = "memory.url"


def checked_url(url: str) -> str:
    """The URL, if a key may be sent to it: https, or http on this machine. Raises `ConfigError`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{_SETTING} is no URL: {error}", hint="such as https://qdrant.example.com:6333") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(
            f"{_SETTING} must begin with https:// and a host", hint="such as https://qdrant.example.com:6333"
        )
    if parts.username or parts.password:
        raise ConfigError(f"{_SETTING} must not hold a password", hint="keep the key in the secret QDRANT_API_KEY")
    if parts.query or parts.fragment:
        raise ConfigError(f"{_SETTING} must not hold a query", hint="such as https://qdrant.example.com:6333")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(
            f"{_SETTING} {host}: plain http is for this machine only", hint="use https://, or a tunnel to 127.0.0.1"
        )
    return url.rstrip("/")


def guarded(place: str, operation: Callable[[], T], *, secret: str | None = None) -> T:
    """Call the client; whatever it raises becomes an error of ours, and `secret` is cut out of its text."""
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    try:
        return operation()
    except SophiaError:
        raise
    except (ApiException, QdrantException, ValueError, TypeError, OSError, RuntimeError, AssertionError) as error:
        # The cause is cut off when there is a key: its text and its request may hold it.
        raise translated(place, error, secret=secret) from (None if secret else error)


def translated(place: str, error: Exception, *, secret: str | None = None) -> SophiaError:
    """Our error for one of the client's."""
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if isinstance(error, ResponseHandlingException):
        return _transport(place, error.source)
    if isinstance(error, ResourceExhaustedResponse):
        return RateLimited(f"{place} asks to wait {error.retry_after_s} s", hint="try again then")
    if isinstance(error, UnexpectedResponse):
        return _status(place, error.status_code or 0, _reason(error, secret))
    if isinstance(error, JSONDecodeError | UnicodeDecodeError | AssertionError):
        return _not_qdrant(place, error)
    text = _without(str(error), secret)
    if "not found" in text and "ollection" in text:
        return NotFound(f"{place}: {text}", hint="make it: sophiactl embed PATH")
    return StoreError(f"the store at {place} failed: {text[:300]}")


def _transport(place: str, source: Exception) -> SophiaError:
    import httpx

    kind = type(source).__name__
    if isinstance(source, httpx.TimeoutException):
        return DeadlineExceeded(f"{place} did not answer in time ({kind})", hint="allow more: --timeout 120")
    if isinstance(source, httpx.TransportError | OSError):
        return Unreachable(f"cannot reach {place} ({kind})", hint=f"is the server running? {_SETTING} says where")
    return _not_qdrant(place, source)


def _not_qdrant(place: str, source: Exception) -> UpstreamError:
    return UpstreamError(
        f"{place} gave an answer that is not Qdrant's ({type(source).__name__})",
        hint=f"does {_SETTING} name a Qdrant server?",
    )


def _status(place: str, status: int, reason: str) -> SophiaError:
    message = f"{place} answered {status}" + (f": {reason}" if reason else "")
    if status in {401, 403}:
        return AuthError(
            f"{place} refused the key ({status})", hint="sophiactl secrets validate; the secret is QDRANT_API_KEY"
        )
    if status == 404:
        return NotFound(message, hint="make it: sophiactl embed PATH")
    if status == 408:
        return DeadlineExceeded(message, hint="allow more: --timeout 120")
    if status == 429:
        return RateLimited(message, hint="try again later")
    if status in {400, 409, 413, 422}:
        return StoreError(message)
    return UpstreamError(message, hint="the log of the Qdrant server says more")


def _reason(error: UnexpectedResponse, secret: str | None) -> str:
    try:
        text = error.structured()["status"]["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return _without(str(text), secret)[:200]


def _without(text: str, secret: str | None) -> str:
    return text.replace(secret, "***") if secret else text
