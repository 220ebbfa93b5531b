"""One archived memory as bytes, and back, exactly.

    magic 4 | length of body, u32 | crc32 of length and body, u32 | body     (little endian)

The body is a msgpack map. `record` is the record as the engines store it (see `payload`: it holds what JSON cannot),
`dense` float32, `indices` uint32 and `values` float64, each little endian; `sha256` is that of the text.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import Any

import msgspec

from sophiactl.errors import StoreError
from sophiactl.memory.base import Point, SparseVector
from sophiactl.memory.payload import decode, encode

MAGIC = b"\xffSP\x01"
"""Begins with a byte that no UTF-8 text holds: no text can pass for a frame."""

HEADER = struct.Struct("<4sII")
LONGEST = 2**32 - 1


class Archived(msgspec.Struct, frozen=True):
    """One memory in an archive: what it was, which plan and batch took it out, when (ISO 8601, UTC).

    `merged_into` is the id of the copy that was left, where it was told of it then.
    """

    point: Point
    plan: str
    batch: int
    at: str
    merged_into: str | None = None


class Head(msgspec.Struct, frozen=True):
    """What can be read of a body without decoding the memory. `key` is the id, see `key_of`."""

    plan: str
    batch: int
    at: str
    key: bytes
    sha256: bytes
    into: bytes | None = None


class _Body(msgspec.Struct, frozen=True):
    plan: str
    batch: int
    at: str
    key: bytes
    sha256: bytes
    into: bytes | None
    record: dict[str, Any]
    dense: bytes
    indices: bytes
    values: bytes


_heads = msgspec.msgpack.Decoder(Head)
_bodies = msgspec.msgpack.Decoder(_Body)


def key_of(name: str) -> bytes:
    """An id as bytes; ids may hold lone surrogates."""
    return name.encode("utf-8", "surrogatepass")


def name_of(key: bytes) -> str:
    """The id of `key_of`."""
    return key.decode("utf-8", "surrogatepass")


def text_hash(text: str) -> bytes:
    """The sha256 of a text."""
    return hashlib.sha256(key_of(text)).digest()


def pack(memory: Archived) -> bytes:
    """The frame of a memory. Raises `StoreError` for one that would not come back the same."""
    import numpy as np

    point = memory.point
    if point.dense is None or point.sparse is None:
        raise StoreError(f"memory {point.record.id!r} was read without its vectors")
    dense = np.asarray(point.dense)
    indices, values = point.sparse.indices, point.sparse.values
    body = _Body(
        plan=memory.plan,
        batch=memory.batch,
        at=memory.at,
        key=key_of(point.record.id),
        sha256=text_hash(point.record.text),
        into=None if memory.merged_into is None else key_of(memory.merged_into),
        record=encode(point.record),
        dense=dense.astype("<f4").tobytes(),
        indices=struct.pack(f"<{len(indices)}I", *indices),
        values=struct.pack(f"<{len(values)}d", *values),
    )
    try:
        packed = msgspec.msgpack.encode(body)
    except (TypeError, ValueError, OverflowError) as error:
        raise StoreError(f"memory {point.record.id!r} cannot be archived: {error}") from error
    if len(packed) > LONGEST or not _same(memory, unpack(packed), dense.dtype == np.float32):
        raise StoreError(f"memory {point.record.id!r} would not come back from an archive as it is")
    return framed(packed)


def unpack(body: bytes) -> Archived:
    """The memory of a body. Raises `StoreError` for one that is none of ours."""
    import numpy as np

    try:
        found = _bodies.decode(body)
        sparse = SparseVector(_numbers("I", 4, found.indices), _numbers("d", 8, found.values))
        dense = np.frombuffer(found.dense, dtype="<f4").astype(np.float32)
        into = None if found.into is None else name_of(found.into)
    except (msgspec.DecodeError, UnicodeDecodeError, struct.error, ValueError) as error:
        raise StoreError(f"a memory in an archive cannot be read: {error}") from error
    return Archived(Point(decode(found.record), dense, sparse), found.plan, found.batch, found.at, into)


def head(body: bytes) -> Head | None:
    """What stands before the memory in a body; None where it is none of ours."""
    try:
        return _heads.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def framed(body: bytes) -> bytes:
    """The frame of a body."""
    return HEADER.pack(MAGIC, len(body), checksum(body)) + body


def checksum(body: bytes, length: int | None = None) -> int:
    """The crc32 of a body after its length: a run of zeros is then no empty frame.

    With `length` the body is only the beginning of one that is as long.
    """
    return zlib.crc32(body, zlib.crc32(struct.pack("<I", len(body) if length is None else length)))


def _same(memory: Archived, back: Archived, single: bool) -> bool:
    """Whether nothing was lost. Records are compared as they are stored: NaN is not equal to itself."""
    before, after = memory.point, back.point
    return (
        single
        and encode(before.record) == encode(after.record)
        and repr(before.record) == repr(after.record)
        and before.dense.shape == after.dense.shape
        and before.dense.tobytes() == after.dense.tobytes()
        and before.sparse == after.sparse
        and memory.merged_into == back.merged_into
    )


def _numbers(kind: str, size: int, data: bytes) -> tuple[Any, ...]:
    return struct.unpack(f"<{len(data) // size}{kind}", data)
