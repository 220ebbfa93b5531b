"""Slack's `ts`: seconds, a dot, six digits. It is the id of a message within its channel, so it stays a text.

Compared as whole microseconds, never as a float: 1512085950.000216 has no exact one. Pure.
"""

from __future__ import annotations

from typing import Any

MICROS = 1_000_000
DAY = 86_400 * MICROS


def micros(ts: Any) -> int | None:
    """Microseconds since 1970, None when it is no `ts`."""
    if not isinstance(ts, str) or len(ts) > 24:
        return None
    seconds, _, fraction = ts.partition(".")
    if not (seconds.isascii() and seconds.isdigit() and len(fraction) <= 6):
        return None
    if fraction and not (fraction.isascii() and fraction.isdigit()):
        return None
    return int(seconds) * MICROS + int(fraction.ljust(6, "0"))


def ts_of(at: int) -> str:
    """The `ts` of a moment, 0 for those before 1970."""
    at = max(0, at)
    return f"{at // MICROS}.{at % MICROS:06d}"


def latest(*stamps: Any) -> str:
    """The latest `ts` of those that are one, empty when none is."""
    known = [(at, stamp) for stamp in stamps if (at := micros(stamp)) is not None]
    return max(known)[1] if known else ""


def iso(ts: Any) -> str | None:
    """The moment as `2026-01-31T12:00:00Z`, None when it is no `ts` of a year that has four digits."""
    from datetime import UTC, datetime

    at = micros(ts)
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at // MICROS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None


def from_iso(moment: str) -> str | None:
    """The `ts` of an ISO 8601 moment (UTC where it names no zone), None when it is none."""
    from datetime import UTC, datetime

    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        return None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    return ts_of(int(when.timestamp()) * MICROS)
