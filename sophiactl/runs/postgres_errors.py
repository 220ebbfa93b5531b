"""Where a PostgreSQL server may be, and what its failures mean in our own errors."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from sophiactl.errors import (
    AuthError,
    ConfigError,
    DeadlineExceeded,
    DiskFull,
    Locked,
    SophiaError,
    StoreError,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

SETTING = "runs.url"
_EXAMPLE = "such as postgresql://sophia@db.example.com/sophia?sslmode=verify-full"
_SECRETS = frozenset({"password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret"})
_CLASSES = ("08", "57P", "53300")
"""SQLSTATEs of a server that is gone, going, starting, or taking no more connections."""
_WAITED = frozenset({"55P03", "40P01", "40001"})
# A refused connection carries no SQLSTATE, only the server's words.
_REFUSED = re.compile(
    r"authentication failed|no password supplied|pg_hba\.conf|role \".*\" does not exist|permission denied for database"
    r"|certificate|is not permitted to log in",
    re.IGNORECASE,
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:\[\]]*)(:[0-9]*)?")
_NO_DATABASE = re.compile(r"database \".*\" does not exist", re.IGNORECASE)


def refuse_secrets(url: str) -> None:
    """Refuse a URL that is none of PostgreSQL's or that holds a password; the message shows none. `ConfigError`."""
    try:
        parts = urlsplit(url)
        secret = parts.password is not None or any(key in _SECRETS for key, _ in parse_qsl(parts.query, True))
    except ValueError:
        raise ConfigError(f"{SETTING} is no URL", hint=_EXAMPLE) from None
    if secret:
        raise ConfigError(
            f"{SETTING} must not hold a password",
            hint="keep it in the environment; runs.password_name names the variable",
        )
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ConfigError(f"{SETTING} must begin with postgresql://", hint=_EXAMPLE)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    # A password with a slash in it ends up in the place of the port and of the database.
    if "@" in parts.path or not all(map(_HOST.fullmatch, hosts)):
        raise ConfigError(f"{SETTING} is no URL that PostgreSQL understands", hint=_EXAMPLE)


def connection_options(url: str, env: Mapping[str, str]) -> dict[str, str | int]:
    """What a URL says, with safe defaults for the rest: TLS beyond this machine. Raises `ConfigError`."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    refuse_secrets(url)
    try:
        given = conninfo_to_dict(url)
    except ProgrammingError:
        # Its message quotes the URL.
        raise ConfigError(f"{SETTING} is no URL that PostgreSQL understands", hint=_EXAMPLE) from None
    options: dict[str, str | int] = {name: str(value) for name, value in given.items() if value is not None}
    hosts = str(options.get("hostaddr") or options.get("host") or "").split(",")
    if "sslmode" not in options and "PGSSLMODE" not in env and not all(map(_is_here, hosts)):
        options["sslmode"] = "require"
    defaults = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 30_000}
    return {**defaults, "application_name": "sophiactl", "client_encoding": "utf8", **options}


def place(options: Mapping[str, str | int]) -> str:
    """The database as messages name it."""
    name, port = str(options.get("host") or options.get("hostaddr") or "localhost"), options.get("port")
    return f"PostgreSQL at {name}{f':{port}' if port else ''}"


def translated(error: psycopg.Error, where: str, *, password: str | None, password_name: str) -> SophiaError:
    """Our error for one of psycopg's; `password` is cut out of its words."""
    from psycopg import OperationalError

    text = " ".join(str(error).split())[:300]
    text = text.replace(password, "***") if password else text
    if error.sqlstate:
        return _by_state(error.sqlstate, where, text, password_name)
    if isinstance(error, OperationalError):
        return _by_words(where, text, password_name)
    return StoreError(f"the ledger in {where} failed: {text}")


def _by_state(state: str, where: str, text: str, password_name: str) -> SophiaError:
    if state == "53100":
        return DiskFull(f"{where} has no room left", hint="free some space there; what was acknowledged is safe")
    if state in _WAITED:
        return Locked(f"{where}: another process holds what this one needs", hint="run it again")
    if state == "57014":
        return DeadlineExceeded(f"{where} did not finish in time", hint="ask for less, such as --since 1d")
    if state.startswith("28"):
        return _refused(where, text, password_name)
    if state == "42501":
        return AuthError(f"{where}: {text}", hint="grant the role usage and creation in its schema")
    if state.startswith(_CLASSES):
        return Unreachable(f"{where} is not available: {text}", hint="run it again when the server is up")
    return StoreError(f"the ledger in {where} failed: {text}")


def _by_words(where: str, text: str, password_name: str) -> SophiaError:
    if _REFUSED.search(text):
        return _refused(where, text, password_name)
    if _NO_DATABASE.search(text):
        return ConfigError(f"{where}: {text}", hint="make the database with createdb, or name another one in runs.url")
    return Unreachable(f"cannot reach {where}: {text}", hint=f"is the server running? {SETTING} says where")


def _refused(where: str, text: str, password_name: str) -> AuthError:
    hint = f"the password is read from the variable {password_name}"
    return AuthError(f"{where} refused the login: {text}", hint=hint)


def _is_here(host: str) -> bool:
    """Whether a host is this machine: a socket's folder, or loopback."""
    if host in {"", "localhost"} or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
