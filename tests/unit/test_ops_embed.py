from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from sophiactl.embedding.base import EmbeddingConfig
from sophiactl.errors import DiskFull, Locked, UsageError
from sophiactl.memory.base import EVERYTHING, MemoryConfig
from sophiactl.ops import embed_job
from sophiactl.ops.embed import EmbedRequest, embed, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.model import Record
    from sophiactl.ops.embed import EmbedReport
    from sophiactl.wiring import Wiring


def run(wiring: Wiring, *paths: Path, force: bool = False) -> EmbedReport:
    return embed(EmbedRequest(tuple(map(str, paths)), force=force), wiring)


def stored(wiring: Wiring) -> dict[str, Record]:
    with wiring.store(purpose="test") as store:
        return {point.record.id: point.record for point in store.scroll(EVERYTHING)}


def facts(wiring: Wiring) -> set[tuple[object, ...]]:
    """What the memory says, without what a second run may change."""
    return {(r.id, r.text, r.source, r.position, r.locator) for r in stored(wiring).values()}


def touch(path: Path, text: str) -> None:
    """Write, with a modification time that differs even on a coarse clock."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 2_000_000_000, before + 2_000_000_000))


def test_documents_become_passages_that_know_their_place(wiring: Wiring, docs: Path) -> None:
    report = run(wiring, docs)
    assert (report.files, report.new, report.skipped) == (2, 2, ())
    undo = next(record for record in stored(wiring).values() if "restore PLAN" in record.text)
    assert undo.source == str(docs / "prune.md")
    assert undo.locator is not None
    assert undo.locator.start is not None
    text = (docs / "prune.md").read_text()
    assert text[undo.locator.start : undo.locator.end] == undo.text


def test_doing_it_again_reads_and_writes_nothing(wiring: Wiring, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(wiring, docs)
    before = stored(wiring)
    monkeypatch.setattr(embed_job, "read_file", None)
    second = run(wiring, docs)
    assert (second.unchanged, second.written, second.removed, second.passages) == (2, 0, 0, first.passages)
    assert stored(wiring) == before


def test_a_touched_file_is_read_but_not_embedded(wiring: Wiring, docs: Path) -> None:
    run(wiring, docs)
    touch(docs / "prune.md", (docs / "prune.md").read_text())
    report = run(wiring, docs)
    assert (report.unchanged, report.written) == (2, 0)


def test_an_edit_embeds_only_what_is_new_and_moves_the_rest(make_wiring: Callable[..., Wiring], docs: Path) -> None:
    wiring = make_wiring(embedding=EmbeddingConfig(chunk_tokens=16))
    run(wiring, docs)
    before = stored(wiring)
    path = docs / "prune.md"
    touch(
        path, path.read_text().replace("# Prune\n", "# Prune\n\nAn entirely new first paragraph of eight words.\n", 1)
    )
    report = run(wiring, docs)
    assert (report.changed, report.unchanged) == (1, 1)
    assert report.kept > 0
    assert report.written < report.passages
    text = path.read_text()
    moved = [r for r in stored(wiring).values() if r.id in before and r.source == str(path)]
    assert moved
    for record in moved:
        assert record.locator is not None
        assert text[record.locator.start : record.locator.end] == record.text


def test_deleted_text_and_deleted_files_leave_the_memory(wiring: Wiring, docs: Path) -> None:
    run(wiring, docs)
    touch(docs / "prune.md", "# Prune\n\nPruning forgets old memories.\n")
    (docs / "secrets.txt").unlink()
    report = run(wiring, docs)
    assert (report.changed, report.deleted) == (1, 1)
    assert not any("restore" in r.text or "Secrets" in r.text for r in stored(wiring).values())
    assert status(wiring).files == 1


def test_a_file_outside_the_folder_named_is_left_alone(wiring: Wiring, docs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("Something else entirely.")
    run(wiring, docs, other)
    other.unlink()
    assert run(wiring, docs).deleted == 0
    assert any("Something else" in record.text for record in stored(wiring).values())
    assert [(item.path, item.state) for item in status(wiring).due] == [(str(other), "deleted")]


def test_pins_and_accesses_survive_an_edit_and_a_forced_run(wiring: Wiring, docs: Path) -> None:
    run(wiring, docs)
    name = next(r.id for r in stored(wiring).values() if r.source == str(docs / "secrets.txt"))
    with wiring.store(purpose="test") as store:
        store.set_fields([name], {"pinned": True, "accesses": 7})
    run(wiring, docs, force=True)
    record = stored(wiring)[name]
    assert (record.pinned, record.accesses) == (True, 7)


def test_two_files_with_the_same_text_are_two_sources(wiring: Wiring, docs: Path) -> None:
    (docs / "copy.txt").write_text((docs / "secrets.txt").read_text())
    run(wiring, docs)
    same = [record for record in stored(wiring).values() if "Secrets come" in record.text]
    assert {record.source for record in same} == {str(docs / "copy.txt"), str(docs / "secrets.txt")}


class _Stop(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("deaths", range(1, 9))
def test_a_job_that_dies_anywhere_ends_like_an_undisturbed_one(
    make_wiring: Callable[..., Wiring], docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    monkeypatch.setattr(embed_job, "WINDOW", 3)
    config = EmbeddingConfig(chunk_tokens=16)
    calm = make_wiring(embedding=config, memory=MemoryConfig(collection="calm"))
    rough = make_wiring(embedding=config, memory=MemoryConfig(collection="rough"))
    for number in range(6):
        (docs / f"n{number}.md").write_text("\n\n".join(f"Paragraph {n} of file {number}, in words." for n in range(4)))
    run(calm, docs)
    opened = rough.store
    calls = 0

    def dying(**options: object) -> object:
        nonlocal calls
        calls += 1
        store = opened(**options)  # type: ignore[arg-type]
        if calls == deaths:
            store.close()
            raise _Stop
        if calls == deaths + 1:
            kept = store.upsert

            def after(points: object) -> None:
                kept(points)  # type: ignore[arg-type]
                store.close()
                raise _Stop  # the store has it, the ledger does not know yet

            monkeypatch.setattr(store, "upsert", after)
        return store

    monkeypatch.setattr(rough, "store", dying)
    for _ in range(2):
        try:
            run(rough, docs)
        except _Stop:
            continue
    monkeypatch.setattr(rough, "store", opened)
    run(rough, docs)
    assert facts(rough) == facts(calm)


def test_a_full_disk_loses_nothing(wiring: Wiring, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(wiring, docs)
    (docs / "new.md").write_text("A new document about renewals.")
    opened = wiring.store

    def full(**options: object) -> object:
        store = opened(**options)  # type: ignore[arg-type]

        def upsert(_: object) -> None:
            raise DiskFull("no room", hint="free some")

        monkeypatch.setattr(store, "upsert", upsert)
        return store

    monkeypatch.setattr(wiring, "store", full)
    with pytest.raises(DiskFull):
        run(wiring, docs)
    monkeypatch.setattr(wiring, "store", opened)
    report = run(wiring, docs)
    assert (report.new, report.unchanged, report.written) == (1, 2, 1)


def test_a_second_job_waits_and_then_names_the_first(make_wiring: Callable[..., Wiring], docs: Path) -> None:
    wiring = make_wiring(memory=MemoryConfig(lock_timeout=0.0))
    with wiring.job_lock("embed"), pytest.raises(Locked, match=r"`sophiactl embed` \(pid \d+"):
        run(wiring, docs)


def test_a_collection_that_was_removed_is_filled_again(wiring: Wiring, docs: Path) -> None:
    import shutil

    first = run(wiring, docs)
    shutil.rmtree(wiring.memory_folder)
    assert run(wiring, docs).written == first.written


def test_an_empty_folder_makes_no_memory(wiring: Wiring, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report = run(wiring, tmp_path / "empty")
    assert (report.files, report.passages) == (0, 0)
    assert not wiring.memory_folder.exists()


def test_bad_files_are_named_and_the_good_ones_embedded(wiring: Wiring, docs: Path) -> None:
    (docs / "noise.txt").write_bytes(bytes(range(256)) * 20)
    (docs / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    report = run(wiring, docs)
    assert report.new == 2
    assert {item.path for item in report.skipped} == {str(docs / "noise.txt"), str(docs / "broken.pdf")}
    assert all(item.reason for item in report.skipped)


def test_a_missing_path_is_an_error_before_anything_is_done(wiring: Wiring, docs: Path) -> None:
    with pytest.raises(UsageError):
        run(wiring, docs, docs / "missing.md")
    assert not wiring.memory_folder.exists()


def test_other_chunk_settings_read_the_files_again(make_wiring: Callable[..., Wiring], docs: Path) -> None:
    run(make_wiring(), docs)
    finer = make_wiring(embedding=EmbeddingConfig(chunk_tokens=16))
    report = run(finer, docs)
    assert report.unchanged == 0
    assert len(stored(finer)) == report.passages


def test_the_report_is_json(wiring: Wiring, docs: Path) -> None:
    assert msgspec.json.decode(msgspec.json.encode(run(wiring, docs)))["files"] == 2
