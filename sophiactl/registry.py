"""Names of interchangeable parts and where they are; nothing is imported before it is asked for.

To add an engine, a store or a reader: write its file, then one line here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sophiactl.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENGINES: Mapping[str, str] = {
    "onnx": "sophiactl.embedding.onnx_text:OnnxTextEmbedder",
    "openvino": "sophiactl.embedding.openvino_text:OpenVinoTextEmbedder",
}

STORES: Mapping[str, str] = {
    "edge": "sophiactl.memory.qdrant_edge:EdgeStore",
    "server": "sophiactl.memory.qdrant_server:ServerStore",
}


def load(table: Mapping[str, str], name: str, what: str) -> Any:
    """The class registered as `name`; `what` names the kind of thing for the message. Raises `ConfigError`."""
    try:
        target = table[name]
    except KeyError:
        allowed = ", ".join(sorted(table))
        raise ConfigError(f"unknown {what} {name!r}", hint=f"one of: {allowed}") from None
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
