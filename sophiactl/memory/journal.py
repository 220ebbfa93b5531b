"""Journals: how far a plan was carried out, one JSON line an event, each on the disk before the next step is taken.

    {"event":"start","plan":...,"sha":...,"token":7,"at":...}
    {"event":"intent","batch":1,"upto":500,"token":7,"at":...,"archive":[ids],"cool":[ids],"size":bytes of the archive}
    {"event":"done","batch":1,"upto":500,"at":...,"archived":498,"cooled":0,"merged":3,"skipped":[{"id":...,"reason":...}]}
    {"event":"finished","at":...}
    {"event":"restored","at":...,"ids":[...]}   and at the end of undoing a whole plan {"event":"undone","at":...}

`upto` counts the lines of the plan that are settled. A line that cannot be read is left out: one at the end was never
acknowledged, and what an archive holds is restored without its journal too.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Self

import msgspec

from sophiactl.memory.durable import AppendFile, failed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

NAMED = 100
"""How many skipped memories a report names."""


class Skipped(msgspec.Struct, frozen=True):
    """A memory of the plan that was left as it is, and why."""

    id: str
    reason: str


class Start(msgspec.Struct, frozen=True, tag="start", tag_field="event"):
    """A run takes the plan up, for the first time or again."""

    plan: str
    sha: str
    token: int
    at: str


class Intent(msgspec.Struct, frozen=True, tag="intent", tag_field="event"):
    """A batch is in the archive and is about to leave the collection, or to go cold with this `at`."""

    batch: int
    upto: int
    token: int
    at: str
    archive: tuple[str, ...] = ()
    cool: tuple[str, ...] = ()
    size: int = 0


class Done(msgspec.Struct, frozen=True, tag="done", tag_field="event"):
    """A batch is settled."""

    batch: int
    upto: int
    at: str
    archived: int = 0
    cooled: int = 0
    merged: int = 0
    skipped: tuple[Skipped, ...] = ()


class Finished(msgspec.Struct, frozen=True, tag="finished", tag_field="event"):
    """Every line of the plan is settled."""

    at: str


class Restored(msgspec.Struct, frozen=True, tag="restored", tag_field="event"):
    """These memories came back."""

    at: str
    ids: tuple[str, ...]


class Undone(msgspec.Struct, frozen=True, tag="undone", tag_field="event"):
    """The whole plan was undone."""

    at: str


Event = Start | Intent | Done | Finished | Restored | Undone


class Progress(msgspec.Struct, frozen=True):
    """What a journal says altogether. `open` is a batch that was begun and never settled."""

    sha: str | None = None
    token: int = 0
    batch: int = 0
    upto: int = 0
    archived: int = 0
    cooled: int = 0
    merged: int = 0
    skipped: dict[str, int] = {}
    named: tuple[Skipped, ...] = ()
    open: Intent | None = None
    size: int = 0
    finished: bool = False
    undone: bool = False


class Journal:
    """A journal open for appending; only for who holds the lock of the folder. Raises `DiskFull` or `StoreError`."""

    def __init__(self, path: Path) -> None:
        self._file = AppendFile(path)
        if self._file.tail(1) not in {b"", b"\n"}:
            self._file.append(b"\n")  # a torn line: nobody was told of it, and nobody will read it

    def append(self, event: Event) -> None:
        """Write an event; it is on the disk when this returns."""
        self._file.append(line_of(event))

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def line_of(event: Event) -> bytes:
    """An event as a line. Ids may hold lone surrogates, which only ASCII JSON can carry."""
    return json.dumps(msgspec.to_builtins(event), separators=(",", ":")).encode("ascii") + b"\n"


def read_events(path: Path) -> Iterator[Event]:
    """The events of a journal in order; none where there is no journal. Raises `StoreError` if it cannot be read."""
    try:
        with path.open("rb") as file:
            for line in file:
                event = _event(line)
                if event is not None:
                    yield event
    except FileNotFoundError:
        return
    except OSError as error:
        raise failed(path, error) from error


def read_progress(path: Path) -> Progress:
    """What a journal says altogether."""
    sums: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    named: list[Skipped] = []
    found = Progress()
    for event in read_events(path):
        found = _advanced(found, event)
        if isinstance(event, Done):
            sums.update(archived=event.archived, cooled=event.cooled, merged=event.merged)
            reasons.update(one.reason for one in event.skipped)
            named += event.skipped[: NAMED - len(named)]
    return msgspec.structs.replace(found, **sums, skipped=dict(sorted(reasons.items())), named=tuple(named))


def resume_at(path: Path) -> int:
    """How many lines of the plan are settled."""
    return read_progress(path).upto


def _advanced(found: Progress, event: Event) -> Progress:
    change = msgspec.structs.replace
    if isinstance(event, Start):
        return change(found, sha=event.sha, token=max(found.token, event.token))
    if isinstance(event, Intent):
        return change(found, open=event, token=max(found.token, event.token), size=event.size)
    if isinstance(event, Done):
        return change(found, batch=event.batch, upto=event.upto, open=None)
    if isinstance(event, Finished):
        return change(found, finished=True)
    return change(found, undone=True) if isinstance(event, Undone) else found


def _event(line: bytes) -> Event | None:
    try:
        event: Event = msgspec.convert(json.loads(line), Event)
    except (ValueError, TypeError, RecursionError):
        return None
    return event
