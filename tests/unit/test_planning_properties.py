"""What holds for every plan of every store: checked against the promises, not against the rules' own code."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.memory import plan_judge, planning
from sophiactl.memory.plan_file import Line, check_plan
from sophiactl.memory.plan_sort import Sorter
from sophiactl.memory.policy import ClassPolicies, ClassPolicy, PruneConfig
from sophiactl.memory.worth import MODEL_VERSION
from sophiactl.model import MemoryClass, MemoryState, Record
from tests.plan_stores import NOW, ListStore, memory, plan

if TYPE_CHECKING:
    import random

    from sophiactl.memory.planning import Planned

GRACE = 14.0
PRINTS = (None, None, "00000000000000aa", "ffffffffffffffff")
ZONED = "2026-11-22T23:30:00+14:00"  # nine in the morning of that day in UTC: young

ages = st.sampled_from([-3.0, 0.5, 3.0, 13.9, 14.1, 100.0, 179.0, 181.0, 800.0])
dates = ages.map(lambda age: (NOW - timedelta(days=age)).isoformat())
odd_dates = st.one_of(dates, dates.map(lambda d: d.removesuffix("+00:00")), st.sampled_from(["soon", ZONED, None]))

rows = st.fixed_dictionaries(
    {
        "class_": st.sampled_from([*MemoryClass, *[MemoryClass.EPISODIC] * 4]),
        "state": st.sampled_from([*MemoryState, *[MemoryState.ACTIVE] * 5, *[MemoryState.COLD] * 2]),
        "created_at": st.one_of(dates, dates, odd_dates),
        "updated_at": st.one_of(st.none(), st.none(), odd_dates),
        "last_accessed": st.one_of(st.none(), st.none(), odd_dates),
        "cooled_at": st.one_of(st.none(), odd_dates),
        "pinned": st.sampled_from([False] * 5 + [True]),
        "accesses": st.sampled_from([0, 0, 0, 1, 3, 40]),
        "worth": st.sampled_from([0.0, 0.001, 0.2, 0.2, 0.5, 0.9, 1.0, None]),
        "keep_model": st.sampled_from([f"learned-{MODEL_VERSION}"] * 4 + ["learned-older"]),
        "likeness": st.sampled_from(PRINTS),
        "tags": st.sampled_from([(), (), (), ("legal-hold",), ("x", "Legal-Hold ")]),
        "metadata": st.sampled_from([{}, {}, {"legal_hold": "true"}, {"legal_hold": True}, {"tenant": "acme"}]),
    }
)
stores = st.lists(rows, max_size=40).map(
    lambda found: [memory(f"m{place}", fields.pop("worth"), **fields) for place, fields in enumerate(map(dict, found))]
)
policies = st.builds(
    ClassPolicy,
    policy=st.sampled_from(["learned", "learned", "ttl", "never", "density"]),
    ttl_days=st.sampled_from([0.0, 1.0, 180.0]),
    floor=st.sampled_from([0, 96, 256]),
    budget=st.sampled_from([0, 0, 3]),
    min_keep=st.sampled_from([0, 0, 2, 5]),
)
configs = st.builds(
    PruneConfig,
    to=st.sampled_from(["archive", "archive", "cold"]),
    max_fraction=st.sampled_from([0.0, 0.2, 0.5, 1.0, 1.0]),
    duplicates=st.booleans(),
    protect=st.sampled_from([("tags=legal-hold", "metadata.legal_hold=true"), ("metadata.tenant=acme",)]),
    classes=st.builds(ClassPolicies, **dict.fromkeys((name.value for name in MemoryClass), policies)),
)
fractions = st.sampled_from([None, None, 0.1, 0.5, 1.0])


def made(records: list[Record], config: PruneConfig, fraction: float | None) -> tuple[Planned, list[Line]]:
    wanted = fraction
    if not any(getattr(config.classes, name.value).policy in {"learned", "density"} for name in MemoryClass):
        wanted = None
    with tempfile.TemporaryDirectory() as folder:
        found, lines = plan(records, config, Path(folder), fraction=wanted)
        assert check_plan(found.path) == found.header
        return found, lines


def days_since(text: str | None) -> float | None:
    """Age of a date as a plain reading of the promise has it; None where there is none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return (NOW - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))).total_seconds() / 86_400


