"""Folders of the embedded store: where a collection is, how it comes to be, whether the disk has room.

    FOLDER/COLLECTION/collection.json   what it was made with
                      shard/            the engine's files, write-ahead log always on
                      shard.new, .old   one that takes its place, and one that gave way, for a moment
                      lock              our lock; the engine's own cannot name its holder

A collection is made in this order: the shard under a provisional name, `collection.json`, the final name. A process
that dies in between leaves something that the next one finishes or throws away, never a shard without its description.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sophiactl.errors import DiskFull, Locked, SophiaError, StoreError
from sophiactl.memory.points import check_name, damaged_hint, read_schema

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.memory.base import CollectionSchema

T = TypeVar("T")

_FULL = ("no space left", "os error 28", "file too large", "os error 27", "quota exceeded", "os error 122")

ROOM_TO_OPEN = 32 * 2**20
ROOM_TO_WRITE = 64 * 2**20
"""Free bytes that must be there before the engine may touch the disk: one and two segments of its log.

It writes through memory maps, so on a disk that is really full the process would die of SIGBUS.
"""


def collections(folder: Path) -> list[str]:
    """Names of the collections in a folder, sorted; a folder that does not exist has none."""
    try:
        return sorted(entry.name for entry in folder.iterdir() if (entry / "collection.json").is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def exists(folder: Path, collection: str) -> bool:
    """Whether the collection has been made."""
    path = folder / check_name(collection) / "collection.json"
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def recorded(place: Path) -> CollectionSchema:
    """What the collection in this folder was made with."""
    path = place / "collection.json"
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is damaged: {error}", hint=damaged_hint(place.name)) from error
    return read_schema(raw.get("schema") if isinstance(raw, dict) else None, place.name)


def prepare(place: Path, schema: CollectionSchema, make_shard: Callable[[Path], None]) -> None:
    """Make a collection in this folder; `make_shard` makes an empty, closed shard at the path it is given."""
    shard, provisional = place / "shard", place / "shard.new"
    if shard.exists():
        raise StoreError(f"{shard} has no collection.json beside it", hint=damaged_hint(place.name))
    try:
        if provisional.exists():
            shutil.rmtree(provisional)
        require_room(place, ROOM_TO_WRITE)
        guarded(place, lambda: make_shard(provisional))
        _write(place / "collection.json", msgspec.json.encode({"engine": "qdrant-edge", "schema": schema}))
        provisional.rename(shard)
    except OSError as error:
        raise _unreadable(place, error) from error


def shard_path(place: Path) -> Path:
    """Where the shard is, once what a killed `prepare` or `swap` left is finished. Raises `StoreError` if gone."""
    shard, provisional = place / "shard", place / "shard.new"
    try:
        if not shard.exists() and provisional.exists():
            provisional.rename(shard)
        if (place / "shard.old").exists() and shard.exists():
            shutil.rmtree(place / "shard.old")
        if not shard.is_dir():
            raise StoreError(f"{shard} is missing", hint=damaged_hint(place.name))
    except OSError as error:
        raise _unreadable(shard, error) from error
    return shard


def fresh_shard(place: Path) -> Path:
    """A path for a shard that is to take the place of the one there; what an earlier attempt left is removed."""
    provisional = place / "shard.new"
    try:
        if provisional.exists():
            shutil.rmtree(provisional)
    except OSError as error:
        raise _unreadable(provisional, error) from error
    return provisional


def swap(place: Path) -> None:
    """Put the closed shard at `fresh_shard` in place of the one there; `shard_path` finishes half a swap."""
    shard, old = place / "shard", place / "shard.old"
    try:
        shard.rename(old)
        (place / "shard.new").rename(shard)
        shutil.rmtree(old)
    except OSError as error:
        raise _unreadable(place, error) from error


def require_room(place: Path, needed: int) -> None:
    """Raise `DiskFull` unless this many bytes are free."""
    free = free_bytes(place)
    if free < needed:
        raise DiskFull(
            f"{place} has {free / 1e6:.0f} MB free, the memory store needs {needed / 1e6:.0f} MB to work safely",
            hint="make room, or move the store: SOPHIACTL_HOME",
        )


def free_bytes(place: Path) -> int:
    """Bytes that this user may still write on the file system of a folder."""
    try:
        facts = os.statvfs(place)
    except OSError as error:
        raise _unreadable(place, error) from error
    return facts.f_bavail * facts.f_frsize


def allocated_bytes(place: Path) -> int:
    """Bytes of allocated blocks below a folder; file sizes say more, since the engine reserves without using."""
    total = 0
    for root, _, names in os.walk(place):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118 - a str is all lstat needs
            except OSError:
                continue  # the engine removes files of its log at any time
    return total


def guarded(place: Path, operation: Callable[[], T], on_panic: Callable[[], None] = lambda: None) -> T:
    """Run something of the engine's; whatever it raises becomes an error of ours.

    A panic arrives as a BaseException that no module exports; `on_panic` is called before it is turned into an error.
    """
    try:
        return operation()
    except SophiaError:
        raise
    except Exception as error:
        raise _translated(place, error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        on_panic()
        raise _translated(place, error) from None


def _translated(place: Path, error: BaseException) -> StoreError | DiskFull:
    text = str(error)
    if any(mark in text.lower() for mark in _FULL):
        return DiskFull(f"the disk of {place} has no room left", hint="make room; what was stored before is safe")
    if "WouldBlock" in text:
        return Locked(f"{place} is in use by another program", hint="wait for it: --lock-timeout 60")
    return StoreError(f"the store in {place} failed: {text[:300]}", hint=damaged_hint(place.name))


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".tmp")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cannot use {path}: {error.strerror or error}",
        hint="the folder must be readable and writable; SOPHIACTL_HOME moves it elsewhere",
    )
