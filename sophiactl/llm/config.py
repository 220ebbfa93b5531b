"""How a provider is reached: its address, the names of its keys, and its deadlines; never a key itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from sophiactl.errors import ConfigError
from sophiactl.llm.base import Deadlines
from sophiactl.web import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

    Secrets = Mapping[str, str] | Callable[[str], str | None]

Kind = Literal["portkey", "openrouter", "openai"]

_ADDRESS: dict[str, str] = {
    "portkey": "https://api.portkey.ai/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "openai": "https://api.openai.com/v1",
}
_KEY_NAME: dict[str, str] = {"portkey": "PORTKEY_API_KEY", "openrouter": "OPENROUTER_API_KEY", "openai": ""}


class ProviderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server that speaks OpenAI's wire. `kind` openai is any compatible one: OpenAI, vLLM, llama.cpp, Ollama.

    `base_url` and `api_key_name` empty mean those of the kind; a server of kind openai then needs no key. Names ending
    in `_name` are names of secrets. On hosted Portkey the provider's account is the virtual key or the config; without
    either, model names carry it (`@slug/model`). `portkey_provider` means a Portkey gateway of one's own, which is sent
    the provider's key as Bearer, and `custom_host` the server behind it. `models` maps our names of models to the
    provider's. `referer` and `title` are what OpenRouter shows of the calling program. `trust_env` uses the proxy that
    HTTPS_PROXY names.
    """

    kind: Kind = "openai"
    base_url: str = ""
    api_key_name: str = ""
    virtual_key_name: str = ""
    config_name: str = ""
    portkey_provider: str = ""
    custom_host: str = ""
    metadata: dict[str, str] = {}
    models: dict[str, str] = {}
    referer: str = ""
    title: str = ""
    trust_env: bool = False
    deadlines: Deadlines = Deadlines()

    def address(self) -> str:
        """The base URL without a slash at its end. Raises `ConfigError` when it is not allowed."""
        if self.custom_host:
            checked_url(self.custom_host)
        return checked_url(self.base_url or _ADDRESS[self.kind])

    def key_name(self) -> str:
        """The name of the key's variable; empty when the server takes none."""
        return self.api_key_name or _KEY_NAME[self.kind]

    def upstream_name(self, model: str) -> str:
        """The provider's name of a model that we call `model`."""
        return self.models.get(model, model)


def checked_url(url: str) -> str:
    """The URL without a slash at its end, if a key may be sent there: https, or http on loopback.

    Raises `ConfigError`; credentials inside the URL are refused too, and never shown.
    """
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("a base URL is no URL", hint="write it as https://host/v1") from None
    shown = f"{parts.scheme}://{host or ''}"
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"the base URL {shown} holds credentials", hint="name the key's variable in api_key_name")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise ConfigError(f"the base URL {shown} is not allowed", hint="use https, or http on loopback")
    if parts.query or parts.fragment or not _plain(parts):
        raise ConfigError(f"the base URL {shown} has more than host and path", hint="write it as https://host/v1")
    return url.strip().rstrip("/")


def read_secret(secrets: Secrets, name: str, provider: str) -> str:
    """The secret called `name`. Raises `ConfigError` when it is missing or cannot be sent in a header."""
    value = (secrets(name) if callable(secrets) else secrets.get(name)) or ""
    value = value.strip()
    hint = f"set {name} to the key of {provider}"
    if not value:
        raise ConfigError(f"{provider} needs {name}, which is not set", hint=hint)
    if not value.isascii() or not value.isprintable():
        raise ConfigError(f"{name}, the key of {provider}, holds signs that no key has", hint=hint)
    return value


def _plain(parts: SplitResult) -> bool:
    text = parts.netloc + parts.path
    return text.isprintable() and " " not in text and "\\" not in text