def is_protected(record: Record, config: PruneConfig) -> bool:
    if record.pinned or record.state not in {MemoryState.ACTIVE, MemoryState.COLD}:
        return True
    if getattr(config.classes, record.class_.value).policy == "never":
        return True
    if "tags=legal-hold" in config.protect:
        return {"legal-hold", "Legal-Hold "} & {*record.tags} != set() or "legal_hold" in record.metadata
    return record.metadata.get("tenant") == "acme"


def is_young(record: Record) -> bool:
    age = days_since(record.created_at)
    return age is None or age < GRACE


def was_touched(record: Record) -> bool:
    for text, own in ((record.last_accessed, False), (record.updated_at, True)):
        age = days_since(text)
        if text is not None and age is None:
            return True
        if age is not None and age < GRACE and not (own and age >= (days_since(record.created_at) or 0)):
            return True
    return False


@given(stores, configs, fractions)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_promises(records: list[Record], config: PruneConfig, fraction: float | None) -> None:
    found, lines = made(records, config, fraction)
    by_id = {record.id: record for record in records}
    assert len({line.id for line in lines}) == len(lines)
    for line in lines:
        record = by_id[line.id]
        policy = getattr(config.classes, record.class_.value)
        assert not is_protected(record, config)
        assert not was_touched(record)
        age = days_since(record.created_at)
        assert age is not None
        assert age >= 0
        assert not is_young(record) or (line.action, line.reason, policy.policy) == ("cool", "expired", "ttl")
        assert line.rev == record.rev
        assert line.action == "archive" or record.state == MemoryState.ACTIVE
    check_limits(records, lines, config, found.header.fraction)
    check_copies(records, lines)
    assert found.left >= 0


def check_limits(records: list[Record], lines: list[Line], config: PruneConfig, fraction: float | None) -> None:
    before = len(records)
    assert len(lines) <= (config.max_fraction * before if fraction is None else round(fraction * before))
    for name in MemoryClass:
        own = [record for record in records if record.class_ == name]
        active = sum(record.state == MemoryState.ACTIVE for record in own)
        going = {line.id: line.action for line in lines if line.class_ == name.value}
        leaving = sum(action == "archive" for action in going.values())
        passive = sum(going.get(r.id) is not None for r in own if r.state == MemoryState.ACTIVE)
        fewest = getattr(config.classes, name.value).min_keep
        assert len(own) - leaving >= min(fewest, len(own))
        assert active - passive >= min(fewest, active)


def check_copies(records: list[Record], lines: list[Line]) -> None:
    by_id = {record.id: record for record in records}
    going = {line.id for line in lines}
    for line in lines:
        if line.near_dup_of is not None:
            assert line.reason == "duplicate"
            assert line.near_dup_of not in going
            kept, gone = by_id[line.near_dup_of], by_id[line.id]
            assert (kept.class_, kept.likeness) == (gone.class_, gone.likeness)
            assert kept.metadata.get("tenant") == gone.metadata.get("tenant")
    groups: dict[Any, list[str]] = defaultdict(list)
    dropped = {line.id for line in lines if line.reason == "duplicate"}
    for record in records:
        groups[record.class_, record.likeness, record.metadata.get("tenant")].append(record.id)
    for members in groups.values():
        if dropped & {*members}:
            assert not going >= {*members}


