"""HubSpot's search of records, after its description and guide: filters, text, order, pages, and its limits."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

from sophiactl.testing.vendors.hubspot_portal import SPECIES, comparable, is_sized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sophiactl.testing.vendors.hubspot_portal import Portal, Row, Species

MOST = 200
WINDOW = 10_000
"""Results of one query that can be paged to."""
_LONGEST = 3_000
_GROUPS = _FILTERS = 6
_DEFAULT = 10
_RANGES = ("GT", "GTE", "LT", "LTE", "EQ", "BETWEEN")
_WORD = re.compile(r"\w+", re.UNICODE)


class Invalid(Exception):
    """A request that is answered with 400."""


def search(portal: Portal, kind: str, body: Any) -> tuple[int, Sequence[Row], str | None]:
    """How many there are, the page that was asked for, and the cursor of the next one. Raises `Invalid`."""
    if not isinstance(body, dict):
        raise Invalid("the body has to be an object")
    limit, after = _number(body, "limit", _DEFAULT), _number(body, "after", 0)
    if not 0 <= limit <= MOST:
        raise Invalid(f"limit has to be at most {MOST}")
    if after >= WINDOW:
        raise Invalid(f"a query gives {WINDOW} results at most: page {after} is beyond them")
    query = body.get("query") or ""
    if not isinstance(query, str) or len(query) > _LONGEST:
        raise Invalid(f"query has to be a text of at most {_LONGEST} characters")
    name, downwards = _order(portal, kind, body.get("sorts") or [])
    rows = _matching(portal, kind, _groups(body), name)
    if query.strip():
        rows = _with_words(SPECIES[kind], rows, query)
    if downwards:
        rows = rows[::-1]
    page = rows[after : after + limit]
    following = str(after + len(page)) if page and after + len(page) < len(rows) else None
    return len(rows), page, following


def _number(body: dict[str, Any], name: str, otherwise: int) -> int:
    value = body.get(name)
    if value is None or value == "":
        return otherwise
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Invalid(f"{name} is no number") from None


def _groups(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    groups = body.get("filterGroups") or []
    if not isinstance(groups, list) or len(groups) > _GROUPS:
        raise Invalid(f"at most {_GROUPS} filterGroups")
    found = []
    for group in groups:
        filters = group.get("filters") if isinstance(group, dict) else None
        if not isinstance(filters, list) or not filters or len(filters) > _FILTERS:
            raise Invalid(f"each of filterGroups needs 1 to {_FILTERS} filters")
        found.append(filters)
    return found


def _order(portal: Portal, kind: str, sorts: Any) -> tuple[str, bool]:
    """The property to sort by, and whether downwards. One alone is allowed; without any, by age."""
    if not isinstance(sorts, list) or len(sorts) > 1:
        raise Invalid("only one order can be asked for")
    if not sorts:
        return SPECIES[kind].created, False
    asked = sorts[0]
    if isinstance(asked, dict):
        name, downwards = str(asked.get("propertyName", "")), asked.get("direction") == "DESCENDING"
    else:
        name, downwards = str(asked).removeprefix("-"), str(asked).startswith("-")
    _known(portal, kind, name)
    return name, downwards


def _known(portal: Portal, kind: str, name: str) -> None:
    if name not in SPECIES[kind].known and not any(name in row.properties for row in portal.indexed[kind].values()):
        raise Invalid(f"{kind} have no property {name!r}")


def _matching(portal: Portal, kind: str, groups: list[list[dict[str, Any]]], order: str) -> list[Row]:
    """What any of the groups allows, in order."""
    if not groups:
        return _ordered(portal, kind, None, order)
    if len(groups) == 1:
        return _of_group(portal, kind, groups[0], order)
    numbers = {row.number for group in groups for row in _of_group(portal, kind, group, order)}
    return _ordered(portal, kind, numbers, order)


def _of_group(portal: Portal, kind: str, filters: list[dict[str, Any]], order: str) -> list[Row]:
    """What all filters allow. The narrowest range is cut out of a sorted index, the rest is tested row by row."""
    best: tuple[int, int, str] | None = None
    tests: list[Callable[[Row], bool]] = []
    ranges: dict[str, tuple[int, int]] = {}
    for asked in filters:
        name, operator = str(asked.get("propertyName", "")), str(asked.get("operator", ""))
        _known(portal, kind, name)
        if is_sized(name) and operator in _RANGES:
            low, high = _cut(portal, kind, name, operator, asked)
            before = ranges.get(name, (0, len(portal.sorted_by(kind, name)[1])))
            ranges[name] = (max(low, before[0]), min(high, before[1]))
        else:
            tests.append(_test(SPECIES[kind], name, operator, asked))
    for name, (low, high) in ranges.items():
        if best is None or high - low < best[1] - best[0]:
            best = (low, high, name)
    if best is None:
        return [row for row in _ordered(portal, kind, None, order) if all(test(row) for test in tests)]
    low, high, own = best
    rows = portal.sorted_by(kind, own)[1][low : max(low, high)]
    for name, (start, end) in ranges.items():
        if name != own:
            numbers = {row.number for row in portal.sorted_by(kind, name)[1][start:end]}
            rows = [row for row in rows if row.number in numbers]
    rows = [row for row in rows if all(test(row) for test in tests)] if tests else rows
    return rows if own == order else _in_order(SPECIES[kind], rows, order)


def _cut(portal: Portal, kind: str, name: str, operator: str, asked: dict[str, Any]) -> tuple[int, int]:
    """Where a range begins and ends in the sorted index."""
    values, _ = portal.sorted_by(kind, name)
    value = _value(name, asked.get("value"))
    if operator == "GT":
        return bisect_right(values, value), len(values)
    if operator == "GTE":
        return bisect_left(values, value), len(values)
    if operator == "LT":
        return 0, bisect_left(values, value)
    if operator == "LTE":
        return 0, bisect_right(values, value)
    high = _value(name, asked.get("highValue")) if operator == "BETWEEN" else value
    return bisect_left(values, value), bisect_right(values, high)


def _value(name: str, value: Any) -> Any:
    try:
        found = comparable(name, None if value is None else str(value))
    except ValueError:
        raise Invalid(f"{name} cannot be compared with {value!r}") from None
    if found is None:
        raise Invalid(f"a filter of {name} lacks its value")
    return found


def _test(species: Species, name: str, operator: str, asked: dict[str, Any]) -> Callable[[Row], bool]:
    """A filter as a question to one row."""
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        return lambda row: (row.key(species, name) is not None) == (operator == "HAS_PROPERTY")
    if operator in ("IN", "NOT_IN"):
        values = {_value(name, value) for value in asked.get("values") or ()}
        if not values:
            raise Invalid(f"a filter of {name} lacks its values")
        return lambda row: (key := row.key(species, name)) is not None and (key in values) == (operator == "IN")
    value = _value(name, asked.get("value"))
    if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
        words = re.compile(re.escape(str(value)).replace(r"\*", r"\w*"))
        return lambda row: bool(words.search(str(row.key(species, name) or ""))) == (operator == "CONTAINS_TOKEN")
    if operator == "NEQ":
        return lambda row: (key := row.key(species, name)) is not None and key != value
    if operator in _RANGES:
        low = value
        high = _value(name, asked.get("highValue")) if operator == "BETWEEN" else value
        return lambda row: _compared(row.key(species, name), operator, low, high)
    raise Invalid(f"there is no operator {operator!r}")


def _compared(key: Any, operator: str, low: Any, high: Any) -> bool:
    if key is None:
        return False
    found: bool = {
        "EQ": key == low,
        "GT": key > low,
        "GTE": key >= low,
        "LT": key < low,
        "LTE": key <= low,
        "BETWEEN": low <= key <= high,
    }[operator]
    return found


def _ordered(portal: Portal, kind: str, numbers: set[int] | None, order: str) -> list[Row]:
    rows: Iterable[Row] = portal.indexed[kind].values()
    if is_sized(order):
        ordered = portal.sorted_by(kind, order)[1]
        if len(ordered) == len(portal.indexed[kind]):
            return [row for row in ordered if numbers is None or row.number in numbers]
    return _in_order(SPECIES[kind], (row for row in rows if numbers is None or row.number in numbers), order)


def _in_order(species: Species, rows: Iterable[Row], order: str) -> list[Row]:
    """Sorted by a property; rows without it come last."""

    def place(row: Row) -> tuple[bool, Any, int]:
        key = row.key(species, order)
        return key is None, 0 if key is None else key, row.number

    return sorted(rows, key=place)


def _with_words(species: Species, rows: list[Row], query: str) -> list[Row]:
    """Rows that have each word of the query in what is searched by default, at least as the beginning of a word."""
    wanted = [word.lower() for word in _WORD.findall(query)]
    found = []
    for row in rows:
        words = _WORD.findall(" ".join(row.properties.get(name, "") for name in species.searched).lower())
        if wanted and all(any(word.startswith(want) for word in words) for want in wanted):
            found.append(row)
    return found
