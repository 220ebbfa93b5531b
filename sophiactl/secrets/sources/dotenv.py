"""Secrets in `.env.PROFILE` and `.env` of the project's folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from sophiactl.redaction import Secret
from sophiactl.secrets.base import Held, Place, Reading, Severity, SourceName, Trouble
from sophiactl.secrets.dotenv_syntax import parse
from sophiactl.secrets.sources.files import Content, Refusal, read_inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Literal

    from sophiactl.secrets.dotenv_syntax import Entry, Flaw

    Mode = Literal["auto", "always", "off"]

PRODUCTION = frozenset({"prod", "production"})
_SETTING = "SOPHIACTL_SECRETS__DOTENV__MODE"


def why_off(profile: str, mode: Mode) -> str:
    """Why `.env` files are not read with this profile and mode; empty where they are."""
    if mode == "off":
        return f".env files are turned off: {_SETTING}=auto turns them on"
    if mode == "auto" and profile.lower() in PRODUCTION:
        return f".env files are not read with the profile {profile}: {_SETTING}=always turns them on"
    return ""


class DotenvSource:
    """`.env.PROFILE` wins over `.env`; both are read once. Files of parent folders are not looked for.

    `folder` is the project's; relative, its files are named as they are reached from the working folder. A file that
    others can read or that git tracks is read, and a trouble; one that is a link out of the folder is not read.
    """

    name: SourceName = "dotenv"

    def __init__(
        self, folder: Path, profile: str = "", mode: Mode = "auto", env: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder
        self._profile = profile
        self._names: tuple[str, ...] = ()
        self._off = why_off(profile, mode)
        self._env = {} if env is None else env
        self._lock = Lock()
        self._files: tuple[_File, ...] | None = None

    @classmethod
    def of_file(cls, file: Path, env: Mapping[str, str] | None = None) -> DotenvSource:
        """One file of that form, whatever its name."""
        source = cls(file.parent, "", "always", env)
        source._names = (file.name,)
        return source

    def read(self, names: frozenset[str]) -> Reading:
        """What the files have of `names`, and as `others` what they have besides."""
        if self._off:
            return Reading(note=self._off)
        with self._lock:
            if self._files is None:
                self._files = tuple(self._open())
        held: dict[str, Held] = {}
        others: dict[str, Place] = {}
        for file in reversed(self._files):
            for entry in file.entries.values():
                place = _place(file.path, entry.line, entry.column)
                if entry.name in names:
                    below = held.get(entry.name)
                    base = None if below is None else below.place
                    held[entry.name] = Held(entry.name, Secret(entry.value), place, base=base)
                else:
                    others[entry.name] = place
        return Reading(held, others, tuple(trouble for file in self._files for trouble in file.troubles))

    def _open(self) -> Iterator[_File]:
        if self._names:
            yield from self._one(self._names[0])
            return
        if "/" in self._profile or "\0" in self._profile:
            message = "the profile's name cannot be part of a file's name, so it has no .env of its own"
            fix = "give the profile a name without /"
            yield _File(Path(), {}, (Trouble("unreadable", message, fix, _place(self._folder / ".env")),))
        elif self._profile:
            yield from self._one(f".env.{self._profile}")
        yield from self._one(".env")

    def _one(self, name: str) -> Iterator[_File]:
        content = read_inside(self._folder, name)
        path = self._folder / name
        if isinstance(content, Refusal):
            trouble = Trouble(
                content.rule, f"{path} {content.what}", content.fix, _place(path), severity=Severity.ERROR
            )
            yield _File(path, {}, (trouble,))
        elif content is not None:
            parsed = parse(content.data)
            flaws = (_trouble(path, flaw) for flaw in parsed.flaws)
            yield _File(path, parsed.entries, (*self._standing(path, content), *flaws))

    def _standing(self, path: Path, content: Content) -> Iterator[Trouble]:
        """What is wrong with how the file stands there."""
        place = _place(path)
        rights = stat.S_IMODE(content.mode)
        if rights & 0o077:
            what = "change" if rights & 0o022 else "read"
            message = f"other users may {what} {path} (mode {rights:04o})"
            yield Trouble("file-mode", message, f"chmod 600 {_typed(path)}", place)
        if content.owner not in self._trusted():
            message = f"{path} belongs to another user (uid {content.owner})"
            yield Trouble("file-owner", message, f"chown {os.geteuid()} {_typed(path)}", place)
        from sophiactl.secrets.sources.git_index import is_tracked

        if is_tracked(Path(content.path)):
            message = f"git tracks {path}: its secrets are in every clone and in the history"
            fix = f"git rm --cached {_typed(path)}; then have the secrets in it replaced"
            yield Trouble("git-tracked", message, fix, place, severity=Severity.ERROR)

    def _trusted(self) -> set[int]:
        """Users whose files we read without a word: ourselves, root, and who called sudo."""
        sudo = self._env.get("SUDO_UID", "") if os.geteuid() == 0 else ""
        return {os.geteuid(), 0} | ({int(sudo)} if sudo.isdecimal() else set())


def _typed(path: Path) -> str:
    """A path as one types it into a shell."""
    from shlex import quote

    return quote(str(path))


class _File(NamedTuple):
    path: Path
    entries: Mapping[str, Entry]
    troubles: tuple[Trouble, ...]


def _place(path: Path, line: int | None = None, column: int | None = None) -> Place:
    return Place("dotenv", str(path), str(path), line, column)


def _trouble(path: Path, flaw: Flaw) -> Trouble:
    place = _place(path, flaw.line, flaw.column)
    return Trouble(flaw.rule, flaw.message, flaw.fix, place, flaw.name, flaw.severity)
