"""Bytes of a file to text: byte order marks, UTF-8, and stated fallbacks that never fail."""

from __future__ import annotations

import codecs

from sophiactl.errors import InputError
from sophiactl.textspans import count_breaks

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MAGIC = (
    (b"PK\x03\x04", "an Office or zip archive"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
)
# Control characters that text files do hold: tab, line ends, form feed, backspace, escape of coloured logs.
_CONTROL = bytes(sorted(set(range(32)) - {8, 9, 10, 12, 13, 27})) + b"\x7f"
_CONTROL_SHARE = 0.02
_NUL_WINDOW = 8192
_UNDECODABLE_SHARE = 0.3


def decode(data: bytes, name: str, declared: str | None = None) -> tuple[str, list[str]]:
    """Text of a file without its byte order mark, and warnings.

    `declared` is an encoding the file itself names, tried after UTF-8. Raises `InputError` when the bytes are no text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _with_mark(data[len(mark) :], encoding)
    _refuse_binary(data, name)
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line = _line(data, error.start)
    if declared and (text := _try(data, declared)) is not None:
        return text, []
    return _fallback(data, line)


def _with_mark(data: bytes, encoding: str) -> tuple[str, list[str]]:
    try:
        return data.decode(encoding), []
    except UnicodeDecodeError as error:
        line = count_breaks(data[: error.start].decode(encoding, "ignore")) + 1
        return data.decode(encoding, "replace"), [f"line {line}: bytes that are not {encoding} were replaced"]


def _refuse_binary(data: bytes, name: str) -> None:
    controls = len(data) - len(data.translate(None, _CONTROL))
    if b"\0" not in data[:_NUL_WINDOW] and controls <= len(data) * _CONTROL_SHARE:
        return
    kind = next((f" ({what})" for magic, what in _MAGIC if data.startswith(magic)), "")
    raise InputError(
        f"{name}: binary, not text{kind}", hint="text, markdown, HTML, JSONL, CSV and PDF files can be read"
    )


def _fallback(data: bytes, line: int) -> tuple[str, list[str]]:
    replaced = data.decode("utf-8", "replace")
    bad = replaced.count("\ufffd")
    beyond_ascii = len(data) - len(data.decode("ascii", "ignore"))
    if bad > beyond_ascii * _UNDECODABLE_SHARE:
        for encoding in ("cp1252", "latin-1"):
            if (text := _try(data, encoding)) is not None:
                return text, [f"line {line}: not UTF-8; the file was read as {encoding}"]
    return replaced, [f"line {line}: bytes that are not UTF-8 were replaced ({bad} in all)"]


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (LookupError, ValueError):
        return None


def _line(data: bytes, offset: int) -> int:
    return count_breaks(data[:offset].decode("latin-1")) + 1
