"""`models`: which embedding models are in place, and what the chat models cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.embedding import weights
from sophiactl.embedding.engines import ModelStatus, known_models, model_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.wiring import Wiring


class ChatModelRow(msgspec.Struct, frozen=True):
    """A chat model. Prices are US dollars per million tokens, None: unknown; `tiers` are those that name it.

    `provider` is the open one that would be asked first, None while none is configured.
    """

    name: str
    tiers: tuple[str, ...]
    provider: str | None
    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    reasoning: float | None = None
    context_window: int | None = None
    as_of: str | None = None
    retired: str | None = None


class ModelList(msgspec.Struct, frozen=True):
    """Models that can be used; `configured` is the name of the embedding model in the settings."""

    configured: str
    models: tuple[ModelStatus, ...]
    chat: tuple[ChatModelRow, ...]


def list_models(wiring: Wiring, *, verify: bool = False, everything: bool = False) -> ModelList:
    """The configured embedding model and the known ones, and the chat models of the tiers.

    With `verify` every file is hashed again; with `everything` all chat models with a price are listed.
    """
    config, cache = wiring.settings.embedding, wiring.paths.cache
    names = dict.fromkeys((config.model, *(known.name for known in known_models())))
    models = []
    for name in names:
        own = name == config.model
        chosen = config if own else msgspec.structs.replace(config, model=name, model_path="")
        models.append(model_status(chosen, cache, force=verify))
    return ModelList(config.model, tuple(models), _chat(wiring, everything=everything))


def _chat(wiring: Wiring, *, everything: bool) -> tuple[ChatModelRow, ...]:
    tiers: dict[str, list[str]] = {}
    providers: dict[str, str] = {}
    for card in wiring.models.cards():
        tiers.setdefault(card.name, []).append(card.tier)
        if card.provider in wiring.models.open_providers:
            providers[card.name] = card.provider
    names = dict.fromkeys((*tiers, *(wiring.models.prices.models if everything else ())))
    return tuple(_row(name, tuple(tiers.get(name, ())), providers.get(name), wiring) for name in names)


def _row(name: str, tiers: tuple[str, ...], provider: str | None, wiring: Wiring) -> ChatModelRow:
    found = wiring.models.prices.find(name)
    if found is None:
        return ChatModelRow(name, tiers, provider)
    price = found.price
    return ChatModelRow(
        name=name,
        tiers=tiers,
        provider=provider,
        input=price.input,
        output=price.output,
        cached_input=price.cached_input,
        reasoning=price.reasoning,
        context_window=price.context_window,
        as_of=price.as_of,
        retired=price.retired,
    )


def pull(
    name: str | None,
    wiring: Wiring,
    *,
    base_url: str | None = None,
    progress: Callable[[str, int, int | None], None] | None = None,
    timeout: float = 600.0,
) -> weights.ModelFolder:
    """Download a known model (the configured one by default) and check it; `timeout` is in seconds for the whole.

    Raises `NotFound` for an unknown name, `Unreachable`, `UpstreamError`, `DeadlineExceeded`, `DiskFull`, `ModelError`.
    """
    return weights.pull(
        name or wiring.settings.embedding.model,
        wiring.paths.cache,
        base_url or weights.HUB_URL,
        progress,
        timeout=timeout,
    )


def path(name: str | None, wiring: Wiring) -> Path:
    """The folder of a model. Raises `ModelError` when it is not in place."""
    config = wiring.settings.embedding
    if name is not None and name != config.model:
        config = msgspec.structs.replace(config, model=name, model_path="")
    return weights.locate(config, wiring.paths.cache).path
