"""How a ledger of runs is brought from one version of its tables to the next, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sophiactl.errors import StoreError
from sophiactl.runs import schema
from tests.run_ledgers import EVERYTHING, FULL, run

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
