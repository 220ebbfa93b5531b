"""A record as the engines store it, and back, exactly.

The payload is the record's JSON form without empty fields. Engines keep it as JSON, which cannot hold everything that a
record can, so helper fields (names with a leading underscore) fill the gaps:

- `_exact_FIELD`  the field as ASCII JSON text, where the engine would change it: integers beyond 64 bits, floats that a
  fast decimal parser misses by one unit in the last place, NaN and infinity, lone surrogates (file names that are no
  UTF-8), and nesting so deep that the engine could write it but never read it again.
- `_pinned`       `pinned` as 0 or 1, and `_terms_metadata`, a list of `KEY=JSON`: the embedded engine cannot match
  booleans, and no engine can address a key that holds a quotation mark.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.errors import StoreError, UsageError
from sophiactl.model import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

EXACT = "_exact_"
PINNED = "_pinned"
TERMS = "_terms_metadata"

MAX_DEPTH = 32
"""Containers nested deeper than this are kept as text only; the engine's own limit is near 126 and breaks the store."""

FIELDS: dict[str, Any] = {field.encode_name: field.type for field in msgspec.structs.fields(Record)}
"""Names of a record's fields in its JSON form, and their types."""

_DROPPED_WHEN_EMPTY = ("tags", "metadata", "merged_from")
WHOLE = ("position", "accesses", "rev", "keep_bucket")
"""Fields that hold whole numbers."""

_PLAIN = frozenset(("class", "state", "pinned", "created_at", "updated_at", "last_accessed", "cooled_at", *WHOLE))
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


def encode(record: Record) -> dict[str, Any]:
    """The payload of a record. Raises `StoreError` when a value has no JSON form."""
    payload: dict[str, Any] = {}
    for name, value in _builtins(record).items():
        # Most fields are plain text or not there: worth a short way, this is in the path of every write.
        if type(value) is str and value.isascii():
            payload[name] = value
        elif value is not None:
            _put(payload, name, value)
    return payload


def encode_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """What to set in a payload so that these fields of a record change; null stands for what is gone.

    Names are those of `Record`'s JSON form. Raises `UsageError` for an unknown name or a value of the wrong type; the
    id of a record never changes.
    """
    payload: dict[str, Any] = {}
    for name, value in fields.items():
        payload[name] = None
        if name not in _PLAIN:
            payload[EXACT + name] = None
        if name == "metadata":
            payload[TERMS] = None
        _put(payload, name, _checked(name, value))
    return payload


def decode(payload: dict[str, Any] | None) -> Record:
    """The record of a payload. Raises `StoreError` when it was not written by this program."""
    plain = row(payload)
    try:
        return msgspec.convert(plain, Record)
    except (msgspec.ValidationError, TypeError) as error:
        name = plain.get("id", "without id")
        raise StoreError(
            f"a stored point ({name!r}) is no record of ours: {error}",
            hint="another program may have written to this collection; use one of its own: --collection NAME",
        ) from error


def row_keys(fields: Sequence[str]) -> list[str]:
    """Keys of a payload that are enough for `row`. Raises `UsageError` for a name that is no field of a record."""
    for field in fields:
        if field not in FIELDS:
            raise UsageError(f"no field is called {field!r}", hint=f"one of: {', '.join(FIELDS)}")
    return [*fields, *(EXACT + field for field in fields if field not in _PLAIN)]


def row(payload: dict[str, Any] | None) -> dict[str, Any]:
    """The fields of a record that a part of its payload holds, each as in the record's JSON form."""
    found: dict[str, Any] = {}
    for key, value in (payload or {}).items():
        if value is None:
            continue
        if not key.startswith("_"):
            found.setdefault(key, value)
        elif key.startswith(EXACT):
            found[key.removeprefix(EXACT)] = _parse(value)
    return found


def user_id(payload: dict[str, Any] | None) -> str:
    """The record's own id, from a payload that holds at least `ID_FIELDS` of it."""
    found = (payload or {}).get("id")
    if payload and payload.get(EXACT + "id") is not None:
        found = _parse(payload[EXACT + "id"])
    if not isinstance(found, str):
        raise StoreError(
            "a stored point has no id of ours",
            hint="another program may have written to this collection; use one of its own: --collection NAME",
        )
    return found


ID_FIELDS = ["id", EXACT + "id"]


