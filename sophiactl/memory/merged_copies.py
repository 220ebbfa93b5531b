"""What a memory says of the copies that gave way to it, kept true when copies come back or are erased."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sophiactl.memory.base import Store
    from sophiactl.model import Record


def tell_of_copies(store: Store, keeper: Record, copies: Sequence[str]) -> None:
    """Add copies to what their keeper says; its revision stays, since its words do."""
    known = keeper.merged_from
    names = (*known, *(copy for copy in copies if copy not in known))
    if names != known:
        store.set_fields([keeper.id], {"merged_from": names})


def forget_copies(store: Store, gone: Iterable[tuple[str, str]]) -> int:
    """Take copies out of what their keepers say, as pairs of copy and keeper; how many keepers changed."""
    groups: dict[str, set[str]] = defaultdict(set)
    for copy, keeper in gone:
        groups[keeper].add(copy)
    if not groups:
        return 0
    return sum(drop_copies(store, point.record, groups[point.record.id]) for point in store.get(list(groups)))


def drop_copies(store: Store, keeper: Record, copies: set[str]) -> bool:
    """Take copies out of what one keeper says; whether it named any."""
    names = without_copies(keeper.merged_from, copies)
    if names == keeper.merged_from:
        return False
    store.set_fields([keeper.id], {"merged_from": names})
    return True


def without_copies(names: Sequence[str], copies: set[str]) -> tuple[str, ...]:
    """The names that are none of these copies."""
    return tuple(name for name in names if name not in copies)
