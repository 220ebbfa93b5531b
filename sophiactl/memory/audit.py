"""The log of pruning: who did what and when, each entry chained to the one before by its hash.

    {"n":1,"at":...,"event":"apply","plan":...,"actor":"ann@host","pid":41,"counts":{"archived":9},"previous":...,"hash":...}

`hash` is the sha256 of the line as it stands up to there. What was edited, inserted or taken out of the middle breaks
the chain; what was taken off the end is noticed by `log.head`, which holds the number and the hash of the last entry.
Only figures stand in it, never a word of a memory.

A line that a kill or a full disk cut short stays where it is. The next entry is one that says so, with the line's hash.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sophiactl.locks import FileLock
from sophiactl.memory.durable import AppendFile, failed, replaced
from sophiactl.memory.moments import stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sophiactl.model import Clock

FIRST = "0" * 64
MENDED = "mended"
LOCK_SECONDS = 30.0
_SEARCHED = 2**16


class Entry(msgspec.Struct, frozen=True):
    """One entry. `torn` is the sha256 of the unfinished line before it, where there is one."""

    n: int
    at: str
    event: str
    plan: str | None
    actor: str
    pid: int
    counts: dict[str, int]
    previous: str
    hash: str
    torn: str | None = None


class Verdict(NamedTuple):
    """What a reading of the log shows. `broken` is the first entry that cannot be believed, `why` says what is wrong.

    `torn` counts lines that were cut short, those that a later entry owns up to included; they break nothing.
    """

    entries: int
    broken: int | None
    torn: int
    why: str | None


class _Head(msgspec.Struct, frozen=True):
    n: int
    hash: str


def head_path(path: Path) -> Path:
    """Where the head of a log is kept."""
    return path.with_name("log.head")


def append(path: Path, event: str, *, clock: Clock, plan: str | None = None, counts: Mapping[str, int]) -> Entry:
    """Add an entry to the log; it is on the disk when this returns. Raises `Locked`, `DiskFull` or `StoreError`."""
    lock = FileLock(path.with_name("log.lock"), purpose="log", timeout=LOCK_SECONDS, what="the log of pruning")
    with lock, AppendFile(path) as file:
        tail = file.tail(_SEARCHED)
        head, torn, last = _read_head(path), _torn(tail), _last(tail)
        if tail and not tail.endswith(b"\n"):
            file.append(b"\n")
        before = _Head(0, FIRST) if last is None else _Head(last.n, last.hash)
        if head is not None and head.n > before.n:
            # Entries were taken off the end. The chain goes on from where it was, so that the gap stays to be seen.
            before = head
        if torn is not None or _misfit(head, last) is not None:
            before = _add(file, _entry(before, stamp(clock()), MENDED, None, {}, torn))
        entry = _entry(before, stamp(clock()), event, plan, dict(counts))
        _add(file, entry)
    return entry


def entries(path: Path) -> Iterator[Entry]:
    """The entries of a log in order; lines that are none are left out. Raises `StoreError` if it cannot be read."""
    for line in _lines(path):
        entry = _read(line)
        if entry is not None:
            yield entry


def verify(path: Path) -> Verdict:
    """Check the whole chain. Raises `StoreError` if the log cannot be read."""
    count, torn, previous = 0, 0, FIRST
    last: Entry | None = None
    unfinished: bytes | None = None  # a line that is no entry, until the next one owns up to it

    def verdict(broken: int | None, why: str | None) -> Verdict:
        return Verdict(count, broken, torn, why)

    for line in _lines(path):
        entry = _read(line)
        expected = 1 if last is None else last.n + 1
        if entry is None:
            if unfinished is not None:
                return verdict(expected, "two lines are no entries")
            unfinished, torn = line, torn + 1
            continue
        if entry.torn != (None if unfinished is None else _sha256(unfinished.rstrip(b"\n"))):
            return verdict(expected, "a line is no entry, or is missing")
        if entry.n != expected or entry.previous != previous:
            return verdict(expected, "an entry is missing, or was put in")
        if entry.hash != _hash(entry):
            return verdict(entry.n, "an entry was changed")
        count, last, previous, unfinished = count + 1, entry, entry.hash, None
    if unfinished is not None and unfinished.endswith(b"\n"):
        return verdict(1 if last is None else last.n + 1, "the last line is no entry")
    return verdict(*_against_head(path, last))


def _against_head(path: Path, last: Entry | None) -> tuple[int | None, str | None]:
    """Whether the end of the log is the one that its head tells of, or one entry further, as a kill leaves it."""
    head, number = _read_head(path), 0 if last is None else last.n
    why = _misfit(head, last)
    if why is None:
        return None, None
    return (number + 1 if head is not None and head.n > number else number), why


def _misfit(head: _Head | None, last: Entry | None) -> str | None:
    number = 0 if last is None else last.n
    if head is None:
        return None if number <= 1 else "the head of the log is missing"
    if head.n > number:
        return f"the log ends at entry {number}, its head tells of {head.n}"
    known = {(last.n, last.hash), (last.n - 1, last.previous)} if last is not None else {(0, FIRST)}
    return None if (head.n, head.hash) in known else "the head of the log tells of another entry"


def _entry(
    before: _Head, at: str, event: str, plan: str | None, counts: dict[str, int], torn: str | None = None
) -> Entry:
    bare = Entry(before.n + 1, at, event, plan, _actor(), os.getpid(), counts, before.hash, "", torn)
    return msgspec.structs.replace(bare, hash=_hash(bare))


def _add(file: AppendFile, entry: Entry) -> _Head:
    """Write an entry and then the head, which is one entry behind where a kill comes in between."""
    file.append(_line(entry))
    head = _Head(entry.n, entry.hash)
    with replaced(head_path(file.path)) as beside:
        beside.write(msgspec.json.encode(head))
    return head


def _actor() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _hash(entry: Entry) -> str:
    return _sha256(_line(msgspec.structs.replace(entry, hash="")))


def _line(entry: Entry) -> bytes:
    fields: dict[str, Any] = msgspec.to_builtins(entry)
    if entry.torn is None:
        del fields["torn"]
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode("ascii") + b"\n"


def _read(line: bytes) -> Entry | None:
    try:
        return msgspec.convert(json.loads(line), Entry)
    except (ValueError, TypeError, RecursionError):
        return None


def _read_head(path: Path) -> _Head | None:
    try:
        return msgspec.json.decode(head_path(path).read_bytes(), type=_Head)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    except OSError as error:
        raise failed(head_path(path), error) from error


def _torn(tail: bytes) -> str | None:
    """The hash of an unfinished last line; None where there is none."""
    rest = tail.rpartition(b"\n")[2]
    return _sha256(rest) if rest and _read(rest) is None else None


def _last(tail: bytes) -> Entry | None:
    for line in reversed(tail.splitlines(keepends=True)):
        entry = _read(line)
        if entry is not None:
            return entry
    return None


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from file
    except FileNotFoundError:
        return
    except OSError as error:
        raise failed(path, error) from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
