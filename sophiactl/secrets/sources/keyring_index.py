"""Which names are in the keyring, so that a keyring with nothing of ours in it is never asked. Never a value."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "keyring-names.json"
_LOCK_TIMEOUT = 2.0
_LARGEST = 2**20


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. With `whole` false it was damaged once: it may lack names."""

    profiles: dict[str, list[str]] = {}
    whole: bool = True
    version: int = 1


class KeyringIndex:
    """The names by profile, in a file of the state folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def names(self, profile: str) -> frozenset[str] | None:
        """What was stored for a profile; None when that is not known."""
        file = self._read()
        return frozenset(file.profiles.get(profile, ())) if file.whole else None

    def add(self, profile: str, name: str) -> bool:
        """Note a name; whether it is new. Raises `ConfigError` or `Locked` where that cannot be written."""
        with self._changing() as profiles:
            names = profiles.setdefault(profile, [])
            new = name not in names
            names += [name] if new else []
        return new

    def remove(self, profile: str, name: str) -> None:
        """Take a name out. Raises like `add`."""
        with self._changing() as profiles:
            names = [each for each in profiles.pop(profile, []) if each != name]
            if names:
                profiles[profile] = names

    def _read(self) -> _File:
        try:
            with self.path.open("rb") as stream:
                file = msgspec.json.decode(stream.read(_LARGEST), type=_File)
        except FileNotFoundError:
            return _File()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return _File(whole=False)
        return file if file.version == 1 else _File(whole=False)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, list[str]]]:
        """The profiles, to be changed; nobody else changes them meanwhile."""
        import os

        from sophiactl.locks import FileLock
        from sophiactl.paths import ensure_dir
        from sophiactl.whole_file import whole_file

        folder = ensure_dir(self.path.parent)
        lock = folder / f"{FILE_NAME}.lock"
        with FileLock(lock, purpose="secrets set", timeout=_LOCK_TIMEOUT, what="the list of names in the keyring"):
            before = self._read()
            profiles = {profile: list(names) for profile, names in before.profiles.items()}
            yield profiles
            if profiles == before.profiles and self.path.exists():
                return
            after = _File({profile: sorted(names) for profile, names in sorted(profiles.items())}, before.whole)
            try:
                with whole_file(self.path) as stream:
                    os.fchmod(stream.fileno(), 0o600)
                    stream.write(msgspec.json.encode(after))
            except OSError as error:
                raise ConfigError(
                    f"cannot write {self.path}: {error.strerror}",
                    hint="set SOPHIACTL_HOME to a folder that you may write to",
                ) from error
