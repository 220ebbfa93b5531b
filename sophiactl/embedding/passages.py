"""From a file to the records that stand for it: stable ids, so that doing it again changes nothing."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sophiactl.embedding.chunking import split
from sophiactl.embedding.documents import read_bytes_stable, read_document
from sophiactl.model import MemoryClass, Record

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.embedding.base import EmbeddingConfig, ModelInfo, Passage, TokenCounter

_NAMESPACE = uuid.UUID("6f2d4c1e-7f0b-5d0e-9a53-1d2c6a7b8e90")
_READER_VERSION = 1
"""Raise when readers or chunking change what passages a document gives: files are then read again."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file's records in reading order, the sha256 of its bytes, and what could not be read in it."""

    records: tuple[Record, ...]
    digest: str
    warnings: tuple[str, ...]


def settings_mark(config: EmbeddingConfig, model: ModelInfo) -> str:
    """What, besides its bytes, decides the passages of a file; a file read under another mark is read again."""
    return f"{_READER_VERSION}:{model.revision[:16]}:{config.chunk_tokens}:{config.overlap_tokens}"


def read_file(path: Path, config: EmbeddingConfig, count_tokens: TokenCounter) -> ReadFile:
    """Read, split and name the passages of one file. Raises `InputError` when it cannot be read."""
    data = read_bytes_stable(path, int(config.max_file_mb * 1_000_000))
    document = read_document(path, data)
    passages = split(document, count_tokens, config.chunk_tokens, config.overlap_tokens)
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    seen: Counter[str] = Counter()
    records = tuple(
        _record(path, document.title, passage, place, modified, seen) for place, passage in enumerate(passages)
    )
    return ReadFile(records, hashlib.sha256(data).hexdigest(), document.warnings)


def _record(path: Path, title: str, passage: Passage, place: int, modified: str, seen: Counter[str]) -> Record:
    content = hashlib.sha256(f"{passage.context}\n{passage.text}".encode("utf-8", "surrogatepass")).hexdigest()
    seen[content] += 1
    return Record(
        id=str(uuid.uuid5(_NAMESPACE, f"{path}\n{content}\n{seen[content]}")),
        text=passage.text,
        class_=MemoryClass.SOURCE,
        created_at=modified,
        title=title,
        source=str(path),
        locator=passage.locator,
        thread=str(path),
        position=place,
    )
