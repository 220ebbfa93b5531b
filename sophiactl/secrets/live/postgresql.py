"""PostgreSQL: a login, and nothing after it. The little of protocol 3 that this takes is in `postgresql_wire`.

The URL comes from a secret, else from the settings (`runs.url`, as the probe's base URL), the password from the URL or
from a secret of its own. A login counts only by SCRAM-SHA-256, in which the server proves that it knows the password
too, without having been shown it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from sophiactl.errors import SophiaError
from sophiactl.redaction import Secret
from sophiactl.secrets.base import Verdict
from sophiactl.secrets.live import reading
from sophiactl.secrets.live.reading import Said

if TYPE_CHECKING:
    from sophiactl.secrets.base import Check
    from sophiactl.secrets.live.base import Probe
    from sophiactl.secrets.live.postgresql_wire import Outcome
    from sophiactl.web import WebSession

URLS = ("DATABASE_URL", "POSTGRES_URL", "POSTGRESQL_URL")
PASSWORDS = ("SOPHIACTL_RUNS_PASSWORD", "POSTGRES_PASSWORD", "PGPASSWORD")
_SCHEMES = frozenset({"postgresql", "postgres"})
_LIMITED = frozenset({"3D000", "42501", "53300", "55000"})
_UNKNOWN_ROLE = frozenset({"InitializeSessionUserId"})


class Login(msgspec.Struct, frozen=True):
    """Where to log in and as whom. `mode` is that of libpq: disable, prefer, require, verify-ca, verify-full."""

    host: str
    port: int
    user: str
    database: str
    password: Secret
    mode: str


async def check(probe: Probe, session: WebSession) -> tuple[Check, ...]:  # noqa: ARG001 - it speaks no HTTP
    """One check of the login."""
    named = next((name for name in URLS if reading.value(probe, name)), "") if not probe.fixed else ""
    given = next((name for name in PASSWORDS if reading.value(probe, name)), "")
    names = tuple(name for name in (named, given) if name)
    url = probe.values[named].reveal().strip() if named else probe.base_url
    if not url:
        return reading.skipped(probe, names or PASSWORDS[:1], "there is no address to log in at: set runs.url")
    login = parsed(url, probe.values[given] if given else None)
    if isinstance(login, str):
        return reading.skipped(probe, names or PASSWORDS[:1], login)
    if login.host in reading.LOOPBACK and not (probe.allow_loopback or not named):
        return reading.skipped(probe, names, "an address on this machine: live.allow_loopback is off")
    return (reading.check(probe, names or URLS[:1], await _said(login, probe)),)


def parsed(url: str, password: Secret | None) -> Login | str:
    """The login that a URL names, or in words why none can be tried."""
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError:
        return "its address is no URL of one server"
    options = dict(parse_qsl(parts.query))
    host = options.get("host") or unquote(parts.hostname or "")
    held = Secret(unquote(parts.password)) if parts.password else password
    if parts.scheme not in _SCHEMES or not host or "," in host:
        return "its address is no URL of one server"
    if host.startswith(("/", "@")):
        return "a server behind a socket file is not asked"
    if not parts.username or not held:
        return "there is no user in its address" if held else "there is no password"
    user, database = unquote(parts.username), unquote(parts.path.lstrip("/"))
    mode = options.get("sslmode") or ("prefer" if host in reading.LOOPBACK else "require")
    return Login(host.lower(), port, user, database or user, held, "prefer" if mode == "allow" else mode)


async def _said(login: Login, probe: Probe) -> Said:
    import asyncio

    from sophiactl.secrets.live.postgresql_wire import log_in

    try:
        async with asyncio.timeout(probe.timeout):
            return meaning(await log_in(login), login)
    except TimeoutError:
        return Said(Verdict.UNKNOWN, f"{login.host} gave no answer in {probe.timeout:g} s")
    except SophiaError as error:
        return Said(Verdict.UNKNOWN, error.message)


def meaning(outcome: Outcome, login: Login) -> Said:
    """What a login's end says of its password."""
    identity = {"user": login.user, "database": login.database}
    code = outcome.code
    if outcome.proved:
        if code == "28000":
            return Said(Verdict.BLOCKED, "the password is right, the role may not log in (28000)", identity)
        if code in _LIMITED:
            return Said(Verdict.VALID_LIMITED, f"the password is right, the database refuses ({code})", identity)
        if code:
            return Said(Verdict.UNKNOWN, f"the server ended the session ({code})")
        return Said(Verdict.VALID, "", identity)
    if code == "28P01" or (code == "28000" and outcome.routine in _UNKNOWN_ROLE):
        return Said(Verdict.INVALID, f"the server refuses user or password ({code})")
    if code == "28000":
        return Said(Verdict.UNKNOWN, "the server lets nobody log in from here, or this user not at all (28000)")
    if code:
        return Said(Verdict.UNKNOWN, f"the server refuses to talk now ({code})")
    return Said(Verdict.UNKNOWN, outcome.why)
