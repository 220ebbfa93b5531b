"""Opened environments, until their time is over."""

from __future__ import annotations

import re
import secrets
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from sophiactl.testing.esc.evaluation import Evaluated

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = timedelta(hours=1)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


class Session(msgspec.Struct, frozen=True):
    """An opened environment. `place` is what has to be asked for it, `environment` the name in traces."""

    place: str
    environment: str
    evaluated: Evaluated | None
    expires: datetime


class Sessions:
    """Those that are open, by id."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def start(self, place: str, environment: str, evaluated: Evaluated | None, lifetime: timedelta) -> str:
        """The id of a new session."""
        with self._lock:
            session_id = secrets.token_hex(16)
            self._open[session_id] = Session(place, environment, evaluated, self._now() + lifetime)
            return session_id

    def get(self, place: str, session_id: str) -> Session | None:
        """An open session, None when there is none or its time is over."""
        with self._lock:
            session = self._open.get(session_id)
        if session is None or session.place != place or session.expires <= self._now():
            return None
        return session


def duration(text: str) -> timedelta:
    """A length of time as Go writes it, `1h30m`. Raises `ValueError`."""
    seconds, end = 0.0, 0
    for part in _PART.finditer(text):
        if part.start() != end:
            break
        seconds, end = seconds + float(part[1]) * _UNITS[part[2]], part.end()
    if not text or end != len(text):
        raise ValueError(f"time: invalid duration {text!r}")
    return timedelta(seconds=seconds)
