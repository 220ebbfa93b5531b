from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors.retry_after import retry_after

WALL = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
NOON = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sunday, 22-Nov-26 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun Nov 22 12:00:30 2026"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 14:00:30 +0200"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 99 Nov 2026 11:00:00 GMT"}, None),
        ({"retry-after": "7", "x-ratelimit-reset": "99"}, 7.0),
        ({"x-ratelimit-reset": "42"}, 42.0),
        ({"x-ratelimit-reset": "42", "x-ratelimit-remaining": "0"}, 42.0),
        ({"x-ratelimit-reset": "42", "x-ratelimit-remaining": "9"}, None),
        ({"x-ratelimit-reset": str(WALL + 5)}, 5.0),
        ({"x-ratelimit-reset": str(int(WALL + 5) * 1000)}, 5.0),
        ({"x-ratelimit-reset": "never"}, None),
        ({"ratelimit-reset": "8", "ratelimit-remaining": "0"}, 8.0),
        ({"x-hubspot-ratelimit-interval-milliseconds": "10000", "x-hubspot-ratelimit-remaining": "0"}, 10.0),
        ({"x-hubspot-ratelimit-interval-milliseconds": "10000", "x-hubspot-ratelimit-remaining": "3"}, None),
        ({"x-hubspot-ratelimit-interval-milliseconds": "10000"}, None),
    ],
)
def test_what_services_say(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, WALL) == (None if seconds is None else pytest.approx(seconds))


@given(st.integers(-400, 400), st.floats(-1e6, 1e6))
def test_a_clock_that_is_wrong_here_does_no_harm(seconds: int, skew: float) -> None:
    theirs = WALL + 12_345
    said = {
        "date": format_datetime(datetime.fromtimestamp(theirs, UTC), usegmt=True),
        "retry-after": format_datetime(datetime.fromtimestamp(theirs + seconds, UTC), usegmt=True),
    }
    assert retry_after(said, theirs + skew) == max(0, seconds)
    assert retry_after({"date": said["date"], "x-ratelimit-reset": str(theirs + 60)}, theirs + skew) == 60


def test_a_date_that_is_none_leaves_our_own_clock() -> None:
    assert retry_after({"date": "yesterday", "retry-after": NOON}, WALL - 4) == 4


@given(st.text(), st.text(), st.text())
def test_nothing_that_is_said_is_too_much(first: str, second: str, third: str) -> None:
    for headers in (
        {"retry-after": first, "date": second, "x-ratelimit-reset": third},
        {"x-ratelimit-reset": first, "x-ratelimit-remaining": second, "date": third},
        {"x-hubspot-ratelimit-remaining": "0", "x-hubspot-ratelimit-interval-milliseconds": first},
    ):
        seconds = retry_after(headers, WALL)
        assert seconds is None or 0 <= seconds < float("inf")
