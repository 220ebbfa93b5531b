"""Taking erased memories out of the files of pruning; each is replaced as a whole, so doing it again goes on."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import msgspec

from sophiactl.memory.archive import ArchiveReader
from sophiactl.memory.durable import failed, removed, replaced
from sophiactl.memory.frames import HEADER, framed, key_of, pack
from sophiactl.memory.journal import Done, Intent, Restored, line_of, read_events
from sophiactl.memory.merged_copies import without_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from sophiactl.memory.base import Point, SparseVector
    from sophiactl.memory.journal import Event

    Refresh = Callable[[Point], SparseVector | None]


def names_any(plan: Path, gone: Collection[str]) -> bool:
    """Whether a plan names one of these memories, or cannot be read well enough to say that it does not."""
    try:
        with plan.open("rb") as file:
            file.readline()
            return any(_names(line, gone) for line in file)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise failed(plan, error) from error


def clean_journal(path: Path, gone: Collection[str]) -> bool:
    """Put a hash in the place of these ids; whether there were any."""
    if not any(event != _hashed(event, gone) for event in read_events(path)):
        return False
    with replaced(path) as file:
        file.writelines(line_of(_hashed(event, gone)) for event in read_events(path))
    return True


def clean_archive(path: Path, gone: set[str], refresh: Refresh) -> tuple[int, int]:
    """Take these memories out of an archive, and what they left in others; how many, and the damaged bytes dropped.

    A part that cannot be read may hold them too, so it goes as well. The file keeps its time, by which it expires.
    """
    reader = ArchiveReader(path)
    found = dropped = kept = 0
    for body, cleaned in _cleaned(reader, gone, refresh):
        dropped += cleaned is None
        kept += cleaned is not None
        found += cleaned != body
    lost = sum(damage.bytes for damage in reader.damaged)
    if not found and not lost:
        return 0, 0
    if not kept:
        removed(path)
        return dropped, lost
    times = path.stat()
    with replaced(path) as file:
        for _, cleaned in _cleaned(reader, gone, refresh):
            if cleaned is not None:
                file.write(framed(cleaned))
        file.flush()
        os.utime(file.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))
    return dropped, lost


def _cleaned(reader: ArchiveReader, gone: set[str], refresh: Refresh) -> Iterator[tuple[bytes, bytes | None]]:
    """Each body with what is to stand for it; None for nothing."""
    keys = {key_of(name) for name in gone}
    for body, memory in reader.readable():
        record = memory.point.record
        if key_of(record.id) in keys:
            yield body, None
            continue
        merged = without_copies(record.merged_from, gone)
        sparse = refresh(memory.point)
        into = None if memory.merged_into in gone else memory.merged_into
        if merged == record.merged_from and sparse is None and into == memory.merged_into:
            yield body, body
            continue
        point = msgspec.structs.replace(
            memory.point,
            record=msgspec.structs.replace(record, merged_from=merged),
            sparse=memory.point.sparse if sparse is None else sparse,
        )
        yield body, pack(msgspec.structs.replace(memory, point=point, merged_into=into))[HEADER.size :]


def _names(line: bytes, gone: Collection[str]) -> bool:
    try:
        found = json.loads(line)
        return found.get("id") in gone or found.get("near_dup_of") in gone
    except (ValueError, TypeError, AttributeError, RecursionError):
        return True


def _hashed(event: Event, gone: Collection[str]) -> Event:
    def ids(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_hash(name) if name in gone else name for name in names)

    if isinstance(event, Intent):
        return msgspec.structs.replace(event, archive=ids(event.archive), cool=ids(event.cool))
    if isinstance(event, Done):
        skipped = tuple(
            msgspec.structs.replace(one, id=_hash(one.id)) if one.id in gone else one for one in event.skipped
        )
        return msgspec.structs.replace(event, skipped=skipped)
    return msgspec.structs.replace(event, ids=ids(event.ids)) if isinstance(event, Restored) else event


def _hash(name: str) -> str:
    return f"sha256:{hashlib.sha256(key_of(name)).hexdigest()}"
