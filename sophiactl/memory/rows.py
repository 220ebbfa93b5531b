"""Rows of an import or export file: one JSON object a line.

    {"id": "m1", "text": "...", "class": "episodic", "created_at": "2026-03-01T09:00:00Z",
     "access_count": 3, "last_accessed": "...", "metadata": {"session": "s1", "speaker": "Ann"}}

Only `text` is required. Speaker and session are looked for in the row and in its metadata under their usual names,
since retrieval reads a turn better beside its neighbours. Any other field of `Record` may stand in the row; an export
is an import file.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.errors import InputError
from sophiactl.memory.judging import DERIVED
from sophiactl.model import MemoryClass, Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

AUTHOR_NAMES = ("author", "speaker", "user", "from", "role")
THREAD_NAMES = ("store", "channel", "conversation", "conversation_id", "session", "session_id", "thread", "thread_id")
"""From the widest to the narrowest: all that a row has are joined, so that session 1 of two conversations differ."""
_FIELDS = frozenset(field.encode_name for field in msgspec.structs.fields(Record))
_NAMESPACE = uuid.UUID("0b6f3f0a-2a55-5a52-8a3a-6b1c1f0a9d77")
_SPOKEN = (MemoryClass.EPISODIC, MemoryClass.WORKING)


def parse_row(line: bytes | str, now: str) -> Record:
    """The record of one line; `now` stands in for a missing `created_at`. Raises `InputError` saying what is wrong."""
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise InputError("not a JSON object")
    return _record(row, now)


def _record(row: dict[str, Any], now: str) -> Record:
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        raise InputError("no text")
    metadata = _metadata(row)
    author = _first(row, metadata, AUTHOR_NAMES)
    thread = row.get("thread") or _thread(metadata)
    spoken = author is not None or thread is not None
    default = MemoryClass.EPISODIC if spoken else MemoryClass.SEMANTIC
    values = {
        name: value for name, value in row.items() if name in _FIELDS and value is not None and name not in DERIVED
    }
    values |= {
        "text": text,
        "class": row.get("class") or default.value,
        "created_at": _time(row.get("created_at"), "created_at") or now,
        "last_accessed": _time(row.get("last_accessed"), "last_accessed"),
        "accesses": row.get("accesses", row.get("access_count")) or 0,
        "author": author,
        "thread": str(thread) if thread is not None else None,
        "metadata": metadata,
    }
    values["id"] = _id(row.get("id"), text, values["created_at"])
    try:
        return msgspec.convert(values, Record)
    except msgspec.ValidationError as error:
        raise InputError(str(error)) from None


def _metadata(row: dict[str, Any]) -> dict[str, Any]:
    given = row.get("metadata") or {}
    if not isinstance(given, dict):
        raise InputError("metadata is not an object")
    extra = {name: value for name, value in row.items() if name not in _FIELDS and name != "access_count"}
    return {**extra, **given}


def _first(row: Mapping[str, Any], metadata: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    values = (source.get(name) for source in (row, metadata) for name in names)
    return next((value for value in values if isinstance(value, str) and value.strip()), None)


def _thread(metadata: Mapping[str, Any]) -> str | None:
    parts = [str(metadata[name]) for name in THREAD_NAMES if isinstance(metadata.get(name), str | int)]
    return "/".join(parts) or None


def _id(value: object, text: str, created_at: str) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return str(uuid.uuid5(_NAMESPACE, f"{created_at}\n{digest}"))
    raise InputError("id is neither a string nor a whole number")


def _time(value: object, name: str) -> str | None:
    """A time in UTC; one without a zone is taken as UTC, a number as seconds since 1970."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value, UTC)
        else:
            moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise InputError(f"{name} is no ISO 8601 time: {str(value)[:40]!r}") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class Threader:
    """Gives turns without a thread one of their own, by time: those within `gap` of the turn before belong together."""

    def __init__(self, gap: timedelta) -> None:
        self._gap = gap
        self._last: datetime | None = None
        self._thread = ""

    def place(self, record: Record) -> Record:
        """The record with a thread, where it is a turn of a conversation and has none."""
        if record.thread is not None or record.class_ not in _SPOKEN or record.created_at is None:
            return record
        at = datetime.fromisoformat(record.created_at)
        if self._last is None or not timedelta(0) <= at - self._last <= self._gap:
            self._thread = f"near:{record.id}"
        self._last = at
        return msgspec.structs.replace(record, thread=self._thread)


def export_row(record: Record) -> dict[str, Any]:
    """The record as an import row; empty fields are left out."""
    fields = msgspec.to_builtins(record).items()
    row = {name: value for name, value in fields if value not in (None, [], {}, ()) and name not in DERIVED}
    row["access_count"] = row.pop("accesses")
    return row


def parse_file(lines: Iterator[bytes], now: str) -> Iterator[tuple[int, Record | InputError]]:
    """Each line that is not blank with its number from 1: its record, or what is wrong with it."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield number, parse_row(line.lstrip(b"\xef\xbb\xbf") if number == 1 else line, now)
        except InputError as error:
            yield number, error
