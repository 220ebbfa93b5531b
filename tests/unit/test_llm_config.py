from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sophiactl.errors import ConfigError, ExitCode
from sophiactl.llm.base import ChatRequest
from sophiactl.llm.config import ProviderConfig, checked_url, read_secret
from sophiactl.llm.headers import identify, of_request
from sophiactl.redaction import REDACTOR

KEYS = {"PORTKEY_API_KEY": "pk-secret", "VK": "vk-secret", "CFG": "pc-conf", "OPENROUTER_API_KEY": "or-secret"}


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1",
        "http://127.0.0.1:8080/v1",
        "http://127.9.9.9/v1",
        "http://localhost:11434/v1",
        "http://[::1]:80/v1",
    ],
)
def test_addresses_that_a_key_may_go_to(url: str) -> None:
    assert checked_url(url + "/") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/v1",
        "http://localhost.example.com/v1",
        "http://127.0.0.1.example.com/v1",
        "http://10.0.0.1/v1",
        "ftp://localhost/v1",
        "https://",
        "api.example.com/v1",
        "",
        "https://host/v1?key=x",
        "https://host/v1#x",
        "https://ho st/v1",
        "https://host:99999/v1",
        "https://[::1/v1",
        "https://host\\@evil/v1",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        checked_url(url)


def test_credentials_in_an_address_are_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        checked_url("https://user:hunter2@host/v1")
    assert "hunter2" not in caught.value.message


def test_the_custom_host_obeys_the_same_rule() -> None:
    with pytest.raises(ConfigError):
        ProviderConfig(kind="portkey", portkey_provider="openai", custom_host="http://192.0.2.1/v1").address()


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"kind": "openai", "api_key": "x"}, ProviderConfig)


@pytest.mark.parametrize("secrets", [{}, {"K": "  "}, lambda _: None])
def test_a_missing_key_names_variable_and_provider(secrets: Any) -> None:
    with pytest.raises(ConfigError, match=r"acme needs K\b") as caught:
        read_secret(secrets, "K", "acme")
    assert caught.value.exit_code == ExitCode.NOT_CONFIGURED


@pytest.mark.parametrize("value", ["a\nb", "schlüssel", "a\0b"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_secret({"K": value}, "K", "acme")
    assert value not in caught.value.message


def test_space_around_a_key_is_dropped() -> None:
    assert read_secret({"K": " abc\n"}, "K", "acme") == "abc"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ProviderConfig(kind="portkey"), {"x-portkey-api-key": "pk-secret"}),
        (
            ProviderConfig(kind="portkey", virtual_key_name="VK"),
            {"x-portkey-api-key": "pk-secret", "x-portkey-virtual-key": "vk-secret"},
        ),
        (
            ProviderConfig(kind="portkey", config_name="CFG"),
            {"x-portkey-api-key": "pk-secret", "x-portkey-config": "pc-conf"},
        ),
        (
            ProviderConfig(
                kind="portkey", portkey_provider="openai", custom_host="http://127.0.0.1:9/v1", api_key_name="VK"
            ),
            {
                "Authorization": "Bearer vk-secret",
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": "http://127.0.0.1:9/v1",
            },
        ),
        (
            ProviderConfig(kind="openrouter", referer="https://example.com", title="a\nb"),
            {"Authorization": "Bearer or-secret", "HTTP-Referer": "https://example.com", "X-Title": "ab"},
        ),
        (ProviderConfig(), {}),
        (ProviderConfig(api_key_name="VK"), {"Authorization": "Bearer vk-secret"}),
    ],
)
def test_headers(config: ProviderConfig, expected: dict[str, str]) -> None:
    identity = identify("p", config, KEYS)
    assert identity.headers == expected
    sent = [value for value in KEYS.values() if any(value in header for header in expected.values())]
    assert not any(value in REDACTOR.text(f"{identity.headers}") for value in sent)
    assert not any(value in repr(identity) for value in KEYS.values())


def test_headers_of_a_request_are_portkeys_own() -> None:
    request = ChatRequest(model="m", messages=(), trace_id="run\r\nx: y", metadata={"user": "Zoë"})
    config = ProviderConfig(kind="portkey", metadata={"team": "ops", "user": "?"})
    assert of_request(config, request) == {
        "x-portkey-metadata": '{"team": "ops", "user": "Zo\\u00eb"}',
        "x-portkey-trace-id": "runx: y",
    }
    assert of_request(ProviderConfig(), request) == {}


def test_names_of_models() -> None:
    config = ProviderConfig(models={"claude": "anthropic/claude-sonnet-4"})
    assert [config.upstream_name(name) for name in ("claude", "other")] == ["anthropic/claude-sonnet-4", "other"]
