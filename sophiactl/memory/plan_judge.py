"""Judging every memory that a plan is made of: who goes by itself, and who gives way to a copy."""

from __future__ import annotations

from collections import Counter
from itertools import chain, groupby, starmap
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from sophiactl.memory.plan_limits import BUCKETS, MICRO, Candidate, Ceiling, bucket_of, counts_towards_budget
from sophiactl.memory.retention import SECOND, THIRD, keeper_order, read_row, worth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sophiactl.memory.plan_limits import Limits
    from sophiactl.memory.plan_prints import Prints
    from sophiactl.memory.plan_sort import Sorter
    from sophiactl.memory.retention import Choice, Row, Rules

    Scores = Callable[[Sequence[Row]], Mapping[str, float]]

TEXTS: Final = 500
"""Memories whose texts are read at a time, where the stored worth is not the one to go by."""


class Member(NamedTuple):
    """One of several memories that say the same, in the order in which one would be kept: the first stays.

    `micro` is its worth in millionths; `choice` what becomes of it otherwise, as action, reason and rank.
    """

    class_: str
    tenant: str
    likeness: str
    unpinned: bool
    inactive: bool
    uncited: int
    unworthy: int
    made: float
    id: str
    rev: int
    micro: int
    created: float
    gives_way: bool
    choice: tuple[Any, ...] | None

    @classmethod
    def of(
        cls, row: Row, group: tuple[str, str, str], score: float, choice: Choice | None, *, gives_way: bool
    ) -> Member:
        """The member that a row is of its group."""
        chosen = None if choice is None else (choice.action, choice.reason, choice.rank)
        unpinned, inactive, uncited, unworthy, made, name = keeper_order(row)
        return cls(
            *group,
            unpinned=unpinned,
            inactive=inactive,
            uncited=uncited,
            unworthy=unworthy,
            made=made,
            id=name,
            rev=row.rev,
            micro=round(score * MICRO),
            created=row.created or 0.0,
            gives_way=gives_way,
            choice=chosen,
        )

    def candidate(self) -> Candidate | None:
        """What becomes of it by itself."""
        if self.choice is None:
            return None
        action, reason, rank = self.choice
        return self._candidate(action, reason, rank, near=None)

    def giving_way(self, keeper: str, action: str) -> Candidate | None:
        """What becomes of it beside the one that stays."""
        return self._candidate(action, "duplicate", SECOND, near=keeper) if self.gives_way else self.candidate()

    def _candidate(self, action: str, reason: str, rank: int, near: str | None) -> Candidate:
        where = (self.class_, action, reason, self.inactive, self.created, near)
        return Candidate(rank, self.micro, self.id, self.rev, *where)


class Judging:
    """Takes the rows of a collection in any order and brings the candidates of a plan.

    `scores` gives worths by id for rows whose own is missing or another model's. Candidates go to `found`, memories
    with a copy to `copies`, from where `settle` brings all of a group but its keeper.
    """

    def __init__(
        self,
        rules: Rules,
        limits: Limits,
        prints: Mapping[str, Prints],
        scores: Scores,
        found: Sorter,
        copies: Sorter,
    ) -> None:
        self._rules = rules
        self._limits = limits
        self._prints = prints
        self._scores = scores
        self._found = found
        self._copies = copies
        self._unscored: list[Row] = []
        self._by_fraction = limits.fraction is not None
        self._ceilings: dict[tuple[str, bool], Ceiling] = {}
        self._reach = {(name, cold): [0] * BUCKETS for name in rules.forgetting for cold in (False, True)}
        self.eligible: Counter[str] = Counter()
        self.gone: Counter[str] = Counter()

    def take(self, fields: Mapping[str, Any]) -> None:
        """Judge one stored record."""
        class_ = fields.get("class")
        if not isinstance(class_, str) or class_ not in self._rules.forgetting:
            return
        row = read_row(fields)
        why = self._rules.untouchable(row)
        if why is not None:
            group = self._group(row)
            if group is not None:
                self._copies.add(Member.of(row, group, 0.0, None, gives_way=False))
            return
        if not self._rules.needs_text(row):
            self._judge(row, self._rules.young(row))
            return
        self._unscored.append(row)
        if len(self._unscored) >= TEXTS:
            self._score()

    def reach(self, class_: str, cold: bool, bucket: int) -> int:
        """How many memories were found that may go because they are worth so little: their bucket, or a lower one."""
        self._score()
        return sum(self._reach[class_, cold][: bucket + 1])

    def settle(self) -> Counter[str]:
        """Bring what is left, copies last; gives how many candidates of each class were not even brought."""
        self._score()
        for _, group in groupby(starmap(Member, self._copies), key=itemgetter(0, 1, 2)):
            members = iter(group)
            keeper, other = next(members), next(members, None)
            if other is None:
                self._bring(keeper.candidate())
                continue
            for member in chain((other,), members):
                self._bring(member.giving_way(keeper.id, self._rules.action))
        unseen: Counter[str] = Counter()
        for (class_, _), ceiling in self._ceilings.items():
            unseen[class_] += ceiling.refused
        return unseen

    def _group(self, row: Row) -> tuple[str, str, str] | None:
        group = self._rules.group(row)
        return group if group is not None and row.likeness in self._prints[row.class_] else None

    def _score(self) -> None:
        rows, self._unscored = self._unscored, []
        scores = self._scores(rows) if rows else {}
        for row in rows:
            # One that has gone since, or has no text, is nobody's to judge.
            if row.id in scores:
                self._judge(msgspec.structs.replace(row, keep_score=scores[row.id]), self._rules.young(row))

    def _judge(self, row: Row, young: str | None) -> None:
        score = worth(row)
        choice = self._rules.settled(row, score, young, fraction=self._by_fraction)
        if young is None:
            self.eligible[row.class_] += 1
        group = self._group(row)
        if group is not None:
            gives_way = young is None and self._rules.may_give_way(row)
            self._copies.add(Member.of(row, group, score, choice, gives_way=gives_way))
        elif choice is not None:
            self._bring(Candidate.of(row, score, choice))

    def _bring(self, candidate: Candidate | None) -> None:
        if candidate is None:
            return
        if candidate.rank == THIRD:
            self._reach[candidate.class_, candidate.cold][bucket_of(candidate.micro)] += 1
        if counts_towards_budget(candidate, self._rules.config.to):
            self.gone[candidate.class_] += 1
        if candidate.reason in {"fraction", "budget"}:
            place = (candidate.class_, candidate.cold)
            ceiling = self._ceilings.setdefault(place, Ceiling(self._limits.most))
            if not ceiling.admits(candidate.micro):
                return
        self._found.add(tuple(candidate))
