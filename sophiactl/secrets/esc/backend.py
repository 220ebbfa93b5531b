"""Where Pulumi's API is: an address that a token may be sent to. Pure."""

from __future__ import annotations

import msgspec

from sophiactl.errors import ConfigError

CLOUD = "https://api.pulumi.com"
_SET = "set secrets.esc.backend_url or PULUMI_BACKEND_URL to the API, such as " + CLOUD
# Backends that keep state by themselves and have no service behind them.
_STATE_ONLY = frozenset({"file", "s3", "azblob", "gs", "mongo", "postgres", "postgresql"})
_PAGES = frozenset({"pulumi.com", "www.pulumi.com", "app.pulumi.com"})


class BadBackend(ConfigError):
    """An address that no ESC is behind, or that no token should be sent to."""

    code = "bad_backend"


class Backend(msgspec.Struct, frozen=True):
    """Pulumi's API. `url` has no slash at its end and may have a path, `origin` says in words who named it."""

    url: str
    host: str
    origin: str


def checked_backend(url: str, origin: str) -> Backend:
    """The backend at an address that `origin` named. Raises `BadBackend`, which shows scheme and host at most."""
    from urllib.parse import urlsplit

    from sophiactl.web import is_loopback

    if not url.isprintable() or not url.isascii() or " " in url:
        raise BadBackend(f"{origin} is no address: it holds signs that none can hold", hint=_SET)
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        _ = parts.port
    except ValueError:
        raise BadBackend(f"{origin} is no address", hint=_SET) from None
    if parts.scheme in _STATE_ONLY:
        raise BadBackend(f"{origin} names a backend of kind {parts.scheme}://, which has no ESC", hint=_SET)
    if parts.scheme not in {"https", "http"} or not host:
        raise BadBackend(f"{origin} is no address: it does not begin with https://", hint=_SET)
    if parts.username is not None or parts.password is not None:
        raise BadBackend(f"{origin} holds credentials", hint="leave them out of the address")
    if parts.scheme == "http" and not is_loopback(host):
        raise BadBackend(f"{origin} names http://{host}: a token is not sent without TLS", hint="use https")
    if host in _PAGES:
        raise BadBackend(f"{origin} names {host}, which is a page for people and no API", hint=f"use {CLOUD}")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise BadBackend(f"{origin} has more than a path behind {host}", hint=_SET)
    return Backend(f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", host, origin)


def same_address(one: str, other: str) -> bool:
    """Whether two addresses are one, as the CLI writes them."""
    return one.rstrip("/").lower() == other.rstrip("/").lower()


def shown_address(url: str) -> str:
    """Scheme and host of an address: the rest may hold credentials."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "another address"
    return f"{parts.scheme}://{host}"
