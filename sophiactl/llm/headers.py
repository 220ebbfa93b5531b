"""The headers that say who asks, for each kind of provider."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sophiactl.errors import ConfigError
from sophiactl.llm.config import read_secret
from sophiactl.redaction import REDACTOR

if TYPE_CHECKING:
    from sophiactl.llm.base import ChatRequest
    from sophiactl.llm.config import ProviderConfig, Secrets

_NEEDS_KEY = frozenset({"portkey", "openrouter"})


class Identity:
    """A provider's secrets, as the headers that carry them; none is ever shown."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers

    def __repr__(self) -> str:
        return f"Identity({', '.join(self.headers)})"


def identify(name: str, config: ProviderConfig, secrets: Secrets) -> Identity:
    """The headers of every request to this provider. Raises `ConfigError` for a key that is missing."""
    key_name = config.key_name()
    if not key_name and config.kind in _NEEDS_KEY:
        raise ConfigError(f"{name} has no api_key_name", hint="name the variable that holds its key")
    key = read_secret(secrets, key_name, name) if key_name else ""
    headers: dict[str, str] = {}
    keys = [key]
    if config.kind == "portkey":
        if config.portkey_provider:
            headers |= _bearer(key) | {"x-portkey-provider": config.portkey_provider}
        else:
            headers["x-portkey-api-key"] = key
        if config.custom_host:
            headers["x-portkey-custom-host"] = config.custom_host
        for header, secret in (("virtual-key", config.virtual_key_name), ("config", config.config_name)):
            if secret:
                headers[f"x-portkey-{header}"] = read_secret(secrets, secret, name)
                keys.append(headers[f"x-portkey-{header}"])
    else:
        headers |= _bearer(key)
    if config.kind == "openrouter":
        shown = {"HTTP-Referer": config.referer, "X-Title": config.title}
        headers |= {header: _ascii(value) for header, value in shown.items() if value}
    REDACTOR.add(*keys)
    return Identity(headers)


def of_request(config: ProviderConfig, request: ChatRequest) -> dict[str, str]:
    """The headers that one request adds: Portkey's metadata and trace id."""
    if config.kind != "portkey":
        return {}
    headers = {}
    if metadata := config.metadata | request.metadata:
        headers["x-portkey-metadata"] = json.dumps(metadata)
    if request.trace_id:
        headers["x-portkey-trace-id"] = _ascii(request.trace_id)
    return headers


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _ascii(text: str) -> str:
    """What may stand in a header: printable ASCII on one line."""
    return "".join(char for char in text if char.isascii() and char.isprintable())[:256]
