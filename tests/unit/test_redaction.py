from __future__ import annotations

import json
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.redaction import GONE, Redactor, weakness
from tests.canaries import CANARIES, ENCODINGS, PARTS, TAIL, base64_of, leaks

if TYPE_CHECKING:
    from pathlib import Path

KEY = "xoxb-730191371696-IG7Z2nYtQw8sKpLr5HfD"
ALL = Redactor(*CANARIES.values())
# Signs that are part of escapes, quotes and encodings: what stands beside a secret must not hide it.
AROUND = st.text(alphabet="ab01xunr %\\&;=\"'\n:/+{}[]#\x1b", max_size=6)
VALUES = st.one_of(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=60),
    st.text(alphabet="abcXYZ0189-_.~+/=%&\\\"'$ \n\té秘🔑", min_size=6, max_size=60),
)


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_goes_in_every_encoding(name: str) -> None:
    alone = Redactor(CANARIES[name])
    for value in {CANARIES[name], CANARIES[name].strip()}:
        for how, encode in ENCODINGS.items():
            # In base32 only what begins with the value is known.
            if how == "base32" and value != value.strip():
                continue
            text = f"<. {encode(value)} .>"
            for redactor in (alone, ALL):
                clean = redactor.text(text)
                assert GONE in clean, how
                assert not leaks(clean, {name: CANARIES[name]}), how
                assert clean.startswith("<. ") or how == "base64 twice", how
                assert clean.endswith(" .>"), how


@pytest.mark.parametrize("how", PARTS)
def test_a_part_of_a_canary_goes(how: str) -> None:
    # All zeros; hosts; what every document of its kind begins with.
    whole = {"zeros", "slack webhook", "postgres", "service account"} if how != "tail" else set()
    for name in CANARIES.keys() - whole:
        part = PARTS[how](CANARIES[name])
        if len(part) < TAIL:
            continue
        clean = Redactor(CANARIES[name]).text(f"<. {part} .>")
        assert GONE in clean, name
        assert len(clean) < 24, name


@pytest.mark.parametrize("how", ENCODINGS)
def test_the_search_for_canaries_finds_them(how: str) -> None:
    assert not [name for name, value in CANARIES.items() if not leaks(f"({ENCODINGS[how](value.strip())})")]


@given(VALUES, st.sampled_from(sorted(ENCODINGS)), AROUND, AROUND)
def test_no_form_of_a_secret_is_left(value: str, how: str, before: str, after: str) -> None:
    value = value.strip()
    # Up to three letters before a blank may stay, in another form than the value's own.
    if weakness(value) or (how != "raw" and len(value.split()[0]) < 6):
        return
    encoded = ENCODINGS[how](value)
    clean = Redactor(value).text(before + encoded + after)
    assert encoded not in clean
    assert value not in clean


@given(VALUES, st.data())
def test_every_part_of_twelve_signs_goes(value: str, data: st.DataObject) -> None:
    value = value.strip()
    if weakness(value) or len(value) < TAIL or len(set(value.lower())) < 8 or "://" in value:
        return
    start = data.draw(st.integers(0, len(value) - TAIL))
    end = data.draw(st.integers(start + TAIL, len(value)))
    part = value[start:end]
    if len(set(part)) > 8:
        assert part not in Redactor(value).text(f"({part})")


@given(st.text(), st.text())
def test_other_text_stays(text: str, value: str) -> None:
    if value.strip().lower() not in text.lower() and len(text) < 6:
        assert Redactor(value).text(text) == text
    assert Redactor().text(text) is text


def test_documents_stay_as_they_are(repository: Path) -> None:
    for name in ("README.md", "CHANGELOG.md", "pyproject.toml", "LICENSE"):
        text = (repository / name).read_text()
        assert ALL.text(text) == text


