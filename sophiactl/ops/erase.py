"""`memory erase`: memories that must be gone for good, everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import SophiaError
from sophiactl.memory import audit
from sophiactl.memory.erase import EraseReport
from sophiactl.memory.erase import erase as run_erase
from sophiactl.ops.prune import folder_of
from sophiactl.ops.prune_apply import alone
from sophiactl.ops.queries import forget_queries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sophiactl.wiring import Wiring


class Erasure(msgspec.Struct, frozen=True):
    """What was erased; `runs` of the ledger had found it and were cleared. `notes` say what is left to do by hand."""

    report: EraseReport
    runs: int
    notes: tuple[str, ...] = ()


def erase(ids: Iterable[str], wiring: Wiring, *, reason: str = "erased on request", wait: float = 0.0) -> Erasure:
    """Erase memories from the collection, the archives, the plans and the ledger; only id, hash and time stay.

    Raises `Locked` when another run is at work, `StoreError`, `DiskFull`; doing it again goes on.
    """
    folder = folder_of(wiring)
    notes: tuple[str, ...] = ()
    with alone(wiring, wait):
        report = run_erase(ids, lambda: wiring.store(purpose="memory erase"), folder, clock=wiring.clock, reason=reason)
        if report.ids and not _scrubbed(wiring):
            notes = ("the server holds deleted data until it rebuilds its segments (Qdrant: once a fifth was deleted)",)
        if report.ids:
            counts = {"erased": len(report.ids), "archives": report.from_archives}
            audit.append(folder.log, "erase", clock=wiring.clock, counts=counts)
        try:
            runs = forget_queries(wiring, report.ids) if report.ids else 0
        except SophiaError as error:
            runs, notes = 0, (*notes, f"the ledger of runs may still name it: {error.message}; erase it again")
    return Erasure(report, runs, notes)


def _scrubbed(wiring: Wiring) -> bool:
    """Whether nothing of what was erased is left in the files of the engine."""
    with wiring.store(purpose="memory erase") as store:
        return store.scrub()
