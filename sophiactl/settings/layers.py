"""Folders that hold settings, and the files in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from sophiactl.errors import ConfigError
from sophiactl.paths import find_paths
from sophiactl.settings.schema import Entry, Origin
from sophiactl.suggest import did_you_mean
from sophiactl.whole_file import write_cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TABLES = {"prices": "models", "secrets": "services"}
"""Sections with a table, and its key: it stands in the built-in file alone. The other files say what the structs
say anyway (a test holds that): they are for people to read and to copy, and reading them at every start would cost too
much."""
LayerKind = Literal["option", "variable", "project", "user", "built in"]
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


class Layer(msgspec.Struct, frozen=True):
    """A folder of settings; `overlay` is its profile's folder, if it has that profile."""

    kind: LayerKind
    folder: Path
    overlay: Path | None = None


def find_layers(
    env: Mapping[str, str],
    cwd: str,
    config: str | None,
    profile: str | None,
    sections: Sequence[str],
    *,
    any_profile: bool = False,
) -> list[Layer]:
    """The folders in force, highest first. Raises `ConfigError` for a folder or profile that is not there.

    A profile is there when it has settings, or a `.env.PROFILE` in the working folder.
    """
    named = _named(env, cwd, config)
    folders = [named] if named else _project(cwd, sections)
    folders = [*folders, ("user", find_paths(env).config)]
    builtin = builtin_folder()
    layers = [Layer(kind, folder) for kind, folder in folders if folder.resolve() != builtin.resolve()]
    layers.append(Layer("built in", builtin))
    if not profile:
        return layers
    return _with_profile(layers, profile, known=any_profile or _has_dotenv(cwd, profile))


def builtin_folder() -> Path:
    """The settings that ship with the program: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    shipped = package / "_configs"
    return shipped if shipped.is_dir() else package.parent / "configs"


def read_section(layer: Layer, section: str, kind: type[msgspec.Struct], cache: Path) -> dict[str, Entry]:
    """The layer's values for a section, profile on top; `cache` holds the built-in tables as parsed once.

    Raises `ConfigError`.
    """
    entries: dict[str, Entry] = {}
    if layer.kind == "built in" and section in TABLES:
        entries = _table(layer.folder / f"{section}.yaml", section, kind, cache)
    for folder in (None if layer.kind == "built in" else layer.folder, layer.overlay):
        if folder is not None:
            entries |= _read_file(folder, section, kind, builtin=layer.kind == "built in")
    return entries


def _table(path: Path, section: str, kind: type[msgspec.Struct], cache: Path) -> dict[str, Entry]:
    """A built-in table, from what it was parsed into before: reading YAML costs more than all of the rest."""
    from zlib import crc32

    data = path.read_bytes()
    kept = cache / "settings" / f"{section}-{len(data)}-{crc32(data):08x}.json"
    try:
        values = msgspec.json.decode(kept.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        from sophiactl.settings.yaml_files import read_yaml

        values = {key: entry.value for key, entry in read_yaml(data, str(path), section, kind).items()}
        write_cache(kept, msgspec.json.encode(values))
    return {key: Entry(value, Origin("built in", "", None)) for key, value in values.items()}


def _read_file(folder: Path, section: str, kind: type[msgspec.Struct], *, builtin: bool) -> dict[str, Entry]:
    path = folder / f"{section}.yaml"
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if path.with_suffix(".yml").exists():
            raise ConfigError(f"{path.with_suffix('.yml')} is not read", hint=f"name it {section}.yaml") from None
        return {}
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="mend its permissions, or remove it"
        ) from error
    from sophiactl.settings.yaml_files import read_yaml

    entries = read_yaml(data, str(path), section, kind)
    if builtin:
        return {key: Entry(entry.value, Origin("built in", "", None)) for key, entry in entries.items()}
    return entries


def _named(env: Mapping[str, str], cwd: str, config: str | None) -> tuple[LayerKind, Path] | None:
    asked = config or env.get("SOPHIACTL_CONFIG", "")
    if not asked:
        return None
    folder = Path(cwd) / Path(asked).expanduser()
    if not folder.is_dir():
        source = "--config" if config else "SOPHIACTL_CONFIG"
        raise ConfigError(
            f"{source}: there is no folder {asked}", hint="it takes a folder with files such as memory.yaml"
        )
    return ("option" if config else "variable", folder)


def _project(cwd: str, sections: Sequence[str]) -> list[tuple[LayerKind, Path]]:
    folder = Path(cwd) / "configs"
    ours = any((folder / f"{section}.yaml").is_file() for section in sections)
    return [("project", folder)] if ours else []


def _has_dotenv(cwd: str, profile: str) -> bool:
    return bool(_PROFILE.match(profile)) and (Path(cwd) / f".env.{profile}").is_file()


def _with_profile(layers: list[Layer], profile: str, *, known: bool) -> list[Layer]:
    if not _PROFILE.match(profile):
        hint = "letters, digits, and . _ - between them"
        raise ConfigError(f"there is no profile {profile!r}", hint=hint)
    found = [_overlaid(layer, profile) for layer in layers]
    if known or any(layer.overlay for layer in found):
        return found
    others = sorted({path.name for layer in layers for path in (layer.folder / "profiles").glob("*") if path.is_dir()})
    listed = (
        f"known: {', '.join(others)}" if others else f"make one: {layers[0].folder / 'profiles' / 'NAME'}/memory.yaml"
    )
    raise ConfigError(
        f"there is no profile {profile!r}", hint=did_you_mean(profile, others, listed) if others else listed
    )


def _overlaid(layer: Layer, profile: str) -> Layer:
    folder = layer.folder / "profiles" / profile
    return Layer(layer.kind, layer.folder, folder if folder.is_dir() else None)