# What is found


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"token={KEY}.", "token=[redacted]."),
        (f"{KEY}{KEY}", "[redacted]"),
        (f"{KEY} {KEY}", "[redacted] [redacted]"),
        (f"{KEY[:20]}...", "[redacted]..."),
        (f"{KEY[:9]}...", "[redacted]..."),
        (f"...{KEY[-12:]}", "...[redacted]"),
        (f"...{KEY[5:17]}...", "...[redacted]..."),
        (KEY.upper(), "[redacted]"),
        ("\n  ".join((KEY[:15], KEY[15:])), "[redacted]"),
        (f"│ {KEY[:25]} │\n│ {KEY[25:]}   │", "│ [redacted]   │"),
        (" ".join(KEY), "x [redacted]"),
        (str(list(KEY)), "['x', '[redacted]']"),
        (f"xo\n{KEY}", "xo\n[redacted]"),
        (f"\x1b[1m{KEY[:10]}\x1b[0m{KEY[10:]}", "\x1b[1m[redacted]"),
        (f"{KEY[:10]}\u200b{KEY[10:]}", "[redacted]"),
        (f"Basic {base64_of('me:' + KEY)}", "Basic bWU6[redacted]Q="),
        (urllib.parse.quote(f"a=1&key={KEY}"), "a%3D1%26key%3D[redacted]"),
        (KEY[:7], KEY[:7]),
        ("xoxb-1234 xoxb", "xoxb-1234 xoxb"),
    ],
)
def test_where_a_hit_begins_and_ends(text: str, clean: str) -> None:
    assert Redactor(KEY).text(text) == clean


def test_what_stands_too_far_apart_is_no_secret() -> None:
    text = (" " * 100).join((KEY[:10], KEY[10:20], KEY[20:]))
    assert f" {KEY[10:20]} " in Redactor(KEY).text(text)


@pytest.mark.parametrize(
    "value", ['000" [', "it is Xcz okQcEHwHl", "a-b- c d e f g h", "000'\"\\", "00001\x80", "秘 密の鍵は"]
)
def test_values_that_are_hard_to_tell(value: str) -> None:
    redactor = Redactor(value)
    assert redactor.text(f"<{value}>") == "<[redacted]>"
    for encoded in (repr(value)[1:-1], json.dumps(value)[1:-1], urllib.parse.quote_plus(value)):
        assert not leaks(redactor.text(f"<{encoded}>"), {"value": value})


def test_values_are_known_without_blanks_around_them() -> None:
    assert Redactor(f"\n {KEY}\r\n").text(f"<{KEY}>") == "<[redacted]>"


def test_every_line_of_a_value_is_known() -> None:
    value = CANARIES["private key"]
    for line in value.splitlines():
        assert line not in ALL.text(f"| {line} |")
    for line in CANARIES["two lines"].splitlines():
        assert ALL.text(f"| {line} |") == "| [redacted] |"


def test_a_host_stays_where_it_stands_alone() -> None:
    redactor = Redactor(CANARIES["postgres"])
    assert redactor.text("no connection to db.internal.example:5432") == "no connection to db.internal.example:5432"
    assert redactor.text("postgresql://me@localhost/x") == "postgresql://me@localhost/x"
    assert redactor.text(f"<{CANARIES['postgres']}>") == "<[redacted]>"
    for password in ("t0p%2FS3cr%40t-w0rd", "t0p/S3cr@t-w0rd"):
        assert redactor.text(f"password={password}!") == "password=[redacted]!"


def test_secrets_inside_a_json_document_are_known() -> None:
    inner = "kV8sJ3nTq0ZbYwR6mHxU"
    redactor = Redactor(json.dumps({"type": "service_account", "nested": [{"client_secret": inner}]}))
    assert redactor.text(f"key={inner}") == "key=[redacted]"
    other = '{"name": "x", "type": "service_account", "number": 1}'
    assert redactor.text(other) == other


@pytest.mark.parametrize("line_length", [0, 64])
def test_a_megabyte_is_found_and_its_parts_too(line_length: int) -> None:
    import base64
    import random

    text = base64.b64encode(random.Random(1).randbytes(786_432)).decode()
    value = text if not line_length else "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    redactor = Redactor(value)
    assert redactor.text(f"<{value}>") == "<[redacted]>"
    assert redactor.text(f"<{value[500_000:504_000]}>") == "<[redacted]>"
    assert redactor.text(f"<{value[-12:]}> <{value[:12]}>") == "<[redacted]> <[redacted]>"
    # base64 of the document that it stands in, in lines.
    encoded = base64_of(f'{{"key": "{value}"}}')
    assert len(redactor.text(encoded)) < 200
    if line_length:
        assert redactor.text(f"<{value.splitlines()[4000]}>") == "<[redacted]>"


def test_many_secrets() -> None:
    import random

    rng = random.Random(2)
    values = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEF0123456789", k=40)) for _ in range(300)]
    redactor = Redactor(*values)
    assert redactor.text(" ".join(values)) == " ".join([GONE] * 300)


