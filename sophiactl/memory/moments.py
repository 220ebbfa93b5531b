"""Times as texts: ISO 8601, of any zone, UTC where none is given."""

from __future__ import annotations

from datetime import UTC, datetime


def seconds_of(text: str) -> float | None:
    """The time as seconds since 1970; None for a text that is no time."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp()
    except (ValueError, OverflowError):
        return None


def stamp(moment: datetime) -> str:
    """A time in UTC, as records hold it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact_stamp(moment: datetime) -> str:
    """A time in UTC, to the microsecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
