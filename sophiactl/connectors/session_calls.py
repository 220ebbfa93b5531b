"""What goes through a session: calls, answers, what has to be known of a service, and what is kept of each call."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from sophiactl.connectors.config import Limit
from sophiactl.connectors.errors import BadQuery, Malformed, ServiceError
from sophiactl.web import WebAnswer, WebRequest


class Call(msgspec.Struct, frozen=True):
    """One request. `path` is joined to the base URL; a whole URL is taken as it is, if its host may be asked.

    `params` go into the query, `json` or `form` into the body; any of them may hold what is not to be shown. `limit`
    names the vendor's rate-limit bucket (a Slack method); empty is the service's common one.
    """

    method: str
    path: str
    params: Mapping[str, str | int | list[str]] = {}
    json: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = {}
    limit: str = ""

    def __repr__(self) -> str:
        return f"Call({self.method} {self.shown_path})"

    @property
    def shown_path(self) -> str:
        """The path without scheme, host and query."""
        return urlsplit(self.path).path if is_whole(self.path) else self.path.partition("?")[0]


class Answer(msgspec.Struct, frozen=True):
    """A good answer: its JSON (an object or a list; `{}` when there is no content) and its headers in lower case."""

    json: Any
    headers: dict[str, str]
    status: int = 200

    def __repr__(self) -> str:
        return f"Answer({self.status}, {type(self.json).__name__} of {len(self.json)})"


class Peer(msgspec.Struct, frozen=True):
    """What a session needs to know of a service.

    `identity` gives the headers that carry the key, anew for each call; it may do a login first. `renew` is called once
    when a key that worked before is refused (Salesforce), however many calls find out at the same time, and each of
    them is then repeated once. `judge` reads an answer, whatever its status, with its JSON (None when it has none):
    None when it is good (a 404 may be: Gong's "no calls"), else the error that it is. `limits` are the service's own
    rates by name, `all` for the common one. With `per_method`, each name is a limit of its own and a 429 closes that
    one alone (Slack); else the common one counts every call, and a 429 closes the service. `hosts` may be asked, and no
    others.
    """

    service: str
    base_url: str
    hosts: tuple[str, ...]
    identity: Callable[[], Awaitable[Mapping[str, str]]]
    judge: Callable[[WebAnswer, Any], ServiceError | None]
    limits: Mapping[str, Limit] = {}
    renew: Callable[[], Awaitable[None]] | None = None
    concurrency: int = 8
    per_method: bool = False


class CallRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of one call, for metrics and the ledger. No secrets.

    `outcome` is `ok`, the code of an error, `cancelled`, or `failed` for what nobody foresaw. `seconds` holds all
    tries and waits, `waited` those for limits and before another try.
    """

    service: str
    method: str
    path: str
    outcome: str
    seconds: float
    waited: float = 0.0
    retries: int = 0


class Tools(msgspec.Struct, frozen=True):
    """What tests replace: `clock` in seconds, `sleep`, `chance` from 0 to 1, `wall` in seconds since 1970."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] | None = None
    chance: Callable[[], float] = random.random
    wall: Callable[[], float] = time.time
    observe: Callable[[CallRow], None] | None = None


def written(call: Call, peer: Peer, identity: Mapping[str, str]) -> WebRequest:
    """A call as a request. Raises `Malformed` for a URL that leads elsewhere, `BadQuery` for what cannot be sent."""
    url = _address(call.path, peer)
    headers = {"Accept": "application/json", **identity, **call.headers}
    body = None
    try:
        if call.params:
            url += f"{'&' if '?' in url else '?'}{urlencode(_plain(call.params), doseq=True, errors='replace')}"
        if call.json is not None:
            body = msgspec.json.encode(call.json)
            headers["Content-Type"] = "application/json"
        elif call.form is not None:
            body = urlencode(call.form).encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded"
    except (UnicodeEncodeError, msgspec.EncodeError):
        raise BadQuery(f"{peer.service} cannot be asked with text that is no Unicode", service=peer.service) from None
    if not url.isprintable():
        raise BadQuery(f"{peer.service} has no such address: it holds signs that do not print", service=peer.service)
    return WebRequest(call.method, url, headers, body)


def is_whole(path: str) -> bool:
    """Whether a path is a URL with a host of its own."""
    return path[:8].lower().startswith(("http://", "https://"))


def _address(path: str, peer: Peer) -> str:
    """The URL of a call. One that the service handed us leads to where we asked, or to the usual port of its hosts."""
    base = peer.base_url.rstrip("/")
    if not is_whole(path):
        return f"{base}/{path.lstrip('/')}"
    try:
        own, other = urlsplit(base), urlsplit(path)
        known = (own.scheme, own.hostname, own.port) == (other.scheme, other.hostname, other.port)
        known = known or (other.scheme == "https" and other.port in (None, 443))
    except ValueError:
        known = False
    if not known:
        raise _elsewhere(peer, "another address")
    return path


def _elsewhere(peer: Peer, where: str) -> ServiceError:
    error = Malformed(f"{peer.service} points to {where}, which is not asked with a key", service=peer.service)
    error.stop = True
    return error


def _plain(params: Mapping[str, str | int | list[str]]) -> dict[str, str | int | list[str]]:
    """Parameters as services write them: `true` and not `True`."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items()}