# What is not


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "shorter than 6 characters"),
        ("abc12", "shorter than 6 characters"),
        ("  abc  ", "shorter than 6 characters"),
        ("password", "a common word"),
        ("PRODUCTION", "a common word"),
        ("password123!", "a common word"),
        ("[redac", "a common word"),
        ("aaaaaaaaaaaa", "the same signs over and over"),
        ("1212121212", "the same signs over and over"),
        ("8080123", "a short number"),
        ("https://api.gong.io", "an address with nothing secret in it"),
        ("https://eu-1.api.gong.io:443/v2/", "an address with nothing secret in it"),
        ("https://me:hunter2pw@api.example/", ""),
        ("https://hooks.example/T000/B000/abcdef", ""),
        ("h7K!2p", ""),
        ("83910275", ""),
    ],
)
def test_weak_values(value: str, why: str) -> None:
    assert weakness(value) == why
    redactor = Redactor(value)
    assert redactor.weak() == bool(value and why)
    if why and value.strip():
        assert redactor.text(f"the {value} here") == f"the {value} here"


def test_shorter_values_count_where_less_is_at_stake() -> None:
    assert weakness("k3Y!") == "shorter than 6 characters"
    assert weakness("k3Y!", 4) == ""
    assert weakness("test", 4) == "a common word"


def test_common_words_leave_documents_whole() -> None:
    report = {"status": "ok", "profile": "prod", "names": ["admin", "true", "test"], "count": 12, "password": None}
    redactor = Redactor("ok", "prod", "admin", "true", "test", "12", "status", "password", "none")
    assert redactor.data(report) == report
    assert redactor.text(json.dumps(report)) == json.dumps(report)


# Data


class Colour(StrEnum):
    RED = "red"


class Point(NamedTuple):
    name: str
    x: int


class Row(msgspec.Struct, frozen=True):
    name: str
    when: datetime
    tags: tuple[str, ...] = ()
    more: dict[str, object] = {}


def test_data_keeps_its_shape() -> None:
    when = datetime(2026, 11, 22, tzinfo=UTC)
    row = Row("a", when, (KEY, "b"), {KEY: [Row(KEY, when), Point(KEY, 1), {KEY, "c"}, KEY.encode(), 1.5, None, True]})
    redactor = Redactor(KEY)
    assert redactor.data(row) == Row(
        "a", when, (GONE, "b"), {GONE: [Row(GONE, when), Point(GONE, 1), {GONE, "c"}, GONE.encode(), 1.5, None, True]}
    )
    assert redactor.data(Row("a", when)) == Row("a", when)
    assert redactor.data(Colour.RED) is Colour.RED
    assert redactor.data(8_391_027_512) == 8_391_027_512


def test_a_number_may_be_a_secret() -> None:
    assert Redactor("8391027512").data({"pin": 8_391_027_512, "other": 1}) == {"pin": GONE, "other": 1}


def test_bytes_that_are_no_text() -> None:
    data = b"\xff\xfe\x00" + KEY.encode() + b"\xc3\x28\x80"
    assert Redactor(KEY).raw(data) == b"\xff\xfe\x00[redacted]\xc3\x28\x80"
    assert Redactor(KEY).raw(KEY.encode("utf-16-le")) == b"[redacted]\0"


def test_text_that_utf_8_cannot_hold() -> None:
    assert (
        Redactor(KEY, "\ud800abc-def-12").text(f"\ud800 {KEY} \udfff \ud800abc-def-12")
        == "\ud800 [redacted] \udfff [redacted]"
    )


# Many at once


def test_values_may_be_added_while_others_redact() -> None:
    redactor = Redactor(KEY)
    values = [f"{KEY}-{number}-Zq{number}" for number in range(60)]
    start = threading.Barrier(4)

    def work(number: int) -> list[str]:
        start.wait()
        for value in values[number::4]:
            redactor.add(value)
            assert redactor.text(f"<{value}> <{KEY}>") == "<[redacted]> <[redacted]>"
        return [redactor.text(value) for value in values[number::4]]

    with ThreadPoolExecutor(4) as pool:
        assert {text for result in pool.map(work, range(4)) for text in result} == {GONE}
    redactor.forget()
    assert not redactor
    assert redactor.text(KEY) == KEY
