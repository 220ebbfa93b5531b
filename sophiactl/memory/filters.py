"""Filters in terms of payload paths, before they become an engine's own types."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import UsageError
from sophiactl.memory.base import AnyOf, Equals, HasId, NumberRange, TimeRange
from sophiactl.memory.payload import EXACT, FIELDS, PINNED, TERMS, WHOLE, dumps, is_plain_text, metadata_key, term

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.memory.base import Condition, Where
    from sophiactl.memory.points import PointIds

_INT64 = range(-(2**63), 2**63)
NUMBERS = (*WHOLE, "keep_score")
"""Fields that hold numbers."""


class Match(msgspec.Struct, frozen=True):
    """The value at a JSON path is this one, or contains it."""

    path: str
    value: str | int | bool


class MatchAny(msgspec.Struct, frozen=True):
    """The value at a JSON path is one of these."""

    path: str
    values: list[str]


class Between(msgspec.Struct, frozen=True):
    """The time at a JSON path is in the half-open range."""

    path: str
    since: str | None
    until: str | None


class Span(msgspec.Struct, frozen=True):
    """The number at a JSON path is in the closed range; without both bounds, that there is a number."""

    path: str
    least: float | None
    most: float | None


class Among(msgspec.Struct, frozen=True):
    """The point's engine id is one of these; none of them is a filter that nothing passes."""

    ids: list[str]


Clause = Match | MatchAny | Between | Span | Among


def clause(condition: Condition, ids: PointIds, *, booleans: bool) -> Clause:
    """A condition in terms of payload paths; `booleans` says whether the engine can match them.

    Raises `UsageError` for a field that no record has, or a bound that is no time or no number.
    """
    if isinstance(condition, HasId):
        return Among(ids.many(condition.ids))
    if isinstance(condition, TimeRange):
        return Between(_path(condition.field), _time(condition.since), _time(condition.until))
    if isinstance(condition, NumberRange):
        return _span(condition)
    if isinstance(condition, AnyOf):
        return _any_of(condition)
    return _equals(condition, booleans=booleans)


def _any_of(condition: AnyOf) -> Clause:
    field, values = condition.field, [str(value) for value in condition.values]
    if not values:
        return Among([])
    key = metadata_key(field)
    if key is not None and '"' in key:
        return MatchAny(TERMS, [term(key, value) for value in values])
    if key is None and not all(map(is_plain_text, values)):
        odd = [value for value in values if not is_plain_text(value)]
        if len(odd) < len(values):
            raise UsageError(f"{field}: names that are UTF-8 and names that are not cannot be asked for together")
        return MatchAny(EXACT + _path(field), [dumps(value) for value in odd])
    return MatchAny(_path(field), values)


def _equals(condition: Equals, *, booleans: bool) -> Clause:
    field, value = condition.field, condition.value
    key, path = metadata_key(field), None
    if key is not None and ('"' in key or (isinstance(value, bool) and not booleans)):
        return Match(TERMS, term(key, value))
    path = _path(field)
    if isinstance(value, bool):
        if booleans:
            return Match(path, value)
        return Match(PINNED, int(value)) if field == "pinned" else Among([])
    if isinstance(value, int):
        if value not in _INT64:
            raise UsageError(f"{field}: {value} is beyond 64 bits")
        return Match(path, value)
    if key is None and not is_plain_text(value):
        return Match(EXACT + path, dumps(value))
    return Match(path, str(value))


def _span(condition: NumberRange) -> Clause:
    field, path = condition.field, _path(condition.field)
    if metadata_key(field) is None and field not in NUMBERS:
        raise UsageError(f"{field} holds no number", hint=f"one of: {', '.join(NUMBERS)}, metadata.KEY")
    least = -math.inf if condition.least is None else condition.least
    most = math.inf if condition.most is None else condition.most
    if math.isnan(least) or math.isnan(most):
        raise UsageError(f"{field}: NaN is no bound")
    if least > most or least == math.inf or most == -math.inf:
        return Among([])
    if field in WHOLE:
        # An index of whole numbers cuts the fraction of a bound off, on the wrong side for the lower one.
        least, most = _rounded(math.ceil, least), _rounded(math.floor, most)
    return Span(path, None if least == -math.inf else least, None if most == math.inf else most)


def _rounded(towards: Callable[[float], int], bound: float) -> float:
    return float(towards(bound)) if math.isfinite(bound) else bound


def _path(field: str) -> str:
    """The JSON path of a field; keys of metadata are quoted, since they may hold any character but the quote itself."""
    key = metadata_key(field)
    if key is not None:
        if '"' in key or not is_plain_text(key):
            raise UsageError(f"cannot filter by {field!r}", hint="rename this key of the metadata")
        return f'metadata."{key}"'
    if field not in FIELDS:
        raise UsageError(f"no field is called {field!r}", hint=f"one of: {', '.join(FIELDS)}, metadata.KEY")
    return field


def _time(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is no time", hint="write it as 2026-01-31 or 2026-01-31T09:00:00Z") from error
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def is_everything(where: Where) -> bool:
    """Whether the filter lets every point pass."""
    return not where.all and not where.none
