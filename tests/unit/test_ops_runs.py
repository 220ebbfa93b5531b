from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sophiactl.errors import NotFound, UsageError
from sophiactl.ops import runs as ops
from sophiactl.runs.base import Call, Run, RunFilter, RunsConfig
from sophiactl.runs.opening import open_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sophiactl.runs.base import RunLedger

KEEPS = RunsConfig(store_text=True)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[RunLedger]:
    opened = open_ledger(RunsConfig(), tmp_path, {})
    texts: tuple[dict[str, Any], ...] = ({"prompt": "Renewal of Acme"}, {"answer": "the RENEWAL is due"}, {})
    for day, fields in enumerate(texts, 1):
        at = f"2026-11-{day:02}T00:00:00Z"
        priced = (Call("m", "p", cost=0.25),)
        opened.record(Run(id=f"8f{day}", command="route", at=at, cost=0.25, premium_cost=1.0, calls=priced, **fields))
    yield opened
    opened.close()


def names(runs: Any) -> list[str]:
    return [run.id for run in runs]


def test_listing_is_newest_first(ledger: RunLedger) -> None:
    assert names(ops.listing(RunFilter(), ledger, limit=2)) == ["8f3", "8f2"]


def test_show_finds_by_a_beginning_or_says_what_to_do(ledger: RunLedger) -> None:
    assert ops.show("8f1", ledger).prompt == "Renewal of Acme"
    with pytest.raises(NotFound) as caught:
        ops.show("77", ledger)
    assert caught.value.hint == "sophiactl runs list"
    with pytest.raises(UsageError, match="more than one"):
        ops.show("8", ledger)
    with pytest.raises(NotFound):
        ops.show("", ledger)


def test_search_says_whether_words_are_kept(ledger: RunLedger) -> None:
    found = ops.search(" renewal ", RunFilter(), ledger, KEEPS)
    assert (names(found.runs), found.kept) == (["8f2", "8f1"], True)
    assert not ops.search("renewal", RunFilter(), ledger, RunsConfig()).kept
    assert names(ops.search("renewal", RunFilter(since="2026-11-02"), ledger, KEEPS).runs) == ["8f2"]
    with pytest.raises(UsageError, match="empty"):
        ops.search(" ", RunFilter(), ledger, KEEPS)


def test_forgetting_is_a_dry_run_until_told_otherwise(ledger: RunLedger) -> None:
    planned = ops.forget("2026-11-03", ledger)
    assert (planned.runs, planned.dry_run, ledger.count(RunFilter())) == (2, True, 3)
    done = ops.forget("2026-11-03", ledger, dry_run=False)
    assert (done.runs, done.dry_run, names(ledger.scan(RunFilter()))) == (2, False, ["8f3"])


def test_stats_and_feedback(ledger: RunLedger) -> None:
    assert ops.feedback("8f1", "good", ledger).feedback == "good"
    found = ops.stats(RunFilter(), ledger)
    assert (found.requests, found.cost, found.saved, found.saved_share) == (3, 0.75, 2.25, 0.75)
    assert found.feedback_good == 1
    assert ops.stats(RunFilter(since="2026-11-03"), ledger).requests == 1


def test_as_data_leaves_no_unknown_out(ledger: RunLedger) -> None:
    data = ops.as_data(ops.show("8f3", ledger))
    assert set(data) == set(Run.__struct_fields__)
    assert (data["model"], data["score"]) == (None, None)
    assert set(data["calls"][0]) == set(Call.__struct_fields__)
    assert data["calls"][0]["latency"] is None