@given(stores, configs, fractions, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_rows_does_not_matter(
    records: list[Record], config: PruneConfig, fraction: float | None, dice: random.Random
) -> None:
    first, lines = made(records, config, fraction)
    dice.shuffle(records)
    second, again = made(records, config, fraction)
    assert lines == again
    assert first.left == second.left
    assert first.header.sha256 == second.header.sha256


@given(stores, configs, fractions)
@settings(max_examples=60, deadline=None)
def test_sorting_on_disk_and_reading_texts_in_batches_change_nothing(
    records: list[Record], config: PruneConfig, fraction: float | None
) -> None:
    _, lines = made(records, config, fraction)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "Sorter", lambda folder: Sorter(folder, held=2))
        patch.setattr(plan_judge, "TEXTS", 2)
        assert made(records, config, fraction)[1] == lines


@given(stores, configs, fractions)
@settings(max_examples=60, deadline=None)
def test_within_a_class_the_lower_worth_goes_first(
    records: list[Record], config: PruneConfig, fraction: float | None
) -> None:
    _, lines = made(records, config, fraction)
    for reason in ("worth", "budget", "fraction", "duplicate", "expired"):
        scores: dict[str, list[float]] = defaultdict(list)
        for line in lines:
            if line.reason == reason:
                scores[line.class_].append(line.score)
        assert all(found == sorted(found) for found in scores.values())
    # Of two that differ in nothing but worth and id, the better one never goes alone.
    going = {line.id for line in lines}
    kinds: dict[bytes, list[Record]] = defaultdict(list)
    for record in records:
        plain = msgspec.structs.replace(record, id="", text="", keep_score=None, keep_bucket=None, likeness=None)
        kinds[msgspec.json.encode(plain)].append(record)
    for alike in kinds.values():
        if all(record.keep_score is not None and record.likeness is None for record in alike):
            order = sorted(alike, key=lambda r: (r.keep_score or 0.0, r.id))
            if order[0].keep_model != "learned-older" and "density" not in str(config.classes):
                gone = [record.id in going for record in order]
                assert gone == sorted(gone, reverse=True)


@given(stores, configs)
@settings(max_examples=60, deadline=None)
def test_a_fraction_is_met_as_far_as_enough_may_go(records: list[Record], config: PruneConfig) -> None:
    everything, all_lines = made(records, config, 1.0)
    if everything.header.fraction is None:
        return
    for fraction in (0.1, 0.3, 0.5):
        _, lines = made(records, config, fraction)
        assert len(lines) == min(round(fraction * len(records)), len(all_lines))
        assert Counter(line.reason for line in lines).keys() <= {"fraction", "duplicate"}


@given(stores, configs)
@settings(max_examples=60, deadline=None)
def test_what_is_left_goes_when_a_run_may_take_all(records: list[Record], config: PruneConfig) -> None:
    limited, lines = made(records, config, None)
    whole, all_lines = made(records, msgspec.structs.replace(config, max_fraction=1.0), None)
    assert whole.left == 0
    assert len(lines) + limited.left == len(all_lines)
    assert lines == all_lines[: len(lines)]


ODD = (
    "created_at",
    "updated_at",
    "accesses",
    "keep_score",
    "pinned",
    "rev",
    "state",
    "tags",
    "metadata",
    "likeness",
    "class",
    "cooled_at",
)
anything = st.one_of(
    st.none(), st.text(max_size=4), st.integers(), st.floats(), st.lists(st.text(max_size=2), max_size=2)
)


@given(st.lists(st.dictionaries(st.sampled_from(ODD), anything, max_size=3), max_size=8))
@settings(max_examples=60, deadline=None)
def test_fields_that_make_no_sense_break_no_plan(odd: list[dict[str, Any]]) -> None:
    records = [memory(f"m{place}") for place in range(len(odd))]
    store = ListStore(records, {record.id: fields for record, fields in zip(records, odd, strict=True)})
    with tempfile.TemporaryDirectory() as folder:
        _, lines = plan(store, PruneConfig(max_fraction=1.0), Path(folder))
    for line in lines:
        fields = odd[int(line.id[1:])]
        assert not fields.get("pinned")
        assert not isinstance(fields.get("created_at"), int | float | list)
