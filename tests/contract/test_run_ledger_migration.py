"""How a ledger of runs is brought from one version of its tables to the next, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import StoreError
from sophiactl.runs import schema
from tests.run_ledgers import ASKED, CALL, EVERYTHING, FULL, run

if TYPE_CHECKING:
    from tests.run_ledgers import Place


class TestMigration:
    STEP = ("ALTER TABLE runs ADD COLUMN mood TEXT", "UPDATE runs SET mood = 'old'")

    def test_an_older_ledger_is_brought_forward_and_keeps_its_rows(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place().record(FULL)
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, self.STEP))
        ledger = place()
        ledger.record(run("new"))
        assert ledger.get(FULL.id) == FULL
        assert sorted(place.execute("SELECT id, mood FROM runs"), key=str) == [(FULL.id, "old"), ("new", None)]
        assert place().count(EVERYTHING) == 2

    def test_a_newer_ledger_is_refused_and_left_alone(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, self.STEP))
            place().record(FULL)
        with pytest.raises(StoreError, match="newer sophiactl") as caught:
            place()
        assert "update sophiactl" in (caught.value.hint or "")
        assert place.execute("SELECT count(*) FROM runs") == [(1,)]

    def test_a_step_that_fails_leaves_the_version_before(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        place().record(FULL)
        broken = ("ALTER TABLE runs ADD COLUMN mood TEXT", "UPDATE nowhere SET mood = 'old'")
        with monkeypatch.context() as patch:
            patch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, broken))
            with pytest.raises(StoreError):
                place()
        assert place().get(FULL.id) == FULL
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, self.STEP))
        assert place().get(FULL.id) == FULL


def test_a_ledger_of_the_first_version_learns_of_service_calls(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    old = run("old", "2026-11-01T00:00:00Z", cost=0.25, calls=(CALL,))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        patch.setattr(schema, "DROP_SERVICE_CALLS", schema.DROP_CALLS)
        place().record(old)
    ledger = place()
    assert ledger.get("old") == old
    ledger.record(FULL)
    assert ledger.get(FULL.id) == FULL
    assert ledger.forget("2026-11-02") == 1
    values = {(total.name, *total.labels.values()): total.value for total in ledger.totals()}
    assert values["requests", "route", "ok"] == 1.0
    assert values["service_calls", ASKED.service, "ok"] == 1.0
