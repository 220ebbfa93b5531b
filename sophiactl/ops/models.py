"""`models`: which embedding models are in place, where, and intact or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.embedding import weights
from sophiactl.embedding.engines import ModelStatus, known_models, model_status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sophiactl.wiring import Wiring


class ModelList(msgspec.Struct, frozen=True):
    """Models that can be used; `configured` is the name of the one in the settings."""

    configured: str
    models: tuple[ModelStatus, ...]


def list_models(wiring: Wiring, *, verify: bool = False) -> ModelList:
    """The configured model and the known ones; with `verify` every file is hashed again."""
    config, cache = wiring.settings.embedding, wiring.paths.cache
    names = dict.fromkeys((config.model, *(known.name for known in known_models())))
    models = []
    for name in names:
        own = name == config.model
        chosen = config if own else msgspec.structs.replace(config, model=name, model_path="")
        models.append(model_status(chosen, cache, force=verify))
    return ModelList(config.model, tuple(models))


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
