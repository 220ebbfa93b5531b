from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.errors import DiskFull, Locked
from sophiactl.locks import FileLock
from sophiactl.memory import audit
from sophiactl.memory.audit import append, entries, head_path, verify

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def log(path: Path, count: int) -> list[bytes]:
    for number in range(count):
        append(path, "apply", clock=lambda: NOW, plan=f"p{number}", counts={"archived": number})
    return path.read_bytes().splitlines(keepends=True)


def test_a_log_that_nobody_touched(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert verify(path) == (0, None, 0, None)
    log(path, 4)
    assert verify(path) == (4, None, 0, None)
    found = list(entries(path))
    assert [(one.n, one.event, one.plan, one.counts) for one in found] == [
        (n + 1, "apply", f"p{n}", {"archived": n}) for n in range(4)
    ]
    assert found[0].previous == "0" * 64
    assert [one.previous for one in found[1:]] == [one.hash for one in found[:-1]]
    assert all(one.pid == os.getpid() and "@" in one.actor and one.at == "2026-03-01T12:00:00Z" for one in found)
    assert path.stat().st_mode & 0o777 == 0o600
    assert head_path(path).stat().st_mode & 0o777 == 0o600


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_can_be_changed_unnoticed(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "log.jsonl"
    if not path.exists():
        log(path, 4)
        (tmp_path / "copy").write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "copy").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    path.write_bytes(content)
    assert verify(path).broken == bytes((tmp_path / "copy").read_bytes()[:at]).count(b"\n") + 1


@pytest.mark.parametrize("place", range(5))
def test_a_line_taken_out_put_in_or_moved_is_noticed(tmp_path: Path, place: int) -> None:
    path = tmp_path / "log.jsonl"
    lines = log(path, 5)
    path.write_bytes(b"".join(lines[:place] + lines[place + 1 :]))
    assert verify(path).broken == place + 1
    path.write_bytes(b"".join([*lines[: place + 1], lines[place], *lines[place + 1 :]]))
    assert verify(path).broken == place + 2
    path.write_bytes(b"".join([*lines[:place], b"{}\n", *lines[place:]]))
    assert verify(path).broken == place + 1
    if place < 4:
        path.write_bytes(b"".join([*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]))
        assert verify(path).broken == place + 1


def test_an_end_that_was_cut_off_is_noticed_and_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = log(path, 5)
    for left in range(5):
        path.write_bytes(b"".join(lines[:left]))
        assert verify(path).broken == left + 1
    path.write_bytes(b"".join(lines[:2]))
    append(path, "restore", clock=lambda: NOW, counts={})
    assert verify(path).broken == 3
    assert [(one.n, one.event) for one in entries(path)] == [
        (1, "apply"),
        (2, "apply"),
        (6, "mended"),
        (7, "restore"),
    ]
    path.unlink()
    assert verify(path).broken == 1


def test_a_line_cut_short_is_told_of_and_mended_without_being_hidden(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = log(path, 2)
    with path.open("ab") as file:
        file.write(lines[0][:40])
    assert verify(path) == (2, None, 1, None)
    append(path, "apply", clock=lambda: NOW, counts={"archived": 7})
    assert verify(path) == (4, None, 1, None)
    assert [one.event for one in entries(path)] == ["apply", "apply", "mended", "apply"]
    content = path.read_bytes()
    assert content.count(lines[0][:40] + b"\n") == 1
    # Afterwards the torn line is as much a part of the log as any other.
    path.write_bytes(content.replace(lines[0][:40] + b"\n", lines[0][:39] + b"\n"))
    assert verify(path).broken == 3
    path.write_bytes(content.replace(lines[0][:40] + b"\n", b""))
    assert verify(path).broken == 3


def test_an_entry_that_was_shortened_is_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = log(path, 3)
    path.write_bytes(b"".join(lines)[:-20])
    verdict = verify(path)
    assert (verdict.broken, verdict.torn) == (3, 1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_kill_between_an_entry_and_the_head(tmp_path: Path, count: int) -> None:
    path = tmp_path / "log.jsonl"
    for _ in range(count - 1):
        log(path, 1)
    head = head_path(path).read_bytes() if count > 1 else None
    log(path, 1)
    head_path(path).unlink() if head is None else head_path(path).write_bytes(head)
    assert verify(path) == (count, None, 0, None)
    append(path, "apply", clock=lambda: NOW, counts={})
    assert verify(path) == (count + 1, None, 0, None)


def test_every_cut_of_the_last_write_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log(path, 2)
    before, head = path.read_bytes(), head_path(path).read_bytes()
    log(path, 1)
    after = path.read_bytes()
    for length in range(len(before), len(after) + 1):
        path.write_bytes(after[:length])
        head_path(path).write_bytes(head)
        assert verify(path).broken is None
        append(path, "apply", clock=lambda: NOW, counts={})
        assert verify(path).broken is None


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"n":2,"hash":"00"}', b'{"n":1,"hash":"00"}'])
def test_a_head_that_does_not_fit_is_noticed_and_noted(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "log.jsonl"
    log(path, 2)
    head_path(path).unlink() if content is None else head_path(path).write_bytes(content)
    assert verify(path).broken == 2
    append(path, "apply", clock=lambda: NOW, counts={})
    assert [one.event for one in entries(path)] == ["apply", "apply", "mended", "apply"]


def test_a_forged_end_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = log(path, 3)
    forged = json.loads(lines[2])
    forged["counts"] = {"archived": 0}
    path.write_bytes(b"".join([*lines[:2], json.dumps(forged).encode() + b"\n"]))
    assert verify(path).broken == 3


def test_one_writes_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    monkeypatch.setattr(audit, "LOCK_SECONDS", 0.0)
    with FileLock(tmp_path / "log.lock", purpose="other", timeout=0), pytest.raises(Locked, match="other"):
        log(path, 1)
    log(path, 1)
    assert verify(path).entries == 1


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    log(path, 2)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(DiskFull):
            log(path, 1)
    assert path.read_bytes() == before
    assert verify(path).broken is None


def test_times_may_go_backwards(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for number in range(3):
        append(path, "apply", clock=lambda number=number: NOW - timedelta(days=number), counts={})  # type: ignore[misc]
    assert verify(path) == (3, None, 0, None)
