"""How much a plan may take: a share of all, and of no class more than leaves what must be left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from sophiactl.memory.worth import keep_bucket

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping

    from sophiactl.memory.retention import Choice, Row, Rules

MICRO: Final = 1_000_000
"""Worth is compared in millionths, as a plan shows it."""


BUCKETS: Final = 256
"""Values of a `keep_bucket`."""


class Candidate(NamedTuple):
    """A memory that would go, in the order in which it would: `rank`, then worth in millionths, then id."""

    rank: int
    micro: int
    id: str
    rev: int
    class_: str
    action: str
    reason: str
    cold: bool
    created: float
    near_dup_of: str | None

    @classmethod
    def of(cls, row: Row, score: float, choice: Choice) -> Candidate:
        """The candidate of a row that the rules have chosen."""
        fixed = (choice.action, choice.reason, row.state == "cold", row.created or 0.0, None)
        return cls(choice.rank, round(score * MICRO), row.id, row.rev, row.class_, *fixed)


class Size(msgspec.Struct, frozen=True):
    """How many memories of a class there are, and how many of them are active."""

    total: int = 0
    active: int = 0


class Ceiling:
    """Tells early which candidates of one kind can no longer be among the `most` that are worth least."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts = [0] * BUCKETS
        self._total = 0
        self._last = BUCKETS - 1
        self.refused = 0

    def admits(self, micro: int) -> bool:
        """Whether a candidate of this worth may still be among them; it is counted then."""
        bucket = bucket_of(micro)
        if self._most <= 0 or bucket > self._last:
            self.refused += 1
            return False
        self._counts[bucket] += 1
        self._total += 1
        while self._last and self._total - self._counts[self._last] >= self._most:
            self._total -= self._counts[self._last]
            self._last -= 1
        return True


def bucket_of(micro: int) -> int:
    """The `keep_bucket` of a worth in millionths."""
    return keep_bucket(micro / MICRO)


class Limits:
    """What a plan may take of a collection: `most` in all, and of each class what leaves its `min_keep`.

    Active memories and all memories are counted apart: a class whose cold memories are many keeps as many active ones.
    """

    def __init__(self, rules: Rules, sizes: Mapping[str, Size], before: int, fraction: float | None) -> None:
        self.fraction = fraction
        self.most = int(rules.config.max_fraction * before) if fraction is None else round(fraction * before)
        self._rules = rules
        self._sizes = {name: sizes.get(name, Size()) for name in rules.forgetting}
        self.left = 0

    def room(self, class_: str) -> int:
        """How many active memories of a class may go, its budget and the limit of the plan apart."""
        return max(0, self._sizes[class_].active - self._rules.forgetting[class_].min_keep)

    def most_of(self, class_: str, *, cold: bool) -> int:
        """How many memories of a class and state this plan can take at most."""
        size = self._sizes[class_]
        return min(self.most, size.total - size.active if cold else self.room(class_))

    def excess(self, class_: str, others: int = 0) -> int:
        """How many memories a class holds beyond its budget when `others` have gone."""
        budget, size = self._rules.forgetting[class_].budget, self._sizes[class_]
        held = size.active if self._rules.config.to == "cold" else size.total
        return max(0, held - others - budget) if budget else 0

    def take(self, candidates: Iterable[Candidate], gone: Counter[str], unseen: Counter[str]) -> Iterator[Candidate]:
        """Those that go, of candidates in their order; `left` is then how many more would go without the limit.

        `gone` counts the candidates of each class that go by themselves, budgets apart, `unseen` those for the budget
        that were not even brought.
        """
        room = {name: self.room(name) for name in self._sizes}
        rest = {name: self._sizes[name].total - self._rules.forgetting[name].min_keep for name in self._sizes}
        over = {name: self.excess(name, gone[name]) for name in self._sizes}
        taken = 0
        for found in candidates:
            name = found.class_
            budgeted, leaves = found.reason == "budget", found.action == "archive"
            if (room[name] <= 0 and not found.cold) or (leaves and rest[name] <= 0) or (budgeted and over[name] <= 0):
                continue
            room[name] -= not found.cold
            rest[name] -= leaves
            over[name] -= budgeted
            if taken < self.most:
                taken += 1
                yield found
            elif self.fraction is None:
                self.left += 1
            else:
                return
        self.left += sum(max(0, min(unseen[name], over[name], room[name])) for name in self._sizes)


def counts_towards_budget(candidate: Candidate, to: str) -> bool:
    """Whether a class is the smaller for it, as its budget counts."""
    if candidate.reason == "budget":
        return False
    return not candidate.cold if to == "cold" else candidate.action == "archive"
