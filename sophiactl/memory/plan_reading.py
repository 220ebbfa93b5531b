"""Two ways to read what a plan is made of, to the same end.

The embedded engine reads a million rows faster than it filters a tenth of them, so there every row is read, twice. A
server has indexes: there the histogram of worth says how far to read, and only rows that may go come over the wire,
besides one narrow pass for likenesses.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from sophiactl.memory.base import AnyOf, Equals, NumberRange, TimeRange, Where
from sophiactl.memory.moments import exact_stamp
from sophiactl.memory.plan_limits import BUCKETS, Size
from sophiactl.memory.plan_prints import Prints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sophiactl.memory.base import Condition, Store
    from sophiactl.memory.plan_limits import Limits
    from sophiactl.memory.retention import Rules

    Fields = dict[str, Any]
    Reach = Callable[[str, bool, int], int]

EMBEDDED: Final = "qdrant-edge"
_TOGETHER = 200
_LIVING = AnyOf("state", ("active", "cold"))


class Survey(msgspec.Struct, frozen=True):
    """What is known before any memory is judged: how many there are of each class, and which likenesses recur."""

    before: int
    sizes: dict[str, Size]
    prints: dict[str, Prints]


class Reading(Protocol):
    """A way to read a collection for a plan."""

    def survey(self) -> Survey:
        """Count the memories and their likenesses."""

    def rows(self, survey: Survey, limits: Limits, reach: Reach) -> Iterator[Fields]:
        """Every row that may go or that decides over another; `reach` tells how many of little worth were found."""

    def eligible(self, judged: dict[str, int]) -> dict[str, int]:
        """How many memories of each class may be touched; `judged` counts those that were read."""


def reading(store: Store, rules: Rules, *, filtered: bool | None = None) -> Reading:
    """The way that suits the engine, or the one that is asked for."""
    if filtered is None:
        filtered = store.info().engine == "qdrant-server"
    return Filtered(store, rules) if filtered else Whole(store, rules)


class Whole:
    """Every row, in the engine's own order."""

    def __init__(self, store: Store, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    def survey(self) -> Survey:
        """One narrow pass over everything."""
        prints = _empty(self._rules)
        counts: dict[tuple[str, bool], int] = {}
        before = 0
        for fields in self._store.rows(("class", "state", "likeness")):
            before += 1
            class_ = fields.get("class")
            if not isinstance(class_, str):
                continue
            place = (class_, fields.get("state") == "active")
            counts[place] = counts.get(place, 0) + 1
            if class_ in prints:
                prints[class_].add(fields.get("likeness"))
        names = sorted({class_ for class_, _ in counts})
        sizes = {n: Size(counts.get((n, True), 0) + counts.get((n, False), 0), counts.get((n, True), 0)) for n in names}
        return Survey(before, sizes, _sealed(prints))

    def rows(self, survey: Survey, limits: Limits, reach: Reach) -> Iterator[Fields]:  # noqa: ARG002 - all are read
        """Everything."""
        return self._store.rows(self._rules.fields)

    def eligible(self, judged: dict[str, int]) -> dict[str, int]:
        """What was counted."""
        return judged


class Filtered:
    """Only rows that may go, or that are copies, by the indexes of a server."""

    def __init__(self, store: Store, rules: Rules) -> None:
        self._store = store
        self._rules = rules
        self._now = datetime.fromtimestamp(rules.now, UTC)

    def survey(self) -> Survey:
        """Counts by index, and one narrow pass over the likenesses of the classes that forget by worth."""
        prints = _empty(self._rules)
        for class_, found in prints.items():
            for fields in self._store.rows(("likeness",), Where((Equals("class", class_),))):
                found.add(fields.get("likeness"))
        totals = self._store.facet("class")
        active = self._store.facet("class", Where((Equals("state", "active"),)))
        sizes = {name: Size(totals[name], active.get(name, 0)) for name in sorted(totals)}
        return Survey(self._store.count(), sizes, _sealed(prints))

    def rows(self, survey: Survey, limits: Limits, reach: Reach) -> Iterator[Fields]:
        """Copies first; then class by class what is past its time or worth little, until enough was found."""
        for class_, prints in survey.prints.items():
            yield from self._copies(class_, prints)
        for class_, policy in self._rules.forgetting.items():
            seen = survey.prints.get(class_, Prints())
            if policy.policy == "ttl":
                old = min(policy.ttl_days or policy.grace_days, policy.grace_days)
                chosen: Iterable[Fields] = self._read(self._base(class_, old)) if limits.fraction is None else ()
            else:
                chosen = self._least(class_, limits, reach)
            yield from (fields for fields in chosen if fields.get("likeness") not in seen)

    def eligible(self, judged: dict[str, int]) -> dict[str, int]:  # noqa: ARG002 - too few were read to count by
        """What the server counts by the same rules."""
        return {class_: self._eligible(class_) for class_ in self._rules.forgetting}

    def _copies(self, class_: str, prints: Prints) -> Iterator[Fields]:
        found = iter(prints)
        while batch := tuple(islice(found, _TOGETHER)):
            yield from self._read(Where((Equals("class", class_), AnyOf("likeness", batch))))

    def _least(self, class_: str, limits: Limits, reach: Reach) -> Iterator[Fields]:
        """What is worth least of a class: no row that is left out could come before enough of those that are not."""
        base = self._base(class_, self._rules.forgetting[class_].grace_days)
        own = Equals("keep_model", self._rules.mark(class_))
        yield from self._read(Where(base.all, (*base.none, own)))
        yield from self._read(Where((*base.all, own), (*base.none, NumberRange("keep_bucket", 0, BUCKETS - 1))))
        for cold in (False, True):
            state = Equals("state", "cold" if cold else "active")
            judged = Where((*base.all, own, state), base.none)
            if not cold or self._rules.config.to == "archive":
                yield from self._least_of(class_, cold, judged, limits, reach)
            elif limits.fraction is None:
                long = TimeRange("cooled_at", until=self._before(self._rules.config.cold_days))
                yield from self._read(Where((*judged.all, long), judged.none))

    def _least_of(self, class_: str, cold: bool, judged: Where, limits: Limits, reach: Reach) -> Iterator[Fields]:
        wanted, done = limits.most_of(class_, cold=cold), -1
        if limits.fraction is None:
            done = self._rules.forgetting[class_].floor - 1
            yield from self._slab(judged, 0, done)
            wanted = min(wanted, limits.excess(class_))
        if wanted <= 0:
            return
        counts = self._store.histogram("keep_bucket", judged)
        while done < BUCKETS - 1 and (found := reach(class_, cold, done)) < wanted:
            first, done = done + 1, _next_cut(counts, done, wanted - found)
            yield from self._slab(judged, first, done)

    def _slab(self, where: Where, first: int, last: int) -> Iterator[Fields]:
        if first <= last:
            yield from self._read(Where((*where.all, NumberRange("keep_bucket", first, last)), where.none))

    def _read(self, where: Where) -> Iterator[Fields]:
        return self._store.rows(self._rules.fields, where)

    def _base(self, class_: str, days: float) -> Where:
        """Memories of a class that are older than some days and not pinned: rather some more than one too few."""
        old = TimeRange("created_at", until=self._before(days))
        return Where((Equals("class", class_), _LIVING, old), (Equals("pinned", value=True),))

    def _eligible(self, class_: str) -> int:
        grace = self._rules.forgetting[class_].grace_days
        lately = self._before(grace)
        spared: list[Condition] = [TimeRange("last_accessed", since=lately), TimeRange("updated_at", since=lately)]
        for protection in self._rules.protections:
            spared += protection.equals()
        base = self._base(class_, grace)
        return self._store.count(Where(base.all, (*base.none, *spared)))

    def _before(self, days: float) -> str:
        try:
            return exact_stamp(self._now - timedelta(days=days) + timedelta(milliseconds=1))
        except OverflowError:
            return "0001-01-01T00:00:00Z"


def _next_cut(counts: dict[int, int], done: int, wanted: int) -> int:
    """The last bucket of the next slab: some more than wanted, since not all that is found may go."""
    found, bucket = 0, done
    while bucket < BUCKETS - 1 and found < wanted + wanted // 8:
        bucket += 1
        found += counts.get(bucket, 0)
    return bucket


def _empty(rules: Rules) -> dict[str, Prints]:
    return {name: Prints() for name in rules.scored} if rules.config.duplicates else {}


def _sealed(prints: dict[str, Prints]) -> dict[str, Prints]:
    for found in prints.values():
        found.seal()
    return prints
