"""Conditions that keep a memory from ever being pruned: `tags=legal-hold`, `metadata.tenant=acme`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from sophiactl.errors import ConfigError
from sophiactl.memory.base import Equals
from sophiactl.memory.payload import FIELDS, metadata_key
from sophiactl.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sophiactl.memory.policy import PruneConfig

_STRUCTURED = ("metadata", "locator")
_TRUTH = {"true": True, "false": False}


class Protection(msgspec.Struct, frozen=True):
    """`field` (or, of a list, one of its items) is `value`. Case does not matter: rather too much than too little."""

    text: str
    field: str
    key: str | None
    value: str

    @property
    def stored(self) -> str:
        """The field of the record that must be read."""
        return self.field if self.key is None else "metadata"

    def holds(self, fields: Mapping[str, Any]) -> bool:
        """Whether a record with these fields is protected."""
        found = fields.get(self.stored)
        if self.key is not None:
            found = _inside(found, self.key)
        if found is None:
            return False
        return self.value in map(_said, found if isinstance(found, list | tuple) else (found,))

    def equals(self) -> tuple[Equals, ...]:
        """The same for a store, as near as a store can say it."""
        wanted: list[str | int | bool] = [self.text.partition("=")[2].strip()]
        if self.value in _TRUTH:
            wanted.append(_TRUTH[self.value])
        elif self.value.lstrip("-").isdecimal():
            wanted.append(int(self.value))
        return tuple(Equals(self.field, value) for value in wanted)


def protections(config: PruneConfig) -> tuple[Protection, ...]:
    """The conditions of the settings. Raises `ConfigError`: one that can never hold would protect nothing, silently."""
    return tuple(_parsed(text) for text in config.protect)


def _parsed(text: str) -> Protection:
    name, equals, value = text.partition("=")
    field, value = name.strip(), value.strip()
    if not equals or not field or not value:
        raise ConfigError(f"memory.prune.protect: {text!r} is no KEY=VALUE", hint="for example: metadata.tenant=acme")
    key = metadata_key(field)
    if (key is None and (field not in FIELDS or field in _STRUCTURED)) or key == "":
        known = [name for name in FIELDS if name not in _STRUCTURED]
        raise ConfigError(
            f"memory.prune.protect: no memory has a field {field!r} to go by",
            hint=did_you_mean(field, known, f"one of: {', '.join(known)}, metadata.KEY"),
        )
    return Protection(text, field, key, value.casefold())


def _inside(metadata: object, key: str) -> object:
    """What stands under a key, or under a path of keys joined by dots."""
    found = metadata
    if isinstance(found, dict) and key in found:
        return found[key]
    for step in key.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(step)
    return found


def _said(value: object) -> str:
    if isinstance(value, str):
        return value.strip().casefold()
    try:
        return json.dumps(value).casefold()
    except (TypeError, ValueError, RecursionError):
        return ""
