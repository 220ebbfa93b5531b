"""`connectors sync`: what changed in the services, into the memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from sophiactl.connectors.base import Cost, Skipped
from sophiactl.memory.base import Equals, Where
from sophiactl.model import Gap
from sophiactl.ops.connectors import gap, wanted
from sophiactl.ops.sync_job import SyncJob, SyncPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sophiactl.connectors.state import SyncState
    from sophiactl.ops.sync_job import Progress, Tally
    from sophiactl.wiring import Wiring


class ServiceSync(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was done with one service. `read` counts items as they came, those of the overlap among them.

    `skipped` counts what exists and was not read, by reason; `named` are the first hundred. `done`: everything up to
    now was read; if not, the next run goes on from there.
    """

    service: str
    read: int
    new: int
    changed: int
    unchanged: int
    removed: int
    passages: int
    skipped: dict[str, int]
    named: tuple[Skipped, ...]
    done: bool
    requests: int
    seconds: float
    cost: Cost | None = None
    error: Gap | None = None
    exit_code: int = 0


class SyncReport(msgspec.Struct, frozen=True):
    """All services, in their order."""

    collection: str
    dry_run: bool
    services: tuple[ServiceSync, ...]
    seconds: float


def sync(services: Sequence[str], plan: SyncPlan, wiring: Wiring, progress: Progress) -> SyncReport:
    """Bring the memory in line with the services named, else with those configured.

    Raises `UsageError`, `ConfigError` when none is configured, `Locked` when another job works on the collection,
    `StoreError`, `ModelError` and `DiskFull`. A service that fails is told in its row.
    """
    from sophiactl import web

    began = time.monotonic()
    names = wanted(services, wiring)
    with wiring.job_lock("connectors sync"), wiring.connectors.state(wiring.collection) as state:
        _forget_lost(wiring, state)
        tallies = web.run(SyncJob(wiring, state, plan, progress).run(names))
    calls = wiring.connectors.calls
    requests = {name: sum(1 + row.retries for row in calls if row.service == name) for name in names}
    rows = tuple(_row(tally, requests[tally.service]) for tally in tallies)
    return SyncReport(wiring.collection, plan.dry_run, rows, round(time.monotonic() - began, 3))


def _forget_lost(wiring: Wiring, state: SyncState) -> None:
    """Drop what the state says of a collection that was removed or made anew, by others too."""
    from sophiactl.errors import NotFound

    counts = state.counts()
    try:
        with wiring.store(purpose="connectors sync") as store:
            empty = store.count() == 0
            lost = any(
                passages and not store.count(Where(all=(Equals("source", service),)))
                for service, (_, passages) in counts.items()
            )
    except NotFound:
        empty = True
    if empty or lost:
        state.reset()


def _row(tally: Tally, requests: int) -> ServiceSync:
    return ServiceSync(
        service=tally.service,
        read=tally.read,
        new=tally.new,
        changed=tally.changed,
        unchanged=tally.unchanged,
        removed=tally.removed,
        passages=tally.passages,
        skipped=dict(tally.skipped),
        named=tuple(tally.named),
        done=tally.done,
        requests=requests,
        seconds=tally.seconds,
        cost=tally.cost,
        error=None if tally.error is None else gap(tally.service, tally.error),
        exit_code=0 if tally.error is None else int(tally.error.exit_code),
    )
