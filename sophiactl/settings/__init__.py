"""Settings, typed and frozen, put together from layers.

Highest first: options of the command line; SOPHIACTL_SECTION__KEY variables; the folder of --config or of
SOPHIACTL_CONFIG, else `configs/` in the working folder if it holds a settings file of ours; the user's config folder;
what is built in. Folders above the working folder are not searched, so that where a command runs decides alone.
A folder holds one YAML file a section; with --profile NAME the files under `profiles/NAME/` lie over those beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.agent.base import AgentConfig
from sophiactl.embedding.base import EmbeddingConfig
from sophiactl.memory.base import MemoryConfig
from sophiactl.settings.environment import read_environment
from sophiactl.settings.layers import Layer, find_layers, read_section
from sophiactl.settings.schema import Entry, Origin, build, leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SECTIONS", "Layer", "Loaded", "Origin", "Settings", "find_layers", "load_settings"]


class Settings(msgspec.Struct, frozen=True):
    """All settings: each section is defined by the package that uses it."""

    memory: MemoryConfig = MemoryConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    agent: AgentConfig = AgentConfig()


SECTIONS: dict[str, type[msgspec.Struct]] = {"memory": MemoryConfig, "embedding": EmbeddingConfig, "agent": AgentConfig}


class Loaded(msgspec.Struct, frozen=True):
    """Settings, and where each came from: `origins["memory.retrieval.candidates"]`."""

    settings: Settings
    origins: dict[str, Origin]


def load_settings(
    *,
    env: Mapping[str, str],
    cwd: str = ".",
    config: str | None = None,
    profile: str | None = None,
    flags: Mapping[str, tuple[str, Any]] | None = None,
) -> Loaded:
    """Read all layers. `flags` maps a setting to (option, value), None skipped: {"agent.passages": ("--passages", 5)}.

    Raises `ConfigError` naming the file and line (or variable, or option), the setting, its value and what is allowed.
    """
    entries: dict[str, Entry] = {}
    for layer in reversed(find_layers(env, cwd, config, profile, tuple(SECTIONS))):
        for section, kind in SECTIONS.items():
            entries |= read_section(layer, section, kind)
    entries |= read_environment(env, SECTIONS)
    for path, (option, value) in (flags or {}).items():
        if value is not None:
            entries[path] = Entry(value, Origin("flag", option))
    values = {section: build(section, kind, entries) for section, kind in SECTIONS.items()}
    unset = Origin("built in", "")
    origins = {
        path: entries[path].origin if path in entries else unset
        for section, kind in SECTIONS.items()
        for path in leaves(section, kind)
    }
    return Loaded(Settings(**values), origins)
