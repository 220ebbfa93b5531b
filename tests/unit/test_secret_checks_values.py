"""The checks of a single value, one by one."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sophiactl.secrets.checks.addresses import is_remote, refused
from sophiactl.secrets.checks.expiry import end_of_token
from sophiactl.secrets.checks.placeholders import counted_up, is_placeholder
from sophiactl.secrets.checks.strength import is_common, is_weak
from sophiactl.secrets.checks.texts import as_written
from sophiactl.secrets.checks.values import is_production
from tests.secret_sets import ALNUM, HEX, NOW, UPPER, URLSAFE, findings, held, jwt, look, some

if TYPE_CHECKING:
    from collections.abc import Callable


def rules(name: str, value: str, **asked: Any) -> list[str]:
    """What is found in one value, whatever else is missing."""
    return [found.rule for found in findings(look({name: (held(name, value),)}, **asked)) if found.name == name]


# How it is written


@pytest.mark.parametrize(
    ("written", "meant", "broken"),
    [
        ("abc", "abc", ()),
        ("abc\n", "abc", ("newline",)),
        ("\r\nabc\r\n", "abc", ("newline",)),
        ("abc\\n", "abc", ("newline",)),
        (" abc\t", "abc", ("whitespace",)),
        ("\u00a0abc", "abc", ("whitespace",)),
        ("\ufeffabc", "abc", ("invisible",)),
        ("a\u200bbc", "abc", ("invisible",)),
        ("a bc", "abc", ("whitespace",)),
        ("a\nbc", "abc", ("newline",)),
        ("a\x00bc", "a\x00bc", ("invisible",)),
        ('"abc"', "abc", ("quotes",)),
        ("“abc”", "abc", ("quotes",)),
        ("\"'abc'\"", "abc", ("quotes",)),
        ('"abc', "abc", ("quotes",)),
        ('"abc"\n', "abc", ("quotes", "newline")),
        ("Bearer abc", "abc", ("pasted",)),
        ("Authorization: Bearer abc", "abc", ("pasted",)),
        ("NAME=abc", "abc", ("pasted",)),
        ('export NAME="abc"', "abc", ("pasted",)),
        ("аbc", "аbc", ("non-ascii",)),
        ("abc…", "abc…", ("non-ascii",)),
        ("", "", ()),
        ("''", "", ("quotes",)),
        ('"', '"', ()),
    ],
)
def test_what_came_along(written: str, meant: str, broken: tuple[str, ...]) -> None:
    found = as_written(written, "NAME", "token")
    assert found.text == meant
    assert found.broken[: len(broken)] == broken
    assert bool(found.broken) == bool(broken) or written == '"'


@pytest.mark.parametrize("value", ["two words", "pässwörd", 'say"', "don't", "Bearer token", "a\\n"])
def test_passwords_may_hold_what_keys_may_not(value: str) -> None:
    assert as_written(value, "NAME", "password") == (value, (), False)


def test_a_pem_key_keeps_its_line_breaks() -> None:
    pem = "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
    assert as_written(pem, "NAME", "pem") == (pem, (), False)
    assert as_written("x\n", "NAME", "token", is_file=True).broken == ()


@given(st.text(max_size=200), st.sampled_from(["token", "password", "url", "text", "pem"]))
def test_any_text_is_taken_apart(value: str, kind: str) -> None:
    once = as_written(value, "NAME", kind)
    assert len(once.text) <= len(value)
    if not once.inside and kind != "pem":
        assert as_written(once.text, "NAME", kind).text == once.text


# Placeholders

PLACEHOLDERS = [
    *("changeme", "CHANGE_ME", "change-me", "your-token-here", "YOUR_API_KEY", "<token>", "[token]", "{token}", "TODO"),
    *("xxx", "XXXXXXXXXXXX", "****", "........", "dummy", "example-key", "REPLACE_ME", "FIXME", "tbd", "none", "null"),
    *("${TOKEN}", "${TOKEN:-}", "$TOKEN", "$(cat token)", "{{ token }}", "${{ secrets.TOKEN }}", "%TOKEN%", "@TOKEN@"),
    *("__TOKEN__", "#{TOKEN}#", "op://vault/item/field", "ENC[AES256_GCM,data:x]", "undefined", "n/a", "not set"),
    *("1234567890", "abcdefghijklmnop", "insert_your_key", "enter-key-here", "aaaaaaaaaaaaaaaa", "redacted"),
]


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_placeholders(value: str) -> None:
    assert is_placeholder(value)
    assert "placeholder" in rules("PORTKEY_API_KEY", value) or " " in value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-xxxxxxxxxxxx-xxxxxxxxxxxx-xxxxxxxxxxxxxxxxxxxxxxxx"),
        ("SLACK_BOT_TOKEN", "xoxb-123456789012-1234567890123-abcdefghijklmnopqrstuvwx"),
        ("SLACK_BOT_TOKEN", "xoxb-..."),
        ("SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN"),
        ("OPENAI_API_KEY", "sk-..."),
        ("OPENAI_API_KEY", "sk-proj-xxxxxxxx"),
        ("OPENAI_API_KEY", "sk-test"),
        ("ANTHROPIC_API_KEY", "sk-ant-api03-xxxxxxxxxxxxxxxxxxxxxxxxx"),
        ("HUBSPOT_ACCESS_TOKEN", "pat-na1-00000000-0000-0000-0000-000000000000"),
        ("HUBSPOT_ACCESS_TOKEN", "pat-na1-91d91373-" + "aaaa-4bbb-8ccc-123456789abc"),
        ("XAI_API_KEY", "xai-tyk7I9n4" + "x" * 72),
        ("SALESFORCE_INSTANCE_URL", "https://your-instance.my.salesforce.com"),
        ("SALESFORCE_INSTANCE_URL", "https://MyDomainName.my.salesforce.com"),
        ("SALESFORCE_INSTANCE_URL", "https://example.com"),
        ("SALESFORCE_INSTANCE_URL", "https://${DOMAIN}.my.salesforce.com"),
        ("GONG_BASE_URL", "https://us-xxxxx.api.gong.io"),
        ("GONG_BASE_URL", "TODO"),
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"),
        ("SOPHIACTL_RUNS_PASSWORD", "<password>"),
        ("SOPHIACTL_RUNS_PASSWORD", "your-password"),
    ],
)
def test_placeholders_in_their_slots(name: str, value: str) -> None:
    assert rules(name, value) == ["placeholder"]


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: some(rng, HEX, 32, 64),
        lambda rng: some(rng, ALNUM, 16, 120),
        lambda rng: some(rng, URLSAFE, 20, 160),
        lambda rng: some(rng, UPPER, 16, 40),
        lambda rng: some(rng, "0123456789", 16, 20),
    ],
)
def test_chance_is_no_placeholder_and_not_weak(make: Callable[[random.Random], str]) -> None:
    rng = random.Random(repr(make(random.Random(4))))
    for value in (make(rng) for _ in range(1_500)):
        assert not is_placeholder(value), value
        assert not is_weak(value), value


@pytest.mark.parametrize(
    "value",
    ["correct horse battery staple", "eat-your-greens-27", "<F;xA5~V:$jU]O>", "Tr0ub4dor&3", "$7dK[2f]", "@kd93@!f"],
)
def test_passwords_that_are_no_placeholders(value: str) -> None:
    assert not is_placeholder(value, kind="password")


def test_counting_up() -> None:
    assert counted_up("0123456789")
    assert not counted_up("0192837465")
    assert not counted_up("1234567")


# What can be guessed


@pytest.mark.parametrize(
    "value",
    [
        "password",
        "Passw0rd!",
        "hunter2",
        "letmein",
        "qwerty123",
        "my-secret-token",
        "supersecret",
        "admin",
        "Summer2024!",
    ],
)
def test_common_words(value: str) -> None:
    assert is_common(value)
    assert rules("SOPHIACTL_RUNS_PASSWORD", value) == ["weak"]
    assert rules("SLACK_BOT_TOKEN", value) == ["weak"]


@pytest.mark.parametrize("value", ["abc123abc123abc123abc123", "aabbaabbaabbaabbaabbaabb", "abc12", "q1w2"])
def test_patterns_are_weak(value: str) -> None:
    assert is_weak(value)


@pytest.mark.parametrize("value", ["short7", "aaaa1111", "abab-abab-abab"])
def test_weak_passwords(value: str) -> None:
    assert is_weak(value, kind="password")


def test_names_and_addresses_need_no_strength() -> None:
    assert rules("PORTKEY_VIRTUAL_KEY", "openai-prod") == []
    assert rules("QDRANT_URL", "http://localhost:6333") == []


# Formats

_SLACK = "xoxb-1748293847-5839201847361-kdJf93kfKd02mfPq8fjWn3kf"


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-9", "wrong-format"),
        ("SLACK_BOT_TOKEN", "xoxe-1-" + "Kd93kfQ2" * 18, "wrong-prefix"),
        ("SLACK_APP_TOKEN", _SLACK, "wrong-slot"),
        ("PORTKEY_API_KEY", _SLACK, "wrong-slot"),
        ("GONG_BASE_URL", _SLACK, "wrong-slot"),
        ("SOPHIACTL_RUNS_PASSWORD", _SLACK, "wrong-slot"),
        ("PORTKEY_API_KEY", "ghp_" + "Kd93kfQ2" * 4 + "19Xm", "wrong-slot"),
        ("PORTKEY_API_KEY", "https://api.portkey.ai", "wrong-slot"),
        ("PORTKEY_API_KEY", "-----BEGIN KEY-----\nabc\n-----END KEY-----", "wrong-slot"),
        ("GONG_BASE_URL", "https://hooks.slack.com/services/T1K/B2K/x", "wrong-slot"),
        ("GONG_ACCESS_KEY", jwt(random.Random(1)), "wrong-slot"),
        ("ANTHROPIC_API_KEY", "sk-ant-admin01-" + "Kd93kfQ2" * 11 + "Kd93kAA", "wrong-slot"),
        ("OPENAI_API_KEY", "sk-admin-" + "Kd93kfQ2" * 7, "wrong-slot"),
        ("ANTHROPIC_API_KEY", "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", "wrong-slot"),
        ("OPENROUTER_API_KEY", "sk-or-v2-" + "9f3c" * 16, "wrong-prefix"),
        ("ASANA_CLIENT_SECRET", "k2j3" * 7, "wrong-length"),
        ("SALESFORCE_JWT_KEY", "-----BEGIN PRIVATE KEY-----\nabc", "wrong-format"),
        ("XAI_API_KEY", "xai-" + "k" * 70_000, "too-long"),
        ("PORTKEY_API_KEY", "k" * 1_000_000, "too-long"),
    ],
)
def test_what_a_value_looks_like(name: str, value: str, rule: str) -> None:
    assert rules(name, value) == [rule]


@pytest.mark.parametrize(
    "name", ["GONG_ACCESS_KEY", "GONG_ACCESS_KEY_SECRET", "PORTKEY_API_KEY", "HUBSPOT_CLIENT_SECRET"]
)
def test_shapes_that_nobody_publishes_are_free(name: str) -> None:
    rng = random.Random(name)
    for signs in (HEX, ALNUM, UPPER, URLSAFE, ALNUM + "+/=."):
        for _ in range(50):
            assert rules(name, some(rng, signs, 20, 90)) == []


# Addresses

HOSTS = ("api.gong.io", "*.api.gong.io")


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("https://api.gong.io", None),
        ("https://us-1.api.gong.io/", None),
        ("HTTPS://API.GONG.IO", None),
        ("https://api.gong.io.", None),
        ("https://api.gong.io:443/v2", None),
        ("http://api.gong.io", "url-not-https"),
        ("ftp://api.gong.io", "url-not-https"),
        ("http://localhost:80", "url-not-https"),
        ("https://localhost", "url-host"),
        ("https://gong.io", "url-host"),
        ("https://evilapi.gong.io", "url-host"),
        ("https://api.gong.io.evil.io", "url-host"),
        ("https://.api.gong.io", "url-host"),
        ("https://user:pw@api.gong.io", "url-credentials"),
        ("https://api.gong.io@evil.io", "url-credentials"),
        ("https://@api.gong.io", "url-credentials"),
        ("api.gong.io", "url-invalid"),
        ("https://", "url-invalid"),
        ("https:///path", "url-invalid"),
        ("https://api.gong.io:99999", "url-invalid"),
        ("https://[::1", "url-invalid"),
        ("https://api.gong.io\\.evil.io", "url-invalid"),
    ],
)
def test_addresses(value: str, rule: str | None) -> None:
    found = refused(value, HOSTS, allow_loopback=False)
    assert (found and found.rule) == rule


def test_this_machine_counts_only_where_it_is_allowed() -> None:
    assert refused("http://127.0.0.1:80", HOSTS, allow_loopback=True) is None
    assert refused("http://localhost:6333", (), allow_loopback=False) is None
    assert refused("http://qdrant.internal:6333", (), allow_loopback=True) is not None
    assert rules("GONG_BASE_URL", "http://127.0.0.1:80", allow_loopback=True) == []


def test_what_leads_elsewhere() -> None:
    assert is_remote("https://xyz.cloud.qdrant.io")
    assert not any(map(is_remote, ("http://localhost:1", "http://[::1]", "https://[", "", "xyz")))


# Time and accounts


def test_the_end_of_a_token() -> None:
    end = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert end_of_token(jwt(random.Random(1), end)) == end
    assert end_of_token(jwt(random.Random(1), exp=end.timestamp() * 1000)) == end
    assert end_of_token(jwt(random.Random(1))) is None


@pytest.mark.parametrize("claim", ["soon", None, True, [], 1e400, -5, 10**30])
def test_ends_that_are_none(claim: object) -> None:
    end = end_of_token(jwt(random.Random(1), exp=claim))
    assert end is None or isinstance(claim, int | float)


@given(st.text(alphabet=URLSAFE + ".=!", max_size=80))
def test_what_is_no_token_has_no_end(text: str) -> None:
    assert end_of_token(f"eyJ{text}") is None


@pytest.mark.parametrize(
    ("hours", "rule"), [(-1, "expired"), (1, "expires-soon"), (14 * 24 - 1, "expires-soon"), (14 * 24 + 1, None)]
)
def test_ends_over_near_and_far(hours: int, rule: str | None) -> None:
    value = jwt(random.Random(hours), NOW + timedelta(hours=hours))
    assert rules("PORTKEY_API_KEY", value) == ([rule] if rule else [])


@pytest.mark.parametrize("profile", ["prod", "production", "Prod", "eu-prod", "prod-2", "live"])
def test_profiles_of_real_accounts(profile: str) -> None:
    assert is_production(profile)
    assert rules("SALESFORCE_INSTANCE_URL", "https://acme--uat.sandbox.my.salesforce.com", profile=profile) == [
        "test-credential"
    ]


@pytest.mark.parametrize("profile", ["", "dev", "staging", "preprod", "product"])
def test_profiles_of_others(profile: str) -> None:
    assert not is_production(profile)
    assert rules("SALESFORCE_INSTANCE_URL", "https://test.salesforce.com", profile=profile) == []
