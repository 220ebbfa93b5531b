"""How long a service asks us to wait. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_EPOCH = 1e9


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Seconds from now, or None when nothing usable was said; `wall` is now in seconds since 1970.

    `Retry-After` is seconds or a date (RFC 9110), the latter read against the service's own `Date` where it sends one,
    so that a clock that is wrong here does no harm. Then `X-RateLimit-Reset`, as seconds from now or since 1970.
    """
    text = headers.get("retry-after", "").strip()
    seconds = _number(text)
    if seconds is None and text:
        at = _date(text)
        now = _date(headers.get("date", "")) or wall
        seconds = None if at is None else at - now
    if seconds is None:
        seconds = _number(headers.get("x-ratelimit-reset", ""))
        if seconds is not None and seconds > _EPOCH:
            seconds -= wall
    return None if seconds is None else max(0.0, seconds)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
