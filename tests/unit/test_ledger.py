from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from sophiactl.embedding.ledger import FileRow, JobLedger
from sophiactl.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

ROW = FileRow("/a.md", 10, 99, "digest", "mark", "pending")


def test_a_passage_is_done_only_when_said_so(tmp_path: Path) -> None:
    with JobLedger(tmp_path / "jobs" / "main.db") as ledger:
        ledger.plan(ROW, ["p1", "p2"])
        ledger.mark_done(["p1"])
    with JobLedger(tmp_path / "jobs" / "main.db") as ledger:
        assert ledger.passages("/a.md") == {"p1": True, "p2": False}
        assert ledger.counts().passages_pending == 1


def test_planning_again_keeps_what_is_done_and_lists_what_is_stale(tmp_path: Path) -> None:
    with JobLedger(tmp_path / "main.db") as ledger:
        ledger.plan(ROW, ["p1", "p2"])
        ledger.mark_done(["p1", "p2"])
        ledger.plan(ROW, ["p2", "p3"])
        assert ledger.passages("/a.md") == {"p1": True, "p2": True, "p3": False}
        ledger.forget(["p1"])
        assert set(ledger.passages("/a.md")) == {"p2", "p3"}


def test_a_dropped_file_leaves_nothing(tmp_path: Path) -> None:
    with JobLedger(tmp_path / "main.db") as ledger:
        ledger.plan(ROW, ["p1"])
        ledger.drop("/a.md")
        assert (ledger.file("/a.md"), ledger.passages("/a.md"), ledger.files()) == (None, {}, [])


def test_a_damaged_file_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "main.db"
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="damaged") as caught:
        JobLedger(path)
    assert "rebuilt from the documents" in (caught.value.hint or "")


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "main.db"
    with JobLedger(path):
        pass
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer"):
        JobLedger(path)


def test_a_folder_in_the_way_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file, not a folder")
    with pytest.raises(StoreError):
        JobLedger(tmp_path / "jobs" / "main.db")
