"""`prune plan`, `verify` and `explain`: what would go, what that would cost, and why. Nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import NotFound, UsageError
from sophiactl.memory.base import Equals, Where
from sophiactl.memory.lexical import Lexicon
from sophiactl.memory.plan_file import Header, Line, check_plan, check_use, read_lines
from sophiactl.memory.planning import PlanRequest, Sample, config_hash, make_plan, rules_of
from sophiactl.memory.prune_folder import PruneFolder
from sophiactl.memory.retention_explain import explain_row
from sophiactl.memory.retrieval import Retriever
from sophiactl.memory.verify import IdSet, RecallReport, deciding, least, verdict, verify
from sophiactl.model import Record
from sophiactl.ops.memory import show
from sophiactl.ops.queries import from_file, remembered

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sophiactl.memory.base import Store
    from sophiactl.wiring import Wiring

__all__ = ["Explained", "PlanReport", "PlanRequest", "VerifyReport", "explain", "find_plan", "plan", "verify_plan"]

LISTED = 100_000
"""Memories of a plan that a report names one by one; beyond, they stand in the file alone."""
_LIKE = 100


class PlanReport(msgspec.Struct, frozen=True):
    """A plan that was made, and the file it is in.

    `left` is how many more would go if a run might take more. `memories` are its lines, None where there are more than
    100,000 of them.
    """

    header: Header
    path: str
    samples: tuple[Sample, ...]
    left: int
    memories: tuple[Line, ...] | None

    @property
    def actions(self) -> int:
        """How many memories the plan would touch."""
        return sum(self.header.counts.values())


class VerifyReport(msgspec.Struct, frozen=True):
    """What past questions would still find. `kept` is the share that counts and `least` what it must be.

    `enough` is None where too few were asked to tell.

    `left_out` says in words which remembered questions could not be asked again.
    """

    plan: str
    recall: RecallReport
    kept: float | None
    least: float
    enough: bool | None
    left_out: str | None = None


class Explained(msgspec.Struct, frozen=True):
    """A memory and what decides over it, a line each."""

    record: Record
    reasons: tuple[str, ...]


def folder_of(wiring: Wiring) -> PruneFolder:
    """Where plans, archives and journals of the collection are."""
    return PruneFolder(wiring.paths.state / "prune", wiring.collection)


def plan(request: PlanRequest, wiring: Wiring, *, output: Path | None = None) -> PlanReport:
    """Make a plan and write it, to `output` or among the plans of the collection. Changes nothing else.

    Raises `UsageError` for a share or class that makes no sense, `NotFound` (no memory yet), `StoreError`, `DiskFull`.
    """
    name, config = wiring.new_id(), wiring.settings.memory.prune
    rules_of(config, request, wiring.clock())  # a wrong request is told before the memory is opened
    path = output if output is not None else folder_of(wiring).prepare().plan(name)
    with wiring.store(purpose="prune plan") as store:
        place = store.info().location
        made = make_plan(store, config, request, path=path, plan_id=name, now=wiring.clock(), place=place)
    listed = sum(made.header.counts.values()) <= LISTED
    lines = tuple(read_lines(made.path)) if listed else None
    return PlanReport(made.header, str(made.path), made.samples, made.left, lines)


def find_plan(name: str, wiring: Wiring) -> Path:
    """The file of a plan: a path, an id, or the beginning of one. Raises `NotFound`."""
    from pathlib import Path

    if not name:
        raise UsageError("no plan is named", hint="sophiactl prune plan makes one")
    given = Path(name).expanduser()
    if given.is_file():
        return given
    plans = folder_of(wiring).all_plans()
    like = [known for known in plans if known.startswith(name)]
    if name in plans or len(like) == 1:
        return folder_of(wiring).plan(name if name in plans else like[0])
    if like:
        raise NotFound(f"{len(like)} plans begin with {name!r}: {', '.join(like[:3])} …", hint="give more of the id")
    raise NotFound(f"there is no plan {name!r} of {wiring.collection!r}", hint="make one: sophiactl prune plan")


def checked_plan(path: Path, store: Store, wiring: Wiring) -> Header:
    """The header of a plan that may be used here and now. Raises `UsageError`."""
    header = check_plan(path)
    hashed = config_hash(wiring.settings.memory.prune)
    check_use(header, collection=wiring.collection, place=store.info().location, config_hash=hashed, now=wiring.clock())
    return header


def verify_plan(name: str, wiring: Wiring, *, questions: Iterable[bytes] | None = None) -> VerifyReport:
    """Ask past questions again, those remembered or those of a file, as if the plan were carried out.

    Raises `NotFound`, `UsageError` for a plan or a question that will not do, and what the store and ledger raise.
    """
    path = find_plan(name, wiring)
    with wiring.store(purpose="prune verify") as store:
        header = checked_plan(path, store, wiring)
        return replayed(path, header, store, wiring, questions=questions)


def replayed(
    path: Path, header: Header, store: Store, wiring: Wiring, *, questions: Iterable[bytes] | None = None
) -> VerifyReport:
    """`verify_plan` for a plan that was checked, on an open store."""
    config, lexicon = wiring.settings.memory, Lexicon.of(store.schema)
    left_out = None
    if questions is not None:
        queries = tuple(from_file(questions, wiring.embedder(bulk=True), lexicon))
    else:
        found = remembered(wiring)
        queries, left_out = found.queries, found.left_out()
    gone = IdSet(line.id for line in read_lines(path))
    report = verify(Retriever(store, lexicon, config.retrieval), queries, gone.__contains__)
    share = sum(header.counts.values()) / header.before if header.before else 0.0
    wanted = config.prune.min_recall
    return VerifyReport(
        header.id, report, deciding(report), least(report, wanted, share), verdict(report, wanted, share), left_out
    )


def explain(name: str, wiring: Wiring) -> Explained:
    """What a memory is worth and why, and what a plan made now would do with it. Raises `NotFound`."""
    record = show(name, wiring)
    rules = rules_of(wiring.settings.memory.prune, PlanRequest(), wiring.clock())
    previous: str | None = None
    copies: list[Record] = []
    with wiring.store(purpose="prune explain") as store:
        if record.thread is not None and record.position:
            before = Where(all=(Equals("thread", record.thread), Equals("position", record.position - 1)))
            previous = next((point.record.text for point in store.scroll(before)), None)
        if record.likeness is not None:
            same = store.scroll(Where(all=(Equals("likeness", record.likeness),)))
            copies = [
                point.record for _, point in zip(range(_LIKE), same, strict=False) if point.record.id != record.id
            ]
    return Explained(record, explain_row(record, rules, previous=previous, copies=copies))
