"""What the runs come to: cost, saving, shares and latencies."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sophiactl.runs.base import Run

PREMIUM_ASSUMPTION = "the same tokens, all on the premium model, at its list price"
_TIERS = ("simple", "balanced", "premium")
_OTHERS = frozenset({"connectors", "embed", "memory", "prune", "search"})
"""First words of commands that have runs and ask no model for an answer."""


class RouteStats(msgspec.Struct, frozen=True):
    """Figures of the runs that were routed. Money is in US dollars, `latency` in seconds, `decision` in milliseconds.

    `executed` runs called a model; the other `requests` only decided. `cost` is the sum of what is known, and the cost
    of `cost_unknown` executed runs is not in it. Saving is about the `compared` runs alone, of which both the cost and
    the cost on the premium model are known: `saved` is `premium_cost` less `compared_cost`, `saved_share` its part of
    `premium_cost`, both None when there is nothing to compare. Shares are parts of the runs that have a tier. Counts
    are in descending order. Latencies are those of successful calls, by nearest rank; None when there are none.
    """

    requests: int
    executed: int
    cost: float
    cost_unknown: int
    compared: int
    compared_cost: float
    premium_cost: float
    saved: float | None
    saved_share: float | None
    assumption: str
    tiers: dict[str, int]
    tier_share: dict[str, float]
    models: dict[str, int]
    providers: dict[str, int]
    escalated: int
    fallbacks: int
    errors: dict[str, int]
    call_errors: dict[str, int]
    feedback_good: int
    feedback_bad: int
    calls: int
    latency_p50: float | None
    latency_p95: float | None
    decision_p50: float | None
    decision_p95: float | None


def route_stats(runs: Iterable[Run]) -> RouteStats:
    """The figures of these runs, in bounded memory but for a few numbers a run; their order does not matter."""
    tally = _Tally()
    for run in runs:
        if run.command.partition(" ")[0] not in _OTHERS and not _is_extract(run):
            tally.add(run)
    return tally.result()


def _is_extract(run: Run) -> bool:
    """Whether an answer was made without a model: nothing was routed."""
    return run.command == "ask" and run.tier is None and not run.calls


class _Tally:
    """Sums are kept apart until the end and added exactly, so that every order of the runs gives the same figures."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.groups: dict[str, Counter[str]] = {
            name: Counter() for name in ("tier", "model", "provider", "error", "call error")
        }
        self.numbers: dict[str, array[float]] = {
            name: array("d") for name in ("cost", "compared", "premium", "latency", "decision")
        }

    def add(self, run: Run) -> None:
        """Take a run in."""
        named = (("tier", run.tier), ("model", run.model), ("provider", run.provider), ("error", run.error))
        for group, value in named:
            if value is not None:
                self.groups[group][value] += 1
        flags = (("requests", True), ("executed", bool(run.calls)), ("escalated", run.escalated))
        self.counts.update(name for name, holds in flags if holds)
        self.counts["fallbacks"] += run.fallbacks
        self.counts["calls"] += len(run.calls)
        if run.feedback is not None:
            self.counts[run.feedback] += 1
        if run.decision_ms is not None:
            self.numbers["decision"].append(run.decision_ms)
        self._add_money(run)
        for call in run.calls:
            if call.error is not None:
                self.groups["call error"][call.error] += 1
            elif call.latency is not None:
                self.numbers["latency"].append(call.latency)

    def _add_money(self, run: Run) -> None:
        if run.cost is None:
            # A route that called nothing has no cost to be unknown; the calls that are priced did cost their price.
            self.counts["unknown"] += bool(run.calls)
            self.numbers["cost"].extend(call.cost for call in run.calls if call.cost is not None)
            return
        self.numbers["cost"].append(run.cost)
        if run.premium_cost is not None:
            self.numbers["compared"].append(run.cost)
            self.numbers["premium"].append(run.premium_cost)

    def result(self) -> RouteStats:
        """The figures so far."""
        counts, groups, numbers = self.counts, self.groups, self.numbers
        premium, compared = math.fsum(numbers["premium"]), math.fsum(numbers["compared"])
        tiers = _tiers(groups["tier"])
        tiered = sum(tiers.values())
        return RouteStats(
            requests=counts["requests"],
            executed=counts["executed"],
            cost=math.fsum(numbers["cost"]),
            cost_unknown=counts["unknown"],
            compared=len(numbers["premium"]),
            compared_cost=compared,
            premium_cost=premium,
            saved=premium - compared if numbers["premium"] else None,
            saved_share=1 - compared / premium if premium > 0 else None,
            assumption=PREMIUM_ASSUMPTION,
            tiers=tiers,
            tier_share={name: count / tiered if tiered else 0.0 for name, count in tiers.items()},
            models=_descending(groups["model"]),
            providers=_descending(groups["provider"]),
            escalated=counts["escalated"],
            fallbacks=counts["fallbacks"],
            errors=_descending(groups["error"]),
            call_errors=_descending(groups["call error"]),
            feedback_good=counts["good"],
            feedback_bad=counts["bad"],
            calls=counts["calls"],
            latency_p50=percentile(numbers["latency"], 50),
            latency_p95=percentile(numbers["latency"], 95),
            decision_p50=percentile(numbers["decision"], 50),
            decision_p95=percentile(numbers["decision"], 95),
        )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank); None without values."""
    if not values:
        return None
    return sorted(values)[max(math.ceil(percent / 100 * len(values)), 1) - 1]


def _descending(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _tiers(counts: Counter[str]) -> dict[str, int]:
    """The three tiers in their order, though nothing went there, and then any other."""
    return {name: counts[name] for name in _TIERS} | _descending(counts)
