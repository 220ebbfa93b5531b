"""`prune apply` and `prune --apply`: exactly a plan, once past questions were seen to find enough without it."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import SophiaError, UsageError
from sophiactl.locks import FileLock
from sophiactl.memory import audit
from sophiactl.memory.apply import ApplyReport
from sophiactl.memory.apply import apply as apply_plan
from sophiactl.memory.durable import removed, replaced
from sophiactl.memory.expire import expire_archives
from sophiactl.memory.journal import read_progress
from sophiactl.memory.moments import seconds_of
from sophiactl.memory.plan_file import Header, check_plan, read_header
from sophiactl.memory.retention_protect import protections
from sophiactl.memory.retention_rows import row_of
from sophiactl.ops.prune import (
    PlanRequest,
    VerifyReport,
    checked_plan,
    find_plan,
    folder_of,
    plan,
    replayed,
)
from sophiactl.runs.base import Run
from sophiactl.runs.keeping import keep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from sophiactl.memory.base import Store
    from sophiactl.memory.prune_folder import PruneFolder
    from sophiactl.model import Record
    from sophiactl.wiring import Wiring

LEASE_SECONDS = 120.0


class ApplyOptions(msgspec.Struct, frozen=True):
    """How to carry a plan out. `wait` is how many seconds to wait for another run; `rate` overrides the settings'.

    `allow_fraction` takes more than `max_fraction` of the memory, `allow_recall` a plan that costs more than
    `min_recall` lets it.
    """

    allow_fraction: bool = False
    allow_recall: bool = False
    rate: float | None = None
    wait: float = 0.0


class Applied(msgspec.Struct, frozen=True):
    """What was done. `report` None: there was nothing to do. `recall` None: no past question was asked again.

    `expired` counts archived memories whose time to be restored is over, `busy` says what the store is
    at work on since, `ended` is in seconds since 1970. `notes` are things that went wrong beside.
    """

    plan: str
    collection: str
    header: Header
    report: ApplyReport | None
    recall: VerifyReport | None
    expired: int
    seconds: float
    ended: float
    busy: str | None = None
    notes: tuple[str, ...] = ()


def apply(
    name: str,
    options: ApplyOptions,
    wiring: Wiring,
    *,
    progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Applied:
    """Carry out a plan, or go on with it where an earlier run was stopped.

    Raises `UsageError` for a plan that may not be used or that asks for too much, `SophiaError` for one under which
    past questions find too little, `Locked` when another run is at work, `NotFound`, `StoreError`, `DiskFull`. Whatever
    happens, all that left the collection is in the archive.
    """
    with alone(wiring, options.wait):
        return _apply(_taken_in(find_plan(name, wiring), folder_of(wiring)), options, wiring, progress, stop)


def run(
    request: PlanRequest,
    options: ApplyOptions,
    wiring: Wiring,
    *,
    progress: Callable[[int], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Applied:
    """Plan, verify and apply in one go; a plan that an earlier run began is finished first. Raises as `apply` does."""
    with alone(wiring, options.wait):
        for path in _begun(folder_of(wiring), wiring):
            done = _apply(path, options, wiring, progress, stop)
            if done.report is not None and not done.report.finished:
                return done
        made = plan(request, wiring)
        try:
            return _apply(folder_of(wiring).plan(made.header.id), options, wiring, progress, stop)
        finally:
            if not made.actions:
                removed(folder_of(wiring).plan(made.header.id))


def alone(wiring: Wiring, wait: float) -> FileLock:
    """The lock of whoever prunes, restores or erases; waited for so many seconds. Raises `Locked` when taken."""
    what = f"the pruning of {wiring.collection!r}"
    return FileLock(folder_of(wiring).prepare().lock, purpose="sophiactl prune", timeout=wait, what=what)


def _taken_in(path: Path, folder: PruneFolder) -> Path:
    """The plan among those of the collection, where a restore finds it."""
    header = check_plan(path)
    own = folder.plan(header.id)
    if not own.exists() or check_plan(own).sha256 != header.sha256:
        with path.open("rb") as given, replaced(own) as copy:
            shutil.copyfileobj(given, copy)
    return own


def _begun(folder: PruneFolder, wiring: Wiring) -> Iterator[Path]:
    """Plans that were begun, not finished, and may still be applied."""
    for name in folder.all_journals():
        past = read_progress(folder.journal(name))
        if past.sha is None or past.finished or past.undone or not folder.plan(name).exists():
            continue
        try:
            with wiring.store(purpose="prune apply") as store:
                checked_plan(folder.plan(name), store, wiring)
        except UsageError:
            continue  # its time is over: what it has archived can be restored, the rest stays
        yield folder.plan(name)


def _apply(
    path: Path, options: ApplyOptions, wiring: Wiring, progress: Callable[[int], None], stop: Callable[[], bool]
) -> Applied:
    began = time.monotonic()
    folder = folder_of(wiring)
    folder.sweep()
    recall = report = busy = None
    with wiring.store(purpose="prune apply") as store:
        header = checked_plan(path, store, wiring)
        actions = sum(header.counts.values())
        if actions and read_progress(folder.journal(header.id)).sha is None:
            recall = _recall(path, header, store, options, wiring)
            _check(path, header, options, recall, wiring)
    if actions:
        with _leased(wiring) as fence:
            report = _carried_out(path, header, options, wiring, progress, stop, fence)
        with wiring.store(purpose="prune apply") as store:
            busy = store.busy()
    expired = _put_away(folder, wiring)
    if report is not None or expired:
        counts = {"archived": report.archived, "cooled": report.cooled, "left": report.left} if report else {}
        audit.append(folder.log, "apply", clock=wiring.clock, plan=header.id, counts={**counts, "expired": expired})
    seconds = time.monotonic() - began
    ended = wiring.clock().timestamp()
    done = Applied(header.id, wiring.collection, header, report, recall, expired, seconds, ended, busy)
    note = _recorded(done, wiring)
    return done if note is None else msgspec.structs.replace(done, notes=(note,))


@contextmanager
def _leased(wiring: Wiring) -> Iterator[Callable[[], int] | None]:
    """On a server, which other hosts prune as well, a lease: the function renews it and gives its number."""
    with ExitStack() as stack:
        store = stack.enter_context(wiring.store(purpose="prune apply"))
        lease = store.lease("sophiactl prune", LEASE_SECONDS)
        if lease is None:
            stack.close()  # the embedded store is nobody else's while it is open
            yield None
            return
        held = stack.enter_context(lease)

        def fence() -> int:
            held.renew()
            return held.token

        yield fence


def _put_away(folder: PruneFolder, wiring: Wiring) -> int:
    """End the time of old archives, and remove plans that were never begun and may not be any more."""
    now, config = wiring.clock(), wiring.settings.memory.prune
    for name in folder.all_plans():
        if not folder.journal(name).exists() and _expired(folder.plan(name), now):
            removed(folder.plan(name))
    return expire_archives(folder, now, config.archive_days).erased


def _expired(path: Path, now: datetime) -> bool:
    try:
        return (seconds_of(read_header(path).expires) or 0.0) < now.timestamp()
    except UsageError:
        return False  # damaged: for a person to look at


def _recall(path: Path, header: Header, store: Store, options: ApplyOptions, wiring: Wiring) -> VerifyReport | None:
    """What past questions would still find; a ledger that cannot be read is an error, unless nobody wants to know."""
    try:
        return replayed(path, header, store, wiring)
    except SophiaError:
        if options.allow_recall:
            return None
        raise


def _check(path: Path, header: Header, options: ApplyOptions, recall: VerifyReport | None, wiring: Wiring) -> None:
    """Raise `UsageError` for a plan that takes too much, `SophiaError` for one that loses too much, unless allowed."""
    config = wiring.settings.memory.prune
    total = sum(header.counts.values())
    share = total / header.before if header.before else 0.0
    if share > config.max_fraction + 1e-9 and not options.allow_fraction:
        raise UsageError(
            f"plan {header.id} takes {share:.0%} of the memory, {config.max_fraction:.0%} is the most of one run",
            hint=f"if that is meant: sophiactl prune apply {path.stem} --allow-fraction",
        )
    if recall is not None and recall.enough is False and not options.allow_recall:
        raise SophiaError(
            f"under plan {header.id} past questions would find {recall.kept:.1%} of what they find now, "
            f"{recall.least:.0%} is the least",
            hint=f"see which: sophiactl prune verify {path.stem}; if that is meant: --allow-recall",
        )


def _carried_out(
    path: Path,
    header: Header,
    options: ApplyOptions,
    wiring: Wiring,
    progress: Callable[[int], None],
    stop: Callable[[], bool],
    fence: Callable[[], int] | None,
) -> ApplyReport:
    config = wiring.settings.memory.prune
    conditions = protections(config)

    def spared(record: Record) -> str | None:
        fields = row_of(record).fields
        return next((f"protected by {each.text}" for each in conditions if each.holds(fields)), None)

    return apply_plan(
        path,
        header,
        lambda: wiring.store(purpose="prune apply"),
        folder_of(wiring),
        clock=wiring.clock,
        progress=progress,
        stop=stop,
        wait=time.sleep,
        spared=spared,
        rate=config.rate if options.rate is None else options.rate,
        fence=fence,
    )


def _recorded(done: Applied, wiring: Wiring) -> str | None:
    """Note the run in the ledger; why it could not be, None: it was, or there was nothing to note."""
    if done.report is None:
        return None
    report = done.report
    details = {
        "plan": done.plan,
        "collection": done.collection,
        "archived": report.archived,
        "cooled": report.cooled,
        "skipped": report.skipped,
        "finished": report.finished,
        "kept": done.recall.kept if done.recall else None,
    }
    row = Run(wiring.new_id(), "prune apply", wiring.now(), details=details)
    try:
        with closing(wiring.models.ledger()) as ledger:
            keep(row, ledger, wiring.settings.runs, wiring.clock())
    except SophiaError as error:
        return f"this run is not in the ledger: {error.message}"
    return None
