from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.redaction import Redactor
from sophiactl.redaction.looks import READ
from sophiactl.redaction.redactor import LONGEST

KEY = "vault/9f8e7d6c5b4a3f2e1d0c"
RNG = "9dKf3LmQ7xTbN4pHsY9cJ1GfA6uE3oRiK5tMlXzW0qCvBnShDgPjUyFeIaOkLm2Nq4Rs"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcDEF1234567890",
        "sk-ab***********************xyz",
        "sk-ant-api03-abc...xyz",
        "Bearer abcdef.ghijk",
        "AIzaSyA-1234567890abcdefghij",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "gsk_1234567890abcdef",
        "xoxb-1234567890-1234567890-abcdefghijkl",
        "xoxe.xoxb-1-abcdefghijkl",
        "xapp-1-A0123456789-1234567890123-abcdef",
        "pat-na1-91d91373-aaaa-bbbb-cccc-0123456789ab",
        "ntn_12345678901abcdef",
        f"secret_{RNG[:43]}",
        "1/1204839275610394:8b3e1f60c9d2a74b5e80f13c6d9a2b47",
        f"00D5g000004Hx9z!{RNG}",
        f"3MVG9{RNG}",
        "sk-or-v1-4c7e19a0d83b56f2",
        f"xai-{RNG}",
        "hf_QwErTyZxCvBnMlKj",
        "ghp_abcdefghijklmnop",
        "github_pat_11ABCDEFG",
        "pul-0f1e2d3c4b5a69788796a5b4c3d2e1f00f9e8d7c",
        "lsv2_pt_0123456789abcdef",
        "pplx-0123456789abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN RSA PRIVATE KEY----- abc def -----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_key_is_gone(secret: str) -> None:
    assert Redactor().line(f"Incorrect key: {secret}, see the page") == "Incorrect key: [redacted], see the page"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://me:hunter2@db/x", "postgresql://[redacted]@db/x"),
        ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/[redacted]"),
        ("GET /v1?user=1&api_key=abc&x=2 failed", "GET /v1?user=1&[redacted]&x=2 failed"),
        (f"key {KEY[:9]}****{KEY[-4:]} is wrong", "key [redacted] is wrong"),
        (f"key {KEY[:9]}...{KEY[-4:]}, try again", "key [redacted], try again"),
        (f"key {KEY[:14]} is wrong", "key [redacted] is wrong"),
        (f"key {KEY[:14]}\0{KEY[14:]} is wrong", "key [redacted] is wrong"),
        (f"no: {KEY}.", "no: [redacted]."),
    ],
)
def test_keys_in_company(text: str, clean: str) -> None:
    assert Redactor(KEY).line(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "The task-based rate limit of basic-tier users was reached; ask sk for more.",
        "See https://example.org/a?page=2&name=x and mail me@example.org.",
        "secret_name must be set; pat-a-cake; eyJ is how a token begins; 1/2 of 3:4",
        "xoxo, AKIA, risk-free, tsk-tsk-tsk",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert Redactor("k" * 20, KEY).line(text) == text


def test_lines_are_short_and_one() -> None:
    text = Redactor().line("one\r\n\x1b[31mtwo\u202e " + "x" * 5000)
    assert text.startswith("one [31mtwo x")
    assert len(text) == LONGEST
    assert Redactor().line("abcdef", 4) == "abc…"


@given(st.text(), st.text(), st.integers(0, 25))
def test_any_text_becomes_a_line_without_the_key(before: str, after: str, cut: int) -> None:
    line = Redactor(KEY).line(f"{before}{KEY[:cut]}\0{KEY[cut:]}{after}")
    assert line.isprintable()
    assert len(line) <= LONGEST
    assert KEY not in line
    assert KEY[4:16] not in line


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * 60_000,
        "-----BEGIN PRIVATE KEY-----" * 9000,
        "a:b@" * 60_000,
        "-eyJ" * 9000,
        "?a" * 9000,
        "/1/" + "1" * 99_999,
        "://a:" * 9000,
        "x=" * 90_000,
        "\0" * 99_999,
    ],
)
def test_texts_made_to_take_long(text: str) -> None:
    assert len(Redactor(KEY).line(text)) <= LONGEST
    assert Redactor(KEY).line("-" * READ + KEY) == "-" * (LONGEST - 1) + "…"
