"""Readers of documents: from a file's bytes to blocks that know their place."""

from __future__ import annotations

import os
import stat
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import InputError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any

    from sophiactl.embedding.base import Document

    Ocr = Callable[[Any], str]
    """Reads a page image: gets an open pypdfium2 page, gives its text. It must not keep the page."""

MAX_BYTES = 64_000_000
EXTRACTED = frozenset({"text/html", "application/x-ndjson", "text/csv"})
"""Media types whose blocks hold text taken out of the source: their offsets are those of the source's span."""

_CODE = ".py .js .ts .go .rs .java .c .h .cpp .sh .sql .yaml .yml .toml .json .ini .cfg"


def _table(reader: tuple[str, str], suffixes: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(suffixes.split(), reader)


_HERE = __name__
_PDF = (f"{_HERE}.pdf", "read")
_HTML = (f"{_HERE}.webpage", "read")
_TEXT = (f"{_HERE}.plain", "read")

SUFFIXES: dict[str, tuple[str, str]] = {
    **_table(_TEXT, ".txt .text .rst"),
    **_table((f"{_HERE}.plain", "read_lines"), ".log"),
    **_table((f"{_HERE}.plain", "read_code"), _CODE),
    **_table((f"{_HERE}.markdown", "read"), ".md .markdown"),
    **_table(_HTML, ".html .htm"),
    **_table((f"{_HERE}.rows", "read_jsonl"), ".jsonl .ndjson"),
    **_table((f"{_HERE}.rows", "read_csv"), ".csv .tsv"),
    **_table(_PDF, ".pdf"),
}
"""Suffix in lower case -> module and function that reads such files. To add a format: its file, and a line here."""


def supported(path: Path) -> bool:
    """Whether files of this suffix are read when a folder is walked."""
    return path.suffix.lower() in SUFFIXES


def read_document(path: Path, data: bytes | None = None, *, ocr: Ocr | None = None) -> Document:
    """The document in a file, or in `data` if its bytes are already there.

    The content decides over the name where they differ. Raises `InputError` (or `NotFound`) and nothing else of a
    reader's; what could be read only in part is told in the document's warnings.
    """
    if data is None:
        data = read_bytes_stable(path, MAX_BYTES)
    module, function = _reader(path, data)
    read: Callable[..., Document] = getattr(import_module(module), function)
    document = read(data, path.name, ocr=ocr) if (module, function) == _PDF else read(data, path.name)
    if document.blocks or document.warnings:
        return document
    return msgspec.structs.replace(document, warnings=("it holds no text" if data else "it is empty",))


def _reader(path: Path, data: bytes) -> tuple[str, str]:
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"%PDF-"):
        return _PDF
    known = SUFFIXES.get(path.suffix.lower())
    if known is not None:
        return known
    return _HTML if head[:15].lower().startswith((b"<!doctype html", b"<html")) else _TEXT


def read_bytes_stable(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file, which did not change while they were read; one retry.

    Raises `InputError` when it is too large, unreadable, no regular file or keeps changing, `NotFound` when it is gone.
    """
    try:
        for _attempt in range(2):
            data = _read_once(path, max_bytes)
            if data is not None:
                return data
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file", hint="it may have been removed since it was listed") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read: {reason}", hint="check its permissions, or --exclude it") from None
    raise InputError(f"{path}: changed while being read", hint="run again when nothing writes to it")


def _read_once(path: Path, max_bytes: int) -> bytes | None:
    # Opening a FIFO would wait for a writer: O_NONBLOCK covers one that took the file's place after the check.
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path}: not a regular file", hint="name a file or a folder")
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise InputError(f"{path}: not a regular file", hint="name a file or a folder")
        if before.st_size > max_bytes:
            raise too_large(path, before.st_size, max_bytes)
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise too_large(path, len(data), max_bytes)
    return data if _same(before, path.stat()) and len(data) == before.st_size else None


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return all(
        getattr(before, field) == getattr(after, field) for field in ("st_size", "st_mtime_ns", "st_ino", "st_dev")
    )


def too_large(path: Path, size: int, max_bytes: int) -> InputError:
    """The error for a file over the limit, with size and limit in it."""
    return InputError(
        f"{path}: {size / 1e6:,.1f} MB is over the limit of {max_bytes / 1e6:,.1f} MB",
        hint="raise it with --max-file-mb or the setting embedding.max_file_mb",
    )


def summarise(warnings: Iterable[str], limit: int = 20) -> tuple[str, ...]:
    """The first `limit` warnings, and how many more there were."""
    told = list(warnings)
    more = len(told) - limit
    return (*told[:limit], f"and {more} more warnings") if more > 0 else tuple(told)
