"""A memory as the rules of retention see it: the few fields that decide, read leniently."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from sophiactl.model import Record

FIELDS: Final = (
    "id",
    "rev",
    "class",
    "state",
    "pinned",
    "created_at",
    "updated_at",
    "last_accessed",
    "accesses",
    "keep_score",
    "keep_model",
    "likeness",
    "cooled_at",
    "tags",
    "metadata",
)
"""What `Store.rows` must give for `read_row`; conditions of protection may need more (`Rules.fields`)."""

UNREADABLE: Final = math.nan
"""The time of a date that is there but cannot be read."""


class Row(msgspec.Struct, frozen=True):
    """What decides over one memory. Times are seconds since 1970, None where there is none, NaN where unreadable.

    `fields` are the stored fields themselves, for conditions of protection.
    """

    id: str
    rev: int
    class_: str
    state: str
    pinned: bool
    created: float | None
    updated: float | None
    accessed: float | None
    cooled: float | None
    accesses: int
    keep_score: float | None
    keep_model: str | None
    likeness: str | None
    fields: Mapping[str, Any]


def read_row(fields: Mapping[str, Any]) -> Row:
    """The row of a stored record, whatever its fields hold; what is odd counts as what is safest."""
    get = fields.get
    accesses, rev, score = get("accesses"), get("rev"), get("keep_score")
    return Row(
        id=_text(get("id")) or "",
        rev=rev if isinstance(rev, int) else 1,
        class_=_text(get("class")) or "",
        state=_text(get("state")) or "active",
        pinned=bool(get("pinned")),
        created=moment(get("created_at")),
        updated=moment(get("updated_at")),
        accessed=moment(get("last_accessed")),
        cooled=moment(get("cooled_at")),
        accesses=accesses if isinstance(accesses, int) and accesses > 0 else 0,
        keep_score=score if isinstance(score, int | float) and 0 <= score <= 1 else None,
        keep_model=_text(get("keep_model")),
        likeness=_text(get("likeness")),
        fields=fields,
    )


def row_of(record: Record) -> Row:
    """The row of a record."""
    return read_row(msgspec.to_builtins(record))


def moment(value: object) -> float | None:
    """Seconds since 1970 of an ISO 8601 time, one without a zone being UTC; NaN where it is no time."""
    if value is None or value == "":
        return None
    try:
        found = datetime.fromisoformat(value)  # type: ignore[arg-type]
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return UNREADABLE


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
