"""`runs` and what `route stats` and `route feedback` ask: the ledger looked at, searched, judged and cleared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.errors import NotFound, UsageError
from sophiactl.runs.base import Run, RunFilter
from sophiactl.runs.stats import RouteStats, route_stats

if TYPE_CHECKING:
    from sophiactl.runs.base import RunLedger, RunsConfig


NUMBERS = frozenset({"vector", "terms"})
"""Parts of the details of a question that say nothing to a person."""


class SearchResult(msgspec.Struct, frozen=True):
    """Runs whose kept words hold a text; `kept` says whether the settings keep words at all."""

    runs: tuple[Run, ...]
    kept: bool


class Forgotten(msgspec.Struct, frozen=True):
    """Runs older than `before` (ISO 8601, UTC): gone, or on a dry run only counted."""

    before: str
    runs: int
    dry_run: bool


def listing(wanted: RunFilter, ledger: RunLedger, *, limit: int = 20) -> list[Run]:
    """Runs that match, newest first."""
    return ledger.runs(wanted, limit=limit)


def show(run_id: str, ledger: RunLedger) -> Run:
    """One run by its id or the beginning of it. Raises `NotFound`, and `UsageError` when several begin so."""
    run = ledger.get(run_id)
    if run is None:
        raise NotFound(f"there is no run {run_id!r}", hint="sophiactl runs list")
    return run


def search(text: str, wanted: RunFilter, ledger: RunLedger, config: RunsConfig, *, limit: int = 20) -> SearchResult:
    """Runs whose prompt or answer holds the text in any case, newest first. Raises `UsageError` for an empty text."""
    if not text.strip():
        raise UsageError("the text to look for is empty", hint='sophiactl runs search "renewal"')
    sought = msgspec.structs.replace(wanted, text=text.strip())
    return SearchResult(tuple(ledger.runs(sought, limit=limit)), config.store_text)


def forget(before: str, ledger: RunLedger, *, dry_run: bool = True) -> Forgotten:
    """Delete runs older than `before`; a dry run only counts them."""
    count = ledger.count(RunFilter(until=before)) if dry_run else ledger.forget(before)
    return Forgotten(before, count, dry_run)


def stats(wanted: RunFilter, ledger: RunLedger) -> RouteStats:
    """What the matching runs come to, read a page at a time."""
    return route_stats(ledger.scan(wanted))


def feedback(run_id: str, verdict: str, ledger: RunLedger) -> Run:
    """Note `good` or `bad` on a run. Raises `NotFound` and `UsageError`."""
    return ledger.feedback(run_id, verdict)


def as_data(run: Run) -> dict[str, Any]:
    """Every field of a run for `--json`: what is unknown stands there as null, and is never left out.

    But for the numbers of a question (its vector and term ids), which are for `prune verify` alone.
    """
    fields = msgspec.structs.asdict(run)
    return {
        **fields,
        "details": {name: value for name, value in run.details.items() if name not in NUMBERS},
        "calls": [msgspec.structs.asdict(call) for call in run.calls],
        "service_calls": [msgspec.structs.asdict(call) for call in run.service_calls],
    }
