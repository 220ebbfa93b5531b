"""SOPHIACTL_SECTION__KEY variables -> entries."""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from sophiactl.errors import ConfigError
from sophiactl.settings.schema import (
    Additions,
    Entry,
    Origin,
    expected,
    fields,
    is_section,
    leaves,
    refuse_secret,
    wrong,
)
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    import msgspec

PREFIX = "SOPHIACTL_"
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_INTEGER = re.compile(r"\s*[-+]?[0-9]+\s*\Z")


def read_environment(env: Mapping[str, str], sections: Mapping[str, type[msgspec.Struct]]) -> dict[str, Entry]:
    """Settings that variables give. Raises `ConfigError` for an unknown key or a value that does not fit."""
    entries: dict[str, Entry] = {}
    within: dict[str, dict[str, Any]] = {}
    for variable in sorted(env):
        section, separator, _ = variable.removeprefix(PREFIX).partition("__")
        name = section.lower()
        if not variable.startswith(PREFIX) or not separator or name not in sections:
            continue
        path = ".".join(variable.removeprefix(PREFIX).lower().split("__"))
        origin = Origin("environment", variable)
        kind, key = _type_at(sections[name], path.split(".")[1:])
        if kind is not None and key:
            refuse_secret(path, Entry(env[variable], origin))
            path = path.removesuffix(f".{key}")
            within.setdefault(path, {})[key] = env[variable]
            entries[path] = Entry(Additions(within[path]), origin)
            continue
        if kind is None:
            refuse_secret(path, Entry("set", origin))
            known = [variable_of(leaf) for leaf in leaves(name, sections[name])]
            hint = did_you_mean(variable, known, f"sophiactl config show {name} lists the settings")
            raise ConfigError(f"{variable}: there is no setting {path}", hint=hint)
        entries[path] = Entry(_value(path, kind, Entry(env[variable], origin)), origin)
    return entries


def variable_of(path: str) -> str:
    """The variable of a setting: `SOPHIACTL_MEMORY__LOCK_TIMEOUT` of `memory.lock_timeout`."""
    return PREFIX + path.upper().replace(".", "__")


def _type_at(kind: Any, keys: list[str]) -> tuple[Any | None, str]:
    """The type of the setting below a section, None when there is none; and the key, where it is one of a mapping."""
    for number, key in enumerate(keys):
        if get_origin(kind) is dict and get_args(kind)[1] is str and number == len(keys) - 1:
            return kind, key
        if not is_section(kind) or key not in fields(kind):
            return None, ""
        kind = fields(kind)[key]
    return (None if is_section(kind) else kind), ""


def _value(path: str, kind: Any, entry: Entry) -> Any:
    """The variable's text as a value that the type may accept."""
    text: str = entry.value
    refuse_secret(path, entry)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        kind = next(item for item in arguments if item is not type(None))
        origin, arguments = get_origin(kind), get_args(kind)
    if kind is bool:
        if text.strip().lower() not in _BOOLEANS:
            raise wrong(path, entry, "true or false")
        return _BOOLEANS[text.strip().lower()]
    if kind in (int, float):
        return _number(path, kind, entry)
    if origin in (tuple, list):
        items = [item.strip() for item in text.split(",") if item.strip()]
        return [_value(path, arguments[0], Entry(item, entry.origin)) for item in items]
    return text


def _number(path: str, kind: type[int | float], entry: Entry) -> float:
    try:
        if kind is int and not _INTEGER.match(entry.value):
            raise wrong(path, entry, expected(kind))
        return kind(entry.value)
    except ValueError:
        raise wrong(path, entry, expected(kind)) from None
