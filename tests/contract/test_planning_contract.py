"""One plan, however a store is read: every row, or only what its indexes point at."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from sophiactl.memory.base import Point, SparseVector
from sophiactl.memory.policy import ClassPolicies, ClassPolicy, PruneConfig
from sophiactl.memory.worth import MODEL_VERSION, keep_bucket
from sophiactl.model import MemoryClass, MemoryState, Record
from tests.plan_stores import NOW, ListStore, memory, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sophiactl.memory.base import Store

ZONES = ("Z", "+00:00", "+05:30", "")
FLOOR = keep_bucket(0.3) + 1
EPISODIC = ClassPolicy("learned", 180.0, floor=FLOOR, min_keep=3)
WORKING = ClassPolicy("ttl", 1.0, min_keep=2)
SETTINGS = {
    "as shipped": PruneConfig(),
    "all at once": PruneConfig(max_fraction=1.0, classes=ClassPolicies(working=WORKING, episodic=EPISODIC)),
    "to cold": PruneConfig(to="cold", max_fraction=0.6, classes=ClassPolicies(working=WORKING, episodic=EPISODIC)),
    "budgets": PruneConfig(
        max_fraction=0.5,
        classes=ClassPolicies(
            episodic=msgspec.structs.replace(EPISODIC, budget=60, floor=20),
            semantic=ClassPolicy("density", 90.0, floor=40, budget=20, min_keep=5),
        ),
    ),
    "protected": PruneConfig(
        max_fraction=1.0,
        protect=("metadata.tenant=acme", "source=crm"),
        classes=ClassPolicies(episodic=EPISODIC, semantic=ClassPolicy("learned", 30.0, floor=256, min_keep=0)),
    ),
}
REQUESTS: dict[str, dict[str, Any]] = {
    "by the settings": {},
    "a fifth": {"fraction": 0.2},
    "most": {"fraction": 0.7},
    "another policy": {"policy": "density", "fraction": 0.3},
    "one class": {"classes": ("working",)},
}


def _stamp(dice: random.Random, age: float) -> str:
    text = (NOW - timedelta(days=age)).isoformat().removesuffix("+00:00")
    return text + dice.choice(ZONES)


def _record(dice: random.Random, place: int) -> Record:
    classes = (MemoryClass.EPISODIC,) * 5 + (MemoryClass.WORKING, MemoryClass.SEMANTIC, MemoryClass.SOURCE)
    class_ = dice.choice(classes)
    cold = dice.random() < 0.15
    model = "density" if class_ == MemoryClass.SEMANTIC and dice.random() < 0.5 else "learned"
    version = MODEL_VERSION if dice.random() < 0.9 else "older"
    return memory(
        f"m{place:03} é\n" if place % 50 == 0 else f"m{place:03}",
        None if dice.random() < 0.05 else dice.choice([0.01, 0.2, 0.3, 0.9, round(dice.random(), 6)]),
        class_=class_,
        state=MemoryState.COLD if cold else MemoryState.ACTIVE,
        cooled_at=_stamp(dice, dice.choice([3, 40])) if cold and dice.random() < 0.8 else None,
        keep_model=f"{model}-{version}",
        created_at=None if dice.random() < 0.05 else _stamp(dice, dice.choice([0.5, 5, 13.9, 20, 100, 200, 900])),
        updated_at=_stamp(dice, dice.choice([1, 50])) if dice.random() < 0.2 else None,
        last_accessed=_stamp(dice, dice.choice([1, 50])) if dice.random() < 0.2 else None,
        accesses=dice.choice([0, 0, 0, 1, 9]),
        pinned=dice.random() < 0.1,
        likeness=dice.choice([None, None, f"{place:016x}", "00000000000000aa", "00000000000000bb"]),
        source=dice.choice([None, "crm", "chat"]),
        tags=("legal-hold",) if dice.random() < 0.05 else (),
        metadata={"tenant": dice.choice(["acme", "umbrella"])} if dice.random() < 0.3 else {},
    )


def _points(records: list[Record]) -> list[Point]:
    vector = np.array([1, 0, 0, 0], dtype=np.float32)
    return [Point(record, vector, SparseVector((1,), (1.0,))) for record in records]


RECORDS = [_record(random.Random(place), place) for place in range(240)]


@pytest.fixture
def filled(open_store: Callable[..., Store]) -> Iterator[Store]:
    """A collection of memories of every kind."""
    with open_store() as store:
        store.upsert(_points(RECORDS))
        yield store


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_way_to_read_makes_the_same_plan(filled: Store, tmp_path: Path, settings: str) -> None:
    for name, request in REQUESTS.items():
        expected, lines = plan(ListStore(RECORDS), SETTINGS[settings], tmp_path, filtered=False, **request)
        for filtered in (None, False, True):
            made, found = plan(filled, SETTINGS[settings], tmp_path, filtered=filtered, **request)
            assert found == lines, (name, filtered)
            assert made.header.classes == expected.header.classes, (name, filtered)
            assert made.header.before == len(RECORDS)
            assert made.left == expected.left, (name, filtered)
            assert made.youngest == expected.youngest


def test_plans_are_worth_comparing(tmp_path: Path) -> None:
    reasons: set[str] = set()
    for settings in SETTINGS.values():
        for request in REQUESTS.values():
            reasons |= {line.reason for line in plan(RECORDS, settings, tmp_path, **request)[1]}
    assert reasons == {"expired", "worth", "budget", "fraction", "duplicate", "cold"}


def test_a_collection_that_is_empty_makes_an_empty_plan(open_store: Callable[..., Store], tmp_path: Path) -> None:
    with open_store() as store:
        for filtered in (None, False, True):
            assert plan(store, PruneConfig(), tmp_path, filtered=filtered)[1] == []
            assert plan(store, PruneConfig(), tmp_path, filtered=filtered, fraction=0.5)[1] == []
