"""For `EnvironmentFile=` of a systemd unit: double quotes, in which a backslash escapes four signs alone.

Line ends and tabs stand there as they are. systemd rejects the whole file for a value that is no UTF-8, or that holds
one of Unicode's noncharacters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sophiactl.secrets.formats.carrying import refused, require_names, require_no_nul, require_unicode

if TYPE_CHECKING:
    from collections.abc import Mapping

_ESCAPES = str.maketrans({sign: f"\\{sign}" for sign in '\\"`$'})


def write(values: Mapping[str, str]) -> str:
    """One assignment a name."""
    require_names(values, "systemd")
    return "".join(f'{name}="{_escaped(name, value)}"\n' for name, value in values.items())


def _escaped(name: str, value: str) -> str:
    require_no_nul(name, value, "systemd")
    require_unicode(name, value, "systemd")
    if not value.isascii() and any(_is_noncharacter(ord(sign)) for sign in value):
        raise refused(name, "systemd", "its value holds a code point that is no character")
    return value.translate(_ESCAPES)


def _is_noncharacter(code: int) -> bool:
    return 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