def metadata_key(field: str) -> str | None:
    """KEY of `metadata.KEY`; None for a field of the record itself."""
    return field.removeprefix("metadata.") if field.startswith("metadata.") else None


def facet_keys(field: str) -> list[str]:
    """Keys of a payload that are enough for `facet_value`. Raises `UsageError` for a field that no record has."""
    name = field if metadata_key(field) is None else "metadata"
    if name not in FIELDS:
        raise UsageError(f"no field is called {field!r}", hint=f"one of: {', '.join(FIELDS)}, metadata.KEY")
    return [name, EXACT + name]


def facet_value(payload: dict[str, Any] | None, field: str) -> Any:
    """What a record holds in a field, from its payload."""
    payload, key = payload or {}, metadata_key(field)
    name = field if key is None else "metadata"
    exact = payload.get(EXACT + name)
    value = payload.get(name) if exact is None else _parse(exact)
    return value if key is None else (value or {}).get(key)


def is_plain_text(text: str) -> bool:
    """Whether the text has a UTF-8 form; a lone surrogate has none."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def dumps(value: Any) -> str:
    """ASCII JSON text that Python reads back to the same value. Raises `StoreError` when there is none."""
    try:
        return json.dumps(value, separators=(",", ":"), sort_keys=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"a value cannot be stored: {error}") from error


def _builtins(value: Any) -> Any:
    try:
        return msgspec.to_builtins(value, str_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"a record cannot be stored: {error}",
            hint="metadata holds text, numbers, true, false, null, lists and objects",
        ) from error


def _checked(name: str, value: Any) -> Any:
    if name == "id" or name not in FIELDS:
        allowed = ", ".join(field for field in FIELDS if field != "id")
        raise UsageError(f"{name!r} is no field of a memory that can be set", hint=f"one of: {allowed}")
    plain = _builtins(value)
    try:
        msgspec.convert(plain, FIELDS[name])
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: {error}") from error
    return plain


def _put(payload: dict[str, Any], name: str, value: Any) -> None:
    if value is None or (name in _DROPPED_WHEN_EMPTY and not value):
        return
    if isinstance(value, str):
        exact = is_plain_text(value)
    elif name == "metadata":
        exact = _survives(value, MAX_DEPTH)
        _put_terms(payload, value)
    else:
        exact = isinstance(value, bool) or _survives(value, MAX_DEPTH)
    if exact:
        payload[name] = value
    elif name in _PLAIN:
        raise StoreError(f"{name} cannot be stored: {value!r}")
    else:
        payload[EXACT + name] = dumps(value)
        payload[name] = _approximate(value, MAX_DEPTH)
    if name == "pinned":
        payload[PINNED] = int(value)


def _put_terms(payload: dict[str, Any], metadata: dict[str, Any]) -> None:
    terms = [
        term(key, item)
        for key, value in metadata.items()
        for item in (value if isinstance(value, list | tuple) else (value,))
        if isinstance(item, bool) or ('"' in key and isinstance(item, str | int))
    ]
    if terms:
        payload[TERMS] = terms


def term(key: str, value: str | int | bool) -> str:
    """How `_terms_metadata` holds one value of one metadata key."""
    return f"{dumps(key)}={dumps(value)}"


def _survives(value: Any, depth: int) -> bool:
    """Whether an engine gives this value back unchanged."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str):
        return is_plain_text(value)
    if isinstance(value, int):
        return _INT_MIN <= value <= _INT_MAX
    if isinstance(value, float):
        return _is_short(value)
    if depth == 0:
        return False
    if isinstance(value, dict):
        return all(is_plain_text(key) and _survives(item, depth - 1) for key, item in value.items())
    return all(_survives(item, depth - 1) for item in value)


def _is_short(value: float) -> bool:
    """Whether parsing digits times a power of ten is exact: at most 15 digits and a power within 10**22."""
    if not math.isfinite(value):
        return False
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    return len(digits) <= 15 and len(fraction) + abs(int(exponent or 0)) <= 22


def _approximate(value: Any, depth: int) -> Any:
    """The nearest value that an engine can hold, for filters and for other clients to read."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int) and not _INT_MIN <= value <= _INT_MAX:
        return dumps(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        items = value.items() if depth else ()
        return {_approximate(key, 0): _approximate(item, depth - 1) for key, item in items}
    if isinstance(value, list | tuple):
        return [_approximate(item, depth - 1) for item in value] if depth else []
    return value


def _parse(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"a stored point cannot be read: {error}") from error
