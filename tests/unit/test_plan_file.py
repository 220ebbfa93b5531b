"""Plan files: written whole, read in order, and found out when they are not what was written."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.errors import SophiaError, UsageError
from sophiactl.memory.plan_file import (
    ClassCounts,
    Header,
    Line,
    check_plan,
    check_use,
    read_header,
    read_lines,
    write_plan,
)
from tests.plan_stores import NOW

if TYPE_CHECKING:
    from pathlib import Path

HEADER = Header(
    id="2026-11-22-a41f",
    collection="main",
    place="/state/memory",
    config="c" * 64,
    model="m-1",
    policies={"episodic": "learned"},
    created="2026-11-22T12:00:00Z",
    expires="2026-11-29T12:00:00Z",
    before=5,
    classes={"episodic": ClassCounts(before=4, eligible=3), "semantic": ClassCounts(before=1)},
)
LINES = [
    Line("w", 1, "working", 0.5, "cool", "expired"),
    Line('a\n"b" \ud800 é', 3, "episodic", 0.031, "archive", "worth"),
    Line("b", 2, "episodic", 0.9, "archive", "duplicate", "kept"),
]
USE: dict[str, Any] = {"collection": "main", "place": "/state/memory", "config_hash": "c" * 64, "now": NOW}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "plans" / "p.jsonl"
    write_plan(path, HEADER, LINES)
    return path


def test_a_plan_is_read_as_it_was_written(written: Path) -> None:
    header = check_plan(written)
    assert read_header(written) == header
    assert list(read_lines(written)) == LINES
    assert header.counts == {"archive": 2, "cool": 1}
    assert header.reasons == {"duplicate": 1, "expired": 1, "worth": 1}
    assert header.classes["episodic"] == ClassCounts(before=4, eligible=3, archive=2)
    assert header.classes["semantic"] == ClassCounts(before=1)
    assert header.classes["working"].cool == 1


def test_it_is_plain_lines_of_ascii_for_its_owner_alone(written: Path) -> None:
    first, *rest = written.read_bytes().decode("ascii").splitlines()
    assert json.loads(first)["kind"] == "sophiactl prune plan"
    assert json.loads(rest[0]) == {
        "id": "w", "rev": 1, "class": "working", "score": 0.5, "action": "cool", "reason": "expired"
    }  # fmt: skip
    assert json.loads(rest[2])["near_dup_of"] == "kept"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.parent.stat().st_mode) == 0o700
    assert os.listdir(written.parent) == ["p.jsonl"]  # noqa: PTH208 - hidden ones too


def test_what_is_known_only_at_the_end_is_in_the_header_too(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    header = write_plan(
        path, HEADER, LINES, complete=lambda found: msgspec.structs.replace(found, bytes=found.counts["archive"] * 7)
    )
    assert check_plan(path) == header
    assert header.bytes == 14


def test_a_plan_without_lines_is_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    write_plan(path, HEADER, [])
    assert check_plan(path).counts == {}
    assert list(read_lines(path)) == []


def test_an_old_plan_stays_when_a_new_one_fails(written: Path) -> None:
    def broken() -> Any:
        yield LINES[0]
        raise UsageError("stop")

    before = written.read_bytes()
    with pytest.raises(UsageError, match="stop"):
        write_plan(written, HEADER, broken())
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == ["p.jsonl"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"id":"w"', b'"id":"x"', "was changed after it was made"),
        (b'"before":5', b'"before":6', "was changed after it was made"),
        (b'"before":5', b'"before": 5', "was changed after it was made"),
        (b'"version":1', b'"version":2', "made by a newer sophiactl"),
        (b"sophiactl prune plan", b"sophiactl prune plum", "is no plan"),
        (b'"before":5', b'"before":"5"', "has a header that was changed"),
        (b'"sha256":"', b'"sha256":"0', "was changed after it was made"),
        (b"}\n", b"}\r\n", "was changed after it was made"),
    ],
)
def test_a_plan_that_was_edited_is_found_out(written: Path, old: bytes, new: bytes, says: str) -> None:
    written.write_bytes(written.read_bytes().replace(old, new))
    with pytest.raises(UsageError, match=says) as caught:
        check_plan(written)
    assert "sophiactl prune plan" in (caught.value.hint or "")


def test_lines_that_are_missing_doubled_or_swapped_are_found_out(written: Path) -> None:
    first, *rest = written.read_bytes().splitlines(keepends=True)
    for changed, says in (
        (rest[:-1], "cut short: 2 of its 3 lines"),
        ([*rest, rest[0]], "was changed"),
        ([rest[1], rest[0], rest[2]], "was changed"),
        ([*rest, b"\n"], "was changed"),
    ):
        written.write_bytes(b"".join([first, *changed]))
        with pytest.raises(UsageError, match=says):
            check_plan(written)


def test_a_plan_cut_at_any_byte_is_refused(written: Path) -> None:
    whole = written.read_bytes()
    for size in range(len(whole)):
        written.write_bytes(whole[:size])
        with pytest.raises(UsageError, match=r"cut short|is empty"):
            check_plan(written)


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_with_any_byte_changed_is_refused(written: Path, data: st.DataObject) -> None:
    whole = bytearray(written.read_bytes())
    kept = bytes(whole)
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    written.write_bytes(whole)
    try:
        with pytest.raises(UsageError):
            check_plan(written)
        with contextlib.suppress(SophiaError):
            # Whoever reads without checking gets lines or a refusal, nothing else.
            list(read_lines(written))
    finally:
        written.write_bytes(kept)


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"[1]\n", b"\xff\x00\n", b"[" * 100_000 + b"\n", b"null\n"])
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"is no plan|is empty"):
        read_header(path)


def test_no_plan_at_all(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none.jsonl", "there is no plan"), (tmp_path, "cannot be read")):
        with pytest.raises(UsageError, match=says) as caught:
            check_plan(path)
        assert "sophiactl prune plan" in (caught.value.hint or "")
    with pytest.raises(UsageError, match=r"cannot be read|there is no plan"):
        check_plan(tmp_path / "nul\0byte")


def test_a_plan_is_used_where_and_when_it_was_made_for() -> None:
    check_use(HEADER, **USE)
    check_use(HEADER, **{**USE, "now": NOW - timedelta(minutes=5)})
    check_use(HEADER, **{**USE, "now": NOW + timedelta(days=7, seconds=-1)})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"collection": "other"}, "is for the collection 'main', not 'other'"),
        ({"place": "http://localhost:6333"}, "of another place: /state/memory"),
        ({"config_hash": "d" * 64}, "under other settings"),
        ({"now": NOW + timedelta(days=7)}, "has expired"),
        ({"now": NOW - timedelta(minutes=6)}, "was made in the future"),
    ],
)
def test_a_plan_is_refused_elsewhere(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        check_use(HEADER, **{**USE, **changed})
    assert caught.value.hint


def test_a_plan_that_does_not_say_when_it_was_made_is_refused() -> None:
    with pytest.raises(UsageError, match="does not say when"):
        check_use(msgspec.structs.replace(HEADER, expires="soon"), **USE)


lines = st.builds(
    Line,
    id=st.text(st.characters(), max_size=30),
    rev=st.integers(-(2**63), 2**63 - 1),
    class_=st.sampled_from(["episodic", "working"]),
    score=st.floats(0, 1),
    action=st.sampled_from(["archive", "cool"]),
    reason=st.sampled_from(["worth", "cold"]),
    near_dup_of=st.one_of(st.none(), st.text(st.characters(), max_size=5)),
)


@given(st.lists(lines, max_size=20))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_ids_come_back(tmp_path: Path, many: list[Line]) -> None:
    path = tmp_path / "p.jsonl"
    header = write_plan(path, HEADER, many)
    assert check_plan(path) == header
    assert list(read_lines(path)) == many
