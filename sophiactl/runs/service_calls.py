"""Calls to business services, many at a time: how many of them are kept, and what they come to."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from sophiactl.runs.base import ServiceCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST = 10_000
"""Calls of one run that have a row of their own."""
OK = "ok"


class ServiceSum(msgspec.Struct, frozen=True):
    """One service: how many calls there were and how they ended. `errors` counts the failed ones by their codes."""

    service: str
    calls: int
    failed: int
    retries: int
    waited: float
    seconds: float
    errors: dict[str, int]


def kept(calls: Sequence[ServiceCall]) -> tuple[ServiceCall, ...]:
    """The calls as they are recorded: those beyond `MOST` as sums, so that no total is wrong."""
    return (*calls[:MOST], *summed(calls[MOST:]))


def summed(calls: Iterable[ServiceCall]) -> tuple[ServiceCall, ...]:
    """One row for each service and outcome, in that order."""
    groups: dict[tuple[str, str], list[ServiceCall]] = {}
    for call in calls:
        groups.setdefault((call.service, call.outcome), []).append(call)
    return tuple(
        ServiceCall(
            service,
            outcome,
            calls=sum(call.calls for call in group),
            seconds=math.fsum(call.seconds for call in group),
            waited=math.fsum(call.waited for call in group),
            retries=sum(call.retries for call in group),
        )
        for (service, outcome), group in sorted(groups.items())
    )


def by_service(calls: Iterable[ServiceCall]) -> tuple[ServiceSum, ...]:
    """What each service was asked, in the order of their names."""
    groups: dict[str, list[ServiceCall]] = {}
    for row in summed(calls):
        groups.setdefault(row.service, []).append(row)
    return tuple(_sum(service, group) for service, group in groups.items())


def failures(calls: Iterable[ServiceCall]) -> list[tuple[ServiceCall, int]]:
    """Each call that failed, without its times, and how often it did so; the most frequent first."""
    counts: Counter[ServiceCall] = Counter()
    for call in calls:
        if call.outcome != OK and call.path:
            counts[ServiceCall(call.service, call.outcome, call.method, call.path)] += call.calls
    return counts.most_common()


def _sum(service: str, rows: Sequence[ServiceCall]) -> ServiceSum:
    errors = Counter({row.outcome: row.calls for row in rows if row.outcome != OK})
    return ServiceSum(
        service,
        calls=sum(row.calls for row in rows),
        failed=errors.total(),
        retries=sum(row.retries for row in rows),
        waited=math.fsum(row.waited for row in rows),
        seconds=math.fsum(row.seconds for row in rows),
        errors=dict(errors.most_common()),
    )
