"""Runs as rows and back: what either engine would store differently is made the same before it gets there."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.errors import StoreError, UsageError
from sophiactl.redaction import REDACTOR
from sophiactl.runs.base import Call, Run, ServiceCall
from sophiactl.runs.schema import CALL_COLUMNS, RUN_COLUMNS, SERVICE_COLUMNS
from sophiactl.runs.service_calls import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

# PostgreSQL's text takes no NUL, and no encoding takes half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INT64 = range(-(2**63), 2**63)
_NO_FRACTION = ".000000Z"


def run_row(run: Run) -> tuple[object, ...]:
    """The values of RUN_COLUMNS, without any secret known here. Raises `UsageError` for a time that is none."""
    return tuple(_stored(name, getattr(run, name)) for name in RUN_COLUMNS)


def call_rows(run: Run) -> list[tuple[object, ...]]:
    """The values of `run_id`, `number` and CALL_COLUMNS, a row a call."""
    name = stored_text(run.id)
    return [
        (name, number, *(_stored(column, getattr(call, column)) for column in CALL_COLUMNS))
        for number, call in enumerate(run.calls)
    ]


def service_call_rows(run: Run) -> list[tuple[object, ...]]:
    """The values of `run_id`, `number` and SERVICE_COLUMNS, of no more calls than are kept."""
    name = stored_text(run.id)
    return [
        (name, number, *(_counted(column, getattr(call, column)) for column in SERVICE_COLUMNS))
        for number, call in enumerate(kept(run.service_calls))
    ]


def run_of(row: Sequence[Any], calls: tuple[Call, ...], service_calls: tuple[ServiceCall, ...]) -> Run:
    """The run of a row."""
    values = dict(zip(RUN_COLUMNS, row, strict=True))
    values["at"] = shown_time(values["at"])
    values["candidates"] = msgspec.json.decode(values["candidates"], type=tuple[str, ...])
    values["dropped"] = msgspec.json.decode(values["dropped"], type=tuple[dict[str, str], ...])
    values["details"] = msgspec.json.decode(values["details"])
    values["escalated"] = bool(values["escalated"])
    return Run(**values, calls=calls, service_calls=service_calls)


def call_of(row: Sequence[Any]) -> Call:
    """The call of a row."""
    values = dict(zip(CALL_COLUMNS, row, strict=True))
    return Call(**{**values, "at": shown_time(values["at"])})


def service_call_of(row: Sequence[Any]) -> ServiceCall:
    """The service call of a row; sums come as numbers with a point."""
    values = dict(zip(SERVICE_COLUMNS, row, strict=True))
    return ServiceCall(**{**values, "calls": int(values["calls"]), "retries": int(values["retries"])})


def stored_time(text: str) -> str:
    """An ISO 8601 time as the tables hold it; without an offset it is UTC. Raises `UsageError`."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no time", hint="write it as 2026-01-31 or 2026-01-31T09:00:00Z") from error
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def shown_time(text: str | None) -> str | None:
    """A time of the tables as everybody else writes it: without a fraction of zeros."""
    return text.removesuffix(_NO_FRACTION) + "Z" if text and text.endswith(_NO_FRACTION) else text


def stored_text(text: str) -> str:
    """The text without what no table can hold: NUL and halves of surrogate pairs become U+FFFD."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _stored(column: str, value: object) -> object:
    if isinstance(value, str):
        return stored_time(value) if column == "at" else stored_text(REDACTOR.text(value))
    if isinstance(value, float):
        # SQLite keeps no NaN: what is no number is unknown.
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        if value not in _INT64:
            raise StoreError(f"{column} {value} is beyond 64 bits", hint="the run was not recorded")
        return int(value)
    return None if value is None else _json(REDACTOR.data(value))


def _counted(column: str, value: object) -> object:
    """As `_stored`, but never empty: a call counts, whatever a clock said of it."""
    stored = _stored(column, value)
    return 0.0 if stored is None else stored


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(_mended(value)).decode()


def _mended(value: object) -> object:
    if isinstance(value, str):
        return stored_text(value)
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return [_mended(item) for item in value] if isinstance(value, list | tuple) else value
