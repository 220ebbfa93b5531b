"""The rules over one memory."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.errors import UsageError
from sophiactl.memory.plan_file import Reason
from sophiactl.memory.policy import ClassPolicies, ClassPolicy, PruneConfig
from sophiactl.memory.retention import Rules, check_fraction, read_row, row_of, words, worth
from sophiactl.memory.retention_explain import explain_row
from sophiactl.memory.worth import MODEL_VERSION
from sophiactl.model import MemoryClass, MemoryState
from tests.plan_stores import COLD, NOW, config, days_ago, memory


def why(record: Any, settings: PruneConfig | None = None) -> str | None:
    return Rules(settings or config(), NOW).protected(row_of(record))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pinned": True}, "pinned"),
        ({"tags": ("x", "legal-hold")}, "protected by tags=legal-hold"),
        ({"tags": ("Legal-Hold",)}, "protected by tags=legal-hold"),
        ({"metadata": {"legal_hold": True}}, "protected by metadata.legal_hold=true"),
        ({"metadata": {"legal_hold": "True "}}, "protected by metadata.legal_hold=true"),
        ({"metadata": {"legal_hold": ["x", True]}}, "protected by metadata.legal_hold=true"),
        ({"state": MemoryState.ARCHIVED}, "its state is archived"),
        ({"class_": MemoryClass.SEMANTIC}, "the class semantic never forgets"),
        ({"created_at": days_ago(13.99)}, "younger than 14 days"),
        ({"created_at": None}, "no creation date"),
        ({"created_at": "last spring"}, "its creation date cannot be read"),
        ({"created_at": days_ago(-1)}, "created in the future"),
        ({"created_at": "2026-11-08T11:00:00-04:00"}, "younger than 14 days"),
        ({"last_accessed": days_ago(13)}, "cited in the last 14 days"),
        ({"last_accessed": days_ago(-1)}, "cited in the last 14 days"),
        ({"updated_at": days_ago(13)}, "changed in the last 14 days"),
        ({"updated_at": "?"}, "the date it was last changed cannot be read"),
        ({"last_accessed": "?"}, "the date it was last cited cannot be read"),
    ],
)
def test_what_protects_a_memory(fields: dict[str, Any], says: str) -> None:
    assert why(memory("a", **fields)) == says


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"metadata": {"legal_hold": False}},
        {"metadata": {"legal_hold": "no"}},
        {"created_at": days_ago(14)},
        {"created_at": "2026-11-08T11:00:00"},
        {"created_at": "2026-11-08T13:30:00+02:00"},
        {"created_at": "2026-11-08"},
        {"last_accessed": days_ago(15), "updated_at": days_ago(14)},
        {"state": COLD},
    ],
)
def test_what_does_not(fields: dict[str, Any]) -> None:
    assert why(memory("a", **fields)) is None


@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ("source=crm", {"source": "CRM"}),
        ("thread=a=b", {"thread": "a=b"}),
        ("class=episodic", {}),
        ("metadata.tenant=acme", {"metadata": {"tenant": "acme"}}),
        ("metadata.level=3", {"metadata": {"level": 3}}),
        ("metadata.deal.stage=won", {"metadata": {"deal": {"stage": "won"}}}),
        ("metadata.deal.stage=won", {"metadata": {"deal.stage": "won"}}),
        (" author = Ann ", {"author": "ann"}),
    ],
)
def test_conditions_of_protection(condition: str, fields: dict[str, Any]) -> None:
    settings = config(protect=(condition,))
    assert why(memory("a", **fields), settings) == f"protected by {condition}"
    if not condition.startswith("class"):
        assert why(memory("a"), settings) is None


def test_a_condition_names_the_fields_that_must_be_read() -> None:
    assert "author" in Rules(config(protect=("author=Ann",)), NOW).fields
    assert "text" not in Rules(config(), NOW).fields


def test_a_clock_without_a_zone_is_utc() -> None:
    rules = Rules(config(), datetime(2026, 11, 22, 12))  # noqa: DTZ001
    assert rules.now == NOW.timestamp()


def test_citations_raise_the_worth_a_little_and_boundedly() -> None:
    cited = [worth(row_of(memory("a", 0.5, accesses=count))) for count in (0, 1, 3, 7, 1000)]
    assert cited[0] == 0.5
    assert cited == sorted(cited)
    assert cited[1] == pytest.approx(0.562, abs=1e-3)
    assert cited[3] == cited[4] == pytest.approx(0.679, abs=1e-3)


@given(st.floats(0, 1), st.integers(0, 10**9))
def test_worth_is_a_share_and_never_below_that_of_the_words(score: float, accesses: int) -> None:
    found = worth(row_of(memory("a", score, accesses=accesses)))
    assert round(score, 6) <= found <= 1


def test_learned_needs_age_and_little_worth() -> None:
    rules = Rules(config(policy={"floor": 96}), NOW)

    def reason(score: float, **fields: Any) -> str | None:
        row = row_of(memory("a", score, **fields))
        choice = rules.choice(row, worth(row))
        return choice.reason if choice else None

    assert reason(0.01) == "worth"
    assert reason(0.99) is None
    assert reason(0.01, age=179) is None
    assert reason(0.01, last_accessed=days_ago(170)) is None, "a citation starts the time anew"
    assert reason(0.01, last_accessed=days_ago(190)) == "worth"
    endless = Rules(config(policy={"ttl_days": 0.0, "floor": 256}), NOW)
    assert endless.choice(row_of(memory("a", 0.0)), 0.0) is None, "0 days means no end"


def test_rows_are_read_leniently() -> None:
    row = read_row({"id": "a", "accesses": -4, "keep_score": 7, "rev": "x", "pinned": "yes", "created_at": 12})
    assert (row.accesses, row.keep_score, row.rev, row.pinned) == (0, None, 1, True)
    assert row.created != row.created, "a number is no date: not a number"
    assert read_row({}).class_ == ""


def test_the_worth_of_another_model_is_not_the_one_to_go_by() -> None:
    rules = Rules(config(), NOW)
    assert not rules.needs_text(row_of(memory("a")))
    assert rules.needs_text(row_of(memory("a", keep_model="density-1")))
    assert rules.needs_text(row_of(memory("a", None)))
    assert Rules(config(), NOW, policy="density").mark("episodic") == f"density-{MODEL_VERSION}"


def test_a_policy_takes_the_place_of_those_that_go_by_worth() -> None:
    settings = PruneConfig(classes=ClassPolicies(semantic=ClassPolicy("density")))
    assert Rules(settings, NOW, policy="ttl").policies() == {
        "working": "ttl",
        "episodic": "ttl",
        "semantic": "ttl",
        "procedural": "never",
        "source": "never",
    }
    named = Rules(settings, NOW, policy="learned", classes=("working", "source")).policies()
    assert named == {"working": "learned", "source": "never"}


@pytest.mark.parametrize("fraction", [None, 0.001, 1.0])
def test_a_share_is_above_nothing_and_up_to_all(fraction: float | None) -> None:
    check_fraction(fraction)
    with pytest.raises(UsageError, match=r"a fraction of 1\.1 "):
        check_fraction(1.1)


def test_every_reason_has_words() -> None:
    assert all(words(reason) != reason for reason in get_args(Reason))


@pytest.mark.parametrize(
    ("fields", "settings", "says"),
    [
        ({}, {}, "would archive it: old, and worth little"),
        ({}, {"to": "cold"}, "would make it cold"),
        ({"pinned": True}, {}, "keeps it: pinned"),
        ({"age": 20}, {}, "keeps it: it is not yet 180 days since it was made or cited"),
        ({"worth": 0.99}, {}, "keeps it: it is worth more than the floor of its class"),
        ({"class_": MemoryClass.SEMANTIC}, {}, "keeps it: the class semantic never forgets"),
        ({"created_at": None}, {}, "keeps it: no creation date"),
        ({"state": COLD, "cooled_at": days_ago(2)}, {"to": "cold"}, "keeps it: it is cold, and not yet for 30 days"),
        ({"age": 20}, {"policy": {"budget": 5}}, "only if its class holds more than its budget"),
        ({}, {"policy": {"ttl_days": 0.0}}, "keeps it: its class has no end"),
    ],
)
def test_the_explanation_ends_with_what_a_plan_would_do(
    fields: dict[str, Any], settings: dict[str, Any], says: str
) -> None:
    record = memory("a", fields.pop("worth", 0.01), **fields)
    lines = explain_row(record, Rules(config(**settings), NOW))
    assert says in lines[-1]
    assert lines[0].startswith("worth 0.")


def test_the_explanation_names_age_words_and_citations() -> None:
    record = memory("a", None, accesses=3)
    told = "\n".join(
        explain_row(msgspec.structs.replace(record, text="Ann moved to Berlin in 2019"), Rules(config(), NOW))
    )
    assert "cited 3 times" in told
    assert "created on 2025-10-18, 400 days ago" in told
    assert "speaks for it: " in told


def test_the_explanation_of_a_copy_names_the_one_to_keep() -> None:
    best, twin = (memory(name, 0.9, likeness="00000000000000aa", accesses=n) for name, n in (("a", 1), ("b", 0)))
    rules = Rules(config(), NOW)
    assert "another memory says the same: 'a' is the copy to keep" in explain_row(twin, rules, copies=[best])
    assert "another memory says the same" in explain_row(twin, rules, copies=[best])[-1]
    assert "this one is the copy to keep" in explain_row(best, rules, copies=[twin])[-2]
    assert "keeps it" in explain_row(best, rules, copies=[twin])[-1]
