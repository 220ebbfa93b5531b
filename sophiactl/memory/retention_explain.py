"""Why one memory would stay or go, in plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isnan
from typing import TYPE_CHECKING, Final

import msgspec

from sophiactl.memory.retention import DAY, FIRST, SCORED, SECOND, Choice, Rules, keeper_order, row_of, words, worth
from sophiactl.memory.worth import MODEL_VERSION, explain, keep_bucket, keep_score

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sophiactl.memory.retention import Row
    from sophiactl.model import Record

SHOWN: Final = 4
"""Reasons that are named for either side, the strongest first."""

_DONE = {"archive": "archive it", "cool": "make it cold, which takes it out of ordinary searches"}


def explain_row(
    record: Record, rules: Rules, *, previous: str | None = None, copies: Sequence[Record] = ()
) -> tuple[str, ...]:
    """What decides over a memory, a line each, and in the last line what a plan made now would do with it.

    `previous` is the text before it in its thread, `copies` the other memories that have its likeness.
    """
    row = row_of(record)
    if rules.needs_text(row):
        model = rules.model(row.class_)
        fresh = keep_score(record.text, author=record.author, previous=previous, model=model)
        row = msgspec.structs.replace(row, keep_score=fresh)
    keeper = _keeper(row, copies, rules)
    lines = [*_worth(record, row, rules, previous), _age(row, rules)]
    if keeper is not None:
        others = "another memory says" if len(copies) == 1 else f"{len(copies)} other memories say"
        kept = "this one" if keeper.id == row.id else repr(keeper.id)
        lines.append(f"{others} the same: {kept} is the copy to keep")
    return (*lines, _outcome(row, rules, keeper))


def _worth(record: Record, row: Row, rules: Rules, previous: str | None) -> Iterator[str]:
    model, own, score = rules.model(row.class_), row.keep_score or 0.0, worth(row)
    cited = "" if score == own else f" (its words {own:.2f}, cited {_times(row.accesses)})"
    yield f"worth {score:.2f} of 1{cited}, as the model {model} {MODEL_VERSION} judges"
    reasons = explain(record.text, author=record.author, previous=previous, model=model)
    for side, sign in (("speaks for it", 1), ("speaks against it", -1)):
        found = [each.words for each in reasons if each.effect * sign > 0 and each.feature != "typical"]
        if found:
            yield f"{side}: {'; '.join(found[:SHOWN])}"


def _age(row: Row, rules: Rules) -> str:
    if row.created is None or isnan(row.created):
        return "when it was created is not known"
    day = datetime.fromtimestamp(row.created, UTC).date()
    return f"created on {day}, {_days((rules.now - row.created) / DAY)} ago; {_terms(row, rules)}"


def _terms(row: Row, rules: Rules) -> str:
    """What the class of a memory sets for it."""
    policy = rules.forgetting.get(row.class_)
    if policy is None:
        return f"a plan does not touch the class {row.class_}"
    spared = f"{row.class_} memories are spared for {_days(policy.grace_days)}"
    if not policy.ttl_days:
        return f"{spared} and have no end"
    after = f"may go after {_days(policy.ttl_days)}"
    if policy.policy not in SCORED:
        return f"{spared} and {after}"
    return f"{spared} and {after} without a citation when their worth is below step {policy.floor} of 256"


def _keeper(row: Row, copies: Sequence[Record], rules: Rules) -> Row | None:
    """Which of a memory and its copies would stay; None for one that has no copies."""
    group = rules.group(row)
    same = [other for other in map(row_of, copies) if group is not None and rules.group(other) == group]
    return min((row, *same), key=keeper_order) if same else None


def _outcome(row: Row, rules: Rules, keeper: Row | None) -> str:
    untouchable, young = rules.untouchable(row), None
    if untouchable is None:
        young = rules.young(row)
        choice = rules.settled(row, worth(row), young, fraction=False)
        if keeper is not None and keeper.id == row.id:
            return "a plan made now keeps it: copies of it go first"
        if keeper is not None and young is None and rules.may_give_way(row):
            choice = Choice(rules.action, "duplicate", SECOND)
        if choice is not None:
            return _going(choice, rules)
    return f"a plan made now keeps it: {untouchable or young or _spared(row, rules)}"


def _going(choice: Choice, rules: Rules) -> str:
    if choice.reason == "budget":
        budget = "a plan made now takes it only if its class holds more than its budget"
        return f"{budget}, those of least worth first"
    bound = "" if choice.rank == FIRST else ", those of least worth first"
    share = f"as far as its limit of {rules.config.max_fraction:.0%} goes{bound}"
    return f"a plan made now would {_DONE[choice.action]}: {words(choice.reason)}; {share}"


def _spared(row: Row, rules: Rules) -> str:
    """Why a memory stays that nothing protects."""
    policy = rules.forgetting[row.class_]
    if row.state == "cold" and rules.config.to == "cold":
        return f"it is cold, and not yet for {_days(rules.config.cold_days)}"
    if not policy.ttl_days:
        return "its class has no end"
    if not rules.expired(row):
        return f"it is not yet {_days(policy.ttl_days)} since it was made or cited"
    return f"it is worth more than the floor of its class (step {keep_bucket(worth(row))} of 256, floor {policy.floor})"


def _days(number: float) -> str:
    return "1 day" if round(number, 1) == 1 else f"{round(number, 1):g} days"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
