"""What may still go when a plan is carried out: only what is as it was when the plan was made. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.memory.base import Equals, TimeRange, Where
from sophiactl.memory.moments import seconds_of
from sophiactl.model import MemoryState

if TYPE_CHECKING:
    from collections.abc import Callable

    from sophiactl.memory.plan_file import Line
    from sophiactl.model import Record

GONE = "gone already"
CHANGED = "changed since the plan"
PINNED = "pinned"
USED = "used since the plan"
MOVED = "in another class or state"
COPY_GONE = "its copy is gone"
LAST_COPY = "stands for copies that went"
MEANWHILE = "changed meanwhile"
UNPACKABLE = "cannot be archived exactly"
"""Why a memory of a plan is left as it is; what a protecting condition says comes from its own check."""


def refusal(line: Line, record: Record, created: str, spared: Callable[[Record], str | None]) -> str | None:
    """Why this memory must stay; None when it may go. `created` is when the plan was made.

    Times are compared to the second, and the second of the plan itself counts as after it.
    """
    if record.pinned:
        return PINNED
    if record.rev != line.rev or _since(record.updated_at, created):
        return CHANGED
    if _since(record.last_accessed, created):
        return USED
    if record.class_ != line.class_ or record.state not in _expected(line):
        return MOVED
    return spared(record)


def copy_refusal(record: Record, keeper: Record | None) -> str | None:
    """Why a duplicate must stay: the memory that says the same, and for which it would give way, does so no more."""
    if keeper is None or keeper.id == record.id or keeper.likeness is None or keeper.likeness != record.likeness:
        return COPY_GONE
    demoted = keeper.state != MemoryState.ACTIVE and record.state == MemoryState.ACTIVE
    return COPY_GONE if demoted else None


def unchanged(rev: int, cooled_at: str | None, created: str) -> Where:
    """The same as a filter, for the engine to decide at the very moment of a write.

    Its state is told by when it went cold: that changes whenever a memory goes cold or comes back.
    """
    since = [TimeRange(field, since=created) for field in ("last_accessed", "updated_at")]
    if cooled_at is None:
        return Where(
            all=(Equals("rev", rev),),
            none=(Equals("pinned", value=True), *since, TimeRange("cooled_at", since=created)),
        )
    return Where(all=(Equals("rev", rev), Equals("cooled_at", cooled_at)), none=(Equals("pinned", value=True), *since))


def _expected(line: Line) -> tuple[MemoryState, ...]:
    if line.action == "cool":
        return (MemoryState.ACTIVE,)
    if line.reason == "cold":
        return (MemoryState.COLD,)
    return (MemoryState.ACTIVE, MemoryState.COLD)


def _since(moment: str | None, created: str) -> bool:
    if moment is None:
        return False
    found, start = seconds_of(moment), seconds_of(created)
    # A time that nobody can read protects.
    return found is None or start is None or found >= int(start)
