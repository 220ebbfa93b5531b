"""A JSON object of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from sophiactl.secrets.formats.carrying import require_unicode

if TYPE_CHECKING:
    from collections.abc import Mapping


def write(values: Mapping[str, str]) -> str:
    """One member a name; any name will do."""
    for name, value in values.items():
        require_unicode(repr(name), name, "json")
        require_unicode(name, value, "json")
    return msgspec.json.format(msgspec.json.encode(dict(values)), indent=2).decode() + "\n"
