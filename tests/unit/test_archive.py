from __future__ import annotations

import math
import os
import random
import stat
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sophiactl.errors import DiskFull, StoreError
from sophiactl.memory.archive import ArchiveReader, ArchiveWriter, Damage
from sophiactl.memory.base import Point, SparseVector
from sophiactl.memory.frames import HEADER, MAGIC, Archived, framed, key_of, name_of, pack, text_hash, unpack
from sophiactl.model import Locator, MemoryClass, MemoryState, Record
from tests.prune_stores import facts_of, point

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters(), max_size=20)  # any code point, lone surrogates too
PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBER = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.builds(
    Record,
    id=TEXT,
    text=TEXT,
    class_=st.sampled_from(MemoryClass),
    state=st.sampled_from(MemoryState),
    created_at=st.none() | PLAIN,
    title=st.none() | TEXT,
    author=st.none() | TEXT,
    locator=st.none() | st.builds(Locator, page=st.none() | st.integers(1, 9), heading=st.none() | TEXT),
    thread=st.none() | TEXT,
    position=st.none() | st.integers(-5, 2**40),
    pinned=st.booleans(),
    accesses=st.integers(0, 2**40),
    rev=st.integers(1, 2**40),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    metadata=st.dictionaries(TEXT, JSON, max_size=3),
    keep_score=st.none() | st.floats(0, 1),
    likeness=st.none() | PLAIN,
    merged_from=st.lists(TEXT, max_size=3).map(tuple),
    cooled_at=st.none() | PLAIN,
)
ROWS = st.lists(st.floats(width=32, allow_nan=False), max_size=6).map(lambda row: np.array(row, dtype=np.float32))
WEIGHTS = st.dictionaries(st.integers(0, 2**32 - 1), st.floats(allow_nan=False), max_size=5)
VECTORS = WEIGHTS.map(lambda found: SparseVector(tuple(sorted(found)), tuple(found[key] for key in sorted(found))))
MEMORIES = st.builds(
    Archived,
    point=st.builds(Point, RECORDS, ROWS, VECTORS),
    plan=PLAIN,
    batch=st.integers(1, 2**40),
    at=PLAIN,
    merged_into=st.none() | TEXT,
)


def archived(number: int) -> Archived:
    return Archived(
        point(f"m{number}", number, text=f"text {number} " * (number % 5 + 1)), "p", 1, "2026-03-01T00:00:00Z"
    )


def written(path: Path, count: int) -> list[bytes]:
    frames = [pack(archived(number)) for number in range(count)]
    with ArchiveWriter(path) as writer:
        writer.append_frames(frames)
    return frames


def names(path: Path) -> list[str]:
    return [memory.point.record.id for memory in ArchiveReader(path).memories()]


@given(MEMORIES)
@settings(max_examples=300)
def test_any_memory_comes_back_to_the_last_bit(memory: Archived) -> None:
    frame = pack(memory)
    back = unpack(frame[HEADER.size :])
    assert facts_of(back.point) == facts_of(memory.point)
    assert (back.plan, back.batch, back.at, back.merged_into) == (
        memory.plan,
        memory.batch,
        memory.at,
        memory.merged_into,
    )
    assert back.point.dense.dtype == np.float32
    assert pack(back) == frame


def test_not_a_number_in_the_metadata_comes_back() -> None:
    memory = Archived(point("a", metadata={"n": math.nan}), "p", 1, "t")
    assert math.isnan(unpack(pack(memory)[HEADER.size :]).point.record.metadata["n"])


@pytest.mark.parametrize(
    "bad",
    [
        Point(Record(id="a", text="a"), None, SparseVector()),
        Point(Record(id="a", text="a"), np.ones(2, dtype=np.float32), None),
        Point(Record(id="a", text="a"), np.ones(2, dtype=np.float64), SparseVector()),
        Point(Record(id="a", text="a", metadata={"k": (1, 2)}), np.ones(2, dtype=np.float32), SparseVector()),
        Point(Record(id="a", text="a", metadata={"k": object()}), np.ones(2, dtype=np.float32), SparseVector()),
    ],
)
def test_what_would_not_come_back_the_same_is_refused(bad: Point) -> None:
    with pytest.raises(StoreError):
        pack(Archived(bad, "p", 1, "t"))


