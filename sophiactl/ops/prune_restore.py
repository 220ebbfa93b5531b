"""`prune restore` and `prune log`: what was taken away comes back, and who did what."""

from __future__ import annotations

import time
from collections import deque
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import InputError, NotFound, UsageError
from sophiactl.memory import audit
from sophiactl.memory.audit import Entry
from sophiactl.memory.journal import read_progress
from sophiactl.memory.plan_file import read_header
from sophiactl.memory.restore import RestoreReport
from sophiactl.memory.restore import restore as run_restore
from sophiactl.ops.prune import folder_of
from sophiactl.ops.prune_apply import alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sophiactl.memory.prune_folder import PruneFolder
    from sophiactl.wiring import Wiring


class PlanState(msgspec.Struct, frozen=True):
    """A plan and what became of it: `planned`, `begun`, `applied` or `undone`."""

    id: str
    created: str
    actions: int
    state: str


class LogReport(msgspec.Struct, frozen=True):
    """The last entries of the log, newest first, of `total`; `broken` is the first not to be believed."""

    entries: tuple[Entry, ...]
    total: int
    broken: int | None
    why: str | None
    plans: tuple[PlanState, ...]


def restore(
    name: str | None,
    wiring: Wiring,
    *,
    ids: Sequence[str] = (),
    lines: Iterable[bytes] | None = None,
    since: str | None = None,
    wait: float = 0.0,
    progress: Callable[[int], None] = lambda _: None,
) -> RestoreReport:
    """Bring back what a plan took away, or these ids (those of `lines` too, one a line), or all since a time.

    Raises `UsageError`, `NotFound`, `Locked` when another run is at work, and what the store raises.
    """
    folder = folder_of(wiring)
    wanted = chain(ids, ids_of(lines)) if ids or lines is not None else None
    with alone(wiring, wait):
        plan = None if name is None else _plan_id(name, folder)
        report = run_restore(
            folder,
            lambda: wiring.store(purpose="prune restore"),
            clock=wiring.clock,
            progress=progress,
            plan_id=plan,
            ids=wanted,
            since=since,
            wait=time.sleep,
        )
        if plan is not None and not (report.restored or report.existing or report.cooled_back):
            _tell_why(plan, folder)
        if report.restored or report.cooled_back:
            counts = {"restored": report.restored, "cooled_back": report.cooled_back}
            audit.append(folder.log, "restore", clock=wiring.clock, plan=plan, counts=counts)
    return report


def _tell_why(plan: str, folder: PruneFolder) -> None:
    """Raise `NotFound` for a plan whose archive is gone."""
    if read_progress(folder.journal(plan)).archived and not folder.archive(plan).exists():
        raise NotFound(
            f"the archive of plan {plan} is gone: its time was over",
            hint="archives are kept for memory.prune.archive_days; what they held is not to be had any more",
        )


def ids_of(lines: Iterable[bytes] | None) -> Iterator[str]:
    """Ids of a file, one a line. Raises `InputError` for what is no text."""
    for number, line in enumerate(lines or (), 1):
        try:
            name = line.decode().strip("\r\n")
        except UnicodeDecodeError:
            raise InputError(f"line {number} of the ids is no UTF-8") from None
        if name.strip():
            yield name.strip() if number > 1 else name.removeprefix("\ufeff").strip()


def _plan_id(name: str, folder: PruneFolder) -> str:
    known = sorted({*folder.all_archives(), *folder.all_journals()})
    given = Path(name).expanduser()
    wanted = read_header(given).id if given.is_file() else name
    like = [plan for plan in known if plan.startswith(wanted)] if wanted else []
    if wanted in known or len(like) == 1:
        return wanted if wanted in known else like[0]
    if like:
        raise UsageError(f"{len(like)} plans begin with {name!r}: {', '.join(like[:3])} …", hint="give more of the id")
    raise NotFound(f"no plan {name!r} was ever applied here", hint="see which were: sophiactl prune log")


def log(wiring: Wiring, *, limit: int = 20) -> LogReport:
    """The last entries of the log and the plans there are; the whole chain is checked. Raises `StoreError`."""
    folder = folder_of(wiring)
    verdict = audit.verify(folder.log)
    last = deque(audit.entries(folder.log), maxlen=limit)
    plans = tuple(_state(name, folder) for name in folder.all_plans())
    latest = tuple(sorted(plans, key=lambda plan: (plan.created, plan.id), reverse=True)[:limit])
    return LogReport(tuple(reversed(last)), verdict.entries, verdict.broken, verdict.why, latest)


def _state(name: str, folder: PruneFolder) -> PlanState:
    try:
        header = read_header(folder.plan(name))
    except UsageError:
        return PlanState(name, "", 0, "damaged")
    past = read_progress(folder.journal(name))
    state = "undone" if past.undone else "applied" if past.finished else "begun" if past.sha else "planned"
    return PlanState(name, header.created, sum(header.counts.values()), state)
