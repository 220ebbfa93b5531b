"""Queries over the records of an organisation: which rows, in which order, with which fields."""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sophiactl.testing.vendors.salesforce_org import stamp
from sophiactl.testing.vendors.salesforce_soql import Comparison, Junction, Query, SoqlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sophiactl.testing.vendors.salesforce_org import Org, Row
    from sophiactl.testing.vendors.salesforce_soql import Condition, Literal, Ordering

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_REFERENCE = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?")
_TEMPORAL = {"datetime": "dateTime", "date": "date"}


class Rows:
    """Reads an organisation for one user of the API."""

    def __init__(self, org: Org, version: str) -> None:
        self._org = org
        self._version = version

    def name_of(self, name: str) -> str:
        """An object's name with its own capitals. Raises `SoqlError` when there is none."""
        found = next((known for known in self._org.fields if known.lower() == name.lower()), None)
        if found is None:
            raise SoqlError(
                "INVALID_TYPE",
                f"\nSELECT FROM {name}\n^\nERROR at Row:1:Column:1\nsObject type '{name}' is not supported. If you are "
                "attempting to use a custom object, be sure to append the '__c' after the entity name.",
            )
        return found

    def matching(self, query: Query, *, deleted: bool) -> list[Row]:
        """The rows of a query, in its order. Raises `SoqlError`."""
        name = self.name_of(query.name)
        test = self.test(name, query.where) if query.where else None
        rows = [row for row in self._candidates(name, query.where) if deleted or not row["IsDeleted"]]
        if test is not None:
            rows = [row for row in rows if test(row)]
        for ordering in reversed(query.order):
            self._order(name, rows, ordering)
        end = None if query.limit is None else query.offset + query.limit
        return rows[query.offset : end]

    def _order(self, name: str, rows: list[Row], ordering: Ordering) -> None:
        get, kind = self._getter(name, ordering.field)

        def key(row: Row) -> tuple[bool, Any]:
            found = get(row)
            last = ordering.nulls_last != ordering.descending
            return (found is None) == last, _comparable(found, kind) if found is not None else ""

        rows.sort(key=key, reverse=ordering.descending)

    def shown(self, name: str, fields: Sequence[str]) -> Callable[[Row], dict[str, Any]]:
        """How a row is written with these fields. Raises `SoqlError`."""
        name = self.name_of(name)
        columns = [(self._steps(name, field), self._getter(name, field)[0]) for field in fields]

        def record(row: Row) -> dict[str, Any]:
            found: dict[str, Any] = {"attributes": self.attributes(name, row)}
            for steps, get in columns:
                self._put(found, row, steps, get(row))
            return found

        return record

    def attributes(self, name: str, row: Row) -> dict[str, str]:
        """What every record begins with."""
        return {"type": name, "url": f"/services/data/{self._version}/sobjects/{name}/{row['Id']}"}

    def _put(self, found: dict[str, Any], row: Row, steps: Sequence[tuple[str, str]], value: Any) -> None:
        for step, reference in steps[:-1]:
            other = self._org.found(row.get(reference))
            if other is None:
                found[step] = None
                return
            own = {"attributes": self.attributes(self._org.object_of(other["Id"]), other)}
            found, row = found.setdefault(step, own), other
        found[steps[-1][0]] = value

    def _steps(self, name: str, field: str) -> list[tuple[str, str]]:
        """The names on a path, with the field that holds the reference of each but the last."""
        *through, last = field.split(".")
        steps = []
        for relation in through:
            reference, name = self._relation(name, relation, field)
            step = f"{reference.removesuffix('__c')}__r" if reference.endswith("__c") else reference.removesuffix("Id")
            steps.append((step, reference))
        return [*steps, (self._field(name, last), "")]

    def _relation(self, name: str, relation: str, field: str) -> tuple[str, str]:
        wanted = f"{relation[:-3]}__c" if relation.lower().endswith("__r") else f"{relation}Id"
        for known, kind in self._org.fields.get(name, {}).items():
            if known.lower() == wanted.lower() and (kind in self._org.fields or kind == "*"):
                return known, "Account" if kind == "*" else kind
        raise SoqlError(
            "INVALID_FIELD",
            f"\nSELECT {field}\n^\nERROR at Row:1:Column:8\nDidn't understand relationship '{relation}' in field path. "
            "If you are attempting to use a custom relationship, be sure to append the '__r' after the custom "
            "relationship name. Please reference your WSDL or the describe call for the appropriate names.",
        )

    def _field(self, name: str, field: str) -> str:
        known = next((one for one in self._org.fields[name] if one.lower() == field.lower()), None)
        if known is None:
            raise SoqlError(
                "INVALID_FIELD",
                f"\nSELECT Id, {field}\n^\nERROR at Row:1:Column:12\nNo such column '{field}' on entity '{name}'. If "
                "you are attempting to use a custom field, be sure to append the '__c' after the custom field name. "
                "Please reference your WSDL or the describe call for the appropriate names.",
            )
        return known

    def _getter(self, name: str, field: str) -> tuple[Callable[[Row], Any], str]:
        """What reads a field of a row, and the field's type."""
        steps = self._steps(name, field)
        last = steps[-1][0]
        for relation in field.split(".")[:-1]:
            _, name = self._relation(name, relation, field)
        kind = self._org.fields[name][last]
        if len(steps) == 1:
            return (lambda row: row.get(last)), kind

        def get(row: Row) -> Any:
            found: Row | None = row
            for _, reference in steps[:-1]:
                found = self._org.found(found.get(reference)) if found else None
            return found.get(last) if found else None

        return get, kind

    def _candidates(self, name: str, where: Condition | None) -> Iterable[Row]:
        """All rows of an object; those of a list of ids alone, where that is asked for."""
        rows = self._org.rows[name]
        parts = where.parts if isinstance(where, Junction) and where.word == "AND" else (where,)
        for part in parts:
            if isinstance(part, Comparison) and part.field.lower() == "id" and part.operator in ("IN", "="):
                wanted = {value.value[:15] for value in part.values}
                return [row for record, row in rows.items() if record[:15] in wanted]
        return rows.values()

    def test(self, name: str, where: Condition) -> Callable[[Row], bool]:
        """Whether a row fulfils a condition. Raises `SoqlError`."""
        if isinstance(where, Comparison):
            return self._comparison(name, where)
        tests = [self.test(name, part) for part in where.parts]
        if where.word == "NOT":
            return lambda row: not tests[0](row)
        if where.word == "AND":
            return lambda row: all(test(row) for test in tests)
        return lambda row: any(test(row) for test in tests)

    def _comparison(self, name: str, where: Comparison) -> Callable[[Row], bool]:
        get, kind = self._getter(name, where.field)
        if kind in ("textarea", "html", "address"):
            said = f"field '{where.field}' can not be filtered in a query call"
            raise SoqlError("INVALID_FIELD", f"\n{where.field}\n^\nERROR at Row:1:Column:1\n{said}")
        wanted = [_meant(value, kind, where.field) for value in where.values]
        first = wanted[0]
        if where.operator == "LIKE":
            pattern = _pattern(str(first))
            return lambda row: bool(pattern.fullmatch(str(get(row) or "")))
        if where.operator in ("=", "!=", "IN", "NOT IN"):
            among, yes = set(wanted), where.operator in ("=", "IN")
            return lambda row: (_comparable(get(row), kind) in among) is yes
        compare = _COMPARE[where.operator]

        def test(row: Row) -> bool:
            found = get(row)
            return found is not None and first is not None and compare(_comparable(found, kind), first)

        return test


