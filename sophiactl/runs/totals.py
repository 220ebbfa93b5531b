"""What all runs add up to, summed where they are kept. Runs that are forgotten stay in the totals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from sophiactl.runs.base import Total
from sophiactl.runs.schema import DROP_OLD, OLD, added

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.runs.tables import Session


class Sum(NamedTuple):
    """A query for a value by one or two labels; `key` is the column that says of which run a row is.

    Values are added as whole numbers of `parts` of one: a sum of fractions changes in its last digits with the order of
    adding, and a counter that seems to fall by the last digit is read as one that began anew.
    """

    name: str
    labels: tuple[str, ...]
    columns: tuple[str, str]
    value: str
    rows: str
    key: str
    parts: int = 1

    def query(self, among: str = "") -> str:
        """The groups and their values; `among` narrows the rows down."""
        first, second = self.columns
        return (
            f"SELECT {first} AS label_1, {second} AS label_2, {self.value} AS total"  # noqa: S608 - names of our own
            f" FROM {self.rows}{among} GROUP BY 1, 2"
        )


_COUNT = "count(*)"
_MICRO, _NANO = 10**6, 10**9


def _whole(column: str, parts: int) -> str:
    return f"sum(round(CAST({column} AS DOUBLE PRECISION) * {parts}))"


_CALLS = ("service_calls WHERE 1 = 1", "run_id")
_DOLLARS = _whole("cost", _NANO)
_PRICED = "SELECT 1 FROM calls WHERE calls.run_id = runs.id AND calls.cost IS NOT NULL"
_PLAIN = f"runs WHERE cost IS NOT NULL AND NOT EXISTS ({_PRICED})"
# The cost of a run is that of its calls. One with a cost and no call of a known price counts for its own model.
SUMS = (
    Sum("requests", ("command", "status"), ("command", "coalesce(error, 'ok')"), _COUNT, "runs WHERE 1 = 1", "id"),
    Sum("decisions", ("tier", "model"), ("tier", "coalesce(model, '')"), _COUNT, "runs WHERE tier IS NOT NULL", "id"),
    Sum("cost", ("model",), ("model", "''"), _DOLLARS, "calls WHERE cost IS NOT NULL", "run_id", _NANO),
    Sum("cost", ("model",), ("coalesce(model, '')", "''"), _DOLLARS, _PLAIN, "id", _NANO),
    Sum("service_calls", ("service", "outcome"), ("service", "outcome"), added("calls"), *_CALLS),
    Sum("service_seconds", ("service",), ("service", "''"), _whole("seconds", _MICRO), *_CALLS, _MICRO),
    Sum("service_waited", ("service",), ("service", "''"), _whole("waited", _MICRO), *_CALLS, _MICRO),
    Sum("service_retries", ("service",), ("service", "''"), added("retries"), *_CALLS),
)
_BY_NAME = {item.name: item for item in SUMS}
_PAST = "SELECT name, label_1, label_2, total FROM past_totals"
_ONE_AT_A_TIME = "UPDATE past_totals SET total = 0 WHERE name = ''"


def totals(session: Session) -> list[Total]:
    """What there is and what there was, in the order of names and labels."""
    found: dict[tuple[str, ...], list[float]] = {}
    for item in SUMS:
        for first, second, value in session.rows(item.query(), ()):
            found.setdefault((item.name, first, second), []).append(float(value))
    for name, first, second, value in session.rows(_PAST, ()):
        if name in _BY_NAME:
            found.setdefault((name, first, second), []).append(value)
    places = {name: place for place, name in enumerate(_BY_NAME)}
    ordered = sorted(found.items(), key=lambda item: (places[item[0][0]], item[0]))
    return [_total(_BY_NAME[name], labels, math.fsum(values)) for (name, *labels), values in ordered]


def forget(session: Session, before: str, most: int) -> int:
    """Delete at most so many runs from before that time and add them to what there was; how many they were."""
    session.run(_ONE_AT_A_TIME, ())
    for item in SUMS:
        session.run(_remember(item), (item.name, before, most))
    return session.run(DROP_OLD, (before, most))


def _total(item: Sum, labels: Sequence[str], value: float) -> Total:
    return Total(item.name, dict(zip(item.labels, labels, strict=False)), value / item.parts)


def _remember(item: Sum) -> str:
    query = item.query(f" AND {item.key} IN ({OLD})")
    return (
        "INSERT INTO past_totals (name, label_1, label_2, total)"  # noqa: S608 - names of our own
        f" SELECT CAST(? AS TEXT), label_1, label_2, total FROM ({query}) AS old WHERE 1 = 1"
        " ON CONFLICT (name, label_1, label_2) DO UPDATE SET total = past_totals.total + excluded.total"
    )
