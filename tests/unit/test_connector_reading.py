from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.connectors import errors, reading
from sophiactl.connectors.deadline import Deadline
from sophiactl.connectors.errors import ServiceError
from sophiactl.connectors.reading import decoded, instant, items, mapping, text, usual
from sophiactl.errors import ExitCode
from sophiactl.redaction import Redactor
from sophiactl.web import WebAnswer

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServiceError)]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FAMILY = "👩‍👩‍👧‍👦"


# Texts


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, ""),
        ("  a b\n", "a b"),
        (f"{FAMILY} שלום مرحبا é", f"{FAMILY} שלום مرحبا é"),
        ("a\x00b", "ab"),
        ("\x00 a", "a"),
        ("a\ud83db", "a?b"),
        (7, "7"),
        (9007199254740993, "9007199254740993"),
        (1.5, "1.5"),
        (["a"], ""),
        ({"a": 1}, ""),
    ],
)
def test_a_text(value: Any, read: str) -> None:
    assert text(value) == read


@given(anything)
def test_any_value_can_be_read(value: Any) -> None:
    read = text(value)
    assert "\x00" not in read
    assert read == read.strip()
    read.encode()
    assert isinstance(mapping(value), dict)
    assert all(isinstance(item, dict) for item in items(value))
    assert instant(value) is None or str(instant(value)).endswith("Z")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_a_text_loses_nothing_but_space_around_it(value: str) -> None:
    assert text(value) == value.strip()


def test_objects_and_lists() -> None:
    assert mapping({"a": 1}) == {"a": 1}
    assert mapping([1]) == mapping(None) == {}
    assert items([{"a": 1}, None, 3, [], {"b": 2}]) == [{"a": 1}, {"b": 2}]
    assert items({"a": 1}) == items(None) == []


# Times


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        ("2026-11-22T10:00:00.999Z", "2026-11-22T10:00:00Z"),
        ("2026-11-22T10:00:00.1234567Z", "2026-11-22T10:00:00Z"),
        ("2026-11-22T10:00:00.000+0000", "2026-11-22T10:00:00Z"),
        ("2026-11-22T12:00:00+02:00", "2026-11-22T10:00:00Z"),
        ("2026-11-22T10:00:00", "2026-11-22T10:00:00Z"),
        ("2026-11-22", "2026-11-22T00:00:00Z"),
        (1795341600, "2026-11-22T10:00:00Z"),
        ("1795341600.123456", "2026-11-22T10:00:00Z"),
        (1795341600123, "2026-11-22T10:00:00Z"),
        ("1795341600123", "2026-11-22T10:00:00Z"),
        (1795341600.5, "2026-11-22T10:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+05:00", None),
        ("2026-13-01", None),
        ("next week", None),
        ("²", None),
        (10**30, None),
        (True, None),
        ("", None),
        (None, None),
        ([], None),
    ],
)
def test_a_time(value: Any, read: str | None) -> None:
    assert instant(value) == read


@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the zone is added below
    st.integers(-14 * 60, 14 * 60),
)
def test_all_forms_of_a_time_read_the_same(naive: datetime, offset: int) -> None:
    when = naive.replace(tzinfo=UTC)
    read = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    elsewhere = when.astimezone(timezone(timedelta(minutes=offset)))
    assert instant(elsewhere.isoformat()) == read
    milliseconds = int(when.timestamp()) * 1000 + when.microsecond // 1000
    assert instant(f"{int(when.timestamp())}.{when.microsecond:06d}") == read
    assert instant(milliseconds) == read


# JSON


@given(anything)
def test_json_reads_as_it_was_written(value: Any) -> None:
    written = msgspec.json.encode(value)
    assert decoded(written) == value
    if isinstance(value, dict | list):
        assert decoded(b"\xef\xbb\xbf" + written) == value
        assert decoded(written[:-1]) is None


@given(
    st.binary(max_size=60)
    | st.text(alphabet='{}[]",:0.eE+-tfnN\\u \x00\ud800a').map(lambda t: t.encode("utf-8", "surrogatepass"))
)
def test_no_body_is_too_much(body: bytes) -> None:
    decoded(body)
    decoded(b'{"a":' + body)


# Statuses


@given(st.integers(100, 599), anything, st.binary(max_size=20), st.sampled_from(["text/html", "application/json", ""]))
def test_every_status_means_something(status: int, value: Any, body: bytes, kind: str) -> None:
    error = usual("acme", WebAnswer(status, {"content-type": kind}, body), value, "no")
    assert (error is None) == (status < 300)
    assert error is None or error.hint


def test_what_a_service_said_is_shown_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "REDACTOR", Redactor("k-9F8e7D6c5B4a"))
    said = "bad\nkey k-9F8e7D6c5B4a " + "x" * 500
    error = usual("acme", WebAnswer(401, {}, b"{}"), {}, said)
    assert error is not None
    assert str(error).startswith("acme answered 401: bad key [redacted] xxx")
    assert len(str(error)) < 250


def test_a_page_of_html_says_nothing_of_key_or_item() -> None:
    page = {"content-type": "text/html; charset=utf-8"}
    for status in (401, 403, 404, 410):
        error = usual("acme", WebAnswer(status, page, b"<html>"), None, "")
        assert isinstance(error, errors.ServiceDown | errors.Malformed)
        assert "page of HTML" in str(error)
    plain = usual("acme", WebAnswer(404, {"content-type": "application/json"}, b""), None, "")
    assert isinstance(plain, errors.ItemGone)
    mislabelled = usual("acme", WebAnswer(403, {"content-type": "text/html"}, b"{}"), {}, "")
    assert isinstance(mislabelled, errors.MissingScope)


# Errors


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_error_says_what_to_do(kind: type[ServiceError]) -> None:
    error = kind("acme failed", service="acme", retry_after=3)
    assert error.hint
    assert "{" not in error.hint
    assert error.exit_code != ExitCode.OK
    assert kind("acme failed", service="acme", hint="do this").hint == "do this"
    error.stop = True
    again = error.again()
    assert (type(again), str(again), again.service, again.retry_after, again.stop) == (
        (kind, "acme failed", "acme", 3, True)
    )  # fmt: skip
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own
        assert (type(other), str(other), other.hint) == (kind, "acme failed", error.hint)


def test_what_is_tried_again_is_told_apart_by_its_kind() -> None:
    again = {
        kind.__name__ for kind in KINDS if issubclass(kind, errors.TooFast | errors.ServiceDown | errors.NoService)
    }
    assert again == {"TooFast", "ServiceDown", "NoService", "Garbled"}


# Deadlines


def test_a_deadline_counts_down() -> None:
    now = [10.0]
    deadline = Deadline(5, lambda: now[0])
    assert (deadline.left(), deadline.passed()) == (5, False)
    now[0] = 15
    assert (deadline.left(), deadline.passed()) == (0, True)
    now[0] = 99
    assert deadline.left() == 0
    assert Deadline.never().left() == float("inf")
    assert Deadline(-1).passed()
