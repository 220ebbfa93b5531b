"""Settings of the models: which providers there are, in which order they are tried, and how the chain behaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.errors import ConfigError
from sophiactl.llm.config import ProviderConfig
from sophiactl.llm.hops import ChainConfig, Hop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_DIRECT_MODELS = {
    "gemini-2.5-flash": "gemini/gemini-2.5-flash",
    "claude-sonnet-4": "anthropic/claude-sonnet-4-20250514",
    "grok-4": "xai/grok-4",
}
_DIRECT_KEYS = {
    "gemini": "GEMINI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "xai": "XAI_API_KEY",
    "openai": "OPENAI_API_KEY",
}


class DirectConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Vendors reached one by one, through litellm (extra `llm`).

    `models` maps our names to litellm's (`anthropic/claude-...`), `key_names` a vendor to the variable of its key.
    """

    models: dict[str, str] = msgspec.field(default_factory=_DIRECT_MODELS.copy)
    key_names: dict[str, str] = msgspec.field(default_factory=_DIRECT_KEYS.copy)


class ProvidersConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The doors to models. A door is open when its key is there; `local` when it has a `base_url`."""

    portkey: ProviderConfig = ProviderConfig(kind="portkey", virtual_key_name="PORTKEY_VIRTUAL_KEY")
    openrouter: ProviderConfig = ProviderConfig(
        kind="openrouter",
        models={
            "gemini-2.5-flash": "google/gemini-2.5-flash",
            "claude-sonnet-4": "anthropic/claude-sonnet-4",
            "grok-4": "x-ai/grok-4",
        },
    )
    direct: DirectConfig = DirectConfig()
    local: ProviderConfig = ProviderConfig()


class LlmConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Models and how they are reached. `order` names the providers in the order in which they are tried."""

    order: tuple[str, ...] = ("portkey", "openrouter", "direct", "local")
    providers: ProvidersConfig = ProvidersConfig()
    chain: ChainConfig = ChainConfig()


def hops(config: LlmConfig, models: Sequence[str]) -> Iterator[Hop]:
    """Where each of these models can be had, in the order of preference, whether the provider is configured or not."""
    for model in models:
        for door in config.order:
            name = _name_at(config.providers, door, model)
            if name is not None:
                provider = name.partition("/")[0] if door == "direct" else door
                yield Hop(provider, model, name, free=door == "local")


def key_names(config: LlmConfig) -> dict[str, str]:
    """The variable that opens each provider, in the order in which they are tried; vendors in the place of `direct`."""
    names: dict[str, str] = {}
    for door in config.order:
        if door == "direct":
            names |= config.providers.direct.key_names
        elif door == "local":
            names[door] = "SOPHIACTL_LLM__PROVIDERS__LOCAL__BASE_URL"
        else:
            names[door] = _served(config.providers, door).key_name()
    return names


def secret_names(config: LlmConfig) -> frozenset[str]:
    """Names of all secrets that the providers may need."""
    doors = config.providers
    served = (doors.portkey, doors.openrouter, doors.local)
    names = {name for door in served for name in (door.key_name(), door.virtual_key_name, door.config_name)}
    return frozenset((names | set(doors.direct.key_names.values())) - {""})


def open_providers(config: LlmConfig, env: Mapping[str, str]) -> tuple[str, ...]:
    """The providers that have what they need to be asked, in the order in which they are tried."""
    local = bool(config.providers.local.base_url)
    return tuple(name for name, key in key_names(config).items() if (local if name == "local" else env.get(key)))


def _served(config: ProvidersConfig, door: str) -> ProviderConfig:
    found = getattr(config, door, None)
    if not isinstance(found, ProviderConfig):
        known = ", ".join(config.__struct_fields__)
        raise ConfigError(f"llm.order: there is no provider {door!r}", hint=f"known are: {known}")
    return found


def _name_at(config: ProvidersConfig, door: str, model: str) -> str | None:
    """The provider's name of a model, None where it does not have it."""
    if door == "direct":
        name = config.direct.models.get(model, model)
        return name if name.partition("/")[0] in config.direct.key_names else None
    served = _served(config, door)
    if door == "portkey":
        return served.upstream_name(model)
    return served.models.get(model) or (model if door == "openrouter" and "/" in model else None)
