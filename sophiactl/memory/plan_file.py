"""Files of plans: what a prune would do, as one line a memory below a header that vouches for them.

    {"kind":"sophiactl prune plan","version":1,"id":...,"counts":{"archive":2},...,"sha256":...}
    {"id":"m1","rev":1,"class":"episodic","score":0.031,"action":"archive","reason":"worth"}
    {"id":"m2","rev":3,"class":"episodic","score":0.044,"action":"archive","reason":"duplicate","near_dup_of":"m9"}

The `sha256` is that of the whole file with this one value empty, so a plan that was edited or cut short is found out.
Lines stand in the order in which the memories would go, and are ASCII: ids may hold any character.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

import msgspec

from sophiactl.errors import UsageError
from sophiactl.memory.durable import failed, replaced
from sophiactl.memory.moments import seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

KIND: Final = "sophiactl prune plan"
VERSION: Final = 1

Action = Literal["archive", "cool"]
Reason = Literal["expired", "worth", "budget", "fraction", "duplicate", "cold"]

AGAIN = "make a new one: sophiactl prune plan"
CLOCK_SLACK: Final = 300.0
"""Seconds that a plan may have been made ahead of our clock: another host's clock, not one that went backwards."""

_LONGEST_HEADER = 2**20
_CHUNK = 2**20


class ClassCounts(msgspec.Struct, frozen=True):
    """One class in a plan: memories before, how many of them may be touched at all, and what becomes of them."""

    before: int = 0
    eligible: int = 0
    archive: int = 0
    cool: int = 0


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a plan. Times are ISO 8601 in UTC.

    `config` is the hash of the settings it was made under, `model` the version of the model of worth, `policies` the
    policy that each class was judged by, `before` the memories of the collection. `bytes` is an estimate of what
    would come free, None where the engine does not say how large it is.
    """

    kind: str = KIND
    version: int = VERSION
    id: str
    collection: str
    place: str
    config: str
    model: str
    policies: dict[str, str]
    fraction: float | None = None
    to: str = "archive"
    created: str
    expires: str
    before: int
    counts: dict[str, int] = {}
    classes: dict[str, ClassCounts] = {}
    reasons: dict[str, int] = {}
    bytes: int | None = None
    sha256: str = ""


class Line(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """One memory to act on, as it was when the plan was made; `score` is its worth from 0 to 1."""

    id: str
    rev: int
    class_: str
    score: float
    action: Action
    reason: Reason
    near_dup_of: str | None = None


def write_plan(
    path: Path, header: Header, lines: Iterable[Line], *, complete: Callable[[Header], Header] | None = None
) -> Header:
    """Write a plan as a whole, durably and for its owner alone; returns its header as written.

    `counts`, `reasons` and what becomes of each class are counted from the lines; `complete` may add what is known only
    then. Raises `DiskFull` or `StoreError`; no half plan is ever left.
    """
    with writing(path), tempfile.TemporaryFile(dir=path.parent) as body:
        header = _counted(header, _write_lines(body, lines))
        if complete is not None:
            header = complete(header)
        written = _sealed(header, body)
        with replaced(path) as file:
            file.write(_encoded(written))
            body.seek(0)
            shutil.copyfileobj(body, file, _CHUNK)
    return written


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes on beside a plan while it is made: the folder is there, failures of the disk become ours."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield
    except OSError as error:
        raise failed(path, error) from error


def read_header(path: Path) -> Header:
    """The header of a plan, without looking at its lines. Raises `UsageError` where there is no plan of ours."""
    with _reading(path) as file:
        return _header(path, file.readline(_LONGEST_HEADER))


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a plan, one after the other. `check_plan` comes first: here a damaged line is only refused."""
    with _reading(path) as file:
        file.readline(_LONGEST_HEADER)
        for raw in file:
            yield _line(path, raw)


def check_plan(path: Path) -> Header:
    """Read a plan once from end to end and return its header.

    Raises `UsageError` for no plan, one of a newer version, one that is cut short and one that was edited.
    """
    with _reading(path) as file:
        first = file.readline(_LONGEST_HEADER)
        header = _header(path, first)
        digest = hashlib.sha256(first.replace(_seal(header.sha256), _seal("")))
        lines = 0
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            lines += chunk.count(b"\n")
    promised = sum(header.counts.values())
    if lines < promised:
        raise UsageError(f"{path} is cut short: {lines} of its {promised} lines are there", hint=AGAIN)
    if digest.hexdigest() != header.sha256:
        raise UsageError(f"{path} was changed after it was made", hint=f"a plan cannot be edited; {AGAIN}")
    return header


