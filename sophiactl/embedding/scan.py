"""Which files of the named paths are documents, and why the others are not."""

from __future__ import annotations

import errno
import os
import stat
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sophiactl.embedding.documents import supported, too_large
from sophiactl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TOOLS = frozenset({"node_modules", "__pycache__", "site-packages", "bower_components", "CVS"})
_BUILT = frozenset({"build", "dist", "target", "_build", "htmlcov"})
_PROJECT = (
    *("pyproject.toml", "setup.py", "package.json", "Cargo.toml", "pom.xml", "build.gradle", "CMakeLists.txt"),
    *("Makefile", "conf.py", "go.mod"),
)
_QUIET = frozenset({"hidden", "generated", "unsupported", "excluded", "duplicate"})
_SIBLINGS = 5000


class Found(msgspec.Struct, frozen=True):
    """A regular file to be read. `named` tells that the user named the very file: its suffix does not count."""

    path: Path
    size: int
    named: bool = False


class Skipped(msgspec.Struct, frozen=True):
    """A path that is not read. `kind` is for counting, `reason` a sentence for people.

    Kinds: `hidden`, `generated` (folders that tools fill), `unsupported`, `excluded`, `duplicate`, `loop`,
    `too_large`, `unreadable`, `special` (neither file nor folder).
    """

    path: Path
    kind: str
    reason: str

    @property
    def notable(self) -> bool:
        """Whether the user should be told of this very path, where a count would not do."""
        return self.kind not in _QUIET


def scan(
    paths: Sequence[Path], *, include: Sequence[str] = (), exclude: Sequence[str] = (), max_bytes: int
) -> Iterator[Found | Skipped]:
    """Walk files and folders in a fixed order: as named, by name within a folder, symbolic links last.

    Every real file comes once. `include` and `exclude` are shell patterns, matched with a file's name and its path
    below the named folder (`*` matches `/` too); `include` narrows, `exclude` also prunes folders. No file is opened.
    A file the user names is found even when hidden or of an unknown suffix. Raises `UsageError` at once for a path
    that does not exist.
    """
    for path in paths:
        _require(path)
    return _Walk(include, exclude, max_bytes, [path.resolve() for path in paths]).run(paths)


def _require(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UsageError(f"no such file or folder: {path}", hint=_did_you_mean(path)) from None
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror or error}", hint="check its permissions, or name another path"
        ) from None


def _did_you_mean(path: Path) -> str:
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in islice(entries, _SIBLINGS)]
    except (OSError, ValueError):
        return "check the path; the folder above it does not exist either"
    close = get_close_matches(path.name, sorted(names), n=1)
    return f"did you mean {path.parent / close[0]}?" if close else "check the path for a slip"


class _Walk:
    """One scan: the rules, what was seen, and the links that wait until all real files are known."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str], max_bytes: int, roots: Sequence[Path]) -> None:
        self.include = include
        self.exclude = [pattern.rstrip("/") for pattern in exclude]
        self.max_bytes = max_bytes
        self.roots = roots
        self.seen: set[tuple[int, int]] = set()
        self.links: list[tuple[Path, Path]] = []

    def run(self, paths: Sequence[Path]) -> Iterator[Found | Skipped]:
        for path in paths:
            if path.is_dir():
                yield from self._folder(path, path)
            else:
                yield self._file(path, path, named=True)
        while self.links:
            root, link = self.links.pop(0)
            yield from self._link(root, link)

    def _folder(self, root: Path, top: Path) -> Iterator[Found | Skipped]:
        # A stack of our own: folders may be nested deeper than Python's calls.
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            below: list[Path] = []
            try:
                known = self._known(folder.stat())
                names = [] if known else sorted(entry.name for entry in folder.iterdir())
            except OSError as error:
                yield Skipped(folder, "unreadable", f"the folder cannot be read: {error.strerror or error}")
                continue
            if known:
                yield Skipped(folder, "duplicate", "the folder was already read under another name")
            for name in names:
                found = self._entry(root, folder / name, below)
                if found is not None:
                    yield found
            waiting.extend(reversed(below))

    def _entry(self, root: Path, path: Path, below: list[Path]) -> Found | Skipped | None:
        try:
            path.name.encode()
        except UnicodeEncodeError:
            told = Path(os.fsencode(path).decode("utf-8", "replace"))
            return Skipped(told, "unreadable", "its name is not UTF-8; rename it")
        if path.name.startswith("."):
            return Skipped(path, "hidden", "hidden")
        if self._matches(self.exclude, root, path):
            return Skipped(path, "excluded", "excluded by a pattern")
        if path.is_symlink():
            self.links.append((root, path))
            return None
        if not path.is_dir():
            return self._file(root, path)
        if _generated(path):
            return Skipped(path, "generated", "a folder that tools fill; name it to read it")
        below.append(path)
        return None

    def _link(self, root: Path, link: Path) -> Iterator[Found | Skipped]:
        try:
            info = link.stat()
            target, home = link.resolve(), link.parent.resolve()
        except OSError as error:
            looped = error.errno == errno.ELOOP
            reason = "the link leads to itself" if looped else f"the link leads nowhere: {error.strerror or error}"
            yield Skipped(link, "loop" if looped else "unreadable", reason)
            return
        if not stat.S_ISDIR(info.st_mode):
            yield self._file(root, link)
        elif any(target == place or target in place.parents for place in (home, *self.roots)):
            yield Skipped(link, "loop", f"the link leads back up to {target}")
        else:
            yield from self._folder(root, link)

    def _file(self, root: Path, path: Path, *, named: bool = False) -> Found | Skipped:
        try:
            info = path.stat()
        except OSError as error:
            return Skipped(path, "unreadable", error.strerror or str(error))
        if not stat.S_ISREG(info.st_mode):
            return Skipped(path, "special", "neither a file nor a folder; it was not opened")
        if not named and self.include and not self._matches(self.include, root, path):
            return Skipped(path, "excluded", "no --include pattern matches")
        if not named and not supported(path):
            return Skipped(path, "unsupported", f"files of type {path.suffix or '(none)'} are not read")
        if self._known(info):
            return Skipped(path, "duplicate", "the same file was already read under another name")
        if info.st_size > self.max_bytes:
            over = too_large(path, info.st_size, self.max_bytes)
            return Skipped(path, "too_large", f"{over.message.removeprefix(f'{path}: ')}; {over.hint}")
        if not os.access(path, os.R_OK):
            return Skipped(path, "unreadable", "no permission to read it")
        return Found(path, info.st_size, named)

    def _known(self, info: os.stat_result) -> bool:
        identity = (info.st_dev, info.st_ino)
        if identity in self.seen:
            return True
        self.seen.add(identity)
        return False

    def _matches(self, patterns: Sequence[str], root: Path, path: Path) -> bool:
        below = path.relative_to(root).as_posix()
        return any(fnmatchcase(path.name, pattern) or fnmatchcase(below, pattern) for pattern in patterns)


def _generated(folder: Path) -> bool:
    """Whether a tool made the folder: a cache, an environment, or the output of a build beside its project file."""
    if folder.name in _TOOLS or folder.name.endswith((".egg-info", ".dist-info")):
        return True
    if (folder / "pyvenv.cfg").exists() or (folder / "CACHEDIR.TAG").exists():
        return True
    return folder.name in _BUILT and any((folder.parent / name).exists() for name in _PROJECT)
