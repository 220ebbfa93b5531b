"""What a plan holds: who goes, in which order, within which limits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import ConfigError, UsageError
from sophiactl.memory.plan_file import check_plan
from sophiactl.memory.planning import PlanRequest, config_hash, excerpt, make_plan
from sophiactl.memory.policy import ClassPolicies, ClassPolicy, PruneConfig
from sophiactl.memory.worth import MODEL_VERSION, keep_bucket, keep_score
from sophiactl.model import MemoryClass, MemoryState, Record
from tests.plan_stores import COLD, NOW, ListStore, config, days_ago, ids, memory, plan

if TYPE_CHECKING:
    from pathlib import Path

SAME = "0123456789abcdef"


def test_what_is_worth_least_goes_first_and_what_is_worth_much_stays(tmp_path: Path) -> None:
    made, lines = plan(
        [memory("b", 0.05), memory("much", 0.99), memory("a", 0.01), memory("c", 0.05)], config(), tmp_path
    )
    assert ids(lines) == ["a", "b", "c"]
    assert {(line.action, line.reason) for line in lines} == {("archive", "worth")}
    assert made.header == check_plan(made.path)
    assert made.header.counts == {"archive": 3}
    assert made.header.before == 4


def test_the_header_says_what_the_plan_was_made_from(tmp_path: Path) -> None:
    settings = config(plan_days=2.0)
    made, _ = plan(
        [memory("a", rev=7), memory("b", 0.99), memory("c", class_=MemoryClass.SEMANTIC)], settings, tmp_path
    )
    header = made.header
    assert (header.id, header.collection, header.place, header.model) == ("p1", "main", "here", MODEL_VERSION)
    assert (header.created, header.expires) == ("2026-11-22T12:00:00Z", "2026-11-24T12:00:00Z")
    assert header.config == config_hash(settings)
    assert header.policies["episodic"] == "learned"
    assert header.policies["semantic"] == "never"
    assert (header.classes["episodic"].before, header.classes["episodic"].eligible) == (2, 2)
    assert (header.classes["episodic"].archive, header.classes["semantic"].archive) == (1, 0)
    assert header.bytes == 1000


def test_no_more_than_the_limit_goes_in_one_run_and_the_rest_is_counted(tmp_path: Path) -> None:
    records = [memory(f"m{place}", place / 100) for place in range(10)]
    made, lines = plan(records, config(max_fraction=0.35), tmp_path)
    assert ids(lines) == ["m0", "m1", "m2"]
    assert made.left == 7


def test_a_class_keeps_its_fewest(tmp_path: Path) -> None:
    records = [memory(f"m{place}", place / 100) for place in range(10)]
    made, lines = plan(records, config(policy={"min_keep": 6}), tmp_path)
    assert ids(lines) == ["m0", "m1", "m2", "m3"]
    assert made.left == 0


def test_cold_memories_do_not_stand_for_the_active_ones_that_a_class_keeps(tmp_path: Path) -> None:
    cold = [memory(f"c{place}", 0.2, state=COLD) for place in range(5)]
    active = [memory(f"a{place}", 0.01) for place in range(5)]
    _, lines = plan([*cold, *active], config(policy={"min_keep": 4}), tmp_path)
    assert ids(lines) == ["a0", "c0", "c1", "c2", "c3", "c4"]


def test_cold_memories_are_among_the_fewest_that_a_class_keeps(tmp_path: Path) -> None:
    records = [*(memory(f"c{place}", 0.01, state=COLD) for place in range(5)), memory("a"), memory("b")]
    _, lines = plan(records, config(policy={"min_keep": 4}), tmp_path)
    assert ids(lines) == ["c0", "c1", "c2"]


@pytest.mark.parametrize("order", [1, -1])
def test_the_cut_is_exact_among_nearly_equal_worths(tmp_path: Path, order: int) -> None:
    records = [memory(f"m{place}", 0.5 + place / 1e6) for place in range(9)][::order]
    assert ids(plan(records, config(), tmp_path, fraction=0.34)[1]) == ["m0", "m1", "m2"]
    equal = [memory(f"m{place}", 0.5) for place in range(9)][::order]
    assert ids(plan(equal, config(), tmp_path, fraction=0.34)[1]) == ["m0", "m1", "m2"]


@pytest.mark.parametrize(("fraction", "gone"), [(0.5, 5), (0.25, 2), (0.04, 0), (1.0, 10), (0.35, 4)])
def test_a_fraction_is_met_exactly(tmp_path: Path, fraction: float, gone: int) -> None:
    records = [memory(f"m{place}", 0.9 + place / 100, age=20) for place in range(10)]
    made, lines = plan(records, config(max_fraction=0.1), tmp_path, fraction=fraction)
    assert ids(lines) == [f"m{place}" for place in range(gone)]
    assert {line.reason for line in lines} <= {"fraction"}
    assert made.left == 0


def test_a_fraction_takes_copies_first(tmp_path: Path) -> None:
    records = [memory("a", 0.01), memory("x", 0.9, likeness=SAME, accesses=1), memory("y", 0.9, likeness=SAME)]
    _, lines = plan(records, config(), tmp_path, fraction=0.67)
    assert [(line.id, line.reason, line.near_dup_of) for line in lines] == [
        ("y", "duplicate", "x"),
        ("a", "fraction", None),
    ]


@pytest.mark.parametrize("fraction", [0.0, 1.1, -0.5, float("nan"), float("inf")])
def test_a_fraction_that_is_none_is_refused(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(UsageError) as caught:
        plan([memory("a")], config(), tmp_path, fraction=fraction)
    assert "--fraction 0.2" in (caught.value.hint or "")
    assert not list(tmp_path.iterdir())


def test_a_fraction_of_classes_that_forget_by_age_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none of these classes forgets by worth"):
        plan([memory("a")], config(), tmp_path, fraction=0.5, classes=("working",))


def test_only_the_classes_asked_for_are_touched(tmp_path: Path) -> None:
    settings = PruneConfig(
        max_fraction=1.0,
        classes=ClassPolicies(
            episodic=ClassPolicy("learned", 180.0, min_keep=0), semantic=ClassPolicy("learned", 180.0, min_keep=0)
        ),
    )
    records = [memory("e"), memory("s", class_=MemoryClass.SEMANTIC)]
    assert sorted(ids(plan(records, settings, tmp_path)[1])) == ["e", "s"]
    made, lines = plan(records, settings, tmp_path, classes=("semantic",))
    assert ids(lines) == ["s"]
    assert made.header.policies == {"semantic": "learned"}


def test_an_unknown_class_or_policy_is_refused_with_the_nearest(tmp_path: Path) -> None:
    for wrong in ({"classes": ("episodc",)}, {"policy": "lerned"}):
        with pytest.raises(UsageError) as caught:
            plan([memory("a")], config(), tmp_path, **wrong)
        assert "did you mean" in (caught.value.hint or "")


def test_another_policy_judges_by_its_own_model_and_reads_the_texts(tmp_path: Path) -> None:
    store = ListStore([memory("a", 0.99), memory("b", 0.99)])
    made, lines = plan(store, config(policy={"floor": 256}), tmp_path, policy="density")
    assert {line.id: line.score for line in lines} == {
        name: keep_score(f"text of {name}", model="density") for name in "ab"
    }
    assert made.header.policies["episodic"] == "density"
    assert any("text" in fields for fields in store.read)


def test_a_policy_does_not_wake_classes_that_never_forget(tmp_path: Path) -> None:
    _, lines = plan([memory("s", class_=MemoryClass.SEMANTIC)], config(), tmp_path, policy="ttl", classes=("semantic",))
    assert lines == []


def test_texts_are_read_only_where_the_worth_is_not_the_one_to_go_by(tmp_path: Path) -> None:
    store = ListStore([memory("a", 0.5), memory("old", 0.5, keep_model="learned-older"), memory("none", None)])
    _, lines = plan(store, config(policy={"floor": 256}), tmp_path)
    scores = {line.id: line.score for line in lines}
    assert scores == {"a": 0.5, "old": keep_score("text of old"), "none": keep_score("text of none")}
    fresh = ListStore([memory("a", 0.5)])
    plan(fresh, config(), tmp_path)
    assert not any("text" in fields for fields in fresh.read)


def test_past_its_time_goes_before_anything_else(tmp_path: Path) -> None:
    settings = PruneConfig(
        max_fraction=0.5,
        classes=ClassPolicies(
            working=ClassPolicy("ttl", 1.0, min_keep=0), episodic=ClassPolicy("learned", 180.0, min_keep=0)
        ),
    )
    records = [memory("e", 0.0), memory("w", 0.9, age=20, class_=MemoryClass.WORKING)]
    made, lines = plan(records, settings, tmp_path)
    assert [(line.id, line.action, line.reason) for line in lines] == [("w", "archive", "expired")]
    assert made.left == 1


def test_between_its_time_and_the_grace_a_memory_only_cools(tmp_path: Path) -> None:
    settings = config("working", policy={"policy": "ttl", "ttl_days": 1.0})
    working: dict[str, Any] = {"class_": MemoryClass.WORKING}
    records = [
        memory("young", age=0.5, **working),
        memory("cools", age=3, **working),
        memory("pinned", age=3, pinned=True, **working),
        memory("cold", age=3, state=COLD, **working),
        memory("old", age=15, **working),
        memory("was cold", age=15, state=COLD, **working),
        memory("written", age=3, updated_at=days_ago(3), **working),
        memory("changed", age=3, updated_at=days_ago(2), **working),
    ]
    _, lines = plan(records, settings, tmp_path)
    assert {line.id: line.action for line in lines} == {
        "cools": "cool",
        "written": "cool",
        "old": "archive",
        "was cold": "archive",
    }


def test_to_cold_cools_the_active_and_archives_what_is_cold_for_long(tmp_path: Path) -> None:
    records = [
        memory("a", 0.01),
        memory("just", 0.01, state=COLD, cooled_at=days_ago(3)),
        memory("long", 0.99, state=COLD, cooled_at=days_ago(31)),
        memory("unknown", 0.01, state=COLD),
    ]
    _, lines = plan(records, config(to="cold"), tmp_path)
    assert [(line.id, line.action, line.reason) for line in lines] == [
        ("long", "archive", "cold"),
        ("a", "cool", "worth"),
    ]
    _, lines = plan(records, config(), tmp_path, to="cold", fraction=1.0)
    assert [(line.id, line.action, line.reason) for line in lines] == [("a", "cool", "fraction")]


def test_a_budget_takes_no_more_than_is_over_it(tmp_path: Path) -> None:
    records = [memory(f"m{place}", 0.5 + place / 100, age=30) for place in range(10)]
    _, lines = plan(records, config(policy={"budget": 7, "floor": 0}), tmp_path)
    assert [(line.id, line.reason) for line in lines] == [("m0", "budget"), ("m1", "budget"), ("m2", "budget")]


def test_what_goes_anyway_counts_for_the_budget(tmp_path: Path) -> None:
    low = [memory(f"low{place}", 0.01) for place in range(2)]
    high = [memory(f"high{place}", 0.9 + place / 100) for place in range(6)]
    _, lines = plan([*high, *low], config(policy={"budget": 5}), tmp_path)
    assert [(line.id, line.reason) for line in lines] == [("low0", "worth"), ("low1", "worth"), ("high0", "budget")]


def test_what_is_left_for_later_runs_counts_the_budget(tmp_path: Path) -> None:
    records = [memory(f"m{place:03}", 0.4 + place / 1000) for place in range(200)]
    made, lines = plan(records, config(policy={"budget": 50, "floor": 0}, max_fraction=0.1), tmp_path)
    assert (len(lines), made.left) == (20, 130)


@pytest.mark.parametrize(
    ("keeper", "other"),
    [
        ({"pinned": True}, {"accesses": 9}),
        ({}, {"state": MemoryState.COLD, "accesses": 9}),
        ({"accesses": 2, "keep_score": 0.2}, {"accesses": 1, "keep_score": 0.9}),
        ({"keep_score": 0.9}, {"keep_score": 0.8, "created_at": days_ago(500)}),
        ({"created_at": days_ago(500)}, {}),
        ({}, {}),
    ],
)
def test_of_two_copies_the_better_stays(tmp_path: Path, keeper: dict[str, Any], other: dict[str, Any]) -> None:
    first = memory("a", **{"likeness": SAME, **keeper})
    second = memory("b", **{"likeness": SAME, **other})
    for records in ([first, second], [second, first]):
        _, lines = plan(records, config(), tmp_path)
        assert [(line.id, line.reason, line.near_dup_of) for line in lines] == [("b", "duplicate", "a")]


@pytest.mark.parametrize(
    "other",
    [
        {"class_": MemoryClass.SEMANTIC},
        {"metadata": {"tenant": "umbrella"}},
        {"likeness": None},
        {"pinned": True, "accesses": -1},
        {"tags": ("legal-hold",)},
        {"created_at": days_ago(13)},
        {"created_at": None},
        {"last_accessed": days_ago(1)},
    ],
)
def test_copies_of_other_kinds_or_protected_ones_are_not_dropped(tmp_path: Path, other: dict[str, Any]) -> None:
    best = memory("a", 0.99, likeness=SAME, metadata={"tenant": "acme"})
    twin = memory("b", **{"keep_score": 0.98, "likeness": SAME, "metadata": {"tenant": "acme"}, **other})
    _, lines = plan([best, twin], config(policy={"floor": 0}), tmp_path)
    assert "b" not in ids(lines)


def test_what_only_looks_like_a_copy_is_judged_by_itself(tmp_path: Path) -> None:
    others = [memory(name, likeness=SAME, metadata={"tenant": name}) for name in ("acme", "umbrella")]
    _, lines = plan(others, config(), tmp_path)
    assert [(line.id, line.reason) for line in lines] == [("acme", "worth"), ("umbrella", "worth")]


def test_copies_stay_where_the_settings_say_so(tmp_path: Path) -> None:
    twins = [memory(name, 0.99, likeness=SAME) for name in "ab"]
    assert plan(twins, config(duplicates=False), tmp_path)[1] == []


def test_a_likeness_that_is_none_of_ours_makes_no_copy(tmp_path: Path) -> None:
    twins = [memory(name, 0.99, likeness="alike") for name in "ab"]
    assert plan(twins, config(), tmp_path)[1] == []


def test_samples_show_every_reason_and_the_start_of_the_text(tmp_path: Path) -> None:
    long = Record(**{**{f: getattr(memory("x"), f) for f in Record.__struct_fields__}, "text": "so  long\n" * 100})
    records = [memory(f"m{place}") for place in range(9)]
    twins = [memory("t1", likeness=SAME, accesses=1), memory("t2", likeness=SAME, age=90)]
    made, _ = plan([*records, *twins, long], config(), tmp_path, samples=3)
    assert [(sample.line.id, sample.line.reason) for sample in made.samples] == [
        ("t2", "duplicate"),
        ("m0", "worth"),
        ("m1", "worth"),
    ]
    assert made.samples[1].text == "text of m0"
    assert made.samples[0].age_days == pytest.approx(90)
    assert made.youngest == {"episodic": pytest.approx(90)}
    assert len(excerpt(long.text)) <= 120
    assert "\n" not in excerpt(long.text)


def test_a_store_that_is_emptied_while_it_is_read_makes_a_small_plan(tmp_path: Path) -> None:
    store = ListStore([memory("a"), memory("b")])
    store.emptied_after = 1
    made, lines = plan(store, config(), tmp_path)
    assert lines == []
    assert made.header == check_plan(made.path)
    assert plan([], config(), tmp_path)[1] == []


def test_the_same_store_settings_and_clock_make_the_same_plan(tmp_path: Path) -> None:
    records = [memory(f"m{place}", 0.3 * (place % 3)) for place in range(50)]
    first, _ = plan(records, config(), tmp_path, name="one")
    second, _ = plan(records[::-1], config(), tmp_path, name="two", now=NOW + timedelta(minutes=5))
    bodies = [made.path.read_bytes().split(b"\n", 1)[1] for made in (first, second)]
    assert bodies[0] == bodies[1] != b""


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"max_fraction": float("nan")}, "max_fraction"),
        ({"max_fraction": 1.5}, "max_fraction"),
        ({"cold_days": -1.0}, "cold_days"),
        ({"policy": {"grace_days": float("nan")}}, "classes.episodic.grace_days"),
        ({"policy": {"min_keep": -1}}, "classes.episodic.min_keep"),
        ({"protect": ("tag=legal-hold",)}, "'tag'"),
        ({"protect": ("legal-hold",)}, "KEY=VALUE"),
        ({"protect": ("tags=",)}, "KEY=VALUE"),
        ({"protect": ("metadata.=x",)}, "metadata"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan([memory("a")], config(**settings), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_worth_of_its_own_may_be_injected(tmp_path: Path) -> None:
    request = PlanRequest()
    store: Any = ListStore([memory("a", None, author="Ann")])
    asked = []

    def score(text: str, *, author: str | None, model: str) -> float:
        asked.append((text, author, model))
        return 0.125

    path = tmp_path / "p.jsonl"
    made = make_plan(
        store, config(), request, path=path, plan_id="p", now=NOW, place="here", score_text=score, filtered=False
    )
    assert asked == [("text of a", "Ann", "learned")]
    assert made.samples[0].line.score == 0.125


def test_settings_differ_in_their_hash() -> None:
    assert config_hash(PruneConfig()) == config_hash(PruneConfig())
    assert config_hash(PruneConfig()) != config_hash(PruneConfig(max_fraction=0.3))
    assert keep_bucket(0.0) <= keep_bucket(1.0)