@given(TEXT)
def test_no_text_holds_the_mark_of_a_frame(text: str) -> None:
    assert MAGIC not in key_of(text)
    assert name_of(key_of(text)) == text
    with pytest.raises(UnicodeDecodeError):
        MAGIC.decode("utf-8", "surrogatepass")


def test_the_file_is_its_owners_alone_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    first = written(path, 3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with ArchiveWriter(path) as writer:
        writer.append([archived(7)])
        assert writer.size == path.stat().st_size
    assert path.read_bytes().startswith(b"".join(first))
    assert names(path) == ["m0", "m1", "m2", "m7"]
    heads = [found for _, found in ArchiveReader(path).heads()]
    assert [(one.key, one.plan, one.batch) for one in heads] == [(key_of(n), "p", 1) for n in names(path)]
    assert heads[0].sha256 == text_hash(archived(0).point.record.text)


def test_an_absent_archive_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        list(ArchiveReader(tmp_path / "none").bodies())
    assert caught.value.hint


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_memory_outside_the_damage_is_read(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes are changed, cut out or put in anywhere: every frame that they did not touch is still read."""
    path = tmp_path / "a.bin"
    path.unlink(missing_ok=True)
    frames = written(path, 8)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    length = data.draw(st.integers(1, 400))
    end = min(at + length, len(content))
    fresh = data.draw(
        st.sampled_from(
            [b"", b"\0" * (end - at), b"\xff" * (end - at), MAGIC * 3, MAGIC + b"\xff" * 8, MAGIC + b"\0" * 8]
        )
        | st.binary(max_size=300)
    )
    path.write_bytes(bytes(content[:at]) + fresh + bytes(content[end:]))
    starts = [sum(map(len, frames[:n])) for n in range(len(frames))]
    whole = [n for n, start in enumerate(starts) if start + len(frames[n]) <= at or start >= end]
    reader = ArchiveReader(path)
    found = [memory.point.record.id for memory in reader.memories()]
    # A change that changes nothing (zeros for zeros) damages nothing.
    assert [name for name in found if int(name[1:]) in whole] == [f"m{n}" for n in whole]
    if len(found) == len(whole) and (fresh or len(whole) < len(frames)):
        lost = sum(damage.bytes for damage in reader.damaged)
        assert lost == path.stat().st_size - sum(len(frames[n]) for n in whole)


def test_damage_is_reported_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    frames = written(path, 4)
    content = bytearray(path.read_bytes())
    content[len(frames[0]) + 30] ^= 1
    path.write_bytes(content)
    reader = ArchiveReader(path)
    assert [memory.point.record.id for memory in reader.memories()] == ["m0", "m2", "m3"]
    assert reader.damaged == (Damage(len(frames[0]), len(frames[1])),)


def test_a_whole_frame_that_is_none_of_ours_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    strange = [framed(msgspec.msgpack.encode({"hello": 1})), framed(b"\xc1"), framed(b"")]
    with ArchiveWriter(path) as writer:
        writer.append_frames([pack(archived(1)), *strange, pack(archived(2))])
    reader = ArchiveReader(path)
    assert [memory.point.record.id for memory in reader.memories()] == ["m1", "m2"]
    assert [damage.bytes for damage in reader.damaged] == [len(frame) for frame in strange]
    assert len(list(reader.heads())) == 2
    assert len(reader.damaged) == 3


def test_a_header_that_claims_gigabytes_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    written(path, 2)
    with path.open("ab") as file:
        file.write(HEADER.pack(MAGIC, 2**31, 5) + b"x" * 3_000_000 + pack(archived(9)))
        file.write(HEADER.pack(MAGIC, 2_500_000, 5) + b"x" * 3_000_000 + pack(archived(10)))
    assert names(path) == ["m0", "m1", "m9", "m10"]


def test_a_long_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with ArchiveWriter(path) as writer:
        writer.append([Archived(point("long", text="x" * 5_000_000), "p", 1, "t"), archived(1)])
    assert names(path) == ["long", "m1"]


@pytest.mark.parametrize("tail", ["cut", "header", "magic", "zeros"])
def test_what_a_kill_left_unfinished_is_cut_off_at_the_next_append(tmp_path: Path, tail: str) -> None:
    path = tmp_path / "a.bin"
    frames = written(path, 3)
    torn = {"cut": frames[0][:-5], "header": frames[0][:9], "magic": MAGIC[:2], "zeros": bytes(64)}[tail]
    with path.open("ab") as file:
        file.write(torn)
    with ArchiveWriter(path, sound=sum(map(len, frames))) as writer:
        assert writer.size == sum(map(len, frames))
        writer.append([archived(5)])
    reader = ArchiveReader(path)
    assert [memory.point.record.id for memory in reader.memories()] == ["m0", "m1", "m2", "m5"]
    assert reader.damaged == ()


def test_nothing_that_was_acknowledged_is_cut_off(tmp_path: Path) -> None:
    """A last frame whose length was damaged looks like one that was never finished."""
    path = tmp_path / "a.bin"
    frames = written(path, 3)
    content = bytearray(path.read_bytes())
    content[-len(frames[2]) + 7] = 0x7F
    path.write_bytes(content)
    with ArchiveWriter(path, sound=len(content)) as writer:
        writer.append([archived(5)])
    assert path.read_bytes().startswith(bytes(content))
    assert names(path) == ["m0", "m1", "m5"]


def test_a_whole_frame_at_the_end_that_is_damaged_is_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    written(path, 3)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with ArchiveWriter(path) as writer:
        assert writer.size == len(content)


@pytest.mark.parametrize("error", [28, 27, 122, 5])
def test_a_failed_append_leaves_the_archive_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    path = tmp_path / "a.bin"
    written(path, 2)
    before = path.read_bytes()
    real, calls = os.write, []

    def failing(fd: int, data: Any) -> int:
        calls.append(fd)
        if len(calls) < 3:
            return real(fd, bytes(data)[: max(len(data) // 2, 1)])
        raise OSError(error, os.strerror(error))

    with ArchiveWriter(path) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing)
            with pytest.raises(DiskFull if error != 5 else StoreError) as caught:
                writer.append([archived(3), archived(4)])
        assert caught.value.hint
        assert path.read_bytes() == before
        writer.append([archived(5)])
    assert names(path) == ["m0", "m1", "m5"]


@pytest.mark.parametrize("how", ["removed", "replaced", "grown"])
def test_an_archive_that_another_program_touched_takes_no_more(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.bin"
    with ArchiveWriter(path) as writer:
        writer.append([archived(1)])
        if how == "removed":
            path.unlink()
        elif how == "replaced":
            path.rename(tmp_path / "b.bin")
            path.write_bytes(b"")
        else:
            with path.open("ab") as file:
                file.write(b"x")
        with pytest.raises(StoreError, match="another program"):
            writer.append([archived(2)])


def test_a_block_of_the_disk_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    frames = written(path, 60)
    bad = range(4096, 8192)
    real = os.pread

    def pread(fd: int, length: int, offset: int) -> bytes:
        if offset < bad.stop and offset + length > bad.start:
            raise OSError(5, "Input/output error")
        return real(fd, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    starts = [sum(map(len, frames[:n])) for n in range(len(frames))]
    lost = {n for n, start in enumerate(starts) if start < bad.stop and start + len(frames[n]) > bad.start}
    assert 5 < len(lost) < 50
    assert names(path) == [f"m{n}" for n in range(60) if n not in lost]


def test_random_bytes_are_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(random.Random(1).randbytes(100_000))
    assert names(path) == []
