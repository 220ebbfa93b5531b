"""When a secret ends, from what is written in it; and how old it is. The time is given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

_MILLISECONDS = 10**11
_LATEST = 253_402_300_799  # the last second of the year 9999


class End(NamedTuple):
    """When a secret ends, and whether that is over or near."""

    at: datetime
    rule: str


def end_of_token(value: str) -> datetime | None:
    """The end that a JSON web token states; None for anything else. Nothing is said of its signature."""
    if not value.startswith("eyJ") or value.count(".") != 2:
        return None
    from binascii import Error, a2b_base64

    import msgspec

    body = value.split(".")[1].replace("-", "+").replace("_", "/")
    try:
        claims = msgspec.json.decode(a2b_base64(body + "=" * (-len(body) % 4)))
    except (Error, ValueError):  # msgspec's and Unicode's errors are ValueErrors
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(end, bool) or not isinstance(end, int | float) or end != end:  # noqa: PLR0124 - not a number
        return None
    seconds = end / 1000 if end > _MILLISECONDS else end
    return datetime.fromtimestamp(max(0.0, min(float(seconds), _LATEST)), UTC)


def ended(value: str, now: datetime, within_days: int) -> End | None:
    """The token's end when it is over, or within so many days."""
    end = end_of_token(value)
    if end is None:
        return None
    if end <= now:
        return End(end, "expired")
    return End(end, "expires-soon") if (end - now).total_seconds() < within_days * 86_400 else None


def days_old(modified_at: str | None, now: datetime) -> int | None:
    """Whole days since a secret last changed; None when that is not known."""
    if not modified_at:
        return None
    try:
        changed = datetime.fromisoformat(modified_at)
    except ValueError:
        return None
    return (now - (changed if changed.tzinfo else changed.replace(tzinfo=UTC))).days
