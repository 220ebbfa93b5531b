"""Secrets that systemd or a container runtime hands over as files, one for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sophiactl.redaction import Secret
from sophiactl.secrets.base import Held, Place, Reading, Severity, SourceName, Trouble
from sophiactl.secrets.sources.files import Refusal, read_inside, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN_SECRETS = "/run/secrets"


class CredentialsSource:
    """`$CREDENTIALS_DIRECTORY/NAME` (systemd) and then `/run/secrets/NAME` (docker), also with NAME in lower case.

    Links are followed inside their folder alone, as Kubernetes lays its files out. One line end at the end of a file is
    left out (`files.text_of`). Other files there belong to other programs and are not told.
    """

    name: SourceName = "credentials"

    def __init__(self, env: Mapping[str, str], run_secrets: str = RUN_SECRETS) -> None:
        self._systemd = env.get("CREDENTIALS_DIRECTORY", "")
        self._docker = run_secrets

    def read(self, names: frozenset[str]) -> Reading:
        """What the two folders have of `names`. A name that is no plain file name is not looked for."""
        held: dict[str, Held] = {}
        troubles: list[Trouble] = []
        for folder in self._folders():
            if not os.access(folder, os.X_OK):
                troubles.append(_closed(folder))
                continue
            for name in sorted(names - held.keys()):
                found = _look(folder, name)
                if isinstance(found, Held):
                    held[name] = found
                elif found is not None:
                    troubles.append(found)
        lost = self._systemd and not _is_there(self._systemd)
        return Reading(held, troubles=tuple(troubles), note="CREDENTIALS_DIRECTORY names no folder" if lost else "")

    def _folders(self) -> list[Path]:
        return [Path(folder) for folder in dict.fromkeys((self._systemd, self._docker)) if _is_there(folder)]


def _is_there(folder: str) -> bool:
    """Whether an absolute path leads to a folder; one that may not be looked at does."""
    try:
        return folder.startswith("/") and Path(folder).is_dir()
    except OSError:
        return True
    except ValueError:  # a NUL in it
        return False


def _closed(folder: Path) -> Trouble:
    place = Place("credentials", str(folder), str(folder))
    fix = "let this user enter it, or unset CREDENTIALS_DIRECTORY"
    return Trouble("unreadable", f"{folder} may not be entered by this user", fix, place, severity=Severity.ERROR)


def _look(folder: Path, name: str) -> Held | Trouble | None:
    if not name or "/" in name or "\0" in name or name in {".", ".."}:
        return None
    for spelling in dict.fromkeys((name, name.lower())):
        content = read_inside(folder, spelling)
        if content is None:
            continue
        path = str(folder / spelling)
        place = Place("credentials", path, path)
        value = content if isinstance(content, Refusal) else text_of(content)
        if isinstance(value, Refusal):
            return Trouble(value.rule, f"{path} {value.what}", value.fix, place, name, Severity.ERROR)
        return Held(name, Secret(value), place)
    return None
