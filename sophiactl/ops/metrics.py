"""`runs metrics`: what the ledger adds up to, as samples for a collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.runs.exposition import Sample

if TYPE_CHECKING:
    from sophiactl.runs.base import RunLedger

# What the ledger calls it: the metric's name, and what it says. All of them only ever grow.
_COUNTERS = {
    "requests": ("sophia_requests_total", "Runs in the ledger, by command and by `ok` or the code of their error."),
    "decisions": ("sophia_routing_decisions_total", "Prompts that were routed, by tier and model."),
    "cost": ("sophia_cost_total", "US dollars that calls to models have cost; calls of unknown cost are not in it."),
    "service_calls": (
        "sophia_business_service_calls_total",
        "Calls to business services, by `ok` or the code of their error.",
    ),
    "service_seconds": (
        "sophia_business_service_call_seconds_total",
        "Seconds that calls to business services took, with all tries and waits.",
    ),
    "service_waited": (
        "sophia_business_service_wait_seconds_total",
        "Seconds of those that went by in waiting for limits of the services and before another try.",
    ),
    "service_retries": (
        "sophia_business_service_retries_total",
        "Tries of calls to business services after the first one.",
    ),
}


def metrics(ledger: RunLedger) -> tuple[Sample, ...]:
    """Counters over all runs ever recorded, by the names that dashboards know."""
    return tuple(
        Sample(name, "counter", text, total.labels, total.value)
        for total in ledger.totals()
        for name, text in (_COUNTERS[total.name],)
    )
