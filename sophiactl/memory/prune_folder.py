"""Where pruning keeps its files, one folder a collection.

    ROOT/COLLECTION/plans/ID.jsonl      what a plan would do
                    archives/ID.bin     the memories that a plan took out, whole
                    journals/ID.jsonl   how far the plan was carried out
                    tombstones.jsonl    what is gone for good, without its words
                    log.jsonl           who did what, chained; its head stands in log.head
                    lock                held by whoever changes any of these

Only their owner may read them: archives hold the words of memories.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from sophiactl.errors import UsageError
from sophiactl.memory.durable import failed, sync_folder
from sophiactl.memory.points import check_name

if TYPE_CHECKING:
    from pathlib import Path

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class PruneFolder:
    """The files of pruning of one collection; nothing is made before `prepare`. Raises `UsageError` for a bad name."""

    def __init__(self, root: Path, collection: str) -> None:
        self.place = root / check_name(collection)
        self.plans = self.place / "plans"
        self.journals = self.place / "journals"
        self.archives = self.place / "archives"
        self.log = self.place / "log.jsonl"
        self.tombstones = self.place / "tombstones.jsonl"
        self.lock = self.place / "lock"

    def plan(self, name: str) -> Path:
        """The file of a plan."""
        return self.plans / f"{_checked(name)}.jsonl"

    def journal(self, name: str) -> Path:
        """The journal of a plan."""
        return self.journals / f"{_checked(name)}.jsonl"

    def archive(self, name: str) -> Path:
        """The archive of a plan."""
        return self.archives / f"{_checked(name)}.bin"

    def prepare(self) -> Self:
        """Make the folders, for their owner alone. Raises `DiskFull` or `StoreError`."""
        self._make(self.place.parent, parents=True)
        for folder in (self.place, self.plans, self.journals, self.archives):
            self._make(folder)
        return self

    def all_plans(self) -> list[str]:
        """Ids of the plans that have a file, sorted."""
        return _names(self.plans, ".jsonl")

    def all_journals(self) -> list[str]:
        """Ids of the plans that have a journal, sorted."""
        return _names(self.journals, ".jsonl")

    def all_archives(self) -> list[str]:
        """Ids of the plans that have an archive, sorted."""
        return _names(self.archives, ".bin")

    def sweep(self) -> int:
        """Remove what a process that was killed left unfinished beside whole files; how many there were.

        Only for who holds the lock.
        """
        swept = 0
        for folder in (self.place, self.plans, self.journals, self.archives):
            for path in folder.glob(".*.*") if folder.is_dir() else ():
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise failed(path, error) from error
                swept += 1
        return swept

    @staticmethod
    def _make(folder: Path, *, parents: bool = False) -> None:
        try:
            made = not folder.exists()
            folder.mkdir(mode=0o700, parents=parents, exist_ok=True)
        except OSError as error:
            raise failed(folder, error) from error
        if made:
            sync_folder(folder.parent)


def _checked(name: str) -> str:
    if not _ID.fullmatch(name):
        raise UsageError(f"{name!r} is not the id of a plan", hint="see the plans there are: sophiactl prune log")
    return name


def _names(folder: Path, suffix: str) -> list[str]:
    try:
        names = [entry.name for entry in folder.iterdir() if entry.name.endswith(suffix)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise failed(folder, error) from error
    return sorted(stem for name in names if _ID.fullmatch(stem := name.removesuffix(suffix)))
