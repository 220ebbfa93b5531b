"""Citations that hold: a quote must stand in the record it names."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from sophiactl.model import Citation, Locator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sophiactl.model import Record


def cite(number: int, record: Record, start: int, end: int) -> Citation:
    """A citation of `record.text[start:end]`, located as exactly as the record's own place allows."""
    return Citation(
        number=number,
        id=record.id,
        quote=record.text[start:end],
        source=record.source,
        title=record.title,
        url=record.url,
        locator=_inside(record, start, end),
        state=record.state,
    )


def _inside(record: Record, start: int, end: int) -> Locator | None:
    place = record.locator
    if place is None or place.start is None or place.end is None or place.end - place.start != len(record.text):
        return place  # text extracted from HTML, JSON or PDF: positions in it are not positions in the source
    line = place.line + record.text.count("\n", 0, start) if place.line is not None else None
    return Locator(
        page=place.page,
        heading=place.heading,
        line=line,
        end_line=line + record.text.count("\n", start, end) if line is not None else None,
        start=place.start + start,
        end=place.start + end,
    )


def verified(citations: Sequence[Citation], records: Mapping[str, Record]) -> tuple[Citation, ...]:
    """Those citations whose quote stands in the record they name, whatever the white space between the words."""
    return tuple(
        citation
        for citation in citations
        if citation.quote.strip()
        and citation.id in records
        and _plain(citation.quote) in _plain(records[citation.id].text)
    )


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