def _comparable(value: Any, kind: str) -> Any:
    """A value as it is compared: text whatever its capitals, ids by their first 15 signs."""
    if isinstance(value, str):
        is_id = kind in {"id", "*"} or (kind[:1].isupper() and _REFERENCE.fullmatch(value))
        return value[:15] if is_id else value if kind in _TEMPORAL else value.lower()
    return value


def _meant(literal: Literal, kind: str, field: str) -> Any:
    """A literal as a value of a field's type. Raises `SoqlError` when it is none."""
    if literal.kind == "word":
        words: dict[str, Any] = {"NULL": None, "TRUE": True, "FALSE": False}
        if literal.value.upper() in words:
            return words[literal.value.upper()]
        if literal.value.upper() == "TODAY" and kind in _TEMPORAL:
            today = datetime.now(UTC).date().isoformat()
            return today if kind == "date" else stamp(today)
        raise SoqlError(
            "MALFORMED_QUERY", f"\n{field}\n^\nERROR at Row:1:Column:1\nBind variables only allowed in Apex code"
        )
    if kind in _TEMPORAL and literal.kind != kind:
        quotes = " and should not be enclosed in quotes" if literal.kind == "text" else ""
        raise SoqlError(
            "INVALID_FIELD",
            f"\n{field}\n^\nERROR at Row:1:Column:1\nvalue of filter criterion for field '{field}' must be of type "
            f"{_TEMPORAL[kind]}{quotes}",
        )
    if literal.kind == "datetime":
        return stamp(literal.value)
    if literal.kind == "number":
        return float(literal.value)
    if kind == "id" and not _REFERENCE.fullmatch(literal.value):
        raise SoqlError(
            "INVALID_QUERY_FILTER_OPERATOR", f"\n{field}\n^\nERROR at Row:1:Column:1\ninvalid ID field: {literal.value}"
        )
    return _comparable(literal.value, kind)


def _pattern(like: str) -> re.Pattern[str]:
    """The pattern of a LIKE: `%` for any signs, `_` for one, with a backslash for themselves."""
    parts = re.findall(r"\\[_%]|%|_|[^\\_%]+|\\", like)
    signs = {"%": ".*", "_": "."}
    made = "".join(
        signs.get(part) or re.escape(part[1:] if len(part) == 2 and part[0] == "\\" else part) for part in parts
    )
    return re.compile(made, re.IGNORECASE | re.DOTALL)
