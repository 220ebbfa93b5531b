"""Files of rows: JSON lines and comma-separated values."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from sophiactl.embedding.base import Block, Document
from sophiactl.embedding.documents import plain, summarise
from sophiactl.embedding.documents.decode import decode
from sophiactl.embedding.documents.spans import Lines
from sophiactl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BODY = ("text", "content", "body", "message")
_TITLE = ("title", "subject", "name")
_DELIMITERS = ",;\t|"


def read_jsonl(data: bytes, name: str) -> Document:
    """One block a row. Its text is taken out of the JSON; `start:end` is the row in the source, `line` its line.

    The text is the row's `text`, `content`, `body` or `message` under its title, else all fields as `key: value`. A row
    that is no JSON is a warning; `InputError` when none is.
    """
    text, warnings = decode(data, name)
    blocks: list[Block] = []
    broken: list[str] = []
    lines = Lines(text)
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            broken.append(f"line {number + 1}: not JSON ({_reason(error)}); the row was left out")
            continue
        if said := _row_text(row):
            blocks.append(_block(lines, number, number + 1, said, "row"))
    if broken and not blocks:
        raise InputError(f"{name}: no row is JSON; {broken[0]}", hint="JSONL holds one JSON value on each line")
    return Document(name, "application/x-ndjson", tuple(blocks), summarise([*warnings, *broken]))


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply or a number too long"


def _row_text(row: Any) -> str:
    if not isinstance(row, dict):
        return _clean("\n".join(_flat("", row)))
    body = next((said for key in _BODY if (said := _said(row.get(key)))), "")
    title = next((said for key in _TITLE if (said := _said(row.get(key)))), "")
    if body:
        return _clean(f"{title}\n{body}" if title and title not in body else body)
    if isinstance(row.get("title"), str) and title:
        return _clean(title)
    return _clean("\n".join(_flat("", row)))


def _said(value: Any) -> str:
    """Text of a field; chat content may be a list of parts that each hold text."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in value)
        return "\n".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
    return ""


def _flat(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}" if key else name, inner)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, inner in enumerate(value):
            yield from _flat(f"{key}.{number}" if key else str(number), inner)
    elif isinstance(value, list):
        yield from _flat(key, ", ".join(str(item) for item in value if item is not None))
    elif value is not None and str(value).strip():
        yield f"{key}: {value}" if key else str(value)


def _clean(text: str) -> str:
    """Half a surrogate pair can stand in JSON but in no encoded text."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").strip()


def _block(lines: Lines, first: int, last: int, said: str, kind: str) -> Block:
    start = lines.starts[first]
    end = start + len(lines.text[start : lines.end(last - 1)].rstrip())
    return Block(text=said + "\n", start=start, end=end, line=first + 1, end_line=last, kind=kind)


def read_csv(data: bytes, name: str) -> Document:
    """One block a row, as `column: value` by the first row's names; `start:end` and the lines are those of the source.

    A file that does not parse as CSV is read as plain text, and a warning says so.
    """
    text, warnings = decode(data, name)
    lines = Lines(text)
    try:
        blocks = tuple(_csv_blocks(lines))
    except csv.Error as error:
        document = plain.read(data, name)
        told = f"not CSV ({error}); read as plain text"
        return Document(document.title, document.media_type, document.blocks, (*document.warnings, told))
    return Document(name, "text/csv", blocks, tuple(warnings))


def _csv_blocks(lines: Lines) -> Iterator[Block]:
    header: list[str] = []
    first_line = next((line for line in lines if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first_line.count)
    reader = csv.reader(lines, delimiter=delimiter)
    first = 0
    for row in reader:
        last = reader.line_num
        if any(cell.strip() for cell in row):
            if not header:
                header = [cell.strip() for cell in row]
                yield _block(lines, first, last, " | ".join(filter(None, header)), "table")
            else:
                yield _block(lines, first, last, _csv_text(header, row), "table")
        first = last


def _csv_text(header: list[str], row: list[str]) -> str:
    names = [*header, *[""] * (len(row) - len(header))]
    cells = ((name, cell.strip()) for name, cell in zip(names, row, strict=False) if cell.strip())
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in cells)
