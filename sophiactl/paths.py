"""Where the program keeps its files: XDG folders, or all three below SOPHIACTL_HOME."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sophiactl.errors import ConfigError, DiskFull

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOVE = "set SOPHIACTL_HOME to a folder that you may write to"


class Paths(NamedTuple):
    """The three folders; none is made before something is written into it (`ensure_dir`)."""

    config: Path
    state: Path
    cache: Path


def find_paths(env: Mapping[str, str]) -> Paths:
    """The folders for this environment. Raises `ConfigError` when there is neither SOPHIACTL_HOME nor a home folder."""
    moved = env.get("SOPHIACTL_HOME", "")
    if moved:
        home = Path(moved).expanduser().absolute()
        return Paths(home / "config", home / "state", home / "cache")
    return Paths(
        _xdg(env, "XDG_CONFIG_HOME", ".config"),
        _xdg(env, "XDG_STATE_HOME", ".local/state"),
        _xdg(env, "XDG_CACHE_HOME", ".cache"),
    )


def ensure_dir(path: Path) -> Path:
    """Make the folder, readable by its owner only, unless it exists; gives it back.

    Raises `ConfigError` where it cannot be made or written to, `DiskFull` where there is no room.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(
                f"no room to make {path}", hint="free some space, or set SOPHIACTL_HOME elsewhere"
            ) from error
        raise ConfigError(f"cannot make the folder {path}: {error.strerror}", hint=_MOVE) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"the folder {path} cannot be written to", hint=_MOVE)
    return path


def _xdg(env: Mapping[str, str], name: str, below_home: str) -> Path:
    """The XDG folder for us; a relative value counts as unset, as the specification asks."""
    base = env.get(name, "")
    return (Path(base) if base.startswith("/") else _home(env) / below_home) / "sophiactl"


def _home(env: Mapping[str, str]) -> Path:
    home = env.get("HOME", "")
    if not home.startswith("/"):
        import pwd

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            home = ""
    if not home.startswith("/"):
        raise ConfigError("there is no home folder: HOME is not set", hint=_MOVE)
    return Path(home)
