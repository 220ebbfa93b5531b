"""What `pulumi login` and `esc login` left on the disk.

Files, as the CLI writes them: `credentials.json` (tokens and accounts by address) and `config.json` (the default
organization by address) in PULUMI_CREDENTIALS_PATH, or PULUMI_HOME, or ~/.pulumi; and `.esc/credentials.json` in
PULUMI_HOME or ~/.pulumi, which names the address that ESC's own CLI is logged into (empty: the one of pulumi).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from sophiactl.errors import ConfigError
from sophiactl.redaction import Secret
from sophiactl.secrets.esc.backend import same_address

_MOST_BYTES = 1 << 20
_AGAIN = "run `pulumi login` again, or set PULUMI_ACCESS_TOKEN and PULUMI_BACKEND_URL"


class BadLoginFile(ConfigError):
    """A file of the CLI that cannot be read."""

    code = "bad_login_file"


class Account(msgspec.Struct, frozen=True):
    """A login at one address."""

    url: str
    token: Secret
    username: str = ""
    organizations: tuple[str, ...] = ()
    insecure: bool = False


class Stored(msgspec.Struct, frozen=True):
    """All logins of the disk. `current` is the address in use, `file` where the tokens stand."""

    file: Path
    current: str = ""
    accounts: tuple[Account, ...] = ()
    organizations: Mapping[str, str] = {}
    open_to_others: bool = False

    def account(self, url: str) -> Account | None:
        """The login at an address."""
        return next((account for account in self.accounts if same_address(account.url, url)), None)

    def default_organization(self, url: str) -> str:
        """The default organization at an address, empty when none was set."""
        return next((name for address, name in self.organizations.items() if same_address(address, url)), "")


def login_file(env: Mapping[str, str]) -> Path:
    """Where the CLI keeps its tokens, whether there are any or not."""
    folder = env.get("PULUMI_CREDENTIALS_PATH", "")
    return (Path(folder) if folder else _pulumi_home(env)) / "credentials.json"


def read_stored(env: Mapping[str, str]) -> Stored:
    """The logins of the disk; none is no error. Raises `BadLoginFile`."""
    file = login_file(env)
    found = _read(file)
    pointer = _text(_read(_pulumi_home(env) / ".esc" / "credentials.json").get("name"))
    backends = _object(_read(file.with_name("config.json")).get("backends"))
    tokens = {url: _text(token) for url, token in _object(found.get("accessTokens")).items()}
    accounts = _object(found.get("accounts"))
    return Stored(
        file,
        pointer or _text(found.get("current")),
        tuple(
            account
            for url in {**tokens, **accounts}
            if (account := _account(url, _object(accounts.get(url)), tokens.get(url, "")))
        ),
        {url: name for url, entry in backends.items() if (name := _text(_object(entry).get("defaultOrg")))},
        bool(found) and os.name == "posix" and bool(file.stat().st_mode & 0o077),
    )


def _account(url: str, entry: dict[str, Any], token: str) -> Account | None:
    token = _text(entry.get("accessToken")) or token
    names = entry.get("organizations")
    organizations = tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()
    insecure = entry.get("insecure") is True
    return Account(url, Secret(token), _text(entry.get("username")), organizations, insecure) if token else None


def _pulumi_home(env: Mapping[str, str]) -> Path:
    moved, home = env.get("PULUMI_HOME", ""), env.get("HOME", "")
    if moved:
        return Path(moved)
    if not home.startswith("/"):
        import pwd

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            home = "/"
    return Path(home) / ".pulumi"


def _read(file: Path) -> dict[str, Any]:
    """The object in a file, empty when there is none. The text of a bad one is never shown: it holds tokens."""
    try:
        if not file.exists():
            return {}
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            raise BadLoginFile(f"{file} is no login file", hint=_AGAIN)
        data = file.read_bytes()
        found = msgspec.json.decode(data) if data.strip() else {}
    except OSError as error:
        raise BadLoginFile(f"cannot read {file}: {error.strerror}", hint=_AGAIN) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadLoginFile(f"{file} is not what `pulumi login` writes", hint=_AGAIN) from None
    if not isinstance(found, dict):
        raise BadLoginFile(f"{file} is not what `pulumi login` writes", hint=_AGAIN)
    return found


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
