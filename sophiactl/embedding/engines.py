"""Chooses the engine, and answers what `sophiactl models` asks."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from sophiactl.embedding import weights
from sophiactl.embedding.threads import has_bf16
from sophiactl.errors import ModelError
from sophiactl.registry import ENGINES, load

if TYPE_CHECKING:
    from pathlib import Path

    from sophiactl.embedding.base import EmbeddingConfig, ModelInfo, TextEmbedder


class ModelStatus(msgspec.Struct, frozen=True):
    """One line of `sophiactl models list`; `verified` is None where there is nothing to verify or nothing known."""

    name: str
    dimension: int | None
    revision: str | None
    licence: str | None
    origin: str | None = None
    path: str | None = None
    verified: bool | None = None
    problem: str | None = None


def load_embedder(config: EmbeddingConfig, cache_dir: Path, *, bulk: bool = False) -> TextEmbedder:
    """The embedder that `config` asks for; `bulk` says that many texts will come, so that start-up matters less.

    Raises `ModelError`, `ExtraMissing`, and `ConfigError` for an unknown engine.
    """
    kind = load(ENGINES, choose_engine(config.engine, bulk=bulk), "embedding engine")
    embedder: TextEmbedder = kind(weights.locate(config, cache_dir), config, cache_dir)
    return embedder


def choose_engine(engine: str, *, bulk: bool) -> str:
    """`engine`, or for `auto` the fastest at hand: OpenVINO pays only for many texts, on a CPU with bfloat16."""
    if engine != "auto":
        return engine
    return "openvino" if bulk and find_spec("openvino") is not None and has_bf16() else "onnx"


def model_info(config: EmbeddingConfig, cache_dir: Path) -> ModelInfo:
    """The identity of the configured model, without loading a runtime. Raises `ModelError`."""
    return weights.info(weights.locate(config, cache_dir), cache_dir)


def known_models() -> tuple[weights.KnownModel, ...]:
    """Models that can be pulled by name."""
    return tuple(weights.KNOWN.values())


def model_status(config: EmbeddingConfig, cache_dir: Path, *, force: bool = False) -> ModelStatus:
    """Where the configured model is and whether it is intact; a failure is told, not raised. `force` hashes again."""
    known = weights.KNOWN.get(config.model)
    status = ModelStatus(
        name=config.model,
        dimension=known.dimension if known else None,
        revision=known.revision if known else None,
        licence=known.licence if known else None,
    )
    try:
        folder = weights.locate(config, cache_dir)
    except ModelError as error:
        return msgspec.structs.replace(status, problem=error.message)
    status = msgspec.structs.replace(status, origin=folder.origin, path=str(folder.path))
    try:
        weights.verify(folder, cache_dir, force=force)
        found = weights.info(folder, cache_dir)
    except ModelError as error:
        return msgspec.structs.replace(status, verified=False, problem=error.message)
    verified = True if known else None
    return msgspec.structs.replace(status, dimension=found.dimension, revision=found.revision, verified=verified)
