"""How long a service asks us to wait. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_EPOCH, _EPOCH_MS = 1e9, 1e12


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Seconds from now, or None when nothing usable was said; `wall` is now in seconds since 1970.

    `Retry-After` is seconds or a date (RFC 9110), the latter read against the service's own `Date` where it sends one,
    so that a clock that is wrong here does no harm. Then `X-RateLimit-Reset` and `RateLimit-Reset`, as seconds from now
    or a time since 1970, and HubSpot's length of its window; those are sent with every answer, so they count only when
    nothing remains. Names of headers are in lower case.
    """
    now = _date(headers.get("date", "")) or wall
    seconds = _after(headers.get("retry-after", "").strip(), now)
    for prefix in ("x-ratelimit", "ratelimit"):
        if seconds is None and headers.get(f"{prefix}-remaining", "0").strip() == "0":
            seconds = _reset(headers.get(f"{prefix}-reset", ""), now)
    if seconds is None and headers.get("x-hubspot-ratelimit-remaining", "").strip() == "0":
        window = _number(headers.get("x-hubspot-ratelimit-interval-milliseconds", ""))
        seconds = None if window is None else window / 1000
    return None if seconds is None else max(0.0, seconds)


def _after(text: str, now: float) -> float | None:
    seconds = _number(text)
    if seconds is None and text:
        at = _date(text)
        seconds = None if at is None else at - now
    return seconds


def _reset(text: str, now: float) -> float | None:
    number = _number(text)
    if number is None or number < _EPOCH:
        return number
    return (number / 1000 if number >= _EPOCH_MS else number) - now


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _date(text: str) -> float | None:
    """Seconds since 1970 of an HTTP date in any of its three forms, of which one has no zone and means UTC."""
    if not text:
        return None
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
