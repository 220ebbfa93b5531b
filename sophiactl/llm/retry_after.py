"""When a provider wants the next try, from the many ways they say it. Pure; the clock is given."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 31 * 86_400.0
"""Seconds; a provider that says more is not believed."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+\Z")
_SENTENCE = re.compile(r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)(?![a-z])", re.IGNORECASE)
_SECONDS_SENTENCE = re.compile(r"(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?) ?seconds?", re.IGNORECASE)
_EPOCH = 1e9
_EPOCH_MS = 1e12


def retry_after(headers: Mapping[str, str], message: str = "", error: Any = None, *, now: datetime) -> float | None:
    """Seconds to wait, or None when nothing usable was said.

    Looks at `retry-after-ms`, `Retry-After` (seconds or a date), the `x-ratelimit-reset` family, then the error object
    (Google's RetryInfo, headers that OpenRouter passes on) and its message.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    waits = (
        _scaled(lower.get("retry-after-ms"), 0.001),
        _after(lower.get("retry-after"), now),
        _reset(lower, now),
        _from_error(error, now),
        _from_message(message),
    )
    return next((wait for wait in waits if wait is not None), None)


def _after(text: str | None, now: datetime) -> float | None:
    if not text:
        return None
    seconds = _scaled(text, 1.0)
    return seconds if seconds is not None else _date(text, now)


def _scaled(text: str | None, unit: float) -> float | None:
    try:
        return None if text is None else _sane(float(text) * unit)
    except ValueError:
        return None


def _date(text: str, now: datetime) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return _sane((when - now).total_seconds())


def _sane(seconds: float) -> float | None:
    return max(seconds, 0.0) if math.isfinite(seconds) and seconds <= LONGEST else None


def _reset(headers: Mapping[str, str], now: datetime) -> float | None:
    """The reset of the bucket that is empty; several servers count requests and tokens apart."""
    waits = []
    for bucket in ("", "-requests", "-tokens"):
        text = headers.get(f"x-ratelimit-reset{bucket}")
        left = headers.get(f"x-ratelimit-remaining{bucket}", "" if bucket else "0")
        wait = _point(text, now) if text and left.strip() == "0" else None
        waits += [] if wait is None else [wait]
    return max(waits, default=None)


def _point(text: str, now: datetime) -> float | None:
    """A duration (`6m0s`), seconds from now, or a time since 1970 in seconds or milliseconds."""
    text = text.strip()
    if _DURATION.match(text):
        return _duration(text)
    try:
        number = float(text)
    except ValueError:
        return None
    if number >= _EPOCH_MS:
        return _sane(number / 1000 - now.timestamp())
    return _sane(number - now.timestamp() if number >= _EPOCH else number)


def _duration(text: str) -> float | None:
    return _sane(sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(text.lower())))


def _from_error(error: Any, now: datetime) -> float | None:
    if not isinstance(error, dict):
        return None
    metadata = error.get("metadata")
    passed_on = metadata.get("headers") if isinstance(metadata, dict) else None
    if isinstance(passed_on, dict):
        lower = {str(name).lower(): str(value) for name, value in passed_on.items()}
        wait = _after(lower.get("retry-after"), now)
        wait = _reset(lower, now) if wait is None else wait
        if wait is not None:
            return wait
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and _DURATION.match(delay):
            return _duration(delay)
    return None


def _from_message(message: str) -> float | None:
    if found := _SENTENCE.search(message):
        return _duration(found[1])
    found = _SECONDS_SENTENCE.search(message)
    return _scaled(found[1], 1.0) if found else None
