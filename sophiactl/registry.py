"""Names of interchangeable parts and where they are; nothing is imported before it is asked for.

To add an engine, a store, a source of secrets or a verifier: write its file, then one line here.
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

SECRET_SOURCES: Mapping[str, str] = {
    "environment": "sophiactl.secrets.sources.environment:EnvironmentSource",
    "credentials": "sophiactl.secrets.sources.credentials:CredentialsSource",
    "dotenv": "sophiactl.secrets.sources.dotenv:DotenvSource",
    "keyring": "sophiactl.secrets.sources.keyring:KeyringSource",
    "esc": "sophiactl.secrets.sources.esc:EscSource",
}

CONNECTORS: Mapping[str, str] = {
    "slack": "sophiactl.connectors.slack:SlackConnector",
    "gong": "sophiactl.connectors.gong:GongConnector",
    "hubspot": "sophiactl.connectors.hubspot:HubSpotConnector",
    "salesforce": "sophiactl.connectors.salesforce:SalesforceConnector",
    "notion": "sophiactl.connectors.notion:NotionConnector",
    "asana": "sophiactl.connectors.asana:AsanaConnector",
}

_LIVE = "sophiactl.secrets.live"
VERIFIERS: Mapping[str, str] = {
    name: f"{_LIVE}.{name}:check"
    for name in (
        *("slack", "gong", "hubspot", "salesforce", "notion", "asana", "figma", "portkey", "openrouter", "openai"),
        *("anthropic", "gemini", "xai", "qdrant", "huggingface", "pulumi", "postgresql"),
    )
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
