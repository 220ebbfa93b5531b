"""A made-up company to try things out on: its services on loopback, and a profile that leads to them.

The services run in a process of their own (`python -m sophiactl.testing.vendors`) that holds a lock as long as it
lives: the lock says whether it is there, whatever a file says.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ConfigError, DiskFull, Locked, UpstreamError
from sophiactl.locks import FileLock
from sophiactl.paths import ensure_dir
from sophiactl.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sophiactl.paths import Paths
    from sophiactl.settings import Settings

PROFILE = COLLECTION = "demo"
SECRETS = f".env.{PROFILE}"
_MARK = "# Written by `sophiactl init --demo`, and written anew by it."
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
# What a loopback address would be refused as: the secrets then are as a real company's.
_ADDRESSES = {
    "salesforce": {"SALESFORCE_INSTANCE_URL": "https://larkfield.my.salesforce.com"},
    "gong": {"GONG_BASE_URL": "https://us-12345.api.gong.io"},
}
_ENVIRONMENT = ("HOME", "PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


class Place(msgspec.Struct, frozen=True):
    """Where a service is, and what it takes for a secret."""

    address: str
    secrets: dict[str, str]

    def __repr__(self) -> str:
        return f"Place({self.address!r})"


class Company(msgspec.Struct, frozen=True):
    """The services that run, by name, and the process they are in."""

    pid: int
    vendors: dict[str, Place]


class Demo:
    """The one made-up company of this state folder."""

    def __init__(self, paths: Paths) -> None:
        self.folder = paths.state / "demo"
        self.profile = paths.config / "profiles" / PROFILE
        self._lock = FileLock(self.folder / "vendors.lock", purpose="", timeout=0)

    def running(self) -> Company | None:
        """The company, if it is there."""
        holder = self._lock.holder()
        if holder is None:
            return None
        try:
            found = msgspec.json.decode((self.folder / "vendors.json").read_bytes(), type=Company)
        except (OSError, msgspec.DecodeError):
            return None
        return found if found.pid == holder.pid else None

    def start(self, env: Mapping[str, str]) -> tuple[Company, bool]:
        """The company, and whether it was started just now. Raises `ConfigError` and `UpstreamError`."""
        with self._turn():
            company = self.running()
            if company is not None:
                return company, False
            self._end()  # one that has not written its file is of no use
            self._spawn(env)
            company = self.running()
        if company is None:
            raise UpstreamError("the made-up company ended as soon as it was there", hint="run the command again")
        return company, True

    def stop(self) -> bool:
        """End the company; False when there was none. Raises `UpstreamError` when it does not end."""
        if not self.folder.is_dir():
            return False
        with self._turn():
            return self._end()

    def write(self, company: Company, folder: Path) -> tuple[Path, ...]:
        """Write the profile, and the secrets into `folder`; nothing else of the user's is touched.

        Raises `ConfigError` for files of those names that are not ours.
        """
        connectors = "".join(
            f"{service}:\n  base_url: {place.address}\n" for service, place in sorted(company.vendors.items())
        )
        lines = [
            f"{name}={value}"
            for service, place in company.vendors.items()
            for name, value in (place.secrets | _ADDRESSES.get(service, {})).items()
        ]
        # The dotenv file comes first: real secrets of the environment are not for these services.
        sources = "sources: [dotenv, environment, credentials, keyring, esc]\n"
        texts = (connectors, f'collection: {COLLECTION}\nurl: ""\n', sources, "\n".join(lines) + "\n")
        files = self.check(folder)
        ensure_dir(self.profile)
        for file, text in zip(files, texts, strict=True):
            _write(file, f"{_MARK}\n{text}")
        return files

    def check(self, folder: Path) -> tuple[Path, ...]:
        """The files that `write` writes. Raises `ConfigError` when one is there that is not ours."""
        files = *(self.profile / f"{name}.yaml" for name in ("connectors", "memory", "secrets")), folder / SECRETS
        for file in files:
            _check_ours(file)
        return files

    def _turn(self) -> FileLock:
        """Who starts or ends the company does so alone."""
        ensure_dir(self.folder)
        path = self.folder / "demo.lock"
        return FileLock(path, purpose="sophiactl init --demo", timeout=_START_SECONDS, what="the made-up company")

    def _spawn(self, env: Mapping[str, str]) -> None:
        import subprocess

        command = [sys.executable, "-m", "sophiactl.testing.vendors", str(self.folder.absolute()), "--background"]
        own = {name: env.get(name) or os.environ.get(name, "") for name in _ENVIRONMENT}
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                command,
                cwd=self.folder,
                env={name: value for name, value in own.items() if value},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_START_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UpstreamError(
                f"the made-up company was not there after {_START_SECONDS:g} s", hint="run the command again"
            ) from None
        except OSError as error:
            raise UpstreamError(
                f"the made-up company cannot be started: {error.strerror}", hint="run the command again"
            ) from None
        if done.returncode:
            why = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise UpstreamError(
                f"the made-up company cannot be started: {why[-1] if why else done.returncode}",
                hint="run the command again",
            )

    def _end(self) -> bool:
        """End whoever holds the lock, first by asking. The lock is held, so its holder's number is no other's."""
        holder = self._lock.holder()
        if holder is None:
            return False
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(holder.pid, number)
            except ProcessLookupError:
                return True
            except PermissionError:
                break
            if self._is_free(_STOP_SECONDS):
                (self.folder / "vendors.json").unlink(missing_ok=True)
                return True
        raise UpstreamError(f"the made-up company does not end (pid {holder.pid})", hint=f"kill -9 {holder.pid}")

    def _is_free(self, seconds: float) -> bool:
        try:
            with FileLock(self._lock.path, purpose="sophiactl init --demo", timeout=seconds):
                return True
        except Locked:
            return False


def check_settings(settings: Settings, company: Company) -> None:
    """Raise `ConfigError` when something above the profile leads elsewhere: real data must not be mixed in."""
    if settings.memory.collection != COLLECTION:
        raise _overridden("memory.collection")
    if settings.memory.url:
        raise _overridden("memory.url")
    for service, place in company.vendors.items():
        if getattr(settings.connectors, service).base_url != place.address:
            raise _overridden(f"connectors.{service}.base_url")


def _overridden(setting: str) -> ConfigError:
    hint = f"`sophiactl config show {setting.partition('.')[0]} --origin --profile demo` says where; use another folder"
    return ConfigError(f"{setting} of the profile demo is overridden here", hint=hint)


def _check_ours(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            ours = stream.readline().rstrip().decode("utf-8", "replace") == _MARK
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint="mend its permissions") from None
    if not ours:
        hint = (
            "move it away, or put the demo's secrets elsewhere: --folder DIR"
            if file.name == SECRETS
            else "move it away"
        )
        raise ConfigError(f"{file} is your own, and would be overwritten", hint=hint)


def _write(file: Path, text: str) -> None:
    """Put the file in place whole, for its owner alone."""
    import errno

    before = os.umask(0o077)
    try:
        with whole_file(file) as stream:
            stream.write(text.encode())
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no room to write {file}", hint="free some space, then run the command again") from None
        hint = "check the folder's permissions, or name another: --folder DIR"
        raise ConfigError(f"{file} cannot be written: {error.strerror}", hint=hint) from None
    finally:
        os.umask(before)
