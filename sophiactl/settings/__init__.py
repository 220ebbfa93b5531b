"""Settings, typed and frozen, put together from layers.

Highest first: options of the command line; SOPHIACTL_SECTION__KEY variables; the folder of --config or of
SOPHIACTL_CONFIG, else `configs/` in the working folder if it holds a settings file of ours; the user's config folder;
what is built in. Folders above the working folder are not searched, so that where a command runs decides alone.
A folder holds one YAML file a section; with --profile NAME the files under `profiles/NAME/` lie over those beside it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.paths import find_paths
from sophiactl.settings.environment import read_environment
from sophiactl.settings.layers import Layer, find_layers, read_section
from sophiactl.settings.schema import Additions, Entry, Origin, build, leaves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sophiactl.agent.base import AgentConfig
    from sophiactl.connectors.config import ConnectorsConfig
    from sophiactl.embedding.base import EmbeddingConfig
    from sophiactl.llm.prices import PricesConfig
    from sophiactl.llm.setup import LlmConfig
    from sophiactl.memory.base import MemoryConfig
    from sophiactl.routing.config import RoutingConfig
    from sophiactl.runs.base import RunsConfig
    from sophiactl.secrets.config import SecretsConfig

__all__ = ["SECTIONS", "Layer", "Loaded", "Origin", "Settings", "find_layers", "load_settings", "section_type"]

# Where each section is defined: by the package that uses it. Imported when the section is asked for, since a command's
# start is spent on what the command needs.
SECTIONS: dict[str, str] = {
    "memory": "sophiactl.memory.base:MemoryConfig",
    "embedding": "sophiactl.embedding.base:EmbeddingConfig",
    "agent": "sophiactl.agent.base:AgentConfig",
    "routing": "sophiactl.routing.config:RoutingConfig",
    "llm": "sophiactl.llm.setup:LlmConfig",
    "prices": "sophiactl.llm.prices:PricesConfig",
    "runs": "sophiactl.runs.base:RunsConfig",
    "secrets": "sophiactl.secrets.config:SecretsConfig",
    "connectors": "sophiactl.connectors.config:ConnectorsConfig",
}


def section_type(name: str) -> type[msgspec.Struct]:
    """The frozen struct of a section."""
    module, _, attribute = SECTIONS[name].partition(":")
    found: type[msgspec.Struct] = getattr(import_module(module), attribute)
    return found


class Settings:
    """All settings, frozen. A section that is not given has its defaults, and is made when it is looked at."""

    memory: MemoryConfig
    embedding: EmbeddingConfig
    agent: AgentConfig
    routing: RoutingConfig
    llm: LlmConfig
    prices: PricesConfig
    runs: RunsConfig
    secrets: SecretsConfig
    connectors: ConnectorsConfig

    def __init__(self, **sections: msgspec.Struct) -> None:
        self.__dict__.update(sections)

    def __getattr__(self, name: str) -> Any:
        if name not in SECTIONS:
            raise AttributeError(f"there is no section {name!r}")
        return self.__dict__.setdefault(name, section_type(name)())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("settings are frozen")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Settings):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in SECTIONS)

    __hash__ = None  # type: ignore[assignment]


class Loaded(msgspec.Struct, frozen=True):
    """Settings, and where those of them came from that a layer above the structs gives."""

    settings: Settings
    given: dict[str, Origin]
    sections: tuple[str, ...]

    @property
    def origins(self) -> dict[str, Origin]:
        """Where each setting came from, in the order of definition: `origins["memory.retrieval.candidates"]`."""
        unset = Origin("built in", "")
        return {
            path: self.given.get(path, unset)
            for section in self.sections
            for path in leaves(section, section_type(section))
        }


def load_settings(
    *,
    env: Mapping[str, str],
    cwd: str = ".",
    config: str | None = None,
    profile: str | None = None,
    flags: Mapping[str, tuple[str, Any]] | None = None,
    sections: Sequence[str] = tuple(SECTIONS),
    any_profile: bool = False,
) -> Loaded:
    """Read all layers, of `sections` only: a command's start is spent on what it needs.

    `flags` maps a setting to (option, value), None skipped: {"agent.passages": ("--passages", 5)}. With `any_profile`
    a profile may be one of secrets alone, without settings.

    Raises `ConfigError` naming the file and line (or variable, or option), the setting, its value and what is allowed.
    """
    entries: dict[str, Entry] = {}
    cache = find_paths(env).cache
    kinds = {section: section_type(section) for section in sections}
    for layer in reversed(find_layers(env, cwd, config, profile, tuple(SECTIONS), any_profile=any_profile)):
        for section, kind in kinds.items():
            entries |= read_section(layer, section, kind, cache)
    for path, entry in read_environment(env, kinds).items():
        entries[path] = _added(entries.get(path), entry)
    for path, (option, value) in (flags or {}).items():
        if value is not None:
            entries[path] = Entry(value, Origin("flag", option))
    values = {section: build(section, kind(), entries) for section, kind in kinds.items()}
    return Loaded(Settings(**values), {path: entry.origin for path, entry in entries.items()}, tuple(kinds))


def _added(below: Entry | None, entry: Entry) -> Entry:
    """Variables name single keys of a mapping; the others stay as the layers below have them."""
    if isinstance(entry.value, Additions) and below is not None and isinstance(below.value, dict):
        return Entry({**below.value, **entry.value}, entry.origin)
    return entry