def check_use(header: Header, *, collection: str, place: str, config_hash: str, now: datetime) -> None:
    """Raise `UsageError` unless a plan is for this collection, at this place, under these settings, at this time."""
    if header.collection != collection:
        raise UsageError(
            f"plan {header.id} is for the collection {header.collection!r}, not {collection!r}",
            hint=f"use it there: --collection {header.collection}, or {AGAIN}",
        )
    if header.place != place:
        raise UsageError(
            f"plan {header.id} is for the collection {collection!r} of another place: {header.place}",
            hint=f"here is {place}; {AGAIN}",
        )
    created, expires, moment = seconds_of(header.created), seconds_of(header.expires), now.timestamp()
    if created is None or expires is None:
        raise UsageError(f"plan {header.id} does not say when it was made", hint=AGAIN)
    if created > moment + CLOCK_SLACK:
        raise UsageError(
            f"plan {header.id} was made in the future: {header.created}", hint=f"is the clock right? then {AGAIN}"
        )
    if moment >= expires:
        raise UsageError(f"plan {header.id} has expired: {header.expires}", hint=AGAIN)
    if header.config != config_hash:
        raise UsageError(
            f"plan {header.id} was made under other settings of memory.prune", hint=f"to go by the new ones, {AGAIN}"
        )


def _write_lines(body: BinaryIO, lines: Iterable[Line]) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for line in lines:
        body.write(_line_text(line).encode("ascii"))
        found[line.class_, line.action, line.reason] += 1
    return found


def _line_text(line: Line) -> str:
    fields: dict[str, Any] = {
        "id": line.id,
        "rev": line.rev,
        "class": line.class_,
        "score": line.score,
        "action": line.action,
        "reason": line.reason,
    }
    if line.near_dup_of is not None:
        fields["near_dup_of"] = line.near_dup_of
    return f"{json.dumps(fields, separators=(',', ':'))}\n"


def _counted(header: Header, found: Counter[tuple[str, str, str]]) -> Header:
    actions: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    by_class: dict[str, Counter[str]] = {}
    for (name, action, reason), number in found.items():
        actions[action] += number
        reasons[reason] += number
        by_class.setdefault(name, Counter())[action] += number
    classes = {
        name: msgspec.structs.replace(
            header.classes.get(name, ClassCounts()),
            archive=by_class.get(name, Counter())["archive"],
            cool=by_class.get(name, Counter())["cool"],
        )
        for name in sorted({*header.classes, *by_class})
    }
    return msgspec.structs.replace(
        header, counts=dict(sorted(actions.items())), reasons=dict(sorted(reasons.items())), classes=classes
    )


def _sealed(header: Header, body: BinaryIO) -> Header:
    digest = hashlib.sha256(_encoded(msgspec.structs.replace(header, sha256="")))
    body.seek(0)
    while chunk := body.read(_CHUNK):
        digest.update(chunk)
    return msgspec.structs.replace(header, sha256=digest.hexdigest())


def _encoded(header: Header) -> bytes:
    # Not msgspec's own encoder: a path may hold bytes that are no UTF-8.
    return json.dumps(msgspec.to_builtins(header), separators=(",", ":")).encode("ascii") + b"\n"


def _seal(digest: str) -> bytes:
    return f'"sha256":{json.dumps(digest)}}}\n'.encode("ascii")


def _header(path: Path, first: bytes) -> Header:
    if not first.endswith(b"\n"):
        what = "is empty" if not first else "is no plan, or is cut short in its first line"
        raise UsageError(f"{path} {what}", hint=AGAIN)
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise UsageError(f"{path} is no plan of sophiactl prune", hint=AGAIN)
    version = found.get("version")
    if isinstance(version, int) and version > VERSION:
        raise UsageError(
            f"{path} was made by a newer sophiactl (plan version {version}, known is {VERSION})",
            hint=f"upgrade sophiactl, or {AGAIN}",
        )
    try:
        return msgspec.convert(found, Header)
    except (msgspec.ValidationError, TypeError) as error:
        raise UsageError(f"{path} has a header that was changed: {error}", hint=AGAIN) from None


def _line(path: Path, raw: bytes) -> Line:
    try:
        return msgspec.convert(json.loads(raw), Line)
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} has a line that is none of a plan: {error}", hint=AGAIN) from None


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise UsageError(f"there is no plan {path}", hint=AGAIN) from None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(f"the plan {path} cannot be read: {why}", hint=AGAIN) from error
